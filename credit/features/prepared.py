"""Features of a few typed rows in memory, by statements that are planned once; knows no contract and no model.

The expressions are those of `credit.features.build.express`, cut at their joints: each history table is folded by a
statement of its own, which is left out where it has no rows, and one more computes the formulas.  What is no formula,
a column or an aggregate as it is, goes past the database.
"""

import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import LifoQueue
from typing import Any

import ibis
from ibis import _

from credit import cores
from credit.data.files import ROW
from credit.data.rules import promised
from credit.errors import DataError
from credit.features import lite
from credit.features.build import by_table
from credit.features.dictionary import Feature, needed
from credit.features.history import fold
from credit.portfolio import Column, Portfolio

__all__ = ["Prepared"]

Columns = Mapping[str, Sequence[Any]]
Rows = list[dict[str, Any]]

FORMULAS = "formulas"


class Prepared:
    """Statements for some features, ready to run from any number of threads.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    features : sequence of Feature
        What to compute.
    workers : int, optional
        How many threads may compute at once; by default as many as there are cores.
    """

    def __init__(self, portfolio: Portfolio, features: Sequence[Feature], workers: int | None = None) -> None:
        self.portfolio, self.features, self._folds = portfolio, tuple(features), by_table(features)
        aggregates = {feature.name: feature for own in self._folds.values() for feature in own}
        self._blank = {f.name: 0.0 if f.aggregate and f.aggregate.how == "count" else None for f in aggregates.values()}
        self._derived = [f for f in features if f.name not in aggregates and repr(f.formula) != repr(_[f.name])]
        schemas = _schemas(portfolio, features)
        tables = {name: ibis.table(schema, name=name) for name, schema in schemas.items()}
        statements = {n: lite.compiled(fold(portfolio, tables, n, own)) for n, own in self._folds.items()}
        if self._derived:
            schemas[FORMULAS] = schemas[portfolio.main] | dict.fromkeys(aggregates, "float64") | {ROW: "int64"}
            made = {feature.name: feature.formula.cast("float64") for feature in self._derived}
            statements[FORMULAS] = lite.compiled(ibis.table(schemas[FORMULAS], name=FORMULAS).select(ROW, **made))
        self._columns = _read(schemas, statements.values())
        self._idle: LifoQueue[_Worker] = LifoQueue()
        for _number in range(workers or cores.available()):
            self._idle.put(_Worker(statements, self._columns))

    def compute(self, main: Columns, history: Mapping[str, Columns]) -> Rows:
        """Compute the features of applications that share one history.

        Parameters
        ----------
        main : mapping of str to sequence
            Typed columns of the main table, a row for each application: floats, texts, None; a key may be an integer.
        history : mapping of str to mapping
            The same of each history table that has rows.

        Returns
        -------
        list of dict
            Feature to value for each application, in order.

        Raises
        ------
        DataError
            If numbers are too large to be computed with.
        """
        with self._worker() as worker:
            for name in self._columns.keys() & history.keys():
                worker.fill(name, {c: self._texts(name, c, values) for c, values in history[name].items()})
            rows = self._joined(main, {name: worker.run(name) for name in self._folds if name in history})
            if self._derived:
                worker.fill(FORMULAS, {name: [row[name] for row in rows] for name in self._columns[FORMULAS]})
                for made in worker.run(FORMULAS):
                    rows[made[ROW]].update({name: _finite(value) for name, value in made.items()})
        return [{feature.name: row[feature.name] for feature in self.features} for row in rows]

    def _texts(self, name: str, column: str, values: Sequence[Any]) -> Sequence[Any]:
        """Write keys as text, whatever they are: so they agree between tables."""
        spec = self.portfolio.tables[name]
        is_key = column == spec.parent_key or (column in spec.key and column != spec.time)
        return [str(value) for value in values] if is_key else values

    def _joined(self, main: Columns, folded: Mapping[str, Rows]) -> Rows:
        """Hang the aggregates on the applications; who has no rows has none of a table's values, but counts are 0."""
        key, clients = self.portfolio.key, {}  # type: str, dict[str, dict[str, Any]]
        for rows in folded.values():
            for row in rows:
                own = clients.setdefault(str(row.pop(key)), dict(self._blank))
                own.update((name, float(value)) for name, value in row.items() if value is not None)
        together = zip(main[key], zip(*main.values(), strict=True), strict=True)
        return [
            {**dict(zip(main, values, strict=True)), **clients.get(str(client), self._blank), ROW: at}
            for at, (client, values) in enumerate(together)
        ]

    @contextmanager
    def _worker(self) -> "Iterator[_Worker]":
        worker = self._idle.get()
        try:
            yield worker
        except sqlite3.Error as error:
            raise DataError(
                f"the applicant's numbers are too large to be computed with ({error}); correct them."
            ) from error
        finally:
            worker.clear()
            self._idle.put(worker)


class _Worker:
    """A database with tables for one applicant's rows."""

    def __init__(self, statements: Mapping[str, str], columns: Mapping[str, Sequence[str]]) -> None:
        self.statements, self.columns, self.filled = statements, columns, set[str]()
        self.connection = lite.connect()
        for name, own in columns.items():
            declared = ", ".join(f'"{column}"' for column in own)  # without a type, so that no value is converted
            self.connection.execute(f'CREATE TABLE "{name}" ({declared})')
        self.inserts = {
            name: f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(own))})'  # noqa: S608 - our names
            for name, own in columns.items()
        }

    def fill(self, name: str, columns: Columns) -> None:
        """Put rows into a table."""
        self.filled.add(name)
        rows = zip(*(columns[column] for column in self.columns[name]), strict=True)
        self.connection.executemany(self.inserts[name], rows)

    def run(self, name: str) -> Rows:
        """Run a statement."""
        done = self.connection.execute(self.statements[name])
        names = [column[0] for column in done.description]
        return [dict(zip(names, row, strict=True)) for row in done]

    def clear(self) -> None:
        """Forget the applicant."""
        for name in self.filled:
            self.connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - our names
        self.filled.clear()


def _finite(value: Any) -> Any:
    """Make what a formula divides or takes the logarithm of missing where it has no value, as the batch does."""
    return value if value is None or math.isfinite(value) else None


def _schemas(portfolio: Portfolio, features: Sequence[Feature]) -> dict[str, dict[str, str]]:
    columns = {name: promised(portfolio.tables[name], False) for name in needed(portfolio, features)}
    return {name: {each.name: _kind(each) for each in own.values()} for name, own in columns.items()}


def _kind(column: Column) -> str:
    return "string" if column.role == "key" or column.type == "category" else "float64"


def _read(schemas: Mapping[str, Mapping[str, str]], statements: Any) -> dict[str, list[str]]:
    """Name the tables and columns that the statements name: to fill in others would be for nothing."""
    named = set(re.findall(r'"([^"]+)"', " ".join(statements)))
    return {name: [column for column in schema if column in named] for name, schema in schemas.items() if name in named}
