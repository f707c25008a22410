"""A seeded loan book in Home Credit's own schema, with known truth: drawn, and written to a folder; holds no real row.

Every client is one draw of a Gaussian copula; `synthetic_application` turns latents into columns and into the
true probability of default.  The facts, the copula and the risk's weights are one JSON file beside the portfolio;
how they were found is told in docs/decisions.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from scipy.special import ndtr

from credit.console import progress
from credit.data.synthetic_application import Draw, application, probability_of_default
from credit.errors import ConfigError, DataError

__all__ = ["FORMATS", "MARKER", "Synthetic", "generate", "write"]

GENERATOR = 1  # raise it whenever the same seed gives other rows
FORMATS = {"parquet": pyarrow.parquet.ParquetWriter, "csv": pyarrow.csv.CSVWriter}
MARKER = "SYNTHETIC.txt"
STEM = "application_train"
PARTIAL = ".partial"  # ending of a file that is not complete
BLOCK = 20_000  # clients drawn at once, each block from its own stream: memory stays bounded
FIRST_ID = 100_002
FEWEST, MOST = 100, 10_000_000


@dataclass(frozen=True)
class Synthetic:
    """A generated book: the application table and, for each of its rows, the true probability of default."""

    application: pd.DataFrame
    probability: NDArray[np.float64]


def generate(clients: int, seed: int = 7, facts: Path | None = None) -> Synthetic:
    """Draw a book of clients with their applications, outcomes and true probabilities of default.

    The same seed gives the same rows; a larger book begins with the rows of the smaller one.

    Parameters
    ----------
    clients : int
        Number of rows, from 100 to 10,000,000.
    seed : int, default 7
        Seed of the random streams, 0 or more.
    facts : Path, optional
        File of measured facts; the Home Credit portfolio's by default.

    Returns
    -------
    Synthetic
        `application` has Kaggle's 122 columns in Kaggle's order and types; `probability` (clients,).

    Raises
    ------
    ConfigError
        If `clients` or `seed` is out of range, or the file of facts cannot be read.
    """
    blocks = list(_blocks(clients, seed, facts))
    application = pd.concat([block.application for block in blocks], ignore_index=True)
    return Synthetic(application, np.concatenate([block.probability for block in blocks]))


def write(
    out: str | Path,
    clients: int,
    seed: int = 7,
    format: str = "parquet",  # noqa: A002
    facts: Path | None = None,
) -> list[Path]:
    """Stream a book into a folder: `application_train.<format>` and a marker that says it is synthetic.

    A file gets its name when it is complete, so a killed run leaves no half file under it.

    Parameters
    ----------
    out : str or Path
        Folder; made if missing.  It must be empty or hold an earlier synthetic book, which is replaced.
    clients, seed, facts
        As for `generate`.
    format : {"parquet", "csv"}

    Returns
    -------
    list of Path
        The files written, the marker last.

    Raises
    ------
    ConfigError
        If the format is unknown, or as for `generate`.
    DataError
        If the folder holds other files or cannot be written.
    """
    if format not in FORMATS:
        raise ConfigError(f"format {format!r}: not a format of a synthetic book; give one of {', '.join(FORMATS)}.")
    blocks = _blocks(clients, seed, facts)
    folder = Path(out)
    _refuse_foreign_files(folder)
    table, marker, text = folder / f"{STEM}.{format}", folder / MARKER, _marker_text(clients, seed, format)
    total = -(-clients // BLOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not marker.exists() or marker.read_text(encoding="utf-8") != text:  # the marker never lies about a table
            for ending in FORMATS:
                (folder / f"{STEM}.{ending}").unlink(missing_ok=True)
        _replace(marker, lambda path: path.write_text(text, encoding="utf-8"))
        shown = progress(blocks, total, "Drawing blocks of clients")
        _replace(table, lambda path: _stream(path, shown, FORMATS[format]))
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); give another folder.") from error
    return [table, marker]


def _blocks(clients: int, seed: int, path: Path | None) -> Iterator[Synthetic]:
    """Check the arguments now, draw the blocks when asked."""
    if not FEWEST <= clients <= MOST:
        raise ConfigError(
            f"clients = {clients}: a synthetic book has {FEWEST:,} to {MOST:,} clients; give such a number."
        )
    if seed < 0:
        raise ConfigError(f"seed = {seed}: a seed is 0 or more; give another.")
    facts = _read(path) if path else _default()
    return (_block(facts, seed, first, min(BLOCK, clients - first)) for first in range(0, clients, BLOCK))


def _block(facts: Mapping[str, Any], seed: int, first: int, rows: int) -> Synthetic:
    """Clients `first` to `first + rows`; a whole block is drawn and cut, so that rows do not depend on how many."""
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(first // BLOCK,)))
    draw = Draw(facts, stream, BLOCK)
    columns = application(draw)
    probability = probability_of_default(draw)
    columns["SK_ID_CURR"] = FIRST_ID + first + np.arange(BLOCK)
    columns["TARGET"] = ndtr(draw.z["default"]) < probability
    types = {name: fact["type"] for name, fact in facts["columns"].items()}
    table = {name: pd.Series(columns[name][:rows], dtype=types.get(name, "int64")) for name in facts["order"]}
    return Synthetic(pd.DataFrame(table), probability[:rows])


def _read(path: Path) -> Mapping[str, Any]:
    """Read a file of facts; the copula's lower triangle becomes the root of its correlation matrix."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = facts["copula"]["correlation"]
        lower = np.zeros((len(rows), len(rows)))
        for number, row in enumerate(rows):
            lower[number, : number + 1] = row
        facts["copula"]["root"] = np.linalg.cholesky(lower + np.tril(lower, -1).T)
    except (OSError, ValueError, KeyError, TypeError, np.linalg.LinAlgError) as error:
        raise ConfigError(f"{path}: not a file of facts for a synthetic book ({error}); restore it.") from error
    return facts


@lru_cache(maxsize=1)
def _default() -> Mapping[str, Any]:
    with resources.as_file(resources.files("credit.portfolios") / "home_credit_profile.json") as path:
        return _read(path)


def _refuse_foreign_files(folder: Path) -> None:
    """Refuse a folder with anything but an earlier synthetic book, which may be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file, a book is written into a folder; give another path.")
    ours = {MARKER, *(f"{STEM}.{ending}" for ending in FORMATS)}
    found = sorted(path.name for path in folder.iterdir() if path.name not in ours and path.suffix != PARTIAL)
    marked = (folder / MARKER).exists()
    if found or (not marked and any((folder / name).exists() for name in ours)):
        other = found[0] if found else "an application table without the marker " + MARKER
        raise DataError(f"{folder}: holds {other}, a synthetic book replaces only an earlier one; give another folder.")


def _replace(path: Path, fill: Callable[[Path], object]) -> None:
    """Fill a temporary file beside `path`, then give it its name in one move; two processes may do so at once."""
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        fill(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _stream(path: Path, blocks: Iterable[Synthetic], writer: type[Any]) -> None:
    """Write block after block; in CSV text is quoted and a missing value empty."""
    sink = None
    for block in blocks:
        table = pa.Table.from_pandas(block.application, preserve_index=False).replace_schema_metadata(None)
        sink = sink or writer(path, table.schema)
        sink.write_table(table)
    if sink:
        sink.close()


def _marker_text(clients: int, seed: int, format: str) -> str:  # noqa: A002
    return (
        "Synthetic data: no row belongs to a real person, no result on it says anything about a real loan book.\n"
        f"generator: credit.data.synthetic, version {GENERATOR}\nclients: {clients}\nseed: {seed}\nformat: {format}\n"
    )
