"""Outcomes from a table or a file of their own -> 1 for a default, 0 for none, by client; joins nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from credit.data.cells import text
from credit.data.files import File, stem
from credit.errors import DataError
from credit.portfolio import Portfolio

__all__ = ["of_frame", "of_table", "read"]


def read(book: Portfolio, file: str) -> pd.Series:
    """Read a file of outcomes.

    Parameters
    ----------
    book : Portfolio
        It names the key and the target.
    file : str
        CSV or Parquet with these two columns; others are left alone.

    Returns
    -------
    Series of float
        1.0 or 0.0 by the client's key as text; who has no outcome yet is not there.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, has a client twice, or an outcome that is none.
    """
    path = Path(file)
    if stem(path) is None:
        raise DataError(f"{file}: outcomes are read from CSV or Parquet; give a file of one of these kinds.")
    with TemporaryDirectory(prefix="credit-") as scratch:
        place = File(path).parquet(Path(scratch) / "outcomes.parquet")
        try:
            names = pq.read_schema(place).names
            if absent := [name for name in (book.key, book.target) if name not in names]:
                raise DataError(f"{file}: no column {', '.join(absent)}; outcomes are {book.key} and {book.target}.")
            frame = pd.read_parquet(place, columns=[book.key, book.target])
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{file}: not a Parquet file, or a damaged one ({error}); copy it again.") from error
    found = _read(book, frame, file)
    if found.index.has_duplicates:
        twice = found.index[found.index.duplicated()][0]
        raise DataError(f"{file}: client {twice!r} has more than one outcome; keep one of them.")
    return found


def of_table(book: Portfolio, table: Any, source: str) -> pd.Series:
    """Take the outcomes of an open main table; as `of_frame`."""
    return of_frame(book, table.select(book.key, book.target).to_pandas(), source)


def of_frame(book: Portfolio, frame: pd.DataFrame, source: str) -> pd.Series:
    """Take the outcomes of rows with the key and the target; as `read`, but clients who are there twice have none."""
    found = _read(book, frame, source)
    return found[~found.index.duplicated(keep=False)]


def _read(book: Portfolio, frame: pd.DataFrame, source: str) -> pd.Series:
    given = frame[book.target].map(text)
    values = pd.to_numeric(given, errors="coerce")
    wrong = given.notna() & ~values.isin((0.0, 1.0))
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(
            f"{source}, row {row + 1}, column {book.target}: {given.iloc[row]!r} is neither 0 nor 1 "
            f"({int(wrong.sum())} such rows); give 1 for a default, 0 for none, and nothing while nobody knows."
        )
    return pd.Series(values.to_numpy(dtype=float), index=frame[book.key].map(text)).dropna()
