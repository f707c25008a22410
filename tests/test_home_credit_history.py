"""Every feature of Home Credit's history against plain pandas, which was written from its words and not its formula.

The second opinion is the benchmark's peer.  Rows are drawn from what the portfolio allows (edges of windows, zeros,
gaps, sentinels, what is set missing, credits last written after the application), and from a synthetic book.
"""

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from credit.data import contract, synthetic, tables
from credit.features import Feature, definitions, express
from credit.portfolio import Column, load

BOOK = load("home_credit")
PEER = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "features_pandas.py"))["features"]
HISTORY = {name: spec for name, spec in BOOK.tables.items() if name != BOOK.main}
#: Mean rates are sums of millionths (docs/decisions/0010-history.md); all other values have fewer decimals.
ROUNDED = {"earlier_down_payment": 5e-7, "earlier_down_payment_24m": 5e-7, "earlier_down_payment_12m": 5e-7}
CLIENTS, ROWS = 260, 4000
#: Days and months at, just within and just outside each window.
EDGES = {
    "days": [0, -1, -91, -91.3125, -92, -182, -182.625, -183, -365, -365.25, -366, -730, -730.5, -731, -2000],
    "months": [0, -1, -2, -3, -4, -6, -7, -12, -13, -24, -25, -26, -60],
}


def history(names: list[str] | None = None) -> list[Feature]:
    """The features that need more than the application."""
    return [feature for feature in definitions(BOOK, names) if feature.tables != {BOOK.main}]


# Rows


def drawn(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Seven tables that keep the contract, of every kind of row that it lets through."""
    clients = 100_001 + np.arange(CLIENTS)
    main = BOOK.tables[BOOK.main].columns.values()
    made = {BOOK.main: pd.DataFrame({column.name: draw(column, CLIENTS, rng) for column in main})}
    made[BOOK.main] = made[BOOK.main].assign(SK_ID_CURR=rng.permutation(clients), TARGET=np.arange(CLIENTS) % 2)
    for name, spec in HISTORY.items():
        frame = pd.DataFrame({column.name: draw(column, ROWS, rng) for column in spec.columns.values()})
        unit = str(spec.columns[str(spec.time)].unit)
        frame[spec.time] = rng.choice(EDGES[unit], ROWS).astype(float if unit == "days" else int)
        # The first fifth of the clients have no rows; a few rows belong to nobody.
        frame["SK_ID_CURR"] = rng.choice(np.append(clients[CLIENTS // 5 :], 999_999), ROWS)
        frame["SK_ID_PREV"] = frame["SK_ID_BUREAU"] = 1 + np.arange(ROWS)
        if name == "bureau_balance":
            frame["SK_ID_BUREAU"] = rng.integers(1, ROWS // 2, ROWS)
        made[name] = frame.reindex(columns=list(spec.columns)).drop_duplicates(list(spec.key) or None)
    made["bureau"]["CREDIT_TYPE"] = made["bureau"]["CREDIT_TYPE"].mask(rng.random(ROWS) < 0.3, "Credit card")
    part_paid(made["installments_payments"], rng)
    return made


def draw(column: Column, rows: int, rng: np.random.Generator) -> pd.Series:
    """Values that a column may hold: mostly ordinary ones, zeros, bounds, gaps, and what will be set missing."""
    strange: list[Any] = list(column.sentinels)
    if column.type == "category":
        levels = column.levels or ("one", "two")
        often = np.array([len(levels), *np.ones(len(levels) - 1)])
        values = pd.Series(rng.choice(levels, rows, p=often / often.sum()), dtype=object)
        strange += ["never heard of"] if column.levels and column.on_level == "null" else []
    elif column.type == "flag":
        values = pd.Series(rng.integers(0, 2, rows).astype(float))
    else:
        low = -900 if column.minimum is None else column.minimum
        high = 900 if column.maximum is None else column.maximum
        first = max(low, min(-900, high - 900))
        values = pd.Series(rng.uniform(first, min(high, first + 1800), rows))
        whole = column.type == "integer" or column.unit in ("days", "months", "count")
        values = values if column.unit == "share" else values.round(0 if whole else 3)
        for value in (0.0, low, high):
            values[rng.random(rows) < 0.08] = min(max(value, low), high)
        if column.on_range == "null":
            strange += [low - 1, high + 1]
    if column.missing:
        values[rng.random(rows) < 0.15] = None
        for value in strange:
            values[rng.random(rows) < 0.06] = value
    return values


def part_paid(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    """Let payments lie around what was due, in days and in amounts."""
    days = rng.choice([-40, -1, 0, 1, 7, 8, 50], len(rows))
    rows["DAYS_ENTRY_PAYMENT"] = (rows["DAYS_INSTALMENT"] + days).clip(upper=0).mask(rng.random(len(rows)) < 0.1)
    short = rng.choice([-5, 0, 0.5, 1, 1.25, 400], len(rows))
    paid = (rows["AMT_INSTALMENT"] - short).clip(0, 1e9).fillna(rows["AMT_PAYMENT"])
    rows["AMT_PAYMENT"] = paid.mask(rng.random(len(rows)) < 0.1)


# Both opinions


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The drawn tables as Kaggle calls their files."""
    place = tmp_path_factory.mktemp("drawn")
    for name, frame in drawn(np.random.default_rng(5)).items():
        frame.to_parquet(place / f"{BOOK.tables[name].files[0]}.parquet", index=False)
    return place


@cache
def features_of(folder: Path) -> pd.DataFrame:
    """The project's own."""
    opened = tables.open_tables(BOOK, folder, names=tables.present(BOOK, folder))
    typed = contract.check(BOOK, opened).tables
    return express(BOOK, typed, history()).to_pandas().set_index(BOOK.key).sort_index()


@pytest.fixture(scope="module", params=["drawn", "synthetic"])
def opinions(request, folder, tmp_path_factory) -> tuple[pd.DataFrame, pd.DataFrame]:
    if request.param == "synthetic":
        folder = tmp_path_factory.mktemp("synthetic")
        synthetic.write(folder, 800, 3)
    return features_of(folder), PEER(folder).sort_index()


def test_every_feature_has_a_second_opinion(opinions):
    """A number that nobody else has computed is a number that nobody has checked."""
    _ours, theirs = opinions
    assert set(theirs) == {feature.name for feature in history()}
    assert not theirs.columns.has_duplicates


@pytest.mark.parametrize("name", [feature.name for feature in history()])
def test_features_against_pandas(opinions, name):
    """The same to nine digits, and missing in the same places."""
    ours, theirs = opinions
    np.testing.assert_array_equal(ours.index, theirs.index)
    np.testing.assert_allclose(ours[name], theirs[name].astype(float), rtol=1e-9, atol=ROUNDED.get(name, 1e-12))


def test_the_drawn_rows_try_every_feature(folder):
    """Equal constants or equal gaps would say nothing; only a count tells something of who has no rows."""
    ours = features_of(folder)
    for feature in history():
        values = ours[feature.name]
        assert values.min() < values.max(), feature.name
        assert values.isna().any() != (feature.aggregate is not None and feature.aggregate.how == "count"), feature.name


@pytest.mark.parametrize("gone", HISTORY)
def test_a_table_that_is_not_there_takes_its_features_along(folder, gone):
    """Both say the same things without it; months belong to nobody without the credits they are of."""
    kept = [name for name in HISTORY if gone not in (name, HISTORY[name].parent)]
    assert set(PEER(folder, kept)) == {feature.name for feature in history([BOOK.main, *kept])}
