"""The only reader of raw rows: files, databases -> Ibis tables on one DuckDB; judges form, never values."""

import hashlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from credit.console import log, step
from credit.data.files import ROW, check_names
from credit.data.places import Part, held, locate
from credit.errors import ConfigError, DataError
from credit.portfolio import Portfolio, Table

__all__ = ["ROW", "fingerprint", "open_tables", "present"]

#: How an amount of memory is written.
MEMORY = r"[0-9]+(\.[0-9]+)? ?([KMGT]i?)?B"


def present(portfolio: Portfolio, source: str | Path, *, labelled: bool = True) -> tuple[str, ...]:
    """Name the tables that a source holds: the main table and the history that is there; log what is not.

    Parameters
    ----------
    portfolio, source, labelled
        As for `open_tables`.

    Returns
    -------
    tuple of str
        The main table first, whether it is there or not, then each history table that the portfolio describes
        with columns, that has its files or relations, and whose parent is named here too.
    """
    main = portfolio.main
    there = held(portfolio, source, labelled)
    absent = [name for name, table in portfolio.tables.items() if table.columns and name not in there]
    if absent:
        log.info("Not given, so left out: %s", ", ".join(absent))
    return tuple(sorted(there, key=[main, *portfolio.tables].index))


def open_tables(
    portfolio: Portfolio,
    source: str | Path,
    *,
    labelled: bool = True,
    names: Sequence[str] | None = None,
    memory: str | None = None,
    threads: int | None = None,
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
        Tables to open; by default those that are `present`.
    memory : str, optional
        What DuckDB may use, as "4GB"; the rest goes to temporary files. By default its own limit holds.
    threads : int, optional
        On how many it works; by default on as many as there are cores.

    Returns
    -------
    dict of str to ibis.Table
        Each with the hidden column `__row__`, the 1-based number of the row in its table.

    Raises
    ------
    ConfigError
        If `memory` is no amount of memory, or `threads` is no number of threads.
    DataError
        If something is missing, ambiguous, damaged, not UTF-8, ragged or without rows; the message names it.
    ServiceError
        If a database does not answer.
    """
    connection, scratch = _connect(memory, threads)
    names = present(portfolio, source, labelled=labelled) if names is None else names
    tables = {}
    for name, parts in locate(portfolio, source, labelled, names).items():
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
    if names is None:
        names = sorted({portfolio.main, *held(portfolio, source, labelled)})
    whole = hashlib.sha256()
    for name, parts in sorted(locate(portfolio, source, labelled, names).items()):
        for part in parts:
            rows = hashlib.sha256()
            for block in part.content():
                rows.update(block)
            whole.update(f"{name} {rows.hexdigest()}\n".encode())
    return whole.hexdigest()


def _connect(memory: str | None, threads: int | None) -> tuple[Any, Path]:
    """Start a DuckDB that fetches no extension; its folder for temporary files goes when it goes."""
    limits: dict[str, Any] = {}
    if memory is not None:
        if not re.fullmatch(MEMORY, memory, re.IGNORECASE):
            raise ConfigError(f"memory '{memory}': no amount of memory; write a number and a unit, such as 4GB.")
        limits["memory_limit"] = memory
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"threads {threads}: must be 1 or more; leave it out for all cores.")
        limits["threads"] = threads
    scratch = tempfile.mkdtemp(prefix="credit-")
    connection = ibis.duckdb.connect(
        temp_directory=scratch, autoinstall_known_extensions=False, autoload_known_extensions=False, **limits
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
    except duckdb.OutOfMemoryException as error:
        raise ConfigError(f"{part}: more memory is needed than is allowed, merely to read it; allow more.") from error
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{part}: the Parquet file is damaged ({reason}); copy or download it again.") from error


def _literal(file: Path) -> str:
    """Quote a path for SQL, and what DuckDB would take for a wildcard in it."""
    plain = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file))
    return "'" + plain.replace("'", "''") + "'"
