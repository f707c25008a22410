"""Rows of one synthetic table that hang on clients: values and levels by measured facts; knows no table.

A row's latent mixes its client's with noise of its own, so that the rows of one client resemble each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["MONTH", "SENTINEL", "Array", "Columns", "Group", "Rows", "Text", "hidden", "to_table", "within"]

Array = NDArray[Any]
Levels = Sequence[Sequence[Any]]  # (level, share)

MONTH = 365.25 / 12  # days
SENTINEL = 365243  # days: "never", or "not yet"


@dataclass(frozen=True)
class Text:
    """A text column: for each row the number of its level, -1 where missing."""

    codes: Array
    levels: tuple[str, ...]

    def __getitem__(self, rows: Array) -> "Text":
        return Text(self.codes[rows], self.levels)

    def equals(self, *names: str) -> Array:
        """Whether a row has one of the levels."""
        return np.isin(self.codes, [self.levels.index(name) for name in names if name in self.levels])


@dataclass(frozen=True)
class Group:
    """What facts are conditional on: for each row the number of its name."""

    codes: Array
    names: tuple[str, ...]


Columns = dict[str, Any]  # numbers are arrays, words are Text


class Rows:
    """Draws for the rows of one table in one chunk of clients.

    Parameters
    ----------
    history : mapping
        The measured facts of all history tables.
    stream : numpy.random.Generator
        Source of the randomness of this table in this chunk.
    owner : array of int
        Client of each row, counted within the chunk.
    latents : mapping of str to array
        The clients' standard normal latents.
    """

    def __init__(
        self, history: Mapping[str, Any], stream: np.random.Generator, owner: Array, latents: Mapping[str, Array]
    ) -> None:
        self.history, self.stream, self.owner, self.latents = history, stream, owner, latents
        self.size = len(owner)
        self.grid: Array = history["grid"]

    def on(self, owner: Array) -> "Rows":
        """Go on in the same stream with other rows: a table's finer or coarser ones."""
        return Rows(self.history, self.stream, owner, self.latents)

    def latent(self, client: str = "") -> Array:
        """Draw a standard normal latent, of which a part is the client's.

        Clients with many rows differ from those with few; seen from the rows, too, the latent is standard.
        """
        noise = self.stream.standard_normal(self.size)
        if not client:
            return noise
        shared = self.history["shared"][client]
        mean, deviation = self.history["weighted"].get(client, (0.0, 1.0))
        own = (self.latents[client][self.owner] - mean) / deviation
        return np.asarray(np.sqrt(shared) * own + np.sqrt(1 - shared) * noise)

    def chance(self, share: float | Array) -> Array:
        """Whether something happens, for each row on its own."""
        return np.asarray(self.stream.random(self.size, dtype=np.float32) < share)

    def probability(self, client: str = "") -> Array:
        """Draw a uniform number, of which a part is the client's."""
        if not client:
            return np.asarray(self.stream.random(self.size, dtype=np.float32))
        return np.asarray(ndtr(self.latent(client)))

    def value(self, quantiles: Any, z: Array | None = None, group: Group | None = None) -> Array:
        """Value of a latent by measured quantiles, which may depend on the row's group."""
        z = self.latent() if z is None else z
        if group is None:
            return np.asarray(np.interp(z, self.grid, quantiles))
        found = np.zeros(self.size)
        for code, name in enumerate(group.names):
            if name in quantiles and (rows := np.flatnonzero(group.codes == code)).size:
                found[rows] = np.interp(z[rows], self.grid, quantiles[name])
        return found

    def numbers(self, levels: Any, z: Array | None = None, group: Group | None = None) -> Array:
        """Level of a latent, where levels are numbers."""
        codes, names = self._levels(levels, z, group)
        return np.array(names, dtype=float)[codes]

    def text(self, levels: Any, z: Array | None = None, group: Group | None = None) -> Text:
        """Level of a latent, where levels are words; None is a missing one."""
        codes, names = self._levels(levels, z, group)
        known = [name for name in names if name is not None]
        number = np.array([known.index(name) if name is not None else -1 for name in names], dtype=np.int32)
        return Text(number[codes], tuple(known))

    def share(self, shares: Mapping[str, float], group: Group) -> Array:
        """Look up the share that belongs to a row's group, 0 where none is measured."""
        return np.array([shares.get(name, 0.0) for name in group.names])[group.codes]

    def _levels(self, levels: Any, z: Array | None, group: Group | None) -> tuple[Array, list[Any]]:
        if group is None:
            cuts = np.cumsum([share for _, share in levels])[:-1]
            names = [name for name, _ in levels]
            if z is not None:
                return np.searchsorted(ndtri(np.minimum(cuts, 1)), z), names
            return np.searchsorted(cuts, self.stream.random(self.size, dtype=np.float32)), names
        names = list(dict.fromkeys(name for rows in levels.values() for name, _ in rows))
        codes = np.zeros(self.size, dtype=np.int32)
        place = self.stream.random(self.size, dtype=np.float32) if z is None else z
        for code, key in enumerate(group.names):
            if key in levels and (rows := np.flatnonzero(group.codes == code)).size:
                cuts = np.minimum(np.cumsum([share for _, share in levels[key]])[:-1], 1)
                found = np.searchsorted(cuts if z is None else ndtri(cuts), place[rows])
                codes[rows] = np.array([names.index(name) for name, _ in levels[key]])[found]
        return codes, names


def hidden(values: Array, gone: Array) -> Array:
    """Make numbers missing."""
    return np.where(gone, np.nan, values)


def within(sizes: Array) -> tuple[Array, Array]:
    """Give for rows that hang on parents, so many on each, the parent's number and the row's own, both from 0."""
    parent = np.repeat(np.arange(len(sizes)), sizes)
    return parent, np.arange(len(parent)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def to_table(columns: Columns, types: Sequence[Sequence[Any]], rows: int) -> pa.Table:
    """Make a table of the first rows; missing is null.

    Parameters
    ----------
    columns : dict of columns
    types : sequence of (name, type) or (name, type, least, most)
        The columns in their order, and the measured range that no value leaves.
    rows : int
        How many to keep.
    """
    arrays = []
    for name, kind, *limits in types:
        column = columns[name]
        if isinstance(column, Text):
            codes = column.codes[:rows]
            arrays.append(pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(column.levels)))
        else:
            inside = np.clip(column[:rows], *limits) if limits else column[:rows]
            arrays.append(pa.array(inside.astype(kind, copy=False), from_pandas=True))
    return pa.table(dict(zip([name for name, *_ in types], arrays, strict=True)))
