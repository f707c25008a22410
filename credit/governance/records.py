"""Decisions and what became of them, as the ledger keeps them; decides nothing.

A decision is recorded in two parts.  The chain keeps for ever what a lender must be able to show and to monitor, and
what points to nobody: version, decision, threshold, class of risk, codes of the reasons, and the probability to three
decimals.  The personal part can be erased: client, raw rows, reasons in words (they may quote values), and everything
exact that would tell whose decision it was to someone who has the same rows and model: the probability to the last
bit, expected costs, standing, and the hash of the features.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pandas as pd

from credit.data.cells import text
from credit.errors import ConfigError, DataError
from credit.governance.entries import Entries, Event
from credit.governance.ledger import Draft, Ledger, Writer, draft
from credit.governance.plain import plain
from credit.governance.recorded import DECISION, OVERRIDE, Recorded, recorded
from credit.governance.sealing import Personal
from credit.scoring.decider import Decision

__all__ = ["DECIMALS", "Item", "Recorded", "Records", "stated"]

BOOK = "book"
DECIMALS = 3  # of the probability that is kept for ever
LONGEST = 2000  # characters of a reason

Row = Mapping[str, Any]
History = Mapping[str, Sequence[Row]]
#: A decision, and the raw rows that it was made on.
Item = tuple[Decision, Row, History | None]


class Records:
    """What the app, the batch and the command line record and read.

    Parameters
    ----------
    ledger : Ledger
        Where it is kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def decide(self, decision: Decision, application: Row, history: History | None, *, by: str, channel: str) -> int:
        """Record a decision and return its number; see `decide_many`."""
        return self.decide_many([(decision, application, history)], by=by, channel=channel)[0]

    def decide_many(self, items: Iterable[Item], *, by: str, channel: str) -> list[int]:
        """Record decisions, all of them or none.

        Parameters
        ----------
        items : iterable of (Decision, mapping, mapping or None)
            Each decision, with the application and the history that it was made on, as they were given.
        by : str
            Who asked.
        channel : str
            Through what: "page", "api", "batch".

        Returns
        -------
        list of int
            Their numbers.

        Raises
        ------
        ServiceError
            If the ledger does not take them.
        """
        drafts = [_draft(*item, channel) for item in items]
        return self.ledger.write(lambda writer: writer.extend(DECISION, drafts, by=by))

    def override(self, number: int, to: Literal["approve", "decline"], reason: str, *, by: str) -> int:
        """Record that a person decided otherwise, and why; return the event's id.

        Raises
        ------
        ConfigError
            If there is no reason, or it changes nothing.
        DataError
            If there is no such decision, or it was erased.
        """
        words = stated(reason, "reason")
        if to not in ("approve", "decline"):
            raise ConfigError(f"override to {to!r}: a person decides 'approve' or 'decline'; give one of the two.")

        def work(writer: Writer) -> int:
            [found] = recorded(writer, [_decision(writer, self.ledger, number)])
            stands = found.overridden["to"] if found.overridden else found.decision
            if found.erased:
                raise DataError(f"decision {number}: its application was erased; decide on a new application.")
            if stands == to:
                raise ConfigError(f"decision {number}: is {to!r} already; there is nothing to override.")
            told = Personal(found.portfolio, found.client, {"reason": words})
            made = draft({"about": number, "portfolio": found.portfolio, "from": stands, "to": to}, told)
            return writer.extend(OVERRIDE, [made], by=by)[0]

        return self.ledger.write(work)

    def book(self, run: Mapping[str, Any], *, by: str) -> int:
        """Record that a book was scored: hashes, counts and version, nothing of a client; return the event's id."""
        return self.ledger.append(BOOK, plain(run), by=by)

    def find(self, number: int) -> Recorded:
        """Return a decision and what followed; DataError if there is none of this number."""
        return recorded(self.ledger, [_decision(self.ledger, self.ledger, number)])[0]

    def earlier(self, client: str, limit: int = 20, *, portfolio: str | None = None) -> list[Recorded]:
        """Return a client's decisions, the newest first; in one book, or in all."""
        known = text(client)  # as it was recorded
        events = self.ledger.subject(known, portfolio, DECISION, limit) if known else []
        return recorded(self.ledger, events)

    def summary(self, days: int, *, portfolio: str | None = None) -> pd.DataFrame:
        """Count the last days' decisions and overrides.

        Parameters
        ----------
        days : int
            How many, today (UTC) included.
        portfolio : str, optional
            Of one book; default: of all.

        Returns
        -------
        DataFrame, one row a day
            ``day``, ``decisions``, ``approved`` (share of them), ``probability`` (their mean), ``overrides``; a day
            without decisions has no share and no mean.
        """
        today = datetime.now(UTC).date()
        span = [(today - timedelta(days=back)).isoformat() for back in reversed(range(max(days, 1)))]
        seen = pd.DataFrame(self._since(span[0], portfolio), columns=["day", "approved", "probability"])
        daily = seen.astype({"approved": float, "probability": float}).groupby("day")
        table = daily.agg(
            events=("approved", "size"),
            decisions=("approved", "count"),
            approved=("approved", "mean"),
            probability=("probability", "mean"),
        ).reindex(pd.Index(span, name="day"))
        table["overrides"] = table.pop("events") - table["decisions"]
        return table.fillna({"decisions": 0, "overrides": 0}).astype({"decisions": int, "overrides": int}).reset_index()

    def _since(self, start: str, portfolio: str | None) -> Iterator[tuple[str, bool | None, float | None]]:
        """Yield each decision's day, whether it is an approval, and its probability; an override has only a day."""
        for event in self.ledger.newest(DECISION, OVERRIDE, since=start):
            payload = event.payload
            if portfolio not in (None, payload["portfolio"]):
                continue
            day, decided = event.at[:10], event.kind == DECISION  # noqa: PD008 - no frame
            yield day, payload["decision"] == "approve" if decided else None, payload.get("probability")


