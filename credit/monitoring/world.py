"""A made-up world for a model to meet: a book to train on, then applicants month by month; decides nothing.

One synthetic book is drawn and dealt out: first the training book, then each month's applicants, so that nobody is
there twice.  From a chosen month on, drift changes who applies or what becomes of them.  What becomes of a client is
drawn once, whatever is decided about them; it is the world's secret, and so is the true probability of default.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from credit.data import synthetic
from credit.data.synthetic_drift import SPARE, Drift, chosen, planted
from credit.errors import ConfigError
from credit.features.online import History, Row
from credit.portfolio import Portfolio

__all__ = ["Arrivals", "World", "of_clients", "write"]

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Arrivals:
    """Who applies in one month.

    Parameters
    ----------
    tables : dict of str to DataFrame
        The portfolio's tables, raw, without the outcome.
    outcomes : array of {0, 1}, shape (n,)
        What becomes of each applicant who is given the credit, in the order of the main table.
    probability : array (n,)
        Their true probabilities of default.
    """

    tables: dict[str, pd.DataFrame]
    outcomes: NDArray[np.int8]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.outcomes)

    def cases(self, book: Portfolio) -> list[tuple[Row, History]]:
        """Write each applicant as a form would send them: the raw application, and the rows of history by table."""
        applications = _records(self.tables[book.main])
        histories: dict[Any, dict[str, list[Row]]] = {row[book.key]: defaultdict(list) for row in applications}
        owners: dict[str, dict[Any, Any]] = {book.main: {key: key for key in histories}}
        for name in sorted(self.tables.keys() - {book.main}, key=lambda name: (_depth(book, name), name)):
            table, owners[name] = book.tables[name], {}
            for row in _records(self.tables[name]):
                client = owners[str(table.parent)][row[str(table.parent_key)]]
                histories[client][name].append(row)
                if table.key:
                    owners[name][row[table.key[0]]] = client
        return [(row, dict(histories[row[book.key]])) for row in applications]


@dataclass(frozen=True)
class World:
    """All that happens, drawn beforehand.

    Parameters
    ----------
    book : Portfolio
        Whose schema the rows have.
    training : dict of str to DataFrame
        The portfolio's tables of the clients to train on, with outcomes.
    months : tuple of Arrivals
        The applicants.
    drifts : tuple of Drift
        What changes.
    since : int
        From which month on, the first being 1.
    """

    book: Portfolio
    training: dict[str, pd.DataFrame]
    months: tuple[Arrivals, ...]
    drifts: tuple[Drift, ...]
    since: int

    @classmethod
    def make(
        cls,
        book: Portfolio,
        clients: int,
        months: int,
        applicants: int,
        *,
        drifts: Collection[str] = (),
        since: int = 1,
        tables: Collection[str] = (),
        seed: int = 7,
    ) -> "World":
        """Draw a world.

        Parameters
        ----------
        book : Portfolio
            One that comes with synthetic facts.
        clients : int
            To train on.
        months, applicants : int
            How many months, and applicants in each.
        drifts : collection of str
            Names of `credit.data.synthetic_drift.DRIFTS`.
        since : int
            The month from which they hold, the first being 1.
        tables : collection of str
            The portfolio's tables to draw beside the main one.
        seed : int
            The same gives the same world; without drift, or with it, the clients are the same.

        Raises
        ------
        ConfigError
            If the portfolio has no synthetic facts, or a drift is unknown.
        """
        if book.synthetic is None:
            raise ConfigError(f"portfolio '{book.name}': no synthetic facts come with it, so no world can be made up.")
        wanted = chosen(drifts)
        files = {name: book.tables[name].files[0] for name in (book.main, *tables)}
        drawn = synthetic.generate(
            clients + months * applicants * SPARE, seed, book.folder / book.synthetic, [files[name] for name in tables]
        )
        whole = {book.main: drawn.application} | {name: drawn.tables[files[name]] for name in tables}
        edges = [clients + month * applicants * SPARE for month in range(months + 1)]
        arrivals = []
        for month, (first, last) in enumerate(pairwise(edges), start=1):
            rows, known = drawn.application.iloc[first:last].reset_index(drop=True), drawn.probability[first:last]
            stream = np.random.SeedSequence(seed, spawn_key=(month,))
            here = wanted if month >= since else ()
            arrivals.append(_arrivals(book, whole, rows, known, here, stream, applicants))
        keys = drawn.application[book.key].iloc[:clients]
        return cls(book, of_clients(book, whole, keys), tuple(arrivals), wanted, since)


def _arrivals(
    book: Portfolio,
    whole: Tables,
    rows: pd.DataFrame,
    probability: NDArray[np.float64],
    drifts: Sequence[Drift],
    seed: np.random.SeedSequence,
    applicants: int,
) -> Arrivals:
    """Let drift work on those who could apply, and take as many as do."""
    fate, drifting = seed.spawn(2)
    before = pd.Series(probability, index=rows[book.key])
    u = pd.Series(np.random.default_rng(fate).random(len(rows)), index=rows[book.key])
    came, risk = planted(rows, probability, drifts, drifting)
    came, risk = came.iloc[:applicants].reset_index(drop=True), risk[:applicants]
    keys = came[book.key]
    outcomes = _fate(came[book.target].to_numpy(), before[keys].to_numpy(), risk, u[keys].to_numpy())
    tables = {name: table for name, table in of_clients(book, whole, keys).items() if name != book.main}
    return Arrivals({book.main: came.drop(columns=book.target), **tables}, outcomes, risk)


def _fate(drawn: NDArray[Any], before: NDArray[Any], now: NDArray[Any], u: NDArray[Any]) -> NDArray[np.int8]:
    """Change as few outcomes as the change of risk asks for: who defaults anyway still does, where the risk rose."""
    rises = (now - before) / (1 - before)
    stays = np.divide(now, before, out=np.ones_like(now), where=before > 0)
    return np.asarray(np.where(drawn == 1, u < stays, u < rises), dtype=np.int8)


def of_clients(book: Portfolio, whole: Tables, keys: pd.Series) -> dict[str, pd.DataFrame]:
    """Take the rows of some clients from every table.

    Parameters
    ----------
    book : Portfolio
        It says which row belongs to whom.
    whole : mapping of str to DataFrame
        Tables by name; with each its parent.
    keys : Series
        The clients, in the order in which the main table is to have them.

    Returns
    -------
    dict of str to DataFrame
        The same tables, parents first.
    """
    found: dict[str, pd.DataFrame] = {}
    for name in sorted(whole, key=lambda name: _depth(book, name)):
        table = book.tables[name]
        if table.parent is None:
            rows = whole[name].set_index(book.key, drop=False).loc[keys]
        else:
            owners = found[table.parent][book.tables[table.parent].key[0]]
            rows = whole[name][whole[name][table.parent_key].isin(owners)]
        found[name] = rows.reset_index(drop=True)
    return found


def _depth(book: Portfolio, name: str) -> int:
    parent = book.tables[name].parent
    return 0 if parent is None else 1 + _depth(book, parent)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Write rows as a form would send them: Python's values, None where there is none."""
    rows: list[dict[str, Any]] = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    return rows


def write(book: Portfolio, tables: Tables, folder: Path, said: str) -> Path:
    """Write a made-up book as files that training reads, with the marker that says what they are.

    Parameters
    ----------
    book : Portfolio
        It names the files.
    tables : mapping of str to DataFrame
        The portfolio's tables; the main one with outcomes.
    folder : Path
        Made if missing.
    said : str
        What they are, for people.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marked = f"Synthetic data: no row belongs to a real person.\n{said}\n"
    (folder / synthetic.MARKER).write_text(marked, encoding="utf-8")
    for name, frame in tables.items():
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, folder / f"{book.tables[name].files[0]}.parquet")
    return folder
