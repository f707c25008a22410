"""Metrics against scikit-learn, scipy, published values, closed forms and loops; intervals by simulation."""

import math
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit
from scipy.stats import binom, ks_2samp
from sklearn import metrics as reference

from credit.errors import DataError
from credit.evaluation import metrics
from credit.evaluation.intervals import newcombe, ratio, wilson

# Multiples of 1/8 make ties frequent.
scores = st.one_of(st.integers(0, 8).map(lambda k: k / 8), st.floats(0, 1))
mixed = st.lists(st.tuples(st.integers(0, 1), scores), min_size=2, max_size=40).filter(
    lambda pairs: len({y for y, _ in pairs}) == 2
)


def simulate(n, seed, slope=1.0, shift=0.0):
    """Outcomes whose log-odds are shift + slope times those of the probabilities returned."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-2.4, 1.0, n)
    return (rng.random(n) < expit(shift + slope * z)).astype(int), expit(z)


def coverage_bounds(simulations, level=0.95):
    """The counts that a true coverage of `level` leaves only once in ten thousand."""
    return binom.ppf([5e-5, 1 - 5e-5], simulations, level)


# Ranking


@given(mixed)
def test_ranking_agrees_with_scikit_learn_and_scipy(pairs):
    y, p = map(np.array, zip(*pairs, strict=True))
    found = metrics.discrimination(y, p)
    assert found["auc"] == pytest.approx(reference.roc_auc_score(y, p))
    assert found["ks"] == pytest.approx(ks_2samp(p[y == 1], p[y == 0]).statistic)
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(y, p))


@given(mixed)
def test_auc_is_the_share_of_pairs_in_order(pairs):
    """The definition, pair by pair."""
    bad, good = ([p for y, p in pairs if y == kind] for kind in (1, 0))
    ordered = [(b > g) + (b == g) / 2 for b, g in product(bad, good)]
    assert metrics.auc(*zip(*pairs, strict=True)) == pytest.approx(np.mean(ordered))


@given(mixed, st.randoms())
def test_ranks_are_all_that_counts(pairs, chance):
    """AUC, KS and precision depend on the order of scores only, and not at all on the order of rows."""
    assume(all(abs(a - b) > 1e-6 for (_, a), (_, b) in product(pairs, pairs) if a != b))
    y, p = map(np.array, zip(*pairs, strict=True))
    y2, p2 = map(np.array, zip(*chance.sample(pairs, len(pairs)), strict=True))
    expected = metrics.discrimination(y, p)
    for scale in (lambda x: x / 2 + 0.1, np.sqrt, lambda x: x**2 / 3):
        assert metrics.discrimination(y2, scale(p2)) == pytest.approx(expected)
    assert metrics.auc(y, 1 - p) == pytest.approx(1 - expected["auc"])


def test_the_roc_table_is_scikit_learns():
    y, p = simulate(400, 1)
    p = p.round(2)
    table = metrics.roc_table(y, p)
    x, height, threshold = reference.roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(table["false_positive_rate"], x)
    np.testing.assert_allclose(table["true_positive_rate"], height)
    np.testing.assert_allclose(table["threshold"], threshold)
    assert np.trapezoid(height, x) == pytest.approx(metrics.auc(y, p))


def brute_delong(y, p):
    """DeLong's variance from the kernel matrix itself: psi = 1, 1/2 or 0 for each pair."""
    bad, good = p[y == 1][:, None], p[y == 0][None, :]
    psi = (bad > good) + (bad == good) / 2
    return psi.mean(), psi.mean(axis=1).var(ddof=1) / bad.size + psi.mean(axis=0).var(ddof=1) / good.size


@pytest.mark.parametrize("digits", [1, 2, 10])
def test_delong_agrees_with_the_kernel_matrix(digits):
    y, p = simulate(500, 2)
    area, variance = brute_delong(y, p.round(digits))
    found = metrics.auc_interval(y, p.round(digits))
    assert found.estimate == pytest.approx(area)
    assert found.high - found.low == pytest.approx(2 * 1.959963984540054 * math.sqrt(variance))


