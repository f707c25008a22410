"""A book in the words and units of people, English and French: questions, values, faults; knows no rows and no model.

This is the module to import.  It adds what is wrong with a value to all of

    units.py     numbers: years instead of days before the application, thousands, percent
    answers.py   questions, answers to choose from, values
"""

from dataclasses import replace
from math import isfinite
from typing import Protocol

from credit.portfolio.answers import as_number, choices, help_text, question, sections, start, table, value
from credit.portfolio.book import Column, Label, Language, Portfolio
from credit.portfolio.units import (
    SPACE,
    YEARS,
    Described,
    bounds,
    counted,
    counts_back,
    entered,
    number,
    percent,
    say,
    to_human,
    to_raw,
    unit,
    unit_after,
    years,
)

__all__ = [
    "RULES",
    "Described",
    "Violated",
    "bounds",
    "choices",
    "fault",
    "help_text",
    "number",
    "percent",
    "question",
    "say",
    "sections",
    "start",
    "table",
    "to_human",
    "to_raw",
    "unit",
    "value",
]

#: Levels, and values or rows, that a sentence names.
NAMED, SHOWN = 8, 3

#: Rule of the contract to what is said of the field that breaks it; see `credit.data.report`.
RULES = {
    "no rows": Label("there is no row", "il n'y a aucune ligne"),
    "missing column": Label("the column is missing; please add it", "la colonne manque\u00a0; veuillez l'ajouter"),
    "unknown column": Label("is not used", "n'est pas utilisé"),
    "missing key": Label("is required; please fill it in", "réponse obligatoire\u00a0; veuillez compléter"),
    "duplicated key": Label("must occur only once", "ne doit figurer qu'une fois"),
    "no parent": Label("belongs to nothing above it, and does not count", "sans rattachement, donc non compté"),
    "missing value": Label("is required; please fill it in", "réponse obligatoire\u00a0; veuillez compléter"),
    "sentinel": Label("stands for a value that is not known", "code d'une valeur inconnue"),
    "not a number": Label("must be a number", "la valeur doit être un nombre"),
    "not finite": Label("must be a finite number", "la valeur doit être un nombre fini"),
    "not an integer": Label("must be a whole number", "la valeur doit être un nombre entier"),
    "not 0 or 1": Label("must be yes (1) or no (0)", "la valeur doit être oui (1) ou non (0)"),
    "out of range": Label("must be {}", "la valeur doit être {}"),
    "dated after the application": Label(
        "must not lie after the day of the application", "la date ne doit pas être postérieure au jour de la demande"
    ),
    "unknown level": Label("is not known; choose one of {}", "valeur inconnue\u00a0; choisissez parmi\u00a0: {}"),
    "target missing": Label("the outcome must be known", "l'issue doit être connue"),
    "target not 0 or 1": Label("must be 1 for a default and 0 for none", "doit être 1 pour un défaut et 0 sinon"),
    "empty target": Label("no row has a known outcome", "aucune ligne n'a d'issue connue"),
    "constant target": Label("all rows have the same outcome", "toutes les lignes ont la même issue"),
    "too few defaults": Label("too few defaults to learn from", "trop peu de défauts pour apprendre"),
    "too few without default": Label("too few good clients to learn from", "trop peu de bons clients pour apprendre"),
}
#: Rules that say too little without the value.
TOLD = {
    *("duplicated key", "not a number", "not finite", "not an integer", "not 0 or 1", "out of range"),
    *("dated after the application", "target not 0 or 1", "sentinel"),
}
MORE = Label(" and {} more", " et {} autres")
#: What became of a value that was no error.
DONE = {
    "warn": Label(" It is kept.", " Elle est conservée."),
    "null": Label(" It counts as not given.", " Elle compte comme non renseignée."),
}


class Violated(Protocol):
    """One rule broken in one column, as `credit.data.report.Violation` tells it."""

    @property
    def table(self) -> str:
        """Where."""

    @property
    def column(self) -> str:
        """Where; several names where the key has several."""

    @property
    def rule(self) -> str:
        """A key of `RULES`."""

    @property
    def rows(self) -> tuple[int, ...]:
        """The first rows that break it, from 1."""

    @property
    def values(self) -> tuple[str, ...]:
        """Their values, as found."""

    @property
    def severity(self) -> str:
        """Whether it is an error, or what became of the value."""


