"""Decisions that no model made, for tests of what records them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.scoring.decider import Decision, Identity
from credit.scoring.explain import Explanation
from credit.scoring.reasons import Reason

__all__ = ["APPLICATION", "HISTORY", "decided", "decision", "past", "reason"]

APPLICATION = {"client": 100001, "amount": 0.1, "town": "Besançon", "months": None}
HISTORY = {"loans": [{"loan": 7, "left": 1e-300}, {"loan": 8, "left": 3.0}]}


def reason(code: str = "R01", **values: Any) -> Reason:
    """A reason whose words quote a value; fields that do not matter here are None."""
    given: dict[str, Any] = dict.fromkeys(field.name for field in fields(Reason))
    told = {"code": code, "concept": "money", "en": "You asked for 4711", "fr": "Vous demandez 4711"}
    return Reason(**given | told | {"probability": 0.1, "feature": "amount"} | values)


def decision(client: str = "100001", probability: float = 0.1 + 0.2, **values: Any) -> Decision:
    """A decision about a client; `values` replace what it says."""
    given: dict[str, Any] = dict.fromkeys(field.name for field in fields(Decision))
    told = {
        "client": client,
        "probability": probability,
        "decision": "decline" if probability >= 1 / 11 else "approve",
        "threshold": 1 / 11,
        "costs": {"approve": 10 * probability, "decline": 1 - probability},
        "band": "high",
        "standing": 0.987654321,
        "explanation": Explanation(0.0, 1.0, 0.1, probability, (), ()),
        "reasons": (reason("R01"), reason("R02")),
        "missing": ("months",),
        "synthetic": True,
        "portfolio": "shop",
        "identity": Identity("credit-shop", 3, "d" * 64),
        "feature_hash": "f" * 64,
    }
    return Decision(**given | told | values)


def decided(ledger: Ledger, *clients: str, probability: float = 0.1 + 0.2, **values: Any) -> list[int]:
    """Record a decision about each client; return their numbers."""
    items = [(decision(each, probability, **values), APPLICATION | {"client": each}, HISTORY) for each in clients]
    return Records(ledger).decide_many(items, by="officer", channel="page")


@contextmanager
def past(days: float) -> Iterator[datetime]:
    """Let the ledger's clock be some days behind."""
    then = datetime.now(UTC) - timedelta(days=days)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return then.astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("credit.governance.ledger.datetime", Clock)
        yield then
