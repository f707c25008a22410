"""From scores to probabilities: each map against the optimum that defines it, and the choice among them."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from credit.training import calibration
from credit.training.calibration import METHODS, Calibration, choose, fit

#: Even the largest of these is no certainty: a probability must stay inside (0, 1).
wide = st.lists(st.floats(-800, 800), min_size=1, max_size=30)


def simulate(rows, seed, distort=lambda score: score):
    """Scores, and outcomes whose true log-odds are `distort(score)`."""
    rng = np.random.default_rng(seed)
    score = rng.normal(-2.0, 1.3, rows)
    return score, (rng.random(rows) < expit(distort(score))).astype(int)


def log_loss(y_true, y_prob):
    """The mean of -ln P(what happened)."""
    return -np.mean(np.log(np.where(np.asarray(y_true) == 1, y_prob, 1 - np.asarray(y_prob))))


def pool(score, outcome):
    """Pool adjacent violators, by the book: blocks of equal scores, merged while a mean exceeds the next."""
    blocks = [[float(outcome[score == s].sum()), int((score == s).sum()), [s]] for s in sorted(set(score))]
    at = 0
    while at < len(blocks) - 1:
        if blocks[at][0] / blocks[at][1] >= blocks[at + 1][0] / blocks[at + 1][1]:
            total, count, scores = blocks.pop(at + 1)
            blocks[at] = [blocks[at][0] + total, blocks[at][1] + count, blocks[at][2] + scores]
            at = max(at - 1, 0)
        else:
            at += 1
    return {s: total / count for total, count, scores in blocks for s in scores}


# The three maps

FITTED = {method: fit(method, *simulate(400, 1)) for method in METHODS}


@pytest.mark.parametrize("seed", range(4))
def test_sigmoid_is_the_maximum_of_the_likelihood(seed):
    """Platt's map is defined as the maximum; a general optimiser with our own gradient must find the same one."""
    score, outcome = simulate(3000, seed, lambda s: 0.6 * s + 0.8)

    def deviance(theta):
        p = expit(theta[0] * score + theta[1])
        slope = np.array([(p - outcome) @ score, (p - outcome).sum()]) / len(score)
        return log_loss(outcome, p), slope

    best = minimize(deviance, [1.0, 0.0], jac=True, method="BFGS", options={"gtol": 1e-9})
    found = fit("sigmoid", score, outcome)
    np.testing.assert_allclose([*found.x, *found.y], best.x, rtol=2e-3)
    assert log_loss(outcome, found.apply(score)) == pytest.approx(best.fun, abs=1e-8)


def test_sigmoid_never_turns_a_ranking_round():
    """A model that ranks badly by chance, out of fold, must not have its ranking inverted for ever.

    Of all maps that do not fall, the likeliest is then the default rate for everyone.
    """
    score, outcome = simulate(2000, 5, lambda s: -0.5 * s - 3)
    found = fit("sigmoid", score, outcome)
    assert np.ptp(found.apply(score)) == 0
    assert found.apply(score)[0] == pytest.approx(outcome.mean())


@given(st.lists(st.tuples(st.integers(-6, 6), st.integers(0, 1)), min_size=2, max_size=40))
def test_isotonic_pools_adjacent_violators(pairs):
    """The monotone least-squares fit has one solution; brute force finds it, ties in the score included."""
    score, outcome = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    half = 0.5 / len(score)
    expected = {s: np.clip(mean, half, 1 - half) for s, mean in pool(score, outcome).items()}
    found = fit("isotonic", score, outcome).apply(score)
    np.testing.assert_allclose(found, [expected[s] for s in score], atol=1e-9)


