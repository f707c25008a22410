"""Who wins on validation and at which threshold; every figure of the leaderboard recomputed from its definition."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from credit.errors import DataError, ModelError
from credit.portfolio import Costs
from credit.training.choice import choose, pick_threshold

COSTS = Costs(false_negative=10.0, false_positive=1.0)
THEORY = 1 / 11


def simulate(rows=3000, seed=0):
    """Outcomes and their true probabilities of default."""
    rng = np.random.default_rng(seed)
    truth = expit(rng.normal(-2.6, 1.2, rows))
    return (rng.random(rows) < truth).astype(int), truth


def blurred(truth, noise, seed=1):
    """A model that sees the truth through noise."""
    return expit(logit(truth) + np.random.default_rng(seed).normal(0, noise, len(truth)))


def spent(y_true, refused, costs=COSTS):
    """One client at a time."""
    cost = 0.0
    for defaulted, no in zip(y_true, refused, strict=True):
        cost += costs.false_negative * (defaulted and not no) + costs.false_positive * (no and not defaulted)
    return cost / len(y_true)


# The winner


def test_the_cheapest_candidate_wins():
    """Not the one with the highest AUC, nor the first: cost is what the lender pays."""
    y_true, truth = simulate()
    field = {"noisy": blurred(truth, 2.0), "sharp": blurred(truth, 0.3), "blind": np.full(len(truth), truth.mean())}
    choice = choose(y_true, field, frozenset(), COSTS)
    assert choice.winner == "sharp"
    assert choice.leaderboard.candidate.tolist()[0] == "sharp"
    assert choice.leaderboard.cost.is_monotonic_increasing


def test_cost_decides_and_not_rank():
    """Three defaulters ranked last cost 30, twenty good clients ranked first cost 20: the AUC prefers the former."""
    y_true = np.array([0] * 700 + [1] * 300)
    clear = np.where(y_true == 1, 0.5, 0.01)
    careful, trusting = clear.copy(), clear.copy()
    careful[:20] = 0.6
    trusting[-3:] = 0.001
    choice = choose(y_true, {"trusting": trusting, "careful": careful}, frozenset(), COSTS)
    board = choice.leaderboard.set_index("candidate")
    assert board.auc["trusting"] > board.auc["careful"]
    assert board.cost.to_dict() == {"careful": pytest.approx(0.02), "trusting": pytest.approx(0.03)}
    assert choice.winner == "careful"


def test_of_equals_the_first_named_wins():
    """Simpler candidates are named first; a tie must not depend on anything else."""
    y_true, truth = simulate(800)
    twins = {"first": truth, "second": truth.copy()}
    assert choose(y_true, twins, frozenset(), COSTS).winner == "first"
    assert choose(y_true, dict(reversed(twins.items())), frozenset(), COSTS).winner == "second"


def test_references_are_shown_and_cannot_win():
    """A scorecard that beats boosting must be seen on top, and yet not be registered."""
    y_true, truth = simulate()
    field = {"boosted": blurred(truth, 1.5), "scorecard": truth, "prior": np.full(len(truth), 0.08)}
    choice = choose(y_true, field, frozenset({"scorecard", "prior"}), COSTS)
    assert choice.winner == "boosted"
    assert choice.leaderboard.candidate[0] == "scorecard"
    assert choice.leaderboard.set_index("candidate").reference.to_dict() == {
        "boosted": False,
        "scorecard": True,
        "prior": True,
    }
    alone = choose(y_true, {"boosted": field["boosted"]}, frozenset(), COSTS)
    assert (alone.threshold, alone.rule) == (choice.threshold, choice.rule)


@pytest.mark.parametrize("left", [(), ("prior",), ("prior", "scorecard")])
def test_a_field_that_failed_is_an_error(left):
    y_true, truth = simulate(500)
    with pytest.raises(ModelError, match=r"every candidate failed.*read the failed steps"):
        choose(y_true, dict.fromkeys(left, truth), frozenset({"prior", "scorecard"}), COSTS)


def test_the_same_rows_give_the_same_choice():
    """Intervals are bootstrapped: a run must be repeatable to the last digit."""
    y_true, truth = simulate(900)
    one, two = (choose(y_true, {"a": truth, "b": blurred(truth, 1)}, frozenset(), COSTS, seed=5) for _ in range(2))
    assert one.leaderboard.equals(two.leaderboard)
    assert (one.winner, one.threshold, one.gap) == (two.winner, two.threshold, two.gap)


# The threshold


@pytest.mark.parametrize("costs", [COSTS, Costs(4.0, 1.0), Costs(30.0, 2.0)])
def test_calibrated_probabilities_keep_the_threshold_of_theory(costs):
    """With true probabilities no threshold beats c_fp / (c_fp + c_fn): what looks cheaper on few rows is chance."""
    for seed in range(5):
        threshold, rule, gap = pick_threshold(*simulate(1500, seed), costs)
        assert rule == "theoretical"
        assert threshold == gap.theoretical == costs.false_positive / (costs.false_positive + costs.false_negative)


@pytest.mark.parametrize("shift", [-3.0, 3.0])
def test_a_wrong_scale_is_seen_and_mended(shift):
    """Log-odds off by 3, as without calibration: theory's threshold would then approve, or refuse, nearly all."""
    y_true, truth = simulate(4000)
    scaled = expit(logit(truth) + shift)
    threshold, rule, gap = pick_threshold(y_true, scaled, COSTS)
    assert rule == "empirical"
    assert gap.comparison.difference.high < 0
    cuts = [0.0, *np.sort(scaled), 1.1]
    least = min(spent(y_true, scaled >= cut) for cut in cuts[::25])
    assert spent(y_true, scaled >= threshold) <= least
    assert logit(threshold) == pytest.approx(logit(THEORY) + shift, abs=0.7)


