"""A candidate's name to a scikit-learn pipeline and its search space; fits nothing."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightgbm import LGBMClassifier
from lightgbm.basic import _ConfigAliases
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)

from credit.console import log
from credit.errors import ConfigError, ModelError
from credit.features import Feature
from credit.portfolio import Label, Portfolio
from credit.settings import Reader, hint
from credit.training.selection import Selection

__all__ = ["MISSING", "Candidate", "build", "candidates", "competing", "ordered", "read_by"]

MISSING = "(missing)"


@dataclass(frozen=True)
class Candidate:
    """One entry of `candidates.toml`; its comments say what the fields mean."""

    name: str
    label: Label
    kind: Literal["lightgbm", "prior", "scorecard"] = "lightgbm"
    missing: Literal["native", "impute"] = "native"
    weighted: bool = False
    monotone: bool = False
    features: Literal["all", "main", "selected"] = "all"
    trees: int = 1500
    search_trees: int = 240
    search_rate: float = 0.05
    parameters: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> bool:
        """Whether it only gives the others something to be compared with, and is never registered."""
        return self.kind != "lightgbm"


def candidates(portfolio: Portfolio, only: tuple[str, ...] = ()) -> tuple[Candidate, ...]:
    """Read the candidates and references that a portfolio lets compete.

    Parameters
    ----------
    portfolio : Portfolio
        ``[training]`` names them, ``[candidates.NAME]`` changes or adds entries.
    only : tuple of str
        Restrict the field to these names.

    Returns
    -------
    tuple of Candidate
        Candidates first, then references.

    Raises
    ------
    ConfigError
        If a name or a setting is unknown, or no candidate is left.
    """
    entries = _entries(portfolio)
    names = only or (*portfolio.training.candidates, *portfolio.training.references)
    for name in names:
        if name not in entries:
            raise ConfigError(
                f"candidate '{name}': no such entry; {hint(name, sorted(entries))}; "
                f"or add [candidates.{name}] to the portfolio file."
            )
    reader = Reader(Path(f"portfolio '{portfolio.name}'"))
    competing = sorted((_candidate(name, entries[name], reader) for name in names), key=lambda c: c.reference)
    reader.finish()
    if all(candidate.reference for candidate in competing):
        raise ConfigError("candidates: only references are named; name at least one LightGBM candidate.")
    return tuple(competing)


def ordered(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Put categories before numbers: the order of the columns that a model reads."""
    return tuple(sorted(features, key=lambda feature: feature.kind == "number"))


def read_by(
    candidate: Candidate, features: tuple[Feature, ...], portfolio: Portfolio, selection: Selection | None = None
) -> tuple[Feature, ...]:
    """Choose what a candidate may read.

    Parameters
    ----------
    candidate : Candidate
        Its `features` says which: all, those of the main table, or the selected.
    features : tuple of Feature
        All that there are.
    portfolio : Portfolio
        The book.
    selection : Selection, optional
        Needed by a candidate that reads selected features.

    Returns
    -------
    tuple of Feature
        In the order of `features`.
    """
    if candidate.features == "main":
        return tuple(feature for feature in features if feature.tables == {portfolio.main})
    if candidate.features == "selected":
        if selection is None:
            raise ModelError(f"{candidate.name}: reads selected features, but none were selected; run the selection.")
        return tuple(feature for feature in features if feature.name in selection.kept)
    return features


def competing(field: tuple[Candidate, ...], portfolio: Portfolio, tables: Collection[str]) -> tuple[Candidate, ...]:
    """Leave out who would read the main table alone where there is no other: the same model twice.

    Parameters
    ----------
    field : tuple of Candidate
        Who is named.
    portfolio : Portfolio
        The book.
    tables : collection of str
        The tables that are given.

    Returns
    -------
    tuple of Candidate
        The others, if there are any.
    """
    apart = tuple(candidate for candidate in field if candidate.features != "main")
    if set(tables) != {portfolio.main} or all(candidate.reference for candidate in apart):
        return field
    for candidate in field:
        if candidate not in apart:
            log.info("%s: left out, no history is given for it to do without", candidate.name)
    return apart


