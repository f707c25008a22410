"""Starts TrainingFlow for a monitoring run, and says what became of it; trains nothing itself."""

import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orchestration
from metaflow import Run, get_namespace, namespace
from metaflow.exception import MetaflowNotFound

from credit.errors import CreditError

__all__ = ["TAG", "start"]

FLOW = Path(__file__).with_name("training.py")
#: Before the monitoring run's name in a tag of the training run.
TAG = "monitoring:"
WRONG = "What went wrong:"


def start(data: str | None, portfolio: str, run: str, **options: Any) -> dict[str, Any]:
    """Train anew, wait for it, and let the gate decide; on Argo Workflows, publish an event and do not wait.

    The training run carries ``monitoring:RUN`` as a tag, and RUN as its parameter `monitoring`, in its summary and
    in the tags of the version.

    Parameters
    ----------
    data : str or None
        What to train on; None for synthetic rows (on Argo: what TrainingFlow was deployed with).
    portfolio : str
        A portfolio's name or file.
    run : str
        The monitoring run that asks, as ``MonitoringFlow/17``.
    **options
        Other parameters of TrainingFlow: ``candidates="application"``. Not on Argo.

    Returns
    -------
    dict
        ``run``, ``version``, ``verdict`` (the gate's word), ``why`` (in a sentence), ``promoted``, ``champion`` (the
        version in use now, None if there is none). On Argo all these are None, as nothing is known yet, and
        ``event`` and ``id`` say what was published.

    Raises
    ------
    CreditError
        If the training fails, with what went wrong; or the event is not taken.
    """
    if orchestration.on_argo():
        unknown = dict.fromkeys(("run", "version", "verdict", "why", "promoted", "champion"))
        return unknown | orchestration.publish(data, portfolio, run)
    given = {"data": data, "portfolio": portfolio, "monitoring": run, **options}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]
    with tempfile.TemporaryDirectory(prefix="credit-") as folder:
        file = Path(folder) / "run"
        command = [sys.executable, str(FLOW), "run", *words, "--tag", TAG + run, "--run-id-file", str(file)]
        code, said = _follow(command)
        name = f"TrainingFlow/{file.read_text(encoding='utf-8').strip()}" if file.exists() else ""
    if code:
        raise CreditError(f"{name or 'TrainingFlow'}: failed: {_failure(name) or said}")
    return _outcome(name)


def _follow(command: list[str]) -> tuple[int, str]:
    """Run a command, show what it says as it says it, and return its exit code and its last words."""
    last: deque[str] = deque([""], maxlen=1)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, text=True, encoding="utf-8", **pipes) as process:
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                last.extend(filter(None, [line.strip()]))
        except BaseException:
            process.terminate()  # no training goes on for a run that has ended
            raise
    return process.returncode, last[0]


def _failure(name: str) -> str:
    """Return what the failed task of a run said went wrong; nothing if none got as far as that."""
    with _everywhere():
        try:
            failed = [task for step in Run(name) for task in step if not task.successful] if name else []
        except MetaflowNotFound:  # it failed before its first task
            return ""
        said = next(filter(None, (task.stderr.strip() for task in failed)), "")
    ours = said.rpartition(WRONG)[2].strip()
    return ours if WRONG in said else said.rpartition("\n")[2].strip()


def _outcome(name: str) -> dict[str, Any]:
    from credit.governance.registry import Registry
    from credit.governance.verdict import PROMOTED

    with _everywhere():
        summary = Run(name).data.summary
    verdict, version = summary["verdict"], summary["version"]
    champion = Registry(summary["portfolio"]).champion()
    now = champion.number if champion else None
    return {
        "run": name,
        "version": version,
        "verdict": verdict["outcome"],
        "why": verdict["summary"],
        "promoted": verdict["outcome"] in PROMOTED and now == version,
        "champion": now,
    }


@contextmanager
def _everywhere() -> Iterator[None]:
    """Look at runs of every namespace, for as long as the block lasts."""
    before = get_namespace()
    namespace(None)
    try:
        yield
    finally:
        namespace(before)
