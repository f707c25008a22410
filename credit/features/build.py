"""Tables -> one Parquet row of features per applicant, addressed by its content; knows no model and no split."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from credit.console import step
from credit.errors import DataError
from credit.features.dictionary import Feature, closure, definitions
from credit.features.engine import DUCKDB, Engine
from credit.features.history import fold
from credit.portfolio import Group, Portfolio

__all__ = ["FeatureSet", "address", "build", "by_table", "express", "load", "manifest", "parts"]

FEATURES, AUDIT, MANIFEST = "features.parquet", "audit.parquet", "features.json"


@dataclass(frozen=True)
class FeatureSet:
    """Where a portfolio's features are, and what they were made from.

    Parameters
    ----------
    features : str
        Parquet: the key, the target (labelled data only), every feature; in no order.
    audit : str
        Parquet: the key and one column a protected group or segment; never an input of a model.
    rows : int
        Applicants.
    digest : str
        SHA-256 of the data's fingerprint and the feature definitions.
    tables : tuple of str
        The tables that were given; features of any other are not there.
    """

    features: str
    audit: str
    rows: int
    digest: str
    tables: tuple[str, ...]


def express(portfolio: Portfolio, tables: Mapping[str, Any], features: Sequence[Feature]) -> Any:
    """Select the key, the target where there is one, and every feature.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    tables : mapping of str to ibis.Table
        Typed by the contract: numbers are floats, categories are strings, what is missing is NULL.  All tables that
        the features are made of.
    features : sequence of Feature
        What to compute.

    Returns
    -------
    ibis.Table
        One row per applicant of the main table.
    """
    folded = {name: fold(portfolio, tables, name, own) for name, own in by_table(features).items()}
    return _joined(portfolio, tables[portfolio.main], folded, features)


def build(
    portfolio: Portfolio,
    tables: Mapping[str, Any],
    out: str | Path,
    fingerprint: str,
    engine: Engine = DUCKDB,
    wanted: Sequence[Feature] | None = None,
) -> FeatureSet:
    """Compute features, once per content, and write all of it or nothing.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    tables : mapping of str to ibis.Table
        What the contract returned.
    out : str or Path
        The folder for the feature set; an older one there is replaced.
    fingerprint : str
        The data's digest, from `credit.data.tables.fingerprint`.
    engine : Engine
        Where the tables live and what writes them.
    wanted : sequence of Feature, optional
        What to compute; by default all that the tables allow.

    Returns
    -------
    FeatureSet
        Of the files that are there already where data and definitions are unchanged.
    """
    features = definitions(portfolio, tables) if wanted is None else tuple(wanted)
    digest = address(portfolio, features, fingerprint)
    found = manifest(out, engine)
    if found.get("digest") != digest:
        engine.clear(engine.place(out, MANIFEST))
        rows = _write(portfolio, tables, features, out, engine)
        found = {"digest": digest, "rows": rows, "tables": list(tables)}
        found["features"] = {feature.name: feature.digest for feature in features}
        engine.write_text(json.dumps(found, indent=1), engine.place(out, MANIFEST))
    places = (engine.place(out, FEATURES), engine.place(out, AUDIT))
    return FeatureSet(*places, found["rows"], digest, tuple(found["tables"]))


def parts(portfolio: Portfolio, main: Any) -> Any:
    """Select the key, and which of the book's groups and segments each applicant of a typed main table belongs to."""
    named = {group.name: _band(group) for group in (*portfolio.groups, *portfolio.segments)}
    return main.select(portfolio.key, **named)


