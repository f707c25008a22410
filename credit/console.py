"""What the terminal shows: steps with rows and seconds, progress, silence from libraries; knows no domain."""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Step", "configure", "log", "progress", "quiet", "require_unix", "step"]

log = logging.getLogger("credit")
T = TypeVar("T")

#: What a user on Windows reads.
ELSEWHERE = (
    "This does not run on Windows itself: Metaflow, which runs the flows, needs Linux or macOS.\n"
    "Use Docker (`docker compose up --build` in the checkout), or WSL (`wsl --install`, then as on Linux).\n"
)
#: What switches every library's telemetry, update check and advertisement off.
SILENCE = {
    "DO_NOT_TRACK": "1",  # Evidently and others that honour it
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "METAFLOW_DEFAULT_EVENT_LOGGER": "nullSidecarLogger",
    "METAFLOW_DEFAULT_MONITOR": "nullSidecarMonitor",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",  # its import resets the level of its logger
}


@dataclass
class Step:
    """One step under way; set `rows` when the count is known only at its end."""

    what: str
    rows: int | None = None
    note: str = ""


def quiet() -> None:
    """Switch telemetry and banners of all libraries off, unless the environment already decides.

    Called by entry points (command line, flows, app) before they import those libraries.
    """
    for name, value in SILENCE.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic", "shap", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)


def require_unix(platform: str = sys.platform) -> None:
    """Say plainly where this cannot run, instead of the traceback that would follow; exit code 2.

    Called by entry points before they import Metaflow, whose locks are those of Unix.
    """
    if platform in {"win32", "cygwin"}:
        sys.stderr.write(ELSEWHERE)
        sys.exit(2)


def configure(level: int = logging.INFO) -> None:
    """Send the `credit` log to standard error, one plain line a message.  Called by entry points."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.setLevel(level)
    log.propagate = False


@contextmanager
def step(what: str, rows: int | None = None) -> Iterator[Step]:
    """Log that a piece of work starts, and on how many rows and after how many seconds it ended.

    Parameters
    ----------
    what : str
        The work, as a participle: "Checking the contract".
    rows : int, optional
        Rows worked on, if known beforehand.
    """
    current = Step(what, rows)
    log.info("%s ...%s", what, f" {rows:,} rows" if rows is not None else "")
    began = time.perf_counter()
    yield current
    parts = [f"{current.rows:,} rows" if current.rows is not None else "", current.note]
    detail = ", ".join(part for part in parts if part)
    log.info("%s: done%s in %.1f s", what, f" ({detail})" if detail else "", time.perf_counter() - began)


def progress(items: Iterable[T], total: int, what: str, every: float = 5.0) -> Iterator[T]:
    """Yield `items`, logging "what: k of total" at most once in `every` seconds."""
    last = time.perf_counter()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.perf_counter()
        if now - last >= every and count < total:
            log.info("%s: %d of %d", what, count, total)
            last = now
