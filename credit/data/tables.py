"""The only reader of raw rows: files, databases -> Ibis tables on one DuckDB; judges form, never values."""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from credit.console import step
from credit.data import database
from credit.data.files import ROW, SUFFIXES, File, check_names, stem
from credit.errors import DataError
from credit.portfolio import Portfolio, Table

__all__ = ["ROW", "fingerprint", "open_tables"]


class Part(Protocol):
    """Something that holds rows of one table: a file, or a database's table."""

    def parquet(self, target: Path) -> Path:
        """Return a Parquet file with these rows: `target`, unless they are in one already."""

    def content(self) -> Iterator[bytes]:
        """Yield what a fingerprint is made of."""


def open_tables(
    portfolio: Portfolio, source: str | Path, *, labelled: bool = True, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Open a portfolio's tables where they lie, as lazy Ibis tables on one in-process DuckDB connection.

    CSV and SQL values stay text, as they are written, so that the contract sees the raw value; Parquet keeps
    its types. The order of the rows is kept. Temporary files live as long as the connection does.

    Parameters
    ----------
    portfolio : Portfolio
        The book; it names the files.
    source : str or Path
        A folder of .csv, .csv.gz, .zip (one CSV or Parquet inside) or .parquet files named as the portfolio
        says; one such file, which is the main table whatever its name; a SQLite file (.db, .sqlite, .sqlite3)
        or a SQLAlchemy URL, whose tables are called as the files or as the portfolio's table.
    labelled : bool
        Whether to open the main table's rows with a target, or those without.
    names : sequence of str, optional
        Tables to open; the main table by default.

    Returns
    -------
    dict of str to ibis.Table
        Each with the hidden column `__row__`, the 1-based number of the row in its table.

    Raises
    ------
    DataError
        If something is missing, ambiguous, damaged, not UTF-8, ragged or without rows; the message names it.
    ServiceError
        If a database does not answer.
    """
    connection, scratch = _connect()
    tables = {}
    for name, parts in _locate(portfolio, source, labelled, names).items():
        with step(f"Reading {', '.join(map(str, parts))}") as reading:
            reading.rows = _view(connection, scratch, portfolio.tables[name], parts)
        tables[name] = connection.table(name)
    return tables


def fingerprint(
    portfolio: Portfolio, source: str | Path, *, labelled: bool = True, names: Sequence[str] | None = None
) -> str:
    """Return the SHA-256 of the content that `open_tables` would open with the same arguments.

    Names and places of files do not count; of a database, the rows do, in the order of their keys.

    Parameters
    ----------
    portfolio, source, labelled, names
        As for `open_tables`.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    whole = hashlib.sha256()
    for name, parts in sorted(_locate(portfolio, source, labelled, names).items()):
        for part in parts:
            rows = hashlib.sha256()
            for block in part.content():
                rows.update(block)
            whole.update(f"{name} {rows.hexdigest()}\n".encode())
    return whole.hexdigest()


def _connect() -> tuple[Any, Path]:
    """Start a DuckDB that fetches no extension; its folder for temporary files goes when it goes."""
    scratch = tempfile.mkdtemp(prefix="credit-")
    connection = ibis.duckdb.connect(
        temp_directory=scratch, autoinstall_known_extensions=False, autoload_known_extensions=False
    )
    weakref.finalize(connection, shutil.rmtree, scratch, ignore_errors=True)
    return connection, Path(scratch)


def _view(connection: Any, scratch: Path, table: Table, parts: Sequence[Part]) -> int:
    """Make the parts' rows, one part after the other, one view; return how many there are."""
    scans: list[str] = []
    rows, columns = 0, None
    for at, part in enumerate(parts):
        file = part.parquet(scratch / f"{table.name}-{at}.parquet")
        found, count = _inspect(part, file)
        if columns is not None and set(found) != set(columns):
            odd = sorted(set(found) ^ set(columns))
            raise DataError(
                f"{part}: its columns differ from those of {parts[0]} ({', '.join(odd)}); give both the same."
            )
        columns = found
        number = f"file_row_number + {rows + 1}"
        own = f', {number} AS "{table.key[0]}"' if table.generated_key and table.key[0] not in found else ""
        scans.append(
            f"SELECT * EXCLUDE (file_row_number){own}, {number} AS {ROW} "  # noqa: S608 - names and paths are quoted
            f"FROM read_parquet({_literal(file)}, file_row_number = true)"
        )
        _scan(connection, part, file)
        rows += count
    connection.raw_sql(f'CREATE VIEW "{table.name}" AS {" UNION ALL BY NAME ".join(scans)}')
    return rows


def _inspect(part: Part, file: Path) -> tuple[list[str], int]:
    """Read a Parquet file's columns and number of rows."""
    try:
        metadata = pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{part}: not a Parquet file, or a truncated one ({error}); copy or download it again."
        ) from error
    names = metadata.schema.to_arrow_schema().names
    check_names(str(part), names)
    if not metadata.num_rows:
        raise DataError(f"{part}: columns but no rows; give data with at least one row.")
    return names, metadata.num_rows


def _scan(connection: Any, part: Part, file: Path) -> None:
    """Unpack every page of a Parquet file once: damage shows here, and not in the middle of later work."""
    try:
        connection.raw_sql(f"SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet({_literal(file)})").fetchall()  # noqa: S608
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{part}: the Parquet file is damaged ({reason}); copy or download it again.") from error


def _literal(file: Path) -> str:
    """Quote a path for SQL, and what DuckDB would take for a wildcard in it."""
    plain = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file))
    return "'" + plain.replace("'", "''") + "'"


def _locate(
    portfolio: Portfolio, source: str | Path, labelled: bool, names: Sequence[str] | None
) -> dict[str, Sequence[Part]]:
    """Find what holds each table's rows."""
    tables = [portfolio.tables[name] for name in names or (portfolio.main,)]
    path = Path(source)
    if "://" in str(source) or path.suffix.lower() in database.SUFFIXES:
        opened = database.Database(source)
        return {table.name: _relations(opened, table, labelled) for table in tables}
    if path.is_dir():
        return {table.name: _files(path, table, labelled) for table in tables}
    if not path.exists():
        raise DataError(f"{path}: nothing is there; give a folder, a file, or the URL of a database.")
    if stem(path) is None:
        known = ", ".join((*SUFFIXES, *database.SUFFIXES))
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
    return [database.Relation(opened, name, table.key) for name in choices[0]]
