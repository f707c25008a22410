"""One applicant with their history, in memory -> the features of the batch, bit for bit; knows no model.

Cells that are plainly in order are typed in Python (`credit.data.cells`).  Where any is not, the contract itself
judges the table, as it does in the batch.  The features are computed by the batch's own expressions
(`credit.features.prepared`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from credit.data import contract
from credit.data.cells import UNSURE, is_scalar, reader, text
from credit.data.contract import Violation
from credit.data.files import ROW
from credit.data.report import REMEDIES, refuse
from credit.data.rules import allowed, promised
from credit.errors import DataError
from credit.features.dictionary import Feature, needed
from credit.features.prepared import Prepared
from credit.portfolio import Portfolio

__all__ = ["History", "Online", "Row", "Typed", "frame"]

Row = Mapping[str, Any]
History = Mapping[str, Sequence[Row]]
Columns = dict[str, list[Any]]

SHOWN = 40


@dataclass(frozen=True)
class Typed:
    """Rows that keep the contract, by column: applications that share one history, and that history."""

    main: Columns
    history: dict[str, Columns]


class Online:
    """Features of one applicant at a time, from any number of threads.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    features : sequence of Feature
        What to compute.
    workers : int, optional
        How many applicants may be computed at once; by default as many as there are cores.
    """

    def __init__(self, portfolio: Portfolio, features: Sequence[Feature], workers: int | None = None) -> None:
        self.portfolio, self._features = portfolio, tuple(features)
        self.columns = {name: promised(portfolio.tables[name], False) for name in needed(portfolio, features)}
        self._readers = {name: {c: reader(rule) for c, rule in own.items()} for name, own in self.columns.items()}
        self._prepared = Prepared(portfolio, features, workers)

    def features(self, application: Row, history: History | None = None) -> pd.DataFrame:
        """Compute the features of one applicant.

        Parameters
        ----------
        application : mapping
            The raw application: column to value, as text or number; what is not given is missing.
        history : mapping of str to sequence of mappings, optional
            Rows of the other tables, by the portfolio's name of the table; the applicant's own key may be left out.
            Without a table the applicant has no rows in it.

        Returns
        -------
        DataFrame, 1 row
            The key and the features.

        Raises
        ------
        DataError
            If a table or a column is not the portfolio's, or a row is no mapping.
        ContractError
            If a value breaks the contract; it lists all violations.
        """
        return self.variants([application], history)

    def variants(self, applications: Sequence[Row], history: History | None = None) -> pd.DataFrame:
        """Compute the features of several applications of one applicant, who has one history.

        Parameters
        ----------
        applications : sequence of mapping
            Raw applications, all with the same key.
        history : mapping of str to sequence of mappings, optional
            As for `features`.

        Returns
        -------
        DataFrame, one row an application
            The key and the features, in the order of the applications.

        Raises
        ------
        DataError, ContractError
            As for `features`.
        """
        typed = self.typed(applications, history)
        made = frame(self._features, self.compute(typed))
        made.insert(0, self.portfolio.key, typed.main[self.portfolio.key])
        return made

    def compute(self, typed: Typed) -> list[dict[str, Any]]:
        """Compute the features of rows that `typed` returned, as one dict an application."""
        return self._prepared.compute(typed.main, typed.history)

    def typed(self, applications: Sequence[Row], history: History | None = None) -> Typed:
        """Hold raw rows against the contract, and give them their types.

        Parameters
        ----------
        applications, history
            As for `variants`.

        Returns
        -------
        Typed
            For `compute`.

        Raises
        ------
        DataError, ContractError
            As for `features`.
        """
        main = self.portfolio.main
        for application in applications:
            self._known(main, [application])
        past = self._history(applications, history)
        problems: list[Violation] = []
        own = self._alike(applications, problems)
        made = {name: self._columns(name, rows, problems) for name, rows in past.items()}
        refuse(problems)
        together = {name: [columns[name][0] for columns in own] for name in self.columns[main]}
        return Typed(together, made)

    def _history(self, applications: Sequence[Row], history: History | None) -> dict[str, list[Row]]:
        """Take the rows of the tables that the features are made of; a row without its owner's key gets it."""
        if history is not None and not isinstance(history, Mapping):
            raise DataError(f"history: {type(history).__name__} is no mapping of table to rows; give one.")
        key, rows = self.portfolio.key, {}
        given: Any
        for name, given in (history or {}).items():
            if name not in self.portfolio.tables or name == self.portfolio.main:
                past = {table: 0 for table in self.portfolio.tables if table != self.portfolio.main}
                hint = _hint(name, past)
                raise DataError(f"{_shown(name)}: no such table in portfolio '{self.portfolio.name}'{hint}.")
            if not isinstance(given, Sequence) or isinstance(given, (str, bytes, bytearray)):
                raise DataError(f"{name}: {type(given).__name__} is no list of rows; give one.")
            if given and name in self.columns:
                self._known(name, given)
                owner = self.portfolio.tables[name].parent_key
                client = applications[0].get(key) if applications else None
                rows[name] = [{owner: client, **row} if owner == key else row for row in given]
        return rows

    def _known(self, name: str, rows: Sequence[Row]) -> None:
        """Refuse what is no row, and columns that the portfolio does not have: a slip of the pen would be missing."""
        known = self.columns[name]
        allowed_names = known.keys() | self.portfolio.tables[name].columns.keys()
        for row in rows:
            if not isinstance(row, Mapping):
                raise DataError(f"{name}: {type(row).__name__} is no mapping of column to value; give one.")
            for column in row:
                if column not in allowed_names:
                    raise DataError(f"{name}.{_shown(column)}: no such column in the portfolio{_hint(column, known)}.")

    def _alike(self, applications: Sequence[Row], problems: list[Violation]) -> list[Columns]:
        """Type applications one by one; of all but the first only the cells that are other objects than its own."""
        main, first = self.portfolio.main, applications[0] if applications else {}
        made = [self._columns(main, [row], problems) for row in applications[:1]]
        for row in applications[1:]:
            new = {c: read(row.get(c)) for c, read in self._readers[main].items() if row.get(c) is not first.get(c)}
            unsure = UNSURE in new.values()
            made.append(self._columns(main, [row], problems) if unsure else made[0] | {c: [new[c]] for c in new})
        return made

    def _columns(self, name: str, rows: Sequence[Row], problems: list[Violation]) -> Columns:
        """Type the rows of a table, and add what is wrong to the problems."""
        readers = self._readers[name]
        made = {column: [read(row.get(column)) for row in rows] for column, read in readers.items()}
        doubtful = {column for column, values in made.items() if UNSURE in values}
        if doubtful or self._repeats(name, made):
            made |= self._judged(name, rows, doubtful, problems)
        return made

    def _repeats(self, name: str, columns: Columns) -> bool:
        """Whether two rows have the same key."""
        key = self.portfolio.tables[name].key
        if not key or len(next(iter(columns.values()))) < 2:
            return False
        keys = list(zip(*(columns[column] for column in key), strict=True))
        return len(set(keys)) < len(keys)

    def _judged(self, name: str, rows: Sequence[Row], doubtful: Collection[str], problems: list[Violation]) -> Columns:
        """Let the contract type the doubtful columns of a table, and add what it finds wrong to the problems.

        The others are left out, but for keys and times: to plan a statement over all of them takes most of a second.
        """
        spec = self.portfolio.tables[name]
        asked = {*doubtful, *spec.key, spec.parent_key, spec.time}
        columns = {column: rule for column, rule in spec.columns.items() if column in asked}
        given = [column for column in self.columns[name] if column in asked]
        texts = {column: pa.array([text(row.get(column)) for row in rows], pa.string()) for column in given}
        numbered = pa.table({**texts, ROW: pa.array(range(1, len(rows) + 1), pa.int64())})
        narrow = replace(self.portfolio, tables=self.portfolio.tables | {name: replace(spec, columns=columns)})
        checked = contract.assess(narrow, {name: ibis.memtable(numbered)}, labelled=False)
        problems += [*checked.report.errors, *self._shapeless(name, rows, checked.report.errors)]
        found: Columns = {} if problems else checked.tables[name].to_pyarrow().to_pydict()
        return found

    def _shapeless(self, name: str, rows: Sequence[Row], told: Sequence[Violation]) -> list[Violation]:
        """Report cells that hold no single value, where the contract took their text for a level."""
        found = []
        for column, rule in self.columns[name].items():
            bad = [(at, row[column]) for at, row in enumerate(rows, start=1) if not is_scalar(row.get(column))]
            if bad and not any(each.column == column for each in told):
                where, values = zip(*bad, strict=True)
                shown = tuple(_shown(value) for value in values[:SHOWN])
                remedy = REMEDIES["unknown level"]
                words = allowed(rule, "unknown level")
                found.append(
                    Violation(name, column, "unknown level", len(bad), where[:5], shown[:5], "error", remedy, words)
                )
        return found


def frame(features: Sequence[Feature], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a table of rows of features, typed as the batch's: floats, NaN where there is none, and texts."""
    numbers = [feature.name for feature in features if feature.kind == "number"]
    words = [feature.name for feature in features if feature.kind != "number"]
    floats = np.array([[row[name] for name in numbers] for row in rows], dtype=np.float64).reshape(
        len(rows), len(numbers)
    )
    texts = np.array([[row[name] for name in words] for row in rows], dtype=object).reshape(len(rows), len(words))
    parts = [pd.DataFrame(floats, columns=numbers), pd.DataFrame(texts, columns=words, dtype="str")]
    return pd.concat(parts, axis=1)[[feature.name for feature in features]]


def _shown(value: Any) -> str:
    """Write a stranger's value so that it can be shown."""
    written = text(value) or ""
    return written if len(written) <= SHOWN else f"{written[:SHOWN]}..."


def _hint(name: Any, known: Mapping[str, Any]) -> str:
    close = get_close_matches(_shown(name).lower(), [each.lower() for each in known], n=1)
    meant = [each for each in known if each.lower() in close]
    return f"; {meant[0]!r} may be meant" if meant else "; leave it out"
