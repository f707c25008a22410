"""A decision as the ledger has it, with what followed: events and personal parts put together; writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credit.governance.entries import Entries, Event
from credit.governance.sealing import Personal

__all__ = ["CORRECTION", "DECISION", "OUTCOME", "OVERRIDE", "Recorded", "recorded"]

DECISION, OVERRIDE, OUTCOME, CORRECTION = "decision", "override", "outcome", "correction"
#: What a decision's event says in the chain, and `Recorded` repeats.
KEPT = ("channel", "portfolio", "model", "version", "digest", "decision", "threshold", "band", "synthetic")


@dataclass(frozen=True)
class Recorded:
    """A decision as it was recorded, and what followed.

    Parameters
    ----------
    id : int
        Number of the decision.
    at, by, channel : str
        When (UTC), who asked, and through what.
    client, portfolio : str
        Whose application, in which book.
    model, version, digest : str, int, str
        Which model decided.
    probability, threshold : float
        The probability is rounded to three decimals once the personal part is erased.
    decision, band : str
        What the model decided, and the class of risk.
    reasons : list of dict
        At least each one's ``code``.
    synthetic : bool
        Whether the model was trained on made-up applicants.
    application, history : dict
        The raw rows; empty once erased.
    exact : dict
        ``costs``, ``standing``, ``feature_hash``, ``missing``; empty once erased.
    overridden : dict or None
        The last override: ``id``, ``at``, ``by``, ``from``, ``to``, ``reason`` (None once erased).
    outcome : int or None
        1 for a default, 0 for none, None while nobody knows.
    erased : bool
        Whether the personal part is gone.
    """

    id: int
    at: str
    by: str
    channel: str
    client: str
    portfolio: str
    model: str
    version: int
    digest: str
    probability: float
    decision: str
    threshold: float
    band: str
    reasons: list[dict[str, Any]]
    synthetic: bool
    application: dict[str, Any]
    history: dict[str, list[dict[str, Any]]]
    exact: dict[str, Any]
    overridden: dict[str, Any] | None
    outcome: int | None
    erased: bool


def recorded(entries: Entries, events: Sequence[Event]) -> list[Recorded]:
    """Put decisions together; three queries for up to a thousand of them."""
    followed = entries.about(event.id for event in events)
    later = [each for follow in followed.values() for each in follow]
    known = entries.personal([*events, *later])
    return [_one(event, known, followed.get(event.id, [])) for event in events]


def _one(event: Event, known: Mapping[int, Personal], followed: Sequence[Event]) -> Recorded:
    kept, personal = event.payload, known.get(event.id)
    content = personal.content if personal else {}
    overrides = [each for each in followed if each.kind == OVERRIDE]
    outcomes = [each.payload["outcome"] for each in followed if each.kind in (OUTCOME, CORRECTION)]
    return Recorded(
        id=event.id,
        at=event.at,
        by=event.actor,
        client=personal.subject if personal else "",
        probability=content.get("probability", kept["probability"]),
        reasons=content.get("reasons", [{"code": code} for code in kept["reasons"]]),
        application=content.get("application", {}),
        history=content.get("history", {}),
        exact=content.get("exact", {}),
        overridden=_override(overrides[-1], known) if overrides else None,
        outcome=outcomes[-1] if outcomes else None,
        erased=personal is None,
        **{name: kept[name] for name in KEPT},
    )


def _override(event: Event, known: Mapping[int, Personal]) -> dict[str, Any]:
    reason = known[event.id].content["reason"] if event.id in known else None
    told = {"id": event.id, "at": event.at, "by": event.actor, "reason": reason}
    return told | {name: event.payload[name] for name in ("from", "to")}
