"""How large a stability index is by chance alone, for many columns at once; knows no window and no limit.

    index of no shift    about (1/n + 1/m) chi2(d), d = occupied bins - 1, for n rows against m (Yurdakul 2018)
    nearly normal        cbrt(chi2(d) / d), mean 1 - 2 / (9 d), variance 2 / (9 d) (Wilson & Hilferty 1931)
    family-wise          the level's quantile of the largest standardised value among all columns, found by drawing
                         whole rows, so that columns depend on each other as they do (Westfall & Young 1993)

The formula only makes columns comparable; how far they go together is measured on the rows themselves.  What a block of
neighbouring rows reaches counts as chance too: clients who came together are alike.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from credit.errors import DataError
from credit.evaluation.checks import Floats, positive
from credit.evaluation.stability import Codes, index

__all__ = ["DRAWS", "LEAST", "LEVEL", "floors"]

#: Windows drawn, and the share of them in which no column at all exceeds its floor.
DRAWS, LEVEL = 300, 0.99
#: Fewest rows that anything can be drawn from.
LEAST = 20

Counts = npt.NDArray[np.float32]


def floors(
    codes: Codes,
    sizes: Sequence[int],
    n: int,
    m: npt.ArrayLike,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Floats:
    """Return what the index of each column reaches without any shift, shape (k,).

    Windows are drawn from the rows without replacement and held against the other rows: n rows where there are twice as
    many, else halves, whose index is rescaled by (1/n + 1/m) to what n rows against m would give.

    Parameters
    ----------
    codes : array of int, shape (N, k)
        Bins of a sample of the population, in the order in which neighbours are alike, such as that of keys.
    sizes : sequence of int, length k
        How many bins each column has.
    n : int
        Rows of the window.
    m : int or array_like of shape (k,)
        Rows behind the counts that the window will be held against.
    draws, level, seed
        Of the resampling.

    Raises
    ------
    DataError
        If the sample has fewer than 20 rows.

    Notes
    -----
    The floor of a column with many rare levels is too low where n is above N / 2 (some 2 to 5 in 100 windows exceed a
    floor at level 0.99): halves show fewer of them.  Such floors are far below any limit in use.
    """
    rows, positive_n = len(codes), positive("n", n)
    if rows < LEAST:
        raise DataError(f"noise floor: the baseline has {rows} rows, at least {LEAST} are needed; train on more.")
    taken = min(positive_n, rows // 2)
    here, there = 1 / taken + 1 / (rows - taken), 1 / positive_n + 1 / np.asarray(m, dtype=np.float64)
    drawn, blocks = _random(rows, taken, positive("draws", draws), seed), _blocks(rows, taken)
    found = _indices(codes, sizes, np.concatenate([drawn, blocks], axis=1))
    freedom = np.array([np.unique(column).size - 1 for column in codes.T], dtype=np.float64)
    chance = _family(found[:draws] / here, freedom, level)
    return np.asarray(np.maximum(chance, found[draws:].max(axis=0) / here) * there)


def _family(found: Floats, freedom: Floats, level: float) -> Floats:
    """Return the quantile that no column exceeds in a share `level` of the draws, (draws, k) -> (k,)."""
    d = np.maximum(freedom, 1.0)
    mean, deviation = 1 - 2 / (9 * d), np.sqrt(2 / (9 * d))
    standard = (np.cbrt(found / d) - mean) / deviation
    reached = np.quantile(standard.max(axis=1), level, method="higher")
    return np.where(freedom > 0, d * np.maximum(mean + reached * deviation, 0.0) ** 3, 0.0)


def _indices(codes: Codes, sizes: Sequence[int], windows: Counts) -> Floats:
    """Return the index of each window against the other rows, by column; (N, windows) -> (windows, k)."""
    rows, columns = codes.shape
    starts = np.concatenate([[0], np.cumsum(sizes)])
    places = (np.asarray(codes) + starts[:-1]).ravel()
    cells = (np.ones(places.size, np.float32), (places, np.repeat(np.arange(rows), columns)))
    occupied = sparse.csr_array(cells, shape=(int(starts[-1]), rows))
    inside = (occupied @ windows).T.astype(np.float64)
    whole = np.bincount(places, minlength=int(starts[-1]))
    spans = [slice(start, end) for start, end in pairwise(starts)]
    return np.column_stack([_index(whole[span] - inside[:, span], inside[:, span]) for span in spans])


def _index(before: Floats, now: Floats) -> Floats:
    """Return the index of each window, (windows, size) -> (windows,); what only a window has is unseen together."""
    new = now[:, :-2] * (before[:, :-2] == 0)
    cells = np.column_stack([now[:, :-2] - new, now[:, -2], now[:, -1] + new.sum(axis=1)])
    return np.asarray(index(before, cells))


def _random(rows: int, taken: int, draws: int, seed: int) -> Counts:
    """Draw windows without replacement; (rows, draws) of 0 and 1."""
    rng, drawn = np.random.default_rng(seed), np.zeros((rows, draws), np.float32)
    for each in range(draws):
        drawn[rng.permutation(rows)[:taken], each] = 1
    return drawn


def _blocks(rows: int, taken: int) -> Counts:
    """Cut neighbouring rows into windows; what is left at the end is in none."""
    count = rows // taken
    blocks = np.zeros((rows, count), np.float32)
    blocks[np.arange(count * taken), np.repeat(np.arange(count), taken)] = 1
    return blocks
