"""One Parquet row of features per applicant, addressed by its content; knows no model and no split."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow.parquet as pq

from credit.features.dictionary import Feature, definitions
from credit.portfolio import Group, Portfolio

__all__ = ["FeatureSet", "build", "express", "load"]


@dataclass(frozen=True)
class FeatureSet:
    """Where a portfolio's features are, and what they were made from.

    Parameters
    ----------
    features : str
        Parquet: the key, the target (labelled data only), every feature; in key order.
    audit : str
        Parquet: the key and one column a protected group; never an input of a model.
    rows : int
        Applicants.
    digest : str
        SHA-256 of the data's fingerprint and the feature definitions.
    """

    features: str
    audit: str
    rows: int
    digest: str


def express(portfolio: Portfolio, table: Any, features: tuple[Feature, ...]) -> Any:
    """Select the key, the target where there is one, and every feature, from the typed main table.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    table : ibis.Table
        Typed by the contract: numbers are floats, categories are strings, what is missing is NULL.
    features : tuple of Feature
        What to compute.

    Returns
    -------
    ibis.Table
        One row per applicant.
    """
    kept = [name for name in (portfolio.key, portfolio.target) if name in table.columns]
    return table.select(*kept, **{feature.name: _finite(feature) for feature in features})


def build(portfolio: Portfolio, tables: dict[str, Any], workspace: Path, fingerprint: str) -> FeatureSet:
    """Compute every feature once per content, and write it whole or not at all.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    tables : dict of str to ibis.Table
        What the contract returned.
    workspace : Path
        The folder that keeps feature sets.
    fingerprint : str
        The data's digest, from `credit.data.tables.fingerprint`.

    Returns
    -------
    FeatureSet
        Existing files where data and definitions are unchanged.
    """
    features = definitions(portfolio)
    digest = _digest(portfolio, features, fingerprint)
    folder = workspace / "features" / digest[:16]
    table = tables[portfolio.main]
    wanted = {
        "features.parquet": express(portfolio, table, features),
        "audit.parquet": table.select(portfolio.key, **{g.name: _band(g) for g in portfolio.groups}),
    }
    for name, expression in wanted.items():
        if not (folder / name).exists():
            _write(expression.order_by(portfolio.key), folder / name)
    rows = pq.read_metadata(folder / "features.parquet").num_rows
    return FeatureSet(str(folder / "features.parquet"), str(folder / "audit.parquet"), rows, digest)


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
        In key order, with a fresh index.
    """
    filters = None if keys is None else [(keys[0], "in", set(keys[1]))]
    return pd.read_parquet(path, columns=columns, filters=filters).reset_index(drop=True)


def _finite(feature: Feature) -> Any:
    if feature.kind == "category":
        return feature.formula
    value = feature.formula.cast("float64")
    return ibis.ifelse(value.isnan() | value.isinf(), None, value)


def _band(group: Group) -> Any:
    """Name a protected group: the column's own level, or the band of a number ("25-35", "65+")."""
    value = ibis._[group.column]
    if not group.edges:
        return value.cast("string")
    value = value * group.scale
    edges = [f"{edge:g}" for edge in group.edges]
    bands = [(value < group.edges[0], f"under {edges[0]}")]
    pairs = zip(group.edges[1:], edges, edges[1:], strict=False)
    bands += [(value < edge, f"{low}-{high}") for edge, low, high in pairs]
    return ibis.cases(*bands, (value >= group.edges[-1], f"{edges[-1]}+"))


def _digest(portfolio: Portfolio, features: tuple[Feature, ...], fingerprint: str) -> str:
    """Digest the data, what the contract does to them, and what is computed from them."""
    columns = {name: asdict(column) for name, column in portfolio.columns.items()}
    groups = [asdict(group) for group in portfolio.groups]
    meaning = [fingerprint, portfolio.key, columns, groups, [feature.digest for feature in features]]
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def _write(expression: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        expression.to_parquet(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
