"""Rows that share a key, and rows whose parent is not there, as Ibis expressions; knows no portfolio."""

from collections.abc import Sequence
from typing import Any

import ibis
from ibis import _

__all__ = ["duplicates", "may_repeat", "orphans"]

#: Moments of one owner that are told apart by bits, and bits in a word.
MOMENTS, BITS = 252, 42


def duplicates(rows: Any, key: Sequence[str]) -> Any:
    """Select the rows that share their key with another.

    Parameters
    ----------
    rows : ibis.Table
        With the key's columns; a key with a gap is none.
    key : sequence of str
        Names the columns.

    Returns
    -------
    ibis.Table
        Some of the rows, all columns.
    """
    whole = rows.drop_null(key)
    return whole.semi_join(_shared(whole, key), key)


def may_repeat(rows: Any, key: Sequence[str], time: str | None) -> bool:
    """Say whether any rows may share a key; False is certain.

    A key for each row would fill the memory of a large table.  Where the key is an owner and a month, one bit a month
    does: a sum of powers of two is more than their union as soon as one is there twice.  Fractions of a month count as
    the whole, so that True may be a false alarm.

    Parameters
    ----------
    rows : ibis.Table
        With the key's columns.
    key : sequence of str
        Names the columns.
    time : str or None
        The one of them that counts months or days.

    Returns
    -------
    bool
        Whether a search by `duplicates` is worth its while.
    """
    whole = rows.drop_null(key)
    found = _crowded(whole, [name for name in key if name != time], time) if time in key[1:] else None
    found = _shared(whole, key) if found is None else found
    return bool(found.limit(1).count().to_pyarrow().as_py())


def orphans(children: Any, parents: Any) -> Any:
    """Select the rows whose owner is none of the parents.

    Parameters
    ----------
    children : ibis.Table
        With the column "owner"; who names nobody is no orphan.
    parents : ibis.Table
        With the column "owner", their own name.

    Returns
    -------
    ibis.Table
        Some of the children, the owner as text.
    """
    if children["owner"].type() != parents["owner"].type():
        children, parents = (each.mutate(owner=_.owner.cast("string")) for each in (children, parents))
    lost = children.drop_null("owner").anti_join(parents, "owner")
    return lost.mutate(owner=_.owner.cast("string"))


def _shared(rows: Any, key: Sequence[str]) -> Any:
    """Select each key that more than one row has."""
    return rows.group_by(key).aggregate(__times__=_.count()).filter(_["__times__"] > 1)


def _crowded(rows: Any, owner: Sequence[str], time: str | None) -> Any | None:
    """Select owners with two rows of one moment; None if there are too many moments for bits."""
    moments = rows.mutate(at=_[time].try_cast("int64"))
    ends = moments.aggregate(first=moments["at"].min(), last=moments["at"].max()).to_pyarrow().to_pylist()[0]
    if ends["first"] is None or ends["last"] - ends["first"] >= MOMENTS:
        return None
    at, one = moments["at"] - ends["first"], ibis.literal(1, "int64")
    words = range((ends["last"] - ends["first"]) // BITS + 1)
    bits = {f"word {word}": (at // BITS == word).ifelse(one << at % BITS, 0) for word in words}
    sums = {f"sum of {word}": _[word].sum() for word in bits}
    unions = {word: _[word].bit_or() for word in bits}
    owners = moments.mutate(**bits).group_by(owner).aggregate(**sums, **unions)
    return owners.filter(ibis.or_(*(_[f"sum of {word}"] != _[word] for word in bits)))
