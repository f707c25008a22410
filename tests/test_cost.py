"""Costs, thresholds and their intervals, each against a brute-force loop or a closed form."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from credit.errors import DataError
from credit.evaluation import cost, intervals
from credit.evaluation.decisions import NOBODY
from credit.portfolio import Costs

COSTS = Costs(false_negative=10.0, false_positive=1.0)
REVIEW = replace(COSTS, review=0.5)

# A coarse grid of probabilities makes ties, 0 and 1 frequent.
grid = st.sampled_from([0.0, 0.05, 1 / 11, 0.1, 0.3, 0.30000000000000004, 0.5, 0.9, 1.0])
rows = st.lists(st.tuples(st.integers(0, 1), st.one_of(grid, st.floats(0, 1))), min_size=1, max_size=25)
mixed = rows.filter(lambda pairs: len({y for y, _ in pairs}) == 2)
prices = st.builds(Costs, st.sampled_from([1.0, 2.5, 10.0, 40.0]), st.sampled_from([0.3, 1.0, 3.0]))


def brute_cost(y_true, refused, costs):
    """The definition, one client at a time."""
    total = 0.0
    for y, no in zip(y_true, refused, strict=True):
        if y and not no:
            total += costs.false_negative
        if not y and no:
            total += costs.false_positive
    return total / len(y_true)


def brute_best(y_true, y_prob, costs):
    """Every cut tried: the middle between neighbours, 0 and just above 1 being the outermost ones."""
    scores = sorted(set(y_prob))
    found = []
    for below, above in itertools.pairwise([None, *scores, None]):
        low, high = 0.0 if below is None else below, NOBODY if above is None else above
        middle = (low + high) / 2
        if below is not None and middle <= below:
            middle = high
        loss = sum(
            (costs.false_negative if y else 0.0) if p < middle else (0.0 if y else costs.false_positive)
            for y, p in zip(y_true, y_prob, strict=True)
        )
        found.append((loss, abs(middle - costs.threshold), middle))
    least = min(loss for loss, _, _ in found)
    near = [entry[1:] for entry in found if math.isclose(entry[0], least, rel_tol=1e-11)]
    return min(near)[1]


def simulate(n, seed, slope=1.0):
    """Calibrated probabilities (for slope 1) and their outcomes."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-2.6, 1.0, n)
    truth = 1 / (1 + np.exp(-slope * logit))
    return (rng.random(n) < truth).astype(int), 1 / (1 + np.exp(-logit))


# Decisions


def test_a_missed_default_is_the_dear_one():
    """Swapping cost_fp and cost_fn is the classical mistake: one client of each kind settles it."""
    assert cost.losses([1], ["approve"], COSTS)[0] == 10
    assert cost.losses([0], ["decline"], COSTS)[0] == 1
    assert cost.losses([1, 0], ["decline", "approve"], COSTS).tolist() == [0, 0]
    assert cost.theoretical_threshold(COSTS) == pytest.approx(1 / 11)


@given(rows, prices)
def test_trivial_policies_have_a_closed_form(pairs, costs):
    """Approving all costs c_fn per default, refusing all c_fp per good client, whatever the scores."""
    y, p = zip(*pairs, strict=True)
    rate = sum(y) / len(y)
    assert cost.cost_at(y, p, NOBODY, costs) == pytest.approx(costs.false_negative * rate)
    assert cost.cost_at(y, p, 0.0, costs) == pytest.approx(costs.false_positive * (1 - rate))


@given(rows, prices, grid)
def test_cost_at_agrees_with_a_loop(pairs, costs, threshold):
    y, p = zip(*pairs, strict=True)
    assert cost.cost_at(y, p, threshold, costs) == pytest.approx(brute_cost(y, [v >= threshold for v in p], costs))


def test_cost_at_ignores_reviews():
    assert cost.cost_at([0, 1], [0.2, 0.08], 0.1, REVIEW) == cost.cost_at([0, 1], [0.2, 0.08], 0.1, COSTS)


def test_a_weight_of_k_stands_for_k_equal_rows():
    y, p = simulate(300, 1)
    weight = np.random.default_rng(1).integers(0, 4, 300)
    repeated = cost.cost_at(np.repeat(y, weight), np.repeat(p, weight), 0.1, COSTS)
    assert cost.cost_at(y, p, 0.1, COSTS, weight) == pytest.approx(repeated)


