"""Which candidate wins on validation, and the threshold it decides with; sees no train or test row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from credit.errors import ModelError
from credit.evaluation.cost import ThresholdGap, compare, cost_at, losses, mean_interval, theory_gap
from credit.evaluation.metrics import auc_interval, brier, log_loss
from credit.portfolio import Costs

__all__ = ["Choice", "choose", "pick_threshold"]

REPEATS = 500  # of the bootstrap behind the threshold; its own loop is the slow part of the choice


@dataclass(frozen=True)
class Choice:
    """The outcome of the competition on validation rows.

    Parameters
    ----------
    winner : str
        The cheapest candidate that may be registered.
    threshold : float
        What it decides with: declined at or above.
    rule : {"theoretical", "empirical"}
        Where the threshold comes from; see `pick_threshold`.
    gap : ThresholdGap
        The two thresholds compared on validation.
    leaderboard : DataFrame
        One row per candidate and reference, cheapest first: ``candidate``, ``reference``, ``threshold``,
        ``rule``, ``cost`` and ``auc`` with ``_low`` and ``_high``, ``brier``, ``log_loss``, ``cost_at_half``
        (threshold 0.5), and ``probability_cheaper`` (that the winner is cheaper than this one, paired).
    """

    winner: str
    threshold: float
    rule: str
    gap: ThresholdGap
    leaderboard: pd.DataFrame


def pick_threshold(
    y_true: ArrayLike, y_prob: ArrayLike, costs: Costs, seed: int = 0
) -> tuple[float, str, ThresholdGap]:
    """Take the theoretical threshold, unless validation rows show that another is cheaper.

    Parameters
    ----------
    y_true : array-like of {0, 1}, shape (n,)
        1 = default.
    y_prob : array-like of float, shape (n,)
        Calibrated probabilities of default.
    costs : Costs
        The cost matrix.
    seed : int
        Of the bootstrap.

    Returns
    -------
    threshold : float
        c_fp / (c_fp + c_fn), or the cheapest on these rows where the paired 95% interval of its
        cross-fitted cost against theory's lies below 0.
    rule : {"theoretical", "empirical"}
        Which it is.
    gap : ThresholdGap
        The comparison behind it.

    Notes
    -----
    The rule was measured against always taking either; see `docs/decisions/0005-threshold.md`.
    """
    gap = theory_gap(y_true, y_prob, costs, repeats=REPEATS, seed=seed)
    if gap.comparison.difference.high < 0:
        return gap.empirical.estimate, "empirical", gap
    return gap.theoretical, "theoretical", gap


def choose(
    y_true: ArrayLike,
    probabilities: Mapping[str, NDArray[np.float64]],
    references: frozenset[str],
    costs: Costs,
    seed: int = 0,
) -> Choice:
    """Pick the candidate with the lowest cost on validation.

    Parameters
    ----------
    y_true : array-like of {0, 1}, shape (n,)
        Outcomes of the validation rows.
    probabilities : mapping of str to ndarray, shape (n,)
        Each candidate's calibrated probabilities on those rows.
    references : frozenset of str
        Candidates that cannot win.
    costs : Costs
        The cost matrix.
    seed : int
        Of the bootstraps.

    Returns
    -------
    Choice
        Of candidates equally cheap, the first named.

    Raises
    ------
    ModelError
        If no candidate is left.
    """
    picks = {name: pick_threshold(y_true, p, costs, seed) for name, p in probabilities.items()}
    spent = {name: losses(y_true, probabilities[name] >= picks[name][0], costs) for name in picks}
    eligible = [name for name in picks if name not in references]
    if not eligible:
        raise ModelError("choice: every candidate failed, only references are left; read the failed steps' messages.")
    winner = min(eligible, key=lambda name: spent[name].mean())
    rows = [
        _row(
            name,
            y_true,
            probabilities[name],
            picks[name],
            costs,
            spent[name],
            spent[winner],
            name in references,
        )
        for name in picks
    ]
    board = pd.DataFrame(rows).sort_values("cost", kind="stable", ignore_index=True)
    threshold, rule, gap = picks[winner]
    return Choice(winner, threshold, rule, gap, board)


def _row(
    name: str,
    y_true: ArrayLike,
    y_prob: NDArray[np.float64],
    pick: tuple[float, str, ThresholdGap],
    costs: Costs,
    spent: NDArray[np.float64],
    best: NDArray[np.float64],
    reference: bool,
) -> dict[str, Any]:
    cost, auc = mean_interval(spent), auc_interval(y_true, y_prob)
    return {
        "candidate": name,
        "reference": reference,
        "threshold": pick[0],
        "rule": pick[1],
        "cost": cost.estimate,
        "cost_low": cost.low,
        "cost_high": cost.high,
        "auc": auc.estimate,
        "auc_low": auc.low,
        "auc_high": auc.high,
        "brier": brier(y_true, y_prob),
        "log_loss": log_loss(y_true, y_prob),
        "cost_at_half": cost_at(y_true, y_prob, 0.5, costs),
        "probability_cheaper": compare(best, spent).probability_cheaper,
    }
