"""The dictionary of features: each one's formula, words, concept and direction; computes nothing."""

import hashlib
import importlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any, Literal

from ibis import _

from credit.errors import ConfigError, ModelError
from credit.features.aggregates import Aggregate
from credit.portfolio import Column, Label, Portfolio

__all__ = ["WINDOWS", "Feature", "closure", "definitions", "derive", "needed", "over", "select"]

Kind = Literal["number", "category"]
#: Months before the application; 0 is all of history.
WINDOWS = (0, 24, 12, 6, 3)


@dataclass(frozen=True)
class Feature:
    """One column of the model's input.

    Parameters
    ----------
    name : str
        The feature's name, unique in its portfolio.
    formula : ibis Deferred
        The value from one row of the application joined with the aggregates of its history, such as
        ``_.AMT_CREDIT / _.AMT_ANNUITY.nullif(0)``; an aggregate's is the column of its own name.
    label : Label
        Words for people, in English and French.
    concept : str
        The id of the concept that gathers features which say the same thing.
    table : str
        The table it comes from; of a ratio between history and request, the history table.
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
    aggregate : Aggregate, optional
        What is computed from the applicant's rows of `table`; None where the formula says it all.
    window : int
        Months before the application that the aggregate looks back; 0 is all of history.
    reads : tuple of Feature
        The aggregates that the formula reads; filled in by `definitions`.
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
    aggregate: Aggregate | None = field(default=None, compare=False)
    window: int = 0
    reads: "tuple[Feature, ...]" = field(default=(), compare=False, repr=False)

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of what the feature means, with all that it is made of."""
        parts = [self.name, self.kind, self.table, repr(self.formula), *self.levels]
        if self.aggregate:
            parts += [self.aggregate.meaning, str(self.window)]
        meaning = "\n".join([*parts, *(feature.digest for feature in self.reads)])
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]

    @property
    def tables(self) -> frozenset[str]:
        """The tables whose rows it is made of."""
        return frozenset({self.table}).union(*(feature.tables for feature in self.reads))


def definitions(portfolio: Portfolio, tables: Collection[str] | None = None) -> tuple[Feature, ...]:
    """List every feature of a portfolio: its columns first, then what its module derives from them.

    Parameters
    ----------
    portfolio : Portfolio
        The book; `portfolio.derived` names a module of this package that holds ``DERIVED``.
    tables : collection of str, optional
        Only features that can be computed from these tables; all by default.

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
    known = {feature.name: feature for feature in features if feature.aggregate}
    linked = tuple(replace(feature, reads=_reads(feature, known)) for feature in features)
    if tables is None:
        return linked
    return tuple(feature for feature in linked if set(needed(portfolio, [feature])) <= set(tables))


def closure(features: Collection[Feature]) -> tuple[Feature, ...]:
    """Return the features together with the aggregates that they read."""
    read = [(part.name, part) for feature in features for part in feature.reads]
    return tuple(dict([*read, *((feature.name, feature) for feature in features)]).values())


def needed(portfolio: Portfolio, features: Collection[Feature]) -> tuple[str, ...]:
    """Name the tables that features are made of, with those that lead from them to the main table.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    features : collection of Feature
        Perhaps none.

    Returns
    -------
    tuple of str
        The main table first, then the others as the portfolio orders them.
    """
    found = {portfolio.main}
    for name in set().union(*(feature.tables for feature in features)):
        step = name
        while step not in found:
            found.add(step)
            step = str(portfolio.tables[step].parent)
    return (portfolio.main, *(name for name in portfolio.tables if name in found and name != portfolio.main))


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


def over(
    name: str,
    aggregate: Aggregate,
    en: str,
    fr: str,
    concept: str,
    *,
    table: str,
    windows: tuple[int, ...] = (0,),
    unit: str = "",
    monotone: int = 0,
) -> tuple[Feature, ...]:
    """Define an aggregate of a history table in one line, as a feature for each window; see `Feature`."""
    made = []
    for window in windows:
        full = f"{name}_{window}m" if window else name
        since = Label(f", last {window} months", f", {window} derniers mois") if window else Label("", "")
        label = Label(en + since.en, fr + since.fr)
        made.append(
            Feature(full, _[full], label, concept, table, "number", unit, monotone, aggregate=aggregate, window=window)
        )
    return tuple(made)


def _reads(feature: Feature, known: Mapping[str, Feature]) -> tuple[Feature, ...]:
    """Find the aggregates that a formula names; `_.name` or `_['name']` in its own words."""
    if feature.aggregate:
        return ()
    names = re.findall(r"\b_(?:\.|\[')(\w+)", repr(feature.formula))
    return tuple(known[name] for name in dict.fromkeys(names) if name in known)


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
