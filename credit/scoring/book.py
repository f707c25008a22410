"""Raw applications -> decisions and rejected rows, or the features of a whole book; knows no registry."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from credit import features
from credit.console import step
from credit.data import contract, places, tables
from credit.data.clients import Clients
from credit.data.contract import Screened
from credit.data.rules import identity, promised
from credit.data.synthetic_files import MARKER
from credit.errors import DataError
from credit.features.engine import DuckDB
from credit.portfolio import Language, Portfolio
from credit.scoring.answers import Answers
from credit.scoring.decider import Decider
from credit.scoring.sheets import check_suffix, save, whole

__all__ = ["NO_HISTORY", "WORDED", "Prepared", "Scored", "is_synthetic", "prepare", "score", "screened"]

#: What to give for `history` where there is none: every applicant is taken to have no rows in the other tables.
NO_HISTORY = "none"
#: Up to so many applicants are told their reasons in words, and not in codes alone: words take ten times as long.
WORDED = 5_000
BLOCK = 1_000
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Scored:
    """What came of a file of applications.

    Parameters
    ----------
    scored, rejected : int
        Rows with a decision, and rows without.
    decisions : dict of str to int
        How many of each.
    reasons : {"words", "codes"}
        How the reasons against those who are not approved are told.
    out, rejects : str
        The two files.
    """

    scored: int
    rejected: int
    decisions: dict[str, int]
    reasons: str
    out: str
    rejects: str


@dataclass(frozen=True)
class Prepared:
    """Features of a whole book on disk.

    Parameters
    ----------
    features, rejects : str
        Parquet: the key and the model's features; and a line for each rule that a row breaks.
    rejected : int
        Rows without features.
    fingerprint : str
        SHA-256 of the raw tables.
    """

    features: str
    rejects: str
    rejected: int
    fingerprint: str


def score(
    decider: Decider,
    source: str | Path,
    out: str | Path,
    *,
    history: str | Path | None = None,
    labelled: bool = False,
    language: Language = "en",
    report: Report | None = None,
) -> Scored:
    """Score raw applications, all in memory.

    Parameters
    ----------
    decider : Decider
        The model in use.
    source : str or Path
        CSV, Parquet or whatever else `credit.data.tables.open_tables` reads; a target is ignored.
    out : str or Path
        ``.csv`` or ``.parquet``, one row per valid application in the order of the client id: the id, what
        `Decider.decide_frame` gives, and of whoever is not approved the reasons, ``reason_1`` (a code) and
        ``reason_1_words`` to the fourth; without words for more than `WORDED` applicants.  Rows that break the contract
        go to ``NAME.rejected.csv`` (or ``.parquet``) beside it, one line per broken rule.  In CSV, texts that a
        spreadsheet would take for formulas begin with an apostrophe.
    history : str or Path, optional
        Where the other tables that the model reads are; by default in `source`.  "none": nobody has any history.
    labelled : bool
        Whether the applications with a known outcome are scored, where the source has both.
    language : {"en", "fr"}
        Of the reasons.
    report : callable, optional
        Called with the applications done, all of them, and "applications".

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
    check_suffix(path)
    valid = screened(decider, source, history, labelled)
    with step("Scoring") as scoring:
        table = features.express(decider.portfolio, valid.tables, decider.features)
        decided, told = _answer(decider, table.order_by(decider.portfolio.key).to_pandas(), language, report)
        scoring.rows = len(decided)
    rejects = path.with_name(f"{path.stem}.rejected{path.suffix}")
    save(decided, path)
    save(valid.rejected, rejects)
    counts = {str(name): int(count) for name, count in decided["decision"].value_counts().items()}
    return Scored(len(decided), int(valid.rejected["row"].nunique()), counts, told, str(path), str(rejects))


def prepare(
    decider: Decider,
    source: str | Path,
    folder: str | Path,
    *,
    history: str | Path | None = None,
    labelled: bool = False,
    memory: str | None = None,
) -> Prepared:
    """Turn raw tables of any size into the features that the model reads, once per content, in bounded memory.

    Parameters
    ----------
    decider : Decider
        The model in use.
    source, history, labelled
        As for `score`; `history` is None or "none".
    folder : str or Path
        For the features.
    memory : str, optional
        What DuckDB may use, such as "4GB"; the rest goes to temporary files.

    Returns
    -------
    Prepared
        Of files that are there already, where data and model are the same.
    """
    book, wanted, place = decider.portfolio, decider.features, Path(folder)
    names = _needed(decider, source, history)
    with step("Fingerprinting the data"):
        fingerprint = tables.fingerprint(book, source, labelled=labelled, names=names)
    said = f"{fingerprint} of {', '.join(names)}, {'with' if labelled else 'without'} outcomes"
    summary, rejects = place / "rejected.json", place / "rejected.parquet"
    engine = DuckDB(memory)
    told = engine.read_text(str(summary))
    if told is None or json.loads(told)["digest"] != features.address(book, wanted, said):
        valid = screened(decider, source, history, labelled, memory)
        built = features.build(book, valid.tables, place, said, engine, wanted)
        save(valid.rejected, rejects)
        rejected = int(valid.rejected["row"].nunique())
        with whole(summary) as partial:
            partial.write_text(json.dumps({"digest": built.digest, "rejected": rejected}), encoding="utf-8")
    held = json.loads(summary.read_text(encoding="utf-8"))
    return Prepared(str(place / "features.parquet"), str(rejects), held["rejected"], fingerprint)


