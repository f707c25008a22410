"""The whole loop on a made-up world, month by month, in a home of its own; only applicants and clock are made up.

    train        the first champion, on the training book, through the gate
    each month   decide on all who apply, and record it; approve some of the declined, to learn what becomes of them
                 import the outcomes that are known by now, hold the month against what the champion was trained on
                 on an alert, train anew on all that has matured; the gate decides

The clock of the ledger is set back, so that the last month is the last whole one before today.  Beside it, the first
champion decides on the same applicants for ever: that is the world without the loop.  Costs are those of everybody, the
declined too, as only the world itself can know them.
"""

import csv
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from credit.console import log, step
from credit.errors import ConfigError, DataError, ModelError
from credit.evaluation.cost import Comparison, compare, decide, losses, mean_interval
from credit.evaluation.intervals import spread
from credit.governance.ledger import Ledger, dated
from credit.governance.outcomes import COLUMNS, import_outcomes
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.governance.submission import Submission
from credit.home import Home
from credit.monitoring import retrain
from credit.monitoring.archive import Archive
from credit.monitoring.watch import MONITORING, Piece, entry, judged, moved, paid
from credit.monitoring.window import Window, from_ledger
from credit.monitoring.world import Arrivals, World, write
from credit.portfolio import Portfolio
from credit.scoring.baseline import Baseline
from credit.training.candidates import candidates

__all__ = ["EXPLORED", "Plan", "Simulation", "calendar", "simulate"]