def build(candidate: Candidate, features: tuple[Feature, ...], *, threads: int, seed: int) -> Pipeline:
    """Make the unfitted pipeline ``prepare`` -> ``model``.

    Parameters
    ----------
    candidate : Candidate
        Which.
    features : tuple of Feature
        What it reads, as `ordered`.
    threads : int
        For LightGBM; the fitted model does not depend on it.
    seed : int
        For everything random.

    Returns
    -------
    Pipeline
        Takes a frame with the features' columns.
    """
    if candidate.kind == "prior":
        return Pipeline([("prepare", "passthrough"), ("model", DummyClassifier(strategy="prior"))])
    if candidate.kind == "scorecard":
        steps = [("prepare", _design(features)), ("drop", VarianceThreshold()), ("scale", StandardScaler())]
        return Pipeline([*steps, ("model", _logistic(candidate))])
    parameters = dict(candidate.parameters)
    if candidate.weighted:
        parameters["class_weight"] = "balanced"
    if candidate.monotone:
        parameters["monotone_constraints"] = [feature.monotone for feature in features]
    model = LGBMClassifier(
        **parameters, n_jobs=threads, random_state=seed, deterministic=True, force_col_wise=True, verbose=-1
    )
    return Pipeline([("prepare", _codes(candidate, features)), ("model", model)])


def _codes(candidate: Candidate, features: tuple[Feature, ...]) -> ColumnTransformer:
    """Category codes, then numbers, then (when imputing) indicators of what was missing."""
    encode: BaseEstimator = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    numbers: Any = "passthrough"
    if candidate.missing == "impute":
        encode = make_pipeline(SimpleImputer(strategy="constant", fill_value=MISSING, keep_empty_features=True), encode)
        numbers = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return ColumnTransformer(
        [
            ("categories", encode, _names(features, "category")),
            ("numbers", numbers, _names(features, "number")),
        ]
    )


def _design(features: tuple[Feature, ...]) -> ColumnTransformer:
    """Make the scorecard's columns: one per level, a smooth curve and a missing indicator per number."""
    numbers = _names(features, "number")
    levels = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=MISSING, keep_empty_features=True),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.01, sparse_output=False),
    )
    curves = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        QuantileTransformer(n_quantiles=40, subsample=None),
        SplineTransformer(n_knots=5, degree=2, extrapolation="constant", include_bias=False),
    )
    return ColumnTransformer(
        [
            ("categories", levels, _names(features, "category")),
            ("numbers", curves, numbers),
            ("missing", MissingIndicator(features="missing-only", error_on_new=False), numbers),
        ]
    )


def _logistic(candidate: Candidate) -> LogisticRegression:
    return LogisticRegression(**{"C": 0.001, "max_iter": 1000, "tol": 1e-3, **candidate.parameters})


def _names(features: tuple[Feature, ...], kind: str) -> list[str]:
    return [feature.name for feature in features if feature.kind == kind]


def _entries(portfolio: Portfolio) -> dict[str, dict[str, Any]]:
    shipped = tomllib.loads(files("credit.training").joinpath("candidates.toml").read_text(encoding="utf-8"))
    entries: dict[str, dict[str, Any]] = shipped["candidates"]
    for name, changes in portfolio.training.overrides.items():
        entries[name] = _merge(entries.get(name, {}), changes)
    defaults = shipped["defaults"]
    return {
        name: _merge(defaults, entry) if entry.get("kind", "lightgbm") == "lightgbm" else entry
        for name, entry in entries.items()
    }


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **changes}
    if isinstance(base.get("parameters"), dict) and isinstance(changes.get("parameters"), dict):
        merged["parameters"] = {**base["parameters"], **changes["parameters"]}
    return merged


def _candidate(name: str, entry: dict[str, Any], reader: Reader) -> Candidate:
    where = ("candidates", name)
    candidate: Candidate = reader.read(Candidate, {"en": name, "fr": entry.get("en", name), **entry}, where, name=name)
    if candidate.monotone and candidate.missing == "impute":
        reader.wrong((*where, "monotone"), 'goes with missing = "native" only; an imputed value has no direction.')
    if not candidate.reference and not candidate.grid:
        reader.wrong((*where, "grid"), "holds nothing to search; give at least one setting with its values.")
    for key in ("trees", "search_trees"):
        if getattr(candidate, key) < 1:
            reader.wrong((*where, key), f"must be 1 or more, not {getattr(candidate, key)}.")
    known = _settings(candidate.kind)
    for part in ("parameters", "grid"):
        for stray in sorted(getattr(candidate, part).keys() - known):
            reader.wrong((*where, part, stray), f"no such setting of the model; {hint(stray, sorted(known))}")
    for setting, values in candidate.grid.items():
        if not isinstance(values, list) or not values:
            reader.wrong((*where, "grid", setting), f"must be an array of the values to try, not {values!r}.")
    return candidate


def _settings(kind: str) -> set[str]:
    """Name the settings that a kind of model knows; LightGBM would pass over any other without a word."""
    if kind == "lightgbm":
        return set(chain(LGBMClassifier().get_params(), *_ConfigAliases._get_all_param_aliases().values()))
    return set(LogisticRegression().get_params()) if kind == "scorecard" else set()
