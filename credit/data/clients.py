"""One client's raw rows out of all tables of a source, and the client numbers; judges no value and knows no model."""

from collections.abc import Iterable
from math import isnan
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from credit.data.files import ROW
from credit.data.places import locate
from credit.data.rules import identity, promised
from credit.data.tables import open_tables, present
from credit.errors import DataError
from credit.portfolio import Column, Portfolio

__all__ = ["Clients"]

#: What a row is looked up by, and what it is called itself: keys as the contract writes them.
OWNER, OWN = "__owner__", "__own__"
Rows = list[dict[str, Any]]


class Clients:
    """The clients of a source, looked up one at a time.

    Nothing is opened before the first question.  Rows are filtered where they lie: no table is loaded.  Threads may
    ask at the same time.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    source : str or Path
        What `credit.data.tables.open_tables` reads.  Clients with a known outcome are looked up where the source has
        them, else those without.
    """

    def __init__(self, portfolio: Portfolio, source: str | Path) -> None:
        self.portfolio, self.source = portfolio, source
        self._lock = Lock()
        self._numeric: dict[str, bool] = {}
        self._backend: Any = None

    def numbers(self, prefix: str = "", limit: int = 20) -> list[str]:
        """Return client numbers that begin with `prefix`, the lowest first, at most `limit` of them.

        Raises
        ------
        CreditError
            If the source cannot be read.
        """
        self._open()
        rule = f"starts_with({OWNER}::VARCHAR, {_literal(prefix.strip())})"
        query = f"SELECT DISTINCT {OWNER} FROM {_view(self.portfolio.main)} WHERE {rule} ORDER BY 1 LIMIT {int(limit)}"  # noqa: S608 - quoted
        return [str(row[OWNER]) for row in self._fetch(query)]

    def case(self, key: str) -> tuple[dict[str, Any], dict[str, Rows]]:
        """Return a client's application and history, as they stand in the source.

        Parameters
        ----------
        key : str
            The client number.

        Returns
        -------
        application : dict of str to value
            The contract's columns that the source has, but for the target.  Values are text, numbers or truth values;
            what is missing is None.
        history : dict of str to list of dict
            The client's rows in each other table of the source, in the table's order.

        Raises
        ------
        DataError
            If there is no such client, or more than one.
        CreditError
            If the source cannot be read.
        """
        self._open()
        main, key = self.portfolio.main, str(key).strip()
        found = self._rows(main, [key])
        if not found:
            raise DataError(f"client {key!r}: no such client in {self.source}; give a number that is there.")
        if len(found) > 1:
            raise DataError(f"client {key!r}: {len(found)} applications have this number; keep one of them.")
        owners, history = {main: [row.pop(OWN) for row in found]}, {}
        for name in self._numeric:
            if name != main:
                history[name] = self._rows(name, owners[str(self.portfolio.tables[name].parent)])
                owners[name] = [row.pop(OWN, None) for row in history[name]]
        return found[0], history

    def history(self, keys: Iterable[Any]) -> dict[str, pa.Table]:
        """Return the rows of many clients in every table but the main one, with their numbers, as they stand there.

        Parameters
        ----------
        keys : iterable of int or str
            Client numbers; whoever is not in the source has no rows.

        Raises
        ------
        CreditError
            If the source cannot be read.
        """
        self._open()
        main = self.portfolio.main
        asked = pa.array([str(key) for key in keys if key is not None], pa.string())
        owners, found = {main: asked}, {}
        for name in self._numeric:
            if name != main:
                rows = self._many(name, owners[str(self.portfolio.tables[name].parent)])
                owners[name] = rows[OWN].cast(pa.string()) if OWN in rows.column_names else pa.array([], pa.string())
                found[name] = rows.drop_columns([each for each in (OWN, OWNER) if each in rows.column_names])
        return found

    def _many(self, name: str, owners: Any) -> pa.Table:
        """Select the rows of a table that belong to many owners, given as text."""
        cursor = self._backend.con.cursor()
        cursor.register("asked", pa.table({"owner": owners}))
        asked = "SELECT try_cast(owner AS BIGINT) FROM asked" if self._numeric[name] else "SELECT owner FROM asked"
        try:
            return cursor.sql(f"SELECT * FROM {_view(name)} WHERE {OWNER} IN ({asked}) ORDER BY {ROW}").to_arrow_table()  # noqa: S608 - ours
        except duckdb.Error as error:
            raise self._gone(error) from error

    def _rows(self, name: str, owners: Iterable[Any]) -> Rows:
        """Select the rows of a table that belong to these owners."""
        texts = [str(owner) for owner in owners if owner is not None]
        numeric = self._numeric[name]
        wanted = [str(int(text)) if numeric else _literal(text) for text in texts if not numeric or _is_integer(text)]
        if not wanted:
            return []
        chosen = f"{OWNER} IN ({', '.join(wanted)})"
        return self._fetch(f"SELECT * EXCLUDE ({OWNER}, {ROW}) FROM {_view(name)} WHERE {chosen} ORDER BY {ROW}")  # noqa: S608 - quoted

    def _fetch(self, query: str) -> Rows:
        """Run a query on a cursor of its own, as threads must, and return rows of Python values."""
        try:
            found = self._backend.con.cursor().sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise self._gone(error) from error
        return [{name: _told(value) for name, value in row.items()} for row in found.to_pylist()]

    def _gone(self, error: duckdb.Error) -> DataError:
        reason = str(error).partition("\n")[0]
        return DataError(f"{self.source}: can no longer be read ({reason}); put it back, and start again.")

    def _open(self) -> None:
        """Open the source once, and make a view of each table, parents first: to compile takes longer than to ask."""
        with self._lock:
            if self._numeric:
                return
            labelled = self._labelled()
            names = present(self.portfolio, self.source, labelled=labelled)
            opened = open_tables(self.portfolio, self.source, labelled=labelled, names=names)
            backend = opened[self.portfolio.main].get_backend()
            numeric = {}
            for name in sorted(opened, key=self._depth):
                view = self._lookup(name, opened[name])
                backend.con.execute(f"CREATE VIEW {_view(name)} AS {backend.compile(view)}")
                numeric[name] = view[OWNER].type().is_integer()
            self._backend, self._numeric = backend, numeric

    def _lookup(self, name: str, table: Any) -> Any:
        """Write a table with its owner's key, and its values as they are to be told."""
        spec = self.portfolio.tables[name]
        columns = {each: column for each, column in promised(spec, False).items() if each in table.columns}
        owner = self.portfolio.key if name == self.portfolio.main else str(spec.parent_key)
        if owner not in columns:
            raise DataError(f"{self.source}, table {name}: no column {owner!r}, which says whose a row is; add it.")
        plain = {each: _plain(column, table[each]) for each, column in columns.items()}
        names = {OWNER: owner} | ({OWN: spec.key[0]} if spec.key and spec.key[0] in columns else {})
        keys = {hidden: identity(columns[key], table[key]) for hidden, key in names.items()}
        return table.select(ROW, **plain, **keys)

    def _labelled(self) -> bool:
        """Whether the source has applications with an outcome; if it has none at all, that is an error."""
        main = self.portfolio.main
        try:
            locate(self.portfolio, self.source, True, [main])
        except DataError as error:
            try:
                locate(self.portfolio, self.source, False, [main])
            except DataError:
                raise error from None
            return False
        return True

    def _depth(self, name: str) -> int:
        parent = self.portfolio.tables[name].parent
        return 0 if parent is None else 1 + self._depth(parent)


def _plain(column: Column, value: Any) -> Any:
    """Leave a value as it is where Python writes it as DuckDB would; else let DuckDB write it."""
    kind = value.type()
    number = kind.is_floating() and column.role != "key" and column.type != "category"
    return value if number or kind.is_integer() or kind.is_boolean() or kind.is_string() else value.cast("string")


def _told(value: Any) -> Any:
    """Leave "not a number" what it is, a fault: as a number it would be taken for missing."""
    return "nan" if isinstance(value, float) and isnan(value) else value


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) < 19


def _view(name: str) -> str:
    return f'"lookup of {name}"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
