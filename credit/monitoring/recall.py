"""Decisions from the ledger -> raw tables, as they were when it was decided; judges nothing and knows no model.

Each decision becomes an application of its own, whose key is the number of the decision: the same client may have
applied twice, and some applications have no client number at all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pandas as pd
import pyarrow as pa

from credit.data.cells import text
from credit.data.files import ROW
from credit.data.rules import promised
from credit.errors import ConfigError
from credit.governance.ledger import Event, Ledger
from credit.governance.recorded import CORRECTION, DECISION, OUTCOME, OVERRIDE, Recorded, recorded
from credit.portfolio import Portfolio, Table

__all__ = ["decisions", "moment", "raw", "taken"]

#: Decisions that are in memory at once.
CHUNK = 2000

Keys = dict[tuple[int, str, str | None], int]


def decisions(
    ledger: Ledger, portfolio: str, *, since: str | None = None, until: str | None = None, last: int | None = None
) -> Iterator[list[Recorded]]:
    """Yield a book's decisions, some at a time, the newest first.

    Parameters
    ----------
    ledger : Ledger
        Where they are.
    portfolio : str
        The book's name.
    since, until : str, optional
        UTC, ISO 8601; both a date or a moment.  A date includes the whole of that day.
    last : int, optional
        At most so many.

    Raises
    ------
    ConfigError
        If a moment cannot be read, or they are in the wrong order, or `last` is no number of decisions.
    """
    start, end = moment(since or "", "--since"), moment(until or "", "--until", whole=True)
    if start and end and start >= end:
        raise ConfigError(
            f"--since {since} and --until {until}: nothing lies between; give an earlier and a later one."
        )
    if last is not None and last < 1:
        raise ConfigError(f"--last {last}: must be 1 or more.")
    chunk, left = [], last
    for event in ledger.newest(DECISION, since=start, until=end):
        if left == 0:
            break
        if event.payload["portfolio"] == portfolio:
            chunk.append(event)
            left = None if left is None else left - 1
        if len(chunk) == CHUNK:
            yield recorded(ledger, chunk)
            chunk = []
    if chunk:
        yield recorded(ledger, chunk)


def taken(ledger: Ledger, portfolio: str, *, since: str = "", until: str = "") -> pd.DataFrame:
    """Tell what was decided and what came of it, without anything personal; erased decisions are here too.

    Parameters
    ----------
    ledger, portfolio
        As for `decisions`.
    since, until : str
        Moments as `moment` writes them; "" for no bound.

    Returns
    -------
    DataFrame, one row a decision, the oldest first
        ``decision_id``, ``at``, ``version``, ``probability`` to three decimals, ``decision`` after overrides,
        ``outcome`` 1.0, 0.0 or NaN.
    """
    rows: list[dict[str, Any]] = []
    events = ledger.newest(DECISION, since=since, until=until)
    own = (event for event in events if event.payload["portfolio"] == portfolio)
    while chunk := list(islice(own, CHUNK)):
        followed = ledger.about(event.id for event in chunk)
        rows += [_taken(event, followed.get(event.id, [])) for event in chunk]
    columns = ["decision_id", "at", "version", "probability", "decision", "outcome"]
    return pd.DataFrame(rows[::-1], columns=columns).astype({"probability": float, "outcome": float})


def _taken(event: Event, followed: Sequence[Event]) -> dict[str, Any]:
    kept = event.payload
    decided = [kept["decision"], *(each.payload["to"] for each in followed if each.kind == OVERRIDE)]
    outcomes = [each.payload["outcome"] for each in followed if each.kind in (OUTCOME, CORRECTION)]
    return {
        "decision_id": event.id,
        "at": event.at,
        "version": kept["version"],
        "probability": kept["probability"],
        "decision": decided[-1],
        "outcome": outcomes[-1] if outcomes else None,
    }


def moment(given: str, option: str, *, whole: bool = False) -> str:
    """Write a date or a moment as the ledger does; of a date the end, if it is meant as a `whole`; "" for "".

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if not given:
        return ""
    try:
        found = pd.Timestamp(given)
    except ValueError as error:
        raise ConfigError(f"{option} {given}: no date; write YYYY-MM-DD, or YYYY-MM-DDTHH:MM in UTC.") from error
    found = found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")
    if whole and len(given) <= len("2026-01-31"):
        found += pd.Timedelta(days=1)
    return str(found.isoformat(timespec="microseconds"))


def raw(book: Portfolio, made: Sequence[Recorded]) -> dict[str, pa.Table]:
    """Lay decisions out as the tables of a book, every value as text.

    Parameters
    ----------
    book : Portfolio
        It says which columns there are.
    made : sequence of Recorded
        Not erased.

    Returns
    -------
    dict of str to pyarrow.Table
        Every table of the book that has columns, with the hidden number of each row; the key is the decision's number.
    """
    rows: dict[str, list[dict[str, str | None]]] = {book.main: [], **{name: [] for name in _order(book)}}
    keys: Keys = {}
    for each in made:
        rows[book.main].append({**_written(each.application), book.key: str(each.id)})
        for name in _order(book):
            table = book.tables[name]
            rows[name] += [_rekeyed(book, table, row, each.id, keys) for row in each.history.get(name, ())]
    return {name: _table(rows[name], promised(book.tables[name], False)) for name in rows}


def _order(book: Portfolio) -> list[str]:
    return [name for name, table in book.tables.items() if name != book.main and table.columns]


def _written(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {str(name): text(value) for name, value in row.items()}


def _rekeyed(book: Portfolio, table: Table, row: Mapping[str, Any], number: int, keys: Keys) -> dict[str, str | None]:
    """Give a row of history keys that no other decision's rows have: one person's history may be there twice."""
    written = _written(row)
    for name in {*table.key, table.parent_key} - {None, table.time}:
        owner = book.tables[table.parent] if name == table.parent_key and table.parent else table
        if owner.name == book.main:
            written[str(name)] = str(number)
        elif written.get(str(name)) is not None:
            of = owner.key[0] if name == table.parent_key else str(name)
            written[str(name)] = str(keys.setdefault((number, of, written[str(name)]), len(keys) + 1))
    return written


def _table(rows: Iterable[Mapping[str, str | None]], columns: Iterable[str]) -> pa.Table:
    held = list(rows)
    made: dict[str, Any] = {name: pa.array([row.get(name) for row in held], pa.string()) for name in columns}
    return pa.table(made | {ROW: pa.array(range(1, len(held) + 1), pa.int64())})