def stated(given: str, what: str) -> str:
    """Return a text that someone must give; ConfigError if it is empty, too long, or no text that can be kept."""
    words = given.strip()
    if not words:
        raise ConfigError(f"{what}: is empty; say why, it goes into the ledger.")
    if len(words) > LONGEST:
        raise ConfigError(f"{what}: {len(words)} characters, at most {LONGEST} are kept; say it shorter.")
    if not words.isascii() and any("\ud800" <= letter <= "\udfff" for letter in words):
        raise ConfigError(f"{what}: holds half a character (a lone surrogate); write it again.")
    return words


def _draft(decision: Decision, application: Row, history: History | None, channel: str) -> Draft:
    reasons = [plain(asdict(reason)) for reason in decision.reasons]
    kept = {
        "portfolio": decision.portfolio,
        "model": decision.identity.model,
        "version": decision.identity.version,
        "digest": decision.identity.digest,
        "decision": decision.decision,
        "probability": round(decision.probability, DECIMALS),
        "threshold": decision.threshold,
        "band": decision.band,
        "reasons": [reason["code"] for reason in reasons],
        "synthetic": decision.synthetic,
        "channel": channel,
    }
    exact = {name: plain(getattr(decision, name)) for name in ("costs", "standing", "feature_hash", "missing")}
    content = {
        "application": plain(application),
        "history": plain(history or {}),
        "probability": decision.probability,
        "reasons": reasons,
        "exact": exact,
    }
    return draft(kept, Personal(decision.portfolio, text(decision.client) or "", content))


def _decision(entries: Entries, ledger: Ledger, number: int) -> Event:
    event = entries.event(number)
    if event is None or event.kind != DECISION:
        found = f"event {number} is of kind {event.kind!r}" if event else "there is no such event"
        raise DataError(f"decision {number}: not in the {ledger} ({found}); give a decision's number.")
    return event
