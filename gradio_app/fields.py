"""The form's fields as Gradio components, and what fills them; reads nothing from them and knows no model."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gradio as gr

from credit.portfolio import Column, Language, Portfolio, words
from gradio_app import form
from gradio_app.texts import say
from gradio_app.wording import Wording

__all__ = ["Fields", "anchor"]


class Fields:
    """The form of one book; made inside a Gradio layout.

    Parameters
    ----------
    book : Portfolio
        The book.
    wording : Wording
        Takes up what the fields say.

    Attributes
    ----------
    components, sections : list
        The fields in the form's order, and the parts that hold them.
    """

    def __init__(self, book: Portfolio, wording: Wording) -> None:
        self.book = book
        self.columns = form.asked(book)
        self.parts = form.sections(book)
        self.names = [each.name for each in self.columns]
        self.components: list[Any] = []
        self.sections: list[Any] = []
        raw = form.blank(book)
        for part in self.parts:
            label = part.label
            with wording.add(gr.Accordion, open=part.open, say={"label": partial(_label, label)}) as section, gr.Row():
                self.components += [self._field(book.columns[name], raw.get(name), wording) for name in part.columns]
            self.sections.append(section)

    @property
    def written(self) -> list[Any]:
        """The fields in which the officer writes."""
        return [one for one, column in zip(self.components, self.columns, strict=True) if form.kind(column) == "text"]

    def fill(self, raw: Mapping[str, Any], lang: Language) -> list[Any]:
        """Return an update for each field, to show a raw application."""
        return [self._filled(column, raw.get(column.name), lang) for column in self.columns]

    def rewrite(self, values: Sequence[Any], before: Language, after: Language) -> list[Any]:
        """Return an update for each field, to say the same in another language."""
        made = []
        for column, value in zip(self.columns, values, strict=True):
            if form.kind(column) == "text":
                number = column.type in ("number", "integer")
                made.append(gr.update(value=form.reworded(value, before, after) if number else value))
            else:
                made.append(gr.update(choices=self._choices(column, after, value or ""), value=value))
        return made

    def read(self, raw: Mapping[str, Any], values: Sequence[Any], lang: Language) -> dict[str, Any]:
        """Return the raw application with what the officer changed."""
        return form.row(self.book, raw, dict(zip(self.names, values, strict=True)), lang)

    def where(self, lang: Language) -> dict[str, tuple[str, str]]:
        """Return each column's part of the form, in words, and the id of its field."""
        return {name: (_label(part.label, lang), anchor(name)) for part in self.parts for name in part.columns}

    def opening(self, columns: Sequence[str]) -> list[Any]:
        """Return an update for each part, to open those that hold one of the columns."""
        return [gr.update(open=True) if set(part.columns) & set(columns) else gr.skip() for part in self.parts]

    def _field(self, column: Column, raw: Any, wording: Wording) -> Any:
        lang = wording.lang
        say = {"label": partial(_question, self.book, column), "info": partial(_help, self.book, column)}
        options = {"value": form.shown(column, raw, lang), "elem_id": anchor(column.name), "min_width": 220}
        kind = form.kind(column)
        if kind == "text":
            spoken = gr.InputHTMLAttributes(autocomplete="off", spellcheck=False)
            return wording.add(gr.Textbox, max_lines=1, say=say, html_attributes=spoken, interactive=True, **options)
        options |= {"choices": self._choices(column, lang), "value": options["value"] or None}
        return wording.add(gr.Radio if kind == "choice" else gr.Dropdown, say=say, interactive=True, **options)

    def _filled(self, column: Column, raw: Any, lang: Language) -> Any:
        value = form.shown(column, raw, lang)
        if form.kind(column) == "text":
            return gr.update(value=value)
        return gr.update(choices=self._choices(column, lang, value), value=value or None)

    def _choices(self, column: Column, lang: Language, held: str = "") -> list[tuple[str, str]]:
        """List the answers; what a client's row holds beside the known levels is one too."""
        known = [(word[:1].upper() + word[1:], level) for word, level in words.choices(self.book, column, lang)]
        if held and held not in form.levels(column):
            known.append((held, held))
        return [*known, (f"({say('applicant.not_given', lang)})", "")] if column.missing else known


def anchor(column: str) -> str:
    """Return the id that a column's field has on the page."""
    return "field-" + re.sub(r"\W", "-", column)


def _label(label: Any, lang: Language) -> str:
    return str(label.fr if lang == "fr" else label.en)


def _question(book: Portfolio, column: Column, lang: Language) -> str:
    unit = words.unit(column, lang)
    asked = words.question(book, column.name, lang)
    return f"{asked} ({unit})" if unit else asked


def _help(book: Portfolio, column: Column, lang: Language) -> str:
    parts = [words.help_text(book, column.name, lang), _range(column, lang) if not form.levels(column) else ""]
    if column.missing:
        parts.append(say("applicant.optional", lang))
    return " · ".join(part for part in parts if part)


def _range(column: Column, lang: Language) -> str:
    low, high = words.bounds(column)
    shown = {name: words.number(each, lang) for name, each in (("low", low), ("high", high)) if each is not None}
    key = {2: "from_to", 0: ""}.get(len(shown), "at_least" if "low" in shown else "at_most")
    return say(f"applicant.{key}", lang, **shown) if key else ""
