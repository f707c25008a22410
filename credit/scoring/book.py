"""A file of raw applications to a file of decisions, and one of rejected rows; knows no registry."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from credit import features
from credit.console import step
from credit.data import contract, tables
from credit.errors import ConfigError
from credit.portfolio import Portfolio
from credit.scoring.scorer import Scorer

__all__ = ["Scored", "score"]

WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
}


@dataclass(frozen=True)
class Scored:
    """What came of a file of applications.

    Parameters
    ----------
    scored, rejected : int
        Rows with a decision, and rows without.
    decisions : dict of str to int
        How many of each.
    out, rejects : str
        The two files.
    """

    scored: int
    rejected: int
    decisions: dict[str, int]
    out: str
    rejects: str


def score(scorer: Scorer, portfolio: Portfolio, source: str | Path, out: str | Path, version: str) -> Scored:
    """Score raw applications.

    Parameters
    ----------
    scorer : Scorer
        The model.
    portfolio : Portfolio
        The contract that it was trained under.
    source : str or Path
        CSV, Parquet or whatever else `credit.data.tables.open_tables` reads, with every table that the model reads;
        a target is ignored.
    out : str or Path
        ``.csv`` or ``.parquet``, one row per valid application in the order of the client id: the id,
        ``probability_of_default``, ``decision``, ``model_version``.  Rows that break the contract go to
        ``NAME.rejected.csv`` (or ``.parquet``) beside it, one line per broken rule.
    version : str
        What ``model_version`` says.

    Returns
    -------
    Scored
        Counts and places.

    Raises
    ------
    ConfigError
        If `out` has another suffix.
    CreditError
        If the source cannot be read, or what is wrong with it is no single row's fault.
    """
    path = Path(out)
    if path.suffix not in WRITERS:
        raise ConfigError(f"--out {path}: the suffix is neither .csv nor .parquet; give one of the two.")
    wanted = features.select(portfolio, scorer.contract)
    names = features.needed(portfolio, wanted)
    screened = contract.screen(portfolio, tables.open_tables(portfolio, source, labelled=False, names=names))
    with step("Scoring") as scoring:
        table = features.express(portfolio, screened.tables, wanted).order_by(portfolio.key)
        frame = table.to_pandas()
        decided = scorer.decide(frame)
        decided.insert(0, portfolio.key, frame[portfolio.key])
        decided["model_version"] = version
        scoring.rows = len(decided)
    rejects = path.with_name(f"{path.stem}.rejected{path.suffix}")
    _write(decided, path)
    _write(screened.rejected, rejects)
    counts = {str(name): int(count) for name, count in decided["decision"].value_counts().items()}
    return Scored(len(decided), int(screened.rejected["row"].nunique()), counts, str(path), str(rejects))


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        WRITERS[path.suffix](frame, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
