"""MonitoringFlow for real: an alert that is told and trained upon; a regression that is rolled back."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from learning import SMALL, sales
from receiver_util import receiving
from serving_util import EXTRA, SHOP, champion, data, registered

from credit.errors import ConfigError
from credit.governance.ledger import Ledger
from credit.governance.outcomes import import_outcomes
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.governance.version import Version
from credit.home import Home
from credit.monitoring.archive import Archive

FLOWS = Path(__file__).resolve().parents[1] / "flows"
#: Whoever is decided on before monitoring looks.
APPLICANTS = 400
#: One candidate: what is tested is that training is started, not what it finds.
FEW = """
[training]
candidates = ["native"]
references = []
folds = 2
"""
#: Asks Metaflow about runs, in a process of its own: its client keeps what it has seen.
ASK = """
import json
from metaflow import Flow, Run, namespace
from metaflow.cards import get_cards

namespace(None)
run = Flow("MonitoringFlow").latest_run
training = Flow("TrainingFlow").latest_run
cards = {step.id: [card.get() for card in get_cards(step.task)] for step in run if step.id not in ("start", "end")}
print(json.dumps({
    "successful": run.successful,
    "status": run.data.status["status"],
    "cards": {name: [len(page) for page in pages] for name, pages in cards.items()},
    "words": {name: ["Stack Trace" in page for page in pages] for name, pages in cards.items()},
    "tags": sorted(training.user_tags),
    "asked_by": training.data.summary["monitoring"],
}))
"""


@dataclass(frozen=True)
class Place:
    """A lender's folder: a home with a champion, and what was run there."""

    folder: Path
    home: Home

    def environment(self) -> dict[str, str]:
        """Return what a run here sees."""
        own = {"CREDIT_HOME": str(self.home.root), "METAFLOW_USER": "tests", "METAFLOW_HOME": str(self.folder)}
        return {**os.environ, **own, "CREDIT_WEBHOOK_TOKEN": "s3cret"}

    def run(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """Run the flow as a user does."""
        command = [sys.executable, str(FLOWS / "monitoring.py"), "run", "--portfolio", "shop.toml", *options]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )

    def ask(self) -> dict:
        """Ask Metaflow's client about the last run of each flow."""
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])


def place(folder: Path) -> Place:
    made = Place(folder, Home(folder / "home"))
    champion(made.home)
    book = f"{SHOP}\n[candidates.native]\n{SMALL.replace('NAME', 'native')}\n{EXTRA}\n{FEW}"
    (folder / "shop.toml").write_text(book, encoding="utf-8")
    return made


def fresh(rows: int, seed: int) -> pd.DataFrame:
    """Draw applicants who ask for far more than those the model knows."""
    frame = sales(rows, seed)
    return frame.assign(client=frame["client"] + 50_000, amount=frame["amount"] * 3)


def _lenient(here: Place) -> Version:
    """Register a model of outcomes by chance, nearly all of them good, and make it champion by force."""
    rosy = here.folder / "rosy"
    rosy.mkdir()
    unpaid = (np.random.default_rng(3).random(900) < 0.06).astype(int)
    sales(900, 2).assign(unpaid=unpaid).to_csv(rosy / "sales.csv", index=False)
    version = registered(here.home, rosy, "Test/3", "")
    if version.is_champion:
        return version
    return Registry("shop", here.home).promote(version.number, reason="a test wants it", force=True)


def _decided(here: Place, worse: Version) -> None:
    """Put decisions of a model on record, and what became of each."""
    decider, ledger = open_version(Registry("shop", here.home), worse), Ledger(here.home.ledger_url)
    frame = fresh(APPLICANTS, 32)
    raw = frame.drop(columns=["unpaid", "branch"]).astype(object)
    rows = raw.where(raw.notna(), None).to_dict("records")
    items = [(decider.decide(row), row, None) for row in rows]
    numbers = Records(ledger).decide_many(items, by="anna", channel="api")
    seen = pd.DataFrame({"decision": numbers, "outcome": frame["unpaid"], "observed": datetime.now(UTC).date()})
    seen.to_csv(here.folder / "outcomes.csv", index=False)
    import_outcomes(ledger, here.folder / "outcomes.csv")


@pytest.fixture(scope="module")
def alerted(tmp_path_factory):
    """Everything at once: alert, rollback, webhook, retraining, exit code.

    After a good champion came one that learned from rows on which hardly anybody failed; all outcomes are known.
    """
    here = place(tmp_path_factory.mktemp("alerted"))
    worse = _lenient(here)
    _decided(here, worse)
    with receiving(200) as receiver:
        options = ("--webhook", receiver.address, "--fail-on", "alert", "--out", "status.json")
        act = ("--rollback", "on-regression", "--retrain", "on-alert", "--training-data", str(data(here.home)))
        done = here.run("--since", "2020-01-01", *options, *act)
        heard = list(receiver.asked)
    return SimpleNamespace(place=here, done=done, heard=heard, worse=worse, told=here.ask())


def test_an_alert_is_found_kept_and_exits_with_1(alerted):
    """What it found is bad, not the run: the run is successful, and keeps everything."""
    assert alerted.done.returncode == 1, alerted.done.stderr + alerted.done.stdout
    assert "--fail-on alert: the status is ALERT." in alerted.done.stderr
    here = alerted.place
    status = json.loads((here.folder / "status.json").read_text())
    archive = Archive(here.home, "shop")
    assert archive.last() == status
    assert status["status"] == "ALERT"
    assert next(each["subject"] for each in status["findings"] if each["kind"] == "feature") == "amount"
    assert status["window"]["applicants"] == APPLICANTS
    told = alerted.told
    assert (told["successful"], told["status"]) == (True, "ALERT")
    [event] = Ledger(here.home.ledger_url).events("monitoring")
    assert (event.payload["run"], event.payload["status"]) == (status["run"], "ALERT")


