"""What moves a score: exact SHAP values of a scorer, by feature and by concept; knows no page and no language."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from credit.errors import ModelError
from credit.features import Feature
from credit.scoring.scorer import Scorer

__all__ = ["Effect", "Explanation", "contributions", "explain", "importance"]

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Effect:
    """What a concept, or a feature, does to one applicant's score.

    Parameters
    ----------
    name : str
        The concept or feature.
    log_odds : float
        Its SHAP value; above 0 it speaks for a default.
    probability : float
        Its share of the way from the base probability to the applicant's, in probability.
    """

    name: str
    log_odds: float
    probability: float


@dataclass(frozen=True)
class Explanation:
    """One applicant's score, taken apart.

    Parameters
    ----------
    base, raw : float
        The raw score that the values start from, and the applicant's, in log-odds before calibration.
    base_probability, probability : float
        The same two, calibrated.
    concepts, features : tuple of Effect
        The strongest first, whatever their sign; each sums to ``raw - base`` and ``probability - base_probability``.

    Notes
    -----
    SHAP values are exact in log-odds.  On the scale of probabilities each keeps its share of the whole way: effect x
    (probability - base_probability) / (raw - base).  As calibration never falls, signs and ranks stay.
    """

    base: float
    raw: float
    base_probability: float
    probability: float
    concepts: tuple[Effect, ...]
    features: tuple[Effect, ...]


def explain(scorer: Scorer, features: Sequence[Feature], frame: pd.DataFrame) -> list[Explanation]:
    """Explain rows of features, one `Explanation` each; `features` are the scorer's own, with their concepts."""
    values, base = contributions(scorer, frame)
    concept = {feature.name: feature.concept for feature in features}
    grouped = values.T.groupby(concept, sort=False).sum().T
    raw = scorer.raw(frame)
    start, ends = float(scorer.calibration.apply([base])[0]), scorer.calibration.apply(raw)
    made = []
    for at, (score, end) in enumerate(zip(raw.tolist(), ends.tolist(), strict=True)):
        slope = (end - start) / (score - base) if score != base else 0.0
        parts = [_effects(table.iloc[at], slope) for table in (grouped, values)]
        made.append(Explanation(base, score, start, end, *parts))
    return made


def _effects(row: pd.Series, slope: float) -> tuple[Effect, ...]:
    ranked = row.sort_values(key=lambda values: -values.abs(), kind="stable")
    return tuple(Effect(str(name), float(value), float(value) * slope) for name, value in ranked.items())


def contributions(scorer: Scorer, frame: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Attribute each row's raw score to the features.

    Parameters
    ----------
    scorer : Scorer
        The model.
    frame : DataFrame, n rows
        At least the scorer's features.

    Returns
    -------
    values : DataFrame, n rows
        One column a feature, in log-odds; a missing indicator counts with its feature.
    base : float
        The raw score that the values start from.

    Raises
    ------
    ModelError
        If base and values do not add up to the raw score within 1e-6.

    Notes
    -----
    LightGBM's own ``pred_contrib`` is TreeSHAP (Lundberg, Erion and Lee, 2018), path-dependent; the tests
    hold it equal to `shap.TreeExplainer`.
    """
    matrix = scorer.matrix(frame)
    values = np.asarray(scorer.booster.predict(matrix, pred_contrib=True, num_threads=1))
    if not np.allclose(values.sum(axis=1), scorer.raw(frame), rtol=0, atol=TOLERANCE):
        raise ModelError("SHAP values: they do not add up to the raw score; the model file is not what was trained.")
    names = [item.name for item in scorer.inputs]
    names += [item.name for item in scorer.inputs if item.indicator]
    table = pd.DataFrame(values[:, :-1].T, index=names).groupby(level=0, sort=False).sum().T
    return table.set_index(frame.index), float(values[0, -1])


def importance(values: pd.DataFrame) -> pd.Series:
    """Average the absolute contribution of each feature, strongest first; in log-odds.

    Parameters
    ----------
    values : DataFrame
        From `contributions`.

    Returns
    -------
    Series
        By feature name.
    """
    means: NDArray[np.float64] = values.abs().mean(axis=0).to_numpy()
    return pd.Series(means, index=values.columns).sort_values(ascending=False, kind="stable")
