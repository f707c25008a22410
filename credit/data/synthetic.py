"""A seeded loan book in Home Credit's own schema, with known truth: drawn, and written to a folder; holds no real row.

Every client is one draw of a Gaussian copula; `synthetic_application` turns latents into columns and into the
true probability of default.  The facts, the copula and the risk's weights are one JSON file beside the portfolio;
how they were found is told in docs/decisions.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from credit.console import progress
from credit.data import synthetic_history
from credit.data.synthetic_application import Draw, application, probability_of_default
from credit.data.synthetic_files import FORMATS, MARKER, plain, put, refuse_foreign_files, rows_written
from credit.data.synthetic_history import FIRST_ID, Past
from credit.errors import ConfigError, DataError

__all__ = ["FIRST_ID", "FORMATS", "MAIN", "MARKER", "TABLES", "Synthetic", "generate", "rows_written", "write"]

GENERATOR = 2  # raise it whenever the same seed gives other rows
MAIN = "application_train"
TABLES = (MAIN, *synthetic_history.TABLES)
BLOCK = 20_000  # clients drawn at once, each block from its own streams: memory stays bounded
CHUNK = 1_000  # clients whose histories are drawn at once
FEWEST, MOST = 100, 10_000_000
LAST_ID = 2_000_000_000  # the greatest number that a client may have


@dataclass(frozen=True)
class Synthetic:
    """A generated book.

    Attributes
    ----------
    application : DataFrame
        Kaggle's 122 columns in Kaggle's order and types.
    probability : array (clients,)
        For each application the true probability of default.
    tables : dict of str to DataFrame
        The history tables asked for.
    """

    application: pd.DataFrame
    probability: NDArray[np.float64]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class _Block:
    """Some clients: their tables, and their true probabilities of default."""

    tables: dict[str, pa.Table]
    probability: NDArray[np.float64]


def generate(clients: int, seed: int = 7, facts: Path | None = None, tables: Collection[str] = ()) -> Synthetic:
    """Draw a book of clients with their applications, outcomes and true probabilities of default.

    The same seed gives the same rows; a larger book begins with the rows of the smaller one, in every table.

    Parameters
    ----------
    clients : int
        How many, from 100 to 10,000,000.
    seed : int, default 7
        Seed of the random streams, 0 or more.
    facts : Path, optional
        File of measured facts; the Home Credit portfolio's by default.
    tables : collection of str, optional
        History tables to draw as well, names of `TABLES`; none by default.

    Raises
    ------
    ConfigError
        If an argument is out of range, or the file of facts cannot be read.
    """
    blocks = list(_blocks(clients, seed, facts, (MAIN, *tables)))
    frames = {
        name: pa.concat_tables([block.tables[name] for block in blocks]) for name in dict.fromkeys((MAIN, *tables))
    }
    found = {name: plain(frame).to_pandas() for name, frame in frames.items()}
    return Synthetic(found.pop(MAIN), np.concatenate([block.probability for block in blocks]), found)


def write(
    out: str | Path,
    clients: int,
    seed: int = 7,
    format: str = "parquet",  # noqa: A002
    facts: Path | None = None,
    tables: Collection[str] = TABLES,
    first_client: int = FIRST_ID,
) -> list[Path]:
    """Stream a book into a folder: a file for each table, `<table>.<format>`, and a marker that says it is synthetic.

    Files get their names when all are complete, so a killed run leaves no half file under them.

    Parameters
    ----------
    out : str or Path
        Folder; made if missing.  It must be empty or hold an earlier synthetic book, which is replaced.
    clients, seed, facts
        As for `generate`.
    format : {"parquet", "csv"}
    tables : collection of str
        Which tables to write; by default all of `TABLES`.
    first_client : int
        The number of the first client; only the keys depend on it, so that two books can be without a common client.

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
    tables = tuple(tables)
    blocks = _blocks(clients, seed, facts, tables, first_client)
    folder = Path(out)
    refuse_foreign_files(folder, TABLES)
    shown = progress(blocks, -(-clients // BLOCK), "Drawing blocks of clients")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return put(
            folder,
            format,
            _book(clients, seed, format, tables, first_client),
            tables,
            TABLES,
            (block.tables for block in shown),
        )
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); give another folder.") from error