def test_its_report_opens_from_the_file_alone(alerted):
    """No script, style or picture from elsewhere."""
    archive = Archive(alerted.place.home, "shop")
    page = archive.report(archive.last()["run"]).read_text(encoding="utf-8")
    assert "amount" in page.lower()
    assert 'src="http' not in page
    assert 'href="http' not in page.partition("<body")[0]


def test_the_windows_rows_are_gone(alerted):
    """They are personal data, and belong to whoever gave them."""
    folder = alerted.place.home.workspace / "monitoring"
    assert list(folder.rglob("*.parquet")) == []


def test_every_step_has_a_card_that_shows_something(alerted):
    told = alerted.told
    assert told["cards"].keys() == {"drift", "money", "evidently", "judge", "act"}
    assert all(pages and min(pages) > 5_000 for pages in told["cards"].values())
    assert not any(any(pages) for pages in told["words"].values())


def test_the_webhook_hears_of_it_and_of_nobody(alerted):
    [(_, headers, body)] = alerted.heard
    message = json.loads(body)
    assert (message["status"], message["retraining"]) == ("ALERT", True)
    assert headers["Authorization"] == "Bearer s3cret"
    assert b"town" not in body
    assert "s3cret" not in alerted.done.stdout + alerted.done.stderr


def test_training_was_started_and_each_names_the_other(alerted):
    here = alerted.place
    status, told = Archive(here.home, "shop").last(), alerted.told
    trained = status["actions"]["retraining"]
    assert trained["run"].startswith("TrainingFlow/")
    assert told["tags"] == [f"monitoring:{status['run']}"]
    assert told["asked_by"] == status["run"]
    assert trained["run"].partition("/")[2] in alerted.done.stdout, "what the training says is shown while it runs"
    registry = Registry("shop", here.home)
    assert trained["version"] == alerted.worse.number + 1
    assert trained["promoted"] is (trained["champion"] == trained["version"])
    assert trained["why"]
    assert registry.version(trained["version"]).tags["monitoring_run"] == status["run"]
    assert trained["champion"] == registry.champion().number


def test_a_worse_champion_is_rolled_back_and_both_steps_are_in_the_ledger(alerted):
    here, before = alerted.place, alerted.worse.number - 1
    ledger = Ledger(here.home.ledger_url)
    proposal, rollback = ledger.events("proposal", "rollback")
    status = Archive(here.home, "shop").last()
    for event in (proposal, rollback):
        assert (event.payload["from"], event.payload["to"]) == (alerted.worse.number, before)
        assert status["run"] in event.payload["reason"]
    assert status["actions"]["rollback"] == {
        "to": before,
        "reason": proposal.payload["reason"],
        "performed": True,
        "event": proposal.id,
    }
    assert any(each["kind"] == "regression" for each in status["findings"])
    assert ledger.verify() == []
    assert "rolled back to version" in alerted.done.stdout
    assert Registry("shop", here.home).champion().number in (before, status["actions"]["retraining"]["version"])


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FLOWS))
    import monitoring_steps

    return monitoring_steps


def test_a_file_of_applicants_is_a_window_too(tmp_path, steps, monkeypatch):
    """The same steps, called as the flow calls them; without a report there is none."""
    here = place(tmp_path)
    monkeypatch.chdir(here.folder)
    monkeypatch.setenv("CREDIT_HOME", str(here.home.root))
    (here.folder / "new").mkdir()
    fresh(600, 31).drop(columns="unpaid").to_csv(here.folder / "new" / "open_sales.csv", index=False)
    told = {"portfolio": "shop.toml", "current": "new", "report": False, "seed": 7, "no_history": False}
    flow = SimpleNamespace(**GIVEN | told | {"labelled": False, "outcomes": None})
    steps.check(flow)
    flow.model, flow.limits = steps.open_model("shop.toml", 0), steps.limits(flow)
    flow.window = steps.window(flow, "MonitoringFlow/99")
    nothing, page = steps.report(flow)
    assert (nothing.told, page[:3]) == ({"evidently": None}, "<p>")
    status = steps.judge(flow, [steps.moved(flow), steps.paid(flow), nothing])
    assert status["window"]["applicants"] == 600
    assert status["status"] == "ALERT"
    assert next(each["subject"] for each in status["findings"] if each["kind"] == "feature") == "amount"
    steps.clear(flow)
    archive = Archive(here.home, "shop")
    assert archive.last() == status
    assert archive.report(status["run"]) is None


GIVEN = {
    **dict.fromkeys(("since", "until", "current", "features", "training_data", "webhook")),
    "last": 0,
    "fail_on": "never",
    "retrain": "never",
    "rollback": "propose",
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"current": "a", "features": "b"}, "name one window; give one of the three"),
        ({"current": "a", "last": 5}, "name one window"),
        ({"last": -1}, "--last -1: must be 1 or more"),
        ({"fail_on": "panic"}, "--fail-on panic: must be one of never, warn, alert"),
        ({"retrain": "always"}, "--retrain always: must be one of never, on-alert"),
        ({"rollback": "yes"}, "--rollback yes: must be one of propose, on-regression"),
        ({"retrain": "on-alert"}, "needs --training-data"),
        ({"webhook": "ftp://x"}, "webhook"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_any_work(steps, given, said):
    with pytest.raises(ConfigError, match=said):
        steps.check(SimpleNamespace(**GIVEN | given))


def test_options_that_go_together_pass(steps):
    fine = {"since": "2026-01-01", "last": 10, "retrain": "on-alert", "training_data": "x", "fail_on": "warn"}
    steps.check(SimpleNamespace(**GIVEN | fine))
