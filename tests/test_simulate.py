"""The whole loop, end to end and small: what it leaves in its home is held against the world that it was made from."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from credit import plots
from credit.__main__ import app
from credit.cli import simulation as command
from credit.data.synthetic import MARKER
from credit.errors import ConfigError, DataError, ModelError
from credit.governance.ledger import Ledger, dated
from credit.governance.recorded import Recorded, recorded
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.replay import replay
from credit.governance.serving import open_version
from credit.home import Home
from credit.monitoring.archive import Archive
from credit.monitoring.simulate import EXPLORED, Plan, Simulation, calendar, simulate
from credit.monitoring.world import World
from credit.portfolio import Portfolio, load

SHIPPED = load("home_credit")
#: At this scale a gate that means business refuses everybody: what is tested is the loop.
LOOSE = {
    "probability_cheaper": "0.01",
    "calibration_slope": "[0.01, 100.0]",
    "calibration_in_the_large": "0.7",
    "auc_gap": "1.0",
    "group_gap": "1.0",
    "approval_ratio": "0.0",
    "window": "100",
    "candidates": '["quick"]',
    "references": '["prior"]',
}
QUICK = """
[candidates.quick]
en = "quick"
features = "main"
trees = 60
search_trees = 9
search_rate = 0.2
grid = { num_leaves = [3, 6, 12] }

