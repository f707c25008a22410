"""Selection: what matters stays, noise and copies go, and no row outside train has a say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ibis import _
from learning import sales, shop

from credit.features import Feature, definitions
from credit.portfolio import Label
from credit.training.candidates import candidates, competing, read_by
from credit.training.selection import Selection, select

NOISE = 12


def extra(name: str) -> Feature:
    return Feature(name, _[name], Label(name, name), "money", "sale")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Sales in which amount, score and kind matter; a copy of the amount, nearly; and noise."""
    frame = sales(1500)
    rng = np.random.default_rng(5)
    frame["copy"] = frame["amount"] ** 3 + rng.normal(0, 1e-6, len(frame))
    for number in range(NOISE):
        frame[f"noise_{number}"] = rng.normal(size=len(frame))
    return frame


@pytest.fixture(scope="module")
def features() -> tuple[Feature, ...]:
    return (*definitions(shop()), extra("copy"), *(extra(f"noise_{number}") for number in range(NOISE)))


@pytest.fixture(scope="module")
def chosen(rows, features) -> Selection:
    return select(rows, shop(), features)


def test_what_matters_stays_and_a_copy_goes(chosen):
    assert {"score", "kind"} <= set(chosen.kept)
    assert len({"amount", "copy"} & set(chosen.kept)) == 1
    table = chosen.table.set_index("feature")
    loser = next(name for name in ("amount", "copy") if name not in chosen.kept)
    assert table.loc[loser, "represented_by"] in ("amount", "copy")
    assert set(table.index[table["kept"]]) == set(chosen.kept)


def test_much_noise_goes(chosen):
    assert sum(name.startswith("noise") for name in chosen.kept) <= NOISE / 2


def test_the_same_rows_and_seed_give_the_same(rows, features, chosen):
    again = select(rows, shop(), features, threads=2)
    assert again.kept == chosen.kept
    pd.testing.assert_frame_equal(again.table, chosen.table)


def test_the_limit_holds(rows, features):
    few = select(rows, shop(), features, limit=2)
    assert len(few.kept) == 2
    assert few.table.loc[few.table["kept"], "gain"].min() == pytest.approx(few.table["gain"].nlargest(2).min(), rel=1)


def test_what_matters_is_ranked_above_noise(chosen):
    """The limit cuts the ranking: what it keeps first must be what matters."""
    gain = chosen.table.set_index("feature")["gain"]
    noise = gain[gain.index.str.startswith("noise")].max()
    assert gain["score"] > noise
    assert gain[["amount", "copy"]].max() > noise


def test_a_column_without_values_or_with_one_is_never_kept(rows, features):
    empty = rows.assign(nothing=np.nan, always=1.0)
    kept = select(empty, shop(), (*features, extra("nothing"), extra("always"))).kept
    assert not {"nothing", "always"} & set(kept)


def test_candidates_read_what_they_are_for(features, chosen):
    book = shop()
    field = {each.name: each for each in candidates(book, ("application", "native", "selected"))}
    history = replace(extra("history"), table="loan")
    every = (*features, history)
    assert read_by(field["native"], every, book) == every
    assert read_by(field["application"], every, book) == features
    assert tuple(each.name for each in read_by(field["selected"], every, book, chosen)) == chosen.kept


def test_without_history_nobody_does_without_it():
    """The same model twice would be two looks at validation, and time."""
    book = shop()
    field = candidates(book, ("application", "native"))
    assert [each.name for each in competing(field, book, ["sale"])] == ["native"]
    assert competing(field, book, ["sale", "loan"]) == field
    alone = candidates(book, ("application", "prior"))
    assert competing(alone, book, ["sale"]) == alone
