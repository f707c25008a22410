"""The business cost as the search's scorer; knows no pipeline but its probabilities and its class weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, logit

from credit.evaluation.decisions import losses
from credit.portfolio import Costs

__all__ = ["business_cost", "ratios"]

SPAN, POINTS = 2.0, 15


def ratios(costs: Costs) -> list[Costs]:
    """Spread cost matrices around the stated one: from half to twice its ratio, evenly in its logarithm.

    Each is scaled so that its two costs add up to the stated ones: a mean over them is in the stated unit.
    """
    total = costs.false_negative + costs.false_positive
    centre = logit(costs.threshold)
    shares = expit(np.linspace(centre - np.log(SPAN), centre + np.log(SPAN), POINTS))
    return [Costs(float(total * (1 - share)), float(total * share)) for share in shares]


def business_cost(costs: Costs) -> Callable[[Any, Any, Any], float]:
    """Make the scorer of the search: minus the cost per applicant on unseen rows; higher is better.

    The cost at one threshold moves with a handful of clients, and picks other settings with every fold.  So it is
    the mean over cost ratios around the stated one, each at its own theoretical threshold: a business cost that
    only better probabilities can lower (it is a proper score: Buja, Stuetzle and Shen 2005).  A
    class-weighted model's probabilities are first brought back to the rows' own odds.  Measured against eleven
    other scorers: `docs/decisions/0004-search-scorer.md`.

    Parameters
    ----------
    costs : Costs
        The stated matrix.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``, as scikit-learn calls it.
    """
    matrices = ratios(costs)

    def score(estimator: Any, X: Any, y: Any) -> float:
        probability = estimator.predict_proba(X)[:, 1]
        if getattr(estimator[-1], "class_weight", None) == "balanced":
            bad = float(np.mean(y))
            probability = probability / (probability + (1 - bad) / bad * (1 - probability))
        spent = [losses(y, probability >= matrix.threshold, matrix).mean() for matrix in matrices]
        return -float(np.mean(spent))

    return score
