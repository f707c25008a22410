"""Where a portfolio's tables lie in a folder, a file or a database; reads no rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from credit.data.files import SUFFIXES, File, stem
from credit.errors import DataError
from credit.portfolio import Portfolio, Table

if TYPE_CHECKING:
    from credit.data import database

__all__ = ["DATABASES", "Part", "held", "locate"]

#: Files that are databases.
DATABASES = (".db", ".sqlite", ".sqlite3")


class Part(Protocol):
    """Something that holds rows of one table: a file, or a database's table."""

    def parquet(self, target: Path) -> Path:
        """Return a Parquet file with these rows: `target`, unless they are in one already."""

    def content(self) -> Iterator[bytes]:
        """Yield what a fingerprint is made of."""


def held(portfolio: Portfolio, source: str | Path, labelled: bool) -> frozenset[str]:
    """Find the main table, and each that has columns, its files or relations, and its parent there.

    Parameters
    ----------
    portfolio, source, labelled
        As for `credit.data.tables.open_tables`.

    Returns
    -------
    frozenset of str
        Names of tables.
    """
    path = Path(source)
    if _is_database(source):
        names = _database(source).names
    elif path.is_dir():
        names = frozenset(filter(None, (stem(file) for file in path.iterdir() if file.is_file())))
    else:
        return frozenset({portfolio.main})
    found = {portfolio.main}
    for name, table in portfolio.tables.items():
        by_name = _is_database(source) and name in names
        if table.columns and (by_name or names.issuperset(_stems(table, labelled))):
            found.add(name)
    while lost := {name for name in found - {portfolio.main} if portfolio.tables[name].parent not in found}:
        found -= lost
    return frozenset(found)


def _is_database(source: str | Path) -> bool:
    return "://" in str(source) or Path(source).suffix.lower() in DATABASES


def _database(source: str | Path) -> database.Database:
    from credit.data.database import Database  # noqa: PLC0415 (half a second, and most books are files)

    return Database(source)


def locate(portfolio: Portfolio, source: str | Path, labelled: bool, names: Sequence[str]) -> dict[str, Sequence[Part]]:
    """Find what holds each table's rows.

    Parameters
    ----------
    portfolio, source, labelled, names
        As for `credit.data.tables.open_tables`.

    Returns
    -------
    dict of str to sequence of Part
        The parts of each table, in their order.

    Raises
    ------
    DataError
        If something is missing or ambiguous.
    ServiceError
        If a database does not answer.
    """
    tables = [portfolio.tables[name] for name in names]
    path = Path(source)
    if _is_database(source):
        opened = _database(source)
        return {table.name: _relations(opened, table, labelled) for table in tables}
    if path.is_dir():
        return {table.name: _files(path, table, labelled) for table in tables}
    if not path.exists():
        raise DataError(f"{path}: nothing is there; give a folder, a file, or the URL of a database.")
    if stem(path) is None:
        known = ", ".join((*SUFFIXES, *DATABASES))
        raise DataError(f"{path}: files of this kind are not read (read are: {known}); convert it to one of them.")
    others = [table.name for table in tables if table.name != portfolio.main]
    if others:
        raise DataError(
            f"{path}: one file holds only the table '{portfolio.main}', but {', '.join(others)} is asked for "
            "too; give the folder that holds the files of all tables."
        )
    return {portfolio.main: [File(path)]}


def _stems(table: Table, labelled: bool) -> tuple[str, ...]:
    """Choose the files; a table with none of its own for unlabelled rows has the same for both."""
    return table.files if labelled or not table.unlabelled else table.unlabelled


def _files(folder: Path, table: Table, labelled: bool) -> list[Part]:
    files = sorted(file for file in folder.iterdir() if file.is_file() and stem(file))
    found: list[Part] = []
    for wanted in _stems(table, labelled):
        matching = [file for file in files if stem(file) == wanted]
        if not matching:
            seen = ", ".join(file.name for file in files) or "no CSV or Parquet file"
            raise DataError(
                f"{folder}: no file for the table '{table.name}', expected {wanted} with one of the suffixes "
                f"{', '.join(SUFFIXES)}, but the folder holds {seen}; put the file there, or give its path."
            )
        if len(matching) > 1:
            names = ", ".join(file.name for file in matching)
            raise DataError(
                f"{folder}: {len(matching)} files for {wanted} ({names}), and no rule says which one counts; "
                "keep one of them there."
            )
        found.append(File(matching[0]))
    return found


def _relations(opened: database.Database, table: Table, labelled: bool) -> list[Part]:
    stems = _stems(table, labelled)
    choices = [choice for choice in dict.fromkeys((stems, (table.name,))) if opened.names.issuperset(choice)]
    if not choices:
        raise DataError(
            f"{opened}: no table {' and '.join(stems)}, nor {table.name} (there are: "
            f"{', '.join(sorted(opened.names)) or 'none'}); rename a table, or make a view of that name."
        )
    if len(choices) > 1:
        raise DataError(
            f"{opened}: both {' and '.join(stems)} and {table.name} are there, and no rule says which one "
            "counts; rename one of them."
        )
    from credit.data.database import Relation  # noqa: PLC0415 (as above)

    return [Relation(opened, name, table.key) for name in choices[0]]
