"""The ledger's database: tables, locks, snapshots, errors; knows no event's meaning.

Three tables.  ``events`` is the chain and only grows.  ``personal`` holds what an event says about a person, and only
shrinks otherwise.  ``links`` says which event follows up which; it can be made from the chain and is there for speed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from credit.errors import ConfigError, ServiceError
from credit.home import reach

__all__ = ["EVENTS", "LINKS", "PERSONAL", "Store"]

T = TypeVar("T")

ATTEMPTS = 50
STREAMED = 1000
WAIT = 30  # seconds for another writer, where a SQLite URL does not say ?timeout=
#: PostgreSQL's name for the writers' lock; any number that nobody else uses.
LOCK = 4_815_162_342
METADATA = sa.MetaData()

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False, index=True),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    # Unique: two events cannot follow the same one, so that no database lets two writers fork the chain.
    sa.Column("previous", sa.String(64), nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
)
PERSONAL = sa.Table(
    "personal",
    METADATA,
    sa.Column("event", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("book", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("salt", sa.LargeBinary(32), nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Index("personal_subject", "subject", "event"),
)
LINKS = sa.Table(
    "links",
    METADATA,
    sa.Column("event", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("about", sa.Integer, nullable=False, index=True),
)
#: What SQLite refuses by itself.
FROZEN = {"events": ("UPDATE", "DELETE"), "links": ("UPDATE", "DELETE"), "personal": ("UPDATE",)}


class Store:
    """One ledger's database; nothing is made or contacted before the first use.

    Parameters
    ----------
    url : str
        SQLAlchemy URL.  A SQLite file is made at the first use, in WAL mode.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        """Stream a query's rows; who stops early leaves no cursor open."""
        options = {"yield_per": STREAMED}
        with (
            self._answering(),
            self._engine.connect() as connection,
            connection.execute(query, execution_options=options) as found,
        ):
            yield from found

    @contextmanager
    def snapshot(self) -> Iterator[Callable[[sa.Select[Any]], Iterator[sa.Row[Any]]]]:
        """Let several queries see the same moment, whatever others write meanwhile; damaged text comes as it can."""
        with self._answering(), self._engine.connect() as connection:
            if self._sqlite:
                driver: Any = connection.connection.driver_connection
                driver.text_factory = lambda raw: raw.decode(errors="replace")
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield lambda query: iter(connection.execute(query, execution_options={"yield_per": STREAMED}))
            if self._sqlite:
                connection.exec_driver_sql("ROLLBACK")

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Do all of `work` or nothing, alone among the writers; where two collide, it is done again from the start.

        Raises
        ------
        ServiceError
            If the database does not take it.
        """
        lost = ""
        for _ in range(ATTEMPTS):
            try:
                with self._answering(), self._writing() as connection:
                    return work(connection)
            except IntegrityError as error:  # another writer was first; only on databases that we cannot lock
                lost = str(error.orig)
        raise ServiceError(
            f"{self}: {ATTEMPTS} attempts to append were refused ({lost}); try again, and if that does not help, "
            "see with `credit ledger verify` what stands in the way."
        )

    def scrub(self) -> None:
        """Write the database anew, so that no copy of deleted rows stays behind in it.

        Raises
        ------
        ServiceError
            If it cannot be done now.

        Notes
        -----
        SQLite's ``secure_delete`` is not enough: pages that were once split keep copies of the index's entries.
        """
        busy: Any = None
        try:
            with self._engine.connect() as connection:
                if self._sqlite:
                    connection.exec_driver_sql("VACUUM")
                    busy = (
                        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar() and "a reader holds it"
                    )
                elif self._engine.dialect.name == "postgresql":
                    connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM FULL personal")
        except DBAPIError as error:
            busy = error.orig
        if busy:
            raise ServiceError(
                f"{self}: the rows are erased, but the database still holds copies of them ({busy}); "
                "end what uses the ledger, or see to the disk, and repeat the command."
            )

    def __str__(self) -> str:
        return f"ledger {sa.make_url(self.url).render_as_string(hide_password=True)}"

    @property
    def _sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @cached_property
    def _turn(self) -> Lock:
        return Lock()

    @cached_property
    def _engine(self) -> sa.Engine:
        try:
            url = sa.make_url(self.url)
        except sa.exc.ArgumentError as error:
            raise ConfigError(f"ledger {self.url!r}: not an SQLAlchemy URL; correct CREDIT_LEDGER_URL.") from error
        if url.get_backend_name() != "sqlite":
            reach(self.url, "the ledger's database")
            engine = sa.create_engine(url, pool_pre_ping=True)
            with engine.begin() as connection:  # two who make the tables at once would fail
                _lock(connection)
                METADATA.create_all(connection)
            return engine
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        patience = {} if "timeout" in url.query else {"timeout": WAIT}
        # Autocommit here means: no BEGIN but our own. No pool: a connection must not survive a fork.
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args=patience)
        with engine.connect() as connection:
            for statement in _sqlite_schema():
                connection.execute(statement)
        return engine

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise ServiceError(f"{self}: {error.orig}; check the address, the disk and the rights.") from error

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        if not self._sqlite:
            with self._engine.begin() as connection:
                _lock(connection)
                yield connection
            return
        # Threads of one process take turns: SQLite lets those who wait for its lock sleep ever longer.
        with self._turn, self._engine.connect() as connection:
            # The write lock comes before the read: a later upgrade from read to write would fail, not wait.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")


def _lock(connection: sa.Connection) -> None:
    """Let writers take turns, where the database has a lock that needs no right to change the tables."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def _sqlite_schema() -> Iterator[sa.Executable]:
    yield sa.text("PRAGMA journal_mode=WAL")
    for table in METADATA.sorted_tables:
        yield sa.schema.CreateTable(table, if_not_exists=True)
        for index in table.indexes:
            yield sa.schema.CreateIndex(index, if_not_exists=True)
        for verb in FROZEN[table.name]:
            own = "" if table is EVENTS else f"_{table.name}"
            yield sa.text(
                f"CREATE TRIGGER IF NOT EXISTS no_{verb.lower()}{own} BEFORE {verb} ON {table.name} "
                "BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END"
            )
