"""Which component says what in which language; knows no page and no data."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gradio as gr

from credit.portfolio import Language
from gradio_app.texts import say

__all__ = ["Wording", "html", "text"]

Said = Callable[[Language], Any]
C = TypeVar("C", bound=gr.blocks.Block)


def text(key: str, **fill: Any) -> Said:
    """Return a text of the page as a function of the language."""
    return lambda lang: say(key, lang, **fill)


def html(*classes: str) -> dict[str, Any]:
    """Return the options of an HTML component that style.css draws, and Gradio's own styles leave alone."""
    return {"apply_default_css": False, "elem_classes": ["cr", *classes]}


class Wording:
    """The components of a page that speak, and the words of each.

    Parameters
    ----------
    lang : {"en", "fr"}
        The language that components are made in.
    """

    def __init__(self, lang: Language = "en") -> None:
        self.lang = lang
        self.held: list[tuple[Any, Mapping[str, Said]]] = []

    def add(self, kind: Callable[..., C], *args: Any, say: Mapping[str, Said], **options: Any) -> C:
        """Make a component; `say` gives by property what it says in a language."""
        made = kind(*args, **{name: said(self.lang) for name, said in say.items()}, **options)
        self.held.append((made, say))
        return made

    @property
    def components(self) -> list[Any]:
        """All that speak."""
        return [component for component, _ in self.held]

    def updates(self, lang: Language) -> list[Any]:
        """Return an update for each of `components`."""
        return [gr.update(**{name: said(lang) for name, said in say.items()}) for _, say in self.held]
