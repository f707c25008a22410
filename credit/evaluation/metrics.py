"""How well probabilities of default rank and how far they can be believed; knows no model and no cost.

Arguments come as (y_true, y_prob), y_true 1 for a default. Each function says which way is better.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from credit.errors import DataError
from credit.evaluation.checks import Booleans, Floats, pair, positive
from credit.evaluation.intervals import LEVEL, Interval, normal_quantile, percentiles, wilson
from credit.evaluation.stability import population_stability_index

__all__ = [
    "Calibration",
    "Interval",
    "auc",
    "auc_gap",
    "auc_interval",
    "average_precision",
    "bootstrap",
    "brier",
    "calibration_slope_intercept",
    "calibration_table",
    "discrimination",
    "expected_calibration_error",
    "ks",
    "log_loss",
    "population_stability_index",
    "roc_table",
    "score_table",
]

#: Probabilities of 0 and 1 have no log-odds; they are moved inwards by this much before taking them.
MARGIN = 1e-6


class Calibration(NamedTuple):
    """Logistic recalibration, with Wald intervals; perfect is slope 1, intercept 0, in the large 0.

    Attributes
    ----------
    slope, intercept : Interval
        Of logit P(default) = intercept + slope * logit(p). A slope below 1 means p too extreme.
    in_the_large : Interval
        The intercept with the slope held at 1. Above 0 there are more defaults than p says.
    """

    slope: Interval
    intercept: Interval
    in_the_large: Interval


def _placements(defaults: Booleans, p: Floats) -> tuple[Floats, Floats]:
    """Return the share of good clients below each default, and of defaults above each good client.

    Ties count half. Midranks give them in O(n log n) (Sun & Xu 2014, IEEE Signal Processing Letters 21:1389).
    """
    ranks, bad, good = rankdata(p), p[defaults], p[~defaults]
    above = (ranks[defaults] - rankdata(bad)) / good.size
    return above, 1 - (ranks[~defaults] - rankdata(good)) / bad.size


def _delong(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> tuple[float, float]:
    """Return AUC and its variance (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837)."""
    parts = _placements(*pair(y_true, y_prob, both=True))
    if min(part.size for part in parts) < 2:
        raise DataError("AUC interval: needs at least two rows that repaid and two that defaulted.")
    return float(parts[0].mean()), float(sum(part.var(ddof=1) / part.size for part in parts))


def _wald(estimate: float, error: float, level: float) -> Interval:
    half = normal_quantile(level) * error
    return Interval(float(estimate), float(estimate - half), float(estimate + half), level)


def auc(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> float:
    """Return the probability that a default outscores a repaid loan, ties counting half; higher is better."""
    return float(_placements(*pair(y_true, y_prob, both=True))[0].mean())


def auc_interval(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, level: float = LEVEL) -> Interval:
    """Return AUC with the interval of DeLong et al. (1988, Biometrics 44:837), cut to [0, 1].

    A perfect ranking has variance 0 and so an interval of no width: read nothing into it on few rows.
    """
    area, variance = _delong(y_true, y_prob)
    wald = _wald(area, variance**0.5, level)
    return Interval(area, max(wald.low, 0.0), min(wald.high, 1.0), level)


def auc_gap(
    y_first: npt.ArrayLike,
    p_first: npt.ArrayLike,
    y_second: npt.ArrayLike,
    p_second: npt.ArrayLike,
    level: float = LEVEL,
) -> Interval:
    """Return AUC on the first rows minus AUC on the second, such as cross-validation and test.

    The two sets must have no row in common: DeLong's variances add up.
    """
    first, v_first = _delong(y_first, p_first)
    second, v_second = _delong(y_second, p_second)
    return _wald(first - second, (v_first + v_second) ** 0.5, level)


def roc_table(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> pd.DataFrame:
    """Return the ROC curve at every distinct cut.

    Returns
    -------
    DataFrame
        threshold (refuse where y_prob >= it; infinity first), false_positive_rate (share of good clients
        refused), true_positive_rate (share of defaults refused).
    """
    defaults, p = pair(y_true, y_prob, both=True)
    scores, cell = np.unique(-p, return_inverse=True)
    bad, good = np.bincount(cell, weights=defaults), np.bincount(cell, weights=~defaults)
    return pd.DataFrame(
        {
            "threshold": np.append(np.inf, -scores),
            "false_positive_rate": np.append(0.0, np.cumsum(good) / good.sum()),
            "true_positive_rate": np.append(0.0, np.cumsum(bad) / bad.sum()),
        }
    )


def ks(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> float:
    """Return the largest distance between the score distributions of both outcomes; higher is better."""
    curve = roc_table(y_true, y_prob)
    return float((curve["true_positive_rate"] - curve["false_positive_rate"]).abs().max())


def average_precision(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> float:
    """Return the mean precision over the defaults found, as scikit-learn defines it; higher is better."""
    return float(average_precision_score(*pair(y_true, y_prob, both=True)))


def discrimination(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> dict[str, float]:
    """Return auc, ks and average_precision: how well y_prob ranks, whatever its scale."""
    return {function.__name__: function(y_true, y_prob) for function in (auc, ks, average_precision)}


def brier(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> float:
    """Return the mean squared error of the probabilities; lower is better."""
    defaults, p = pair(y_true, y_prob)
    return float(np.mean((p - defaults) ** 2))


def log_loss(y_true: npt.ArrayLike, y_prob: npt.ArrayLike) -> float:
    """Return minus the mean log-likelihood, p cut to [e, 1 - e], e the float64 epsilon; lower is better."""
    defaults, p = pair(y_true, y_prob)
    epsilon = np.finfo(np.float64).eps
    p = np.clip(p, epsilon, 1 - epsilon)
    return float(-np.mean(np.where(defaults, np.log(p), np.log1p(-p))))


def bootstrap(
    metric: Callable[[Booleans, Floats], float],
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return `metric` with its percentile interval over rows drawn with replacement (not stratified).

    Where the rows hold both classes, a resample with one class only is drawn again. For AUC prefer
    `auc_interval`, for a mean of losses `cost.mean_interval`: both are much faster.
    """
    defaults, p = pair(y_true, y_prob)
    order = np.lexsort((defaults, p))  # the result does not depend on the order of rows
    defaults, p = defaults[order], p[order]
    mixed, rng = defaults.any() and not defaults.all(), np.random.default_rng(seed)
    draws = np.empty(positive("repeats", repeats))
    for i in range(repeats):
        rows = rng.integers(p.size, size=p.size)
        while mixed and defaults[rows].all() | ~defaults[rows].any():
            rows = rng.integers(p.size, size=p.size)
        draws[i] = metric(defaults[rows], p[rows])
    return percentiles(metric(defaults, p), draws)