def test_refused_from_the_threshold_on_including_it():
    assert cost.decide([0.09, 0.1, 0.11], COSTS, 0.1).tolist() == ["approve", "decline", "decline"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.01, 2.0), prices)
def test_three_ways_take_the_least_expected_cost(probabilities, review, costs):
    """The rule of the cost matrix itself: no decision other than the one taken is cheaper in expectation."""
    costs = replace(costs, review=review)
    for p, word in zip(probabilities, cost.decide(probabilities, costs), strict=True):
        prices = {
            "approve": costs.false_negative * p,
            "decline": costs.false_positive * (1 - p),
            "review": review,
        }
        assert prices[word] <= min(prices.values()) + 1e-9


def test_review_surrounds_a_threshold_in_use():
    p = np.linspace(0, 1, 1001)
    words = cost.decide(p, REVIEW, 0.2)
    band = p[words == "review"]
    assert band.min() == pytest.approx(0.051)  # 10 p > 0.5
    assert band.max() == pytest.approx(0.499)  # 1 - p > 0.5
    assert set(words[p >= 0.2]) == {"review", "decline"}
    assert set(words[p < 0.2]) == {"approve", "review"}


def test_expected_cost_needs_no_outcome_and_is_the_mean_over_outcomes():
    """With calibrated p it is the expectation of the cost: summed here over all 2^n outcomes, weighted."""
    p = np.array([0.02, 0.08, 0.3, 0.9])
    words = cost.decide(p, REVIEW)
    exact = sum(
        np.prod(np.where(y, p, 1 - p)) * cost.losses(y, words, REVIEW).mean()
        for y in itertools.product([0, 1], repeat=4)
    )
    assert set(words) == {"approve", "review", "decline"}
    assert cost.expected_cost(p, words, REVIEW) == pytest.approx(exact)


def test_confusion_counts_every_client_once_and_sums_to_the_cost():
    y, p = simulate(500, 2)
    for costs, cells in ((COSTS, 4), (REVIEW, 6)):
        words = cost.decide(p, costs)
        table = cost.confusion(y, words, costs)
        assert len(table) == cells
        assert table["n"].sum() == 500
        assert table["cost"].sum() == pytest.approx(cost.losses(y, words, costs).sum())
        missed = table.query("outcome == 'defaulted' and decision == 'approve'").iloc[0]
        assert (missed["n"], missed["cost"]) == (np.sum((y == 1) & (words == "approve")), 10 * missed["n"])


# Thresholds


@given(rows, prices)
def test_cost_curve_holds_every_cut(pairs, costs):
    y, p = map(np.array, zip(*pairs, strict=True))
    curve = cost.cost_curve(y, p, costs)
    assert curve["threshold"].tolist() == [*sorted(set(p)), np.inf]
    for row in curve.itertuples():
        refused = p >= row.threshold
        assert row.cost == pytest.approx(brute_cost(y, refused, costs))
        assert (row.false_negatives, row.false_positives) == (np.sum(y & ~refused), np.sum((1 - y) & refused))
        assert row.approved == np.sum(~refused)
    assert curve["approved"].iloc[[0, -1]].tolist() == [0, len(y)]


@settings(max_examples=300)
@given(mixed, prices)
def test_best_threshold_is_the_best_of_all_cuts(pairs, costs):
    y, p = zip(*pairs, strict=True)
    found = cost.best_threshold(y, p, costs)
    assert found == brute_best(y, p, costs)
    assert cost.cost_at(y, p, found, costs) == pytest.approx(cost.cost_curve(y, p, costs)["cost"].min())


def test_best_threshold_is_the_middle_between_neighbours():
    assert cost.best_threshold([0, 0, 1, 1], [0.1, 0.2, 0.4, 0.6], COSTS) == pytest.approx(0.3)


def test_of_equally_cheap_cuts_the_one_nearest_to_theory():
    """Ten good clients at 0.05 cost as much refused as the default below them approved: a tie, by design."""
    y = [0, 1] + [0] * 10 + [1]
    p = [0.001, 0.04] + [0.08] * 10 + [0.5]
    assert cost.cost_at(y, p, 0.03, COSTS) == cost.cost_at(y, p, 0.2, COSTS)
    # Cuts at 0.0205 (0.07 from theory) and at 0.29 (0.2 from theory).
    assert cost.best_threshold(y, p, COSTS) == pytest.approx(0.0205)


def test_neighbours_in_floating_point_are_told_apart():
    low, high = 0.3, np.nextafter(0.3, 1)
    assert cost.best_threshold([0, 1], [low, high], COSTS) == high


