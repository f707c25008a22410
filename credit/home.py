"""Where state lives; makes nothing and contacts nothing until asked."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from credit.errors import ServiceError

__all__ = ["LOCK_SECONDS", "Home", "reach", "shown"]

#: How long a process waits for another one that holds a file lock of ours.
LOCK_SECONDS = 300.0

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


@dataclass(frozen=True)
class Home:
    """The folder of one installation, and what may lie elsewhere.

    Parameters
    ----------
    root : Path
        Holds ``workspace/``, ``artifacts/``, ``mlflow.db`` and ``ledger.db``.
    tracking_uri : str
        MLflow's tracking and registry server; default: the SQLite file in `root`.
    ledger_url : str
        SQLAlchemy URL of the ledger; default: the SQLite file in `root`.
    """

    root: Path
    tracking_uri: str = ""
    ledger_url: str = ""

    def __post_init__(self) -> None:
        root = Path(
            self.root
        ).absolute()  # the MLflow store keeps absolute paths: it must not follow a change of folder
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "tracking_uri", self.tracking_uri or f"sqlite:///{root / 'mlflow.db'}")
        object.__setattr__(self, "ledger_url", self.ledger_url or f"sqlite:///{root / 'ledger.db'}")

    @classmethod
    def here(cls, environ: Mapping[str, str] = os.environ) -> "Home":
        """Read CREDIT_HOME (default ``.credit``), MLFLOW_TRACKING_URI and CREDIT_LEDGER_URL."""
        return cls(
            Path(environ.get("CREDIT_HOME") or ".credit"),
            environ.get("MLFLOW_TRACKING_URI", ""),
            environ.get("CREDIT_LEDGER_URL", ""),
        )

    @property
    def workspace(self) -> Path:
        """Features, releases and checked copies of registered models."""
        return self.root / "workspace"

    @property
    def artifacts(self) -> Path:
        """MLflow's files, where no server keeps them."""
        return self.root / "artifacts"


def reach(url: str, what: str, timeout: float = 5.0) -> None:
    """Check quickly that a server answers, because the libraries' own clients wait for minutes.

    Parameters
    ----------
    url : str
        An http(s) address, asked for ``/health``, or a database URL, whose port is tried. A URL without a
        host (a SQLite file) is always in reach.
    what : str
        How the message calls it: "the MLflow server".
    timeout : float
        Seconds.

    Raises
    ------
    ServiceError
        If nothing answers in time.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.split("+")[0]
    if not parts.hostname:
        return
    try:
        if scheme in {"http", "https"}:
            place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # urlopen takes no password
            urlopen(place.rstrip("/") + "/health", timeout=timeout).close()  # noqa: S310 (http or https only)
        elif port := parts.port or PORTS.get(scheme):
            socket.create_connection((parts.hostname, port), timeout).close()
    except HTTPError as error:
        with error:
            if error.code < 500:  # something answers; whether it lets us in is for the real request to find out
                return
            raise ServiceError(f"{shown(url)}: {what} answers with status {error.code}; see its log.") from error
    except (URLError, OSError) as error:
        raise ServiceError(
            f"{shown(url)}: {what} does not answer within {timeout:g} s ({getattr(error, 'reason', error)}); "
            "start it, or correct the address."
        ) from error


def shown(url: str) -> str:
    """Return an address as it may be shown: without its password."""
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url
