"""What every flow does before it starts: tasks side by side never take more threads than there are cores."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from metaflow.exception import MetaflowException

from credit import cores
from credit.errors import DataError, ServiceError

FLOWS = Path(__file__).resolve().parents[1] / "flows"


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch):
    """Load flows/launch.py as a flow does, with an environment that is put back afterwards."""
    for name in ("METAFLOW_RUN_MAX_WORKERS", "CREDIT_FLOW_WORKERS", "OMP_WAIT_POLICY", "METAFLOW_PYLINT", "USERNAME"):
        monkeypatch.setenv(name, "")  # registers the name, so that what prepare() sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["training.py", "run"])
    spec = importlib.util.spec_from_file_location("launch", FLOWS / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("available", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("tasks", [1, 2, 6, 50])
def test_tasks_times_threads_never_exceed_the_cores(launch, monkeypatch, available: int, tasks: int) -> None:
    monkeypatch.setattr(cores, "available", lambda: available)
    launch.prepare()
    at_once = launch.parallel(tasks)
    assert at_once == min(tasks, available)
    assert at_once * cores.share(at_once) <= available


def test_a_smaller_number_of_workers_is_kept_and_gets_more_threads(launch, monkeypatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 8)
    monkeypatch.setattr(sys, "argv", ["training.py", "run", "--max-workers=2"])
    launch.prepare()
    assert os.environ["METAFLOW_RUN_MAX_WORKERS"] == "2"
    assert cores.share(launch.parallel(6)) == 4


def test_only_the_process_that_starts_the_run_counts_the_cores(launch, monkeypatch) -> None:
    """Counting takes a heavy import, and every task and every card is a process of its own."""
    monkeypatch.setattr(cores, "available", lambda: 3)
    launch.prepare()
    monkeypatch.setattr(cores, "available", lambda: pytest.fail("counted again"))
    launch.prepare()
    assert launch.parallel(50) == 3
    monkeypatch.setattr(cores, "available", lambda: 3)
    monkeypatch.setenv("METAFLOW_RUN_MAX_WORKERS", "50")  # as a user may set it: not what was found right
    launch.prepare()
    assert launch.parallel(50) == 3


def test_more_workers_than_cores_are_refused(launch, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cores, "available", lambda: 2)
    monkeypatch.setattr(sys, "argv", ["training.py", "run", "--max-workers", "3"])
    with pytest.raises(SystemExit, match="2"):
        launch.prepare()
    assert capsys.readouterr().err == "--max-workers 3: this machine has 2 cores; give at most that many.\n"


@pytest.mark.parametrize("kind", [DataError, ServiceError])
def test_a_run_that_an_error_of_ours_ends_has_its_exit_code(launch, kind, monkeypatch) -> None:
    """As a step in another process sees it: Metaflow itself ends every failed run with 1."""
    monkeypatch.delenv(launch.VERDICT, raising=False)

    def run() -> None:
        with launch.verdict():
            with pytest.raises(MetaflowException), launch.plainly():
                raise kind("what, and the remedy.")
            sys.exit(1)

    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == kind.exit_code


def test_a_run_that_fails_otherwise_keeps_its_exit_code(launch, monkeypatch) -> None:
    monkeypatch.delenv(launch.VERDICT, raising=False)
    with pytest.raises(SystemExit) as ended, launch.verdict():
        sys.exit(1)
    assert ended.value.code == 1


def test_an_error_that_was_dealt_with_changes_nothing(launch, monkeypatch) -> None:
    """A candidate that cannot be trained does not spoil a run that goes well."""
    monkeypatch.delenv(launch.VERDICT, raising=False)
    with launch.verdict(), pytest.raises(MetaflowException), launch.plainly():
        raise DataError("what, and the remedy.")


def test_an_error_of_ours_becomes_one_that_metaflow_shows_without_a_traceback(launch) -> None:
    with pytest.raises(MetaflowException, match="no such file; give another"), launch.plainly():
        raise DataError("rows.csv: no such file; give another.")