[candidates.quick.parameters]
learning_rate = 0.1
"""
PLAN = Plan(
    clients=900,
    months=3,
    applicants=150,
    drifts=("risk", "score"),
    since=2,
    maturity=1,
    explore=0.2,
    candidates=("quick",),
)
TODAY = date(2026, 3, 9)
MONTHS = ["2025-12", "2026-01", "2026-02"]


def lender(folder: Path, **changes: str) -> Path:
    """Write the shipped book with other limits, and one candidate that learns in a second."""
    written = SHIPPED.text
    for name, value in (LOOSE | changes).items():
        written, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", written)
        assert count == 1, name
    for name in ("imputed", "weighted", "monotone", "scorecard"):
        written = written.replace(f'[candidates.{name}]\nfeatures = "selected"\n', "")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED.folder / str(SHIPPED.synthetic), folder)
    (folder / "lender.toml").write_text(written + QUICK, encoding="utf-8")
    return folder / "lender.toml"


@dataclass(frozen=True)
class Lived:
    """A simulation, and what it left."""

    book: Portfolio
    done: Simulation
    home: Home
    world: World
    decisions: list[Recorded]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.home.ledger_url)

    def of(self, month: str) -> list[Recorded]:
        return [each for each in self.decisions if each.at.startswith(month)]

    def fate(self) -> dict[str, int]:
        """What becomes of each client, as the world alone knows."""
        keys = [month.tables[self.book.main][self.book.key] for month in self.world.months]
        outcomes = [month.outcomes for month in self.world.months]
        return dict(zip(map(str, np.concatenate(keys)), np.concatenate(outcomes).tolist(), strict=True))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp("simulated")
    book = load(lender(folder))
    done = simulate(book, PLAN, folder / "home", today=TODAY)
    home = Home(folder / "home")
    sizes = (PLAN.clients, PLAN.months, PLAN.applicants)
    world = World.make(book, *sizes, drifts=PLAN.drifts, since=PLAN.since, seed=PLAN.seed)
    ledger = Ledger(home.ledger_url)
    return Lived(book, done, home, world, recorded(ledger, ledger.events("decision")))


# What was done


def test_everybody_was_decided_on_in_their_month(lived: Lived) -> None:
    for month, arrivals in zip(MONTHS, lived.world.months, strict=True):
        keys = arrivals.tables[lived.book.main][lived.book.key].astype(str).tolist()
        assert [each.client for each in lived.of(month)] == keys
        days = {str(each.at).split("T")[0] for each in lived.of(month)}
        assert len(days) == pd.Period(month).days_in_month
    assert len(lived.decisions) == PLAN.months * PLAN.applicants
    assert all(each.synthetic for each in lived.decisions)


def test_the_ledger_is_whole_and_its_time_runs_forward(lived: Lived) -> None:
    assert lived.ledger.verify() == []
    moments = [event.at for event in lived.ledger.events()]
    assert moments == sorted(moments)
    assert moments[0][:10] == "2025-11-30"
    assert moments[-1][:10] == "2026-02-28"


@pytest.mark.parametrize("month", MONTHS)
def test_decisions_are_the_models_own(lived: Lived, month: str) -> None:
    """Made again bit for bit, reasons included, by the version that the ledger names."""
    number = lived.of(month)[7].id
    assert replay(Records(lived.ledger), Registry(lived.book.name, lived.home), number).differences == ()


def test_some_of_the_declined_are_let_in_and_nobody_else(lived: Lived) -> None:
    declined = [each for each in lived.decisions if each.decision == "decline"]
    explored = [each for each in lived.decisions if each.overridden]
    assert {
        (each.decision, each.overridden["to"], each.overridden["reason"]) for each in explored if each.overridden
    } == {("decline", "approve", EXPLORED)}
    error = np.sqrt(PLAN.explore * (1 - PLAN.explore) / len(declined))
    assert abs(len(explored) / len(declined) - PLAN.explore) < 4 * error


def test_outcomes_are_the_worlds_and_of_approvals_that_are_old_enough(lived: Lived) -> None:
    fate = lived.fate()
    for each in lived.decisions:
        approved = (each.overridden["to"] if each.overridden else each.decision) == "approve"
        known = approved and not each.at.startswith(MONTHS[-PLAN.maturity])
        assert each.outcome == (fate[each.client] if known else None)
    observed = {event.payload["observed"] for event in lived.ledger.events("outcome")}
    assert observed == {"2026-01-31", "2026-02-28"}


def test_costs_are_those_of_everybody(lived: Lived) -> None:
    """Brute force: ten for whoever was let in and failed, one for whoever was kept out and would have paid."""
    fate, registry = lived.fate(), Registry(lived.book.name, lived.home)
    first = open_version(registry, registry.version(1))
    for month, row in zip(MONTHS, lived.done.table.itertuples(), strict=True):
        spent, without = 0, 0
        for each in lived.of(month):
            taken = each.overridden["to"] if each.overridden else each.decision
            frozen = each.decision
            if each.version != 1:
                frozen = first.decide(each.application, each.history).decision
            cost = {"approve": 10 * fate[each.client], "decline": 1 - fate[each.client]}
            spent, without = spent + cost[taken], without + cost[frozen]
        assert row.cost_with == pytest.approx(spent / PLAN.applicants)
        assert row.cost_without == pytest.approx(without / PLAN.applicants)
        assert row.cost_with_low <= row.cost_with <= row.cost_with_high


def test_who_knows_the_risks_pays_what_they_pay(lived: Lived) -> None:
    for month, row in zip(lived.world.months, lived.done.table.itertuples(), strict=True):
        approve = month.probability < 1 / 11
        spent = 10 * month.outcomes[approve].sum() + (1 - month.outcomes[~approve]).sum()
        assert row.cost_known == pytest.approx(spent / PLAN.applicants)
        assert row.default_rate == pytest.approx(month.outcomes.mean())


# The loop


def test_every_month_was_watched_and_kept(lived: Lived) -> None:
    kept = Archive(lived.home, lived.book.name).runs()
    assert [run["run"] for run in kept] == [f"Simulation/{month}" for month in MONTHS]
    assert [run["status"] for run in kept] == lived.done.table["status"].tolist()
    assert all(run["synthetic"] and run["window"]["applicants"] == PLAN.applicants for run in kept)
    told = [event.payload["run"] for event in lived.ledger.events("monitoring")]
    assert told == [run["run"] for run in kept]


def test_what_matured_was_judged(lived: Lived) -> None:
    kept = Archive(lived.home, lived.book.name).runs()
    assert [run["money"]["realised"] is not None for run in kept] == [False, True, True]


def test_an_alert_leads_to_a_training_that_the_gate_judges(lived: Lived) -> None:
    """Wherever there was an alert and something new to learn from, a version was trained on all that had matured."""
    registry = Registry(lived.book.name, lived.home)
    matured = 0
    champion = 1
    for month, row in zip(MONTHS, lived.done.table.itertuples(), strict=True):
        matured += row.matured
        assert row.version == champion
        assert bool(row.trained) == (row.status == "ALERT" and row.matured > 0)
        if row.trained:
            folder = lived.home.workspace / "training" / month
            assert len(pd.read_parquet(folder / "application_train.parquet")) == PLAN.clients + matured
            assert (folder / MARKER).exists()
            assert registry.version(row.trained).outcome == row.verdict
            champion = row.trained if row.verdict == "promoted" else champion
        assert row.champion == champion
    found = registry.champion()
    assert found is not None
    assert found.number == champion


def test_the_drift_was_noticed_learnt_and_acted_on(lived: Lived) -> None:
    """A score that half the applicants lack is seen in its first month; then another version decides."""
    first, second, third = lived.done.table.itertuples()
    assert (first.status == "ALERT", first.trained) == (False, 0)
    assert "feature: EXT_SOURCE_2" in second.findings
    assert (second.status, second.verdict) == ("ALERT", "promoted")
    assert (second.version, third.version) == (1, second.trained)
    assert lived.done.since_learning is not None


def test_the_comparison_covers_the_months_since(lived: Lived) -> None:
    """Months are of one size, so the differences of their means average to the difference of all."""
    table, done = lived.done.table, lived.done
    gap = table["cost_with"] - table["cost_without"]
    assert done.since_drift is not None
    assert done.since_drift.difference.estimate == pytest.approx(gap[PLAN.since - 1 :].mean())
    assert done.since_learning is not None
    assert done.since_learning.difference.estimate == pytest.approx(gap[table["version"] > 1].mean())


# The command


def test_the_same_seed_makes_the_same_months(lived: Lived, tmp_path: Path) -> None:
    """A shorter run is the beginning of the longer one, by the command too; it writes what it says it writes."""
    file, out = lender(tmp_path / "book"), tmp_path / "out"
    words = ["simulate", "--out", str(out), "--portfolio", str(file), "--clients", "900", "--months", "1"]
    words += ["--applicants", "150", "--from", "1", "--drift", "none", "--maturity", "1", "--explore", "0.2"]
    ran = CliRunner().invoke(app, [*words, "--candidates", "quick", "--json"], catch_exceptions=False)
    told = json.loads(ran.stdout)
    assert told["synthetic"] is True
    [row] = told["months"]
    same = lived.done.table.drop(columns=["month", "drift"]).iloc[0].to_dict()
    assert {name: row[name] for name in same} == same
    table = pd.read_csv(out / "months.csv")
    assert table["synthetic"].all()
    assert (out / "cost.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "summary.json").read_text())["months"] == told["months"]


def test_the_page_says_synthetic_first(lived: Lived, tmp_path: Path) -> None:
    told = lived.done.to_dict() | {"files": {"table": str(tmp_path / "months.csv")}}
    page = command._page(lived.done, told)
    assert page.startswith("SYNTHETIC: ")
    assert "the odds of default of one kind of applicant" in page
    assert all(month in page for month in MONTHS)
    json.dumps(told, allow_nan=False)


def test_the_picture_shows_what_happened(lived: Lived) -> None:
    figure = plots.loop_plot(lived.done.table, synthetic=True)
    assert "SYNTHETIC DATA" in [text.get_text() for text in figure.texts]
    (ax,) = figure.axes
    shown = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_allclose(shown["had the true risks been known"].get_ydata(), lived.done.table["cost_known"])
    drawn = {bars.get_label(): bars.lines[0].get_ydata() for bars in ax.containers}
    np.testing.assert_allclose(drawn["watched and trained anew"], lived.done.table["cost_with"])
    np.testing.assert_allclose(drawn["the first model for ever"], lived.done.table["cost_without"])
    words = [text.get_text() for text in ax.texts]
    assert words[0] == "drift"
    assert f"version {lived.done.table['version'].iloc[-1]}" in words
    assert [tick.get_text().split("\n")[0] for tick in ax.get_xticklabels()] == MONTHS


# Bad use


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"months": 0}, "--months 0: must be 1 or more"),
        ({"applicants": 299}, "--applicants 299: must be 300 or more"),
        ({"since": 0}, "--from 0: must be a month from 1 to 3"),
        ({"since": 4}, "--from 4: must be a month from 1 to 3"),
        ({"maturity": 0}, "--maturity 0: must be 1 month or more"),
        ({"memory": 0}, "--memory 0: must be 1 client or more"),
        ({"explore": 1.5}, "--explore 1.5: must be from 0 to 1"),
        ({"drifts": ("wages",)}, "drift 'wages': no such drift"),
        ({"candidates": ("natif",)}, "candidate 'natif': no such entry"),
        ({"clients": 0, "months": 1, "since": 1, "applicants": 300, "seed": -1}, "seed = -1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    plan = replace(PLAN, **{"applicants": 300, "candidates": ("quick",)} | change)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=re.escape(message)):
        simulate(SHIPPED, plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty; a simulation is kept in a folder of its own"):
        simulate(SHIPPED, Plan(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_first_model_that_the_gate_refuses_ends_it(tmp_path: Path) -> None:
    book = load(lender(tmp_path / "book", calibration_in_the_large="0.000001"))
    with pytest.raises(ModelError, match=r"first model: Not promoted: .*calibration in the large.* more --clients"):
        simulate(book, PLAN, tmp_path / "out", today=TODAY)


# The calendar and the clock


@pytest.mark.parametrize(
    ("months", "today", "expected"),
    [
        (1, date(2026, 11, 27), ["2026-10-01"]),
        (1, date(2026, 11, 1), ["2026-10-01"]),
        (3, date(2026, 2, 28), ["2025-11-01", "2025-12-01", "2026-01-01"]),
        (14, date(2024, 3, 31), [f"{2023 + n // 12}-{n % 12 + 1:02}-01" for n in range(14)]),
    ],
)
def test_the_calendar_ends_with_the_last_whole_month(months: int, today: date, expected: list[str]) -> None:
    assert [day.isoformat() for day in calendar(months, today)] == expected


def test_events_bear_the_moment_that_is_set(tmp_path: Path) -> None:
    ledger, then = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), datetime(2025, 5, 5, 12, tzinfo=UTC)
    with dated(then):
        ledger.append("note", {})
        with dated(then + timedelta(days=1)):
            ledger.append("note", {})
        ledger.append("note", {})
    before = datetime.now(UTC)
    ledger.append("note", {})
    moments = [event.at for event in ledger.events()]
    assert moments[:3] == [f"2025-05-0{day}T12:00:00.000000+00:00" for day in (5, 6, 5)]
    assert moments[3] >= before.isoformat(timespec="microseconds")
    assert ledger.verify() == []


@pytest.mark.parametrize("moment", [datetime(2025, 5, 5), datetime.now(UTC) + timedelta(days=1)])
def test_a_moment_to_come_or_without_a_zone_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="must have a time zone and lie in the past"), dated(moment):
        pass
