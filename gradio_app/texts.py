"""The words of the page in two languages, from texts.toml; knows no data."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from credit.portfolio import Language

__all__ = ["LANGUAGES", "language", "say", "texts"]

#: Language to what it calls itself.
LANGUAGES: dict[Language, str] = {"en": "English", "fr": "Français"}


@cache
def texts() -> dict[str, dict[Language, str]]:
    """Return every text, by "section.name"."""
    read = tomllib.loads((Path(__file__).parent / "texts.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, held in read.items() for name, text in held.items()}


def say(key: str, lang: Language, **fill: Any) -> str:
    """Return a text in a language, its braces filled in."""
    return texts()[key][lang].format(**fill)


def language(asked: str | None) -> Language:
    """Return the language that someone asks for by its code; English for any other code."""
    return "fr" if (asked or "").lower().split("-")[0] == "fr" else "en"
