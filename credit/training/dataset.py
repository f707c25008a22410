"""Raw data to three folds on disk, train, validation and test apart from the start; fits nothing."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from credit import features
from credit.console import step
from credit.data import contract, synthetic, tables
from credit.errors import ConfigError
from credit.portfolio import Group, Portfolio
from credit.training.split import FOLDS, assign

__all__ = ["Dataset", "embedded", "prepare"]


@dataclass(frozen=True)
class Dataset:
    """A labelled book, checked, turned into features, and split.

    Parameters
    ----------
    source : str
        What was read, for people.
    synthetic : bool
        Whether the rows are made up; whatever is shown from them must say so.
    fingerprint : str
        SHA-256 of the raw data.
    digest : str
        SHA-256 of the raw data and the feature definitions.
    folds : dict of str to str
        "train", "validation" and "test" to a Parquet file of key, target and features each.
    audit : str
        A Parquet file of key, protected groups and segments; never an input of a model.
    sizes : dict of str to dict
        For each fold ``rows`` and ``defaults``.
    tables : tuple of str
        The tables that were given; there are no features of the others.
    findings : list of dict
        What the contract let pass with a warning, or set missing; see `credit.data.contract.Violation`.
    """

    source: str
    synthetic: bool
    fingerprint: str
    digest: str
    folds: dict[str, str]
    audit: str
    sizes: dict[str, dict[str, int]]
    tables: tuple[str, ...]
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Applicants in all folds."""
        return sum(size["rows"] for size in self.sizes.values())

    def load(self, fold: str) -> pd.DataFrame:
        """Read one fold: key, target, features; in key order."""
        return features.load(self.folds[fold])

    def groups(self, keys: pd.Series, groups: Sequence[Group]) -> pd.DataFrame:
        """Read which of the book's groups or segments some applicants belong to, in the order of `keys`."""
        key, audit = str(keys.name), features.load(self.audit)
        return audit.set_index(key).loc[keys, [group.name for group in groups]].reset_index(drop=True)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        return asdict(self)


def embedded(portfolio: Portfolio, clients: int, workspace: Path) -> Path:
    """Make the portfolio's synthetic book in the workspace, once for each size and seed.

    Raises
    ------
    ConfigError
        If the portfolio has no synthetic facts.
    """
    if portfolio.synthetic is None:
        raise ConfigError(
            f"portfolio '{portfolio.name}': no data given, and no synthetic book comes with it; give --data."
        )
    folder = workspace / "synthetic" / f"{portfolio.name}-{synthetic.GENERATOR}-{clients}-{portfolio.training.seed}"
    if not synthetic.rows_written(folder):
        with step("Making up a synthetic book", clients):
            facts = portfolio.folder / portfolio.synthetic
            synthetic.write(folder, clients, portfolio.training.seed, facts=facts)
    return folder


def prepare(portfolio: Portfolio, source: str | Path, workspace: Path) -> Dataset:
    """Read, check, turn into features and split; each result is addressed by its content.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    source : str or Path
        A folder, a file or a database URL; see `credit.data.tables.open_tables`.
    workspace : Path
        Where features and folds are kept.

    Returns
    -------
    Dataset
        Three folds on disk.

    Raises
    ------
    CreditError
        As the reader and the contract say.
    """
    names = tables.present(portfolio, source)
    raw = tables.open_tables(portfolio, source, names=names)
    fingerprint = tables.fingerprint(portfolio, source, names=names)
    checked = contract.check(portfolio, raw)
    defined = features.definitions(portfolio, names)
    with step("Building features", checked.report.rows) as building:
        folder = workspace / "features" / features.address(portfolio, defined, fingerprint)[:16]
        built = features.build(portfolio, checked.tables, folder, fingerprint)
        building.note = f"{len(defined)} features"
    with step("Splitting by a hash of the client id", built.rows) as splitting:
        folds, sizes = _split(portfolio, built)
        splitting.note = ", ".join(f"{name} {size['rows']:,}" for name, size in sizes.items())
    findings = checked.report.frame().to_dict("records")
    made_up = _is_synthetic(source)
    return Dataset(_shown(source), made_up, fingerprint, built.digest, folds, built.audit, sizes, names, findings)


def _shown(source: str | Path) -> str:
    """Name a source for people: a URL without its password."""
    if "://" not in str(source):
        return str(source)
    from sqlalchemy import make_url  # noqa: PLC0415 (half a second, and most books are files)

    return make_url(str(source)).render_as_string(hide_password=True)


def _is_synthetic(source: str | Path) -> bool:
    """Tell a book made up by this project by the marker beside its files."""
    if "://" in str(source):
        return False
    path = Path(source)
    return ((path if path.is_dir() else path.parent) / synthetic.MARKER).exists()


def _split(portfolio: Portfolio, built: features.FeatureSet) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    frame = features.load(built.features)
    where = assign(frame[portfolio.key], portfolio.split)
    split = portfolio.split
    shares = json.dumps([split.salt, split.train, split.validation])
    folder = Path(built.features).parent / f"split-{hashlib.sha256(shares.encode()).hexdigest()[:16]}"
    folder.mkdir(exist_ok=True)
    paths, sizes = {}, {}
    for fold in FOLDS:
        part = frame[where == fold].reset_index(drop=True)
        _write(part, folder / f"{fold}.parquet")
        paths[fold] = str(folder / f"{fold}.parquet")
        sizes[fold] = {"rows": len(part), "defaults": int(np.sum(part[portfolio.target]))}
    return paths, sizes


def _write(frame: pd.DataFrame, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.to_parquet(partial, index=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
