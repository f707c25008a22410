"""What the page shows of a decision, as HTML and text in the officer's language; knows no Gradio and decides nothing.

Templates escape whatever they fill in: names, levels and reasons come from data and from people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from credit.errors import ContractError, CreditError, ServiceError
from credit.portfolio import Label, Language, Portfolio, words
from credit.scoring.decider import Decider, Decision
from credit.scoring.whatif import WhatIf
from gradio_app import charts
from gradio_app.batches import Batch
from gradio_app.desk import NoChampionError
from gradio_app.faults import faults as taken_apart
from gradio_app.texts import say

__all__ = [
    "Shown",
    "batch",
    "earlier",
    "faults",
    "fixed",
    "header",
    "history",
    "labels",
    "monitoring",
    "notice",
    "render",
    "result",
    "sentence",
    "spoken",
    "what_if",
]

MINUS = "\u2212"
#: Decision to the word for what became of an application.
PAST = {"approve": "decision.approved", "review": "decision.reviewed", "decline": "decision.declined"}


@dataclass(frozen=True)
class Shown:
    """A decision on the page, with what is needed to show it in another language.

    Parameters
    ----------
    number : int
        Its number in the ledger.
    decision : Decision
        What was decided.
    decider : Decider
        By which model; it may be the champion no more.
    application, history : mapping
        On what.
    final : str
        The decision that holds; the officer's, where there is one.
    reason : str
        The officer's reason; empty where the model's decision holds.
    """

    number: int
    decision: Decision
    decider: Decider
    application: Mapping[str, Any]
    history: Mapping[str, Any]
    final: str = ""
    reason: str = ""

    def overridden(self, to: str, reason: str) -> "Shown":
        """Return the same after an officer decided otherwise."""
        return replace(self, final=to, reason=reason)


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(
        loader=loader,
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, lang: Language, **context: Any) -> str:
    """Fill in a template; it has `t` for texts, and formats of the language."""
    tools = {
        "t": lambda key, **fill: say(key, lang, **fill),
        "percent": partial(words.percent, lang=lang),
        "places": _places,
        "number": partial(words.number, lang=lang),
        "signed": lambda value, digits=2: _signed(value, lang, digits),
        "fixed": partial(fixed, lang=lang),
        "say": lambda label: spoken(label, lang),
        "lang": lang,
        "past": PAST,
    }
    return _templates().get_template(f"{template}.html").render(**tools, **context)


def header(lang: Language, current: Any, trouble: str = "", other_book: bool = False) -> str:
    """Name the model in use, or say how to come by one; `current` is what `Serving.current` returns."""
    version, decider = current or (None, None)
    return render(
        "header",
        lang,
        version=version,
        synthetic=decider is not None and decider.reference.synthetic,
        title=decider.portfolio.title if decider else None,
        trouble=trouble,
        other_book=other_book,
    )


def history(book: Portfolio, client: str, tables: Mapping[str, Sequence[Any]], lang: Language) -> str:
    """Say whose form is open, and how many rows of history are known."""
    counts = [(words.table(book, name, lang), len(rows)) for name, rows in tables.items() if rows]
    return render("history", lang, client=client, counts=counts)


def faults(
    book: Portfolio, error: CreditError, lang: Language, sections: Mapping[str, tuple[str, str]] | None = None
) -> str:
    """Say in the officer's words what is wrong with what was entered.

    Parameters
    ----------
    book : Portfolio
        The book.
    error : CreditError
        All violations at once, where it is a `ContractError`.
    lang : {"en", "fr"}
        The language.
    sections : dict of str to (str, str), optional
        By column: its part of the form in words, and the id of its field.
    """
    if isinstance(error, NoChampionError):
        return notice("page.none_title", lang)
    if isinstance(error, ServiceError):
        return render(
            "faults", lang, items=[(say("page.busy", lang), ("", "")), (str(error), ("", ""))], contract=False
        )
    places = sections or {}
    items = [
        (each.message, places.get(each.column, ("", "")) if each.table == book.main else ("", ""))
        for each in taken_apart(book, error, lang)
    ]
    return render("faults", lang, items=items, contract=isinstance(error, ContractError))


def notice(key: str, lang: Language, *, good: bool = False, **fill: Any) -> str:
    """Show one sentence: what is wrong, or what is done."""
    return sentence(say(key, lang, **fill), lang, good=good)


def sentence(words_: str, lang: Language, *, good: bool = False) -> str:
    """Show words that are no text of the page."""
    return render("notice", lang, words=words_, good=good)


def result(shown: Shown, lang: Language) -> str:
    """Show a decision: the word, the probability, the threshold, the book, the costs, the reasons and the waterfall."""
    decision, decider = shown.decision, shown.decider
    book = decider.portfolio
    side = "between" if decision.decision == "review" else "above" if decision.decision == "decline" else "below"
    return render(
        "result",
        lang,
        shown=shown,
        d=decision,
        side=side,
        chart=charts.distribution(decider.reference.scores, decision.threshold, decision.probability),
        bands=[band.name for band in book.bands],
        least=min(decision.costs, key=lambda action: decision.costs[action]),
        missing=[words.question(book, name, lang) for name in decision.missing],
        reasons=[(spoken(reason, lang), reason.probability) for reason in decision.reasons],
        fall=charts.waterfall(decision.explanation, labels(decider)),
    )


def labels(decider: Decider) -> dict[str, tuple[str, Label]]:
    """Return the concept and the words of each feature, and the words of each concept under its own name."""
    features = {f"feature {each.name}": (each.concept, each.label) for each in decider.features}
    alone = {each.concept: (each.concept, each.label) for each in decider.features}
    gathered = {name: (name, label) for name, label in decider.portfolio.concepts.items()}
    return features | alone | gathered


def what_if(shown: Shown, found: WhatIf, lang: Language) -> str:
    """Show the smallest changes that change the decision."""
    book = shown.decider.portfolio
    proposals = [
        (
            each.label_fr if lang == "fr" else each.label_en,
            [_change(book, name, *values, lang) for name, values in each.changes.items()],
            each,
        )
        for each in found.proposals
    ]
    note = found.note_fr if lang == "fr" else found.note_en
    limit = shown.decision.threshold
    return render("whatif", lang, proposals=proposals, note=note, headroom=found.goal == "headroom", threshold=limit)


def _places(probability: float, threshold: float) -> int:
    """Return how many decimals of a percentage tell a probability from the threshold that decides on it."""
    apart = (places for places in (1, 2, 3) if round(100 * probability, places) != round(100 * threshold, places))
    return next(apart, 4)


def _change(book: Portfolio, name: str, now: float, then: float, lang: Language) -> tuple[str, str, str]:
    column = book.columns[name]
    return words.question(book, name, lang), words.value(book, column, now, lang), words.value(book, column, then, lang)


def earlier(records: Sequence[Any], lang: Language) -> str:
    """List a client's decisions, the newest first."""
    return render("earlier", lang, records=records)


