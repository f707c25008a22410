"""TrainingFlow for real, through Metaflow's own Runner, on a small book of the test's own."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from metaflow import Run, Runner, Step, Task

from credit.governance.registry import Registry
from credit.home import Home
from credit.portfolio import load
from credit.scoring import book as books
from credit.scoring.decider import Decider
from credit.scoring.scorer import Scorer

FIELD = "native,weighted,selected,broken,scorecard"
#: A line of a traceback through the flow; Python 3.13 shows one of gzip's own when Metaflow ends a failed task.
FRAME = 'training.py", line'
ROOT = Path(__file__).resolve().parents[1]
FLOW = str(ROOT / "flows" / "training.py")
BOOK = """
name = "shop"
title = { en = "Shop loans", fr = "Crédits de magasin" }
source = "made up by a test"
licence = "none needed"
main = "loans"
key = "client"
target = "default"

[training]
candidates = ["native", "imputed", "weighted", "monotone", "selected", "broken"]
references = ["prior", "scorecard"]

[candidates.native]
grid = { num_leaves = [4, 8] }
search_trees = 30
trees = 60
[candidates.weighted]
grid = { num_leaves = [4, 8] }
search_trees = 30
trees = 60
[candidates.selected]
grid = { num_leaves = [4, 8] }
search_trees = 30
trees = 60
[candidates.broken]
grid = { num_leaves = [-1] }

[[groups]]
name = "sex"
column = "sex"
en = "Sex"
fr = "Sexe"

[tables.loans]
en = "Loans"
fr = "Crédits"
files = ["loans"]
key = ["client"]