def test_one_outcome_only_gives_no_threshold():
    with pytest.raises(DataError, match="both outcomes"):
        pick_threshold(np.zeros(50), np.full(50, 0.1), COSTS)


# The leaderboard


def test_every_figure_is_the_direct_one():
    y_true, truth = simulate(2500, seed=3)
    field = {
        "a": blurred(truth, 0.4, seed=1),
        "b": expit(logit(blurred(truth, 0.6, seed=2)) + 3),
        "prior": truth * 0 + 0.1,
    }
    choice = choose(y_true, field, frozenset({"prior"}), COSTS)
    board = choice.leaderboard.set_index("candidate")
    assert (board.rule["a"], board.rule["b"]) == ("theoretical", "empirical")
    for name, probability in field.items():
        row = board.loc[name]
        assert (row.threshold, row.rule) == pick_threshold(y_true, probability, COSTS)[:2]
        assert row.cost == pytest.approx(spent(y_true, probability >= row.threshold))
        assert row.cost_at_half == pytest.approx(spent(y_true, probability >= 0.5))
        assert row.auc == pytest.approx(roc_auc_score(y_true, probability))
        assert row.brier == pytest.approx(brier_score_loss(y_true, probability))
        assert row.log_loss == pytest.approx(log_loss(y_true, probability))
        assert row.cost_low <= row.cost <= row.cost_high
        assert row.auc_low <= row.auc <= row.auc_high
    assert board.cost_low["a"] < board.cost_high["a"]
    assert choice.threshold == board.threshold[choice.winner]
    assert choice.rule == board.rule[choice.winner]


def test_the_chance_to_be_cheaper_is_paired():
    """Against itself the winner is no cheaper; against chance it is, and by more than two unpaired intervals tell."""
    y_true, truth = simulate(3000)
    field = {
        "good": blurred(truth, 0.2),
        "same": blurred(truth, 0.2),
        "near": blurred(truth, 0.5),
        "poor": blurred(truth, 3),
    }
    choice = choose(y_true, field, frozenset(), COSTS)
    board = choice.leaderboard.set_index("candidate")
    assert choice.winner == "good"
    assert board.probability_cheaper["poor"] > 0.99
    assert board.probability_cheaper["same"] == board.probability_cheaper["good"]

    refused = {name: p >= board.threshold[name] for name, p in field.items()}
    cost = {name: np.where(y_true == 1, 10.0 * ~no, 1.0 * no) for name, no in refused.items()}
    gain = cost["good"] - cost["near"]
    rng = np.random.default_rng(9)
    draws = np.array([gain[rng.integers(len(gain), size=len(gain))].mean() for _ in range(2000)])
    assert 0.5 < board.probability_cheaper["near"] < 1
    assert board.probability_cheaper["near"] == pytest.approx(np.mean(draws < 0), abs=0.03)
