"""Planted drift changes what it says and nothing else, and never the rows it is given."""

import numpy as np
import pandas as pd
import pytest

from credit.data.synthetic import generate
from credit.data.synthetic_drift import DRIFTS, INFLATION, KIND, ODDS, chosen, planted
from credit.errors import ConfigError

BOOK = generate(3000, 11)
ROWS, RISK = BOOK.application, BOOK.probability
CHANGED = {"income": {"AMT_INCOME_TOTAL"}, "score": {"EXT_SOURCE_2"}, "risk": set()}


def drifted(*names: str, seed: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    return planted(ROWS, RISK, chosen(names), np.random.SeedSequence(seed))


@pytest.mark.parametrize("name", DRIFTS)
def test_what_is_given_is_left_alone(name: str) -> None:
    rows, risk = ROWS.copy(), RISK.copy()
    drifted(name)
    pd.testing.assert_frame_equal(ROWS, rows)
    np.testing.assert_array_equal(RISK, risk)


@pytest.mark.parametrize("name", DRIFTS)
def test_the_same_seed_makes_the_same_rows(name: str) -> None:
    first, second = drifted(name), drifted(name)
    pd.testing.assert_frame_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("name", CHANGED)
def test_only_the_named_column_changes(name: str) -> None:
    rows, _ = drifted(name)
    assert {column for column in ROWS if not rows[column].equals(ROWS[column])} == CHANGED[name]


def test_income_rises_and_the_risk_does_not() -> None:
    rows, risk = drifted("income")
    np.testing.assert_allclose(rows["AMT_INCOME_TOTAL"], ROWS["AMT_INCOME_TOTAL"] * INFLATION)
    np.testing.assert_array_equal(risk, RISK)


def test_half_of_the_scores_go_missing_and_none_changes() -> None:
    rows, risk = drifted("score")
    there = rows["EXT_SOURCE_2"].notna()
    gone = ROWS["EXT_SOURCE_2"].notna() & ~there
    assert abs(gone.sum() / ROWS["EXT_SOURCE_2"].notna().sum() - 0.5) < 4 * 0.5 / np.sqrt(len(ROWS))
    np.testing.assert_array_equal(rows["EXT_SOURCE_2"][there], ROWS["EXT_SOURCE_2"][there])
    np.testing.assert_array_equal(risk, RISK)


def test_the_young_come_first_whole_and_with_their_own_risk() -> None:
    rows, risk = drifted("younger")
    age = rows["DAYS_BIRTH"] / -365.25
    assert age[:1000].mean() < age.mean() - 5
    back = rows.assign(risk=risk).sort_values("SK_ID_CURR", ignore_index=True)
    np.testing.assert_array_equal(back.pop("risk"), RISK)
    pd.testing.assert_frame_equal(back, ROWS)


def test_the_odds_of_one_kind_rise() -> None:
    _, risk = drifted("risk")
    kind = (ROWS["NAME_INCOME_TYPE"] == KIND).to_numpy()
    assert 0.1 < kind.mean() < 0.5
    np.testing.assert_array_equal(risk[~kind], RISK[~kind])
    np.testing.assert_allclose((risk / (1 - risk))[kind], ODDS * (RISK / (1 - RISK))[kind])


def test_drifts_add_up() -> None:
    rows, risk = drifted("score", "risk")
    assert rows["EXT_SOURCE_2"].isna().sum() > ROWS["EXT_SOURCE_2"].isna().sum()
    np.testing.assert_array_equal(risk, drifted("risk")[1])


def test_no_drift_is_no_change() -> None:
    rows, risk = drifted()
    assert rows is ROWS
    assert risk is RISK


def test_an_unknown_drift_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match="drift 'wages': no such drift is known; name some of income, score"):
        chosen(["risk", "wages"])
