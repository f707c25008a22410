"""A training that fails says why to whoever started it; one that goes well is in test_monitoring_flow.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_util import BOOK, rows

FLOWS = Path(__file__).resolve().parents[1] / "flows"
MONITORING = "MonitoringFlow/17"
#: As a step of a flow does it; the last line is for the test.
SCRIPT = """
import json, sys
import retraining
from credit.errors import CreditError
from metaflow import get_namespace, namespace

given = json.loads(sys.argv[1])
namespace("user:somebody-else")
try:
    told = retraining.start(given.pop("data", None), given.pop("portfolio"), given.pop("run"), **given)
except CreditError as error:
    told = {"error": str(error)}
same = get_namespace() == "user:somebody-else"
print(json.dumps({"told": told, "same": same}))
"""


def started(folder: Path, **given: object) -> dict:
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
    assert 'training.py", line' not in done.stdout, "a fault of the user's is told without a traceback through the flow"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"data": "nowhere.csv"}, "nowhere.csv: nothing is there; give a folder, a file, or the URL of a database."),
        ({"clients": "many"}, "many is not a valid integer"),
    ],
    ids=["a task fails", "no task starts"],
)
def test_a_training_run_that_fails_says_why(tmp_path: Path, given: dict, error: str) -> None:
    got = started(tmp_path, **given)
    assert got["told"]["error"].startswith("TrainingFlow")
    assert error in got["told"]["error"]
    assert got["same"], "the namespace of whoever asks is as it was"
    assert "Traceback" not in got["told"]["error"]
    assert not (tmp_path / "home" / "mlflow.db").exists()
