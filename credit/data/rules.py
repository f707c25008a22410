"""One column under its contract: its typed value and the rule it breaks, as Ibis expressions; counts nothing.

The same value gets the same type and the same judgement whether it was read as text (CSV, SQL) or with a type
(Parquet): "1", "1.0", 1 and 1.0 are one category "1" and one number; an empty text is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any, Literal

import ibis

from credit.portfolio import Column, Label, Table

__all__ = ["Judgement", "Severity", "allowed", "identity", "is_number", "is_text", "judge", "promised", "severity"]

Severity = Literal["error", "warn", "null"]
Rules = list[tuple[str, Any]]


@dataclass(frozen=True)
class Judgement:
    """What becomes of a column.

    Attributes
    ----------
    column : Column
        What it is held against.
    typed : expression
        The value with its final type (a key's is still text), NULL where missing or set missing.
    rule : expression
        Name of the first rule that the cell breaks, else NULL.
    found : expression
        The value as it was read, as text.
    """

    column: Column
    typed: Any
    rule: Any
    found: Any


def promised(table: Table, labelled: bool) -> dict[str, Column]:
    """Return the columns that a table must have, with keys held to be keys and times to be past.

    Parameters
    ----------
    table : Table
        From the portfolio.
    labelled : bool
        Whether a target is among them.
    """
    dropped = {"excluded"} if labelled else {"excluded", "target"}
    columns = {name: column for name, column in table.columns.items() if column.role not in dropped}
    for name in (*table.key, table.parent_key):
        if name is not None:
            known = table.columns.get(name, Column(name, "category", Label(name, name)))
            columns[name] = replace(known, role="key", missing=False)
    if table.time is not None:
        known = table.columns.get(table.time, Column(table.time, "number", Label(table.time, table.time), unit="days"))
        missing = known.missing and table.time not in table.key
        latest = min(0.0, known.maximum or 0.0)
        columns[table.time] = replace(known, role="feature", missing=missing, maximum=latest, on_range="error")
    return columns


def judge(column: Column, value: Any) -> Judgement:
    """Hold a column's values against its contract.

    Parameters
    ----------
    column : Column
        The contract.
    value : ibis column
        The values as read: text, numbers or booleans; any other type is taken as text.

    Returns
    -------
    Judgement
        Lazy expressions over the same table.
    """
    if value.type().is_boolean():
        value = ibis.cases((value, "True"), (~value, "False"))
    elif not value.type().is_numeric():
        value = value.cast("string").nullif("")
    found = value.cast("string").re_replace(r"^(-?\d+)\.0+$", r"\1")
    judges: dict[str, Callable[[Column, Any, Any], tuple[Any, Rules]]] = {"key": _key, "target": _target}
    by_type = _category if column.type == "category" else _number
    typed, rules = judges.get(column.role, by_type)(column, value, found)
    set_missing = [(condition, None) for rule, condition in rules if severity(column, rule) == "null"]
    kept = ibis.cases(*set_missing, else_=typed) if set_missing else typed
    broken = ibis.cases(*((condition, rule) for rule, condition in rules)) if rules else found.nullif(found)
    return Judgement(column, kept, broken, found)


def severity(column: Column, rule: str) -> Severity:
    """Say what breaking a rule leads to; what must not be missing is never set missing."""
    reactions: dict[str, Severity] = {
        "sentinel": "null",
        "unknown level": column.on_level,
        "out of range": column.on_range,
        "dated after the application": column.on_range,
    }
    reaction = reactions.get(rule, "error")
    return "error" if reaction == "null" and not column.missing else reaction


def allowed(column: Column, rule: str) -> str:
    """Say what a rule of this column allows, for people."""
    if rule in ("out of range", "dated after the application"):
        low = "any" if column.minimum is None else f"{column.minimum:.15g}"
        high = "any" if column.maximum is None else f"{column.maximum:.15g}"
        return f"[{low}, {high}]"
    if rule == "unknown level":
        shown = ", ".join(column.levels[:8])
        return f"(known: {shown}{', ...' if len(column.levels) > 8 else ''})"
    return ""


def identity(column: Column, value: Any) -> Any:
    """Write a key so that equal keys are equal however they were read: int64 where keys are numbers, else text."""
    if value.type().is_signed_integer():
        return value.cast("int64")
    typed = judge(column, value).typed
    return typed if column.type == "category" else typed.try_cast("int64")


def is_text(identifier: Any) -> Any:
    """Whether an identifier is more than a 64-bit integer as integers are written: "007" and "A7" are."""
    return identifier.try_cast("int64").cast("string").fill_null("") != identifier


def _number(column: Column, value: Any, found: Any) -> tuple[Any, Rules]:
    number = _as_number(column, value)
    outside = "dated after the application" if column.maximum == 0 and _is_time(column) else "out of range"
    rules = _absence(column, number, value)
    if not value.type().is_numeric():
        rules.append(("not a number", value.notnull() & number.isnull()))
    rules.append(("not finite", number.isnan() | number.isinf()))
    if column.type == "integer":
        rules.append(("not an integer", number % 1 != 0))
    if column.type == "flag":
        rules.append(("not 0 or 1", ~number.isin((0.0, 1.0))))
    if column.maximum is not None:
        rules.append((outside, number > column.maximum))
    if column.minimum is not None:
        rules.append(("out of range", number < column.minimum))
    return number, rules


def _category(column: Column, value: Any, found: Any) -> tuple[Any, Rules]:
    level = found
    if column.levels:
        text = value.cast("string")
        level = text.isin((*column.levels, *column.sentinels)).ifelse(text, found)
    rules = _absence(column, level, level)
    if column.levels:
        rules.append(("unknown level", ~level.isin(column.levels)))
    return level, rules


def _key(column: Column, value: Any, found: Any) -> tuple[Any, Rules]:
    if column.type == "category":
        return found, [("missing key", _absent(column, found, found))]
    number, rules = _number(replace(column, sentinels=(), missing=True), value, found)
    if value.type().is_signed_integer():
        return value.cast("int64"), [("missing key", _absent(column, number, value)), *rules]
    integer = (number % 1 == 0) & found.try_cast("int64").notnull()
    rules = [("missing key", _absent(column, number, value)), *rules, ("not an integer", ~integer)]
    return ibis.cases((integer, found)), rules


def _target(column: Column, value: Any, found: Any) -> tuple[Any, Rules]:
    number = _as_number(column, value)
    invalid = number.isnull() | ~number.isin((0.0, 1.0))
    # A cast to a narrow integer would fail on the very values that are to be reported.
    outcome = ibis.cases((number == 1, 1), (number == 0, 0)).cast("int8")
    return outcome, [("target missing", _absent(column, number, value)), ("target not 0 or 1", invalid)]


def _absence(column: Column, typed: Any, raw: Any) -> Rules:
    if not column.missing:
        return [("missing value", _absent(column, typed, raw))]
    return [("sentinel", condition) for condition in _sentinels(column, typed, raw)]


def _absent(column: Column, typed: Any, raw: Any) -> Any:
    """Whether a cell is empty or holds a sentinel; a number that cannot be read is not empty."""
    return reduce(or_, _sentinels(column, typed, raw), raw.isnull())


def _sentinels(column: Column, typed: Any, raw: Any) -> list[Any]:
    """Compare numbers as numbers, however they are written, and words as words."""
    numbers = [float(value) for value in column.sentinels if is_number(value)]
    words = [value for value in column.sentinels if isinstance(value, str)]
    conditions = []
    if numbers and typed.type().is_numeric():
        conditions.append(typed.isin(numbers))
    if words and raw.type().is_string():
        conditions.append(raw.isin(words))
    return conditions


def _as_number(column: Column, value: Any) -> Any:
    if value.type().is_numeric():
        return value.cast("float64")
    number = value.try_cast("float64")
    if column.type != "flag":
        return number
    word = value.lower()
    return number.fill_null(ibis.cases((word == "true", 1.0), (word == "false", 0.0)))


def is_number(value: str | float) -> bool:
    """Whether a sentinel stands for a number, and not for a word."""
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_time(column: Column) -> bool:
    return column.unit in ("days", "months")
