"""What a shift costs: against closed forms of a linear model, against the rows before the shift, and by laws."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import sales
from moving import baseline, decider, window
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from credit.errors import DataError
from credit.evaluation.decisions import NOBODY, expected_cost
from credit.monitoring import effect
from credit.monitoring.effect import cost_of_drift
from credit.portfolio import Costs
from credit.scoring.encoding import Input
from credit.scoring.scorer import Scorer
from credit.training.calibration import Calibration


@pytest.fixture(scope="module")
def model():
    return decider()


@pytest.fixture(scope="module")
def known(model):
    return baseline(model.scorer, sales(3000, 7))


def cost(scorer: Scorer, rows: pd.DataFrame) -> float:
    decided = scorer.decide(rows)
    return expected_cost(decided["probability_of_default"], decided["decision"], scorer.costs)


def single(model, known, rows: pd.DataFrame, name: str, **options) -> SimpleNamespace:
    found = cost_of_drift(model, known, window(model.scorer, rows), [name], **options)
    return SimpleNamespace(**found.iloc[0])


# Closed forms

SLOPE, OTHER, MIDDLE, BLANK = 0.9, 0.5, -2.2, " "
#: One tree whose two leaves hold the same linear function of both columns.
LINEAR = f"""tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=regression
feature_names=x z
feature_infos=[-9:9] [-9:9]

Tree=0
num_leaves=2
num_cat=0
split_feature=0
split_gain=1
threshold=0
decision_type=2
left_child=-1
right_child=-2
leaf_value={MIDDLE} {MIDDLE}
leaf_weight=1 1
leaf_count=1 1
internal_value=0
internal_weight=2
internal_count=2
is_linear=1
leaf_const={MIDDLE} {MIDDLE}
num_features=2 2
leaf_features=0 1  0 1{BLANK}
leaf_coeff={SLOPE} {OTHER}  {SLOPE} {OTHER}{BLANK}
shrinkage=1


