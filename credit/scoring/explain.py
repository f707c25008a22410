"""What moves a score: exact SHAP values of a scorer; knows no page and no language."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from credit.errors import ModelError
from credit.scoring.scorer import Scorer

__all__ = ["contributions", "importance"]

TOLERANCE = 1e-6


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
