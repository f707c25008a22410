"""What every flow does before its first step and around each one; knows no flow."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from credit import console, cores
from credit.errors import CreditError

console.require_unix()  # before Metaflow, whose import fails on Windows with a traceback

from metaflow.exception import MetaflowException  # noqa: E402

__all__ = ["fail", "parallel", "plainly", "prepare", "reason", "reporter", "verdict"]

WORKERS = "METAFLOW_RUN_MAX_WORKERS"
#: The same, as the process that started this one found it right: its tasks and cards need not count the cores again.
CHECKED = "CREDIT_FLOW_WORKERS"
#: Names the file through which a task tells the process that started the run why its exit code is to be 1.
VERDICT = "CREDIT_FLOW_VERDICT"


class Plain(MetaflowException):
    """A CreditError as Metaflow shows it: one message, no traceback."""

    headline = "What went wrong"


def prepare() -> None:
    """Set this process and its tasks up: no telemetry, no more tasks at once than cores.

    Called by a flow's ``__main__`` before Metaflow reads the command line.
    """
    console.quiet()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads of one task must not spin beside another's
    os.environ.setdefault("METAFLOW_PYLINT", "0")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.environ.setdefault("USERNAME", "credit")  # Metaflow refuses root; METAFLOW_USER is read on its import
    asked = _option("--max-workers")
    if asked is not None and asked > cores.available():
        sys.stderr.write(
            f"--max-workers {asked}: this machine has {cores.available()} cores; give at most that many.\n"
        )
        sys.exit(CreditError.exit_code)
    if asked is None and os.environ.get(WORKERS, "") == os.environ.get(CHECKED):
        return
    found = str(asked or min(int(os.environ.get(WORKERS, cores.available())), cores.available()))
    os.environ |= {WORKERS: found, CHECKED: found}


def parallel(tasks: int) -> int:
    """Return how many of `tasks` run at once on this machine."""
    return min(tasks, int(os.environ.get(WORKERS, "1")))


@contextmanager
def plainly() -> Iterator[None]:
    """Log what `credit` does, and turn its errors into Metaflow's, which are shown without a traceback."""
    console.quiet()
    console.configure()
    try:
        yield
    except CreditError as error:
        if VERDICT in os.environ:  # the run's exit code is to be this error's, should the run fail
            Path(os.environ[VERDICT]).with_name("code").write_text(str(error.exit_code), encoding="utf-8")
        raise Plain(str(error)) from error


@contextmanager
def verdict() -> Iterator[None]:
    """Give a run its exit code: a CreditError's own where one made it fail, and 1 where a task called `fail`.

    A run in which `fail` was called stays successful, with all that it kept: what it found is bad, not the run.
    """
    if VERDICT in os.environ:  # a task of a run
        yield
        return
    with tempfile.TemporaryDirectory(prefix="credit-") as folder:
        file, code = Path(folder) / "verdict", Path(folder) / "code"
        os.environ[VERDICT] = str(file)
        try:
            yield
        except SystemExit as ended:
            if ended.code:
                sys.exit(int(code.read_text(encoding="utf-8")) if code.exists() else ended.code)
        finally:
            del os.environ[VERDICT]
        if file.exists():
            sys.exit(file.read_text(encoding="utf-8"))


def fail(why: str) -> None:
    """Make the exit code of the run 1, once it is done, and say why; where nobody waits for it, nothing happens."""
    if VERDICT in os.environ:
        Path(os.environ[VERDICT]).write_text(why, encoding="utf-8")


def reason(failure: Any) -> str:
    """Return the last line of what Metaflow kept of a failed task: the error itself, without its traceback."""
    return str(failure).strip().splitlines()[-1].strip()


def reporter(name: str, bar: Callable[[int, int, str], None], every: float = 5.0) -> Callable[[int, int, str], None]:
    """Make the callback that shows a fit's progress in the terminal and on its card."""
    state: dict[str, Any] = {"last": time.monotonic()}

    def report(done: int, total: int, what: str) -> None:
        bar(done, total, what)
        if time.monotonic() - state["last"] >= every:
            state["last"] = time.monotonic()
            console.log.info("%s: %d of %d %s", name, done, total, what)

    return report


def _option(name: str) -> int | None:
    for at, word in enumerate(sys.argv):
        value = word.partition("=")[2] if word.startswith(f"{name}=") else None
        if word == name and at + 1 < len(sys.argv):
            value = sys.argv[at + 1]
        if value is not None and value.isdigit():
            return int(value)
    return None
