"""A fitted scikit-learn pipeline to the plain scorer that is registered; proves them equal."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from credit.errors import ModelError
from credit.features import Feature
from credit.portfolio import Portfolio
from credit.scoring.scorer import Input, Scorer
from credit.training.candidates import MISSING, ordered
from credit.training.search import Fitted

__all__ = ["export"]


def export(
    fitted: Fitted,
    portfolio: Portfolio,
    features: tuple[Feature, ...],
    threshold: float,
    sample: pd.DataFrame,
) -> Scorer:
    """Turn a fitted candidate into a scorer.

    Parameters
    ----------
    fitted : Fitted
        A LightGBM candidate.
    portfolio : Portfolio
        The book.
    features : tuple of Feature
        Those that the candidate was fitted on, perhaps among others.
    threshold : float
        Applicants at or above this probability are declined.
    sample : DataFrame
        Rows of train on which both must agree bit for bit.

    Returns
    -------
    Scorer
        Predicts what the pipeline and its calibration predict, without scikit-learn.

    Raises
    ------
    ModelError
        If the candidate is a reference, or the two disagree.
    """
    if fitted.candidate.reference:
        raise ModelError(f"{fitted.candidate.name}: a reference is never registered; choose a LightGBM candidate.")
    meanings = {feature.name: feature.digest for feature in features}
    kept = ordered(tuple(feature for feature in features if feature.name in fitted.features))
    prepare = fitted.pipeline[0].named_transformers_
    categories = [f.name for f in kept if f.kind == "category"]
    numbers = [f.name for f in kept if f.kind == "number"]
    inputs = (
        *_categories(prepare.get("categories"), categories, meanings),
        *_numbers(prepare.get("numbers"), numbers, meanings),
    )
    about = {
        "portfolio": portfolio.name,
        "portfolio_digest": portfolio.digest,
        "key": portfolio.key,
        "candidate": fitted.candidate.name,
        "parameters": fitted.parameters,
        "seed": portfolio.training.seed,
    }
    model = fitted.pipeline[-1].booster_.model_to_string()
    scorer = Scorer(inputs, model, fitted.calibration, threshold, portfolio.costs, about)
    if not np.array_equal(scorer.raw(sample), fitted.raw(sample)):
        raise ModelError(
            f"{fitted.candidate.name}: the exported scorer disagrees with its pipeline; this is a fault of "
            "the export, not of the data; please report it with the versions in use."
        )
    return scorer


def _categories(encoder: Any, names: list[str], meanings: dict[str, str]) -> list[Input]:
    if not names:
        return []
    fill = isinstance(encoder, Pipeline)
    found = (encoder[-1] if fill else encoder).categories_
    inputs = []
    for name, values in zip(names, found, strict=True):
        levels = tuple(str(level) for level in values if not pd.isna(level))
        inputs.append(Input(name, meanings[name], levels, MISSING if fill and MISSING in levels else None))
    return inputs


def _numbers(imputer: Any, names: list[str], meanings: dict[str, str]) -> list[Input]:
    fills = getattr(imputer, "statistics_", None)
    if fills is None:
        return [Input(name, meanings[name]) for name in names]
    flagged = set(imputer.indicator_.features_)
    # An all-missing column has no median; scikit-learn keeps it as zeros.
    return [
        Input(name, meanings[name], None, 0.0 if np.isnan(fill) else float(fill), at in flagged)
        for at, (name, fill) in enumerate(zip(names, fills, strict=True))
    ]
