"""What moves a score: exact SHAP values of a scorer, by feature and by concept; knows no page and no language."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from credit.errors import ModelError
from credit.features import Feature
from credit.scoring.scorer import Scorer
from credit.training.calibration import Calibration

__all__ = ["Attribution", "Effect", "Explanation", "attribute", "contributions", "explain", "importance"]

TOLERANCE = 1e-6
#: Nearer together than this, base and score have the slope of the calibration at the base for the slope between them.
NEAR = 1e-9

Floats = NDArray[np.float64]


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
    (probability - base_probability) / (raw - base).  This is the effect's Aumann-Shapley value of the calibration: its
    slope, averaged over the straight way from base to score.  As calibration never falls, signs and ranks stay.  Where
    it is flat all the way from base to score (an isotonic step), every effect is 0: the model tells the two apart, the
    probability does not, and ranks stay those of the log-odds.
    """

    base: float
    raw: float
    base_probability: float
    probability: float
    concepts: tuple[Effect, ...]
    features: tuple[Effect, ...]


@dataclass(frozen=True)
class Attribution:
    """Many applicants' scores, taken apart, as arrays.

    Parameters
    ----------
    names : tuple of str
        The features, in the scorer's order.
    by_feature : ndarray, shape (n, features)
        SHAP values in log-odds; a missing indicator counts with its feature.
    concepts : tuple of str
        In the order in which the features first name them.
    by_concept : ndarray, shape (n, concepts)
        The same, summed within each concept.
    base : float
        The raw score that the values start from.
    raw : ndarray, shape (n,)
        Raw scores.
    matrix : ndarray, shape (n, columns)
        The rows as the model reads them.
    calibration : Calibration
        The scorer's.
    """

    names: tuple[str, ...]
    by_feature: Floats
    concepts: tuple[str, ...]
    by_concept: Floats
    base: float
    raw: Floats
    matrix: Floats = field(repr=False)
    calibration: Calibration

    def ends(self, at: int) -> tuple[float, float]:
        """Return the base and one applicant's score as probabilities."""
        start, end = self.calibration.apply([self.base, self.raw[at]])
        return float(start), float(end)

    def slope(self, at: int) -> float:
        """Return what a log-odd is worth in probability, on average between the base and one applicant's score."""
        way = float(self.raw[at]) - self.base
        if abs(way) > NEAR:
            start, end = self.ends(at)
            return (end - start) / way
        low, high = self.calibration.apply([self.base - NEAR, self.base + NEAR])
        return float(high - low) / (2 * NEAR)

    def explanation(self, at: int) -> Explanation:
        """Explain one applicant."""
        slope = self.slope(at)
        concepts = _effects(self.concepts, self.by_concept[at], slope)
        features = _effects(self.names, self.by_feature[at], slope)
        return Explanation(self.base, float(self.raw[at]), *self.ends(at), concepts, features)


def attribute(scorer: Scorer, features: Sequence[Feature], frame: pd.DataFrame) -> Attribution:
    """Take the scores of rows of features apart.

    Parameters
    ----------
    scorer : Scorer
        The model.
    features : sequence of Feature
        The scorer's own, with their concepts, perhaps among others.
    frame : DataFrame, n rows
        At least the scorer's features.

    Returns
    -------
    Attribution
        Of all rows.

    Raises
    ------
    ModelError
        If base and values do not add up to the raw score of a row within 1e-6.
    """
    names = tuple(item.name for item in scorer.inputs)
    concept = {feature.name: feature.concept for feature in features}
    concepts = tuple(dict.fromkeys(concept[name] for name in names))
    place = {each: at for at, each in enumerate(concepts)}
    gathered = np.zeros((len(names), len(concepts)))
    gathered[np.arange(len(names)), [place[concept[name]] for name in names]] = 1.0
    matrix = scorer.matrix(frame)
    values, base, raw = _shap(scorer, matrix)
    return Attribution(names, values, concepts, values @ gathered, base, raw, matrix, scorer.calibration)


def explain(scorer: Scorer, features: Sequence[Feature], frame: pd.DataFrame) -> list[Explanation]:
    """Explain rows of features, one `Explanation` each; see `attribute` for many of which few are looked at."""
    attribution = attribute(scorer, features, frame)
    return [attribution.explanation(at) for at in range(len(frame))]


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
    values, base, _ = _shap(scorer, scorer.matrix(frame))
    return pd.DataFrame(values, index=frame.index, columns=[item.name for item in scorer.inputs]), base


def importance(values: pd.DataFrame) -> pd.Series:
    """Average the absolute contribution of each feature, strongest first; in log-odds.

    Parameters
    ----------
    values : DataFrame
        From `contributions`, or `Attribution.by_concept` with the concepts as columns.

    Returns
    -------
    Series
        By feature name, or concept.
    """
    means: Floats = values.abs().mean(axis=0).to_numpy()
    return pd.Series(means, index=values.columns).sort_values(ascending=False, kind="stable")


def _shap(scorer: Scorer, matrix: Floats) -> tuple[Floats, float, Floats]:
    """Return values (n, features), base and raw scores (n,) that have been checked to agree."""
    inputs = len(scorer.inputs)
    if not len(matrix):
        return np.empty((0, inputs)), 0.0, np.empty(0)
    made = np.asarray(scorer.booster.predict(matrix, pred_contrib=True, num_threads=1))
    raw = np.asarray(scorer.booster.predict(matrix, raw_score=True, num_threads=1))
    if not np.abs(made.sum(axis=1) - raw).max() <= TOLERANCE:
        raise ModelError("SHAP values: they do not add up to the raw score; the model file is not what was trained.")
    flagged = [at for at, item in enumerate(scorer.inputs) if item.indicator]
    values = made[:, :inputs].copy()
    values[:, flagged] += made[:, inputs:-1]
    return values, float(made[0, -1]), raw


def _effects(names: Sequence[str], values: Floats, slope: float) -> tuple[Effect, ...]:
    order = np.argsort(-np.abs(values), kind="stable").tolist()
    held = values.tolist()
    return tuple(Effect(names[at], held[at], held[at] * slope) for at in order)
