"""Decisions and errors by protected group, with intervals; knows no model and no law.

In words: a *false positive* is a good client refused, so a group's false positive rate is the share of its
good clients that are refused; a *false negative* is a defaulter approved; the *approval ratio* (adverse
impact ratio) is a group's approval rate over that of the most approved group. It counts approvals, the
favourable outcome: the four-fifths rule (29 CFR 1607.4 D) applied to refusals or predicted defaults is
another, wrong, test.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from credit.evaluation.checks import Booleans, booleans, pair, positive
from credit.evaluation.intervals import Interval, newcombe, ratio, spread, wilson

__all__ = ["MISSING", "group_table"]

#: The group of those whose attribute is not known.
MISSING = "(missing)"


def _rate(name: str, event: Booleans, base: Booleans, inside: Booleans) -> dict[str, float]:
    """Return the share of `base` rows with `event` in the group, and its gap to that share in the rest."""
    (x, n), (x_rest, n_rest) = (
        (int(np.sum(event & base & rows)), int(np.sum(base & rows))) for rows in (inside, ~inside)
    )
    low, high = wilson(x, n)
    share = Interval(x / n if n else float("nan"), float(low), float(high))
    return spread(name, share) | spread(f"{name}_gap", newcombe(x, n, x_rest, n_rest))


def _names(groups: Any, rows: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the groups that occur, in their order, and each row's position among them."""
    series = pd.Series(groups).reset_index(drop=True)
    if series.size != rows:
        raise ValueError(f"groups: must have {rows} rows like the other inputs, has {series.size}.")
    codes, levels = pd.factorize(series, sort=True)
    names = [str(level) for level in levels]
    if (codes == -1).any():
        codes, names = np.where(codes == -1, len(names), codes), [*names, MISSING]
    return names, codes


def group_table(
    y_true: npt.ArrayLike,
    decline: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    groups: Any,
    min_size: int = 100,
) -> pd.DataFrame:
    """Return rates, errors and calibration by group.

    Parameters
    ----------
    y_true : array_like of shape (n,)
        1 = default.
    decline : array_like of bool, shape (n,)
        True where the client is refused; with three-way decisions a client sent to review is not refused.
    y_prob : array_like of shape (n,)
        Calibrated probabilities of default.
    groups : Series or array_like of shape (n,)
        The group of each row, by position. Missing ones form a group of their own.
    min_size : int
        Groups with fewer rows are flagged "small": report them, do not judge them.

    Returns
    -------
    DataFrame
        One row per group: group, n, defaults, small; then for each RATE of default_rate (observed),
        approval_rate, false_positive_rate (good clients refused), false_negative_rate (defaulters approved)
        the columns RATE, RATE_low, RATE_high (Wilson, 95%), and RATE_gap, RATE_gap_low, RATE_gap_high (group
        minus all others; Newcombe, 95%); mean_predicted, to hold against default_rate and its interval;
        approval_ratio, approval_ratio_low, approval_ratio_high (MOVER, 95%) to the most approved group that
        is not small, and `reference`, True for that group. Chance helps the best of many groups look good, so
        with many groups the ratio leans low. A rate without rows is NaN in [0, 1] (its gap in [-1, 1], the
        ratio in [0, inf]).
    """
    defaults, p = pair(y_true, y_prob)
    refused = booleans("decline", decline, p.size)
    names, codes = _names(groups, p.size)
    everyone = np.ones(p.size, dtype=np.bool_)
    rows = []
    for code, name in enumerate(names):
        inside = codes == code
        rows.append(
            {"group": name, "n": int(inside.sum()), "defaults": int(defaults[inside].sum())}
            | {
                "small": bool(inside.sum() < positive("min_size", min_size)),
                "mean_predicted": float(p[inside].mean()),
            }
            | _rate("default_rate", defaults, everyone, inside)
            | _rate("approval_rate", ~refused, everyone, inside)
            | _rate("false_positive_rate", refused, ~defaults, inside)
            | _rate("false_negative_rate", ~refused, defaults, inside)
        )
    table = pd.DataFrame(rows)
    approved = np.bincount(codes, weights=~refused, minlength=len(names)).astype(int)
    return table.join(_approval_ratios(table, approved))


def _approval_ratios(table: pd.DataFrame, approved: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return each group's approval rate over that of the most approved group that is not small."""
    rates = table["approval_rate"].where(~table["small"], -1.0).to_numpy()
    best = int(rates.argmax()) if (rates >= 0).any() else None
    rows = []
    for i, n in enumerate(table["n"]):
        share = ratio(approved[i], n, approved[best], table["n"][best]) if best is not None else ratio(0, 0, 0, 0)
        if i == best and approved[i]:
            share = Interval(1.0, 1.0, 1.0)
        rows.append(spread("approval_ratio", share) | {"reference": i == best})
    return pd.DataFrame(rows)
