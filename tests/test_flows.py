"""TrainingFlow for real, on a small book: who wins, what is registered, what is said, how it fails."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from metaflow.exception import MetaflowException
from training_util import BOOK, FLOW, Place, Ran, rows

from credit.governance.registry import Registry
from credit.portfolio import load
from credit.scoring.scorer import Scorer

__all__ = ["BOOK", "rows"]

FIELD = "native,selected,broken,scorecard"
#: A line of a traceback through the flow; Python 3.13 shows one of gzip's own when Metaflow ends a failed task.
FRAME = 'training.py", line'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def silenced(place: Place) -> tuple[Ran, str]:
    """The first run in an empty home, where an MLflow server never answers; and what a command says there.

    One of its candidates cannot be trained.
    """
    with socket.socket() as deaf:  # takes connections
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        silent = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        done = place.run(candidates=FIELD, environment=silent)
        message = place.credit("champion", "--portfolio", "shop.toml", code=3, **silent)["message"]
    return done, message


@pytest.fixture(scope="module")
def registered(place: Place, silenced) -> dict:
    """What `credit register` says, once the registry answers."""
    return place.credit("register")


@pytest.fixture(scope="module")
def first(place: Place, silenced, registered) -> Ran:
    """The same run resumed: it has ended well, and said all that it has to say."""
    failed, _ = silenced
    done = place.run("resume", origin_run_id=failed.run.id)
    assert done.status == "successful", done.said
    tasks = failed.tasks | {"register": done.tasks["register"]}  # a task that is not run again has its card there
    return replace(done, said=failed.said + done.said, tasks=tasks)


def test_the_first_run_registers_a_champion(place: Place, registered, first) -> None:
    summary = first.run.data.summary
    json.dumps(summary)  # plain values only: others rely on it
    assert summary["portfolio"] == "shop"
    assert summary["synthetic"] is False
    assert (
        summary["rows"]["train"]["rows"] + summary["rows"]["validation"]["rows"] + summary["rows"]["test"]["rows"]
        == 4_000
    )
    assert registered["verdict"]["outcome"] == "first", registered["verdict"]["summary"]
    champion = place.credit("champion", "--portfolio", "shop.toml")["champion"]
    assert champion["number"] == summary["version"] == 1
    assert set(champion["aliases"]) == {"champion", "challenger"}


def test_the_winner_is_the_cheapest_candidate_that_is_no_reference(first) -> None:
    summary = first.run.data.summary
    costs = {c["name"]: c["cost"]["estimate"] for c in summary["candidates"] if not c["reference"]}
    assert set(costs) == {"native", "selected"}
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


def test_the_champion_scores_raw_applications_and_rejects_invalid_rows(place: Place, first) -> None:
    fresh = rows(50, 9).drop(columns="default")
    fresh.loc[3, "income"] = -5.0
    fresh.loc[7, "job"] = "astronaut"
    fresh.to_csv(place.folder / "new.csv", index=False)
    done = place.score("new.csv", "--out", "out/decided.csv", "--portfolio", "shop.toml")
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


def test_if_every_candidate_fails_the_run_fails(first, monkeypatch) -> None:
    """The step that chooses, given what the run's own tasks left of the one that failed and of the reference."""
    monkeypatch.syspath_prepend(str(Path(FLOW).parent))
    from training import TrainingFlow

    left = {task.data.candidate.name: task.data for task in first.run["fit"]}
    broken, scorecard = left["broken"], left["scorecard"]
    names = ("candidate", "fitted", "probability")
    tasks = [
        SimpleNamespace(failure=broken.failure, input=broken.candidate),
        SimpleNamespace(failure=None, **{name: getattr(scorecard, name) for name in names}),
    ]
    flow = SimpleNamespace(book=scorecard.book, dataset=scorecard.dataset, merge_artifacts=lambda *_, **__: None)
    with pytest.raises(MetaflowException, match="every candidate failed"):
        TrainingFlow.choose(flow, tasks)
    assert set(flow.failures) == {"broken"}


def test_a_silent_server_keeps_the_model_and_says_how_to_go_on(silenced) -> None:
    failed, message = silenced
    assert failed.status == "failed"
    said = "\n".join(line for line in failed.said.splitlines() if "/register/" in line)
    assert "credit register" in said
    assert FRAME not in said
    assert "MLflow" in message


def test_register_finishes_the_job_and_the_same_model_again_is_not_promoted(place: Place, registered, first) -> None:
    """One release is one version, however often it is submitted: the run resumed finds its own champion."""
    assert registered["version"] == 1
    assert registered["verdict"]["outcome"] == "first"
    summary = first.run.data.summary
    assert summary["version"] == 1
    assert summary["verdict"]["outcome"] == "same"
    assert "Same model again" in summary["verdict"]["summary"]
    registry = Registry("shop", place.home)
    assert [version.number for version in registry.versions()] == [1]
    assert registry.champion().number == 1


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


CARDS = [
    ("start", "data", ["Data: Shop loans", "default rate"]),
    ("select", "selection", ["Selection:", "gain more from the outcomes"]),
    ("fit", "candidate", ["Settings chosen", "Calibration", "Rounds of the search"]),
    ("choose", "leaderboard", ["wins on validation", "The threshold", "broken failed"]),
    ("evaluate", "evaluation", ["Headline figures", "AUC gap", "Against the references"]),
    ("register", "verdict", ["Same model again", "calibration slope", "approval ratio by sex"]),
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
