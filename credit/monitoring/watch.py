"""A window held against what the model was trained on -> a status with its reasons; starts nothing and tells nobody.

    moved      what has shifted: features, score, mix; and what the shifts cost
    paid       what the decisions cost: as expected, as promised, as realised
    compared   champion and predecessor on the same matured clients
    judged     all of it as one status: OK, WARN or ALERT, with ranked reasons

The flow makes these pieces side by side; `watch` does it in one call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from credit.console import step
from credit.governance.plain import plain
from credit.monitoring import effect, money, realised, regression, segments, shift
from credit.monitoring.archive import FORMAT
from credit.monitoring.findings import Finding, ranked, verdict
from credit.monitoring.window import AGAIN, UNKNOWN, Window
from credit.portfolio import Monitoring
from credit.scoring.baseline import Baseline
from credit.scoring.decider import Decider

__all__ = ["MONITORING", "Piece", "compared", "entry", "joined", "judged", "moved", "paid", "watch"]

#: The ledger's kind of event for a run of monitoring.
MONITORING = "monitoring"
#: Shifted features whose cost is worked out, and rows that it is worked out on.
COSTED, ROWS = 10, 10_000
#: Share of the source's rows from which it is worth a warning that they could not be used.
ASIDE = 0.05
#: Reasons that a ledger's entry names.
NAMED = 20


@dataclass(frozen=True)
class Piece:
    """Part of a status, and what in it calls for attention.

    Parameters
    ----------
    told : dict
        Plain values, under the keys of the status.
    findings : list of Finding
        In any order.
    """

    told: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)


def moved(
    decider: Decider, baseline: Baseline, window: Window, limits: Monitoring, seed: int, *, costed: int = COSTED
) -> Piece:
    """Measure what has shifted, and what the strongest shifts cost.

    Parameters
    ----------
    decider : Decider
        The model that is watched.
    baseline : Baseline
        Kept with it.
    window : Window
        Scored by it.
    limits : Monitoring
        Where it warns, and where it alerts.
    seed : int
        Of what is drawn.
    costed : int
        Of how many shifted features the cost is worked out.
    """
    with step("Measuring shifts", len(window)) as measuring:
        importance = shift.importance(decider.scorer)
        features = shift.shifts(baseline, window, importance, seed=seed)
        score = shift.score_shift(baseline, window, seed=seed)
        parts = shift.mixes(baseline, window, seed=seed)
        found = shift.findings(features, score, parts, limits)
        measuring.note = f"{sum(each.kind == 'feature' for each in found)} features beyond their limit"
    shifted = [each.subject for each in ranked(found) if each.kind == "feature"][:costed]
    cost = pd.DataFrame()
    if shifted:
        with step("Working out what shifts cost"):
            cost = effect.cost_of_drift(decider, baseline, window, shifted, rows=ROWS, seed=seed)
    told = {"score": score, "features": _rows(features), "parts": _rows(parts), "drift": _rows(cost)}
    return Piece(told, found)


def paid(
    decider: Decider, baseline: Baseline, window: Window, limits: Monitoring, past: pd.DataFrame | None = None
) -> Piece:
    """Work out what the decisions cost.

    Parameters
    ----------
    decider, baseline, window, limits
        As for `moved`.
    past : DataFrame, optional
        Decisions of earlier windows, from `credit.monitoring.recall.taken`.
    """
    book, scorer, validation = decider.portfolio, decider.scorer, baseline.validation
    limited = replace(book, monitoring=limits)
    with step("Working out what decisions cost", len(window)):
        promise = money.promise(validation, scorer.costs, scorer.threshold)
        expected = money.estimate(window.scored, scorer.costs, validation)
        excess = money.excess(window.scored, scorer.costs, validation, scorer.threshold)
        quality = realised.realised(window, scorer.costs, limited, validation, scorer.threshold)
        least = limits.min_segment
        table = segments.by_segment(window, baseline, scorer.costs, least, threshold=scorer.threshold)
        months = window.scored if past is None else past
        history = realised.past(months, scorer.costs, validation)
    found = money.findings(excess, limits) + realised.findings(quality, limited) + segments.findings(table, limited)
    told = {
        "decisions": expected.decisions,
        "money": {
            "promised": promise.realised.to_dict(),
            "promised_expected": promise.expected.expected.to_dict(),
            "expected": expected.expected.to_dict(),
            "excess": excess.relative.to_dict(),
            "realised": _realised(quality),
        },
        "quality": quality,
        "segments": realised.records(table),
        "past": realised.records(history),
    }
    return Piece(told, found)


def compared(
    decider: Decider, predecessor: Decider | None, window: Window, limits: Monitoring, *, said: str = ""
) -> Piece:
    """Hold the champion against its predecessor; `said` tells why there is none to hold it against."""
    if predecessor is None:
        return Piece({"regression": {"why": said, "proposed": False} if said else None})
    with step("Comparing champion and predecessor", window.matured):
        found = regression.compare_versions(decider, predecessor, window, decider.scorer.costs, limits.regression)
    return Piece({"regression": found.to_dict()}, regression.findings(found))


def joined(*pieces: Piece) -> Piece:
    """Put pieces together."""
    told: dict[str, Any] = {}
    for piece in pieces:
        told |= piece.told
    return Piece(told, [each for piece in pieces for each in piece.findings])


def judged(decider: Decider, window: Window, run: str, *pieces: Piece, at: str | None = None) -> dict[str, Any]:
    """Put a status together.

    Parameters
    ----------
    decider, window
        As for `moved`.
    run : str
        Which run found it, FLOW/NUMBER.
    *pieces : Piece
        What was found.
    at : str, optional
        UTC, ISO 8601; by default now.

    Returns
    -------
    dict
        Plain values, ready for JSON.
    """
    book = decider.portfolio
    whole = joined(*pieces)
    found = ranked([*whole.findings, *_data(window)])
    told: dict[str, Any] = {
        "format": FORMAT,
        "run": run,
        "at": at or datetime.now(UTC).isoformat(timespec="seconds"),
        "portfolio": book.name,
        "title": {"en": book.title.en, "fr": book.title.fr},
        "synthetic": window.synthetic,
        "model": decider.identity.model,
        "version": decider.identity.version,
        "digest": decider.identity.digest,
        "status": verdict(found),
        "findings": [each.to_dict() for each in found],
        "window": {
            "source": window.source,
            "start": window.start,
            "end": window.end,
            "applicants": len(window),
            "matured": window.matured,
            "set_aside": window.set_aside,
        },
        "evidently": None,
        "regression": None,
        "actions": {"retraining": None, "rollback": None, "webhook": None},
    }
    told |= whole.told
    if "money" in told:
        told["money"] = told["money"] | {"drift": told.pop("drift", [])}
    done: dict[str, Any] = plain(told)
    return done


def watch(
    decider: Decider,
    baseline: Baseline,
    window: Window,
    *,
    run: str,
    limits: Monitoring | None = None,
    seed: int = 7,
    past: pd.DataFrame | None = None,
    at: str | None = None,
) -> dict[str, Any]:
    """Do all of it but Evidently's report and the comparison with the predecessor; see `judged` for what comes back."""
    limits = limits or decider.portfolio.monitoring
    pieces = (moved(decider, baseline, window, limits, seed), paid(decider, baseline, window, limits, past))
    return judged(decider, window, run, *pieces, at=at)


