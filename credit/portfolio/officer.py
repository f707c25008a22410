"""What must hold of all that an officer sees: reasons, words, questions, form, actions, bands; reads no file."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from re import fullmatch

from credit.portfolio.book import Action, Ask, Column, Portfolio
from credit.settings import KeyPath, hint

__all__ = ["NAME", "Broken", "repeated", "shown"]

#: Names become names of files, modules and registered models: none may lead elsewhere.
NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"

Broken = Iterator[tuple[KeyPath, str]]


def shown(book: Portfolio) -> Broken:
    """Yield the key path and the words of every rule that is broken by what an officer sees."""
    concepts = [*book.concepts, *(column.name for column in book.features if not column.group)]
    for concept in book.adverse:
        if concept not in concepts:
            yield ("adverse", concept), f"must be one of the [concepts], not {concept!r}; {hint(concept, concepts)}"
    yield from _words(book)
    for name, ask in book.asks.items():
        yield from _ask(book, ask, ("asks", name))
    yield from _form(book)
    if names := repeated(action.name for action in book.actions):
        yield ("actions",), f"must differ in name, but are there twice: {names}."
    for at, action in enumerate(book.actions, start=1):
        yield from _action(book, action, ("actions", str(at)))
    yield from _bands(book)


def repeated(values: Iterable[object]) -> str:
    """Name the values that occur more than once."""
    return ", ".join(str(value) for value, count in Counter(values).items() if count > 1)


def _words(book: Portfolio) -> Broken:
    """Words stand for a level, or for COLUMN=level where the same level means different things."""
    columns = [column for table in book.tables.values() for column in table.columns.values()]
    categories = [column for column in columns if column.type == "category"]
    if any(not column.levels for column in categories if column.role != "excluded"):
        return
    levels = {
        level for column in categories for level in (*column.levels, *(f"{column.name}={x}" for x in column.levels))
    }
    for word in book.words:
        if word not in levels:
            yield ("words", word), f"must be a level of a category, or COLUMN=level, not {word!r}; {hint(word, levels)}"


def _ask(book: Portfolio, ask: Ask, where: KeyPath) -> Broken:
    column = book.columns.get(ask.name)
    if column is None:
        known = hint(ask.name, book.columns)
        yield where, f"must be a column of table '{book.main}', not {ask.name!r}; {known}"
    elif ask.default is not None and (rule := _unfit(column, ask.default)):
        yield (*where, "default"), f"must be {rule}, as in the raw column, not {ask.default!r}."


def _unfit(column: Column, default: str | float) -> str:
    """Say what a default must be; nothing where it is."""
    if column.type == "category":
        fits = default in column.levels if column.levels else isinstance(default, str)
        return "" if fits else f"one of the levels of {column.name!r}"
    if column.type == "flag":
        return "" if default in (0, 1) else "0 or 1"
    if isinstance(default, str):
        return "a number"
    low, high = column.minimum, column.maximum
    if (low is not None and default < low) or (high is not None and default > high):
        return f"between the column's min and max, {low} and {high}"
    return "a whole number" if column.type == "integer" and default % 1 else ""


def _form(book: Portfolio) -> Broken:
    asked = {name for name, column in book.columns.items() if column.role in ("feature", "protected")}
    for at, section in enumerate(book.form, start=1):
        for name in section.columns:
            if name not in asked:
                known = hint(name, asked)
                yield ("form", str(at), "columns"), f"must be features of table '{book.main}', not {name!r}; {known}"
    there = [name for section in book.form for name in section.columns]
    if names := repeated(there):
        yield ("form",), f"asks for each column once, but twice for: {names}."
    left = [column.name for column in book.features if not column.missing and column.name not in there]
    if book.form and left:
        yield ("form",), f"must ask for every feature that may not be missing; add {', '.join(left)}."


def _action(book: Portfolio, action: Action, where: KeyPath) -> Broken:
    actionable = [column.name for column in book.features if column.actionable and column.type in ("number", "integer")]
    if not fullmatch(NAME, action.name):
        yield (*where, "name"), f"must be letters, digits and _ and begin with a letter, not {action.name!r}."
    if not action.scales:
        yield (*where, "scales"), "changes nothing; name a column and its exponent."
    for name, exponent in action.scales.items():
        if name not in actionable:
            known = hint(name, actionable)
            yield (*where, "scales", name), f"must be an actionable column of numbers, not {name!r}; {known}"
        if exponent == 0:
            yield (*where, "scales", name), "must not be 0, which changes nothing; leave the column out."
    if not 0 < action.low <= 1 <= action.high:
        yield (*where, "low"), f"low and high must be factors around 1, not {action.low:g} and {action.high:g}."


def _bands(book: Portfolio) -> Broken:
    edges = [band.below for band in book.bands]
    if not edges or edges[-1] != 1 or any(low >= high for low, high in pairwise([0.0, *edges])):
        yield ("bands",), f"below must increase from above 0 to 1, not {edges}."
    if names := repeated(band.name for band in book.bands):
        yield ("bands",), f"must differ in name, but are there twice: {names}."