def _blocks(
    clients: int, seed: int, path: Path | None, tables: Collection[str], first_client: int = FIRST_ID
) -> Iterator[_Block]:
    """Check the arguments now, draw the blocks when asked."""
    if not FEWEST <= clients <= MOST:
        raise ConfigError(
            f"clients = {clients}: a synthetic book has {FEWEST:,} to {MOST:,} clients; give such a number."
        )
    if seed < 0:
        raise ConfigError(f"seed = {seed}: a seed is 0 or more; give another.")
    if not FIRST_ID <= first_client <= LAST_ID - clients:
        raise ConfigError(
            f"first client = {first_client}: clients have numbers from {FIRST_ID} to {LAST_ID}; give such a one."
        )
    if unknown := set(tables) - set(TABLES):
        raise ConfigError(f"table {min(unknown)!r}: a synthetic book has the tables {', '.join(TABLES)}; name those.")
    facts = _read(path) if path else _default()
    ahead = first_client - FIRST_ID
    return (
        _block(facts, seed, first, min(BLOCK, clients - first), tables, ahead) for first in range(0, clients, BLOCK)
    )


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _block(facts: Mapping[str, Any], seed: int, first: int, rows: int, tables: Collection[str], ahead: int) -> _Block:
    """Clients `first` to `first + rows`; a whole block is drawn and cut, so that rows do not depend on how many.

    Keys are `ahead` of where they begin by default.
    """
    number = first // BLOCK
    draw = Draw(facts, _stream(seed, number), BLOCK)
    columns = application(draw)
    past = Past(facts, _stream(seed, number, 0), draw.z)
    probability = probability_of_default(draw, past.news, past.spread)
    columns["SK_ID_CURR"] = FIRST_ID + ahead + first + np.arange(BLOCK)
    columns["TARGET"] = ndtr(draw.z["default"]) < probability
    found: dict[str, pa.Table] = {}
    if MAIN in tables:
        types = {name: fact["type"] for name, fact in facts["columns"].items()}
        frame = pd.DataFrame(
            {name: pd.Series(columns[name][:rows], dtype=types.get(name, "int64")) for name in facts["order"]}
        )
        found[MAIN] = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    if set(tables) - {MAIN}:
        found |= _histories(facts, seed, first, rows, past.z, tables, ahead)
    return _Block(found, probability[:rows])


def _histories(
    facts: Mapping[str, Any],
    seed: int,
    first: int,
    rows: int,
    z: Mapping[str, Any],
    tables: Collection[str],
    ahead: int,
) -> dict[str, pa.Table]:
    """Draw the histories chunk by chunk; as with blocks, a whole chunk is drawn and cut."""
    chunks = []
    for start in range(0, rows, CHUNK):
        key = (first // BLOCK, 1 + start // CHUNK)
        streams = {name: _stream(seed, *key, place) for place, name in enumerate(synthetic_history.TABLES)}
        latents = {name: values[start : start + CHUNK] for name, values in z.items()}
        chunks.append(
            synthetic_history.history(
                facts["history"], streams, latents, ahead + first + start, min(CHUNK, rows - start), tables
            )
        )
    return {name: pa.concat_tables([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _read(path: Path) -> Mapping[str, Any]:
    """Read a file of facts; lower triangles become the roots of correlation matrices."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        facts["copula"]["root"] = _root(facts["copula"]["correlation"])
        facts["history"]["root"] = _root(facts["history"]["correlation"])
        facts["history"]["grid"] = ndtri(np.clip(facts["probabilities"], 1e-5, 1 - 1e-5))
    except (OSError, ValueError, KeyError, TypeError, np.linalg.LinAlgError) as error:
        raise ConfigError(f"{path}: not a file of facts for a synthetic book ({error}); restore it.") from error
    return facts


def _root(rows: list[list[float]]) -> NDArray[np.float64]:
    lower = np.zeros((len(rows), len(rows)))
    for number, row in enumerate(rows):
        lower[number, : number + 1] = row
    return np.asarray(np.linalg.cholesky(lower + np.tril(lower, -1).T))


@lru_cache(maxsize=1)
def _default() -> Mapping[str, Any]:
    with resources.as_file(resources.files("credit.portfolios") / "home_credit_profile.json") as path:
        return _read(path)


def _book(clients: int, seed: int, format: str, tables: Collection[str], first_client: int) -> str:  # noqa: A002
    elsewhere = "" if first_client == FIRST_ID else f"first client: {first_client}\n"
    return (
        "Synthetic data: no row belongs to a real person, no result on it says anything about a real loan book.\n"
        f"generator: credit.data.synthetic, version {GENERATOR}\nclients: {clients}\nseed: {seed}\nformat: {format}\n"
        f"{elsewhere}tables: {', '.join(tables)}\n"
    )
