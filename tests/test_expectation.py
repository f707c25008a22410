"""Expected cost by cell: against loops, against scikit-learn, and its errors against what repetition shows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression
from windows_util import COSTS, draw, scored, validation

from credit.errors import DataError
from credit.evaluation.decisions import decide, expected_cost, losses
from credit.monitoring.expectation import CHANCE, Recalibration, chance, expected, judged, stakes, tally
from credit.portfolio import Costs
from credit.scoring.baseline import OUTCOME, SCORE

REVIEWED = Costs(10.0, 1.0, 0.3)
AS_STATED = Recalibration(0.0, 1.0, np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("decision", "if_default", "if_repaid"), [("approve", 10.0, 0.0), ("decline", 0.0, 1.0), ("review", 0.3, 0.3)]
)
def test_the_stakes_are_the_cost_matrix(decision, if_default, if_repaid):
    bad, good = stakes(pd.Series([decision, "approve", decision], dtype="str"), REVIEWED)
    assert bad.tolist() == [if_default, 10.0, if_default]
    assert good.tolist() == [if_repaid, 0.0, if_repaid]


@pytest.mark.parametrize(
    ("decisions", "costs", "message"),
    [
        (["approve", "refuse"], COSTS, "decisions: must be one of approve, review, decline, found 'refuse'; mend"),
        (["approve", None], COSTS, "decisions: 1 are missing; leave those applicants out"),
        (["review", "approve"], COSTS, r"'review', which costs nothing known; set review in the portfolio's \[costs\]"),
    ],
)
def test_decisions_that_have_no_cost_are_named(decisions, costs, message):
    with pytest.raises(DataError, match=message):
        stakes(decisions, costs)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["approve", "review", "decline"])), min_size=1, max_size=30),
    st.floats(0.1, 50),
    st.floats(0.1, 5),
)
def test_expected_cost_is_the_mean_over_both_outcomes(rows, false_negative, review):
    """By hand for each client: p times the loss if it defaults, 1 - p times the loss if not."""
    costs = Costs(false_negative, 1.0, review)
    p, words = [row[0] for row in rows], [row[1] for row in rows]
    found = expected(p, words, costs)
    for one, chance_of, word in zip(found, p, words, strict=True):
        (bad,), (good,) = losses([1], [word], costs), losses([0], [word], costs)
        assert one == pytest.approx(chance_of * bad + (1 - chance_of) * good)
    assert found.mean() == pytest.approx(expected_cost(p, words, costs))


def test_the_recalibration_is_scikit_learns():
    rows = validation(4000, np.random.default_rng(1), shift=-0.3, slope=0.7)
    found = Recalibration.measure(rows)
    z = np.log(rows[SCORE] / (1 - rows[SCORE])).to_numpy()[:, None]
    fit = LogisticRegression(C=np.inf, tol=1e-10).fit(z, rows[OUTCOME])
    assert [found.shift, found.slope] == pytest.approx([fit.intercept_[0], fit.coef_[0, 0]], abs=1e-4)
    assert found.apply(rows[SCORE].to_numpy()) == pytest.approx(fit.predict_proba(z)[:, 1], abs=1e-4)


def test_its_covariance_is_what_other_validation_rows_would_show():
    fits = [Recalibration.measure(validation(2000, np.random.default_rng(seed), slope=0.8)) for seed in range(300)]
    seen = np.cov([[fit.shift for fit in fits], [fit.slope for fit in fits]])
    assert np.mean([fit.covariance for fit in fits], axis=0) == pytest.approx(seen, rel=0.25)


@pytest.mark.parametrize(
    ("outcomes", "scores", "message"),
    [
        ([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4], "validation rows of the model: y_true: all 4 rows are 0"),
        ([0, 1, 0, 1], [0.2, 0.2, 0.2, 0.2], "validation rows of the model: y_prob: all equal"),
    ],
)
def test_validation_rows_that_say_nothing_are_refused(outcomes, scores, message):
    with pytest.raises(DataError, match=message):
        Recalibration.measure(pd.DataFrame({SCORE: scores, OUTCOME: outcomes}))


def test_a_tally_is_a_loop_over_cells():
    rng = np.random.default_rng(2)
    y, p = draw(500, rng)
    rows, cell = scored(y, p, REVIEWED), rng.integers(0, 3, 500)
    recalibration = Recalibration(-0.1, 0.9, np.array([[0.01, 0.002], [0.002, 0.003]]))
    found = tally(p, rows["decision"], REVIEWED, recalibration, cell, 4)
    for k in range(3):
        costs, luck, bend = [], [], []
        for chance_of, word in zip(recalibration.apply(p[cell == k]), rows["decision"][cell == k], strict=True):
            bad, good = (float(losses([outcome], [word], REVIEWED)[0]) for outcome in (1, 0))
            costs.append(chance_of * bad + (1 - chance_of) * good)
            luck.append(chance_of * bad**2 + (1 - chance_of) * good**2 - costs[-1] ** 2)
            bend.append(chance_of * (bad - costs[-1]) ** 3 + (1 - chance_of) * (good - costs[-1]) ** 3)
        assert found.rows[k] == len(costs)
        assert [found.mean[k], found.spread[k], found.luck[k], found.bend[k]] == pytest.approx(
            [np.mean(costs), np.var(costs), np.mean(luck), np.mean(bend)]
        )
    assert found.rows[3] == 0
    assert np.isnan([found.mean[3], found.error(recalibration)[3]]).all()


def test_the_tilt_is_the_derivative():
    rng, step = np.random.default_rng(3), 1e-6
    y, p = draw(200, rng)
    words = scored(y, p)["decision"]

    def mean(shift: float, slope: float) -> float:
        return float(tally(p, words, COSTS, Recalibration(shift, slope, np.zeros((2, 2)))).mean[0])

    tilt = tally(p, words, COSTS, Recalibration(0.2, 0.9, np.zeros((2, 2)))).tilt[0]
    numeric = [
        (mean(0.2 + step, 0.9) - mean(0.2 - step, 0.9)) / (2 * step),
        (mean(0.2, 0.9 + step) - mean(0.2, 0.9 - step)) / (2 * step),
    ]
    assert tilt == pytest.approx(numeric, rel=1e-5)


@pytest.mark.parametrize(("mean", "rows"), [(-2.8, 600), (-2.0, 3000)])
def test_errors_are_what_repetition_shows(mean, rows):
    """Repeat everything, validation rows included: growth and realised cost scatter as their errors say."""
    seen = []
    for seed in range(250):
        rng = np.random.default_rng(seed)
        held = validation(1500, rng)
        y, p = draw(rows, rng, mean=mean)
        recalibration, p_held = Recalibration.measure(held), held[SCORE]
        now = tally(p, decide(p, COSTS), COSTS, recalibration)
        before = tally(p_held, decide(p_held, COSTS), COSTS, recalibration)
        miss = losses(y, decide(p, COSTS), COSTS).mean() - now.mean[0]
        (growth,), (error,) = now.growth(before, recalibration)
        seen.append((growth, error, miss, now.error(recalibration)[0]))
    growths, errors, misses, stated = np.transpose(seen)
    # The standard deviation of 250 draws is within 14% of the truth in 99.8% of cases.
    assert np.std(growths) == pytest.approx(errors.mean(), rel=0.14)
    assert np.std(misses) == pytest.approx(stated.mean(), rel=0.14)
    assert abs(misses.mean()) < 4 * stated.mean() / 250**0.5


def test_nothing_grows_against_itself():
    rng = np.random.default_rng(4)
    y, p = draw(300, rng)
    whole = tally(p, scored(y, p)["decision"], COSTS, AS_STATED)
    (growth,), (error,) = whole.growth(whole, AS_STATED)
    assert growth == 0
    assert error == pytest.approx((2 * whole.spread[0] / 300) ** 0.5 / whole.mean[0])


def test_chance_grows_with_the_number_of_looks():
    """Šidák: of k independent figures, all within their floor with the stated probability."""
    rng, looks = np.random.default_rng(5), 20
    floors = chance(2.0, looks)
    loudest = np.abs(rng.normal(0, 2.0, (20_000, looks))).max(axis=1)
    assert floors["ALERT"] > floors["WARN"] > chance(2.0)["WARN"]
    assert np.mean(loudest < floors["WARN"]) == pytest.approx(CHANCE["WARN"], abs=0.003)
    assert np.mean(loudest < floors["ALERT"]) == pytest.approx(CHANCE["ALERT"], abs=0.0008)


def test_few_defaults_are_a_lopsided_sum():
    """Like Poisson counts: the floor of 8 expected defaults is surpassed as rarely as it says, a normal one is not."""
    p = np.full(400, 0.02)
    whole = tally(p, ["approve"] * 400, COSTS, AS_STATED)
    (error,), (skewness,) = whole.error(AS_STATED), whole.skewness(AS_STATED)
    excesses = stats.binom(400, 0.02)
    assert skewness == pytest.approx(float(excesses.stats("s")))

    def surpassed(floor: float) -> float:
        return float(excesses.sf(np.floor(8 + floor * 400 / 10)))

    least = (1 - CHANCE["ALERT"]) / 2
    assert surpassed(chance(error)["ALERT"]) > 2 * least
    assert surpassed(chance(error, skewness=skewness)["ALERT"]) < 1.2 * least
    assert chance(error, skewness=-1.0) == chance(error)


@pytest.mark.parametrize(
    ("value", "limits", "floors", "call"),
    [
        (0.2, (0.05, 0.1), (0.01, 0.02), ("ALERT", 0.1, 0.02)),
        (0.1, (0.05, 0.1), (0.01, 0.02), ("WARN", 0.05, 0.01)),
        (0.2, (0.05, 0.1), (0.15, 0.25), ("WARN", 0.05, 0.15)),
        (0.2, (0.05, 0.1), (0.2, 0.25), None),
        (0.05, (0.05, 0.1), (0.0, 0.0), None),
        (float("nan"), (0.05, 0.1), (0.0, 0.0), None),
    ],
)
def test_a_call_needs_the_limit_and_more_than_chance(value, limits, floors, call):
    assert judged(value, limits, {"WARN": floors[0], "ALERT": floors[1]}) == call
