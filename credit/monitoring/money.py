"""What the decisions of a window are expected to cost before any outcome is known, beside what was promised.

See `credit.monitoring.expectation` for the estimator; knows no ledger and no file.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from credit.evaluation.decisions import DECISIONS, decide, losses
from credit.evaluation.intervals import LEVEL, Interval, mean_interval, normal_quantile
from credit.monitoring.expectation import Recalibration, chance, expected, judged, tally
from credit.monitoring.findings import Finding, Severity
from credit.portfolio import Costs, Monitoring
from credit.scoring.baseline import OUTCOME, SCORE

__all__ = [
    "Estimate",
    "Excess",
    "Promise",
    "around",
    "estimate",
    "excess",
    "expected",
    "findings",
    "promise",
    "promised",
]


@dataclass(frozen=True)
class Estimate:
    """The cost to expect of decisions.

    Attributes
    ----------
    expected : Interval
        Cost per applicant; the interval is for what these applicants will have cost once all outcomes are known.
    stated : float
        The same with the probabilities as the model states them.
    error : float
        Standard error of the realised around the expected cost.
    rows : int
        Applicants.
    decisions : dict of str to float
        Share of each decision.
    """

    expected: Interval
    stated: float
    error: float
    rows: int
    decisions: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dicts, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Promise:
    """What the model did on its validation rows: as estimated without outcomes, and as realised."""

    expected: Estimate
    realised: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dicts, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Excess:
    """The expected cost per applicant now over what was promised.

    Attributes
    ----------
    now, promised : float
        Costs per applicant.
    relative : Interval
        now / promised - 1.
    error : float
        Standard error of its logarithm, from the sampling of both and what the recalibration leaves open.
    """

    now: float
    promised: float
    relative: Interval
    error: float

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dicts, ready for JSON."""
        return asdict(self)


def estimate(scored: pd.DataFrame, costs: Costs, validation: pd.DataFrame) -> Estimate:
    """Estimate what decisions will have cost per applicant.

    Parameters
    ----------
    scored : DataFrame, n rows
        ``probability`` and ``decision``.
    costs : Costs
    validation : DataFrame
        `SCORE` and `OUTCOME` of the model's validation rows.

    Returns
    -------
    Estimate
        Its interval covers the realised cost while the probabilities mean what they meant on the validation rows.
    """
    return _estimate(scored, costs, Recalibration.measure(validation))


def _estimate(scored: pd.DataFrame, costs: Costs, recalibration: Recalibration) -> Estimate:
    p, decisions = scored["probability"].to_numpy(np.float64), scored["decision"]
    whole = tally(p, decisions, costs, recalibration)
    error = float(whole.error(recalibration)[0])
    stated = float(expected(p, decisions, costs).mean())
    shares = decisions.value_counts(normalize=True)
    mix = {word: float(shares.get(word, 0.0)) for word in DECISIONS if word != "review" or costs.review is not None}
    return Estimate(around(float(whole.mean[0]), error), stated, error, len(scored), mix)


def around(cost: float, error: float) -> Interval:
    """Return the normal interval around a cost, which is never below 0."""
    half = normal_quantile(LEVEL) * error
    return Interval(cost, max(cost - half, 0.0), cost + half)


def promised(validation: pd.DataFrame, costs: Costs, threshold: float) -> pd.DataFrame:
    """Return ``probability`` and ``decision`` of the validation rows, decided by the threshold."""
    p = validation[SCORE].to_numpy(np.float64)
    return pd.DataFrame({"probability": p, "decision": decide(p, costs, threshold)})


def promise(validation: pd.DataFrame, costs: Costs, threshold: float) -> Promise:
    """Say what the validation rows cost under the threshold, by the same estimator and as realised."""
    scored = promised(validation, costs, threshold)
    real = mean_interval(losses(validation[OUTCOME].to_numpy(np.float64), scored["decision"], costs))
    return Promise(estimate(scored, costs, validation), real)


def excess(scored: pd.DataFrame, costs: Costs, validation: pd.DataFrame, threshold: float) -> Excess:
    """Compare the expected cost per applicant with what was promised, by one estimator on both.

    Parameters
    ----------
    scored, costs, validation
        As in `estimate`.
    threshold : float
        The model's own, by which the validation rows are decided.
    """
    recalibration, before = Recalibration.measure(validation), promised(validation, costs, threshold)
    now, then = (tally(rows["probability"], rows["decision"], costs, recalibration) for rows in (scored, before))
    (growth,), (error,) = now.growth(then, recalibration)
    half = normal_quantile(LEVEL) * error
    relative = Interval(*(float(np.expm1(each)) for each in (growth, growth - half, growth + half)))
    return Excess(float(now.mean[0]), float(then.mean[0]), relative, float(error))


def findings(found: Excess, limits: Monitoring) -> list[Finding]:
    """Say where the expected cost is above what was promised by more than the limit and more than by chance."""
    value = found.relative.estimate
    floors: dict[Severity, float] = {word: float(np.expm1(each)) for word, each in chance(found.error).items()}
    if (call := judged(value, limits.cost, floors)) is None:
        return []
    severity, limit, floor = call
    why = (
        f"The decisions are expected to cost {found.now:.3f} per applicant, {value:.1%} more ({found.relative.low:.1%} "
        f"to {found.relative.high:.1%}) than the {found.promised:.3f} that the validation rows promised."
    )
    return [Finding(severity, "cost", "expected cost", value, limit, why, floor, value)]
