"""ScoringFlow for real, through Metaflow's own Runner, with a champion of the test's own."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import Result
from learning import open_sales, sales
from metaflow import Run, Runner
from serving_util import champion, shop_file
from typer.testing import CliRunner

from credit.__main__ import app
from credit.errors import ConfigError
from credit.governance.ledger import Ledger
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.home import Home
from credit.scoring import book as books
from credit.scoring import plan as plans

FLOW = str(Path(__file__).resolve().parents[1] / "flows" / "scoring.py")
FEATURES = ["kind", "town", "amount", "score", "months", "phone"]
#: A cell that a page might run, and a spreadsheet.
HOSTILE = "=<b>bold</b>"


@dataclass
class Ran:
    """How a run ended, and all that it said."""

    status: str
    run: Run
    said: str


class Place:
    """A folder with a champion, its book and rows to score."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, Home(folder / ".credit")
        version = champion(self.home)
        shop_file(folder)
        self.decider = open_version(Registry("shop", self.home), version)
        raw = open_sales(200).fillna({"phone": 1.0}).assign(kind="cash").astype({"amount": object})
        raw.loc[5, "amount"] = HOSTILE
        raw.to_csv(folder / "raw.csv", index=False)
        rows = sales(160, 4)[["client", *FEATURES]]
        rows.to_parquet(folder / "rows.parquet", row_group_size=80)

    def environment(self) -> dict[str, str]:
        return {"CREDIT_HOME": str(self.home.root), "METAFLOW_USER": "tests", "METAFLOW_HOME": str(self.folder)}

    def run(self, command: str = "run", **options: object) -> Ran:
        with Runner(FLOW, show_output=False, env=self.environment(), cwd=str(self.folder)) as running:
            done = getattr(running, command)(**options)
            return Ran(done.status, done.run, done.stdout + done.stderr)

    def score(self, *words: str) -> Result:
        """Run `credit score` in this process: `test_flows` runs it in one of its own."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self.environment().items():
                patch.setenv(name, value)
            return CliRunner().invoke(app, ["score", "raw.csv", "--portfolio", "shop.toml", "--json", *words])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("scoring"))


@pytest.fixture(scope="module")
def raw(place: Place) -> Ran:
    done = place.run(portfolio="shop.toml", data="raw.csv", out="raw", reasons=True)
    assert done.status == "successful", done.said
    return done


def test_a_raw_book_is_decided_as_a_file_is(place: Place, raw: Ran) -> None:
    """The night run and `credit score` are two ways to one answer: same probabilities, same reasons, same rejects."""
    books.score(place.decider, place.folder / "raw.csv", place.folder / "file.parquet")
    one = pd.read_parquet(place.folder / "file.parquet")
    made = pd.read_parquet(place.folder / "raw" / "decisions.parquet").sort_values("client", ignore_index=True)
    pd.testing.assert_frame_equal(made, one[made.columns], check_exact=True)
    [line] = pd.read_csv(place.folder / "raw" / "rejected.csv").to_dict("records")
    assert (line["file"], line["row"], line["column"], line["value"]) == ("raw.csv", 6, "amount", f"'{HOSTILE}")
    assert sorted(each.name for each in (place.folder / "raw").iterdir()) == ["decisions.parquet", "rejected.csv"]


def test_the_command_line_scores_a_file(place: Place) -> None:
    done = place.score("--out", "said.csv", "--no-history", "--language", "fr")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["scored"], told["rejected"], told["synthetic"]) == (199, 1, False)
    words = pd.read_csv(place.folder / "said.csv")["reason_1_words"].dropna()
    assert words.str.contains("Argent|Personne|Montant|Score").any()
    both = place.score("--out", "said.csv", "--no-history", "--history", "raw.csv")
    assert isinstance(both.exception, ConfigError)
    assert "--history and --no-history: are opposites" in str(both.exception)


def test_the_ledger_has_one_event_for_the_run(place: Place, raw: Ran) -> None:
    """Whoever holds the two files can show that they are those of the run, and which model made them."""
    ledger = Ledger(place.home.ledger_url)
    [event] = [event for event in ledger.events() if event.kind == "book"]
    summary = raw.run.data.summary
    assert event.id == summary["event"]
    assert not ledger.verify()
    held = event.payload
    for name, file in {"decisions": "decisions.parquet", "rejects": "rejected.csv"}.items():
        assert held[f"{name}_sha256"] == hashlib.sha256((place.folder / "raw" / file).read_bytes()).hexdigest()
    assert (held["rows"], held["scored"], held["rejected"]) == (200, 199, 1)
    assert held["digest"] == place.decider.identity.digest
    assert sum(held["decisions"].values()) == sum(held["bands"].values()) == 199
    assert "examples" not in held  # they hold client numbers


def test_the_card_shows_what_came_out_and_runs_nothing(place: Place, raw: Ran, browser_page) -> None:
    target = place.folder / "book.html"
    words = [sys.executable, FLOW, "card", "get", f"{raw.run.id}/join", "--id", "book", str(target)]
    environment = {**os.environ, **place.environment()}
    done = subprocess.run(words, cwd=place.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    browser_page.goto(target.as_uri())
    for text in ("Scored: A shop's credits", "199 of 200 rows", "Classes of risk", "not a number", HOSTILE):
        browser_page.get_by_text(text).first.wait_for(timeout=20_000)
    assert browser_page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).length") == 0
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_failed_shard_is_resumed_and_the_finished_ones_stay(place: Place) -> None:
    """A folder stands where the second shard's part should go; once it is gone, the run goes on from there."""
    rows, parts = place.folder / "rows.parquet", place.folder / "out" / "parts"
    made = plans.divide(place.decider, rows, parts, 80)
    obstacle = made.places(made.shards[1])[0]
    obstacle.mkdir()
    (obstacle / "full").touch()
    options = {"portfolio": "shop.toml", "features": str(rows), "out": str(place.folder / "out"), "shard_rows": 80}
    failed = place.run(**options, max_workers=1)
    assert failed.status == "failed"
    assert not (place.folder / "out" / "decisions.parquet").exists()
    assert all(place.exists() for place in made.places(made.shards[0]))
    (obstacle / "full").unlink()
    obstacle.rmdir()
    resumed = place.run("resume", origin_run_id=failed.run.id)
    assert resumed.status == "successful", resumed.said
    assert "Scoring shard 1 of 2: done" in failed.said
    assert "Scoring shard 1 of 2" not in resumed.said
    decided = pd.read_parquet(place.folder / "out" / "decisions.parquet")
    frame = pd.read_parquet(rows)
    assert decided["client"].tolist() == frame["client"].tolist()
    expected = place.decider.decide_frame(frame)["probability_of_default"]
    assert decided["probability_of_default"].tolist() == expected.tolist()
    assert resumed.run.data.summary["shards"] == 2


def test_bad_use_is_one_clear_error(place: Place) -> None:
    done = place.run(portfolio="shop.toml", out="bad", features="raw.csv", version=99)
    assert done.status == "failed"
    assert "version 99" in done.said
    assert 'scoring.py", line' not in done.said


@pytest.mark.parametrize("both", [True, False])
def test_one_of_two_sources_is_given(place: Place, monkeypatch, both: bool) -> None:
    monkeypatch.syspath_prepend(str(Path(FLOW).parent))
    import scoring_steps

    given = SimpleNamespace(data="raw.csv" if both else None, features="rows.parquet" if both else None)
    with pytest.raises(ConfigError, match="--data and --features: give one of the two"):
        scoring_steps.features(given, place.decider)
