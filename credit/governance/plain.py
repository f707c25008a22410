"""Raw values -> what JSON can hold and the contract judges alike; knows no table and no column."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from credit.data.cells import text

__all__ = ["plain"]

PYTHONS = (bool, int, float)
LARGEST = 2**63 - 1  # what every reader of JSON takes for an integer


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it, such that its text, which the contract judges, stays the same.

    Notes
    -----
    What is missing (None, NaN, NaT, NA) becomes None; booleans, 64-bit integers and finite floats stay; NumPy's scalars
    become Python's where they are written alike; text, dates, decimals and all else become their text.
    """
    kind = type(value)
    if kind is bool or (kind is float and math.isfinite(value)) or (kind is int and -LARGEST <= value <= LARGEST):
        return value
    if kind is dict or isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic) and type(value.item()) in PYTHONS and text(value.item()) == text(value):
        return plain(value.item())
    return text(value)
