"""The append-only record of what was decided; knows no model and no meaning of what it records.

Each event carries the hash of the one before it, so that whoever edits, removes, inserts or reorders events
breaks the chain, and `Ledger.verify` says where. Removing the newest events leaves a shorter but whole chain:
a copy of `Ledger.head` kept elsewhere rules that out.
"""

import getpass
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from credit.errors import ConfigError, ServiceError
from credit.home import reach

__all__ = ["Event", "Ledger", "actor"]

GENESIS = "0" * 64
ATTEMPTS = 50

EVENTS = sa.Table(
    "events",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False, index=True),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    # Unique: two events cannot follow the same one, so that no database lets two writers fork the chain.
    sa.Column("previous", sa.String(64), nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
)


@dataclass(frozen=True)
class Event:
    """One entry.

    Parameters
    ----------
    id : int
        1, 2, 3, ... without a gap.
    at : str
        UTC, ISO 8601 with microseconds.
    kind : str
        What happened, such as "promotion".
    actor : str
        Who did it.
    payload : dict
        The rest; JSON values.
    hash : str
        SHA-256 over the previous event's hash and everything above.
    """

    id: int
    at: str
    kind: str
    actor: str
    payload: dict[str, Any]
    hash: str


class Ledger:
    """An events table that only grows.

    Parameters
    ----------
    url : str
        SQLAlchemy URL.  A SQLite file is made at the first use, in WAL mode.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def append(self, kind: str, payload: Mapping[str, Any], *, by: str | None = None) -> int:
        """Record one event and return its id; see `extend`."""
        return self.extend(kind, [payload], by=by)[0]

    def extend(self, kind: str, payloads: Iterable[Mapping[str, Any]], *, by: str | None = None) -> list[int]:
        """Record events of one kind, all of them or none.

        Parameters
        ----------
        kind : str
            What happened.
        payloads : iterable of mapping
            One for each event; JSON values, no NaN.
        by : str, optional
            Who did it; default: CREDIT_USER or the system's user.

        Returns
        -------
        list of int
            Their ids.

        Raises
        ------
        ServiceError
            If the database does not take them.
        """
        texts = [_canonical(payload) for payload in payloads]
        by = by or actor()
        for _ in range(ATTEMPTS):
            try:
                with self._answering(), self._writing() as connection:
                    return _insert(connection, kind, by, texts)
            except IntegrityError:  # another writer was first; only on databases that do not lock before reading
                continue
        raise ServiceError(f"{self._shown}: {ATTEMPTS} attempts to append lost to other writers; try again.")

    def events(self, *kinds: str) -> list[Event]:
        """Return the events in their order, all or those of the given kinds."""
        query = sa.select(EVENTS).order_by(EVENTS.c.id)
        if kinds:
            query = query.where(EVENTS.c.kind.in_(kinds))
        return [_event(row) for row in self._rows(query)]

    @property
    def head(self) -> str:
        """Hash of the newest event; 64 zeros when there is none."""
        for row in self._rows(sa.select(EVENTS.c.hash).order_by(EVENTS.c.id.desc()).limit(1)):
            return str(row.hash)
        return GENESIS

    def verify(self, head: str | None = None) -> list[str]:
        """Follow the chain from the first event to the last.

        Parameters
        ----------
        head : str, optional
            A `head` noted earlier; it must still be in the chain.

        Returns
        -------
        list of str
            What is wrong, one sentence each; empty when nothing is.
        """
        problems: list[str] = []
        expected, previous, seen = 1, GENESIS, {GENESIS}
        for row in self._rows(sa.select(EVENTS).order_by(EVENTS.c.id)):
            if row.id != expected:
                problems.append(f"event {row.id}: event {expected} should come here; it was removed or renumbered.")
            if row.previous != previous:
                problems.append(f"event {row.id}: does not follow the event before it; one was removed or inserted.")
            if row.hash != _hash(row._asdict()):
                problems.append(f"event {row.id}: its content does not match its hash; it was edited.")
            expected, previous = row.id + 1, row.hash
            seen.add(row.hash)
        if head is not None and head not in seen:
            problems.append(
                f"the event with hash {head[:12]}... noted earlier is gone; the newest events were removed."
            )
        return problems

    @cached_property
    def _engine(self) -> sa.Engine:
        try:
            url = sa.make_url(self.url)
        except sa.exc.ArgumentError as error:
            raise ConfigError(f"ledger {self.url!r}: not an SQLAlchemy URL; correct CREDIT_LEDGER_URL.") from error
        if url.get_backend_name() != "sqlite":
            reach(self.url, "the ledger's database")
            engine = sa.create_engine(url)
            EVENTS.metadata.create_all(engine)
            return engine
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        # Autocommit here means: no BEGIN but our own. No pool: a connection must not survive a fork.
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args={"timeout": 30})
        with engine.connect() as connection:
            for statement in _sqlite_schema():
                connection.execute(statement)
        return engine

    @property
    def _shown(self) -> str:
        return f"ledger {sa.make_url(self.url).render_as_string(hide_password=True)}"

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise ServiceError(f"{self._shown}: {error.orig}; check the address, the disk and the rights.") from error

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        if self._engine.dialect.name != "sqlite":
            with self._engine.begin() as connection:
                yield connection
            return
        with self._engine.connect() as connection:
            # The write lock comes before the read: a later upgrade from read to write would fail, not wait.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def _rows(self, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        with self._answering(), self._engine.connect() as connection:
            yield from connection.execution_options(yield_per=1000).execute(query)


def actor() -> str:
    """Return who acts: CREDIT_USER, or the system's user."""
    name = os.environ.get("CREDIT_USER")
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id need not have a name
        return f"uid {os.getuid()}"


def _insert(connection: sa.Connection, kind: str, by: str, texts: list[str]) -> list[int]:
    last = connection.execute(sa.select(EVENTS.c.id, EVENTS.c.hash).order_by(EVENTS.c.id.desc()).limit(1)).first()
    first, previous = (last.id + 1, last.hash) if last else (1, GENESIS)
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    rows: list[dict[str, Any]] = []
    for number, text in enumerate(texts, start=first):
        row = {"id": number, "at": at, "kind": kind, "actor": by, "payload": text, "previous": previous}
        previous = _hash(row)
        rows.append(row | {"hash": previous})
    if rows:
        connection.execute(EVENTS.insert(), rows)
    return list(range(first, first + len(rows)))


def _sqlite_schema() -> Iterator[sa.Executable]:
    yield sa.text("PRAGMA journal_mode=WAL")
    yield sa.schema.CreateTable(EVENTS, if_not_exists=True)
    for index in EVENTS.indexes:
        yield sa.schema.CreateIndex(index, if_not_exists=True)
    for verb in ("UPDATE", "DELETE"):
        yield sa.text(
            f"CREATE TRIGGER IF NOT EXISTS no_{verb.lower()} BEFORE {verb} ON events "
            "BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END"
        )


def _event(row: sa.Row[Any]) -> Event:
    return Event(row.id, row.at, row.kind, row.actor, json.loads(row.payload), row.hash)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _hash(row: Mapping[str, Any]) -> str:
    content = [row[name] for name in ("previous", "id", "at", "kind", "actor", "payload")]
    return hashlib.sha256(_canonical(content).encode()).hexdigest()
