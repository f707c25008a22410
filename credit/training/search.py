"""One candidate, searched, stopped early and calibrated inside train; sees no validation or test row.

The way of every LightGBM candidate:

1. HalvingGridSearchCV over the candidate's grid, the number of trees as resource, the business cost as score,
   at a fast learning rate.
2. The winner's number of trees, at its own slow rate, by early stopping in each fold: the mean over the folds.
3. Those folds' predictions of rows they have not seen choose and fit the calibration.
4. The winner is refitted on the whole of train with that number of trees.

References skip steps 1 and 2.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import HalvingGridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from credit.errors import ModelError
from credit.features import Feature
from credit.portfolio import Portfolio
from credit.training import calibration
from credit.training.calibration import Calibration
from credit.training.candidates import Candidate, build, ordered
from credit.training.scorers import business_cost

__all__ = ["Fitted", "fit", "raw_score"]

PATIENCE = 100
FACTOR = 3
Report = Callable[[int, int, str], None]


@dataclass
class Fitted:
    """A candidate after training.

    Parameters
    ----------
    candidate : Candidate
        Which.
    pipeline : Pipeline
        Fitted on the whole of train.
    features : tuple of str
        What it reads, in its column order.
    calibration : Calibration
        Raw score to probability of default.
    parameters : dict
        The settings that the search picked, with the number of trees.
    calibration_losses : dict
        Cross-fitted log loss of each calibration method; lower is better.
    fold_auc : tuple of float
        AUC of each fold's unseen rows.
    out_of_fold : ndarray, shape (rows,)
        Raw score of each train row by a model that has not seen it, in train's order.
    halving : DataFrame
        The search's rounds: ``round``, ``trees``, ``cost``, one column a setting.
    curve : DataFrame
        Early stopping: ``fold``, ``trees``, ``log_loss``, of unseen rows (weighted as the candidate is).
    rows : int
        Train rows.
    seconds : float
        Wall time of the fit.
    """

    candidate: Candidate
    pipeline: Pipeline
    features: tuple[str, ...]
    calibration: Calibration
    parameters: dict[str, Any]
    calibration_losses: dict[str, float]
    fold_auc: tuple[float, ...]
    out_of_fold: NDArray[np.float64]
    halving: pd.DataFrame
    curve: pd.DataFrame
    rows: int
    seconds: float

    def raw(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Score rows in log-odds, before calibration; shape (n,)."""
        return raw_score(self.pipeline, frame[list(self.features)])

    def predict(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Estimate each row's calibrated probability of default; shape (n,)."""
        return self.calibration.apply(self.raw(frame))


@dataclass
class _Work:
    """What the steps of one fit share."""

    candidate: Candidate
    features: tuple[Feature, ...]
    X: pd.DataFrame
    y: NDArray[np.int8]
    seed: int
    pipeline: Pipeline
    folds: StratifiedKFold
    report: Report
    fit_options: dict[str, Any] = field(default_factory=dict)


def fit(
    candidate: Candidate,
    train: pd.DataFrame,
    portfolio: Portfolio,
    features: tuple[Feature, ...],
    *,
    threads: int = 1,
    report: Report | None = None,
) -> Fitted:
    """Search, stop early, calibrate and refit one candidate on train rows.

    Parameters
    ----------
    candidate : Candidate
        Which.
    train : DataFrame
        Train rows only: the features and the target.
    portfolio : Portfolio
        The book: target, costs, folds, seed.
    features : tuple of Feature
        What the model may read.
    threads : int
        For LightGBM.  The result does not depend on it.
    report : callable, optional
        Called as ``report(done, total, what)`` while the fit goes on.

    Returns
    -------
    Fitted
        The candidate after training.

    Raises
    ------
    ModelError
        If train holds too few of either class for the folds.
    """
    began = time.perf_counter()
    work = _prepare(candidate, train, portfolio, features, threads, report)
    if candidate.reference:
        halving, parameters, curve = pd.DataFrame(), dict(candidate.parameters), pd.DataFrame()
        scores = _cross_fit(work)
    else:
        halving, parameters = _search(work, portfolio)
        work.pipeline.set_params(**{f"model__{name}": value for name, value in parameters.items()})
        scores, trees, curve = _stop_early(work)
        parameters = {**parameters, "n_estimators": trees}
        work.pipeline.set_params(model__n_estimators=trees)
    map_, losses = calibration.choose(scores, work.y, work.seed)
    work.pipeline.fit(work.X, work.y, **work.fit_options)
    folds = work.folds.split(work.X, work.y)
    return Fitted(
        candidate,
        work.pipeline,
        tuple(work.X.columns),
        map_,
        parameters,
        losses,
        tuple(float(roc_auc_score(work.y[out], scores[out])) for _, out in folds),
        scores,
        halving,
        curve,
        len(work.X),
        time.perf_counter() - began,
    )


def raw_score(pipeline: Pipeline, X: pd.DataFrame) -> NDArray[np.float64]:
    """Score rows in log-odds with a fitted pipeline of any kind; shape (n,)."""
    model = pipeline[-1]
    if isinstance(model, lgb.LGBMClassifier):
        return np.asarray(model.booster_.predict(pipeline[:-1].transform(X), raw_score=True, num_threads=model.n_jobs))
    if hasattr(model, "decision_function"):
        return np.asarray(pipeline.decision_function(X))
    logs = pipeline.predict_log_proba(X)
    return np.asarray(logs[:, 1] - logs[:, 0])


def _prepare(
    candidate: Candidate,
    train: pd.DataFrame,
    portfolio: Portfolio,
    features: tuple[Feature, ...],
    threads: int,
    report: Report | None,
) -> _Work:
    features = ordered(features)
    y = train[portfolio.target].to_numpy(np.int8)
    rarest = int(min(y.sum(), len(y) - y.sum()))
    if rarest < 2 * portfolio.training.folds:
        raise ModelError(
            f"{candidate.name}: train holds {rarest} rows of the rarer outcome, {portfolio.training.folds} "
            f"folds need {2 * portfolio.training.folds}; bring more rows, or lower [training] folds."
        )
    seed = portfolio.training.seed
    pipeline = build(candidate, features, threads=threads, seed=seed)
    categories = sum(feature.kind == "category" for feature in features)
    options = {} if candidate.reference else {"model__categorical_feature": list(range(categories))}
    folds = StratifiedKFold(portfolio.training.folds, shuffle=True, random_state=seed)
    X = train[[feature.name for feature in features]]
    return _Work(candidate, features, X, y, seed, pipeline, folds, report or (lambda *_: None), options)


def _search(work: _Work, portfolio: Portfolio) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Halve the grid under the business cost; the table of rounds, and the settings of the winner."""
    settings = int(np.prod([len(values) for values in work.candidate.grid.values()]))
    sizes = _rounds(settings, work.candidate.search_trees)
    total = sum(sizes) * work.folds.get_n_splits()
    scorer = _Counted(business_cost(portfolio.costs), work, total)
    search = HalvingGridSearchCV(
        clone(work.pipeline).set_params(model__learning_rate=work.candidate.search_rate),
        {f"model__{name}": values for name, values in work.candidate.grid.items()},
        resource="model__n_estimators",
        max_resources=work.candidate.search_trees,
        factor=FACTOR,
        scoring=scorer,
        cv=work.folds,
        refit=False,
        return_train_score=False,
        random_state=work.seed,
        error_score="raise",
    ).fit(work.X, work.y, **work.fit_options)
    results = pd.DataFrame(search.cv_results_)
    table = pd.DataFrame({"round": results["iter"], "trees": results["n_resources"], "cost": -results.mean_test_score})
    for name in work.candidate.grid:
        table[name] = results[f"param_model__{name}"].to_numpy()
    last = table[table["round"] == table["round"].max()]
    best = results["params"][last.cost.idxmin()]
    return table, {name: best[f"model__{name}"] for name in work.candidate.grid}


def _stop_early(work: _Work) -> tuple[NDArray[np.float64], int, pd.DataFrame]:
    """Out-of-fold raw scores, the number of trees, and the curves of unseen log loss."""
    parts, curves = [], []
    weights = ["balanced"] if work.candidate.weighted else None
    for number, (inside, outside) in enumerate(work.folds.split(work.X, work.y), start=1):
        prepare = clone(work.pipeline[:-1]).fit(work.X.iloc[inside])
        seen, unseen = prepare.transform(work.X.iloc[inside]), prepare.transform(work.X.iloc[outside])
        losses: list[float] = []
        model = clone(work.pipeline[-1]).set_params(n_estimators=work.candidate.trees)
        model.fit(
            seen,
            work.y[inside],
            eval_X=unseen,
            eval_y=work.y[outside],
            eval_class_weight=weights,
            eval_metric="binary_logloss",
            categorical_feature=work.fit_options["model__categorical_feature"],
            callbacks=[_patience(losses)],
        )
        curves.append(pd.DataFrame({"fold": number, "trees": np.arange(1, len(losses) + 1), "log_loss": losses}))
        parts.append((outside, unseen, model, int(np.argmin(losses)) + 1))
        work.report(number, work.folds.get_n_splits(), "folds stopped early")
    trees = max(1, round(float(np.mean([best for *_, best in parts]))))
    scores = np.empty(len(work.X))
    for outside, unseen, model, _ in parts:
        scores[outside] = model.booster_.predict(unseen, raw_score=True, num_iteration=trees)
    return scores, trees, pd.concat(curves, ignore_index=True)


def _patience(losses: list[float]) -> Callable[[Any], None]:
    """Stop when PATIENCE trees have not helped, noting each loss.

    Unlike `lightgbm.early_stopping` it keeps the trees after the best one: the mean over the folds may need them.
    """

    def stop(env: Any) -> None:
        losses.append(env.evaluation_result_list[0][2])
        if len(losses) > int(np.argmin(losses)) + PATIENCE:
            raise lgb.EarlyStopException(env.iteration, env.evaluation_result_list)

    return stop


def _cross_fit(work: _Work) -> NDArray[np.float64]:
    scores = np.empty(len(work.X))
    for number, (inside, outside) in enumerate(work.folds.split(work.X, work.y), start=1):
        fitted = clone(work.pipeline).fit(work.X.iloc[inside], work.y[inside])
        scores[outside] = raw_score(fitted, work.X.iloc[outside])
        work.report(number, work.folds.get_n_splits(), "folds fitted")
    return scores


def _rounds(settings: int, trees: int) -> list[int]:
    """How many settings each round of halving holds; scikit-learn's rule with min_resources="exhaust"."""
    sizes = [settings]
    while FACTOR ** len(sizes) <= min(settings, trees):
        sizes.append(-(-sizes[-1] // FACTOR))
    return sizes


@dataclass
class _Counted:
    """A scorer that says how far the search has come."""

    scorer: Callable[..., float]
    work: _Work
    total: int
    done: int = 0

    def __call__(self, estimator: Pipeline, X: pd.DataFrame, y: NDArray[np.int8]) -> float:
        score = self.scorer(estimator, X, y)
        self.done += 1
        self.work.report(min(self.done, self.total), self.total, "fits of the search")
        return score