def calibration_table(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Compare predicted with observed default rates in bins of about equal size.

    Returns
    -------
    DataFrame
        bin (from 1, by rising probability), n, mean_predicted, observed, low, high (Wilson, 95%). Equal
        probabilities share a bin, so that fewer than `bins` may come out.
    """
    defaults, p = pair(y_true, y_prob)
    edges = np.unique(np.quantile(p, np.linspace(0, 1, positive("bins", bins) + 1)[1:-1]))
    _, cell, n = np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True, return_counts=True)
    count = np.bincount(cell, weights=defaults)
    low, high = wilson(count, n)
    predicted = np.bincount(cell, weights=p) / n
    columns = {"bin": np.arange(1, n.size + 1), "n": n, "mean_predicted": predicted, "observed": count / n}
    return pd.DataFrame({**columns, "low": low, "high": high})


def expected_calibration_error(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, bins: int = 10) -> float:
    """Return the mean distance of predicted and observed rates over equal bins; lower is better.

    Chance alone keeps it above 0: of two sizes of sample, the smaller has the larger error at equal
    calibration.
    """
    table = calibration_table(y_true, y_prob, bins)
    return float(np.average((table["mean_predicted"] - table["observed"]).abs(), weights=table["n"]))


def _logistic(defaults: Booleans, X: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and standard errors of an unpenalised logistic regression, by Newton's method."""

    def loss(beta: Floats) -> float:
        return float(np.logaddexp(0, np.where(defaults, -1, 1) * (offset + X @ beta)).sum())

    beta = np.zeros(X.shape[1])
    for _ in range(100):
        fitted = expit(offset + X @ beta)
        information = X.T @ (X * (fitted * (1 - fitted))[:, None])
        step = np.linalg.solve(information, X.T @ (defaults - fitted))
        while loss(beta + step) > loss(beta) + 1e-9:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    raise DataError("calibration: the logistic recalibration did not settle; the scores nearly separate the classes.")


def calibration_slope_intercept(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, level: float = LEVEL) -> Calibration:
    """Regress the outcome on the log-odds of y_prob (Cox 1958; Van Calster et al. 2019, BMC Medicine 17:230).

    Probabilities are cut to [1e-6, 1 - 1e-6] first.

    Raises
    ------
    DataError
        One class only; or the probabilities are all equal or separate the classes, so that no slope exists.
    """
    defaults, p = pair(y_true, y_prob, both=True)
    z = logit(np.clip(p, MARGIN, 1 - MARGIN))
    bad, good = z[defaults], z[~defaults]
    if bad.min() >= good.max() or bad.max() <= good.min():
        raise DataError("y_prob: all equal, or separating the classes perfectly; a calibration slope does not exist.")
    ones = np.ones((p.size, 1))
    (shift, slope), (se_shift, se_slope) = _logistic(defaults, np.column_stack([ones, z]), np.zeros(p.size))
    (large,), (se_large,) = _logistic(defaults, ones, z)
    return Calibration(_wald(slope, se_slope, level), _wald(shift, se_shift, level), _wald(large, se_large, level))


def score_table(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, bins: int = 40) -> pd.DataFrame:
    """Return the histogram of y_prob by outcome, in bins of equal width from 0 to the highest probability.

    Returns
    -------
    DataFrame
        low, high (bounds of the bin), repaid, defaulted (share of that outcome's rows in the bin; each adds
        up to 1).
    """
    defaults, p = pair(y_true, y_prob, both=True)
    edges = np.linspace(0, p.max() or 1.0, positive("bins", bins) + 1)
    repaid, defaulted = (np.histogram(p[rows], edges)[0] / rows.sum() for rows in (~defaults, defaults))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "repaid": repaid, "defaulted": defaulted})
