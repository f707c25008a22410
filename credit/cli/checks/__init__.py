"""What a check of this installation finds, and how a check that fails is told; looks at nothing itself.

    installation.py  Python, packages, compiled libraries, optional extras
    machine.py       cores, memory, the folder of all state and its disk, browser and Java
    stores.py        MLflow, the ledger, Metaflow's datastore
    champion.py      the model in use

No check changes anything: no folder is made, no table, no copy is left.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from credit.errors import CreditError

__all__ = ["FAULT", "LEVELS", "NOTE", "OK", "WARNING", "Finding", "guarded", "masked", "near"]

OK, NOTE, WARNING, FAULT = LEVELS = ("ok", "note", "warning", "fault")
#: Where a secret stands in a URL's query.
QUERY = re.compile(r"((?:password|passwd|pwd|secret|token|key)=)[^&\s'\")]+", re.IGNORECASE)
HIDDEN = "***"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Parameters
    ----------
    name : str
        What was looked at.
    level : str
        One of `LEVELS`: as it should be; worth knowing; will trouble somebody; does not work.
    told : str
        What was found.
    remedy : str
        What to do; empty where nothing is to be done.
    """

    name: str
    level: str
    told: str
    remedy: str = ""


def guarded(
    name: str,
    look: Callable[[], Iterable[Finding]],
    failures: tuple[type[Exception], ...] = (),
    remedy: str = "mend what the message names, and look again",
) -> Iterator[Finding]:
    """Yield what a check finds; what it cannot look at is a fault in the words of the error.

    Parameters
    ----------
    name : str
        What is looked at.
    look : callable
        The check.
    failures : tuple of exception classes
        What may come beside a `CreditError`, an OSError and an ImportError.
    remedy : str
        What to do then.
    """
    expected: tuple[type[Exception], ...] = (OSError, ImportError, *failures)
    try:
        yield from look()
    except CreditError as error:  # its message ends in a remedy
        yield Finding(name, FAULT, str(error))
    except expected as error:
        yield Finding(name, FAULT, f"cannot be looked at ({type(error).__name__}: {error})", remedy)


def near(path: Path) -> str:
    """Write a path for people: from the working folder on, where it lies below that."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute != here and absolute.is_relative_to(here) else str(absolute)


def masked(findings: Iterable[Finding], urls: Sequence[str]) -> Iterator[Finding]:
    """Yield findings without any password of the URLs, wherever a library has put it."""
    secrets = {
        each for url in urls for word in [urlsplit(url).password or ""] for each in (word, unquote(word)) if each
    }

    def clean(text: str) -> str:
        for secret in sorted(secrets, key=len, reverse=True):
            text = re.sub(rf"(?<![\w]){re.escape(secret)}(?![\w])", HIDDEN, text)
        return QUERY.sub(rf"\1{HIDDEN}", text)

    for each in findings:
        yield replace(each, told=clean(each.told), remedy=clean(each.remedy))