def monitoring(summary: pd.DataFrame, days: int, lang: Language) -> str:
    """Show what the ledger says of each day on which something was decided, the newest first.

    Parameters
    ----------
    summary : DataFrame
        As `Records.summary` returns it.
    days : int
        How many it looks back.
    lang : {"en", "fr"}
        The language.
    """
    busy = summary[(summary["decisions"] > 0) | (summary["overrides"] > 0)].iloc[::-1]
    rows = [dict(zip(busy.columns, values, strict=True)) for values in busy.itertuples(index=False, name=None)]
    most = max((row["decisions"] for row in rows), default=0)
    return render("monitoring", lang, rows=rows, days=days, most=most)


def batch(scored: Batch, rejected: pd.DataFrame, lang: Language, synthetic: bool) -> str:
    """Sum up what came of a file, with the first rejected rows."""
    keys = [name for name in ("row", "field", "message") if name in rejected]
    heads = [say(f"batch.{name}", lang) for name in keys]
    return render(
        "batch", lang, batch=scored, rows=rejected[keys].to_numpy().tolist(), heads=heads, synthetic=synthetic
    )


def spoken(label: Any, lang: Language) -> str:
    """Return the words of a label, or of a reason, in a language."""
    return str(label.fr if lang == "fr" else label.en)


def fixed(value: float, lang: Language, digits: int = 2) -> str:
    """Write a number with a fixed number of decimals, as columns of numbers need."""
    text = f"{abs(value):.{digits}f}"
    sign = MINUS if value < 0 and float(text) else ""
    return sign + (text.replace(".", ",") if lang == "fr" else text)


def _signed(value: float, lang: Language, digits: int) -> str:
    text = fixed(value, lang, digits)
    return text if text[0] == MINUS else f"+{text}"
