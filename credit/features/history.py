"""Rows of a history table -> one row of aggregates per applicant, as Ibis expressions; knows no table by name.

Where an owner has many rows, as months or instalments, there are two stages, so that a window costs next to nothing:
rows are folded by owner and age first, a handful of groups for each owner, and windows are made of those groups.  A
table that belongs to another history table, as months belong to a credit, is folded by that table's key first and then
handed up to the applicant.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
from ibis import _

from credit.features.aggregates import Fold
from credit.features.dictionary import Feature
from credit.portfolio import Portfolio, Table

__all__ = ["fold"]

DAYS_PER_MONTH = 365.25 / 12
#: The smallest window, in months, that a row lies in.
AGE = "__age__"
OLDER = 1_000_000


def fold(portfolio: Portfolio, tables: Mapping[str, Any], name: str, features: Sequence[Feature]) -> Any:
    """Compute aggregates of one history table.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    tables : mapping of str to ibis.Table
        Typed by the contract; the history table and those it belongs to.
    name : str
        The history table.
    features : sequence of Feature
        What to compute, each an aggregate of this table.

    Returns
    -------
    ibis.Table
        The main table's key and the features; only applicants who have rows, in no order.
    """
    spec = portfolio.tables[name]
    wanted = [(feature, feature.aggregate) for feature in features if feature.aggregate]
    folds = {fold.meaning: fold for feature, aggregate in wanted for fold in aggregate.folds}
    columns = {meaning: f"fold_{place}" for place, meaning in enumerate(folds)}
    named = {columns[meaning]: fold for meaning, fold in folds.items()}
    values = {column: fold.value for column, fold in named.items()}
    windows = sorted({feature.window for feature in features if feature.window})
    folded = tables[name].select(spec.parent_key, **{AGE: _age(spec, windows)}, **values)
    again = spec.parent != portfolio.main or _is_dense(spec)
    if again:
        folded = _reduce(folded, [spec.parent_key, AGE], named, False)
    while spec.parent != portfolio.main:
        spec, key = portfolio.tables[str(spec.parent)], spec.parent_key
        owners = tables[spec.name].select(spec.key[0], spec.parent_key)
        folded = _reduce(folded.inner_join(owners, [(key, spec.key[0])]), [spec.parent_key, AGE], named, True)
    recent = {
        f"{columns[fold.meaning]}_{feature.window}": _within(feature.window, fold, columns[fold.meaning], again)
        for feature, aggregate in wanted
        for fold in aggregate.folds
    }
    clients = folded.group_by(spec.parent_key).aggregate(**recent)
    made = {
        feature.name: aggregate.value(*(clients[f"{columns[f.meaning]}_{feature.window}"] for f in aggregate.folds))
        for feature, aggregate in wanted
    }
    return clients.select(**{portfolio.key: clients[str(spec.parent_key)]}, **made)


def _age(spec: Table, windows: Sequence[int]) -> Any:
    """Name the smallest window that a row lies in; `OLDER` where in none, or where it has no date."""
    if spec.time is None or not windows:
        return ibis.literal(OLDER, "int32")
    in_days = spec.columns[spec.time].unit != "months"
    age = -_[spec.time] / DAYS_PER_MONTH if in_days else -_[spec.time]
    return ibis.cases(*((age <= window, window) for window in windows), else_=OLDER).cast("int32")


def _is_dense(spec: Table) -> bool:
    """Whether an owner has many rows: one a month, or rows without names of their own, as payments."""
    return not spec.key or spec.time in spec.key


def _reduce(rows: Any, keys: Sequence[str | None], named: Mapping[str, Fold], again: bool) -> Any:
    reduced = {column: fold.reduce(_[column], again) for column, fold in named.items()}
    return rows.group_by(list(keys)).aggregate(**reduced)


def _within(window: int, fold: Fold, column: str, again: bool) -> Any:
    """Reduce what lies in a window; 0 is all of history."""
    return fold.reduce(_[column] if not window else (_[AGE] <= window).ifelse(_[column], None), again)