BY, CHANNEL = "simulation", "batch"
EXPLORED = "approved at random to learn what becomes of those who are declined"
RUN = "Simulation"
#: A candidate for a loop that is seen to turn within minutes; it may be changed under [candidates.quick].
QUICK: dict[str, Any] = {
    "en": "LightGBM on the application alone, in seconds",
    "fr": "LightGBM sur la seule demande, en quelques secondes",
    "features": "main",
    "trees": 400,
    "search_trees": 60,
    "search_rate": 0.15,
    "parameters": {"learning_rate": 0.06},
    "grid": {"num_leaves": [4, 8, 16]},
}
#: The subject of a finding that needs no outcomes, see `credit.monitoring.money`: each month tells its own.
EXPECTED = "expected cost"
#: Findings that a month's row of the table names.
NAMED = 3
Words = NDArray[np.object_]


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Parameters
    ----------
    clients : int
        To train the first champion on.
    months, applicants : int
        How many months, and applicants in each.
    drifts : tuple of str
        What changes; names of `credit.data.synthetic_drift.DRIFTS`.
    since : int
        From which month on.
    maturity : int
        Whole months from a decision's month to the one at whose end its outcome is known.
    explore : float
        Share of the declined who are approved all the same.
    memory : int
        Most clients that a training after the first one reads, the newest: what is older is forgotten.
    candidates : tuple of str
        Who competes in every training.
    seed : int
        For everything random.
    """

    clients: int = 6000
    months: int = 10
    applicants: int = 600
    drifts: tuple[str, ...] = ("risk",)
    since: int = 3
    maturity: int = 1
    explore: float = 0.1
    memory: int = 2000
    candidates: tuple[str, ...] = ("quick", "prior")
    seed: int = 7

    def check(self, book: Portfolio) -> None:
        """Refuse what cannot be simulated; a ConfigError says why."""
        least = book.monitoring.window
        rules = [
            ("months", self.months, self.months >= 1, "1 or more"),
            ("applicants", self.applicants, self.applicants >= least, f"{least} or more ([monitoring] window)"),
            ("from", self.since, 1 <= self.since <= self.months, f"a month from 1 to {self.months}"),
            ("maturity", self.maturity, self.maturity >= 1, "1 month or more"),
            ("explore", self.explore, 0 <= self.explore <= 1, "from 0 to 1"),
            ("memory", self.memory, self.memory >= 1, "1 client or more"),
        ]
        for name, value, holds, rule in rules:
            if not holds:
                raise ConfigError(f"--{name} {value}: must be {rule}.")


@dataclass(frozen=True)
class Simulation:
    """What came of it.

    Parameters
    ----------
    plan : Plan
        What was asked for.
    drifts : tuple of str
        What was planted, in words.
    table : DataFrame, one row a month
        ``month``, ``drift`` (whether it holds), ``version`` that decided, ``applicants``, ``approved`` and ``explored``
        (shares), ``default_rate`` of all; cost per applicant of all, ``cost_with`` and ``cost_without`` the loop, with
        ``_low`` and ``_high``, and ``cost_known``, had the true probabilities been known; ``matured``, outcomes that
        came in; ``status`` and ``findings`` of monitoring; ``trained``, the version that was trained at the month's
        end, or 0; ``verdict`` of the gate on it; ``champion`` after it.
    since_drift, since_learning : Comparison or None
        With the loop against without it, on the applicants since the drift, and since the first promotion.
    """

    plan: Plan
    drifts: tuple[str, ...]
    table: pd.DataFrame
    since_drift: Comparison | None
    since_learning: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        told = {name: each.to_dict() if each else None for name, each in self._compared().items()}
        rows = self.table.to_dict("records")
        return {"synthetic": True, "plan": asdict(self.plan), "drifts": list(self.drifts), "months": rows} | told

    def _compared(self) -> dict[str, Comparison | None]:
        return {"since_drift": self.since_drift, "since_learning": self.since_learning}


@dataclass
class _Month:
    """One month under way: its applicants, what was decided, and under which numbers."""

    start: date
    arrivals: Arrivals
    numbers: list[int] = field(default_factory=list)
    decided: Words = field(default_factory=lambda: np.empty(0, dtype=object))
    frozen: Words = field(default_factory=lambda: np.empty(0, dtype=object))
    explored: int = 0
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.start.isoformat()[:7]

    @property
    def end(self) -> date:
        return self.start.replace(day=monthrange(self.start.year, self.start.month)[1])


def calendar(months: int, today: date) -> list[date]:
    """Return the first days of so many months, of which the last is the last whole one before today."""
    first = today.replace(day=1)
    made: list[date] = []
    for _ in range(months):
        first = (first - timedelta(days=1)).replace(day=1)
        made.append(first)
    return made[::-1]


def simulate(book: Portfolio, plan: Plan, root: Path, *, today: date | None = None) -> Simulation:
    """Run the loop.

    Parameters
    ----------
    book : Portfolio
        One that comes with synthetic facts.
    plan : Plan
        What is simulated.
    root : Path
        A folder, missing or empty: a home with registry, ledger, and what monitoring kept, as an installation has it.
    today : date, optional
        After the last month; default: today (UTC).

    Returns
    -------
    Simulation
        The same for the same book, plan and day.

    Raises
    ------
    ConfigError
        If the plan cannot be carried out, or the portfolio has no synthetic facts.
    DataError
        If the folder holds something.
    ModelError
        If the gate refuses the first model.
    """
    plan.check(book)
    if root.exists() and any(root.iterdir()):
        raise DataError(f"{root}: is not empty; a simulation is kept in a folder of its own, give another one.")
    book = _quickened(book.seeded(plan.seed))
    with step("Making up a world", plan.clients + plan.months * plan.applicants):
        world = World.make(
            book,
            plan.clients,
            plan.months,
            plan.applicants,
            drifts=plan.drifts,
            since=plan.since,
            tables=_tables(book, plan),
            seed=plan.seed,
        )
    return _Loop(book, plan, world, Home(root), calendar(plan.months, today or datetime.now(UTC).date())).run()


def _quickened(book: Portfolio) -> Portfolio:
    """Add the candidate that learns in seconds."""
    entries = {**book.training.overrides, "quick": book.training.overrides.get("quick", QUICK)}
    return replace(book, training=replace(book.training, overrides=entries))


def _tables(book: Portfolio, plan: Plan) -> tuple[str, ...]:
    """Name the history tables, where anybody who competes reads them."""
    if all(each.features == "main" or each.reference for each in candidates(book, plan.candidates)):
        return ()
    return tuple(name for name, table in book.tables.items() if name != book.main and table.columns)


class _Loop:
    """The state of a simulation."""

    def __init__(self, book: Portfolio, plan: Plan, world: World, home: Home, days: Sequence[date]) -> None:
        self.book, self.plan, self.world, self.home = book, plan, world, home
        home.root.mkdir(parents=True, exist_ok=True)
        self.ledger, self.registry = Ledger(home.ledger_url), Registry(book.name, home)
        self.records, self.archive = Records(self.ledger), Archive(home, book.name)
        self.months = [_Month(start, each) for start, each in zip(days, world.months, strict=True)]
        self.rng = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(0, 1)))
        self.learnt = 0  # outcomes that the newest training knew
        self.promoted: int | None = None  # the month at whose end another model than the first took over

    def run(self) -> Simulation:
        """Go through the months."""
        with dated(_night(self.months[0].start - timedelta(days=1))):
            first = self._train(self.world.training, "first")
            if not first.version.is_champion:
                raise ModelError(f"first model: {first.verdict.summary} Give more --clients, or another --seed.")
        self.first = self.decider = open_version(self.registry, first.version)
        for at, month in enumerate(self.months, start=1):
            log.info("\n%s (SYNTHETIC, month %d of %d)", month.name, at, len(self.months))
            self._decide(month)
            self._close(at, month)
        return self._told()

    def _decide(self, month: _Month) -> None:
        """Decide on all who apply, a day's worth at a time, and record it; then let some of the declined in."""
        cases, days = month.arrivals.cases(self.book), (month.end - month.start).days + 1
        chance = self.rng.random(len(cases))
        with step("Deciding", len(cases)):
            for day, indexes in enumerate(np.array_split(np.arange(len(cases)), days)):
                moment = datetime.combine(month.start + timedelta(days=day), datetime.min.time(), UTC)
                with dated(moment + timedelta(hours=12)):
                    self._day(month, [cases[at] for at in indexes], chance[indexes])
        if self.decider is self.first:
            return
        with step("Deciding without the loop", len(cases)):
            frames = [self.first.online.features(*case) for case in cases]
            month.frozen = self.first.decide_frame(pd.concat(frames, ignore_index=True))["decision"].to_numpy(object)

    def _day(self, month: _Month, cases: list[Any], chance: NDArray[np.float64]) -> None:
        decisions = [self.decider.decide(*case) for case in cases]
        items = [(made, *case) for made, case in zip(decisions, cases, strict=True)]
        numbers = self.records.decide_many(items, by=BY, channel=CHANNEL)
        words = np.array([made.decision for made in decisions], dtype=object)
        month.frozen = np.append(month.frozen, words)
        for at in np.flatnonzero((words == "decline") & (chance < self.plan.explore)):
            self.records.override(numbers[at], "approve", EXPLORED, by=BY)
            words[at], month.explored = "approve", month.explored + 1
        month.numbers += numbers
        month.decided = np.append(month.decided, words)

    def _close(self, at: int, month: _Month) -> None:
        """Do what is done on the last evening of a month."""
        version = self.decider.identity.version
        trained: Submission | None = None
        with dated(_night(month.end)):
            known = self._mature(at, month)
            status = self._watch(at, month)
            if status["status"] == "ALERT" and self._outcomes() > self.learnt:
                trained = self._retrain(month)
                told = {"run": f"{RUN}/{month.name}", "version": trained.version.number}
                status["actions"]["retraining"] = told | {"verdict": trained.verdict.outcome}
            self.archive.keep(status)
            self.ledger.append(MONITORING, entry(status), by=BY)
        if trained and trained.version.is_champion:
            self.decider, self.promoted = open_version(self.registry, trained.version), self.promoted or at
        month.row = {"month": month.name, "drift": bool(self.world.drifts) and at >= self.world.since}
        month.row |= {"version": version} | self._paid(month)
        found = [f"{each['severity']} {each['kind']}: {each['subject']}" for each in status["findings"]]
        month.row |= {"matured": known, "status": status["status"], "findings": "; ".join(found[:NAMED])}
        month.row |= {"trained": trained.version.number if trained else 0}
        month.row |= {"verdict": trained.verdict.outcome if trained else ""}
        month.row |= {"champion": self.decider.identity.version}

    def _mature(self, at: int, month: _Month) -> int:
        """Import the outcomes of those approved so many months ago; return how many."""
        if at <= self.plan.maturity:
            return 0
        old = self.months[at - 1 - self.plan.maturity]
        file = self.home.workspace / "outcomes" / f"{month.name}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for number, word, outcome in zip(old.numbers, old.decided, old.arrivals.outcomes, strict=True):
                if word == "approve":
                    writer.writerow([number, outcome, month.end.isoformat()])
        made = import_outcomes(self.ledger, file, by=BY)
        if made.rejected:
            raise DataError(f"{made.rejects}: {made.rejected} outcomes of the simulation were refused; read why there.")
        return made.added

    def _outcomes(self) -> int:
        return len(self.ledger.events("outcome"))

    def _watch(self, at: int, month: _Month) -> dict[str, Any]:
        """Hold the month's applicants, and those whose outcomes came in, against what the champion knows."""
        limits, baseline = self.book.monitoring, Baseline.load(self.registry.load())
        old = self.months[at - 1 - self.plan.maturity] if at > self.plan.maturity else None
        since, until = (old or month).start.isoformat(), month.end.isoformat()
        whole = from_ledger(self.decider, baseline, self.ledger, since=since, until=until)
        window = _decided_in(whole, month)
        pieces = [moved(self.decider, baseline, window, limits, self.plan.seed)]
        pieces.append(paid(self.decider, baseline, window, limits))
        if old:
            pieces.append(_learned(pieces[-1], paid(self.decider, baseline, _decided_in(whole, old), limits)))
        moment = _night(month.end).isoformat(timespec="seconds")
        return judged(self.decider, window, f"{RUN}/{month.name}", *pieces, at=moment)

    def _retrain(self, month: _Month) -> Submission:
        new = retrain.matured(self.ledger, self.book, self.world.training.keys() - {self.book.main})
        self.learnt = self._outcomes()
        return self._train(retrain.extended(self.book, self.world.training, new, most=self.plan.memory), month.name)

    def _train(self, tables: dict[str, pd.DataFrame], name: str) -> Submission:
        rows = len(tables[self.book.main])
        said = f"credit simulate, seed {self.plan.seed}: {rows} clients to train on, {name}"
        source = write(self.book, tables, self.home.workspace / "training" / name, said)
        return retrain.train(self.book, source, self.home, f"{RUN}/{name}", only=self.plan.candidates, threads=1)

    def _paid(self, month: _Month) -> dict[str, Any]:
        """Count what the month cost, as only the world can."""
        true = month.arrivals.outcomes
        known = decide(month.arrivals.probability, self.book.costs)
        return {
            "applicants": len(true),
            "approved": float(np.mean(month.decided == "approve")),
            "explored": month.explored / len(true),
            "default_rate": float(true.mean()),
            **spread("cost_with", mean_interval(losses(true, month.decided, self.book.costs))),
            **spread("cost_without", mean_interval(losses(true, month.frozen, self.book.costs))),
            "cost_known": float(losses(true, known, self.book.costs).mean()),
        }

    def _told(self) -> Simulation:
        table = pd.DataFrame([month.row for month in self.months])
        drifting = self._compare(self.plan.since - 1) if self.world.drifts else None
        learning = None if self.promoted is None else self._compare(self.promoted)
        return Simulation(self.plan, tuple(each.title for each in self.world.drifts), table, drifting, learning)

    def _compare(self, after: int) -> Comparison | None:
        months = self.months[after:]
        if not months:
            return None
        true = np.concatenate([month.arrivals.outcomes for month in months])
        ways = [np.concatenate([getattr(month, way) for month in months]) for way in ("decided", "frozen")]
        with_loop, without = (losses(true, way, self.book.costs) for way in ways)
        return compare(with_loop, without)


def _night(day: date) -> datetime:
    return datetime.combine(day, datetime.max.time().replace(microsecond=0), UTC)


def _decided_in(window: Window, month: _Month) -> Window:
    """Take one month of a longer window: to prepare a window takes longer than to look at it."""
    own = window.scored["at"].str.startswith(month.name)
    parts = {name: getattr(window, name)[own].reset_index(drop=True) for name in ("features", "parts", "scored")}
    at = parts["scored"]["at"]
    return replace(window, start=str(at.min()), end=str(at.max()), **parts)


def _learned(now: Piece, then: Piece) -> Piece:
    """Keep, of the window whose outcomes came in, what only outcomes can tell."""
    money = now.told["money"] | {"realised": then.told["money"]["realised"]}
    told = {"money": money, "quality": then.told["quality"], "past": then.told["past"]}
    kinds = {"cost", "calibration", "discrimination", "fairness"}
    found = [each for each in then.findings if each.kind in kinds and each.subject != EXPECTED]
    return Piece(told, found)
