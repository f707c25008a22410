"""Numbers in the units and spelling of people, English and French; knows columns, and no book.

A column of days whose highest value is 0 or below counts back from the application, and people count it in years: a
date of birth becomes an age.  Whatever else a column holds is entered and shown as it is.
"""

from math import ceil, floor, isfinite, log10
from typing import Protocol

from credit.portfolio.book import Column, Label, Language

__all__ = [
    "SPACE",
    "YEARS",
    "Described",
    "amount",
    "bounds",
    "counted",
    "counts_back",
    "derived",
    "entered",
    "number",
    "percent",
    "say",
    "to_human",
    "to_raw",
    "unit",
    "unit_after",
    "years",
]

#: Days in a year, as everywhere in the house.
YEAR = 365.25
#: Decimals of a time in years.
DIGITS = 1
#: Spaces that do not break: between thousands, and before a unit or a French colon.
NARROW, SPACE = "\u202f", "\u00a0"

YEARS = "years"
#: Unit to its word for one and for more.
UNITS = {
    YEARS: (Label("year", "an"), Label("years", "ans")),
    "months": (Label("month", "mois"), Label("months", "mois")),
    "days": (Label("day", "jour"), Label("days", "jours")),
    "hour": (Label("h", "h"), Label("h", "h")),
}
AGO = Label("{} ago", "il y a {}")


class Described(Protocol):
    """A column, or a feature made of columns."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def unit(self) -> str:
        """What it counts."""


def say(label: Label, lang: Language) -> str:
    """Return the words of one language."""
    return label.fr if lang == "fr" else label.en


# ---- Between the units of the book and those of people -----------------------------------------------------------


def counts_back(column: Column) -> bool:
    """Whether a column is a date, in days before the application."""
    return column.unit == "days" and column.maximum is not None and column.maximum <= 0


def years(days: float) -> float:
    """Turn days before the application, below 0, into years."""
    return -days / YEAR + 0.0


def to_human(column: Column, raw: float) -> float:
    """Turn a raw number into the unit of people: days before the application into years, to one decimal."""
    return round(years(raw), DIGITS) + 0.0 if counts_back(column) else raw


def to_raw(column: Column, human: float, known: float | None = None) -> float:
    """Turn a number in the unit of people into the raw one.

    Parameters
    ----------
    column : Column
        The column.
    human : float
        As entered.
    known : float, optional
        The raw value that was shown: it is kept, to the day, where what was shown has not been changed.

    Returns
    -------
    float
        Whole days for years before the application, within the column's bounds where `human` is within `bounds`.
    """
    if known is not None and to_human(column, known) == human:
        return known
    if not counts_back(column) or not isfinite(human):
        return human
    days = -human * YEAR
    whole = round(days)
    if column.maximum is not None and days <= column.maximum < whole:
        whole = floor(days)
    if column.minimum is not None and whole < column.minimum <= days:
        whole = ceil(days)
    return float(whole)


def bounds(column: Column) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value in the unit of people, rounded inwards; None where it is open."""
    low, high = column.minimum, column.maximum
    if not counts_back(column):
        return low, high
    scale = 10**DIGITS
    lowest = ceil(round(years(high or 0.0) * scale, 9)) / scale
    return lowest, None if low is None else floor(round(years(low) * scale, 9)) / scale


def unit(column: Described, lang: Language) -> str:
    """Return the word for what a column counts; empty where there is none, as with amounts and shares."""
    name = YEARS if isinstance(column, Column) and counts_back(column) else column.unit
    return say(UNITS[name][1], lang) if name in UNITS else ""


# ---- Numbers as text ---------------------------------------------------------------------------------------------


def number(found: float, lang: Language, digits: int = 2) -> str:
    """Write a number, grouped by thousands: "1,250,000.5" in English, "1 250 000,5" in French.

    Parameters
    ----------
    found : float
        The number.
    lang : {"en", "fr"}
        The language.
    digits : int
        The most decimals; a number below 1 keeps at least four significant digits, if there are to be any decimals.
    """
    if not isfinite(found):
        return str(found)
    small = 0 < abs(found) < 1 and digits > 1
    text = f"{found:,.{min(3 - floor(log10(abs(found))), 12) if small else digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return _local("0" if text == "-0" else text, lang)


def percent(share: float, lang: Language, digits: int = 1) -> str:
    """Write a share as percent: "12.3%" in English, "12,3 %" in French."""
    return f"{number(100 * share, lang, digits)}{NARROW if lang == 'fr' else ''}%"


def amount(found: float, lang: Language) -> str:
    """Write an amount of money: two decimals, or none where it is whole."""
    whole = not isfinite(found) or round(found, 2) == round(found)
    return number(found, lang, 0) if whole else _local(f"{found:,.2f}", lang)


def counted(found: float, name: str, lang: Language) -> str:
    """Write a number with the word of its unit."""
    return f"{number(found, lang, 3)}{unit_after(found, name, lang)}"


def unit_after(found: float | None, name: str, lang: Language) -> str:
    """Return a unit's word as it follows a number, with the space between; empty for a unit that has none."""
    if name not in UNITS:
        return ""
    one = found is not None and (abs(found) < 2 if lang == "fr" else abs(found) == 1)
    return f"{SPACE if lang == 'fr' else ' '}{say(UNITS[name][0 if one else 1], lang)}"


def entered(column: Column, found: float, lang: Language) -> str:
    """Write a column's number as it is entered, with its unit."""
    if counts_back(column):
        return counted(to_human(column, found), YEARS, lang)
    return amount(found, lang) if column.unit == "currency" else counted(found, column.unit, lang)


def derived(name: str, found: float, lang: Language) -> str:
    """Write a derived number: shares as percent, times before the application as such, large amounts whole."""
    if name == "share":
        return percent(found, lang)
    if name == "currency":
        return amount(found if abs(found) < 1000 else round(found), lang)
    if name in ("days", "months") and found < 0:
        long = name == "days" and found <= -YEAR
        ago = counted(round(years(found), DIGITS), YEARS, lang) if long else counted(-round(found), name, lang)
        return say(AGO, lang).format(ago)
    return counted(round(found, DIGITS) if name in UNITS else found, name, lang)


def _local(text: str, lang: Language) -> str:
    return text.replace(",", NARROW).replace(".", ",") if lang == "fr" else text
