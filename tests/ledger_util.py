"""Decisions that no model made, for tests of what records them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.governance.sealing import Personal
from credit.scoring.decider import Decision, Identity
from credit.scoring.explain import Explanation
from credit.scoring.reasons import Reason

WRITERS, EACH = 8, 15
#: A process that appends: so many times or without an end, and says so each time.
WRITER = """
import sys
from itertools import count
from credit.governance.ledger import Ledger
from credit.governance.sealing import Personal

url, writer, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ledger = Ledger(url)
for number in range(times) if times else count():
    content = {"n": writer, "part": number, "much": "y" * 5000}
    person = Personal("shop", f"client {writer}", content)
    print(ledger.append("race", {"writer": writer, "n": number}, personal=person), flush=True)
"""

__all__ = ["APPLICATION", "HISTORY", "decided", "decision", "kill", "past", "person", "race", "reason"]

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


def person(number: int, **content: Any) -> Personal:
    """What an event holds about a client."""
    return Personal("shop", f"client {number}", {"n": number} | content)


def race(ledger: Ledger) -> None:
    """Let eight processes write at once, the first of them making the tables; nothing may be lost or out of order."""
    writers = [_writer(ledger, writer, EACH) for writer in range(WRITERS)]
    told = [sorted(map(int, writer.communicate()[0].split())) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert sorted(number for numbers in told for number in numbers) == list(range(1, WRITERS * EACH + 1))
    assert ledger.verify() == []
    events = ledger.events()
    for writer, numbers in enumerate(told):
        own = [event for event in events if event.payload["writer"] == writer]
        assert [event.payload["n"] for event in own] == list(range(EACH))
        assert [event.id for event in own] == numbers
        held = ledger.personal(own)
        assert [held[event.id] for event in own] == [person(writer, part=n, much="y" * 5000) for n in range(EACH)]


def kill(ledger: Ledger, lines: int) -> None:
    """Kill a process that writes without a pause, so most likely within a write; what it acknowledged must be there."""
    before = len(ledger.events())
    writer = _writer(ledger, 0, 0)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    assert ledger.verify() == []
    after = len(ledger.events())
    assert after - before - len(acknowledged) in (0, 1)  # at most the one in flight
    assert ledger.holding(acknowledged) == acknowledged


def _writer(ledger: Ledger, writer: int, times: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, ledger.url, str(writer), str(times)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
