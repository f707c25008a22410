"""The dictionary of features: each one's formula, words, concept and direction; computes nothing."""

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from ibis import _

from credit.errors import ConfigError, ModelError
from credit.portfolio import Column, Label, Portfolio

__all__ = ["Feature", "definitions", "derive", "select"]

Kind = Literal["number", "category"]


@dataclass(frozen=True)
class Feature:
    """One column of the model's input.

    Parameters
    ----------
    name : str
        The feature's name, unique in its portfolio.
    formula : ibis Deferred
        The value from one row of `table`, such as ``_.AMT_CREDIT / _.AMT_ANNUITY.nullif(0)``.
    label : Label
        Words for people, in English and French.
    concept : str
        The id of the concept that gathers features which say the same thing.
    table : str
        The table it comes from.
    kind : {"number", "category"}
        How a model may read it.
    unit : str
        Such as "currency", "days", "share"; empty where there is none.
    monotone : {-1, 0, 1}
        1: a higher value means more risk; -1: less; 0: no claim.
    actionable : bool
        Whether an applicant can change it in this application.
    levels : tuple of str
        The known levels of a category.
    """

    name: str
    formula: Any = field(compare=False)
    label: Label
    concept: str
    table: str
    kind: Kind = "number"
    unit: str = ""
    monotone: int = 0
    actionable: bool = False
    levels: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of what the feature means: name, kind, formula, levels."""
        meaning = "\n".join([self.name, self.kind, self.table, repr(self.formula), *self.levels])
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]


def definitions(portfolio: Portfolio) -> tuple[Feature, ...]:
    """List every feature of a portfolio: its columns first, then what its module derives from them.

    Parameters
    ----------
    portfolio : Portfolio
        The book; `portfolio.derived` names a module of this package that holds ``DERIVED``.

    Returns
    -------
    tuple of Feature
        In a fixed order, names unique.

    Raises
    ------
    ConfigError
        If `portfolio.derived` names no such module, or two features share a name.
    """
    features = tuple(_raw(column, portfolio) for column in portfolio.features) + _derived(portfolio)
    names = [feature.name for feature in features]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"portfolio '{portfolio.name}': two features are called {', '.join(twice)}; "
            "a feature's name is unique; rename the column or the derived feature."
        )
    return features


def select(portfolio: Portfolio, contract: Mapping[str, str]) -> tuple[Feature, ...]:
    """Return the features that a model reads, provided that each still means what it meant then.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    contract : mapping of str to str
        The model's features by name, with the digest of each at training time.

    Returns
    -------
    tuple of Feature
        In the portfolio's order.

    Raises
    ------
    ModelError
        If a feature is gone, or its definition has changed.
    """
    known = {feature.name: feature for feature in definitions(portfolio)}
    gone = [name for name in contract if name not in known]
    changed = [name for name in contract if name in known and known[name].digest != contract[name]]
    if gone or changed:
        found = ((gone, "gone"), (changed, "redefined"))
        problems = [f"{', '.join(names)} {what}" for names, what in found if names]
        raise ModelError(
            f"the model's features no longer exist as it was trained on them ({'; '.join(problems)}); "
            "score with the version of the software that trained it, or train again."
        )
    return tuple(feature for name, feature in known.items() if name in contract)


def derive(
    name: str,
    formula: Any,
    en: str,
    fr: str,
    concept: str,
    *,
    table: str = "application",
    unit: str = "",
    monotone: int = 0,
    actionable: bool = False,
) -> Feature:
    """Define a derived numeric feature in one line; see `Feature`."""
    return Feature(name, formula, Label(en, fr), concept, table, "number", unit, monotone, actionable)


def _raw(column: Column, portfolio: Portfolio) -> Feature:
    kind: Kind = "category" if column.type == "category" else "number"
    return Feature(
        column.name,
        _[column.name],
        column.label,
        column.group,
        portfolio.main,
        kind,
        column.unit,
        column.monotone,
        column.actionable,
        column.levels,
    )


def _derived(portfolio: Portfolio) -> tuple[Feature, ...]:
    if portfolio.derived is None:
        return ()
    module = f"credit.features.{portfolio.derived}"
    if not portfolio.derived.isidentifier() or find_spec(module) is None:
        raise ConfigError(
            f"portfolio '{portfolio.name}', derived = '{portfolio.derived}': no module {module}; "
            "name one that exists, or leave the key out to use the columns alone."
        )
    derived: tuple[Feature, ...] | None = getattr(importlib.import_module(module), "DERIVED", None)
    if derived is None:
        raise ConfigError(f"portfolio '{portfolio.name}', derived = '{portfolio.derived}': {module} has no DERIVED.")
    return derived