[tables.loans.columns]
client = { en = "Client", fr = "Client", type = "integer", role = "key", missing = false }
default = { en = "Default", fr = "Défaut", type = "flag", role = "target", missing = false }
sex = { en = "Sex", fr = "Sexe", type = "category", role = "protected", levels = ["f", "m"] }
income = { en = "Income", fr = "Revenu", type = "number", unit = "currency", min = 0, monotone = -1 }
amount = { en = "Amount", fr = "Montant", type = "number", unit = "currency", min = 0, actionable = true }
years = { en = "Years in the job", fr = "Années d'emploi", type = "number", unit = "years", min = 0 }
job = { en = "Job", fr = "Métier", type = "category", levels = ["a", "b", "c"] }
"""


def rows(clients: int, seed: int) -> pd.DataFrame:
    """Loans whose risk falls with income, rises with the amount, and does not know the sex."""
    rng = np.random.default_rng(seed)
    income, amount = rng.lognormal(10, 0.5, clients), rng.lognormal(9, 0.7, clients)
    years = np.where(rng.random(clients) < 0.2, np.nan, rng.gamma(2, 3, clients))
    job = rng.choice(["a", "b", "c"], clients)
    raw = (
        -2.9
        - 2.0 * (np.log(income) - 10)
        + 1.4 * (np.log(amount) - 9)
        + 0.7 * (job == "c")
        - 0.05 * np.nan_to_num(years)
    )
    default = (rng.random(clients) < 1 / (1 + np.exp(-raw))).astype(int)
    return pd.DataFrame(
        {
            "client": np.arange(clients) + 1,
            "default": default,
            "sex": rng.choice(["f", "m"], clients),
            "income": income.round(2),
            "amount": amount.round(2),
            "years": years,
            "job": job,
        }
    )


@dataclass
class Ran:
    """How a run ended, and all that it said; Metaflow removes its own copy with the runner."""

    status: str
    run: Run
    said: str
    tasks: dict[str, str]  # a task of each step, while Metaflow's client still looks into this folder


def shown(step: Step, task: Task) -> bool:
    """Whether a task's card is looked at: of the candidates, the first one's."""
    return step.id != "fit" or ("candidate" in task and task["candidate"].data.name == "native")


class Place:
    """A folder with a book, its data, and a home of its own; runs flows and commands there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / ".credit")
        (folder / "shop.toml").write_text(BOOK, encoding="utf-8")
        rows(4_000, 0).to_csv(folder / "loans.csv", index=False)

    def environment(self, **more: str) -> dict[str, str]:
        return {"CREDIT_HOME": str(self.home.root), "METAFLOW_USER": "tests", "METAFLOW_HOME": str(self.folder), **more}

    def run(self, command: str = "run", environment: dict[str, str] | None = None, **options: object) -> Ran:
        runner = Runner(FLOW, show_output=False, env=self.environment(**(environment or {})), cwd=str(self.folder))
        defaults = {"portfolio": "shop.toml", "data": "loans.csv"} if command == "run" else {}
        with runner as running:
            done = getattr(running, command)(**{**defaults, **options})
            tasks = {step.id: task.pathspec.split("/", 1)[1] for step in done.run for task in step if shown(step, task)}
            return Ran(done.status, done.run, done.stdout + done.stderr, tasks)

    def credit(self, *words: str, code: int = 0, **environment: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "credit", *words, "--json"],
            cwd=self.folder,
            env={**os.environ, **self.environment(**environment)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else {"message": done.stderr}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def first(place: Place):
    """The first run in an empty home; one of its candidates cannot be trained."""
    done = place.run(candidates=FIELD)
    assert done.status == "successful", done.said
    return done


def test_the_first_run_registers_a_champion(place: Place, first) -> None:
    summary = first.run.data.summary
    json.dumps(summary)  # plain values only: others rely on it
    assert summary["portfolio"] == "shop"
    assert summary["synthetic"] is False
    assert (
        summary["rows"]["train"]["rows"] + summary["rows"]["validation"]["rows"] + summary["rows"]["test"]["rows"]
        == 4_000
    )
    assert summary["verdict"]["outcome"] == "first", summary["verdict"]["summary"]
    champion = place.credit("champion", "--portfolio", "shop.toml")["champion"]
    assert champion["number"] == summary["version"] == 1
    assert set(champion["aliases"]) == {"champion", "challenger"}


def test_the_winner_is_the_cheapest_candidate_that_is_no_reference(first) -> None:
    summary = first.run.data.summary
    costs = {c["name"]: c["cost"]["estimate"] for c in summary["candidates"] if not c["reference"]}
    assert set(costs) == {"native", "weighted", "selected"}
    assert summary["winner"] == min(costs, key=lambda name: costs[name])
    assert {c["name"] for c in summary["candidates"] if c["reference"]} == {"scorecard"}


def test_a_candidate_that_fails_is_reported_and_the_others_go_on(first) -> None:
    assert set(first.run.data.summary["failed"]) == {"broken"}
    reason = first.run.data.summary["failed"]["broken"]
    assert "num_leaves" in reason
    assert "\n" not in reason
    assert "Traceback" not in reason
    assert "broken failed" in first.said


def test_the_registered_bundle_decides_as_the_run_did_on_its_own_test_rows(place: Place, first) -> None:
    """What is registered is what was judged: same rows, same cost, to the last bit."""
    data = first.run.data
    scorer = Scorer.load(Registry("shop", place.home).load())
    test = data.dataset.load("test")
    decided = scorer.decide(test)
    missed = ((decided["decision"] == "approve") & (test["default"] == 1)).sum()
    refused = ((decided["decision"] == "decline") & (test["default"] == 0)).sum()
    assert data.summary["test"]["cost"]["estimate"] == pytest.approx((10 * missed + refused) / len(test), abs=1e-12)


def test_every_step_says_what_it_does_on_how_many_rows_and_how_long(first) -> None:
    for words in ("Checking the contract: done (4,000 rows", "Splitting by a hash of the client id: done", "Gate:"):
        assert words in first.said


def test_no_library_advertises_or_reports(first) -> None:
    for noise in ("View run", "Created version", "alembic", "telemetry", "Warning", "pylint"):
        assert noise not in first.said, noise


def test_the_same_run_again_promotes_nothing_and_trains_the_same_model(place: Place, first) -> None:
    """Same data and seed give the same model bit for bit, so the gate must say: same model again."""
    again = place.run(candidates=first.run.data.summary["winner"])
    summary = again.run.data.summary
    assert summary["verdict"]["outcome"] == "same"
    assert "Same model again" in summary["verdict"]["summary"]
    assert place.credit("champion", "--portfolio", "shop.toml")["champion"]["number"] == 1
    assert len(place.credit("versions", "--portfolio", "shop.toml")["versions"]) == 2


def test_the_champion_scores_raw_applications_and_rejects_invalid_rows(place: Place, first) -> None:
    fresh = rows(50, 9).drop(columns="default")
    fresh.loc[3, "income"] = -5.0
    fresh.loc[7, "job"] = "astronaut"
    fresh.to_csv(place.folder / "new.csv", index=False)
    done = place.credit("score", "new.csv", "--out", "out/decided.csv", "--portfolio", "shop.toml")
    decided = pd.read_csv(place.folder / "out" / "decided.csv")
    said = ["probability_of_default", "decision", "expected_cost_approve", "expected_cost_decline", "band"]
    assert list(decided)[:7] == ["client", *said, "model_version"]
    assert list(decided)[7:] == [f"reason_{rank}{words}" for rank in (1, 2, 3, 4) for words in ("", "_words")]
    assert decided["reason_1"].notna().equals(decided["decision"] != "approve")
    assert len(decided) == done["scored"] == 48
    assert set(decided["model_version"]) == {"credit-shop/1"}
    assert decided["probability_of_default"].between(0, 1).all()
    rejected = pd.read_csv(place.folder / "out" / "decided.rejected.csv")
    assert dict(zip(rejected["client"], rejected["column"], strict=True)) == {4: "income", 8: "job"}
    assert rejected["remedy"].str.len().min() > 0


def test_rollback_needs_a_reason_and_a_champion_before(place: Place, first) -> None:
    assert "reason" in place.credit("rollback", "--portfolio", "shop.toml", code=2)["message"]
    message = place.credit("rollback", "--portfolio", "shop.toml", "--reason", "a test", code=2)["message"]
    assert "no" in message.lower()


def test_if_every_candidate_fails_the_run_fails(place: Place) -> None:
    done = place.run(candidates="broken,prior")
    assert done.status == "failed"
    assert "every candidate failed" in done.said


def test_bad_input_gets_one_clear_message_and_no_traceback(place: Place) -> None:
    done = place.run(data="nowhere.csv")
    assert done.status == "failed"
    assert "nowhere.csv" in done.said
    assert FRAME not in done.said


def test_a_silent_server_keeps_the_model_and_resume_and_register_finish_the_job(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with socket.socket() as deaf:  # takes connections, never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        uri = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        failed = place.run(candidates="native", environment={"MLFLOW_TRACKING_URI": uri})
        assert failed.status == "failed"
        assert "credit register" in failed.said
        assert FRAME not in failed.said
        assert (
            "MLflow" in place.credit("champion", "--portfolio", "shop.toml", code=3, MLFLOW_TRACKING_URI=uri)["message"]
        )
    done = place.credit("register")
    assert done["version"] == 1
    assert done["verdict"]["outcome"] == "first"
    resumed = place.run("resume", origin_run_id=failed.run.id)
    assert resumed.status == "successful", resumed.said
    assert resumed.run.data.summary["version"] == 1  # one release is one version, however often it is submitted


def test_more_workers_than_cores_are_refused(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, FLOW, "run", "--max-workers", "999"],
        cwd=place.folder,
        env={**os.environ, **place.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "cores" in done.stderr


def test_the_book_of_the_bundle_is_the_book_of_the_run(place: Place, first) -> None:
    """A champion is used under the contract it was trained under, whatever becomes of the file."""
    kept = load(Registry("shop", place.home).load() / "portfolio.toml")
    assert kept.digest == load(place.folder / "shop.toml").digest


def test_the_default_book_shows_what_history_is_worth(tmp_path: Path) -> None:
    """The same rows with and without the six history tables, side by side, and the difference on test."""
    place = Place(tmp_path)
    done = place.run(portfolio="home_credit", data="", clients=1_500, candidates="application,selected")
    assert done.status == "successful", done.said
    summary = done.run.data.summary
    assert summary["synthetic"] is True
    read = {candidate["name"]: candidate["features"] for candidate in summary["candidates"]}
    assert read["application"] == 127
    assert 10 < read["selected"] <= 150
    tables = done.run.data.dataset.tables
    assert len(tables) == 7
    assert {"application"} >= {row["model"] for row in summary["test"]["references"]}
    card = done.run["select"].task.data.selection
    assert set(card.kept) <= set(card.table["feature"])
    assert "Folding instalments due and paid" in done.said
    made_up = next((place.home.workspace / "synthetic").iterdir())
    fresh = pd.read_parquet(made_up / "application_train.parquet").drop(columns="TARGET").head(40)
    fresh.to_parquet(made_up / "application_test.parquet")
    decider = Decider.load(Path(summary["release"]) / "bundle")
    scored = books.score(decider, made_up, place.folder / "decided.csv")
    assert (scored.scored, scored.rejected) == (40, 0)


CARDS = [
    ("start", "data", ["Data: Shop loans", "default rate"]),
    ("select", "selection", ["Selection:", "gain more from the outcomes"]),
    ("fit", "candidate", ["Settings chosen", "Calibration", "Rounds of the search"]),
    ("choose", "leaderboard", ["wins on validation", "The threshold", "broken failed"]),
    ("evaluate", "evaluation", ["Headline figures", "AUC gap", "Against the references"]),
    ("register", "verdict", ["First model", "calibration slope", "approval ratio by sex"]),
]


@pytest.mark.parametrize(("step", "name", "words"), CARDS)
def test_a_card_renders_with_no_network_and_shows_its_figures(
    place: Place, first, browser_page, step: str, name: str, words: list[str]
) -> None:
    """The page comes from disk; the fixture fails the test if it asks for anything but Metaflow's font."""
    target = place.folder / f"{name}.html"
    done = subprocess.run(
        [sys.executable, FLOW, "card", "get", first.tasks[step], "--id", name, str(target)],
        cwd=place.folder,
        env={**os.environ, **place.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    browser_page.goto(target.as_uri())
    for text in words:
        browser_page.get_by_text(text).first.wait_for(timeout=20_000)
    broken = browser_page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).length")
    assert broken == 0
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= 1280
