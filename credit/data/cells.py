"""One cell under its contract, in Python: its typed value where nothing can be wrong; leaves every doubt to the rules.

`credit.data.rules` says what a cell may hold, in the words of a database.  For one applicant that takes longer to plan
than to do.  A reader here gives the same typed value for cells that are plainly in order, and `UNSURE` for all others,
wrong or merely unusual: those are for the rules to judge.
"""

import math
import re
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd

from credit.data.rules import is_number, severity
from credit.portfolio import Column

__all__ = ["UNSURE", "Reader", "is_scalar", "reader", "text"]


class Unsure:
    """What a reader answers where the rules must judge."""

    def __repr__(self) -> str:
        return "UNSURE"


UNSURE: Final = Unsure()
#: A raw value to its typed one (float, int, str or None), or to UNSURE.
Reader = Callable[[Any], Any]

#: Numbers that every parser reads alike: no sign but minus, no blank, no group, ASCII digits only.
PLAIN = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,17})?(e[+-][0-9]{1,2})?", re.ASCII)
WHOLE = re.compile(r"(-?[0-9]+)\.0+", re.ASCII)
IDENTIFIER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
#: Integers that a float holds exactly.
EXACT = 2**53
FLAGS = {"true": 1.0, "True": 1.0, "false": 0.0, "False": 0.0}
#: What has one plain text; anything else is no value of a cell.
SCALARS = (str, bool, int, float, Decimal, np.generic, date, time)


def text(value: Any) -> str | None:
    """Write a raw value as text, as the rules read it; None where it is missing.

    Parameters
    ----------
    value : any
        From a form, JSON, a data frame or a database; dates and whatever is no plain value give the text that Python
        has for them.

    Returns
    -------
    str or None
        Text that a database can hold: what is no Unicode is replaced.
    """
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, (float, np.floating)) and np.isnan(value))
    ):
        return None
    try:
        written = str(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        written = "an integer too large"
    return written.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def is_scalar(value: Any) -> bool:
    """Whether a raw value is one value, or missing, and not a list, a mapping or bytes."""
    return value is None or value is pd.NA or isinstance(value, SCALARS)


def reader(column: Column) -> Reader:
    """Make the reader of a column.

    Parameters
    ----------
    column : Column
        From `credit.data.rules.promised`; not the target.

    Returns
    -------
    callable
        Whatever it answers but UNSURE is the typed value that the rules give, and no error of theirs.
    """
    if column.role == "key":
        return _category(column, closed=False) if column.type == "category" else _identifier(column)
    return _category(column, closed=bool(column.levels)) if column.type == "category" else _number(column)


def _number(column: Column) -> Reader:
    absent = None if column.missing else UNSURE
    words = {str(value) for value in column.sentinels if isinstance(value, str)}
    numbers = {float(value) for value in column.sentinels if is_number(value)}
    outside = {"null": None, "error": UNSURE}.get(severity(column, "out of range"), column)  # the column: kept
    low = -math.inf if column.minimum is None else column.minimum
    high = math.inf if column.maximum is None else column.maximum
    flag, whole = column.type == "flag", column.type == "integer"

    def read(value: Any) -> Any:
        kind = type(value)
        if kind is float:
            number = value
        elif value is None:
            return absent
        elif kind is int and -EXACT <= value <= EXACT:
            number = float(value)
        else:
            written = text(value)
            if written is None or not written or written in words:
                return absent
            found = FLAGS.get(written, UNSURE) if flag and written in FLAGS else _parsed(written)
            if found is UNSURE:
                return UNSURE
            number = found
        if number in numbers or number != number:  # noqa: PLR0124 - NaN is missing
            return absent
        if math.isinf(number) or (whole and number % 1) or (flag and number not in (0.0, 1.0)):
            return UNSURE
        if low <= number <= high:
            return number
        return number if outside is column else outside

    return read


def _parsed(written: str) -> Any:
    return float(written) if PLAIN.fullmatch(written) else UNSURE


def _category(column: Column, *, closed: bool) -> Reader:
    absent = None if column.missing else UNSURE
    words = {str(value) for value in column.sentinels} if column.role != "key" else set()
    levels, named = set(column.levels), set(column.levels) | words
    unknown = {"null": None, "error": UNSURE}.get(severity(column, "unknown level"), column)  # the column: kept

    def read(value: Any) -> Any:
        if type(value) is str:
            written = value
        elif is_scalar(value):
            written = text(value) or ""
        else:
            return UNSURE
        if not written:
            return absent
        if not written.isprintable():
            return UNSURE
        if closed and written in named:
            level = written
        else:
            found = WHOLE.fullmatch(written)
            level = found[1] if found else written
        if level in words:
            return absent
        if not closed or level in levels:
            return level
        return level if unknown is column else unknown

    return read


def _identifier(column: Column) -> Reader:
    low = -math.inf if column.minimum is None else column.minimum
    high = math.inf if column.maximum is None else column.maximum

    def read(value: Any) -> Any:
        if type(value) is int and -EXACT <= value <= EXACT:
            number = value
        else:
            written = text(value) or ""
            found = WHOLE.fullmatch(written)
            written = found[1] if found else written
            if not IDENTIFIER.fullmatch(written):
                return UNSURE
            number = int(written)
        return number if low <= float(number) <= high else UNSURE

    return read
