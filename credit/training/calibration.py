"""Raw scores to probabilities of default, by the map that out-of-fold rows favour; knows no model."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

__all__ = ["METHODS", "Calibration", "choose", "fit"]

Method = Literal["none", "sigmoid", "isotonic"]
#: What a double can hold off 1.
SMALLEST = 2.0**-53
METHODS: tuple[Method, ...] = ("none", "sigmoid", "isotonic")


@dataclass(frozen=True)
class Calibration:
    """A fitted map from raw score (log-odds) to probability of default, as plain numbers.

    Parameters
    ----------
    method : {"none", "sigmoid", "isotonic"}
        How `x` and `y` are read.
    x, y : tuple of float
        sigmoid: ``x = (slope,)`` and ``y = (intercept,)``; isotonic: the knots, scores ascending
        against probabilities ascending; none: empty.
    """

    method: Method = "none"
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS or len(self.x) != len(self.y) or bool(self.x) == (self.method == "none"):
            raise ValueError(f"calibration: {self.method!r} with {len(self.x)} x and {len(self.y)} y.")

    def apply(self, score: ArrayLike) -> NDArray[np.float64]:
        """Map raw scores, shape (n,), to probabilities of default, shape (n,), in (0, 1)."""
        raw = np.asarray(score, dtype=np.float64)
        if self.method == "isotonic":
            return np.interp(raw, self.x, self.y)
        if self.method == "sigmoid":
            raw = self.x[0] * raw + self.y[0]
        return np.asarray(np.clip(expit(raw), SMALLEST, 1 - SMALLEST))

    def to_dict(self) -> dict[str, Any]:
        """Return what `Calibration(**...)` takes, as JSON can hold it."""
        return {"method": self.method, "x": list(self.x), "y": list(self.y)}


def fit(method: Method, score: ArrayLike, y_true: ArrayLike) -> Calibration:
    """Fit one map on scores of rows that the scoring model has not seen.

    Parameters
    ----------
    method : {"none", "sigmoid", "isotonic"}
        "sigmoid" is logistic regression of the outcome on the score (Platt, 1999); "isotonic" the
        monotone least-squares fit (Zadrozny and Elkan, 2002), its ends held off 0 and 1 by half a row.
    score : array-like of float, shape (n,)
        Out-of-fold raw scores, log-odds.
    y_true : array-like of {0, 1}, shape (n,)
        1 = default.

    Returns
    -------
    Calibration
        The fitted map.
    """
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415  (a scorer applies maps without sklearn)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    raw, outcome = np.asarray(score, dtype=np.float64), np.asarray(y_true)
    if method == "sigmoid":
        model = LogisticRegression(C=np.inf).fit(raw[:, None], outcome)
        if model.coef_[0, 0] < 0:  # the best of the maps that turn no ranking round
            return Calibration("sigmoid", (0.0,), (float(logit(outcome.mean())),))
        return Calibration("sigmoid", (float(model.coef_[0, 0]),), (float(model.intercept_[0]),))
    if method == "isotonic":
        half = 0.5 / len(raw)
        model = IsotonicRegression(y_min=half, y_max=1 - half, out_of_bounds="clip").fit(raw, outcome)
        return Calibration("isotonic", tuple(map(float, model.X_thresholds_)), tuple(map(float, model.y_thresholds_)))
    return Calibration()


def choose(score: ArrayLike, y_true: ArrayLike, seed: int, folds: int = 5) -> tuple[Calibration, dict[str, float]]:
    """Choose the method by cross-fitted log loss, then fit it on all rows.

    Parameters
    ----------
    score : array-like of float, shape (n,)
        Out-of-fold raw scores of train rows.
    y_true : array-like of {0, 1}, shape (n,)
        1 = default.
    seed : int
        Of the folds.
    folds : int
        How many.

    Returns
    -------
    calibration : Calibration
        The winner; the simpler method wins a tie.
    losses : dict of str to float
        Mean log loss of each method over rows its fit has not seen; lower is better.
    """
    from sklearn.metrics import log_loss  # noqa: PLC0415
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415

    raw, outcome = np.asarray(score, dtype=np.float64), np.asarray(y_true)
    parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(raw, outcome))
    losses: dict[str, float] = {}
    for method in METHODS:
        probability = np.empty(len(raw))
        for inside, outside in parts:
            probability[outside] = fit(method, raw[inside], outcome[inside]).apply(raw[outside])
        losses[method] = float(log_loss(outcome, probability))
    winner = min(METHODS, key=lambda method: losses[method])
    return fit(winner, raw, outcome), losses
