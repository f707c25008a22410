"""What each monitoring run found, kept in the workspace for whoever looks later; measures nothing and judges nothing.

workspace/monitoring/PORTFOLIO/FLOW-NUMBER/
    status.json     what was found; written last, whole or not at all
    report.html     Evidently's report, where there is one; report.json holds its figures
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from credit.errors import ConfigError, DataError
from credit.governance.plain import plain
from credit.home import Home

__all__ = ["FORMAT", "REPORT", "STATUS", "Archive"]

#: The form of a status that this code writes and reads.
FORMAT = 1
STATUS, REPORT = "status.json", "report.html"
#: What every status holds; the rest is read where it is there.
HELD = ("run", "at", "portfolio", "status", "findings")
#: A flow is named as in Python, so that the first hyphen of a folder's name ends it.
RUN = re.compile(r"(?P<flow>[A-Za-z_][A-Za-z0-9_]*)/(?P<number>[A-Za-z0-9][A-Za-z0-9._-]*)")


class Archive:
    """The kept runs of one portfolio; makes no folder before there is something to keep.

    Parameters
    ----------
    home : Home
        The runs lie in its workspace.
    portfolio : str
        Name of the book that was watched.
    """

    def __init__(self, home: Home, portfolio: str) -> None:
        self.portfolio = portfolio
        self.root = home.workspace / "monitoring" / portfolio

    def folder(self, run: str) -> Path:
        """Return where a run's files lie, or will lie.

        Raises
        ------
        ConfigError
            If `run` does not read FLOW/NUMBER; so that no name leads out of the archive.
        """
        named = RUN.fullmatch(run)
        if named is None:
            raise ConfigError(f"run {run!r}: is not of the form FLOW/NUMBER; give one such as MonitoringFlow/17.")
        return self.root / f"{named['flow']}-{named['number']}"

    def keep(self, status: Mapping[str, Any]) -> Path:
        """Write a run's status, in place of an earlier one of the same run.

        Parameters
        ----------
        status : mapping
            At least `HELD`; NumPy's scalars become Python's, and what is missing (NaN) becomes null.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        DataError
            If something is not there, or the status is another portfolio's.
        """
        lacking = [name for name in HELD if name not in status]
        if lacking:
            raise DataError(f"status: {', '.join(lacking)} is not there; a status that is kept has it.")
        path = self.folder(status["run"]) / STATUS
        if status["portfolio"] != self.portfolio:
            raise DataError(f"status: is of portfolio {status['portfolio']!r}, not of {self.portfolio!r}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            text = json.dumps(plain({**status, "format": FORMAT}), ensure_ascii=False, allow_nan=False, indent=1)
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def runs(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Read what the runs found, the oldest first; the last `limit` of them, or all.

        A run that is still at work, or was broken off, has no status yet and is not among them.

        Raises
        ------
        DataError
            If a status is damaged, or of a form that this code does not read.
        """
        found = [_read(path) for path in self.root.glob(f"*/{STATUS}")]
        found.sort(key=lambda each: (each["at"], each["run"]))
        return found if limit is None else found[max(len(found) - limit, 0) :]

    def last(self) -> dict[str, Any] | None:
        """Return what the last run found; None where nothing was kept."""
        return next(iter(self.runs(1)), None)

    def report(self, run: str) -> Path | None:
        """Return the file of a run's report; None where there is none, or the file is a link that leads elsewhere."""
        path = self.folder(run) / REPORT
        inside = path.resolve().is_relative_to(self.root.resolve())
        return path if inside and path.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    """Read one status; the error names the file."""
    try:
        status = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); see who may read it.") from error
    except ValueError as error:
        raise DataError(f"{path}: is damaged ({error}); remove its folder, or run monitoring again.") from error
    if not isinstance(status, dict) or any(name not in status for name in HELD):
        raise DataError(f"{path}: is no status of a monitoring run; remove its folder, or run monitoring again.")
    if status.get("format") != FORMAT:
        found = status.get("format")
        raise DataError(f"{path}: has format {found!r}, this code reads {FORMAT}; use the code that wrote it.")
    return status
