"""Seven small tables that keep the default book's contract, made from its columns' own words; nobody is in them."""

from pathlib import Path

import pandas as pd
from tables_util import save

from credit.portfolio import Column, load

BOOK = load("home_credit")
CLIENTS = 110
#: Table -> the columns that name its rows, and how many rows each owner has.
SHAPES = {
    "bureau": ("SK_ID_BUREAU", "SK_ID_CURR", 2),
    "bureau_balance": ("MONTHS_BALANCE", "SK_ID_BUREAU", 3),
    "previous_application": ("SK_ID_PREV", "SK_ID_CURR", 2),
    "pos_cash_balance": ("MONTHS_BALANCE", "SK_ID_PREV", 3),
    "credit_card_balance": ("MONTHS_BALANCE", "SK_ID_PREV", 2),
    "installments_payments": ("NUM_INSTALMENT_NUMBER", "SK_ID_PREV", 2),
}
FIRST = {"SK_ID_CURR": 100_001, "SK_ID_BUREAU": 5_000_001, "SK_ID_PREV": 1_000_001}


def seven() -> dict[str, pd.DataFrame]:
    """Return the rows of each table; every column of the files is there, excluded ones too."""
    made = {BOOK.main: _filled(BOOK.main, {"SK_ID_CURR": range(100_001, 100_001 + CLIENTS)}, CLIENTS)}
    for table, (own, owner, times) in SHAPES.items():
        count = 1 if owner == "SK_ID_CURR" else 2
        owners = [number for number in range(CLIENTS * count) for _ in range(times)]
        size = len(owners)
        month = [-1 - at % times for at in range(size)]
        keys = {owner: [FIRST[owner] + number for number in owners]}
        keys["SK_ID_CURR"] = [FIRST["SK_ID_CURR"] + number // count for number in owners]
        keys[own] = month if own == "MONTHS_BALANCE" else [FIRST.get(own, 1) + at for at in range(size)]
        made[table] = _filled(table, keys, size)
    return made


def write(frames: dict[str, pd.DataFrame], folder: Path, suffix: str = "csv") -> Path:
    """Write the tables as files of a folder, called as Kaggle calls them, or as one SQLite file."""
    for name, frame in frames.items():
        stem = BOOK.tables[name].files[0]
        save(frame, folder / ("book.db" if suffix == "db" else f"{stem}.{suffix}"), table=stem)
    return folder / "book.db" if suffix == "db" else folder


def _filled(table: str, keys: dict[str, object], size: int) -> pd.DataFrame:
    columns = BOOK.tables[table].columns.values()
    return pd.DataFrame({each.name: keys.get(each.name, _values(each, size)) for each in columns})


def _values(column: Column, size: int) -> list[object]:
    """Valid values, with gaps where the column may have some."""
    levels = column.levels or ("some word",)
    low = -900 if column.minimum is None else column.minimum
    high = 900 if column.maximum is None else column.maximum
    least = max(low, min(-900, high - 500))
    step = 0.25 if column.type == "number" and column.unit in ("currency", "share", "score") else 1
    room = int((min(high, least + 900) - least) / step)
    made: list[object] = []
    for at in range(size):
        if column.missing and at % 11 == 5:
            made.append(None)
        elif column.type == "category":
            made.append(levels[at % len(levels)])
        else:
            made.append(at % 2 if column.type == "flag" else least + at * 7 % (room + 1) * step)
    return made
