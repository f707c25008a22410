"""Features -> the numbers that a model reads, one row or many, to the same bit; knows no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from credit.errors import DataError

__all__ = ["Encoder", "Features", "Floats", "Input"]

Floats = NDArray[np.float64]
#: Rows of features: a table, or each row as a mapping, or as a sequence in the order of the inputs.
Row = Mapping[str, Any] | Sequence[Any]
Features = pd.DataFrame | Sequence[Row]


@dataclass(frozen=True)
class Input:
    """One feature as the model reads it.

    Parameters
    ----------
    name : str
        The feature's name.
    digest : str
        What the feature meant when the model was trained; see `credit.features.Feature.digest`.
    levels : tuple of str, optional
        A category's levels in the order of their codes; None for a number.  A level that is not
        among them is scored as missing.
    fill : float or str, optional
        What stands in for a missing value; None leaves it to the model.
    indicator : bool
        Whether a column that says "was missing" follows at the end.
    """

    name: str
    digest: str
    levels: tuple[str, ...] | None = None
    fill: float | str | None = None
    indicator: bool = False


class Encoder:
    """The columns of a model: category codes and numbers in the order of the inputs, then missing indicators.

    Parameters
    ----------
    inputs : tuple of Input
        In the model's order.
    """

    def __init__(self, inputs: tuple[Input, ...]) -> None:
        self.inputs, self.names = inputs, [item.name for item in inputs]
        self.flagged = [at for at, item in enumerate(inputs) if item.indicator]
        self.numbers = [at for at, item in enumerate(inputs) if item.levels is None]
        self.codes = {
            at: {level: float(code) for code, level in enumerate(item.levels)}
            for at, item in enumerate(inputs)
            if item.levels is not None
        }
        self.fills = np.array([item.fill if at in self.numbers else None for at, item in enumerate(inputs)], np.float64)
        self.filled = not np.isnan(self.fills).all()
        # What a missing category is coded as; what is known but no level of the model has no code.
        self.absent = {
            at: np.nan if (fill := inputs[at].fill) is None else codes[str(fill)] for at, codes in self.codes.items()
        }
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else None

    def frame(self, frame: pd.DataFrame) -> Floats:
        """Encode a table that has the inputs among its columns; shape (n, columns)."""
        self._there(frame.columns)
        made = np.empty((len(frame), len(self.inputs) + len(self.flagged)), order="F")
        for at, codes in self.codes.items():
            made[:, at] = self._levels(frame[self.names[at]], codes, self.absent[at])
        if self.numbers:
            self._numbers(frame, made)
        return self._finished(made)

    def rows(self, rows: Sequence[Row]) -> Floats:
        """Encode rows, each a mapping with the inputs among its names or a sequence in their order."""
        made = np.empty((len(rows), len(self.inputs) + len(self.flagged)))
        width = len(self.inputs)
        for at, row in enumerate(rows):
            values = self._values(row)
            for place, codes in self.codes.items():
                values[place] = self._level(values[place], codes, self.absent[place])
            try:
                made[at, :width] = values
            except (TypeError, ValueError, OverflowError):
                made[at, :width] = [self._number(place, value) for place, value in enumerate(values)]
        return self._finished(made)

    def _values(self, row: Row) -> list[Any]:
        if not isinstance(row, Mapping):
            held = isinstance(row, (Sequence, np.ndarray)) and not isinstance(row, (str, bytes))
            if not held or len(row) != len(self.inputs):
                raise DataError(
                    f"features: a row must be a mapping, or hold {len(self.inputs)} values in the model's order."
                )
            return list(row)
        try:
            return list(self._pick(row)) if self._pick else [row[name] for name in self.names]
        except KeyError:
            self._there(row)
            raise

    def _there(self, given: Any) -> None:
        absent = [name for name in self.names if name not in given]
        if absent:
            raise DataError(
                f"features: {len(absent)} that the model reads are not there ({', '.join(absent[:5])}); "
                "build the features with the portfolio that the model was trained on."
            )

    def _numbers(self, frame: pd.DataFrame, made: Floats) -> None:
        """Take all numbers at once where they are floats, else one column after the other."""
        names = [self.names[at] for at in self.numbers]
        taken = frame[names]
        first = self.numbers[0]
        together = self.numbers[-1] - first + 1 == len(self.numbers)
        if together and all(kind == np.float64 for kind in taken.dtypes):
            made[:, first : first + len(names)] = taken.to_numpy()
            return
        for at, name in zip(self.numbers, names, strict=True):
            try:
                made[:, at] = frame[name].to_numpy(np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise DataError(f"feature {name}: not a number ({error}); build the features anew.") from error

    def _levels(self, values: pd.Series, codes: Mapping[str, float], absent: float) -> Floats:
        """Look a column's levels up; texts in Arrow, whatever else in pandas."""
        try:
            texts = pa.array(values.array, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            texts = pa.nulls(0)
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            found: Floats = values.map(dict(codes)).to_numpy(np.float64)
            return found if np.isnan(absent) else np.where(values.isna(), absent, found)
        places = pc.index_in(texts, value_set=pa.array(list(codes), texts.type), skip_nulls=True)
        found = places.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return found if np.isnan(absent) else np.where(texts.is_null(), absent, found)

    def _level(self, value: Any, codes: Mapping[str, float], absent: float) -> float:
        if isinstance(value, str):
            return codes.get(value, np.nan)
        missing = value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
        return absent if missing else np.nan

    def _number(self, at: int, value: Any) -> float:
        try:
            return np.nan if value is None or value is pd.NA else float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"feature {self.names[at]}: not a number ({error}); build the features anew.") from error

    def _finished(self, made: Floats) -> Floats:
        """Say what was missing, then fill it in."""
        width = len(self.inputs)
        if self.flagged:
            made[:, width:] = np.isnan(made[:, self.flagged])
        if self.filled:
            np.copyto(made[:, :width], self.fills, where=np.isnan(made[:, :width]) & ~np.isnan(self.fills))
        return made
