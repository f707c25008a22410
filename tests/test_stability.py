"""Bins that any population can be counted in, and the index of their counts: against loops, and the closed form."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit.errors import DataError
from credit.evaluation.stability import Bins, index, population_stability_index

NUMBERS = st.lists(st.one_of(st.none(), st.integers(-3, 3).map(float), st.floats(-9, 9)), min_size=1, max_size=60)
WORDS = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c", "é", ""])), min_size=1, max_size=40)


def brute(before: list[object], after: list[object]) -> float:
    """The index by counting, one bin after the other."""
    total = 0.0
    for cell in {*before, *after}:
        e, a = (max(side.count(cell), 0.5) / len(side) for side in (before, after))
        total += (a - e) * math.log(a / e)
    return total


@given(NUMBERS, NUMBERS)
def test_numbers_lie_between_the_edges_of_their_bin(values, others):
    """By definition, value by value, with missing ones in the last bin but one and none in the last."""
    made = Bins.fit(np.array(values, dtype=float))
    edges = [-math.inf, *made.edges, math.inf]
    for value, code in zip(others, made.codes(np.array(others, dtype=float)), strict=True):
        if value is None:
            assert code == made.size - 2
        else:
            assert edges[code] <= value < edges[code + 1]
    assert made.size == len(edges) - 1 + 2


@given(NUMBERS)
def test_a_value_that_fills_two_deciles_has_a_bin_of_its_own(values):
    known = [value for value in values if value is not None]
    made = Bins.fit(np.array(values, dtype=float))
    deciles = list(np.quantile(known, np.arange(1, 10) / 10)) if known else []
    for value in set(known):
        if deciles.count(value) > 1:
            same = made.codes(np.array(known)) == made.codes([value])[0]
            assert set(np.array(known)[same]) == {value}


@given(WORDS, WORDS)
def test_levels_missing_and_unseen(before, after):
    made = Bins.fit(pd.Series(before, dtype=object))
    levels = sorted({each for each in before if each is not None})
    assert list(made.levels) == levels
    expected = [
        len(levels) if each is None else levels.index(each) if each in levels else len(levels) + 1 for each in after
    ]
    assert made.codes(pd.Series(after, dtype=object)).tolist() == expected
    assert made.size == len(levels) + 2


@given(st.one_of(st.tuples(NUMBERS, NUMBERS), st.tuples(WORDS, WORDS)))
def test_the_index_against_counting(pair):
    """The bins' codes counted in a loop give the index; where no level is new so does the function of two samples."""
    dtype = float if isinstance(next((v for v in pair[0] + pair[1] if v is not None), 0.0), float) else object
    before, after = (pd.Series(side, dtype=dtype) for side in pair)
    made = Bins.fit(before)
    codes = [made.codes(side).tolist() for side in (before, after)]
    found = index(made.counts(before), made.counts(after))
    assert found == pytest.approx(brute(*codes), abs=1e-12)
    if codes[1].count(made.size - 1) == 0:
        assert population_stability_index(before, after) == pytest.approx(found, abs=1e-12)


def test_every_new_level_counts_by_itself_between_two_samples():
    """Bins that were made before know one bin for all new levels; two samples at hand can tell them apart."""
    before, after = ["a"] * 10, ["a"] * 8 + ["x", "y"]
    assert population_stability_index(before, after) == pytest.approx(brute(before, after))
    made = Bins.fit(before)
    together = brute(before, ["a"] * 8 + ["new"] * 2)
    assert index(made.counts(before), made.counts(after)) == pytest.approx(together)


def test_many_windows_at_once():
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 9, (4, 1, 6)), rng.integers(1, 9, (5, 6))
    found = index(before, after)
    assert found.shape == (4, 5)
    for row in range(4):
        for column in range(5):
            assert found[row, column] == pytest.approx(index(before[row, 0], after[column]))


def test_a_bin_that_nobody_is_in_does_not_count():
    """Half a row on both sides of very different size would count as a shift."""
    assert index([50, 50, 0, 0], [5, 5, 0, 0]) == 0
    assert index([50, 50, 0], [4, 5, 1]) == pytest.approx(brute(["a"] * 50 + ["b"] * 50, list("aaaabbbbbc")))


@pytest.mark.parametrize(
    ("values", "same"),
    [
        (pd.Series(["a", None, "b"]), pd.Categorical(["a", None, "b"])),
        (pd.Series(["a", None, "b"]), np.array(["a", np.nan, "b"], dtype=object)),
        (pd.Series([1.0, np.nan, 2.0]), pd.array([1, pd.NA, 2], dtype="Int64")),
        (pd.Series([1.0, 0.0, 1.0]), pd.Series([True, False, True])),
    ],
)
def test_the_same_values_in_other_types_have_the_same_codes(values, same):
    """Frames from files, databases and forms write text, numbers and "missing" in their own ways."""
    made = Bins.fit(values)
    assert made == Bins.fit(same)
    assert made.codes(same).tolist() == made.codes(values).tolist()
    assert made.codes(same).dtype == np.int64


@pytest.mark.parametrize(
    "values", [[np.nan, np.nan], pd.Series([None, None], dtype=object), pd.Series([], dtype=float)]
)
def test_a_variable_that_is_never_known_has_bins_too(values):
    made = Bins.fit(values)
    assert (made.codes(values) == made.size - 2).all()
    assert index(np.eye(made.size)[-2], np.eye(made.size)[-2]) == 0


@pytest.mark.parametrize("values", [[0.1, 0.1, np.nan, 7.3], [3.0] * 5, [np.nan], ["b", "é", None], [None]])
def test_it_survives_json(values):
    """Edges bit for bit, the ones that are a hair above a value too."""
    made = Bins.fit(pd.Series(values))
    assert Bins.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (Bins, ValueError, "either edges or levels"),
        (lambda: Bins(edges=(1.0,), levels=("a",)), ValueError, "either edges or levels"),
        (lambda: Bins(edges=(2.0, 1.0)), ValueError, "must ascend"),
        (lambda: Bins(levels=("a", "a")), ValueError, "no level may occur twice"),
        (lambda: Bins.fit([1.0], bins=0), ValueError, "bins: must be a whole number"),
        (lambda: Bins.fit([1.0]).codes(["a lot"]), DataError, "not a number where numbers were .*a lot"),
        (lambda: index([0, 0], [1, 2]), DataError, "no rows"),
        (lambda: index([1, 2], [[1, 2], [0, 0]]), DataError, "no rows"),
    ],
)
def test_wrong_use_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
