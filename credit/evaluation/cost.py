"""What decisions cost, and the threshold that makes them cheapest; knows no model.

Target 1 is a default. Approving a client who defaults is a false negative, refusing one who would have paid a
false positive; a client is refused where y_prob >= threshold. All costs are per applicant: (c_fn FN + c_fp
FP) / n, lower is better. Intervals are paired bootstraps over rows, with model and threshold held fixed (see
`intervals`).
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from credit.evaluation.checks import Booleans, Floats, floats, pair, positive
from credit.evaluation.decisions import (
    NOBODY,
    confusion,
    decide,
    expected_cost,
    losses,
    theoretical_threshold,
)
from credit.evaluation.intervals import Comparison, Interval, compare, mean_interval, percentiles, spread
from credit.portfolio import Costs

__all__ = [
    "Comparison",
    "ThresholdGap",
    "best_threshold",
    "compare",
    "confusion",
    "cost_at",
    "cost_curve",
    "decide",
    "expected_cost",
    "losses",
    "mean_interval",
    "policies",
    "theoretical_threshold",
    "theory_gap",
    "threshold_interval",
]


Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ThresholdGap:
    """The threshold that was cheapest on given rows, against the one of theory.

    Attributes
    ----------
    theoretical : float
    empirical : Interval
        See `threshold_interval`.
    comparison : Comparison
        Empirical (a) against theoretical (b), each row judged by a threshold chosen without it.
    """

    theoretical: float
    empirical: Interval
    comparison: Comparison

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dicts, ready for JSON."""
        return asdict(self)


def cost_at(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    threshold: float,
    costs: Costs,
    weight: npt.ArrayLike | None = None,
) -> float:
    """Return the cost per applicant of refusing where y_prob >= threshold; reviews play no part.

    Parameters
    ----------
    weight : array_like of shape (n,), optional
        Not negative and not all 0; the cost is the weighted mean.
    """
    defaults, p = pair(y_true, y_prob)
    loss = losses(defaults, decide(p, replace(costs, review=None), threshold), costs)
    if weight is None:
        return float(loss.mean())
    w = floats("weight", weight, p.size)
    if (w < 0).any() or not w.any():
        raise ValueError("weight: must not be negative, nor 0 for every row.")
    return float(np.average(loss, weights=w))


def _tally(defaults: Booleans, p: Floats) -> tuple[Floats, Counts, Counts]:
    """Return the distinct scores in rising order, with the defaults and the good clients at each."""
    scores, cell = np.unique(p, return_inverse=True)
    bad = np.bincount(cell[defaults], minlength=scores.size)
    return scores, bad, np.bincount(cell[~defaults], minlength=scores.size)


def _errors(bad: Counts, good: Counts) -> tuple[Counts, Counts]:
    """Return FN and FP of every cut: cut k approves the k lowest scores and refuses the others."""
    missed, refused = np.zeros(bad.size + 1, dtype=np.int64), np.full(bad.size + 1, good.sum())
    np.cumsum(bad, out=missed[1:])
    refused[1:] -= np.cumsum(good)
    return missed, refused


def cost_curve(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, costs: Costs) -> pd.DataFrame:
    """Return cost and errors of every distinct cut.

    Returns
    -------
    DataFrame
        threshold, cost (per applicant), false_negatives, false_positives, approved (counts), by rising
        threshold. The first row, the lowest score, refuses all; the last, infinity, approves all.
    """
    defaults, p = pair(y_true, y_prob)
    scores, bad, good = _tally(defaults, p)
    missed, refused = _errors(bad, good)
    return pd.DataFrame(
        {
            "threshold": np.append(scores, np.inf),
            "cost": (costs.false_negative * missed + costs.false_positive * refused) / p.size,
            "false_negatives": missed.astype(np.int64),
            "false_positives": refused.astype(np.int64),
            "approved": np.concatenate([[0], np.cumsum(bad + good)]).astype(np.int64),
        }
    )


def _cheapest(scores: Floats, bad: Counts, good: Counts, costs: Costs) -> float:
    """Return the middle of the cheapest cut; of several the one nearest to theory, then the lowest.

    Scores without rows are no neighbours: a resample gives the threshold that its rows alone would give.
    """
    missed, refused = _errors(bad, good)
    loss = costs.false_negative * missed + costs.false_positive * refused
    cuts = np.flatnonzero(loss <= loss.min() * (1 + 1e-12))
    held = scores[np.flatnonzero(bad + good)]
    place = np.searchsorted(held, np.append(scores, NOBODY)[cuts])
    below, above = np.append(-1.0, held)[place], np.append(held, NOBODY)[place]
    middle = (np.maximum(below, 0.0) + above) / 2
    middle = np.where(middle > below, middle, above)  # neighbours in floating point have no middle
    return float(middle[np.argmin(np.abs(middle - theoretical_threshold(costs)))])


