"""Follow the chain from the first event to the last and say what was tampered with; changes nothing."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from credit.governance.entries import GENESIS, SEAL
from credit.governance.sealing import Sealed, canonical
from credit.governance.store import EVENTS, LINKS, PERSONAL

__all__ = ["ERASURE", "Audit", "audit", "chained", "runs"]

ERASURE = "erasure"
Rows = Callable[[sa.Select[Any]], Iterator[sa.Row[Any]]]


@dataclass(frozen=True)
class Audit:
    """What came of following the chain.

    Parameters
    ----------
    events : int
        How many there are.
    head : str
        Hash of the newest; note it elsewhere: it alone can tell later that the newest events were removed.
    problems : list of str
        What is wrong, one sentence each; empty when nothing is.
    """

    events: int
    head: str
    problems: list[str]


def audit(rows: Rows, head: str | None = None) -> Audit:
    """Check every event, what is personal of it, and its link, in one pass and bounded memory.

    Parameters
    ----------
    rows : callable
        Runs a query; all of them at the same moment.
    head : str, optional
        A hash noted earlier; it must still be in the chain.
    """
    problems: list[str] = []
    erased = _Ranges()
    for row in rows(sa.select(EVENTS).where(EVENTS.c.kind == ERASURE).order_by(EVENTS.c.id)):
        erased.add(_payload(row).get("events"), row.id)
    count, expected, previous, noted = 0, 1, GENESIS, head in (None, GENESIS)
    for row in rows(_joined()):
        problems += [f"event {row.id}: {problem}" for problem in _faults(row, expected, previous, erased)]
        count, expected, previous = count + 1, row.id + 1, row.hash
        noted = noted or row.hash == head
    problems += _orphans(rows)
    if not noted:
        problems.append(
            f"the event with hash {str(head)[:12]}... noted earlier is gone; the newest events were removed."
        )
    return Audit(count, previous, problems)


def chained(row: Mapping[str, Any]) -> str:
    """Return the hash of an event, over the previous one's and its own content."""
    content = [row[name] for name in ("previous", "id", "at", "kind", "actor", "payload")]
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def runs(numbers: Iterable[int]) -> list[list[int]]:
    """Write numbers as runs: 1, 2, 3, 7 as [1, 3], [7, 7]."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


class _Ranges:
    """The numbers that erasures name."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, named: Any, by: int) -> None:
        """Add an erasure's runs; an erasure can only name what was there before it."""
        pairs = (
            [run for run in named or () if isinstance(run, list) and len(run) == 2] if isinstance(named, list) else []
        )
        for first, last in pairs:
            if isinstance(first, int) and isinstance(last, int) and first <= last < by:
                self._merge(first, last)

    def _merge(self, first: int, last: int) -> None:
        at = bisect_right(self._starts, first)
        if at and self._ends[at - 1] >= first:
            at -= 1
            first = self._starts[at]
        until = bisect_right(self._starts, last, lo=at)
        last = max([last, *self._ends[at:until]])
        self._starts[at:until], self._ends[at:until] = [first], [last]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number)
        return bool(at) and self._ends[at - 1] >= number


def _joined() -> sa.Select[Any]:
    raw = [sa.type_coerce(PERSONAL.c[name], sa.types.NullType).label(name) for name in ("salt", "content")]
    own = (PERSONAL.c.book, PERSONAL.c.subject, *raw)
    return (
        sa.select(EVENTS, *own, LINKS.c.about)
        .outerjoin(PERSONAL, PERSONAL.c.event == EVENTS.c.id)
        .outerjoin(LINKS, LINKS.c.event == EVENTS.c.id)
        .order_by(EVENTS.c.id)
    )


def _faults(row: sa.Row[Any], expected: int, previous: str, erased: _Ranges) -> Iterator[str]:
    if row.id != expected:
        yield f"event {expected} should come here; it was removed or renumbered."
    if row.previous != previous:
        yield "does not follow the event before it; one was removed or inserted."
    if row.hash != _hash(row):
        yield "its content does not match its hash; it was edited."
        return  # what its payload says of the other two tables is worth nothing
    payload = _payload(row)
    about = payload.get("about")
    if row.about != (about if isinstance(about, int) else None):
        yield f"it is about event {about}, but its link leads to {row.about}; the link was edited, removed or inserted."
    yield from _faults_of_content(row, payload.get(SEAL), row.id in erased)


def _faults_of_content(row: sa.Row[Any], seal: Any, erased: bool) -> Iterator[str]:
    if row.salt is None:
        if seal is not None and not erased:
            yield "its personal content is gone, and no erasure names it; it was removed."
    elif seal is None:
        yield "personal content stands beside it, but it was recorded without any; it was inserted."
    elif erased:
        yield "its personal content was erased, but is there again, as after restoring a backup; erase it again."
    elif not (_packed(row) and Sealed(row.book, row.subject, row.salt, row.content).matches(seal)):
        yield "its personal content does not match its seal; it was edited or exchanged."


def _packed(row: sa.Row[Any]) -> bool:
    """Whether the columns are of their types: SQLite lets an editor put anything anywhere."""
    texts, packed = (row.book, row.subject), (row.salt, row.content)
    return all(isinstance(each, str) for each in texts) and all(isinstance(each, bytes) for each in packed)


def _hash(row: sa.Row[Any]) -> str:
    try:
        return chained(row._asdict())
    except (TypeError, ValueError):  # no text, or none that can be written
        return ""


def _orphans(rows: Rows) -> Iterator[str]:
    for table, what in ((PERSONAL, "personal content"), (LINKS, "a link")):
        known = sa.select(EVENTS.c.id).where(EVENTS.c.id == table.c.event).exists()
        for row in rows(sa.select(table.c.event).where(~known).order_by(table.c.event)):
            yield f"event {row.event}: {what} is there, but no such event; one of them was removed or inserted."


def _payload(row: sa.Row[Any]) -> dict[str, Any]:
    """Read a payload that may be anything, once someone has edited it."""
    try:
        found = json.loads(row.payload)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
