"""What every function of this wing demands of its inputs; knows no metric.

A caller's mistake (shape, type, value) is a `ValueError`; data that cannot answer the question (no rows, one
class only) are a `DataError`, which the user can mend.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from credit.errors import DataError

__all__ = ["Booleans", "Floats", "booleans", "floats", "outcomes", "pair", "positive", "probabilities"]

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def _column(name: str, array: npt.NDArray[Any], rows: int | None) -> None:
    """Demand one dimension, at least one row, and as many rows as the other inputs have."""
    if array.ndim != 1:
        raise ValueError(f"{name}: must have one dimension, has shape {array.shape}.")
    if array.size == 0:
        raise DataError(f"{name}: has no rows; at least one is needed.")
    if rows is not None and array.size != rows:
        raise ValueError(f"{name}: must have {rows} rows like the other inputs, has {array.size}.")


def floats(name: str, values: npt.ArrayLike, rows: int | None = None) -> Floats:
    """Return `values` as finite numbers in one dimension, shape (n,)."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: must be numbers ({error}).") from error
    _column(name, array, rows)
    if not (finite := np.isfinite(array)).all():
        wrong = np.flatnonzero(~finite)
        raise ValueError(f"{name}: {wrong.size} values are missing or infinite, the first at position {wrong[0]}.")
    return array


def probabilities(name: str, values: npt.ArrayLike, rows: int | None = None) -> Floats:
    """Return `values` as numbers in [0, 1], shape (n,)."""
    array = floats(name, values, rows)
    outside = np.flatnonzero((array < 0) | (array > 1))
    if outside.size:
        raise ValueError(
            f"{name}: must lie in [0, 1]; {outside.size} values do not, the first is {array[outside[0]]:g} "
            f"at position {outside[0]}."
        )
    return array


def outcomes(values: npt.ArrayLike, *, both: bool = False) -> Booleans:
    """Return y_true as booleans, True for a default; `both` demands that both classes occur."""
    array = floats("y_true", values)
    other = np.flatnonzero((array != 0) & (array != 1))
    if other.size:
        raise ValueError(f"y_true: must be 0 (repaid) or 1 (default), is {array[other[0]]:g} at position {other[0]}.")
    defaults = np.asarray(array == 1)
    if both and defaults.all() | ~defaults.any():
        raise DataError(f"y_true: all {array.size} rows are {array[0]:g}; this figure needs rows of both outcomes.")
    return defaults


def pair(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, *, both: bool = False) -> tuple[Booleans, Floats]:
    """Return outcomes and probabilities of the same rows."""
    defaults = outcomes(y_true, both=both)
    return defaults, probabilities("y_prob", y_prob, defaults.size)


def booleans(name: str, values: npt.ArrayLike, rows: int | None = None) -> Booleans:
    """Return `values`, which must be booleans already: 0.3 must never pass for a decision."""
    array = np.asarray(values)
    _column(name, array, rows)
    if array.dtype != np.bool_:
        raise ValueError(
            f"{name}: must be booleans, is {array.dtype}; compare the probabilities with a threshold first."
        )
    return array


def positive(name: str, value: int) -> int:
    """Return `value`, which must be a whole number of at least 1."""
    if value < 1 or value != int(value):
        raise ValueError(f"{name}: must be a whole number of at least 1, is {value}.")
    return int(value)