def test_nobody_is_refused_where_that_is_cheapest_even_at_probability_one():
    y, p = [0] * 30 + [1], [1.0] * 30 + [0.5]
    threshold = cost.best_threshold(y, p, COSTS)
    assert (cost.decide(p, COSTS, threshold) == "approve").all()
    assert math.isfinite(threshold)


@given(mixed, prices, st.randoms())
def test_row_order_changes_nothing(pairs, costs, chance):
    shuffled = chance.sample(pairs, len(pairs))
    (y, p), (y2, p2) = zip(*pairs, strict=True), zip(*shuffled, strict=True)
    assert cost.best_threshold(y, p, costs) == cost.best_threshold(y2, p2, costs)
    one, other = cost.theory_gap(y, p, costs, repeats=20), cost.theory_gap(y2, p2, costs, repeats=20)
    assert repr(one) == repr(other)  # by text: NaN equals itself there


def test_calibrated_probabilities_have_theirs_near_theory():
    y, p = simulate(200_000, 3)
    assert cost.best_threshold(y, p, COSTS) == pytest.approx(1 / 11, abs=0.015)


def test_threshold_interval_is_the_bootstrap_of_best_threshold():
    """Against the plain loop: rows drawn, `best_threshold` called on them."""
    y, p = simulate(400, 4)
    p = p.round(2)
    found = cost.threshold_interval(y, p, COSTS, repeats=400, seed=5)
    order, rng, draws = np.lexsort((p, y)), np.random.default_rng(5), []
    for _ in range(400):
        drawn = order[rng.integers(400, size=400)]
        draws.append(cost.best_threshold(y[drawn], p[drawn], COSTS))
    assert found.estimate == cost.best_threshold(y, p, COSTS)
    assert [found.low, found.high] == np.quantile(draws, [0.025, 0.975]).tolist()


def test_theory_gap_does_not_flatter_the_empirical_threshold():
    """Calibrated probabilities: theory is best in truth, so a threshold fitted to few rows must lose.

    Judged on the rows that chose it, it would win every time: that is the optimism that the folds remove.
    """
    gaps, flattered = [], []
    for seed in range(400):
        y, p = simulate(200, 100 + seed)
        gaps.append(cost.theory_gap(y, p, COSTS, repeats=1).comparison.difference.estimate)
        best = cost.best_threshold(y, p, COSTS)
        flattered.append(cost.cost_at(y, p, best, COSTS) - cost.cost_at(y, p, 1 / 11, COSTS))
    assert max(flattered) <= 1e-12
    assert np.mean(gaps) > 2 * np.std(gaps) / math.sqrt(400)


def test_theory_gap_finds_where_theory_is_wrong():
    """Probabilities far too low on the log-odds scale: the empirical threshold must win, clearly."""
    y, p = simulate(4000, 6)
    gap = cost.theory_gap(y, p / 5, COSTS, repeats=400)
    assert gap.comparison.difference.high < 0
    assert gap.comparison.probability_cheaper > 0.99
    assert gap.empirical.high < gap.theoretical == pytest.approx(1 / 11)
    assert gap.to_dict()["comparison"]["difference"]["estimate"] == gap.comparison.difference.estimate


# Intervals


def coverage_bounds(simulations, level=0.95):
    """The counts that a true coverage of `level` leaves only once in ten thousand."""
    return binom.ppf([5e-5, 1 - 5e-5], simulations, level)


def test_bootstrap_intervals_cover_the_truth():
    """In 400 samples of 1,000 clients each, the interval of the cost must hold the true cost in about 95%."""
    y, p = simulate(400_000, 7)
    loss = cost.losses(y, p >= 1 / 11, COSTS)
    other = cost.losses(y, p >= 0.5, COSTS)
    held = held_gap = 0
    for k, (a, b) in enumerate(zip(loss.reshape(400, 1000), other.reshape(400, 1000), strict=True)):
        mean = cost.mean_interval(a, repeats=500, seed=k)
        held += mean.low <= loss.mean() <= mean.high
        gap = cost.compare(a, b, repeats=500, seed=k).difference
        held_gap += gap.low <= (loss - other).mean() <= gap.high
    low, high = coverage_bounds(400)
    assert low <= held <= high
    assert low <= held_gap <= high