def test_delong_agrees_with_the_bootstrap():
    """Two ways to one interval: their ends must lie within a tenth of its width (and chance)."""
    y, p = simulate(1500, 3)
    exact, drawn = metrics.auc_interval(y, p), metrics.bootstrap(metrics.auc, y, p, 1000)
    width = exact.high - exact.low
    assert drawn.estimate == pytest.approx(exact.estimate)
    assert drawn.low == pytest.approx(exact.low, abs=width / 10)
    assert drawn.high == pytest.approx(exact.high, abs=width / 10)


def test_delong_covers_the_truth():
    y, p = simulate(400 * 700, 4)
    truth = metrics.auc(y, p)
    found = [metrics.auc_interval(*rows) for rows in zip(y.reshape(400, -1), p.reshape(400, -1), strict=True)]
    low, high = coverage_bounds(400)
    assert low <= sum(i.low <= truth <= i.high for i in found) <= high


def test_auc_gap_covers_zero_between_samples_of_one_population():
    y, p = simulate(400 * 900, 5)
    held = 0
    for ys, ps in zip(y.reshape(400, -1), p.reshape(400, -1), strict=True):
        gap = metrics.auc_gap(ys[:600], ps[:600], ys[600:], ps[600:])
        assert gap.estimate == pytest.approx(metrics.auc(ys[:600], ps[:600]) - metrics.auc(ys[600:], ps[600:]))
        held += gap.low <= 0 <= gap.high
    low, high = coverage_bounds(400)
    assert low <= held <= high


def test_auc_interval_stays_within_its_bounds():
    interval = metrics.auc_interval([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.4, 0.3, 0.8, 0.9])
    assert interval.high == 1
    assert metrics.auc_interval([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]).low == 1


# Probabilities


@given(mixed)
def test_losses_agree_with_scikit_learn(pairs):
    y, p = map(np.array, zip(*pairs, strict=True))
    assert metrics.brier(y, p) == pytest.approx(reference.brier_score_loss(y, p))
    assert metrics.log_loss(y, p) == pytest.approx(reference.log_loss(y, p))


def test_losses_need_one_class_only():
    assert metrics.brier([1, 1], [0.5, 1.0]) == 0.125
    assert metrics.log_loss([0], [0.5]) == pytest.approx(math.log(2))


def test_bootstrap_covers_the_truth():
    y, p = simulate(300 * 200, 6)
    truth = metrics.brier(y, p)
    held = 0
    for k, rows in enumerate(zip(y.reshape(300, -1), p.reshape(300, -1), strict=True)):
        found = metrics.bootstrap(lambda a, b: float(np.mean((a - b) ** 2)), *rows, repeats=200, seed=k)
        held += found.low <= truth <= found.high
    # Percentiles of 200 draws at 200 rows cover a little less than 95%: 93% is the level to hold.
    assert coverage_bounds(300, 0.93)[0] <= held <= coverage_bounds(300)[1]


def test_bootstrap_never_sees_one_class_only():
    """Of 30 rows two defaulted: one resample in eight would hold no default, where AUC does not exist."""
    y = np.array([1, 1] + [0] * 28)
    p = np.linspace(1, 0, 30)
    assert metrics.bootstrap(metrics.auc, y, p, repeats=200).low > 0.8


def test_bootstrap_depends_on_the_seed_and_not_on_row_order():
    y, p = simulate(200, 7)
    order = np.random.default_rng(0).permutation(200)
    one = metrics.bootstrap(metrics.brier, y, p, 50, seed=1)
    assert one == metrics.bootstrap(metrics.brier, y[order], p[order], 50, seed=1)
    assert one != metrics.bootstrap(metrics.brier, y, p, 50, seed=2)


# Calibration


def likelihood_oracle(y, p):
    """The same regressions by a general optimiser and by root finding."""
    z = logit(p)

    def loss(b):
        return np.sum(np.logaddexp(0, -(2 * y - 1) * (b[0] + b[1] * z)))

    found = minimize(loss, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    return found.x, brentq(lambda a: np.sum(y - expit(a + z)), -20, 20)


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.5, 0.3), (1.6, -0.8)])
def test_calibration_agrees_with_a_general_optimiser(slope, shift):
    y, p = simulate(3000, 8, slope, shift)
    (intercept, steepness), large = likelihood_oracle(y, p)
    found = metrics.calibration_slope_intercept(y, p)
    assert found.slope.estimate == pytest.approx(steepness, abs=1e-5)
    assert found.intercept.estimate == pytest.approx(intercept, abs=1e-5)
    assert found.in_the_large.estimate == pytest.approx(large, abs=1e-7)


