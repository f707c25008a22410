"""The business cost as a scikit-learn scorer; knows no pipeline but its probabilities."""

from collections.abc import Callable
from typing import Any

import numpy as np

from credit.evaluation.decisions import losses
from credit.portfolio import Costs

__all__ = ["business_cost"]


def business_cost(costs: Costs) -> Callable[[Any, Any, Any], float]:
    """Make the scorer of the search: minus the cost per applicant on unseen rows; higher is better.

    Parameters
    ----------
    costs : Costs
        The cost matrix.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``.
    """

    def score(estimator: Any, X: Any, y: Any) -> float:
        probability = np.clip(estimator.predict_proba(X)[:, 1], 1e-6, 1 - 1e-6)
        return -float(losses(y, probability >= costs.threshold, costs).mean())

    return score
