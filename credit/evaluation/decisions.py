"""Decisions from probabilities, and what each has cost; knows no model.

Target 1 is a default. Approving a client who defaults is a false negative, refusing one who would have paid a
false positive; a client is refused where y_prob >= threshold.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from credit.evaluation.checks import Booleans, Floats, booleans, outcomes, probabilities
from credit.portfolio import Costs

__all__ = ["NOBODY", "confusion", "decide", "expected_cost", "losses", "theoretical_threshold"]

Words = npt.NDArray[np.str_]
DECISIONS = ("approve", "review", "decline")
#: The smallest threshold that refuses nobody, and unlike infinity a number in JSON.
NOBODY = float(np.nextafter(1.0, 2.0))


def theoretical_threshold(costs: Costs) -> float:
    """Return c_fp / (c_fp + c_fn), the p from which refusing costs less (Elkan 2001, IJCAI, equation 2).

    Refusing costs (1 - p) c_fp in expectation and approving p c_fn. It holds for calibrated probabilities
    only: 1/11 for 10 to 1.
    """
    return costs.threshold


def decide(y_prob: npt.ArrayLike, costs: Costs, threshold: float | None = None) -> Words:
    """Turn probabilities of default into decisions.

    Refuse where y_prob >= threshold, else approve. With a review cost r, a case goes to review where the
    decision so taken has an expected cost (c_fn p if approved, c_fp (1 - p) if refused) above r. At the
    theoretical threshold this is the least of c_fn p, c_fp (1 - p) and r.

    Parameters
    ----------
    y_prob : array_like of shape (n,)
        Calibrated probabilities of default.
    costs : Costs
    threshold : float, optional
        By default the theoretical one.

    Returns
    -------
    array of str, shape (n,)
        "approve", "review" or "decline".
    """
    p = probabilities("y_prob", y_prob)
    cut = theoretical_threshold(costs) if threshold is None else threshold
    if not cut >= 0:
        raise ValueError(f"threshold: must be a number of at least 0, is {cut}.")
    words = np.where(p >= cut, "decline", "approve")
    if costs.review is None:
        return words
    return np.where(_row_losses(p, words, costs) > costs.review, "review", words)


def _words(decisions: npt.ArrayLike, rows: int) -> Words:
    """Return decisions as words; booleans mean "refused"."""
    array = np.asarray(decisions)
    if array.dtype.kind not in "OTU":
        return np.where(booleans("decisions", array, rows), "decline", "approve")
    words = array.astype(str)
    if words.shape != (rows,):
        raise ValueError(f"decisions: must have shape ({rows},) like the other inputs, has {words.shape}.")
    if unknown := sorted(set(np.unique(words)) - set(DECISIONS)):
        raise ValueError(f"decisions: must be one of {', '.join(DECISIONS)}; found {unknown[:3]}.")
    return words


def _row_losses(risk: Floats | Booleans, words: Words, costs: Costs) -> Floats:
    """Cost of each row; `risk` is the outcome, or its probability."""
    if costs.review is None and (words == "review").any():
        raise ValueError(
            "decisions: some are 'review', but costs.review is not set; set it in the portfolio's [costs]."
        )
    approved, refused = costs.false_negative * risk, costs.false_positive * (1.0 - risk)
    return np.select([words == "approve", words == "decline"], [approved, refused], costs.review or 0.0)


def losses(y_true: npt.ArrayLike, decisions: npt.ArrayLike, costs: Costs) -> Floats:
    """Return what each decision has cost, shape (n,).

    Parameters
    ----------
    y_true : array_like of shape (n,)
        1 = default.
    decisions : array_like of shape (n,)
        Words as `decide` gives them, or booleans with True for "refused". Never probabilities.
    costs : Costs
        A reviewed case costs `costs.review` whatever its outcome: the review is taken to decide rightly.
    """
    defaults = outcomes(y_true)
    return _row_losses(defaults.astype(np.float64), _words(decisions, defaults.size), costs)


def expected_cost(y_prob: npt.ArrayLike, decisions: npt.ArrayLike, costs: Costs) -> float:
    """Return the cost per applicant to expect of `decisions` if `y_prob` is calibrated; needs no outcome."""
    p = probabilities("y_prob", y_prob)
    return float(_row_losses(p, _words(decisions, p.size), costs).mean())


def confusion(y_true: npt.ArrayLike, decisions: npt.ArrayLike, costs: Costs) -> pd.DataFrame:
    """Return counts and total cost of each outcome with each decision.

    Returns
    -------
    DataFrame
        outcome ("repaid", "defaulted"), decision, n, cost (sum over the n rows); the decision "review" only
        where `costs.review` is set.
    """
    defaults = outcomes(y_true)
    words = _words(decisions, defaults.size)
    loss = _row_losses(defaults.astype(np.float64), words, costs)
    rows = []
    for outcome, mask in (("repaid", ~defaults), ("defaulted", defaults)):
        for word in DECISIONS:
            if word != "review" or costs.review is not None:
                cell = mask & (words == word)
                rows.append((outcome, word, int(cell.sum()), float(loss[cell].sum())))
    return pd.DataFrame(rows, columns=["outcome", "decision", "n", "cost"])