def entry(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the ledger keeps of a status: nothing about a person."""
    named = [f"{each['severity']} {each['kind']}: {each['subject']}" for each in status["findings"][:NAMED]]
    kept = {name: status[name] for name in ("run", "portfolio", "model", "version", "digest", "status", "window")}
    return kept | {"findings": named, "money": status.get("money")}


def _data(window: Window) -> list[Finding]:
    """Warn where too many of the source's rows could not be used."""
    unused = {why: count for why, count in window.set_aside.items() if why not in (AGAIN, UNKNOWN)}
    found = []
    for why, count in unused.items():
        share = count / (len(window) + sum(unused.values()))
        if share > ASIDE:
            text = f"{count:,} rows of {window.source} ({share:.1%}) are set aside: {why}."
            found.append(Finding("WARN", "data", why, share, ASIDE, text, weight=share))
    if unknown := window.set_aside.get(UNKNOWN):
        text = f"{unknown:,} outcomes name applicants who are not in the window, and are not used."
        found.append(Finding("WARN", "data", UNKNOWN, float(unknown), 0.0, text))
    return found


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return realised.records(table)


def _realised(quality: dict[str, Any] | None) -> dict[str, float] | None:
    """Return the realised cost of all decisions, or of the approvals where only they have outcomes."""
    costs = (quality or {}).get("cost") or {}
    found = costs.get("decisions") or costs.get("approvals")
    return found and {**found["realised"], "of": "decisions" if costs.get("decisions") else "approvals"}
