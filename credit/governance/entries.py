"""Events as they are read, from the whole ledger or within a write; writes nothing and judges nothing."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from credit.errors import DataError
from credit.governance.sealing import Personal, Sealed
from credit.governance.store import EVENTS, LINKS, PERSONAL

__all__ = ["GENESIS", "LARGEST", "SEAL", "Entries", "Event"]

GENESIS = "0" * 64
#: Key of a payload under which the seal of the event's personal content stands.
SEAL = "sealed"
CHUNK = 1000  # numbers in one query
LARGEST = 2**31 - 1  # that an event can have


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
        The rest; JSON values.  ``about`` is the event that this one follows up, ``sealed`` the personal part's seal.
    hash : str
        SHA-256 over the previous event's hash and everything above.
    """

    id: int
    at: str
    kind: str
    actor: str
    payload: dict[str, Any]
    hash: str


class Entries(ABC):
    """What can be asked of a ledger."""

    @abstractmethod
    def _rows(self, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        """Run a query."""

    def events(self, *kinds: str) -> list[Event]:
        """Return the events in their order, all or those of the given kinds."""
        query = sa.select(EVENTS).order_by(EVENTS.c.id)
        if kinds:
            query = query.where(EVENTS.c.kind.in_(kinds))
        return [_event(row) for row in self._rows(query)]

    def event(self, number: int) -> Event | None:
        """Return one event, if there is one of this number."""
        return next(iter(self.numbered([number])), None)

    def numbered(self, numbers: Iterable[int]) -> list[Event]:
        """Return the events of these numbers that there are."""
        query = sa.select(EVENTS).order_by(EVENTS.c.id)
        return [_event(row) for row in self._among(query, EVENTS.c.id, numbers)]

    def newest(self, *kinds: str, since: str = "", until: str = "") -> Iterator[Event]:
        """Yield events, the newest first: all, or those of some kinds, and from `since` until before `until` (UTC)."""
        query = sa.select(EVENTS).order_by(EVENTS.c.id.desc())
        if kinds:
            query = query.where(EVENTS.c.kind.in_(kinds))
        if since:
            query = query.where(EVENTS.c.at >= since)
        if until:
            query = query.where(EVENTS.c.at < until)
        return map(_event, self._rows(query))

    def about(self, numbers: Iterable[int]) -> dict[int, list[Event]]:
        """Return what follows up each of these events, in its order; an event without has no entry."""
        query = sa.select(EVENTS).join(LINKS, LINKS.c.event == EVENTS.c.id).order_by(EVENTS.c.id)
        found: dict[int, list[Event]] = {}
        for row in self._among(query, LINKS.c.about, numbers):
            event = _event(row)
            found.setdefault(event.payload["about"], []).append(event)
        return found

    def subject(self, subject: str, book: str | None, kind: str, limit: int) -> list[Event]:
        """Return the newest events of a kind about a person, the newest first."""
        query = sa.select(EVENTS).join(PERSONAL, PERSONAL.c.event == EVENTS.c.id)
        query = query.where(PERSONAL.c.subject == subject, EVENTS.c.kind == kind)
        if book is not None:
            query = query.where(PERSONAL.c.book == book)
        return [_event(row) for row in self._rows(query.order_by(PERSONAL.c.event.desc()).limit(limit))]

    def holding(self, numbers: Iterable[int]) -> list[int]:
        """Return those of the numbers whose events hold something personal."""
        return [row.event for row in self._among(sa.select(PERSONAL.c.event), PERSONAL.c.event, numbers)]

    def personal(self, events: Sequence[Event]) -> dict[int, Personal]:
        """Return what events hold about persons, by number; what was erased, or never was, has no entry.

        Raises
        ------
        DataError
            If it is not what was sealed.
        """
        seals = {event.id: event.payload.get(SEAL, "") for event in events}
        found = {}
        for row in self._among(sa.select(PERSONAL), PERSONAL.c.event, seals):
            sealed = Sealed(row.book, row.subject, bytes(row.salt), bytes(row.content))
            if not sealed.matches(seals[row.event]):
                raise DataError(
                    f"event {row.event}: its personal content is not what was sealed, it was edited; see what else "
                    "was with `credit ledger verify`, and restore the ledger."
                )
            found[row.event] = sealed.open()
        return found

    @property
    def head(self) -> str:
        """Hash of the newest event; 64 zeros when there is none."""
        for row in self._rows(sa.select(EVENTS.c.hash).order_by(EVENTS.c.id.desc()).limit(1)):
            return str(row.hash)
        return GENESIS

    def _among(self, query: sa.Select[Any], column: Any, numbers: Iterable[int]) -> Iterator[sa.Row[Any]]:
        rest = iter(sorted({number for number in numbers if 0 < number <= LARGEST}))
        while chunk := list(islice(rest, CHUNK)):
            yield from self._rows(query.where(column.in_(chunk)))


def _event(row: sa.Row[Any]) -> Event:
    return Event(row.id, row.at, row.kind, row.actor, json.loads(row.payload), row.hash)
