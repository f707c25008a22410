"""The expected cost without outcomes: its interval covers what comes, and it calls when it should and only then."""

import json

import numpy as np
import pandas as pd
import pytest
from windows_util import COSTS, draw, scored, validation

from credit.errors import DataError
from credit.evaluation.decisions import expected_cost, losses
from credit.evaluation.intervals import mean_interval
from credit.monitoring import money
from credit.portfolio import Costs, Monitoring
from credit.scoring.baseline import OUTCOME, SCORE

CUT = COSTS.threshold
ROUNDS = 200
#: Of 200 windows, those a true 95% interval covers: fewer or more once in 2,000 repetitions.
FEWEST = 178


def covered(before, now, rows=1000, held=3000, costs=COSTS, rounds=ROUNDS):
    hits = 0
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        kept = validation(held, rng, **before)
        y, p = draw(rows, rng, **now)
        taken = scored(y, p, costs)
        found = money.estimate(taken, costs, kept).expected
        hits += found.low <= losses(y, taken["decision"], costs).mean() <= found.high
    return hits


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {}),
        ({}, {"mean": -2.0}),
        ({"shift": -0.3, "slope": 0.8}, {"shift": -0.3, "slope": 0.8}),
        ({"shift": -0.3, "slope": 0.8}, {"shift": -0.3, "slope": 0.8, "mean": -2.0}),
    ],
    ids=["calibrated", "calibrated, riskier population", "miscalibrated", "miscalibrated, riskier population"],
)
def test_the_interval_covers_what_the_decisions_will_have_cost(before, now):
    assert covered(before, now) >= FEWEST


def test_it_covers_with_few_validation_rows_and_a_review():
    """Then most of the width is what the validation rows leave open, and a review's cost is certain."""
    assert covered({}, {}, rows=2000, held=800, costs=Costs(10.0, 1.0, 0.3)) >= FEWEST


def test_without_outcomes_a_change_of_what_the_scores_mean_cannot_be_seen():
    """The estimate's assumption, shown to matter: the same scores, but more of the clients default."""
    assert covered({}, {"shift": 0.6}, rounds=50) < 25


def test_an_estimate_says_what_it_rests_on():
    rng = np.random.default_rng(1)
    taken, kept = scored(*draw(1000, rng)), validation(2000, rng, shift=0.5)
    found = money.estimate(taken, COSTS, kept)
    assert found.stated == pytest.approx(expected_cost(taken["probability"], taken["decision"], COSTS))
    assert found.expected.estimate > found.stated  # the validation rows defaulted more often than said
    assert found.decisions == {word: np.mean(taken["decision"] == word) for word in ("approve", "decline")}
    assert found.rows == 1000
    json.dumps(found.to_dict(), allow_nan=False)
    with_review = money.estimate(scored(*draw(1000, rng), Costs(10, 1, 0.3)), Costs(10, 1, 0.3), kept)
    assert sum(with_review.decisions.values()) == pytest.approx(1)
    assert with_review.decisions["review"] > 0


def test_the_estimate_is_of_the_decisions_that_were_taken():
    """An officer who approves everyone makes it what approving everyone is expected to cost."""
    rng = np.random.default_rng(2)
    taken, kept = scored(*draw(800, rng)), validation(2000, rng)
    overridden = money.estimate(taken.assign(decision="approve"), COSTS, kept)
    assert overridden.stated == pytest.approx(10 * taken["probability"].mean())
    assert overridden.expected.estimate > money.estimate(taken, COSTS, kept).expected.estimate


def test_no_cost_is_below_nothing():
    rows = pd.DataFrame({"probability": [1e-4], "decision": ["approve"]})
    found = money.estimate(rows, COSTS, validation(2000, np.random.default_rng(3))).expected
    assert found.low == 0 < found.estimate < found.high


def test_the_promise_is_what_the_validation_rows_cost():
    kept = validation(3000, np.random.default_rng(4), shift=-0.2)
    found = money.promise(kept, COSTS, 0.2)
    lost = losses(kept[OUTCOME], kept[SCORE].to_numpy() >= 0.2, COSTS)
    assert found.realised == mean_interval(lost)
    assert found.expected.expected.low < lost.mean() < found.expected.expected.high
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_excess_is_the_ratio_of_two_estimates():
    rng = np.random.default_rng(5)
    kept, taken = validation(2000, rng), scored(*draw(1500, rng, mean=-2.3))
    found = money.excess(taken, COSTS, kept, CUT)
    now = money.estimate(taken, COSTS, kept).expected.estimate
    before = money.promise(kept, COSTS, CUT).expected.expected.estimate
    assert (found.now, found.promised) == pytest.approx((now, before))
    assert found.relative.estimate == pytest.approx(now / before - 1)
    assert found.relative.low < found.relative.estimate < found.relative.high
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_book_that_has_not_changed_hardly_ever_calls():
    """Windows of one population, small ones too: no alert in 200, and a warning in 1 of 100 at most."""
    calls = []
    for seed in range(ROUNDS):
        rng = np.random.default_rng(seed)
        found = money.excess(scored(*draw(300, rng)), COSTS, validation(1500, rng), CUT)
        calls += [each.severity for each in money.findings(found, Monitoring())]
    assert "ALERT" not in calls
    assert len(calls) <= 4


@pytest.mark.parametrize(
    ("mean", "rows", "severity"),
    [(-2.8, 4000, None), (-2.66, 20_000, "WARN"), (-2.2, 2000, "ALERT"), (-3.4, 4000, None)],
)
def test_a_dearer_book_calls_and_a_cheaper_one_does_not(mean, rows, severity):
    rng = np.random.default_rng(6)
    found = money.excess(scored(*draw(rows, rng, mean=mean)), COSTS, validation(10_000, rng), CUT)
    calls = money.findings(found, Monitoring())
    assert [each.severity for each in calls] == ([severity] if severity else [])
    for call in calls:
        assert (call.kind, call.value) == ("cost", found.relative.estimate)
        assert call.value > max(call.limit, call.floor)
        assert f"{found.now:.3f} per applicant" in call.why


def test_an_excess_within_chance_does_not_call():
    """Ten applicants who look dear are no sign of anything."""
    rng = np.random.default_rng(7)
    found = money.excess(scored(*draw(10, rng, mean=-2.4)), COSTS, validation(3000, rng), CUT)
    assert found.relative.estimate > 0.1
    assert money.findings(found, Monitoring()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.assign(decision="review"), "'review', which costs nothing known"),
        (lambda rows: rows.assign(decision=None), "are missing"),
        (lambda rows: rows.iloc[:0], "has no rows"),
    ],
)
def test_rows_without_a_cost_are_refused(change, message):
    rng = np.random.default_rng(8)
    with pytest.raises(DataError, match=message):
        money.estimate(change(scored(*draw(50, rng))), COSTS, validation(1000, rng))
