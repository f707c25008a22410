"""Questions to an officer, the answers there are, and values in words, English and French; knows no rows."""

import re
import unicodedata
from typing import Any

from credit.portfolio.book import Column, Label, Language, Portfolio, Section
from credit.portfolio.units import Described, derived, entered, say, to_human

__all__ = ["as_number", "choices", "help_text", "question", "sections", "start", "table", "value"]

#: From this many levels on, a list is sorted by its words; a shorter one keeps the portfolio's order.
LONG = 10
YES, NO = Label("yes", "oui"), Label("no", "non")
NOT_GIVEN = Label("not given", "non renseigné")
TRUE, FALSE = ("1", "y", "yes", "true"), ("0", "n", "no", "false")


def question(book: Portfolio, name: str, lang: Language) -> str:
    """Return what an officer is asked for a column of the main table, without its unit.

    Parameters
    ----------
    book : Portfolio
        The book.
    name : str
        The column.
    lang : {"en", "fr"}
        The language.

    Returns
    -------
    str
        The question, or else the column's own words, or else its name.
    """
    ask, column = book.asks.get(name), book.columns.get(name)
    return say(ask.label if ask else column.label if column else Label(name, name), lang)


def help_text(book: Portfolio, name: str, lang: Language) -> str:
    """Return the sentence of help for a column of the main table; empty where there is none."""
    ask = book.asks.get(name)
    return "" if ask is None else ask.help_fr if lang == "fr" else ask.help_en


def start(book: Portfolio, name: str) -> str | float | None:
    """Return what a blank form begins with: a level of `choices`, a number in human units, or None for nothing."""
    ask, column = book.asks.get(name), book.columns[name]
    if ask is None or ask.default is None:
        return None
    if column.type in ("category", "flag"):
        return _plain(ask.default)
    return to_human(column, float(ask.default))


def sections(book: Portfolio) -> tuple[Section, ...]:
    """Return the parts of the form: the portfolio's own, or else one that is made from the concepts.

    A form that is made has a section for each concept with several columns, after one that gathers the others and is
    named as the table; those with a column that may not be missing are open.
    """
    if book.form:
        return book.form
    by_concept: dict[str, list[Column]] = {}
    for column in book.features:
        by_concept.setdefault(column.group, []).append(column)
    alone = [columns[0] for columns in by_concept.values() if len(columns) == 1]
    parts = [(book.tables[book.main].label, alone)] if alone else []
    parts += [(book.concepts[name], columns) for name, columns in by_concept.items() if len(columns) > 1]
    return tuple(
        Section(label, tuple(column.name for column in columns), not all(column.missing for column in columns))
        for label, columns in parts
    )


def choices(book: Portfolio, column: Column, lang: Language) -> list[tuple[str, str]]:
    """List the answers of a category or a flag.

    Parameters
    ----------
    book : Portfolio
        The book.
    column : Column
        The column.
    lang : {"en", "fr"}
        The language.

    Returns
    -------
    list of (str, str)
        Words, and the raw level that they stand for; long lists by their words, short ones in the portfolio's order.
        Empty for a number, and for a category that allows anything.
    """
    levels = ("1", "0") if column.type == "flag" else column.levels
    pairs = [(_level(book, column, level, lang), level) for level in levels]
    return sorted(pairs, key=lambda pair: _collated(pair[0])) if len(pairs) >= LONG else pairs


def value(book: Portfolio, subject: Described, raw: Any, lang: Language) -> str:
    """Write a value for people.

    Parameters
    ----------
    book : Portfolio
        The book.
    subject : Column or feature
        What it is a value of; a feature that is a column of the main table is taken for that column.
    raw : object
        Text, number or truth, as data hold it; None, NaN, an empty text and the column's sentinels are missing.
    lang : {"en", "fr"}
        The language.

    Returns
    -------
    str
        Such as "32.9 years", "1,250,000", "12.3%", "yes", "Higher education", "not given".
    """
    column = subject if isinstance(subject, Column) else book.columns.get(subject.name)
    if _is_missing(column, raw):
        return say(NOT_GIVEN, lang)
    if column is not None and column.type in ("category", "flag"):
        return _level(book, column, _plain(raw), lang)
    found = as_number(raw)
    if found is None:
        return str(raw)
    return derived(subject.unit, found, lang) if column is None else entered(column, found, lang)


def table(book: Portfolio, name: str, lang: Language) -> str:
    """Return the words for a table; its name where the book does not know it."""
    return say(book.tables[name].label, lang) if name in book.tables else name


def as_number(raw: Any) -> float | None:
    """Read a number; None where it is none."""
    try:
        return float(raw)
    except (TypeError, ValueError):
        return None


def _level(book: Portfolio, column: Column, level: str, lang: Language) -> str:
    """Return the words of a level; those under ``COLUMN=level`` win over those of the level alone."""
    known = book.words.get(f"{column.name}={level}") or (column.type == "category" and book.words.get(level))
    if known:
        return say(known, lang)
    plain = level.lower()
    if column.type == "flag" or {each.lower() for each in column.levels} <= {*TRUE, *FALSE}:
        return say(YES, lang) if plain in TRUE else say(NO, lang) if plain in FALSE else level
    return level


def _is_missing(column: Column | None, raw: Any) -> bool:
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return True
    if not isinstance(raw, str) and str(raw) in ("nan", "<NA>", "NaT"):
        return True
    return column is not None and _plain(raw) in {_plain(each) for each in column.sentinels}


def _plain(raw: Any) -> str:
    """Write a level as the contract knows it: 1, 1.0 and "1.0" are "1", and so is true."""
    text = str(int(raw)) if isinstance(raw, bool) else str(raw).strip()
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text)


def _collated(text: str) -> str:
    """Return what a text is sorted by: neither case nor accents count."""
    return "".join(each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each))