def screened(
    decider: Decider, source: str | Path, history: str | Path | None, labelled: bool, memory: str | None = None
) -> Screened:
    """Open the tables, part the valid from the invalid applications, and give tables that are not there no rows.

    Parameters
    ----------
    decider, source, history, labelled, memory
        As for `score` and `prepare`.

    Returns
    -------
    Screened
        Typed tables, and a line for each rule that a row breaks.

    Raises
    ------
    CreditError
        If the source cannot be read, or what is wrong with it is no single row's fault.
    """
    book = decider.portfolio
    names = _needed(decider, source, history)
    opened = tables.open_tables(book, source, labelled=labelled, names=names, memory=memory)
    if history is not None and history != NO_HISTORY:
        opened |= _elsewhere(decider, opened[book.main], history)
    valid = contract.screen(book, opened)
    absent = [name for name in features.needed(book, decider.features) if name not in opened]
    return replace(valid, tables=valid.tables | _empty(book, valid.tables[book.main], absent))


def is_synthetic(source: str | Path) -> bool:
    """Whether a folder, or the folder of a file, says that its rows are made up."""
    path = Path(source)
    return "://" not in str(source) and ((path if path.is_dir() else path.parent) / MARKER).exists()


def _answer(
    decider: Decider, frame: pd.DataFrame, language: Language, report: Report | None
) -> tuple[pd.DataFrame, str]:
    """Decide on applicants a block at a time, so that progress can be told."""
    refused = 0 if frame.empty else int((decider.decide_frame(frame)["decision"] != "approve").sum())
    worded = refused <= WORDED
    answers, made = Answers(decider, reasons=True, language=language if worded else None), []
    for first in range(0, len(frame), BLOCK):
        made.append(answers.rows(frame.iloc[first : first + BLOCK]))
        if report:
            report(min(first + BLOCK, len(frame)), len(frame), "applications")
    return pd.concat(made or [answers.nobody()], ignore_index=True), "words" if worded else "codes"


def _needed(decider: Decider, source: str | Path, history: str | Path | None) -> tuple[str, ...]:
    """Name the tables that are read from the source; refuse a lone file where the model reads more."""
    book = decider.portfolio
    if history is not None:
        return (book.main,)
    names = features.needed(book, decider.features)
    lone = Path(source).is_file() and Path(source).suffix.lower() not in places.DATABASES
    if lone and len(names) > 1:
        raise DataError(
            f"{source}: one file holds only the table '{book.main}', but the model also reads "
            f"{', '.join(names[1:])}; give the folder that holds all tables, or name where the others are "
            "(--history SOURCE), or say that there is no history (--no-history)."
        )
    return names


def _elsewhere(decider: Decider, main: Any, history: str | Path) -> dict[str, Any]:
    """Fetch the applicants' rows of the other tables from another source."""
    book = decider.portfolio
    key = promised(book.tables[book.main], False)[book.key]
    if book.key not in main.columns:
        return {}  # the contract says so, better
    with step(f"Looking the history up in {history}") as looking:
        keys = main.select(key=identity(key, main[book.key])).to_pyarrow()["key"].to_pylist()
        found = Clients(book, history).history(keys)
        looking.rows = sum(len(rows) for rows in found.values())
    names = [name for name in features.needed(book, decider.features) if name != book.main]
    absent = [name for name in names if name not in found]
    if absent:
        raise DataError(f"{history}: has no table {', '.join(absent)}, which the model reads; add it, or --no-history.")
    return {name: ibis.memtable(found[name]) for name in names}


def _empty(book: Portfolio, main: Any, names: list[str]) -> dict[str, Any]:
    """Make typed tables without rows."""
    made = {}
    for name in names:
        table, schema = book.tables[name], {}
        for column, rule in promised(table, False).items():
            other = "string" if rule.type == "category" else "float64"
            schema[column] = "int64" if rule.role == "key" else other
        if table.parent == book.main:
            schema[str(table.parent_key)] = main[book.key].type()
        made[name] = main.get_backend().create_table(f"nothing of {name}", schema=schema)
    return made
