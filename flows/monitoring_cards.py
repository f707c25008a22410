"""What the cards of MonitoringFlow show: components from a status that `credit` made; computes nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from cards import grid, picture
from metaflow.cards import Markdown

from credit import plots

if TYPE_CHECKING:  # a task must not import what it only names
    from credit.portfolio import Monitoring

__all__ = ["actions", "drift", "money", "status"]

#: Rows of a long table.
SHOWN = 30
COLOURS = {"OK": "🟢", "WARN": "🟠", "ALERT": "🔴"}
MADE_UP = "**Synthetic**: the model or the applicants are made up; no figure here is about real people."


def drift(card: Any, told: Mapping[str, Any], window: str, limits: Monitoring) -> None:
    """Show what has shifted, and what the shifts cost."""
    made_up = _title(card, "What has shifted", window)
    features, score = pd.DataFrame(told["features"]), told["score"]
    card.append(
        Markdown(
            f"Probability of default: mean **{score['mean_now']:.2%}**, was {score['mean_before']:.2%}; population "
            f"stability index **{score['psi']:.3f}** (chance alone reaches {score['floor']:.3f})."
        )
    )
    picture(card, plots.shift_plot(features, limits.psi, synthetic=made_up))
    costs = pd.DataFrame(told["drift"])
    if len(costs):
        picture(card, plots.drift_cost_plot(costs, synthetic=made_up))
    else:
        card.append(Markdown("No feature is beyond its limit, so there is no shift to put a price on."))
    card.append(Markdown("## Groups and segments"))
    card.append(
        _table(told["parts"], {"part": "", "level": "", "psi": ".3f", "share_before": ".1%", "share_now": ".1%"})
    )
    card.append(Markdown(f"## Features, what matters most first ({min(SHOWN, len(features))} of {len(features)})"))
    columns = {"feature": "", "psi": ".3f", "floor": ".3f", "importance": ".1%"}
    columns |= {"missing_before": ".1%", "missing_now": ".1%", "unseen_now": ".1%"}
    card.append(_table(told["features"][:SHOWN], columns))


def money(card: Any, told: Mapping[str, Any], window: str) -> None:
    """Show what decisions cost, and how good the model was where outcomes are known."""
    made_up = _title(card, "What the decisions cost", window)
    costs = told["money"]
    rows = [
        {"cost per applicant": words, **_ends(costs[name])}
        for name, words in (
            ("promised", "promised: realised on the validation rows"),
            ("promised_expected", "the same, as the estimator sees them"),
            ("expected", "expected of these decisions, without outcomes"),
            ("realised", "realised, where outcomes are known"),
        )
        if costs[name]
    ]
    card.append(grid(pd.DataFrame(rows)))
    excess = costs["excess"]
    card.append(
        Markdown(f"Above the promise: **{excess['estimate']:+.1%}** ({excess['low']:+.1%} to {excess['high']:+.1%}).")
    )
    past = pd.DataFrame(told["past"])
    if len(past) and past["realised"].notna().any():
        picture(card, plots.months_plot(past, synthetic=made_up))
    if quality := told["quality"]:
        card.append(Markdown(f"## Quality\n\n{quality['said']}"))
        card.append(grid(pd.DataFrame(list(_quality(quality)))))
    card.append(Markdown("## Groups and segments, what adds most to the cost first"))
    columns = {"part": "", "level": "", "n": ",.0f", "expected_cost_before": ".3f", "expected_cost_now": ".3f"}
    columns |= {"added_share": "+.1%", "approval_before": ".1%", "approval_now": ".1%", "realised": ".3f"}
    card.append(_table(told["segments"][:SHOWN], columns))
    if told["regression"]:
        card.append(Markdown(f"## Champion against predecessor\n\n{told['regression']['why']}"))


def status(card: Any, told: Mapping[str, Any]) -> None:
    """Show the status and its reasons."""
    card.append(Markdown(f"# {COLOURS[told['status']]} {told['status']}: {told['title']['en']}"))
    if told["synthetic"]:
        card.append(Markdown(MADE_UP))
    seen = told["window"]
    card.append(
        Markdown(
            f"{told['model']} version {told['version']}; {seen['applicants']:,} applicants from `{seen['source']}`, "
            f"{seen['matured']:,} with an outcome."
        )
    )
    aside = [{"set aside": why, "rows": f"{count:,}"} for why, count in seen["set_aside"].items()]
    if aside:
        card.append(grid(pd.DataFrame(aside)))
    if told["findings"]:
        columns = {"severity": "", "kind": "", "why": "", "value": ".3f", "limit": ".3f"}
        card.append(_table(told["findings"], columns))
    else:
        card.append(Markdown("Nothing is beyond its limit and beyond chance."))


def actions(card: Any, told: Mapping[str, Any]) -> None:
    """Show what was done about it."""
    card.append(Markdown(f"# What was done about it: {told['status']}"))
    done = {name: action for name, action in told["actions"].items() if action}
    rows = [
        {"action": name, "what": key, "value": str(value)} for name, one in done.items() for key, value in one.items()
    ]
    card.append(grid(pd.DataFrame(rows)) if rows else Markdown("Nothing was asked for, or nothing called for it."))


def _title(card: Any, text: str, window: str) -> bool:
    """Head a card; return whether its figures must say that they are made up."""
    from credit.monitoring.window import Window

    seen = Window.load(Path(window))
    card.append(Markdown(f"# {text}\n\n{len(seen):,} applicants from `{seen.source}`."))
    if seen.synthetic:
        card.append(Markdown(MADE_UP))
    return seen.synthetic


def _ends(cost: Mapping[str, Any]) -> dict[str, str]:
    return {"estimate": f"{cost['estimate']:.4f}", "95% interval": f"{cost['low']:.4f} to {cost['high']:.4f}"}


def _quality(quality: Mapping[str, Any]) -> Iterable[dict[str, str]]:
    """Yield each figure with its interval and what was promised."""
    auc, calibration, brier = quality["auc"], quality["calibration"], quality["brier"]
    if auc:
        yield {"figure": "AUC", **_ends(auc["now"]), "promised": f"{auc['promised']['estimate']:.4f}"}
    if calibration:
        yield {"figure": "calibration in the large", **_ends(calibration["in_the_large"]), "promised": "0"}
        yield {"figure": "calibration slope", **_ends(calibration["slope"]), "promised": "1"}
    promised = brier["promised"]
    yield {
        "figure": "Brier score",
        **_ends(brier["now"]),
        "promised": f"{promised['estimate']:.4f}" if promised else "",
    }


def _table(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> Any:
    """Show some columns, each in its format; what is missing is empty."""

    def cell(value: Any, form: str) -> str:
        return "" if value is None else format(value, form)

    if not rows:
        return Markdown("None is known of these applicants.")
    shown = [{name.replace("_", " "): cell(row.get(name), form) for name, form in columns.items()} for row in rows]
    return grid(pd.DataFrame(shown))
