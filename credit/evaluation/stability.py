"""Whether one variable has moved between two populations; knows no outcome.

The population stability index is an effect size: unlike a p-value it does not grow with the number of rows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from credit.errors import DataError
from credit.evaluation.checks import positive

__all__ = ["population_stability_index"]


def _bins(expected: pd.Series, actual: pd.Series, bins: int) -> tuple[Any, Any]:
    """Return the bin of each value: quantiles of `expected` for numbers, levels otherwise; -1 is missing."""
    if not pd.api.types.is_numeric_dtype(expected):
        codes, _ = pd.factorize(pd.concat([expected, actual]).astype(object))
    else:
        both = np.concatenate([column.to_numpy(np.float64, na_value=np.nan) for column in (expected, actual)])
        known = expected.dropna()
        cuts = np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]) if known.size else np.empty(0)
        edges, repeated = np.unique(cuts, return_counts=True)
        # A value that fills several bins gets one of its own, so that a move to or from it shows.
        edges = np.union1d(edges, np.nextafter(edges[repeated > 1], np.inf))
        codes = np.where(np.isnan(both), -1, np.searchsorted(edges, both, side="right"))
    return codes[: expected.size], codes[expected.size :]


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
    if pd.api.types.is_numeric_dtype(left) != pd.api.types.is_numeric_dtype(right):
        raise ValueError(f"population stability index: only one sample has numbers ({left.dtype}, {right.dtype}).")
    before, after = _bins(left, right, positive("bins", bins))
    cells = np.union1d(before, after)
    e, a = (np.maximum([(side == cell).sum() for cell in cells], 0.5) / side.size for side in (before, after))
    return float(np.sum((a - e) * np.log(a / e)))