def test_calibration_of_two_groups_has_a_closed_form():
    """Two distinct probabilities: the regression is saturated and passes through both observed log-odds.

    The variance of a log-odds is 1/defaults + 1/repaid; the slope is their difference over the distance.
    """
    p = np.repeat([0.1, 0.4], [400, 100])
    y = np.concatenate([np.repeat([1, 0], [60, 340]), np.repeat([1, 0], [35, 65])])
    found = metrics.calibration_slope_intercept(y, p)
    distance = logit(0.4) - logit(0.1)
    steepness = (logit(0.35) - logit(0.15)) / distance
    error = math.sqrt(1 / 60 + 1 / 340 + 1 / 35 + 1 / 65) / distance
    assert found.slope.estimate == pytest.approx(steepness)
    assert found.intercept.estimate == pytest.approx(logit(0.15) - steepness * logit(0.1))
    assert found.slope.high - found.slope.estimate == pytest.approx(1.959963984540054 * error)


def test_calibration_undoes_a_known_distortion():
    """If the outcome follows expit(a + b logit p), slope and intercept are b and a, within intervals."""
    held = np.zeros(2)
    for seed in range(200):
        found = metrics.calibration_slope_intercept(*simulate(1500, 1000 + seed, slope=0.7, shift=-0.4))
        held += [
            found.slope.low <= 0.7 <= found.slope.high,
            found.intercept.low <= -0.4 <= found.intercept.high,
        ]
    low, high = coverage_bounds(200)
    assert (low <= held).all()
    assert (held <= high).all()


def test_calibration_bears_probabilities_of_zero_and_one():
    y, p = simulate(2000, 9)
    p = np.where(p < 0.02, 0.0, p)
    p[0], y[0] = 1.0, 1
    found = metrics.calibration_slope_intercept(y, p)
    assert math.isfinite(found.slope.estimate)
    assert math.isfinite(found.in_the_large.high)


def test_calibration_table_puts_equal_counts_into_bins():
    y, p = simulate(5000, 10)
    table = metrics.calibration_table(y, p)
    assert table["bin"].tolist() == list(range(1, 11))
    assert table["n"].tolist() == [500] * 10
    order = np.argsort(p)
    np.testing.assert_allclose(table["mean_predicted"], p[order].reshape(10, 500).mean(axis=1))
    np.testing.assert_allclose(table["observed"], y[order].reshape(10, 500).mean(axis=1))
    low, high = wilson(table["observed"] * 500, table["n"])
    np.testing.assert_allclose(table[["low", "high"]].T, [low, high])


@given(mixed, st.integers(1, 12))
def test_calibration_table_keeps_every_row_and_equal_scores_together(pairs, bins):
    y, p = map(np.array, zip(*pairs, strict=True))
    table = metrics.calibration_table(y, p, bins)
    assert table["n"].sum() == len(y)
    assert (table["n"] * table["observed"]).sum() == pytest.approx(y.sum())
    assert (table["n"] * table["mean_predicted"]).sum() == pytest.approx(p.sum())
    assert len(table) <= min(bins, len(set(p)))
    assert table["mean_predicted"].is_monotonic_increasing


def test_expected_calibration_error_by_hand():
    """Two bins, observed 0 and 1, predicted 0.1 and 0.8: the error is (0.1 + 0.2) / 2."""
    assert metrics.expected_calibration_error([0, 0, 1, 1], [0.1, 0.1, 0.8, 0.8], bins=2) == pytest.approx(0.15)


def test_score_table_is_the_histogram_of_each_outcome():
    y, p = simulate(2000, 11)
    table = metrics.score_table(y, p, bins=20)
    assert table["high"].iloc[-1] == p.max()
    assert table["repaid"].sum() == pytest.approx(1)
    assert table["defaulted"].sum() == pytest.approx(1)
    third = (p >= table["low"][2]) & (p < table["high"][2])
    assert table["defaulted"][2] == pytest.approx(third[y == 1].mean())
    assert len(metrics.score_table([0, 1], [0.0, 0.0])) == 40


# Intervals of shares


