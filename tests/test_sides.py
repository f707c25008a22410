"""Baseline and window side by side: what cannot be compared is named, and nothing that is written can run."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import shop
from watching_util import baseline, window

from credit.monitoring.sides import MISSING, compare, sampled, tame
from credit.scoring.baseline import SCORE

INPUTS = ("amount", "score", "kind", "town")


def sides(now=None, before=None, rows=10_000):
    return compare(baseline(before), window(now), INPUTS, shop(), rows=rows, seed=0)


def test_columns_keep_their_order_and_get_peoples_words():
    found = sides()
    assert found.kinds == {
        "amount": "number",
        "score": "number",
        "kind": "category",
        "town": "category",
        SCORE: "score",
    }
    assert found.words["amount"] == "Amount (amount)"
    assert found.left_out == {}
    assert found.of("category") == ["kind", "town"]


@pytest.mark.parametrize(
    ("now", "before", "name", "why"),
    [
        ({"amount": np.nan}, {}, "amount", "no value in the window"),
        ({}, {"amount": np.nan}, "amount", "no value in the baseline"),
        ({"kind": None}, {"kind": None}, "kind", "no value in the baseline and the window"),
        ({"score": 1.0}, {"score": 1.0}, "score", "the same value throughout"),
        ({"kind": "cash"}, {"kind": "cash"}, "kind", "the same value throughout"),
        ({"amount": np.inf}, {}, "amount", "infinite values"),
        ({"probability": 0.5}, {SCORE: 0.5}, SCORE, "the same value throughout"),
    ],
)
def test_what_cannot_be_compared_is_left_out_and_named(now, before, name, why):
    found = sides(now, before)
    assert found.left_out == {name: why}
    assert name not in found.kinds


def test_a_column_that_is_constant_on_one_side_is_compared():
    """That it varied before, and does no more, is what the report is for."""
    assert sides({"amount": 3.0, "kind": "cash"}).left_out == {}


def test_missing_levels_are_a_level_and_missing_numbers_stay_missing():
    found = sides({"kind": pd.Series(["cash", None] * 150, dtype="str"), "amount": pd.Series([1.0, None] * 150)})
    assert found.now["kind"].value_counts().to_dict() == {"cash": 150, MISSING: 150}
    assert found.now["amount"].isna().sum() == 150


@pytest.mark.parametrize("kind", ["str", "object", "category"])
def test_levels_of_any_type_become_text(kind):
    found = sides({"kind": pd.Series(["cash", "loan", None] * 100).astype(kind)})
    assert set(found.now["kind"]) == {"cash", "loan", MISSING}


@given(st.text())
def test_no_text_can_end_the_script_it_is_written_into(text):
    assert "<" not in tame(f"{text}</script><!--{text}")


def test_samples_are_seeded_rows_in_their_order():
    frame = pd.DataFrame({"at": range(1000)})
    one, two = (sampled(frame, 100, seed) for seed in (1, 2))
    assert one.equals(sampled(frame, 100, 1))
    assert not one.equals(two)
    assert one["at"].is_monotonic_increasing
    assert one["at"].is_unique
    assert list(one.index) == list(range(100))
    assert sampled(frame, 5000, 0).equals(frame)
    assert len(sides(rows=40).now) == 40
