"""Which features are worth their place, found inside train; knows no validation or test row.

1. Real and null importance: in each fold LightGBM is fitted to the outcomes and to the same outcomes shuffled.  A
   feature passes if, over the folds, it gains more from the outcomes than from the shuffled ones.
2. Correlation clusters: of features whose ranks move together, the one with the highest gain stands for all.
3. Of more than the limit, those with the highest gain stay.

Null importance after Altmann et al., "Permutation importance: a corrected feature importance measure",
Bioinformatics 26 (2010).  Settings were measured: docs/decisions/0011-selection.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from credit.console import step
from credit.features import Feature
from credit.portfolio import Portfolio

__all__ = ["Selection", "select"]

LIMIT = 150
FOLDS = 5
CORRELATED = 0.98
MODEL: dict[str, Any] = {
    "n_estimators": 150,
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_child_samples": 40,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.2,
    "reg_lambda": 10.0,
    "cat_smooth": 50.0,
    "deterministic": True,
    "force_col_wise": True,
    "importance_type": "gain",
    "verbose": -1,
}
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Selection:
    """What was kept, and why the rest was not.

    Parameters
    ----------
    kept : tuple of str
        Names, in the features' order.
    table : DataFrame
        One row a feature, the strongest first: ``feature``, ``gain`` (mean over folds), ``null`` (the same from
        shuffled outcomes), ``represented_by`` (the feature that represents it), ``kept``.
    method : str
        What was done, in words.
    """

    kept: tuple[str, ...]
    table: pd.DataFrame
    method: str


def select(
    train: pd.DataFrame,
    portfolio: Portfolio,
    features: tuple[Feature, ...],
    *,
    threads: int = 1,
    report: Report | None = None,
    limit: int = LIMIT,
) -> Selection:
    """Select features on train rows.

    Parameters
    ----------
    train : DataFrame
        Train rows only: the features and the target.
    portfolio : Portfolio
        The book: target and seed.
    features : tuple of Feature
        What there is to select from.
    threads : int
        For LightGBM.  The result does not depend on it.
    report : callable, optional
        Called as ``report(done, total, what)``.
    limit : int
        Most features to keep.

    Returns
    -------
    Selection
        The same for the same rows and seed.
    """
    with step("Selecting features", len(train)) as selecting:
        X, y = _codes(train, features), train[portfolio.target].to_numpy(np.int8)
        categories = [feature.name for feature in features if feature.kind == "category"]
        gains, nulls = _importance(X, y, categories, portfolio.training.seed, threads, report or (lambda *_: None))
        table = pd.DataFrame({"feature": X.columns, "gain": gains.mean(0), "null": nulls.mean(0)})
        table = table.sort_values(["gain", "feature"], ascending=[False, True], ignore_index=True)
        passing = table.loc[table["gain"] > table["null"], "feature"].tolist()
        leader = _clusters(X[passing])
        heads = [name for name in passing if leader[name] == name][:limit]
        table["represented_by"] = table["feature"].map(leader).fillna("")
        table["kept"] = table["feature"].isin(heads)
        selecting.note = f"{len(heads)} of {len(features)} kept"
    kept = tuple(feature.name for feature in features if feature.name in set(heads))
    return Selection(kept, table, _words(len(features), len(passing), len(heads), limit))


def _codes(train: pd.DataFrame, features: tuple[Feature, ...]) -> pd.DataFrame:
    """Numbers as they are, categories as codes; what is missing stays missing."""
    columns = {
        feature.name: train[feature.name].astype("category").cat.codes.astype(float).replace(-1, np.nan)
        if feature.kind == "category"
        else train[feature.name].astype(float)
        for feature in features
    }
    return pd.DataFrame(columns)


def _importance(
    X: pd.DataFrame, y: NDArray[np.int8], categories: list[str], seed: int, threads: int, report: Report
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gain of each feature in each fold, from the outcomes and from shuffled ones; shapes (folds, features)."""
    rng = np.random.default_rng(seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    gains: list[NDArray[np.float64]] = []
    nulls: list[NDArray[np.float64]] = []
    for number, (inside, _outside) in enumerate(folds.split(X, y), start=1):
        for outcomes, found in ((y[inside], gains), (rng.permutation(y[inside]), nulls)):
            model = LGBMClassifier(**MODEL, n_jobs=threads, random_state=seed + number)
            model.fit(X.iloc[inside], outcomes, categorical_feature=categories)
            found.append(model.feature_importances_.astype(float))
        report(number, FOLDS, "folds")
    return np.array(gains), np.array(nulls)


def _clusters(X: pd.DataFrame) -> dict[str, str]:
    """Name for each feature, strongest first, the stronger one that it follows; itself where there is none.

    Ranks are centred and missing ones set to the centre, so that one product gives all correlations.
    """
    ranks = X.rank().to_numpy()
    ranks = np.nan_to_num(ranks - np.nanmean(ranks, axis=0, where=~np.isnan(ranks)))
    norms = np.linalg.norm(ranks, axis=0)
    ranks = ranks / np.where(norms > 0, norms, 1)
    alike = np.abs(ranks.T @ ranks) >= CORRELATED
    heads: list[int] = []
    leader = {}
    for at, name in enumerate(X.columns):
        followed = next((head for head in heads if alike[at, head]), at)
        if followed == at:
            heads.append(at)
        leader[name] = X.columns[followed]
    return leader


def _words(features: int, passing: int, kept: int, limit: int) -> str:
    return (
        f"Inside train: {passing} of {features} features gain more from the outcomes than from shuffled outcomes, over "
        f"{FOLDS} folds. Where ranks correlate by {CORRELATED} or more, the strongest stands for the others; of the "
        f"rest the {limit} strongest at most are kept: {kept}."
    )
