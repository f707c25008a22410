"""A monitoring run starts TrainingFlow for real, learns what became of it, and the two can be found from each other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_flows import BOOK, rows

from credit.governance.registry import Registry
from credit.home import Home

FLOWS = Path(__file__).resolve().parents[1] / "flows"
MONITORING = "MonitoringFlow/17"
#: As a step of a flow does it; the last line is for the test.
SCRIPT = """
import json, sys
import retraining
from credit.errors import CreditError
from metaflow import Run, get_namespace, namespace

given = json.loads(sys.argv[1])
namespace("user:somebody-else")
try:
    told = retraining.start(given.pop("data", None), given.pop("portfolio"), given.pop("run"), **given)
except CreditError as error:
    told = {"error": str(error)}
same = get_namespace() == "user:somebody-else"
namespace(None)
run = Run(told["run"]) if "run" in told else None
found = {"tags": sorted(run.user_tags), "summary": run.data.summary["monitoring"]} if run else {}
print(json.dumps({"told": told, "same": same, **found}))
"""


def started(folder: Path, **given: object) -> tuple[dict, str]:
    """Call `start` in a process of its own, in a folder with a datastore of its own."""
    (folder / "shop.toml").write_text(BOOK, encoding="utf-8")
    rows(1_500, 0).to_csv(folder / "loans.csv", index=False)
    words = json.dumps({"data": "loans.csv", "portfolio": "shop.toml", "run": MONITORING, **given})
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, words],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(FLOWS),
            "CREDIT_HOME": str(folder / "home"),
            "METAFLOW_USER": "tests",
            "METAFLOW_HOME": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    *said, last = done.stdout.splitlines()
    return json.loads(last), "\n".join(said)


def test_a_training_run_is_started_waited_for_and_linked_both_ways(tmp_path: Path) -> None:
    got, said = started(tmp_path, candidates="native")
    told = got["told"]
    registry = Registry("shop", Home(tmp_path / "home"))
    champion = registry.champion()
    assert told["champion"] == (champion.number if champion else None)
    assert told["version"] == 1
    assert told["promoted"] is (told["verdict"] == "first")
    assert told["verdict"] in ("first", "refused")
    assert told["why"]
    assert told["run"].startswith("TrainingFlow/")
    assert got["tags"] == [f"monitoring:{MONITORING}"]
    assert got["summary"] == MONITORING
    assert registry.version(1).tags["monitoring_run"] == MONITORING
    assert told["run"].partition("/")[2] in said, "what the training says is shown while it runs"
    assert got["same"], "the namespace of whoever asks is as it was"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"data": "nowhere.csv"}, "nowhere.csv: nothing is there; give a folder, a file, or the URL of a database."),
        ({"clients": "many"}, "many is not a valid integer"),
    ],
    ids=["a task fails", "no task starts"],
)
def test_a_training_run_that_fails_says_why(tmp_path: Path, given: dict, error: str) -> None:
    got, _ = started(tmp_path, **given)
    assert got["told"]["error"].startswith("TrainingFlow")
    assert error in got["told"]["error"]
    assert "Traceback" not in got["told"]["error"]
    assert not (tmp_path / "home" / "mlflow.db").exists()