@pytest.mark.parametrize(
    ("x", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_limits(x, n, low, high):
    assert np.round(wilson(x, n), 4).tolist() == [low, high]


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_limits_solve_their_equation(pair):
    """A limit is a p whose distance from x/n is exactly z standard errors of p."""
    x, n = pair
    for limit in wilson(x, n):
        assert 0 <= limit <= 1
        error = 1.959963984540054 * math.sqrt(limit * (1 - limit) / n)
        assert abs(x / n - limit) == pytest.approx(error, abs=1e-7)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_gives_the_published_limits(counts, low, high):
    found = newcombe(*counts)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_ratio_covers_the_truth():
    """Approval ratios as they occur: 0.6 of 150 clients against 0.7 of 400, and a rare event besides."""
    rng, (low, high) = np.random.default_rng(12), coverage_bounds(2000)
    for p1, n1, p2, n2 in ((0.6, 150, 0.7, 400), (0.3, 60, 0.9, 90)):
        drawn = rng.binomial([n1, n2], [p1, p2], size=(2000, 2))
        found = [ratio(x1, n1, x2, n2) for x1, x2 in drawn]
        assert low <= sum(i.low <= p1 / p2 <= i.high for i in found) <= high


def test_ratio_limits_are_where_the_difference_to_a_multiple_loses_its_sign():
    """MOVER's idea: t is a limit of p1/p2 where the interval of p1 - t p2 touches 0 (Donner & Zou 2012)."""
    (l1, u1), (l2, u2) = wilson(60, 100), wilson(150, 200)

    def low(t):
        return 0.6 - t * 0.75 - math.hypot(0.6 - l1, t * (u2 - 0.75))

    def high(t):
        return 0.6 - t * 0.75 + math.hypot(u1 - 0.6, t * (0.75 - l2))

    found = ratio(60, 100, 150, 200)
    assert found.estimate == pytest.approx(0.8)
    assert found.low == pytest.approx(brentq(low, 0.1, 2))
    assert found.high == pytest.approx(brentq(high, 0.1, 2))


def test_without_rows_nothing_is_known():
    assert [float(limit) for limit in wilson(0, 0)] == [0, 1]
    assert (newcombe(0, 0, 1, 2).low, newcombe(0, 0, 1, 2).high) == (-1, 1)
    assert (ratio(1, 2, 0, 5).low, ratio(1, 2, 0, 5).high) == (0, math.inf)
    assert ratio(0, 10, 5, 10).low == 0
    with pytest.raises(ValueError, match="between 0 and n"):
        wilson(3, 2)


# Stability


def test_psi_has_a_closed_form():
    """Two levels, shares 0.5/0.5 and 0.8/0.2: 0.3 ln 1.6 + (-0.3) ln 0.4."""
    expected = 0.3 * math.log(1.6) - 0.3 * math.log(0.4)
    before, after = ["a"] * 50 + ["b"] * 50, ["a"] * 80 + ["b"] * 20
    assert metrics.population_stability_index(before, after) == pytest.approx(expected)
    numbers = {"a": 1.0, "b": 2.0}
    assert metrics.population_stability_index(
        [numbers[v] for v in before], [numbers[v] for v in after]
    ) == pytest.approx(expected)


def test_psi_by_a_loop_over_deciles():
    rng = np.random.default_rng(13)
    before, after = rng.normal(size=5000), rng.normal(0.3, 1.2, size=3000)
    edges = [-np.inf, *np.quantile(before, np.arange(0.1, 1, 0.1)), np.inf]
    total = 0.0
    for low, high in pairwise(edges):
        e, a = (np.mean((side >= low) & (side < high)) for side in (before, after))
        total += (a - e) * math.log(a / e)
    assert metrics.population_stability_index(before, after) == pytest.approx(total)


def test_psi_sees_missing_values_as_a_bin():
    """Nothing but the share of missing values differs: dropping them first would report 0."""
    before = np.r_[np.arange(900.0), np.full(100, np.nan)]
    after = np.r_[np.arange(900.0), np.full(900, np.nan)]
    assert metrics.population_stability_index(before, after) > 0.7
    words = pd.Series(["a", None]).repeat([9, 1]), pd.Series(["a", None]).repeat([5, 5])
    expected = (0.5 - 0.9) * math.log(0.5 / 0.9) + (0.5 - 0.1) * math.log(0.5 / 0.1)
    assert metrics.population_stability_index(*words) == pytest.approx(expected)
    assert metrics.population_stability_index([np.nan] * 5, [np.nan] * 9) == 0


@pytest.mark.parametrize("spike", [0.0, 1.0])
def test_psi_sees_a_flag_move(spike):
    """97% of the rows share one value, so that every decile is that value: it must still be one bin."""
    before, after = np.full(1000, spike), np.full(1000, spike)
    before[:30], after[:300] = 1 - spike, 1 - spike
    expected = 0.27 * math.log(0.3 / 0.03) - 0.27 * math.log(0.7 / 0.97)
    assert metrics.population_stability_index(before, after) == pytest.approx(expected)


def test_psi_of_a_new_level_counts_half_a_row_before():
    found = metrics.population_stability_index(["a"] * 100, ["a"] * 90 + ["new"] * 10)
    assert found == pytest.approx((0.9 - 1) * math.log(0.9) + (0.1 - 0.005) * math.log(0.1 / 0.005))


@given(
    st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=1, max_size=60),
    st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=1, max_size=60),
    st.randoms(),
)
def test_psi_is_never_negative_and_knows_no_order(before, after, chance):
    """Each term (a - e) ln(a / e) is at least 0, and the shares do not depend on the order of rows."""
    before, after = np.array(before, dtype=float), np.array(after, dtype=float)
    found = metrics.population_stability_index(before, after)
    shuffled = chance.sample(list(after), len(after))
    assert found >= 0
    assert metrics.population_stability_index(before, np.array(shuffled)) == pytest.approx(found)
    assert metrics.population_stability_index(before, before) == 0


