"""What clients are expected to cost, cell by cell, and how surely; knows no limit, no ledger and no file.

With p a calibrated probability of default, and L1 and L0 what the decision taken costs if the client defaults and if
not, a client is expected to cost p L1 + (1 - p) L0 (Kivimäki, Białek, Nurminen & Kuberski 2024, arXiv:2407.08649).
That holds while p means what it meant: what else changes shows in outcomes only.  How far p is calibrated is known from
the validation rows alone, so p is recalibrated on them, and what they leave open widens every interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from credit.errors import DataError
from credit.evaluation.checks import Floats, probabilities
from credit.evaluation.decisions import DECISIONS, losses
from credit.evaluation.intervals import normal_quantile
from credit.evaluation.metrics import MARGIN, calibration_slope_intercept
from credit.monitoring.findings import Severity
from credit.portfolio import Costs
from credit.scoring.baseline import OUTCOME, SCORE

__all__ = ["CHANCE", "Call", "Codes", "Recalibration", "Tally", "chance", "expected", "judged", "stakes", "tally"]

#: How sure it must be that a figure is not 0 by chance.  Some ten figures are looked at in each window; at this level
#: fewer than one window in a hundred alerts by chance.
CHANCE: Mapping[Severity, float] = {"WARN": 0.99, "ALERT": 0.9995}
Codes = npt.NDArray[np.intp]
#: A severity, and the limit and the floor that were exceeded.
Call = tuple[Severity, float, float]


@dataclass(frozen=True)
class Recalibration:
    """What the validation rows say about the probabilities: P(default) = expit(shift + slope logit(p)).

    Attributes
    ----------
    shift, slope : float
        0 and 1 where the probabilities are right as they stand.
    covariance : array of shape (2, 2)
        How well the validation rows determine the two.
    """

    shift: float
    slope: float
    covariance: Floats

    @classmethod
    def measure(cls, validation: pd.DataFrame) -> "Recalibration":
        """Fit it; `validation` has `SCORE` and `OUTCOME`, of rows that no model was fitted on.

        Raises
        ------
        DataError
            One outcome only, or scores that are all equal or separate the outcomes.
        """
        y, p = (validation[name].to_numpy(np.float64) for name in (OUTCOME, SCORE))
        try:
            found = calibration_slope_intercept(y, p)
        except DataError as error:
            raise DataError(f"validation rows of the model: {error} Train again, on more rows.") from error
        shift, slope = found.intercept.estimate, found.slope.estimate
        z = logit(np.clip(p, MARGIN, 1 - MARGIN))
        fitted, X = expit(shift + slope * z), np.column_stack([np.ones(z.size), z])
        return cls(shift, slope, np.linalg.inv(X.T @ (X * (fitted * (1 - fitted))[:, None])))

    def apply(self, p: Floats) -> Floats:
        """Return the probabilities of default that the validation rows speak for."""
        return np.asarray(expit(self.shift + self.slope * logit(np.clip(p, MARGIN, 1 - MARGIN))))

    def variance(self, tilt: Floats) -> Floats:
        """Return the variance that it adds to k figures, given how they move with the shift and the slope; (k, 2)."""
        return np.asarray(np.einsum("ki,ij,kj->k", tilt, self.covariance, tilt))


@dataclass(frozen=True)
class Tally:
    """The cost to expect of the clients of each of k cells; without a client it is NaN.

    Attributes
    ----------
    rows : array of shape (k,)
        Clients.
    mean : array of shape (k,)
        Expected cost per client.
    spread : array of shape (k,)
        Variance of the expected cost between clients.
    luck : array of shape (k,)
        Mean variance of a client's cost around what is expected: nobody knows who will default.
    tilt : array of shape (k, 2)
        How the mean moves with the shift and the slope of the recalibration.
    bend : array of shape (k,)
        Mean third central moment of a client's cost around what is expected: few defaults make a lopsided sum.
    """

    rows: Floats
    mean: Floats
    spread: Floats
    luck: Floats
    tilt: Floats
    bend: Floats

    def error(self, recalibration: Recalibration) -> Floats:
        """Return the standard error of the realised around the expected cost of these very clients, (k,)."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.luck / self.rows + recalibration.variance(self.tilt))

    def skewness(self, recalibration: Recalibration) -> Floats:
        """Return the skewness of the realised around the expected cost of these very clients, (k,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.bend / self.rows**2 / self.error(recalibration) ** 3)

    def growth(self, before: "Tally", recalibration: Recalibration) -> tuple[Floats, Floats]:
        """Return the logarithm of mean over the mean before, and its standard error, each (k,).

        Both are samples of applicants; what the recalibration leaves open cancels as far as it moves both alike.
        """
        tilt = self.tilt / self.mean[:, None] - before.tilt / before.mean[:, None]
        with np.errstate(invalid="ignore"):
            sampling = sum(each.spread / (each.rows * each.mean**2) for each in (self, before))
        return np.log(self.mean / before.mean), np.sqrt(sampling + recalibration.variance(tilt))


def stakes(decisions: npt.ArrayLike, costs: Costs) -> tuple[Floats, Floats]:
    """Return what each decision costs if the client defaults, and if not; each of shape (n,).

    Raises
    ------
    DataError
        If one is missing or unknown, or a review where the portfolio has no cost of it.
    """
    codes, found = pd.factorize(pd.Series(decisions))
    words = [str(word) for word in found]
    if wrong := [word for word in words if word not in DECISIONS]:
        raise DataError(f"decisions: must be one of {', '.join(DECISIONS)}, found {wrong[0]!r}; mend the source.")
    if (codes < 0).any():
        raise DataError(f"decisions: {int((codes < 0).sum()):,} are missing; leave those applicants out.")
    if costs.review is None and "review" in words:
        raise DataError(
            "decisions: some are 'review', which costs nothing known; set review in the portfolio's [costs]."
        )
    bad, good = (
        losses(np.full(len(words), outcome), words, costs) if len(words) else np.empty(0) for outcome in (1, 0)
    )
    return bad[codes], good[codes]


def expected(probability: npt.ArrayLike, decisions: npt.ArrayLike, costs: Costs) -> Floats:
    """Return what each client is expected to cost, p L1 + (1 - p) L0, shape (n,)."""
    bad, good = stakes(decisions, costs)
    p = probabilities("probability", probability, bad.size)
    return np.asarray(p * bad + (1 - p) * good)


def tally(
    probability: npt.ArrayLike,
    decisions: npt.ArrayLike,
    costs: Costs,
    recalibration: Recalibration,
    codes: Codes | None = None,
    size: int = 1,
) -> Tally:
    """Sum up clients by cell.

    Parameters
    ----------
    probability, decisions : array_like of shape (n,)
        As the model states them, and as they were taken.
    costs : Costs
    recalibration : Recalibration
    codes : array of int, shape (n,), optional
        Each client's cell, in range(size); by default all are in one.
    """
    bad, good = stakes(decisions, costs)
    stated = probabilities("probability", probability, bad.size) if bad.size else np.empty(0)
    z, p = logit(np.clip(stated, MARGIN, 1 - MARGIN)), recalibration.apply(stated)
    cost, stake, w = p * bad + (1 - p) * good, bad - good, p * (1 - p)
    cell = np.zeros(p.size, dtype=np.intp) if codes is None else codes
    rows = np.bincount(cell, minlength=size).astype(np.float64)

    def mean(values: Floats) -> Floats:
        total = np.bincount(cell, weights=values, minlength=size)
        return np.asarray(np.divide(total, rows, out=np.full(size, np.nan), where=rows > 0))

    center = mean(cost)
    spread, tilt = mean((cost - center[cell]) ** 2), np.column_stack([mean(w * stake), mean(w * z * stake)])
    return Tally(rows, center, spread, mean(w * stake**2), tilt, mean(w * (1 - 2 * p) * stake**3))


def chance(error: float, family: int = 1, skewness: float = 0.0) -> dict[Severity, float]:
    """Return what chance alone reaches at either severity, looking at `family` such figures (Šidák 1967, JASA 62:626).

    A skewness moves the normal quantile z by skewness (z^2 - 1) / 6 (Cornish & Fisher 1938), and never towards 0.
    """
    quantiles = {word: normal_quantile(level ** (1 / max(family, 1))) for word, level in CHANCE.items()}
    return {word: error * (z + max(skewness, 0.0) * (z**2 - 1) / 6) for word, z in quantiles.items()}


def judged(value: float, limits: tuple[float, float], floors: Mapping[Severity, float]) -> Call | None:
    """Return the loudest severity whose limit and floor a value exceeds, with these two; None if it exceeds neither."""
    severities: tuple[Severity, Severity] = ("ALERT", "WARN")
    for severity, limit in zip(severities, reversed(limits), strict=True):
        if value > limit and value > floors[severity]:
            return severity, limit, floors[severity]
    return None
