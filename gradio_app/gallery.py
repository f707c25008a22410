"""The model in use and what was registered of its training, as HTML; knows no Gradio and no applicant."""

import base64
from pathlib import Path
from typing import Any

import pandas as pd

from credit.portfolio import Language, words
from gradio_app.registered import Model
from gradio_app.texts import say, texts
from gradio_app.view import render, spoken

__all__ = ["GALLERY", "gallery"]

#: File of the evidence to its title, in the order of the page; rows that a table shows at most.
GALLERY = {
    "calibration": "calibration",
    "cost_curve": "cost_curve",
    "importance": "importance",
    "shap": "shap",
    "kpis": "figures",
    "policies": "policies",
    "leaderboard": "candidates",
    "scores": "scores",
    "confusion": "confusion",
}
TABLE = 25


def gallery(told: Model, lang: Language) -> str:
    """Show the model in use with what was registered of its training."""
    version, decider = told.version, told.decider
    outcome = f"model.outcome_{version.outcome.replace(' ', '_')}"
    facts = [
        ("model.version", str(version)),
        ("model.registered", version.created[:19].replace("T", " ")),
        ("model.verdict", say(outcome, lang) if outcome in texts() else version.outcome),
        ("model.data", f"{version.tags.get('source', '-')} ({version.tags.get('rows', '-')})"),
        ("decision.threshold", words.percent(decider.scorer.threshold, lang)),
        ("model.digest", version.digest),
    ]
    groups = {f"groups_{each.name}": each.label for each in decider.portfolio.groups}
    titled = [(name, say(f"model.{key}", lang)) for name, key in GALLERY.items()]
    titled += [(name, say("model.fairness", lang, group=spoken(label, lang))) for name, label in groups.items()]
    shown = [
        (title, _image(told.figures.get(name)), _table(told.tables.get(name), lang))
        for name, title in titled
        if name in told.figures or name in told.tables
    ]
    synthetic = decider.reference.synthetic
    return render("model", lang, facts=facts, note=told.note, gallery=shown, synthetic=synthetic)


def _image(path: Path | None) -> str:
    return base64.b64encode(path.read_bytes()).decode() if path else ""


def _table(frame: pd.DataFrame | None, lang: Language) -> tuple[list[str], list[list[str]]] | None:
    """Write a table as text; numbers with as many digits as people read."""
    if frame is None:
        return None
    rows = [[_cell(value, lang) for value in row] for row in frame.head(TABLE).itertuples(index=False, name=None)]
    return [str(name).replace("_", " ") for name in frame.columns], rows


def _cell(value: Any, lang: Language) -> str:
    if isinstance(value, float):
        return "" if value != value else words.number(value, lang, 4)  # noqa: PLR0124 - NaN is missing
    return str(value)
