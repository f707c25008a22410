"""Tables as files that a spreadsheet may open without harm; knows nothing of what is in them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from credit.errors import ConfigError

__all__ = ["check_suffix", "neutral", "save", "whole"]

#: A text that begins so is a formula to a spreadsheet (OWASP, CSV injection); so is one after blanks of theirs.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width, as spreadsheets read

WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": lambda frame, path: neutral(frame).to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
}


def neutral(frame: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before texts that a spreadsheet would take for a formula, names of columns too.

    Numbers stay numbers; a text that is one ("-5" in a rejected cell) is a text, and gets its apostrophe.

    Parameters
    ----------
    frame : DataFrame
        Of any columns.

    Returns
    -------
    DataFrame
        The same, or a changed copy.
    """
    made = frame.copy(deep=False)
    for at, kind in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
            made.isetitem(at, made.iloc[:, at].map(_neutral))
    made.columns = [_neutral(name) for name in frame.columns]
    return made


def check_suffix(path: Path) -> None:
    """Refuse a file of another kind than .csv or .parquet.

    Raises
    ------
    ConfigError
        It names the two.
    """
    if path.suffix not in WRITERS:
        raise ConfigError(f"--out {path}: the suffix is neither .csv nor .parquet; give one of the two.")


def save(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all; as CSV with `neutral` texts."""
    with whole(path) as partial:
        WRITERS[path.suffix](frame, partial)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a file to write to, which gets its name only if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _neutral(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA) else cell
