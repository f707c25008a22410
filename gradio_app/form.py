"""The officer's form: a raw application to what its fields show, and back; knows no Gradio and no model.

What the officer leaves alone stays the raw value, bit for bit: a field is read only if it differs from what it showed.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from credit.portfolio import Column, Label, Language, Portfolio, Section, words

__all__ = ["Kind", "asked", "blank", "kind", "levels", "reworded", "row", "sections", "shown"]

Kind = Literal["choice", "list", "text"]
Row = Mapping[str, Any]

#: At most so many levels are shown side by side; more go into a list.
FEW = 3
OTHER = Label("Further details", "Autres renseignements")
YES = ("1", "0")
NARROW = "\u202f"


def sections(book: Portfolio) -> tuple[Section, ...]:
    """Return the form's parts: the book's own, or one for each concept, and one with what no part asks for."""
    grouped = book.form or tuple(
        Section(label, tuple(each.name for each in book.features if each.group == name), at == 0)
        for at, (name, label) in enumerate(book.concepts.items())
    )
    held = {name for section in grouped for name in section.columns}
    left = tuple(each.name for each in book.features if each.name not in held)
    return tuple(section for section in (*grouped, Section(OTHER, left)) if section.columns)


def asked(book: Portfolio) -> tuple[Column, ...]:
    """Return the columns that the form asks for, in its order."""
    return tuple(book.columns[name] for section in sections(book) for name in section.columns)


def kind(column: Column) -> Kind:
    """Say how a column is asked for: choices side by side, a list of levels, or a field to write in."""
    known = levels(column)
    return "text" if not known else "choice" if len(known) <= FEW else "list"


def levels(column: Column) -> tuple[str, ...]:
    """Return the raw values to choose from; none where the officer writes."""
    return YES if column.type == "flag" else column.levels if column.type == "category" else ()


def blank(book: Portfolio) -> dict[str, Any]:
    """Return the raw application that a blank form starts from: the book's defaults."""
    defaults = {name: ask.default for name, ask in book.asks.items()}
    return {each.name: defaults[each.name] for each in asked(book) if defaults.get(each.name) is not None}


def shown(column: Column, raw: Any, lang: Language) -> str:
    """Return what a field shows for a raw value: a level, or text in human units; empty where it is missing."""
    if _missing(column, raw):
        return ""
    number = _number(str(raw), "en")
    if column.type == "flag":
        truth = {"true": 1.0, "false": 0.0}.get(str(raw).lower(), number)
        return "1" if truth == 1 else "0" if truth == 0 else _clean(raw)
    if column.type == "category" or number is None:
        return _clean(raw)
    return words.number(words.to_human(column, number), lang)


def row(book: Portfolio, raw: Row, entered: Mapping[str, Any], lang: Language) -> dict[str, Any]:
    """Return the raw application with what the officer changed.

    Parameters
    ----------
    book : Portfolio
        The book.
    raw : mapping
        The application that the form was filled from; columns that the form does not ask for included.
    entered : mapping of str to str or None
        By column: what the field holds now.
    lang : {"en", "fr"}
        The language in which numbers are written.

    Returns
    -------
    dict
        Untouched values are the objects of `raw`.  A number that cannot be read is kept as it was written, for the
        contract to refuse.
    """
    made = dict(raw)
    for name, value in entered.items():
        column, text = book.columns[name], _clean(value)
        if not _same(column, text, shown(column, raw.get(name), lang), lang):
            made[name] = _read(column, text, lang)
    return made


def reworded(text: Any, before: Language, after: Language) -> str:
    """Rewrite a number for another language, digit for digit; what is no number stays as it is."""
    written = _clean(text)
    plain = re.fullmatch(r"([-+]?)(\d{1,300})(\.\d*)?", _plain(written, before))
    if before == after or plain is None:
        return written
    sign, whole, rest = plain.groups(default="")
    grouped = f"{sign}{int(whole):,}{rest}"
    return grouped.replace(",", NARROW).replace(".", ",") if after == "fr" else grouped


def _same(column: Column, text: str, before: str, lang: Language) -> bool:
    """Whether a field says what it said before; numbers may be written otherwise."""
    if text == before or levels(column) or column.type == "category":
        return text == before
    number = _number(text, lang)
    return number is not None and number == _number(before, lang)


def _read(column: Column, text: str, lang: Language) -> Any:
    if not text:
        return None
    if levels(column) or column.type == "category":
        return text
    number = _number(text, lang)
    return text if number is None else words.to_raw(column, number)


def _missing(column: Column, raw: Any) -> bool:
    if raw is None or raw == "" or raw != raw:  # noqa: PLR0124 - NaN is missing
        return True
    number = _number(str(raw), "en")
    return any(raw == each or (number is not None and number == _number(str(each), "en")) for each in column.sentinels)


def _clean(value: Any) -> str:
    return "" if value is None else str(value).encode("utf-8", "replace").decode().strip()


def _plain(text: str, lang: Language) -> str:
    """Return the digits without groups, with a point."""
    bare = re.sub(r"[\s'\u2019]", "", text).replace("\u2212", "-")
    if lang == "en" and re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?", bare):
        return bare.replace(",", "")
    return bare.replace(",", ".") if bare.count(",") == 1 and "." not in bare else bare


def _number(text: str, lang: Language) -> float | None:
    try:
        number = float(_plain(text, lang))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