def best_threshold(y_true: npt.ArrayLike, y_prob: npt.ArrayLike, costs: Costs) -> float:
    """Return the threshold that is cheapest on these rows; use rows that no model was fitted or judged on.

    It is the middle between the neighbouring scores of the cheapest cut, 0 and 1 being the outermost
    neighbours; of equally cheap cuts the one whose middle is nearest to the theoretical threshold.

    Raises
    ------
    DataError
        One class only: every rule that treats all alike would be perfect.
    """
    return _cheapest(*_tally(*pair(y_true, y_prob, both=True)), costs)


def threshold_interval(
    y_true: npt.ArrayLike, y_prob: npt.ArrayLike, costs: Costs, repeats: int = 2000, seed: int = 0
) -> Interval:
    """Return `best_threshold` with the percentiles of its bootstrap distribution.

    It shows how loosely the rows determine the threshold. A minimum over a step function converges at the
    cube root of n, where the bootstrap is not exact (Abrevaya & Huang 2005, Econometrica 73:1175): decide by
    cost (`theory_gap`).
    """
    defaults, p = pair(y_true, y_prob, both=True)
    scores, cell = np.unique(p, return_inverse=True)
    key = np.sort(cell + scores.size * defaults)  # sorted: the result does not depend on the order of rows
    rng, draws = np.random.default_rng(seed), np.empty(positive("repeats", repeats))
    for i in range(repeats):
        drawn = key[rng.integers(p.size, size=p.size)]
        good, bad = np.bincount(drawn, minlength=2 * scores.size).reshape(2, -1)
        draws[i] = _cheapest(scores, bad, good, costs)
    return percentiles(best_threshold(y_true, y_prob, costs), draws)


def theory_gap(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    costs: Costs,
    *,
    folds: int = 10,
    repeats: int = 2000,
    seed: int = 0,
) -> ThresholdGap:
    """Compare the empirical threshold with the theoretical one, to decide which rule to use.

    On the rows that it was chosen on, the empirical threshold can only win. So it is chosen on all folds but
    one, judged on that one, and its losses there are compared, paired, with those of the theoretical
    threshold.
    """
    defaults, p = pair(y_true, y_prob, both=True)
    order = np.lexsort((defaults, p))
    defaults, p = defaults[order], p[order]
    fold = np.random.default_rng(seed).permutation(p.size) % min(positive("folds", folds), p.size)
    empirical = np.zeros(p.size, dtype=np.bool_)
    for k in np.unique(fold):
        held = fold == k
        empirical[held] = p[held] >= _cheapest(*_tally(defaults[~held], p[~held]), costs)
    theory = theoretical_threshold(costs)
    comparison = compare(losses(defaults, empirical, costs), losses(defaults, p >= theory, costs), repeats, seed)
    return ThresholdGap(theory, threshold_interval(defaults, p, costs, repeats, seed), comparison)


def policies(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    threshold: float,
    costs: Costs,
    *,
    repeats: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the model at its threshold with simpler ways to decide on the same rows.

    Returns
    -------
    DataFrame
        One row per policy: "model" (three-way where `costs.review` is set, then also "model without review"),
        "theoretical threshold", "threshold 0.5", "approve all", "refuse all". Columns: policy, approval_rate,
        review_rate, false_negatives, false_positives, cost, cost_low, cost_high (per applicant); saving,
        saving_low, saving_high (what the model saves against the policy, cost of policy minus cost of model);
        saving_share, saving_share_low, saving_share_high (as a share of the policy's cost);
        probability_cheaper (of the model).
    """
    defaults, p = pair(y_true, y_prob)
    two_way = replace(costs, review=None)
    rules = {"model": decide(p, costs, threshold)}
    if costs.review is not None:
        rules["model without review"] = decide(p, two_way, threshold)
    rules["theoretical threshold"] = decide(p, two_way)
    rules["threshold 0.5"] = decide(p, two_way, 0.5)
    rules["approve all"] = decide(p, two_way, NOBODY)
    rules["refuse all"] = decide(p, two_way, 0.0)
    model = losses(defaults, rules["model"], costs)
    rows = []
    for name, words in rules.items():
        loss = losses(defaults, words, costs)
        gain = compare(model, loss, repeats, seed)
        rows.append(
            {
                "policy": name,
                "approval_rate": float(np.mean(words == "approve")),
                "review_rate": float(np.mean(words == "review")),
                "false_negatives": int(np.sum(defaults & (words == "approve"))),
                "false_positives": int(np.sum(~defaults & (words == "decline"))),
                "probability_cheaper": gain.probability_cheaper,
            }
            | spread("cost", mean_interval(loss, repeats, seed))
            | spread("saving", -gain.difference)
            | spread("saving_share", gain.saving)
        )
    return pd.DataFrame(rows)