def test_none_is_the_logistic_function():
    score = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(fit("none", score, score > 0).apply(score), 1 / (1 + np.exp(-score)), rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@given(wide)
def test_maps_rise_and_stay_inside_0_and_1(method, scores):
    """A probability of 0 or 1 has no log-odds, and no client is certain; a map may tie clients, never swap them."""
    found = FITTED[method].apply(np.sort(scores))
    assert ((found > 0) & (found < 1)).all()
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_isolated_scores_and_batches_agree(method):
    score, outcome = simulate(500, 2)
    fitted = fit(method, score, outcome)
    assert [float(fitted.apply([one])[0]) for one in score[:50]] == fitted.apply(score[:50]).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_json_keeps_every_bit(method):
    """What is loaded tomorrow must be what was tested today: floats survive their text exactly."""
    score, outcome = simulate(800, 3, lambda s: 1.7 * s + 1)
    fitted = fit(method, score, outcome)
    read = json.loads(json.dumps(fitted.to_dict(), allow_nan=False))
    again = Calibration(read["method"], tuple(read["x"]), tuple(read["y"]))
    assert again == fitted
    assert again.apply(score).tobytes() == fitted.apply(score).tobytes()


@pytest.mark.parametrize(
    ("method", "x", "y"),
    [("sigmoyd", (1.0,), (0.0,)), ("sigmoid", (), ()), ("isotonic", (1.0, 2.0), (0.5,)), ("none", (1.0,), (0.0,))],
)
def test_a_map_that_says_nothing_is_refused(method, x, y):
    """A misspelt method would else be read as "none": other probabilities, without a word."""
    with pytest.raises(ValueError, match="calibration"):
        Calibration(method, x, y)


# The choice


def cross_fitted(method, score, outcome, seed, folds):
    """Loss of rows that a fit has not seen, one fold after the other."""
    from sklearn.model_selection import StratifiedKFold

    total = 0.0
    for inside, outside in StratifiedKFold(folds, shuffle=True, random_state=seed).split(score, outcome):
        found = fit(method, score[inside], outcome[inside])
        total += len(outside) * log_loss(outcome[outside], found.apply(score[outside]))
    return total / len(score)


def jump(score):
    """A staircase, which no line in log-odds follows."""
    return np.where(score < -2.5, -4.0, np.where(score < -1.2, -3.6, 0.3))


DISTORTIONS = {"none": lambda s: s, "sigmoid": lambda s: 0.35 * s + 1.5, "isotonic": jump}


@pytest.mark.parametrize("planted", DISTORTIONS)
def test_the_planted_distortion_is_found(planted):
    """Each method must win where it alone is right: calibrated scores, a stretched scale, a staircase."""
    score, outcome = simulate(8000, 12, DISTORTIONS[planted])
    found, losses = choose(score, outcome, seed=7)
    assert found.method == planted
    assert min(losses, key=losses.get) == planted
    truth = expit(DISTORTIONS[planted](score))
    assert np.abs(found.apply(score) - truth).mean() < 0.02


def test_losses_are_those_of_unseen_rows():
    """On the rows it was fitted on, isotonic regression would always win."""
    score, outcome = simulate(900, 4)
    _, losses = choose(score, outcome, seed=3, folds=4)
    assert tuple(losses) == METHODS
    for method in METHODS:
        assert losses[method] == pytest.approx(cross_fitted(method, score, outcome, 3, 4), rel=1e-9)
    seen = log_loss(outcome, fit("isotonic", score, outcome).apply(score))
    assert seen < losses["none"] < losses["isotonic"]


def test_the_winner_is_refitted_on_all_rows():
    score, outcome = simulate(3000, 6, DISTORTIONS["sigmoid"])
    assert choose(score, outcome, seed=0)[0] == fit("sigmoid", score, outcome)


def test_equal_losses_leave_the_score_as_it_is(monkeypatch):
    """Of maps that do as well, the one with nothing fitted has nothing to get wrong."""
    monkeypatch.setattr(calibration, "fit", lambda *_: Calibration())
    assert choose(*simulate(300, 0), seed=0)[0].method == "none"


@pytest.mark.parametrize("shift", [1.5, -2.0])
def test_shifted_odds_come_back_to_the_default_rate(shift):
    """Weighted classes shift every log-odds; calibration must bring the mean back to the rate of defaults.

    For sigmoid it is the likelihood's own first-order condition, so it holds exactly, for isotonic pooling too.
    """
    score, outcome = simulate(4000, 9)
    for method in ("sigmoid", "isotonic"):
        mean = fit(method, score + shift, outcome).apply(score + shift).mean()
        assert mean == pytest.approx(outcome.mean(), abs=2e-3)


def test_knots_rise():
    fitted = fit("isotonic", *simulate(2000, 8))
    assert all(low < high for low, high in pairwise(fitted.x))
    assert all(low <= high for low, high in pairwise(fitted.y))
