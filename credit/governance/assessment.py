"""The one look at the test rows: every figure that the cards and the summary show; decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from credit.evaluation import fairness, metrics
from credit.evaluation.cost import best_threshold, compare, cost_curve, losses, mean_interval, policies
from credit.evaluation.decisions import confusion, decide
from credit.evaluation.intervals import Interval
from credit.features import Feature
from credit.portfolio import Portfolio
from credit.scoring import explain
from credit.scoring.scorer import Scorer
from credit.training.choice import Choice
from credit.training.dataset import Dataset
from credit.training.imputation import race
from credit.training.search import Fitted

__all__ = ["Assessment", "assess"]

AUC_GAP_GOAL = 0.004
IMPUTATION_GOAL = 0.90
RACE_ROWS = 1500
EXPLAINED_ROWS = 2000


@dataclass(frozen=True)
class Assessment:
    """A scorer on the test rows.

    Parameters
    ----------
    metrics : dict of str to Interval
        ``auc``, ``ks``, ``average_precision``, ``brier``, ``log_loss``, ``cost``, ``calibration_slope``,
        ``calibration_intercept``, ``calibration_in_the_large``.
    auc_gap : Interval
        AUC in cross-validation minus AUC on test.
    confusion, calibration, curve, scores, policies : DataFrame
        See `credit.evaluation`.
    references : DataFrame
        The references, and the candidate that does without history, on the same rows: ``model``, ``auc`` and
        ``cost`` with intervals, and the scorer's ``saving`` against each, paired.
    groups : dict of str to DataFrame
        Rates and errors for each protected attribute.
    importance : DataFrame
        ``feature``, ``label``, ``concept``, ``mean_abs`` (log-odds), strongest first.
    shap, shap_rows : DataFrame
        Contributions and feature values of some test rows.
    kpis : DataFrame
        The headline figures: ``figure``, ``value``, ``low``, ``high``, ``goal``, ``met``, ``note``.
    """

    metrics: dict[str, Interval]
    auc_gap: Interval
    confusion: pd.DataFrame
    calibration: pd.DataFrame
    curve: pd.DataFrame
    scores: pd.DataFrame
    policies: pd.DataFrame
    references: pd.DataFrame
    groups: dict[str, pd.DataFrame]
    importance: pd.DataFrame
    shap: pd.DataFrame
    shap_rows: pd.DataFrame
    kpis: pd.DataFrame


def assess(
    scorer: Scorer,
    fitted: Mapping[str, Fitted],
    choice: Choice,
    dataset: Dataset,
    portfolio: Portfolio,
    features: tuple[Feature, ...],
) -> Assessment:
    """Judge the winner on the test rows, which nothing has seen before.

    Parameters
    ----------
    scorer : Scorer
        The winner with its threshold.
    fitted : mapping of str to Fitted
        Every candidate and reference that did not fail.
    choice : Choice
        What validation decided.
    dataset : Dataset
        The folds.
    portfolio : Portfolio
        The book.
    features : tuple of Feature
        For the words of the importance.

    Returns
    -------
    Assessment
        Every figure.
    """
    test = dataset.load("test")
    y, p = test[portfolio.target].to_numpy(), scorer.predict(test)
    decided = decide(p, portfolio.costs, scorer.threshold)
    refused = decided == "decline"
    winner = fitted[choice.winner]
    gap = _auc_gap(winner, dataset, portfolio, y, p)
    table = policies(y, p, scorer.threshold, portfolio.costs)
    sample = test.head(EXPLAINED_ROWS)
    values, _ = explain.contributions(scorer, sample)
    return Assessment(
        metrics=_metrics(y, p, losses(y, decided, portfolio.costs)),
        auc_gap=gap,
        confusion=confusion(y, decided, portfolio.costs),
        calibration=metrics.calibration_table(y, p),
        curve=cost_curve(y, p, portfolio.costs),
        scores=metrics.score_table(y, p),
        policies=table,
        references=_references(fitted, choice, test, y, losses(y, decided, portfolio.costs), portfolio),
        groups=_groups(y, refused, p, dataset.groups(test[portfolio.key], portfolio.groups), portfolio),
        importance=_importance(values, features),
        shap=values,
        shap_rows=sample[list(values.columns)],
        kpis=_kpis(gap, table, _weighted_saving(fitted, dataset, portfolio, test, y), dataset),
    )


def _metrics(y: NDArray[Any], p: NDArray[np.float64], spent: NDArray[np.float64]) -> dict[str, Interval]:
    calibrated = metrics.calibration_slope_intercept(y, p)
    return {
        "auc": metrics.auc_interval(y, p),
        "ks": metrics.bootstrap(metrics.ks, y, p, repeats=500),
        "average_precision": metrics.bootstrap(metrics.average_precision, y, p, repeats=500),
        "brier": metrics.bootstrap(metrics.brier, y, p, repeats=500),
        "log_loss": metrics.bootstrap(metrics.log_loss, y, p, repeats=500),
        "cost": mean_interval(spent),
        "calibration_slope": calibrated.slope,
        "calibration_intercept": calibrated.intercept,
        "calibration_in_the_large": calibrated.in_the_large,
    }


def _auc_gap(
    winner: Fitted, dataset: Dataset, portfolio: Portfolio, y: NDArray[Any], p: NDArray[np.float64]
) -> Interval:
    outcomes = dataset.load("train")[portfolio.target].to_numpy()
    return metrics.auc_gap(outcomes, expit(winner.out_of_fold), y, p)


def _references(
    fitted: Mapping[str, Fitted],
    choice: Choice,
    test: pd.DataFrame,
    y: NDArray[Any],
    own: NDArray[np.float64],
    portfolio: Portfolio,
) -> pd.DataFrame:
    thresholds = choice.leaderboard.set_index("candidate")["threshold"]
    rows = []
    for name, model in fitted.items():
        without_history = model.candidate.features == "main" and name != choice.winner
        if not (model.candidate.reference or without_history):
            continue
        p = model.predict(test)
        theirs = losses(y, p >= thresholds[name], portfolio.costs)
        saved = compare(own, theirs).difference
        auc, cost = metrics.auc_interval(y, p), mean_interval(theirs)
        rows.append(
            {
                "model": name,
                "auc": auc.estimate,
                "auc_low": auc.low,
                "auc_high": auc.high,
                "cost": cost.estimate,
                "cost_low": cost.low,
                "cost_high": cost.high,
                "saving": -saved.estimate,
                "saving_low": -saved.high,
                "saving_high": -saved.low,
            }
        )
    return pd.DataFrame(rows)


def _groups(
    y: NDArray[Any],
    refused: NDArray[np.bool_],
    p: NDArray[np.float64],
    groups: pd.DataFrame,
    portfolio: Portfolio,
) -> dict[str, pd.DataFrame]:
    least = portfolio.limits.min_group
    return {str(name): fairness.group_table(y, refused, p, groups[name], least) for name in groups}


def _importance(values: pd.DataFrame, features: tuple[Feature, ...]) -> pd.DataFrame:
    words = {feature.name: feature for feature in features}
    strongest = explain.importance(values)
    return pd.DataFrame(
        {
            "feature": strongest.index,
            "label": [words[name].label.en for name in strongest.index],
            "concept": [words[name].concept for name in strongest.index],
            "mean_abs": strongest.to_numpy(),
        }
    )


def _weighted_saving(
    fitted: Mapping[str, Fitted], dataset: Dataset, portfolio: Portfolio, test: pd.DataFrame, y: NDArray[Any]
) -> Interval | None:
    """Measure what a tuned threshold saves against 0.5 on the raw class-weighted score, as a share."""
    weighted = next((model for model in fitted.values() if model.candidate.weighted), None)
    if weighted is None:
        return None
    validation = dataset.load("validation")
    outcomes = validation[portfolio.target].to_numpy()
    tuned = best_threshold(outcomes, expit(weighted.raw(validation)), portfolio.costs)
    score = expit(weighted.raw(test))
    return compare(losses(y, score >= tuned, portfolio.costs), losses(y, score >= 0.5, portfolio.costs)).saving


def _kpis(gap: Interval, table: pd.DataFrame, weighted: Interval | None, dataset: Dataset) -> pd.DataFrame:
    half = table.set_index("policy").loc["threshold 0.5"]
    calibrated = Interval(half["saving_share"], half["saving_share_low"], half["saving_share_high"])
    timed = race(dataset.load("train"), RACE_ROWS)
    tells = max(gap.high - gap.estimate, gap.estimate - gap.low) <= AUC_GAP_GOAL
    rows = [
        _kpi(
            "AUC gap, cross-validation to test",
            gap,
            f"|gap| < {AUC_GAP_GOAL}",
            abs(gap.estimate) < AUC_GAP_GOAL if tells else None,
            "" if tells else "the rows do not suffice to tell: the interval is wider than the goal",
        )
    ]
    if weighted is not None:
        note = "the raw class-weighted score, threshold tuned on validation"
        rows.append(_kpi("saving against 0.5, raw weighted score", weighted, "15% claimed", None, note))
    note = "calibrated: 0.5 approves nearly everyone"
    rows.append(_kpi("saving against 0.5, calibrated probability", calibrated, "far larger", calibrated.low > 0, note))
    if timed is not None:
        faster = Interval(timed.faster, timed.faster, timed.faster)
        note = f"{timed.rows:,} x {timed.columns}: {timed.simple:.3f} s against {timed.neighbours:.2f} s"
        met = timed.faster >= IMPUTATION_GOAL
        rows.append(_kpi("imputation, faster than KNNImputer", faster, f">= {IMPUTATION_GOAL:.0%}", met, note))
    return pd.DataFrame(rows)


def _kpi(figure: str, value: Interval, goal: str, met: bool | None, note: str) -> dict[str, Any]:
    shown = {"value": value.estimate, "low": value.low, "high": value.high}
    return {"figure": figure, **shown, "goal": goal, "met": met, "note": note}
