"""SQLite files and databases by URL -> Parquet, in chunks; knows no portfolio, and shows no password."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv
from sqlalchemy import (
    URL,
    ColumnClause,
    Connection,
    Engine,
    Select,
    column,
    create_engine,
    false,
    inspect,
    make_url,
    select,
    table,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from credit.data.files import check_names, write
from credit.errors import CreditError, DataError, ServiceError

__all__ = ["Database", "Relation"]

MAGIC = b"SQLite format 3\0"
#: Seconds within which a database must answer.
TIMEOUT = 15.0
CHUNK = 20_000
T = TypeVar("T")


class Database:
    """A database whose tables can be read.

    Parameters
    ----------
    source : str or Path
        A SQLite file or a SQLAlchemy URL.

    Raises
    ------
    DataError
        If there is no such file, kind of database or driver.
    ServiceError
        If the database refuses, or does not answer in time.
    """

    def __init__(self, source: str | Path) -> None:
        self.url, self.file = _parse(source)
        self.engine = _engine(_read_only(self.file) if self.file else self.url)
        self.names: frozenset[str] = self._answer(self._names)

    def __str__(self) -> str:
        return str(self.file) if self.file else _shown(self.url)

    def _names(self) -> frozenset[str]:
        found = inspect(self.engine)
        return frozenset(found.get_table_names()) | frozenset(found.get_view_names())

    def _answer(self, ask: Callable[[], T]) -> T:
        """Ask in a thread that may be left behind: drivers differ in how, and whether, they give up."""
        answers: list[T] = []
        faults: list[SQLAlchemyError | OSError] = []

        def run() -> None:
            try:
                answers.append(ask())
            except (SQLAlchemyError, OSError) as error:
                faults.append(error)

        thread = Thread(target=run, daemon=True)
        thread.start()
        thread.join(TIMEOUT)
        if faults:
            raise self.fault(faults[0]) from faults[0]
        if not answers:
            raise ServiceError(
                f"{self}: the database does not answer within {TIMEOUT:g} s; check that it runs and can be "
                "reached from this machine."
            )
        return answers[0]

    def fault(self, error: Exception) -> CreditError:
        """Say in our words what a driver complains of."""
        origin = error.orig if isinstance(error, DBAPIError) and error.orig else error
        reason = str(origin).strip().partition("\n")[0]
        if self.url.password:
            reason = reason.replace(str(self.url.password), "***")
        if self.file:
            return DataError(f"{self}: the file cannot be read ({reason}); give an undamaged file.")
        return ServiceError(
            f"{self}: the database cannot be read ({reason}); check its address, name, user and rights."
        )


@dataclass(frozen=True)
class Relation:
    """One table (or view) of a database, read in the order of its key, or else of all its columns."""

    database: Database
    name: str
    key: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.database}, table {self.name!r}"

    def parquet(self, target: Path) -> Path:
        """Write the rows to `target`, every value as text, and return it."""
        check_names(str(self), self.schema.names)
        write(self._batches(), self.schema, target)
        return target

    def content(self) -> Iterator[bytes]:
        """Yield the rows as CSV, which the table's fingerprint is made of."""
        yield ",".join(self.schema.names).encode()
        for batch in self._batches():
            lines = io.BytesIO()
            pyarrow.csv.write_csv(batch, lines, pyarrow.csv.WriteOptions(include_header=False))
            yield lines.getvalue()

    @cached_property
    def schema(self) -> pa.Schema:
        """All columns, as text."""
        with self._connected() as connection:
            names = connection.execute(self._all().where(false())).keys()
        return pa.schema([(name, pa.string()) for name in names])

    def _batches(self) -> Iterator[pa.RecordBatch]:
        names = self.schema.names
        order: list[ColumnClause[Any]] = [column(name) for name in self.key if name in names]
        # Without a key the whole row is one: some order must be the same every time.
        order = order or [column(name) for name in names]
        with self._connected() as connection:
            result = connection.execution_options(yield_per=CHUNK).execute(self._all().order_by(*order))
            for rows in result.partitions():
                yield pa.record_batch([_text(values) for values in zip(*rows, strict=True)], schema=self.schema)

    def _all(self) -> Select[Any]:
        return select(text("*")).select_from(table(self.name))

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self.database.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.database.fault(error) from error


def _text(values: tuple[Any, ...]) -> pa.Array:
    """SQLite's types do not bind, and drivers differ in theirs: text lets the contract judge each value."""
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _parse(source: str | Path) -> tuple[URL, Path | None]:
    """Tell a URL from a file; a URL of SQLite is a file too."""
    if "://" not in str(source):
        return URL.create("sqlite", database=str(source)), Path(source)
    try:
        url = make_url(str(source))
    except ArgumentError as error:
        scheme = str(source).partition("://")[0]
        raise DataError(f"{scheme}://...: not a URL of a database; write DIALECT://USER:PASSWORD@HOST/NAME.") from error
    return url, Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _read_only(file: Path) -> URL:
    """Never create a SQLite file that is not there, and never lock one that is."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(MAGIC))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); give the path of a SQLite file.") from error
    if magic != MAGIC:
        raise DataError(f"{file}: not a SQLite file, or an empty one; give an undamaged SQLite database.")
    query = {"mode": "ro", "uri": "true"}
    return URL.create("sqlite", database=f"file:{quote(str(file.resolve()))}", query=query)


def _shown(url: URL) -> str:
    """Write a URL without its password; an option may be a secret too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url, poolclass=NullPool)
    except NoSuchModuleError as error:
        raise DataError(
            f"{_shown(url)}: no kind of database is called {url.drivername!r}; give a folder, a file or the URL "
            "of a database that SQLAlchemy knows."
        ) from error
    except ModuleNotFoundError as error:
        raise DataError(
            f"{_shown(url)}: the database's driver {error.name!r} is not installed; install it with pip, or name "
            "another driver in the URL (DIALECT+DRIVER://...)."
        ) from error
