"""A file of applications -> raw rows, and decisions -> files to download; decides nothing."""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from credit.data.report import REMEDIES, Violation
from credit.data.tables import ROW, open_tables
from credit.errors import ContractError, CreditError, DataError
from credit.portfolio import Language, Portfolio
from credit.scoring.decider import Decision
from credit.scoring.sheets import save
from gradio_app.faults import faults

__all__ = ["SUFFIXES", "Batch", "Decided", "read", "repeated", "write"]

SUFFIXES = (".csv", ".parquet")
#: Seconds that files with people's data are kept for.
KEPT = 24 * 3600
REASONS = 4


class Decided(Protocol):
    """One applicant of a batch, with a decision or a fault."""

    @property
    def application(self) -> Mapping[str, Any]:
        """The raw application."""

    @property
    def number(self) -> int | None:
        """The decision's number in the ledger."""

    @property
    def decision(self) -> Decision | None:
        """The decision."""

    @property
    def fault(self) -> CreditError | None:
        """What is wrong."""


@dataclass(frozen=True)
class Batch:
    """What came of a file.

    Parameters
    ----------
    scored, rejected : int
        Rows with a decision, and rows without.
    decisions : dict of str to int
        How many of each.
    out, rejects : Path
        One row a decision; and one row a broken rule.
    unused : tuple of str
        Columns of the file that the portfolio does not know.
    version : str
        The model.
    """

    scored: int
    rejected: int
    decisions: dict[str, int]
    out: Path
    rejects: Path
    unused: tuple[str, ...]
    version: str


def read(book: Portfolio, path: str | Path, most: int) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Read a file of applications.

    Parameters
    ----------
    book : Portfolio
        Whose main table it is.
    path : str or Path
        ``.csv`` or ``.parquet``.
    most : int
        Rows that are read at most.

    Returns
    -------
    rows : list of dict
        At most `most` + 1 of them, so that the caller sees that there are more; without the target.
    unused : tuple of str
        Columns that the book does not know; they are left out.

    Raises
    ------
    DataError
        If it is no such file, or has none of the book's columns.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path.name}: is neither .csv nor .parquet; give one of the two.")
    table = open_tables(book, path, labelled=False, names=[book.main])[book.main]
    given = [name for name in table.columns if name != ROW]
    known = [name for name in given if name in book.columns and name != book.target]
    if book.key not in known:
        raise DataError(f"{path.name}: has no column {book.key!r}, which says whose a row is; add it.")
    rows = table.order_by(ROW).limit(most + 1).select(known).to_pyarrow().to_pylist()
    return rows, tuple(name for name in given if name not in book.columns)


def repeated(book: Portfolio, rows: Sequence[Mapping[str, Any]]) -> dict[int, ContractError]:
    """Find rows that share their key with another: which of them counts, nobody can tell."""
    keys = [str(row.get(book.key)) for row in rows]
    often = Counter(keys)
    found = {}
    for at, (row, key) in enumerate(zip(rows, keys, strict=True)):
        if row.get(book.key) is not None and often[key] > 1:
            rule = "duplicated key"
            broken = Violation(book.main, book.key, rule, 1, (at + 1,), (key,), "error", REMEDIES[rule])
            found[at] = ContractError(str(broken), [broken])
    return found


def write(
    book: Portfolio,
    decided: Sequence[Decided],
    folder: Path,
    suffix: str,
    lang: Language,
    unused: tuple[str, ...] = (),
) -> Batch:
    """Write decisions and rejected rows to two files of their own folder, and remove files of earlier days."""
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    target = Path(tempfile.mkdtemp(dir=folder))
    done = [each for each in decided if each.decision]
    out, rejects = target / f"decisions{suffix}", target / f"rejected{suffix}"
    save(pd.DataFrame([_row(book, each, lang) for each in done], columns=_columns(book, done, lang)), out)
    broken = list(_broken(book, decided, lang))
    save(pd.DataFrame(broken, columns=["row", book.key, "column", "field", "rule", "value", "message"]), rejects)
    counts = Counter(each.decision.decision for each in done if each.decision)
    model = next((_model(each.decision) for each in done if each.decision), "")
    return Batch(len(done), len(decided) - len(done), dict(counts), out, rejects, unused, model)


def _row(book: Portfolio, each: Decided, lang: Language) -> dict[str, Any]:
    decision = each.decision
    assert decision is not None  # noqa: S101 (only rows with one come here)
    reasons = [getattr(reason, lang) for reason in decision.reasons[:REASONS]]
    return {
        "decision_id": each.number,
        book.key: decision.client,
        "probability_of_default": decision.probability,
        "decision": decision.decision,
        **{f"expected_cost_{action}": cost for action, cost in decision.costs.items()},
        "band": decision.band,
        **{f"reason_{at}": reasons[at - 1] if at <= len(reasons) else None for at in range(1, REASONS + 1)},
        "model_version": _model(decision),
    }


def _columns(book: Portfolio, done: Sequence[Decided], lang: Language) -> list[str]:
    """Name the columns, also where no row was decided."""
    if done:
        return list(_row(book, done[0], lang))
    return ["decision_id", book.key, "probability_of_default", "decision", "model_version"]


def _broken(book: Portfolio, decided: Iterable[Decided], lang: Language) -> Iterable[dict[str, Any]]:
    for at, each in enumerate(decided, start=1):
        if each.fault is None:
            continue
        key = each.application.get(book.key)
        for fault in faults(book, each.fault, lang):
            yield {
                "row": at,
                book.key: None if key is None else str(key),
                "column": fault.column,
                "field": fault.field,
                "rule": fault.rule,
                "value": fault.value,
                "message": fault.message,
            }


def _model(decision: Decision) -> str:
    return f"{decision.identity.model}/{decision.identity.version}"


def _sweep(folder: Path) -> None:
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > KEPT:
            shutil.rmtree(old, ignore_errors=True)
