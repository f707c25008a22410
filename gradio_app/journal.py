"""Log lines as JSON on standard error, without the data of any applicant; decides nothing."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

__all__ = ["Lines", "configure", "told"]

LOG = logging.getLogger("credit.app")
#: What may say something, and how loud: steps and findings of the library name values, and are not let through.
LEVELS = {
    "": logging.WARNING,
    "credit": logging.WARNING,
    "credit.app": logging.INFO,
    "credit.serving": logging.INFO,
    "uvicorn.error": logging.INFO,
    "uvicorn.access": logging.CRITICAL,
    "httpx": logging.WARNING,
    "asyncio": logging.ERROR,
}


class Lines(logging.Formatter):
    """One JSON object a line.

    Notes
    -----
    Of an exception only its type and where it came from are told: its message may quote what an applicant said.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "told", {})
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])
            line["fault"] = record.exc_info[0].__name__
            line["where"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line, ensure_ascii=False)


def configure() -> None:
    """Send every library's log to standard error as such lines.  Called by entry points."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.handlers = [] if name else [handler]
        logger.propagate = True
    logging.captureWarnings(True)


def told(event: str, **facts: Any) -> None:
    """Log an event of the app with its facts."""
    LOG.info(event, extra={"told": facts})