end of trees
"""


def linear(threshold: float, costs: Costs) -> SimpleNamespace:
    """A model that says expit(MIDDLE + SLOPE x + OTHER z)."""
    scorer = Scorer((Input("x", "1"), Input("z", "2")), LINEAR, Calibration(), threshold, costs, {})
    rows = pd.DataFrame(np.random.default_rng(1).normal(0, 2, (50, 2)), columns=["x", "z"])
    assert scorer.predict(rows) == pytest.approx(expit(MIDDLE + rows.to_numpy() @ [SLOPE, OTHER]))
    return SimpleNamespace(scorer=scorer)


def integrated(mean: float, deviation: float, threshold: float, costs: Costs) -> float:
    """The expected cost where MIDDLE + SLOPE x + OTHER z is normal, x and z being independent."""
    centre, spread = MIDDLE + SLOPE * mean, np.hypot(SLOPE * deviation, OTHER)

    def paid(raw: float) -> float:
        p = expit(raw)
        each = costs.false_negative * p if p < threshold else costs.false_positive * (1 - p)
        return min(each, np.inf if costs.review is None else costs.review) * norm.pdf(raw, centre, spread)

    cut = float(np.log(threshold / (1 - threshold))) if threshold < 1 else centre
    points = [centre - 10 * spread, min(max(cut, centre - 9 * spread), centre + 9 * spread), centre + 10 * spread]
    return sum(quad(paid, low, high, limit=200)[0] for low, high in pairwise(points))


@pytest.mark.parametrize(
    ("threshold", "costs"), [(NOBODY, Costs()), (1 / 11, Costs()), (0.2, Costs(4.0, 1.0)), (1 / 11, Costs(review=0.6))]
)
@pytest.mark.parametrize(("mean", "deviation"), [(0.5, 1.0), (0.0, 1.5), (-0.4, 0.8), (0.0, 1.0)])
def test_a_linear_model_has_a_closed_form(threshold, costs, mean, deviation):
    """x was standard normal and has another mean or spread; the integral of the cost tells what that does."""
    rng, made = np.random.default_rng(2), linear(threshold, costs)
    before = pd.DataFrame(rng.normal(size=(9000, 2)), columns=["x", "z"])
    now = pd.DataFrame(rng.normal([mean, 0], [deviation, 1], size=(9000, 2)), columns=["x", "z"])
    found = single(made, baseline(made.scorer, before), now, "x")
    truth = integrated(mean, deviation, threshold, costs) - integrated(0, 1, threshold, costs)
    assert found.low < found.cost < found.high
    assert abs(found.cost - truth) < 2 * (found.high - found.low)
    assert found.high - found.low < 0.1
    if abs(truth) > 0.1:
        assert np.sign(found.low) == np.sign(found.high) == np.sign(truth)


@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_the_interval_holds_the_truth_as_often_as_it_says(mean):
    """Chance in the window and in the baseline: fresh draws of both, 95% of intervals around the integral."""
    rng, made = np.random.default_rng(3), linear(1 / 11, Costs())
    truth = integrated(mean, 1, 1 / 11, Costs()) - integrated(0, 1, 1 / 11, Costs())
    held = 0
    for seed in range(80):
        before = pd.DataFrame(rng.normal(size=(800, 2)), columns=["x", "z"])
        now = pd.DataFrame(rng.normal([mean, 0], 1, size=(600, 2)), columns=["x", "z"])
        found = single(made, baseline(made.scorer, before), now, "x", seed=seed)
        held += found.low <= truth <= found.high
    assert held >= 69  # 76 are expected; fewer than 69 in 1 of 1,000 such tests


# Against the rows before they were shifted


@pytest.mark.parametrize(
    ("name", "shifted"),
    [
        ("amount", lambda rows: rows["amount"] * 1.6),
        ("amount", lambda rows: 100 + rows["amount"] ** 0.8),
        ("score", lambda rows: rows["score"].where(np.arange(len(rows)) % 2 == 0)),
        ("score", lambda rows: rows["score"] * np.nan),
        ("score", lambda rows: rows["score"].fillna(0.5)),
        ("kind", lambda rows: rows["kind"].where(np.arange(len(rows)) % 3 == 0, "loan")),
        ("kind", lambda rows: pd.Series("loan", index=rows.index)),
        ("kind", lambda rows: rows["kind"].where(np.arange(len(rows)) % 2 == 0)),
        ("kind", lambda rows: rows["kind"].where(np.arange(len(rows)) % 2 == 0, "barter")),
    ],
)
def test_the_cost_is_what_the_shift_has_added(model, known, name, shifted):
    """No feature of these rows depends on another: undone, the shift leaves the costs of the rows as drawn."""
    rows = sales(4000, 8)
    now = rows.assign(**{name: shifted(rows)})
    found = single(model, known, now, name)
    assert found.cost == pytest.approx(cost(model.scorer, now) - cost(model.scorer, rows), abs=0.025)
    assert found.low - 0.01 < cost(model.scorer, now) - cost(model.scorer, rows) < found.high + 0.01


def test_a_shift_that_the_model_does_not_read_costs_nothing(model, known):
    rows = sales(1000, 8)
    found = cost_of_drift(
        model, known, window(model.scorer, rows.assign(amount=rows["amount"] * 2)), ["town", "amount"]
    )
    assert found["feature"].tolist() == ["town", "amount"]
    assert abs(found["cost"][0]) < 0.01 < abs(found["cost"][1])


def test_without_a_shift_the_interval_holds_nought(model, known):
    names = list(model.scorer.contract)
    held = 0
    for seed in range(8):
        found = cost_of_drift(model, known, window(model.scorer, sales(500, 200 + seed)), names, seed=seed)
        held += int(((found["low"] <= 0) & (found["high"] >= 0)).sum())
    assert held >= 0.85 * 8 * len(names)


def test_the_baseline_itself_has_not_shifted(model, known):
    """Each value is its own quantile: exactly nothing changes, whatever the ties, levels and missing values."""
    names = list(model.scorer.contract)
    found = cost_of_drift(model, known, window(model.scorer, known.sample), names)
    assert found["cost"].tolist() == [0.0] * len(names)


def test_a_long_window_is_sampled(model, known):
    rows = sales(3000, 8)
    seen = window(model.scorer, rows.assign(amount=rows["amount"] * 1.6))
    whole, part = (cost_of_drift(model, known, seen, ["amount"], rows=size).iloc[0] for size in (3000, 600))
    assert part["low"] < whole["cost"] < part["high"]
    assert part["high"] - part["low"] > whole["high"] - whole["low"]


def test_the_seed_is_all_the_chance_there_is(model, known):
    seen = window(model.scorer, sales(400, 8))
    one, two, three = (cost_of_drift(model, known, seen, ["score", "kind"], seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(three)
    assert list(cost_of_drift(model, known, seen, [])) == ["feature", "cost", "low", "high"]


# Laws of the two maps

NUMBERS = st.lists(st.one_of(st.none(), st.integers(0, 3), st.floats(-5, 5)), min_size=1, max_size=60)
CODES = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(NUMBERS, NUMBERS, st.integers(0, 9))
def test_numbers_get_the_other_distribution(now, before, seed):
    """Known values are the baseline's, as many are missing as were, and who was ahead of whom still is."""
    here, there = np.array(now, dtype=float), np.array(before, dtype=float)
    made = effect._ranked(here, there, np.random.default_rng(seed))
    assert np.isin(made[~np.isnan(made)], there).all()
    assert abs(np.isnan(made).sum() - len(now) * np.isnan(there).mean()) <= 0.5
    both = np.flatnonzero(~np.isnan(here) & ~np.isnan(made))
    order = both[np.lexsort((made[both], here[both]))]
    assert (np.diff(made[order]) >= 0).all()
    again = effect._ranked(there, there, np.random.default_rng(seed))
    assert np.array_equal(again, there, equal_nan=True)


@given(CODES, CODES, st.integers(0, 9))
def test_levels_get_the_other_shares_by_the_fewest_moves(now, before, seed):
    here, there = np.array(now), np.array(before)
    made = effect._redrawn(here, there, np.random.default_rng(seed))
    held, got = (np.bincount(side, minlength=6) for side in (here, made))
    wanted = np.bincount(there, minlength=6) * (len(here) / len(there))
    assert (np.abs(got - wanted) < 1).all()
    assert (made != here).sum() == np.maximum(held - got, 0).sum()


# Bad input


@pytest.mark.parametrize(
    ("rows", "name", "message"),
    [
        (49, "amount", "49 applicants against 3000 of the baseline, at least 50 each are needed"),
        (100, "salary", "'salary' is no feature of the model; it has 6"),
    ],
)
def test_wrong_use_is_named(model, known, rows, name, message):
    with pytest.raises(DataError, match=message):
        single(model, known, sales(rows, 8), name)


def test_a_small_baseline_is_told(model):
    with pytest.raises(DataError, match="100 applicants against 40 of the baseline"):
        single(model, baseline(model.scorer, sales(40, 7)), sales(100, 8), "amount")
