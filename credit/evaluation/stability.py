"""Whether one variable has moved between two populations; knows no outcome.

The population stability index is an effect size: unlike a p-value it does not grow with the number of rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from credit.errors import DataError
from credit.evaluation.checks import Floats, positive

__all__ = ["Bins", "Codes", "index", "population_stability_index"]

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bins:
    """The bins of one variable, so that its counts in any population can be compared.

    The two last codes are always there: ``size - 2`` is a missing value, ``size - 1`` a level that was not seen
    when the bins were made, which a number never is.

    Parameters
    ----------
    edges : tuple of float, optional
        Of a number, ascending: bin i holds edges[i - 1] <= x < edges[i], the first and the last are open.
    levels : tuple of str, optional
        Of anything else, compared as text.
    """

    edges: tuple[float, ...] | None = None
    levels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if (self.edges is None) == (self.levels is None):
            raise ValueError("bins: must have either edges or levels.")
        if self.edges is not None and (np.diff(self.edges) <= 0).any():
            raise ValueError("bins: edges must ascend.")
        if self.levels is not None and len(set(self.levels)) < len(self.levels):
            raise ValueError("bins: no level may occur twice.")

    @classmethod
    def fit(cls, values: npt.ArrayLike, bins: int = 10) -> "Bins":
        """Make bins of the known values: quantiles of numbers, the levels of anything else.

        A number that fills several bins gets one of its own, so that a move to or from it shows.

        Parameters
        ----------
        values : array_like of shape (n,)
            One variable in the population that others will be compared with.
        bins : int
            Of numbers.
        """
        column = pd.Series(values)
        if not pd.api.types.is_numeric_dtype(column):
            return cls(levels=tuple(sorted(_texts(column).dropna().unique())))
        known = column.dropna().to_numpy(np.float64)
        shares = np.linspace(0, 1, positive("bins", bins) + 1)[1:-1]
        edges, repeated = np.unique(np.quantile(known, shares) if known.size else np.empty(0), return_counts=True)
        return cls(edges=tuple(map(float, np.union1d(edges, np.nextafter(edges[repeated > 1], np.inf)))))

    @property
    def size(self) -> int:
        """The number of codes."""
        return (len(self.levels) if self.levels is not None else len(self.edges or ()) + 1) + 2

    def codes(self, values: npt.ArrayLike) -> Codes:
        """Return the bin of each value, shape (n,), from 0 to `size` - 1.

        Raises
        ------
        DataError
            If the bins are of numbers and a value is none.
        """
        column = pd.Series(values)
        if self.levels is not None:
            texts = _texts(column)
            found = pd.Index(self.levels, dtype="str").get_indexer(pd.Index(texts)).astype(np.int64)
            return np.where(texts.isna(), self.size - 2, np.where(found < 0, self.size - 1, found))
        try:
            numbers = column.to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise DataError(f"not a number where numbers were before ({error}); give the column its type.") from error
        places = np.searchsorted(np.asarray(self.edges, np.float64), numbers, side="right")
        return np.where(np.isnan(numbers), self.size - 2, places).astype(np.int64, copy=False)

    def counts(self, values: npt.ArrayLike) -> Codes:
        """Return how many values are in each bin, shape (`size`,)."""
        return np.bincount(self.codes(values), minlength=self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        return {"edges": list(self.edges)} if self.edges is not None else {"levels": list(self.levels or ())}

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> "Bins":
        """Read what `to_dict` gives."""
        if "edges" in held:
            return cls(edges=tuple(float(edge) for edge in held["edges"]))
        return cls(levels=tuple(str(level) for level in held["levels"]))


def _texts(column: pd.Series) -> pd.Series:
    """Return levels as text; missing values of every kind stay missing."""
    return (column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column).astype("str")


def index(expected: npt.ArrayLike, actual: npt.ArrayLike) -> Any:
    """Return sum (a - e) ln(a / e) over bins with shares e and a, from the counts of the bins.

    A bin that is empty on one side counts as half a row there; one that is empty on both does not count.

    Parameters
    ----------
    expected, actual : array_like of shape (..., size)
        Counts by bin in two populations; leading axes are broadcast.

    Returns
    -------
    float or array of shape (...)
        0 means no shift.
    """
    before, after = (np.asarray(side, dtype=np.float64) for side in (expected, actual))
    totals = [side.sum(axis=-1, keepdims=True) for side in (before, after)]
    if any((total == 0).any() for total in totals):
        raise DataError("population stability index: one of the two samples has no rows.")
    e, a = (np.maximum(side, 0.5) / total for side, total in zip((before, after), totals, strict=True))
    found: Floats = np.sum(np.where((before == 0) & (after == 0), 0.0, (a - e) * np.log(a / e)), axis=-1)
    return found if found.ndim else float(found)


def population_stability_index(expected: npt.ArrayLike, actual: npt.ArrayLike, bins: int = 10) -> float:
    """Return sum (a - e) ln(a / e) over bins with shares e of `expected` and a of `actual`; 0 means no shift.

    Bins are quantiles of `expected` for numbers, the levels for anything else, and one for missing values. A
    bin that is empty on one side counts as half a row there. Without any shift the index is about (bins - 1)
    (1/n_e + 1/n_a) (Yurdakul 2018, Western Michigan University): small samples never show 0.

    Parameters
    ----------
    expected, actual : array_like of shape (n_e,), (n_a,)
        One variable in two populations, such as training and today.
    """
    left, right = pd.Series(expected), pd.Series(actual)
    if left.empty or right.empty:
        raise DataError("population stability index: one of the two samples has no rows.")
    numbers = pd.api.types.is_numeric_dtype(left)
    if numbers != pd.api.types.is_numeric_dtype(right):
        raise ValueError(f"population stability index: only one sample has numbers ({left.dtype}, {right.dtype}).")
    # Each level that only `actual` has is a bin of its own.
    made = Bins.fit(left, positive("bins", bins)) if numbers else Bins.fit(pd.concat([_texts(left), _texts(right)]))
    return float(index(made.counts(left), made.counts(right)))
