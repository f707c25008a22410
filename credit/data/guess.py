"""What one column of an unknown table looks like: type, range, levels, role, doubts; reads no file."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, floor, log10
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["Guess", "Seen", "guess", "words"]

#: Texts that say "missing" by convention; a level called so is improbable.
TOKENS = ("XNA", "XAP", "?", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "null", "NULL")
#: Texts that may say so, and may be a level.
DOUBTFUL = ("unknown", "none", "missing", "not available", "-", "")
#: Numbers that programmers write for "missing" (365243 days are a thousand years).
CODES = {365243.0} | {sign * (10.0**digits - 1) for digits in range(2, 10) for sign in (1, -1)}
#: Words of a name, all needed, that tell a protected attribute.
PROTECTED = tuple(
    frozenset(phrase.split())
    for phrase in (
        *("sex", "gender", "sexe", "genre"),
        *("marital", "marriage", "married", "matrimonial", "family status", "civil status", "pregnant"),
        *("race", "racial", "ethnic", "ethnicity", "religion", "religious", "disability", "disabled"),
        *("nationality", "national", "foreign", "citizenship", "citizen"),
    )
)
ID_WORDS = frozenset(("id", "ids", "key", "uuid", "guid", "ref", "reference", "no", "nr"))
MOST_LEVELS = 500
MOST_GROUPS = 20
FEW = 50
YEAR = 365.25
EDGES = (25, 35, 45, 55, 65)


@dataclass(frozen=True)
class Seen:
    """One column's distinct values: how often each occurs, and with how many defaults.

    Parameters
    ----------
    name : str
        The column.
    kind : {"text", "number", "date", "other"}
        What the file says it is.
    values : DataFrame
        Columns `value` (missing left out), `number` (the same read as a number, if it is one), `n` and `bad`.
    rows : int
        Rows of the table, those with a missing value included.
    """

    name: str
    kind: str
    values: pd.DataFrame
    rows: int

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.rows - int(self.values["n"].sum())

    @cached_property
    def tokens(self) -> list[str]:
        """The texts among the values that say "missing"."""
        texts = set(self.values["value"]) if self.kind == "text" else set()
        return [token for token in TOKENS if token in texts]

    @cached_property
    def known(self) -> pd.DataFrame:
        """The distinct values without those tokens."""
        return self.values[~self.values["value"].isin(self.tokens)]

    @cached_property
    def numbers(self) -> np.ndarray[Any, Any] | None:
        """The same as numbers; None if one of them is none, or a code such as 007."""
        numbers = self.known["number"].to_numpy(dtype=float)
        coded = self.kind == "text" and self.known["value"].str.fullmatch(r"0\d+").any()
        return None if coded or not np.isfinite(numbers).all() else numbers

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers, of a size at which a float still tells one from the next."""
        if self.numbers is None:
            return False
        return bool(((self.numbers == np.floor(self.numbers)) & (np.abs(self.numbers) < 2**53)).all())

    @property
    def written_whole(self) -> bool:
        """Whether all values are written without a fraction, be it .0."""
        value = self.known["value"]
        if self.kind == "text":
            return bool(value.str.fullmatch(r"[-+]?\d+").all())
        return value.dtype.kind in "iu"

    @property
    def unique(self) -> bool:
        """Whether each row has a value of its own."""
        return len(self.values) == self.rows

    @property
    def is_id(self) -> bool:
        """Whether it names the row: a value of its own for each, and a name, a text or a gapless count."""
        if not self.unique or self.rows < 2:
            return False
        if self.numbers is None:
            return self.kind == "text"
        gapless = np.ptp(self.numbers) == self.rows - 1
        return self.whole and bool(gapless or ID_WORDS & words(self.name))


@dataclass
class Guess:
    """What a portfolio file should say about a column.

    Parameters
    ----------
    settings : dict
        Key to value, in the order of the file.
    remarks : dict of str to str
        Key to the comment behind it.
    note : str
        A line above all keys.
    edges, scale : tuple or None, float
        How to band it for an audit, if it needs one; with no edges its levels are the groups.
    """

    settings: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)
    note: str = ""
    edges: tuple[int, ...] | None = None
    scale: float = 1.0


