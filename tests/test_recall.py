"""Decisions laid out as tables again: no two decisions share a key, and rows stay with their owners."""

from types import SimpleNamespace

import pytest

from credit.monitoring import recall
from credit.portfolio import load

BOOK = load("home_credit")
HISTORY = {
    "bureau": [{"SK_ID_BUREAU": 7, "DAYS_CREDIT": -5}, {"SK_ID_BUREAU": 8, "DAYS_CREDIT": -9}],
    "bureau_balance": [
        {"SK_ID_BUREAU": 7, "MONTHS_BALANCE": -1},
        {"SK_ID_BUREAU": 7, "MONTHS_BALANCE": -2},
        {"SK_ID_BUREAU": 8, "MONTHS_BALANCE": -1},
    ],
    "previous_application": [{"SK_ID_PREV": 3, "SK_ID_CURR": 99}],
    "pos_cash_balance": [{"SK_ID_PREV": 3, "MONTHS_BALANCE": -4}],
}


@pytest.fixture(scope="module")
def tables():
    """One person who applied twice without a number, with the same history."""
    made = [SimpleNamespace(id=number, application={"AMT_CREDIT": 1000.5}, history=HISTORY) for number in (12, 15)]
    return {name: table.to_pylist() for name, table in recall.raw(BOOK, made).items()}


def test_each_decision_is_an_application_of_its_own(tables):
    assert [row["SK_ID_CURR"] for row in tables["application"]] == ["12", "15"]
    assert [row["AMT_CREDIT"] for row in tables["application"]] == ["1000.5", "1000.5"]
    assert tables["installments_payments"] == []


@pytest.mark.parametrize(("name", "key"), [(name, BOOK.tables[name].key) for name in HISTORY])
def test_no_two_rows_share_a_key(tables, name, key):
    keys = [tuple(row[column] for column in key) for row in tables[name]]
    assert len(set(keys)) == len(keys) == 2 * len(HISTORY[name])


def test_rows_stay_with_their_owner(tables):
    """Months hang on their credit, credits on their application; what counts time is as it was."""
    owner = {row["SK_ID_BUREAU"]: row["SK_ID_CURR"] for row in tables["bureau"]}
    months = [(owner[row["SK_ID_BUREAU"]], row["MONTHS_BALANCE"]) for row in tables["bureau_balance"]]
    assert months == [(number, month) for number in ("12", "15") for month in ("-1", "-2", "-1")]
    earlier = {row["SK_ID_PREV"]: row["SK_ID_CURR"] for row in tables["previous_application"]}
    assert [earlier[row["SK_ID_PREV"]] for row in tables["pos_cash_balance"]] == ["12", "15"]
    assert {row["SK_ID_CURR"] for row in tables["pos_cash_balance"]} == {"12", "15"}