def test_bootstrap_error_is_the_textbook_one():
    """For a mean, the bootstrap's standard error is the sample's over sqrt(n), which has a closed form."""
    y, p = simulate(5000, 8)
    draws = intervals.resampled_means(cost.losses(y, p >= 0.1, COSTS)[:, None], 20_000, 0)
    assert draws.std() == pytest.approx(cost.losses(y, p >= 0.1, COSTS).std() / math.sqrt(5000), rel=0.03)


def test_both_ways_to_resample_have_one_distribution(monkeypatch):
    """Counts over distinct rows are the same law as drawn rows: their quantiles must agree."""
    y, p = simulate(2000, 9)
    both = np.column_stack([cost.losses(y, p >= 0.1, COSTS), cost.losses(y, p >= 0.5, COSTS)])
    counted = intervals.resampled_means(both, 8000, 1)
    monkeypatch.setattr(intervals, "CELLS", 0)
    drawn = intervals.resampled_means(both, 8000, 1)
    np.testing.assert_allclose(counted.mean(axis=0), both.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose(np.cov(counted.T), np.cov(drawn.T), rtol=0.1)
    np.testing.assert_allclose(
        np.quantile(counted, [0.025, 0.975], axis=0), np.quantile(drawn, [0.025, 0.975], axis=0), rtol=0.01
    )


def test_compare_is_paired_and_antisymmetric():
    """Two rules that differ on few clients: the paired interval must be far narrower."""
    y, p = simulate(5000, 10)
    a, b = cost.losses(y, p >= 0.09, COSTS), cost.losses(y, p >= 0.1, COSTS)
    one, other = cost.compare(a, b), cost.compare(b, a)
    width = one.difference.high - one.difference.low
    unpaired = math.hypot(*(i.high - i.low for i in (cost.mean_interval(a), cost.mean_interval(b))))
    assert width < unpaired / 3
    assert one.difference.estimate == pytest.approx(a.mean() - b.mean())
    assert one.saving.estimate == pytest.approx(1 - a.mean() / b.mean())
    assert other.difference.estimate == pytest.approx(-one.difference.estimate)
    assert one.probability_cheaper == pytest.approx(1 - other.probability_cheaper, abs=0.04)


def test_equals_are_neither_cheaper():
    y, p = simulate(500, 11)
    loss = cost.losses(y, p >= 0.1, COSTS)
    same = cost.compare(loss, loss)
    assert (same.difference.low, same.difference.estimate, same.difference.high) == (0, 0, 0)
    assert same.probability_cheaper == 0.5


def test_a_share_of_nothing_is_not_a_saving():
    assert math.isnan(cost.compare([0.0, 1.0], [0.0, 0.0]).saving.estimate)


def test_intervals_depend_on_the_seed_alone():
    y, p = simulate(800, 12)
    loss = cost.losses(y, p >= 0.1, COSTS)
    shuffled = np.random.default_rng(0).permutation(loss)
    assert cost.mean_interval(loss, seed=3) == cost.mean_interval(shuffled, seed=3)
    assert cost.mean_interval(loss, seed=3) != cost.mean_interval(loss, seed=4)


def test_an_interval_reads_as_words_and_as_json():
    interval = intervals.Interval(0.5234, 0.51, 0.5372)
    assert f"{interval:.3f}" == "0.523 (0.510 to 0.537)"
    assert interval.to_dict() == {"estimate": 0.5234, "low": 0.51, "high": 0.5372, "level": 0.95}


def test_policies_set_the_model_against_the_trivial_ones():
    y, p = simulate(4000, 13)
    table = cost.policies(y, p, 0.1, COSTS, repeats=300).set_index("policy")
    assert list(table.index) == [
        "model",
        "theoretical threshold",
        "threshold 0.5",
        "approve all",
        "refuse all",
    ]
    assert table.loc["approve all", "cost"] == pytest.approx(10 * y.mean())
    assert table.loc["refuse all", "cost"] == pytest.approx(1 - y.mean())
    assert table["approval_rate"].loc[["approve all", "refuse all"]].tolist() == [1, 0]
    assert table.loc["model", "cost"] == pytest.approx(cost.cost_at(y, p, 0.1, COSTS))
    np.testing.assert_allclose(table["saving"], table["cost"] - table.loc["model", "cost"])
    np.testing.assert_allclose(table["saving_share"], table["saving"] / table["cost"])
    np.testing.assert_allclose(table["cost"], (10 * table["false_negatives"] + table["false_positives"]) / len(y))
    assert (table["saving_low"] <= table["saving"]).all()
    assert (table["saving"] <= table["saving_high"]).all()
    assert table.loc["refuse all", "saving_low"] > 0


def test_policies_with_a_review():
    y, p = simulate(2000, 14)
    table = cost.policies(y, p, 1 / 11, REVIEW, repeats=50).set_index("policy")
    assert table["review_rate"].drop("model").eq(0).all()
    assert table.loc["model", "review_rate"] == pytest.approx(np.mean((10 * p > 0.5) & (1 - p > 0.5)))
    assert table.loc["model without review", "cost"] == pytest.approx(cost.cost_at(y, p, 1 / 11, COSTS))


# Inputs


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cost.cost_at([0, 1], [0.1], 0.5, COSTS), ValueError, "y_prob: must have 2 rows"),
        (lambda: cost.cost_at([[0, 1]], [0.1], 0.5, COSTS), ValueError, "y_true: must have one dimension"),
        (lambda: cost.cost_at([0, 2], [0.1, 0.2], 0.5, COSTS), ValueError, "is 2 at position 1"),
        (
            lambda: cost.cost_at([0, np.nan], [0.1, 0.2], 0.5, COSTS),
            ValueError,
            "y_true: 1 values are missing",
        ),
        (lambda: cost.cost_at([0, 1], [0.1, 1.2], 0.5, COSTS), ValueError, r"\[0, 1\]; 1 values do not"),
        (lambda: cost.cost_at([0, 1], [0.1, None], 0.5, COSTS), ValueError, "y_prob: 1 values are missing"),
        (lambda: cost.cost_at([0, 1], ["a", "b"], 0.5, COSTS), ValueError, "y_prob: must be numbers"),
        (lambda: cost.cost_at([0, 1], [0.1, 0.2], np.nan, COSTS), ValueError, "threshold: must be a number"),
        (lambda: cost.cost_at([0, 1], [0.1, 0.2], -0.1, COSTS), ValueError, "threshold: must be a number"),
        (lambda: cost.cost_at([0, 1], [0.1, 0.2], 0.5, COSTS, [0, 0]), ValueError, "weight: must not be"),
        (lambda: cost.cost_at([0, 1], [0.1, 0.2], 0.5, COSTS, [-1, 2]), ValueError, "weight: must not be"),
        (lambda: cost.cost_at([], [], 0.5, COSTS), DataError, "y_true: has no rows"),
        (lambda: cost.best_threshold([0, 0], [0.1, 0.2], COSTS), DataError, "all 2 rows are 0"),
        (lambda: cost.threshold_interval([1, 1], [0.1, 0.2], COSTS), DataError, "all 2 rows are 1"),
        (lambda: cost.theory_gap([1], [0.1], COSTS), DataError, "all 1 rows are 1"),
        (
            lambda: cost.losses([0, 1], [0.1, 0.2], COSTS),
            ValueError,
            "decisions: must be booleans, is float64",
        ),
        (lambda: cost.losses([0, 1], [0, 1], COSTS), ValueError, "decisions: must be booleans, is int64"),
        (lambda: cost.losses([0, 1], ["approve", "refuse"], COSTS), ValueError, "found .*refuse"),
        (lambda: cost.losses([0, 1], ["approve"], COSTS), ValueError, "decisions: must have"),
        (lambda: cost.losses([0, 1], [True], COSTS), ValueError, "decisions: must have 2 rows"),
        (lambda: cost.losses([0, 1], ["review", "approve"], COSTS), ValueError, "costs.review is not set"),
        (lambda: cost.expected_cost([1.5], [True], COSTS), ValueError, "y_prob: must lie in"),
        (lambda: cost.compare([1.0], [1.0, 2.0]), ValueError, "losses_b: must have 1 rows"),
        (lambda: cost.mean_interval([np.inf]), ValueError, "losses: 1 values are missing or infinite"),
        (lambda: cost.mean_interval([1.0], repeats=0), ValueError, "repeats: must be a whole number"),
    ],
)
def test_wrong_inputs_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_pandas_columns_are_taken_by_position():
    y = pd.Series([0, 1, 1], index=[5, 6, 7], dtype="Int64")
    p = pd.Series([0.1, 0.02, 0.9], index=["a", "b", "c"], dtype="Float64")
    assert cost.cost_at(y, p, 0.05, COSTS) == pytest.approx(11 / 3)
    assert cost.losses(y, pd.Series(["approve", "approve", "decline"]), COSTS).tolist() == [0, 10, 0]