def words(name: str) -> frozenset[str]:
    """Split a column's name into lower-case words: at underscores, spaces and inner capitals."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+", name)
    return frozenset(part.lower() for part in parts)


def guess(seen: Seen) -> Guess:
    """Say what a portfolio file should hold about a column that is neither key nor target.

    A column that a model cannot use, or must not, gets a role that keeps it out, and a note that says why.
    Ranges are wider than what was seen, and breaking them only warns: tomorrow's row is no error.

    Parameters
    ----------
    seen : Seen
        Its values.

    Returns
    -------
    Guess
        Settings by the names of the file's keys.
    """
    reason = _useless(seen)
    if reason:
        kind = "category" if seen.numbers is None else "number"
        return Guess({"type": kind, "role": "excluded"}, note=f"Left out: {reason}.")
    protected = any(phrase <= words(seen.name) for phrase in PROTECTED)
    few = len(seen.known) <= MOST_GROUPS
    found = _category(seen) if seen.numbers is None or (protected and few) else _number(seen)
    if protected:
        found.settings["role"] = "protected"
        found.remarks["role"] = "by its name: audited, never scored; check"
        found.edges = () if few else None
    share = seen.missing / seen.rows
    found.settings["missing"] = True
    found.remarks["missing"] = f"{share:.1%} are" if seen.missing else "none is, so far"
    return found


def _useless(seen: Seen) -> str:
    """Why no model can use the column; empty if one can."""
    distinct = len(seen.known)
    if not distinct:
        return "no row has a value"
    if seen.kind == "other":
        return "neither number nor text"
    if seen.kind == "number" and seen.numbers is None:
        return "some values are infinite; divide by what is never 0, or leave them empty"
    if distinct == 1 and not seen.missing and not seen.tokens:
        return "every row has the same value"
    if seen.kind == "date" or (seen.numbers is None and _are_dates(seen.known["value"])):
        return "a date; a model could use the days from it to the application"
    if seen.is_id:
        return "every row has its own value, so it names the row and says nothing about the next one"
    pure = ((seen.known["bad"] == 0) | (seen.known["bad"] == seen.known["n"])).all()
    if pure and distinct <= seen.rows / 10:
        return "its value tells the target in every row, so it was known only afterwards"
    if seen.numbers is None and (distinct > MOST_LEVELS or distinct > seen.rows / 2):
        return f"{distinct:,} different texts in {seen.rows:,} rows"
    return ""


def _are_dates(values: pd.Series) -> bool:
    return bool(values.astype(str).str.fullmatch(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?").all())


def _category(seen: Seen) -> Guess:
    levels = sorted(_text(value) for value in seen.known["value"])
    found = Guess({"type": "category", "levels": levels, "on_level": "null"})
    found.remarks["on_level"] = "an unknown level counts as missing, and is reported"
    if seen.tokens:
        found.settings["sentinels"] = seen.tokens
        found.remarks["sentinels"] = "read as missing; check"
    elif doubtful := [level for level in levels if level.strip().lower() in DOUBTFUL]:
        found.note = f"If {' or '.join(doubtful)} means missing, move it from levels to sentinels."
    return found


def _text(value: Any) -> str:
    """Write a level as the contract does: a whole number without a fraction."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(seen: Seen) -> Guess:
    numbers, counts = seen.numbers, seen.known["n"].to_numpy()
    assert numbers is not None  # noqa: S101 - the callers' promise, for the type checker
    far = [value for value in _far(numbers) if value in CODES]
    values = np.sort(numbers[~np.isin(numbers, far)])
    if set(values) == {0.0, 1.0}:
        found = Guess({"type": "flag"})
    else:
        low, high = _widened(values)
        kind = "integer" if seen.whole and (seen.written_whole or len(values) <= FEW) else "number"
        found = Guess({"type": kind, "unit": "?", "min": low, "max": high, "on_range": "warn"})
        found.remarks = {"unit": "fill in", "min": f"seen: {values[0]:g}", "max": f"seen: {values[-1]:g}"}
    if far or seen.tokens:
        found.settings["sentinels"] = [*map(_plain, far), *seen.tokens]
        found.remarks["sentinels"] = "read as missing; check"
    for value in set(_far(numbers)) - set(far):
        if counts[numbers == value].sum() >= 10:
            found.note = f"If {value:g}, far off and repeated, means missing, list it in sentinels."
    if "age" in words(seen.name) or "birth" in words(seen.name):
        _as_age(values, found)
    return found


def _far(values: np.ndarray[Any, Any]) -> list[float]:
    """Return the extremes that are further from all others than those are apart."""
    ordered = np.unique(values)
    if len(ordered) < 4:
        return []
    low, high = ordered[0], ordered[-1]
    found = [high] if high - ordered[-2] >= ordered[-2] - low else []
    return found + ([low] if ordered[1] - low >= high - ordered[1] else [])


def _widened(values: np.ndarray[Any, Any]) -> tuple[float | int, float | int]:
    """Move both ends out by the range seen, to two digits, but none across 0."""
    low, high = float(values[0]), float(values[-1])
    span = high - low
    return (
        0 if low >= 0 else _plain(-_up(span - low)),
        0 if high <= 0 else _plain(_up(high + span)),
    )


def _up(value: float) -> float:
    """Round a positive number up to two digits: 123 -> 130."""
    unit = 10.0 ** (floor(log10(value)) - 1)
    return ceil(value / unit - 1e-9) * unit


def _plain(value: float) -> float | int:
    """Write a whole number without a fraction, and any other without binary dust."""
    return int(value) if float(value).is_integer() else float(f"{value:.12g}")


def _as_age(values: np.ndarray[Any, Any], found: Guess) -> None:
    """Band by years what can be the ages of applicants: in years, or in days before the application."""
    middle = float(np.median(values))
    if values[0] >= 14 and 18 <= middle <= 80:
        scale, unit = 1.0, "years"
    elif values[-1] <= -14 * YEAR and -80 * YEAR <= middle <= -18 * YEAR:
        scale, unit = -1 / YEAR, "days"
    else:
        return
    years = values * scale
    found.edges = tuple(edge for edge in EDGES if years.min() < edge <= years.max()) or None
    found.scale = scale
    found.settings["unit"] = unit
    found.remarks["unit"] = "by name and values: audited as the applicant's age; check"
