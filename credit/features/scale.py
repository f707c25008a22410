"""Raw tables of any size -> a feature set, on the engine asked for and once per content; knows no feature."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import duckdb

from credit.console import step
from credit.data import contract
from credit.data.tables import MEMORY
from credit.errors import ConfigError
from credit.features.build import MANIFEST, address, build, manifest
from credit.features.dictionary import definitions
from credit.features.engine import DuckDB, Engine
from credit.portfolio import Portfolio

__all__ = ["Kind", "Made", "make", "opened"]

Kind = Literal["duckdb", "spark"]


@dataclass(frozen=True)
class Made:
    """A feature set, and whether it had to be built.

    Attributes
    ----------
    where : str
        The folder or URL; what is in it says `credit.features.FeatureSet`.
    rows : int
        Applicants.
    features : int
        Of each.
    digest : str
        SHA-256 of data and definitions.
    tables : tuple of str
        Which were given.
    unchanged : bool
        Data and definitions are those of the set that was there already.
    """

    where: str
    rows: int
    features: int
    digest: str
    tables: tuple[str, ...]
    unchanged: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        return asdict(self)


@contextmanager
def opened(kind: str, memory: str | None = None) -> Iterator[Engine]:
    """Start an engine, and end it.

    Parameters
    ----------
    kind : {"duckdb", "spark"}
        Which.
    memory : str, optional
        What it may use, such as "4GB".

    Raises
    ------
    ConfigError
        If there is no such engine, it is not installed, or `memory` is no amount of memory that it can work with.
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"engine '{kind}': there are {' and '.join(get_args(Kind))}; give one of them.")
    size = None if memory is None else _bytes(memory)
    if kind == "spark":
        with _spark()(size) as spark:
            yield spark
        return
    try:
        yield DuckDB(memory)
    except duckdb.OutOfMemoryException as error:
        allowed = f"memory '{memory}'" if memory else "memory: DuckDB's own limit, 80% of this machine's,"
        raise ConfigError(
            f"{allowed} is too little for these tables, even with temporary files; allow more."
        ) from error


def make(portfolio: Portfolio, source: str | Path, out: str | Path, engine: Engine, *, labelled: bool = True) -> Made:
    """Read the tables that are given, hold them against the contract, and build their features.

    Nothing is read twice: where the output holds the features of the same content already, it is left as it is.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    source : str or Path
        What the engine reads: for DuckDB a folder, a file or a database; for Spark a folder or URL of Parquet.
    out : str or Path
        The folder, for Spark also a URL, for the feature set; an older one there is replaced.
    engine : Engine
        Where it is done.
    labelled : bool
        Whether to read the applications with a target, or those without.

    Returns
    -------
    Made
        Where it is.

    Raises
    ------
    CreditError
        As the reader and the contract say.
    """
    earlier = _earlier(engine, out)
    names = engine.present(portfolio, source, labelled=labelled)
    with step("Fingerprinting the data"):
        fingerprint = engine.fingerprint(portfolio, source, labelled=labelled, names=names)
    fingerprint += "" if labelled else " without target"
    digest = address(portfolio, definitions(portfolio, names), fingerprint)
    unchanged = earlier.get("digest") == digest
    if not unchanged:
        raw = engine.open_tables(portfolio, source, labelled=labelled, names=names)
        checked = contract.check(portfolio, raw, labelled=labelled)
        with _writing(out):
            build(portfolio, checked.tables, out, fingerprint, engine)
        earlier = _earlier(engine, out)
    return Made(str(out), earlier["rows"], len(earlier["features"]), digest, tuple(earlier["tables"]), unchanged)


def _earlier(engine: Engine, out: str | Path) -> dict[str, Any]:
    """Read what is said of the set in the output."""
    place = engine.place(out, MANIFEST)
    if "://" not in place and Path(out).exists() and not Path(out).is_dir():
        raise ConfigError(f"--out {out}: is a file; name a folder.")
    with _writing(out):
        return manifest(out, engine)


@contextmanager
def _writing(out: str | Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.IOException) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"--out {out}: cannot be written ({reason}); give another folder.") from error


def _spark() -> Any:
    """Import what is optional, and slow to import."""
    if not find_spec("pyspark"):
        raise ConfigError("engine 'spark': PySpark is not installed; pip install 'credit[spark]'.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        from credit.features.spark import started  # noqa: PLC0415
    return started


def _bytes(memory: str) -> int:
    """Read an amount of memory as DuckDB does: 1 GB is 10^9 bytes, 1 GiB is 2^30."""
    if not re.fullmatch(MEMORY, memory, re.IGNORECASE):
        raise ConfigError(f"memory '{memory}': no amount of memory; write a number and a unit, such as 4GB.")
    number, unit = re.findall(r"[0-9.]+|[A-Z]+", memory.upper())
    base = 1024 if "I" in unit else 1000
    return int(float(number) * base ** " KMGT".index(unit[0] if len(unit) > 1 else " "))