def fault(book: Portfolio, broken: Violated, lang: Language) -> str:
    """Say in the officer's words what is wrong with a value.

    Parameters
    ----------
    book : Portfolio
        The book.
    broken : Violation
        From the contract.
    lang : {"en", "fr"}
        The language.

    Returns
    -------
    str
        Field, rule and value: "Age: must be from 18 to 100 years; 12 years was given."
    """
    spec = book.tables.get(broken.table)
    column = spec.columns.get(broken.column) if spec else None
    if column is not None and broken.table != book.main and counts_back(column):
        column = replace(column, unit="")  # nobody is asked for it, and its own words name the unit
    comma = f"{SPACE}; " if lang == "fr" else ", "
    given = comma.join(_found(column, each, lang) for each in list(dict.fromkeys(broken.values))[:SHOWN])
    rule = say(RULES[broken.rule], lang).format(_allowed(book, column, broken.rule, lang))
    if broken.rule == "unknown level" and given:
        rule = f"{given}{_colon(lang) if lang == 'fr' else ''} {rule}"
    elif broken.rule in TOLD and given:
        rule += f"{SPACE}; valeur donnée{SPACE}: {given}" if lang == "fr" else f"; {given} was given"
    done = say(DONE[broken.severity], lang) if broken.severity in DONE and given else ""
    return f"{_place(book, broken, lang)}{_colon(lang)} {rule}.{done}"


def _place(book: Portfolio, broken: Violated, lang: Language) -> str:
    """Name the field; in a table of history also the table and the rows."""
    names = [name for name in broken.column.split(", ") if name]
    where = table(book, broken.table, lang)
    if broken.table == book.main:
        return ", ".join(question(book, name, lang) for name in names) or where
    if broken.rows:
        row = Label("row", "ligne") if len(broken.rows) == 1 else Label("rows", "lignes")
        where += f", {say(row, lang)} {', '.join(str(row) for row in broken.rows[:SHOWN])}"
    known = book.tables[broken.table].columns if broken.table in book.tables else {}
    fields = ", ".join(say(known[name].label, lang) if name in known else name for name in names)
    return f"{where}{_colon(lang)} {fields}" if fields else where


def _found(column: Column | None, text: str, lang: Language) -> str:
    """Write a value that was found; what is no number of its column stands in quotes."""
    found = as_number(text)
    if column is None or column.type == "category" or found is None or not isfinite(found):
        return f"«{SPACE}{text}{SPACE}»" if lang == "fr" else f"'{text}'"
    if column.type == "flag" or column.role == "key":
        return number(found, lang)
    low, high = bounds(column)
    shown = to_human(column, found)
    inside = (low is None or low <= shown) and (high is None or shown <= high)
    # A day too young must not read as the least age that is allowed.
    return (
        counted(round(years(found), 3), YEARS, lang) if inside and counts_back(column) else entered(column, found, lang)
    )


def _allowed(book: Portfolio, column: Column | None, rule: str, lang: Language) -> str:
    """Say what a rule allows: a range, or the first of the levels."""
    if column is None or rule not in ("out of range", "unknown level"):
        return ""
    if rule == "unknown level":
        words = [word for word, _ in choices(book, column, lang)]
        more = say(MORE, lang).format(len(words) - NAMED) if len(words) > NAMED else ""
        return ", ".join(words[:NAMED]) + more
    low, high = (None if each is None else number(each, lang) for each in bounds(column))
    after = unit_after(bounds(column)[1], YEARS if counts_back(column) else column.unit, lang)
    if low is not None and high is not None:
        return f"comprise entre {low} et {high}{after}" if lang == "fr" else f"from {low} to {high}{after}"
    least = Label("at least", "au moins") if high is None else Label("at most", "au plus")
    return f"{say(least, lang)} {low or high}{after}"


def _colon(lang: Language) -> str:
    return f"{SPACE}:" if lang == "fr" else ":"
