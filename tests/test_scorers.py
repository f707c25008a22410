"""The search's scorer: a business cost that only better probabilities lower."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline

from credit.evaluation.decisions import losses
from credit.portfolio import Costs
from credit.training.scorers import business_cost, ratios

COSTS = Costs(10.0, 1.0)


class Fixed(ClassifierMixin, BaseEstimator):
    """Says the probabilities that it is given as its only column."""

    def __init__(self, class_weight=None):
        self.class_weight = class_weight

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def score(p, y, class_weight=None, costs=COSTS):
    model = make_pipeline(Fixed(class_weight)).fit(p[:, None], y)
    return business_cost(costs)(model, p[:, None], y)


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 9, 40_000)
    return p, (rng.random(p.size) < p).astype(int)


def test_the_ratios_run_from_half_to_twice_the_stated_one_in_its_unit():
    found = ratios(COSTS)
    shares = [each.false_negative / each.false_positive for each in found]
    assert shares[0] == pytest.approx(20)
    assert shares[-1] == pytest.approx(5)
    assert shares[len(shares) // 2] == pytest.approx(10)
    assert np.diff(np.log(shares)) == pytest.approx(np.full(len(shares) - 1, np.log(shares[1] / shares[0])))
    assert all(each.false_negative + each.false_positive == pytest.approx(11) for each in found)


def test_the_score_is_the_mean_loss_over_the_ratios_by_a_plain_loop(truth):
    p, y = (values[:500] for values in truth)
    total = 0.0
    for each in ratios(COSTS):
        cut = each.false_positive / (each.false_positive + each.false_negative)
        for probability, outcome in zip(p, y, strict=True):
            refused = probability >= cut
            total += each.false_positive * (refused and not outcome) + each.false_negative * (outcome and not refused)
    assert score(p, y) == pytest.approx(-total / 500 / len(ratios(COSTS)))


@pytest.mark.parametrize("shift", [-1.0, -0.4, 0.4, 1.0])
def test_it_is_proper_the_true_probabilities_score_best(truth, shift):
    """A scorer that a miscalibrated model can win would pick miscalibrated models."""
    p, y = truth
    odds = p / (1 - p) * np.exp(shift)
    assert score(p, y) > score(odds / (1 + odds), y)


def test_a_class_weighted_score_is_brought_back_to_the_rows_own_odds(truth):
    """Balanced weights multiply the odds by (1 - rate) / rate; undone, the score is the unweighted one's."""
    p, y = truth
    weight = (1 - y.mean()) / y.mean()
    inflated = weight * p / (weight * p + 1 - p)
    assert score(inflated, y, "balanced") == pytest.approx(score(p, y), abs=1e-9)
    assert score(inflated, y) < score(p, y) - 0.1


def test_at_one_ratio_it_is_the_business_cost(truth):
    p, y = truth
    middle = ratios(COSTS)[7]
    assert losses(y, p >= middle.threshold, middle).mean() == pytest.approx(
        losses(y, p >= COSTS.threshold, COSTS).mean()
    )