def test_psi_without_a_shift_is_as_large_as_its_formula_says():
    """(bins - 1) (1/n_e + 1/n_a) on average: what a monitor must allow for."""
    rng = np.random.default_rng(14)
    found = [metrics.population_stability_index(rng.normal(size=2000), rng.normal(size=500)) for _ in range(300)]
    assert np.mean(found) == pytest.approx(9 * (1 / 2000 + 1 / 500), rel=0.1)


# Inputs


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: metrics.auc([0, 0], [0.1, 0.2]),
            DataError,
            "all 2 rows are 0; this figure needs rows of both",
        ),
        (lambda: metrics.ks([1, 1], [0.1, 0.2]), DataError, "all 2 rows are 1"),
        (lambda: metrics.average_precision([0], [0.1]), DataError, "all 1 rows are 0"),
        (
            lambda: metrics.auc_interval([0, 1, 0], [0.1, 0.2, 0.3]),
            DataError,
            "at least two rows that repaid",
        ),
        (lambda: metrics.auc([0, 1], [0.1, np.nan]), ValueError, "y_prob: 1 values are missing"),
        (lambda: metrics.auc([0, 1], [0.1, 2]), ValueError, r"y_prob: must lie in \[0, 1\]"),
        (lambda: metrics.auc([0, 1], [0.1]), ValueError, "y_prob: must have 2 rows"),
        (lambda: metrics.brier([], []), DataError, "y_true: has no rows"),
        (lambda: metrics.brier([0, 3], [0.1, 0.2]), ValueError, "must be 0 .* or 1"),
        (lambda: metrics.calibration_table([0, 1], [0.1, 0.2], bins=0), ValueError, "bins: must be a whole"),
        (
            lambda: metrics.calibration_table([0, 1], [0.1, 0.2], bins=2.5),
            ValueError,
            "bins: must be a whole",
        ),
        (lambda: metrics.calibration_slope_intercept([0, 1], [0.1, 0.1]), DataError, "slope does not exist"),
        (lambda: metrics.calibration_slope_intercept([0, 0, 1], [0.1, 0.2, 0.3]), DataError, "separating"),
        (lambda: metrics.calibration_slope_intercept([1, 0, 0], [0.1, 0.2, 0.3]), DataError, "separating"),
        (lambda: metrics.bootstrap(metrics.brier, [0], [0.1], repeats=0), ValueError, "repeats"),
        (lambda: metrics.population_stability_index([], [1.0]), DataError, "no rows"),
        (lambda: metrics.population_stability_index([1.0], ["a"]), ValueError, "only one sample has numbers"),
    ],
)
def test_wrong_inputs_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
