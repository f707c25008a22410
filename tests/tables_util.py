"""A small book and its rows, for tests of what reads and checks tables."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from credit.portfolio import Portfolio, load

HEAD = """
name = "small"
title = { en = "Small", fr = "Petit" }
source = "made for a test"
licence = "none"
main = "application"
key = "id"
target = "target"

[tables.application]
en = "Applications"
fr = "Demandes"
files = ["applications"]
unlabelled = ["open"]
key = ["id"]
"""

#: Column name -> what its TOML entry says besides its words.
COLUMNS = {
    "id": 'type = "integer", role = "key", missing = false',
    "target": 'type = "flag", role = "target", missing = false',
    "amount": 'type = "number", min = 10, max = 1000, missing = false',
    "days": 'type = "integer", unit = "days", min = -5000, max = 0, sentinels = [365243]',
    "score": 'type = "number", min = 0, max = 1, on_range = "null"',
    "visits": 'type = "integer", max = 9, on_range = "warn"',
    "phone": 'type = "flag"',
    "kind": 'type = "category", levels = ["cash", "card"], sentinels = ["XNA"]',
    "grade": 'type = "category", levels = ["1", "2", "3"], on_level = "null"',
    "town": 'type = "category"',
    "region": 'type = "category", levels = ["north", "south"], on_level = "warn", missing = false',
}

EVENTS = """
[tables.event]
en = "Events"
fr = "Événements"
files = ["events"]
key = ["event_id", "month"]
parent = "application"
parent_key = "id"
time = "month"
"""
EVENT_COLUMNS = {
    "event_id": 'type = "category"',
    "id": 'type = "integer"',
    "month": 'type = "integer", unit = "months"',
    "paid": 'type = "number", min = 0',
}


def book(folder: Path, head: str = HEAD, tail: str = "", **columns: str | None) -> Portfolio:
    """Write a book's TOML and load it; `columns` replaces entries of COLUMNS, None drops one."""
    entries = {name: what for name, what in (COLUMNS | columns).items() if what is not None}
    file = folder / "small.toml"
    file.write_text(head + columns_of("application", entries) + tail, encoding="utf-8")
    return load(file)


def columns_of(table: str, entries: dict[str, str]) -> str:
    lines = [f'"{name}" = {{ en = "{name}", fr = "{name}", {what} }}' for name, what in entries.items()]
    return "\n".join([f"[tables.{table}.columns]", *lines, ""])


def rows(count: int = 120) -> pd.DataFrame:
    """Valid rows with every second client in default; whole numbers are integers, as in a CSV."""
    at = pd.Series(range(count))
    return pd.DataFrame(
        {
            "id": at + 1001,
            "target": at % 2,
            "amount": 10.5 + at,
            "days": -at,
            "score": (at % 10) / 10,
            "visits": at % 5,
            "phone": at % 2,
            "kind": ["cash", "card"] * (count // 2),
            "grade": (at % 3) + 1,
            "town": [f"town {number % 7}" for number in range(count)],
            "region": ["north", "south"] * (count // 2),
        }
    )


def plant(frame: pd.DataFrame, column: str, **cells: Any) -> pd.DataFrame:
    """Return a copy with other values in a column: `row_3=...` sets the third row."""
    frame = frame.astype({column: object})
    for name, value in cells.items():
        frame.loc[int(name.removeprefix("row_")) - 1, column] = value
    return frame


def save(frame: pd.DataFrame, file: Path, table: str = "applications") -> Path:
    """Write a frame in the format that the file's name says; `table` is its name in a database."""
    match file.suffix:
        case ".parquet":
            frame.apply(_one_type).to_parquet(file, index=False)
        case ".db" | ".sqlite":
            with closing(sqlite3.connect(file)) as connection:
                frame.to_sql(table, connection, index=False)
        case _:
            frame.to_csv(file, index=False)
    return file


def _one_type(column: pd.Series) -> pd.Series:
    """Parquet has one type for a column: text as soon as one value is."""
    if any(isinstance(value, str) for value in column):
        return column.map(lambda value: None if pd.isna(value) else str(value))
    return column.infer_objects()
