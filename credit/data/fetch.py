"""Open books from OpenML -> a Parquet file whose content is checked; knows no portfolio and names no data.

What there is to fetch stands in `credit/portfolios/sources.json`, with the SHA-256 of the rows in a form of their own
(`canonical`), so that neither the server nor the format of its file has to be trusted.
"""

import hashlib
import json
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import fetch_openml

from credit.console import step
from credit.errors import ConfigError, DataError, ServiceError

__all__ = ["Source", "canonical", "fetch", "sources"]

CATALOGUE = Path(__file__).parents[1] / "portfolios" / "sources.json"
TARGET = "TARGET"
#: Seconds that the server may be silent; scikit-learn asks four times.
SILENCE = 7.0


@dataclass(frozen=True)
class Source:
    """A book that can be fetched, or (with `steps`) only by its reader.

    Attributes
    ----------
    openml : int
        Its number on OpenML.
    file : str
        What it is written as.
    portfolio : str
        The portfolio that describes it; empty if one has to be drafted.
    key : str
        A column to be added that numbers the rows from 1; empty for none.
    columns : dict of str to str
        Their names there and here.
    target : dict of str to int
        The classes there, and 1 for a default.
    rows, defaults, sha256
        What it must hold.
    steps : tuple of str
        What to do where a licence forbids to fetch it.
    """

    title: str = ""
    source: str = ""
    licence: str = ""
    openml: int = 0
    file: str = ""
    portfolio: str = ""
    key: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    target: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    defaults: int = 0
    sha256: str = ""
    steps: tuple[str, ...] = ()


def sources() -> dict[str, Source]:
    """Return what can be asked for, by name."""
    return {name: Source(**facts) for name, facts in json.loads(CATALOGUE.read_text(encoding="utf-8")).items()}


def fetch(name: str, folder: Path) -> Path:
    """Fetch a book through scikit-learn's `fetch_openml`, check it, and write it.

    Parameters
    ----------
    name : str
        One of `sources`.
    folder : Path
        Where to write; it is made if it is not there.

    Returns
    -------
    Path
        The Parquet file. It appears whole, or not at all.

    Raises
    ------
    ConfigError
        If there is no such book, or its licence leaves the fetching to its reader.
    DataError
        If what came is not the book that is meant.
    ServiceError
        If the server does not answer.
    """
    known = sources()
    if name not in known:
        raise ConfigError(f"data '{name}': nothing of that name can be fetched; there are {', '.join(known)}.")
    source = known[name]
    if source.steps:
        raise ConfigError(f"data '{name}': " + "\n".join(source.steps))
    with tempfile.TemporaryDirectory() as cache, step(f"Fetching {source.title} from OpenML") as fetching:
        frame = _named(source, *_downloaded(source, cache))
        _check(source, frame)
        fetching.rows = len(frame)
    partial = folder / f".{source.file}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(partial, index=False)
        return partial.replace(folder / source.file)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be written to ({error.strerror}); name another folder.") from error
    finally:
        if folder.is_dir():
            partial.unlink(missing_ok=True)


def canonical(frame: pd.DataFrame) -> str:
    """Digest a table's content: SHA-256 of its header and its sorted lines as CSV, whole numbers without a point.

    Parameters
    ----------
    frame : pandas.DataFrame
        Integers and texts.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    head, *lines = frame.to_csv(index=False, lineterminator="\n").splitlines()
    return hashlib.sha256("\n".join([head, *sorted(lines)]).encode()).hexdigest()


def _downloaded(source: Source, cache: str) -> tuple[pd.DataFrame, pd.Series]:
    try:
        with warnings.catch_warnings(), _patience():
            warnings.simplefilter("ignore")  # of attempts that failed; the last failure is told
            bunch: Any = fetch_openml(data_id=source.openml, data_home=cache, as_frame=True, n_retries=1)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ServiceError(
            f"OpenML, data set {source.openml}: the server does not answer as it should ({reason}); check the network, "
            f"or download the book from {source.source} and see data/README.md."
        ) from error
    except (ValueError, KeyError) as error:
        raise DataError(f"OpenML, data set {source.openml}: damaged, or none ({error}); nothing is kept.") from error
    return bunch.data, bunch.target


@contextmanager
def _patience() -> Iterator[None]:
    """Let no connection be silent for ever: scikit-learn sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _named(source: Source, data: pd.DataFrame, target: pd.Series) -> pd.DataFrame:
    """Give columns and classes our names, and values plain types."""
    lacking = [column for column in source.columns if column not in data]
    classes = {str(value) for value in target}
    if lacking or not classes <= source.target.keys():
        odd = ", ".join(lacking or sorted(classes - source.target.keys()))
        raise DataError(f"OpenML, data set {source.openml}: not the table that was expected ({odd}); nothing is kept.")
    made = {source.key: range(1, len(data) + 1)} if source.key else {}
    made |= {ours: _plain(data[theirs]) for theirs, ours in source.columns.items()}
    return pd.DataFrame(made | {TARGET: target.astype(str).map(source.target).astype("int64").to_numpy()})


def _plain(column: pd.Series) -> Any:
    """Turn what the parser made of a column into integers where all are, else into text."""
    number = pd.to_numeric(column.astype(str), errors="coerce")
    whole = number.notna().all() and (number % 1 == 0).all()
    return (number.astype("int64") if whole else column.astype(str)).to_numpy()


def _check(source: Source, frame: pd.DataFrame) -> None:
    found = (len(frame), int(frame[TARGET].sum()), canonical(frame))
    wanted = (source.rows, source.defaults, source.sha256)
    if found != wanted:
        words = ["{:,} rows, {:,} defaults, SHA-256 {}".format(*facts) for facts in (found, wanted)]
        raise DataError(
            f"OpenML, data set {source.openml}: not the book that is meant: {words[0]} instead of {words[1]}; "
            "nothing is kept."
        )
