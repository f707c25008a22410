"""Who was champion when, and why, as the ledger tells it; knows no registry."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from credit.governance.ledger import Event, Ledger
from credit.governance.version import Version

__all__ = ["PROPOSAL", "REGISTRATION", "VERDICT", "Succession"]

REGISTRATION, VERDICT, PROPOSAL = "registration", "verdict", "proposal"
#: Events that tell where the champion is. A reconciliation records a move that was found unrecorded.
MOVES = ("promotion", "rollback", "reconciliation")


@dataclass(frozen=True)
class Succession:
    """One model's events.

    Parameters
    ----------
    ledger : Ledger
        Where they are kept.
    model : str
        The registered model's name.
    """

    ledger: Ledger
    model: str

    def record(self, kind: str, before: int | None, to: Version | None, reason: str, **more: Any) -> int:
        """Append an event: the champion before and after it (or the version spoken of), and why; return its id."""
        payload = {"model": self.model, "from": before, "to": to and to.number, "digest": to and to.digest}
        return self.ledger.append(kind, payload | {"reason": reason} | more)

    def events(self, *kinds: str) -> list[Event]:
        """Return this model's events in their order, all or those of the given kinds."""
        events = self.ledger.events(*(kinds or (REGISTRATION, VERDICT, PROPOSAL, *MOVES)))
        return [event for event in events if event.payload["model"] == self.model]

    def registered(self, number: int) -> bool:
        """Whether a version's registration is on record."""
        return any(event.payload["to"] == number for event in self.events(REGISTRATION))

    def reigned(self, number: int) -> bool:
        """Whether a version was ever champion."""
        return any(event.payload["to"] == number for event in self.events(*MOVES))

    def reconcile(self, champion: Version | None) -> None:
        """Record where the champion is, if a killed process or another tool moved it without a record."""
        moves = self.events(*MOVES)
        last = moves[-1].payload["to"] if moves else None
        if last != (champion.number if champion else None):
            self.record("reconciliation", last, champion, "the alias was found moved without a record")

    def previous(self, champion: Version | None, known: Collection[int]) -> int | None:
        """Return the champion before this one; None if there was none.

        A rollback takes back what came after its target, so that repeated rollbacks go back step by step.

        Parameters
        ----------
        champion : Version or None
            The present one.
        known : collection of int
            Versions that still exist; others are passed over.
        """
        line: list[int] = []
        for event in self.events(*MOVES):
            number = event.payload["to"]
            if event.kind != "promotion" and number in line:
                del line[line.index(number) + 1 :]
            elif number is not None:
                line.append(number)
        present = champion.number if champion else None
        return next((number for number in reversed(line) if number != present and number in known), None)
