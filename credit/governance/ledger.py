"""The append-only record of what was decided; knows no model and no meaning of what it records.

Each event carries the hash of the one before it, so that whoever edits, removes, inserts or reorders events
breaks the chain, and `Ledger.verify` says where. Removing the newest events leaves a shorter but whole chain:
a copy of `Ledger.head` kept elsewhere rules that out.

What is personal stands apart, under a seal in the chain (`credit.governance.sealing`), and can be erased. What the
project records:

=================  ===============================================  ======================================
kind               in the chain                                     personal
=================  ===============================================  ======================================
registration       version, digest, verdict                         -
verdict            a new verdict on a version                       -
promotion          from, to, digest, reason                         -
rollback           from, to, digest, reason                         -
reconciliation     a move that was found without a record           -
decision           version, digest, decision, threshold, band,      client, application, history, exact
                   probability rounded, reason codes, channel       probability and costs, reasons, hash
override           about, portfolio, from, to                       reason
outcome            about, outcome, observed                         -
correction         about, outcome, observed, what it was, reason    -
book               hashes, counts and version of a book's scoring   -
erasure            the events whose personal part was erased, why   -
=================  ===============================================  ======================================
"""

import getpass
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from credit.governance.audit import ERASURE, Audit, audit, chained, runs
from credit.governance.entries import GENESIS, SEAL, Entries, Event
from credit.governance.sealing import Personal, Sealed, canonical, seal
from credit.governance.store import EVENTS, LINKS, PERSONAL, Store

__all__ = ["Draft", "Event", "Ledger", "Writer", "actor", "dated", "draft"]

T = TypeVar("T")
#: The moment that `dated` holds still; None where the machine's clock runs.
_MOMENT: ContextVar[datetime | None] = ContextVar("moment", default=None)
CHUNK = 1000
NAME = 255  # characters of who acts


@dataclass(frozen=True)
class Draft:
    """An event ready to be written: hashing, packing and salting need no lock.

    Parameters
    ----------
    text : str
        The payload in its one form.
    about : int or None
        The event that it follows up.
    sealed : Sealed or None
        What is personal.
    """

    text: str
    about: int | None
    sealed: Sealed | None


def draft(payload: Mapping[str, Any], personal: Personal | None = None) -> Draft:
    """Prepare an event; a ValueError if it is no JSON, or names a seal of its own."""
    if SEAL in payload:
        raise ValueError(f"payload: {SEAL!r} is the ledger's own key; choose another.")
    sealed = seal(personal) if personal else None
    about = payload.get("about")
    whole = dict(payload) | ({SEAL: sealed.seal} if sealed else {})
    return Draft(canonical(whole), about if isinstance(about, int) else None, sealed)


class Ledger(Entries):
    """An events table that only grows.

    Parameters
    ----------
    url : str
        SQLAlchemy URL.  A SQLite file is made at the first use, in WAL mode.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = Store(url)

    def append(
        self, kind: str, payload: Mapping[str, Any], *, by: str | None = None, personal: Personal | None = None
    ) -> int:
        """Record one event and return its id; see `extend`."""
        prepared = draft(payload, personal)
        return self.write(lambda writer: writer.extend(kind, [prepared], by=by)[0])

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
        prepared = [draft(payload) for payload in payloads]
        return self.write(lambda writer: writer.extend(kind, prepared, by=by))

    def write(self, work: Callable[["Writer"], T]) -> T:
        """Read and append as one: nobody else writes meanwhile, and all of it is recorded or nothing.

        Parameters
        ----------
        work : callable
            Called with a `Writer`; may be called again if the database prefers another writer.
        """
        return self._store.write(lambda connection: work(Writer(connection)))

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
        return self.audit(head).problems

    def audit(self, head: str | None = None) -> Audit:
        """Do as `verify`, and also count the events and give the newest one's hash, at the same moment."""
        with self._store.snapshot() as rows:
            return audit(rows, head)

    def scrub(self) -> None:
        """Write the database anew, so that no copy of what was erased stays behind in it."""
        self._store.scrub()

    def __str__(self) -> str:
        return str(self._store)

    def _rows(self, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        return self._store.rows(query)


class Writer(Entries):
    """A ledger while it is written to."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def extend(self, kind: str, drafts: Iterable[Draft], *, by: str | None = None) -> list[int]:
        """Append events; see `Ledger.extend`."""
        last = next(self._rows(sa.select(EVENTS.c.id, EVENTS.c.hash).order_by(EVENTS.c.id.desc()).limit(1)), None)
        previous = last.hash if last else GENESIS
        common = {
            "at": (_MOMENT.get() or datetime.now(UTC)).isoformat(timespec="microseconds"),
            "kind": kind,
            "actor": _name(by or actor()),
        }
        numbered = enumerate(drafts, start=last.id + 1 if last else 1)
        made: list[int] = []
        while chunk := dict(islice(numbered, CHUNK)):
            rows: list[dict[str, Any]] = []
            for number, each in chunk.items():
                row = common | {"id": number, "payload": each.text, "previous": previous}
                previous = chained(row)
                rows.append(row | {"hash": previous})
            self._insert(rows, chunk)
            made += chunk
        return made

    def chosen(self, query: sa.Select[tuple[int]]) -> list[int]:
        """Return the numbers that a query yields."""
        return [row[0] for row in self._rows(query)]

    def erase(self, numbers: Sequence[int], reason: str, *, by: str | None = None) -> int:
        """Delete what these events hold about persons, and record that it was done; return the record's id."""
        for at in range(0, len(numbers), CHUNK):
            self._connection.execute(PERSONAL.delete().where(PERSONAL.c.event.in_(numbers[at : at + CHUNK])))
        return self.extend(ERASURE, [draft({"events": runs(numbers), "reason": reason})], by=by)[0]

    def _insert(self, rows: list[dict[str, Any]], drafts: dict[int, Draft]) -> None:
        self._connection.execute(EVENTS.insert(), rows)
        if links := [{"event": at, "about": each.about} for at, each in drafts.items() if each.about is not None]:
            self._connection.execute(LINKS.insert(), links)
        if personal := [vars(each.sealed) | {"event": at} for at, each in drafts.items() if each.sealed]:
            self._connection.execute(PERSONAL.insert(), personal)

    def _rows(self, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        return iter(self._connection.execute(query))


@contextmanager
def dated(moment: datetime) -> Iterator[None]:
    """Let every event that is written within the block, to any ledger, bear this moment: for what is simulated.

    Parameters
    ----------
    moment : datetime
        With its time zone, and not to come.

    Raises
    ------
    ValueError
        If it is without a time zone, or lies in the future.
    """
    if moment.tzinfo is None or moment > datetime.now(UTC):
        raise ValueError(f"moment: must have a time zone and lie in the past, is {moment}.")
    token = _MOMENT.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _MOMENT.reset(token)


def actor() -> str:
    """Return who acts: CREDIT_USER, or the system's user."""
    name = os.environ.get("CREDIT_USER")
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id need not have a name
        return f"uid {os.getuid()}"


def _name(by: str) -> str:
    """Write who acts so that every database can hold it."""
    return by.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")[:NAME]