def address(portfolio: Portfolio, features: Sequence[Feature], fingerprint: str) -> str:
    """Digest the data, what the contract does to them, and what is computed from them: SHA-256."""
    used = {portfolio.main, *(name for feature in features for name in feature.tables)}
    columns = {name: {key: asdict(c) for key, c in portfolio.tables[name].columns.items()} for name in sorted(used)}
    groups = [asdict(group) for group in (*portfolio.groups, *portfolio.segments)]
    meaning = [fingerprint, portfolio.key, columns, groups, [feature.digest for feature in features]]
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def load(path: str | Path, columns: list[str] | None = None, keys: tuple[str, list[Any]] | None = None) -> pd.DataFrame:
    """Read features (or audit groups) from Parquet, only the columns and the applicants asked for.

    Parameters
    ----------
    path : str or Path
        The Parquet file.
    columns : list of str, optional
        The columns to read; all by default.
    keys : (str, list), optional
        The key column and the applicants to keep.

    Returns
    -------
    DataFrame
        In the order of its first column, the key, with a fresh index.
    """
    filters = None if keys is None else [(keys[0], "in", set(keys[1]))]
    frame = pd.read_parquet(path, columns=columns, filters=filters)
    return frame.sort_values(frame.columns[0], ignore_index=True)


def _write(
    portfolio: Portfolio, tables: Mapping[str, Any], features: Sequence[Feature], out: str | Path, engine: Engine
) -> int:
    """Fold one history table after the other, then join; the audit groups stay apart."""
    main = tables[portfolio.main]
    with engine.staging(out) as stage:
        folded = {}
        for name, own in by_table(features).items():
            with step(f"Folding {portfolio.tables[name].label.en.lower()}") as folding:
                folded[name] = stage(fold(portfolio, tables, name, own), name)
                folding.note = f"{len(own)} aggregates"
        with step("Joining features") as joining:
            joined = _joined(portfolio, main, folded, features)
            joining.rows = engine.write(joined, engine.place(out, FEATURES))
            joining.note = f"{len(features)} features"
    return engine.write(parts(portfolio, main), engine.place(out, AUDIT))


def by_table(features: Sequence[Feature]) -> dict[str, list[Feature]]:
    """Group the aggregates that the features are, or read, by their table."""
    found: dict[str, list[Feature]] = {}
    for feature in closure(features):
        if feature.aggregate:
            found.setdefault(feature.table, []).append(feature)
    return found


def _joined(portfolio: Portfolio, main: Any, folded: Mapping[str, Any], features: Sequence[Feature]) -> Any:
    """Hang the aggregates on the applications; who has no rows has none of a table's values, but counts are 0."""
    kept = [name for name in (portfolio.key, portfolio.target) if name in main.columns]
    for table in folded.values():
        main = main.left_join(table, portfolio.key).drop(f"{portfolio.key}_right")
    counts = {f.name for f in closure(features) if f.aggregate and f.aggregate.how == "count"}
    main = main.mutate(**{name: main[name].fill_null(0.0) for name in sorted(counts)})
    return main.select(*kept, **{feature.name: _finite(feature) for feature in features})


def manifest(out: str | Path, engine: Engine) -> dict[str, Any]:
    """Read what a build has written of its output: digest, rows, tables, features; empty where it is not whole.

    Raises
    ------
    DataError
        If the file is not what a build writes.
    """
    place = engine.place(out, MANIFEST)
    text = engine.read_text(place)
    try:
        content: dict[str, Any] = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not what a build writes ({error}); remove it and build again.") from error
    whole = content and all(engine.exists(engine.place(out, name)) for name in (FEATURES, AUDIT))
    return content if whole else {}


def _finite(feature: Feature) -> Any:
    """Make what a formula divides or takes the logarithm of missing where it has no value; the rest always has one."""
    if feature.kind == "category" or feature.aggregate:
        return feature.formula
    value = feature.formula.cast("float64")
    return ibis.ifelse(value.isnan() | value.isinf(), None, value)


def _band(group: Group) -> Any:
    """Name a group or segment: the column's own level, or the band of a number ("25-35", "65+")."""
    value = ibis._[group.column]
    if not group.edges:
        return value.cast("string")
    value = value * group.scale
    edges = [f"{edge:g}" for edge in group.edges]
    bands = [(value < group.edges[0], f"under {edges[0]}")]
    pairs = zip(group.edges[1:], edges, edges[1:], strict=False)
    bands += [(value < edge, f"{low}-{high}") for edge, low, high in pairs]
    return ibis.cases(*bands, (value >= group.edges[-1], f"{edges[-1]}+"))
