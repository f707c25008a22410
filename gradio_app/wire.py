"""Decisions, explanations, proposals and records -> what `gradio_app.schema` describes; decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from credit.errors import CreditError
from credit.governance.records import Recorded
from credit.portfolio import Label, Language, Portfolio
from credit.scoring.decider import Decider, Decision, Identity
from credit.scoring.explain import Effect
from credit.scoring.whatif import WhatIf
from gradio_app.desk import Outcome
from gradio_app.faults import faults

__all__ = ["batch", "explained", "language", "model", "named", "record", "scored", "violations", "what_if"]


def language(asked: str | None, header: str | None) -> Language:
    """Choose the language: as asked in the request, else the first of Accept-Language that we speak, else English."""
    if asked in ("en", "fr"):
        return "fr" if asked == "fr" else "en"
    weighed = []
    for at, part in enumerate((header or "").split(",")):
        tag, _, rest = part.partition(";")
        if tag.strip().lower()[:2] in ("en", "fr"):
            weighed.append((-_weight(rest), at, tag.strip().lower()[:2]))
    return "fr" if weighed and min(weighed)[2] == "fr" else "en"


def _weight(text: str) -> float:
    try:
        return float(text.strip().removeprefix("q="))
    except ValueError:  # none given, or nonsense
        return 1.0


def scored(number: int, decision: Decision, lang: Language) -> dict[str, Any]:
    """Write a recorded decision."""
    reasons = [
        {"code": each.code, "concept": each.concept, "text": getattr(each, lang), "probability": each.probability}
        for each in decision.reasons
    ]
    return {
        "decision_id": number,
        "client": decision.client,
        "probability": decision.probability,
        "decision": decision.decision,
        "threshold": decision.threshold,
        "expected_costs": decision.costs,
        "band": decision.band,
        "standing": decision.standing,
        "reasons": reasons,
        "missing": list(decision.missing),
        "synthetic": decision.synthetic,
        "portfolio": decision.portfolio,
        "model": model(decision.identity),
        "feature_hash": decision.feature_hash,
    }


def explained(number: int, decision: Decision, decider: Decider, lang: Language) -> dict[str, Any]:
    """Write a recorded decision with what moved the score."""
    concepts = decider.portfolio.concepts
    features = {feature.name: feature.label for feature in decider.features}
    told = decision.explanation
    parts = {
        "base": told.base,
        "raw": told.raw,
        "base_probability": told.base_probability,
        "probability": told.probability,
        "concepts": _effects(told.concepts, concepts, lang),
        "features": _effects(told.features, features, lang),
    }
    return scored(number, decision, lang) | {"explanation": parts}


def _effects(effects: Iterable[Effect], labels: Mapping[str, Label], lang: Language) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "label": getattr(labels[each.name], lang) if each.name in labels else each.name,
            "log_odds": each.log_odds,
            "probability": each.probability,
        }
        for each in effects
    ]


def what_if(found: WhatIf, identity: Identity, lang: Language) -> dict[str, Any]:
    """Write what would change a decision."""
    proposals = [
        {
            "action": each.action,
            "label": getattr(each, f"label_{lang}"),
            "changes": [{"column": name, "now": now, "then": then} for name, (now, then) in each.changes.items()],
            "probability": each.probability,
            "decision": each.decision,
        }
        for each in found.proposals
    ]
    return {
        "decision": found.decision,
        "goal": found.goal,
        "proposals": proposals,
        "tried": found.tried,
        "note": getattr(found, f"note_{lang}"),
        "model": model(identity),
    }


def batch(
    outcomes: Sequence[Outcome], book: Portfolio, langs: Sequence[Language], unused: Iterable[str] = ()
) -> dict[str, Any]:
    """Write what came of many applicants, each in its language."""
    items = []
    for row, (each, lang) in enumerate(zip(outcomes, langs, strict=True), start=1):
        done = scored(each.number, each.decision, lang) if each.number and each.decision else None
        items.append({"row": row, "decision": done, "violations": violations(book, each.fault, lang)})
    rejected = sum(each.fault is not None for each in outcomes)
    return {"scored": len(items) - rejected, "rejected": rejected, "unused": list(unused), "items": items}


def violations(book: Portfolio, error: CreditError | None, lang: Language) -> list[dict[str, str]]:
    """Write what is wrong with an applicant."""
    if error is None:
        return []
    return [
        {"field": each.field, "column": each.column, "rule": each.rule, "message": each.message}
        for each in faults(book, error, lang)
    ]


def record(found: Recorded) -> dict[str, Any]:
    """Write a decision as the ledger has it."""
    kept = (
        *("at", "by", "channel", "client", "portfolio", "probability", "decision", "threshold", "band", "reasons"),
        *("synthetic", "application", "history", "overridden", "outcome", "erased"),
    )
    own = {"decision_id": found.id, "model": model(Identity(found.model, found.version, found.digest))}
    return own | {name: getattr(found, name) for name in kept}


def model(identity: Identity) -> dict[str, Any]:
    """Write which model it is."""
    return {"name": identity.model, "version": identity.version, "digest": identity.digest}


def named(identity: Identity) -> str:
    """Name a model in one word, for headers and logs."""
    return f"{identity.model}/{identity.version}"
