"""The vocabulary for summaries of history: total, count, mean, share, ratio, most, least; knows no table.

A summary is made of folds: sums, least and greatest values, each of which can be taken of parts first and of the
parts' results afterwards.  Sums are taken of integers (millionths), so that neither the order of the rows nor the
engine changes a bit of them: docs/decisions/0010-history.md.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Aggregate", "Fold", "count", "least", "mean", "most", "ratio", "share", "total"]

#: Values are summed in steps of 1 / SCALE.
SCALE = 1_000_000


@dataclass(frozen=True)
class Fold:
    """One number from many rows, which can be taken in stages.

    Parameters
    ----------
    how : {"sum", "count", "least", "most"}
        What is done with the values.
    value : ibis Deferred
        From one row; NULL where the row does not count.
    """

    how: Literal["sum", "count", "least", "most"]
    value: Any = field(compare=False)

    @property
    def meaning(self) -> str:
        """The fold in words; folds with the same words are the same."""
        return f"{self.how}({self.value!r})"

    def reduce(self, values: Any, again: bool) -> Any:
        """Reduce a column of rows' values or, `again`, of earlier results: a count of counts is their sum."""
        if self.how == "count" and not again:
            return values.count()
        return {"sum": values.sum, "count": values.sum, "least": values.min, "most": values.max}[self.how]()


@dataclass(frozen=True)
class Aggregate:
    """A summary of rows.

    Parameters
    ----------
    how : {"fold", "total", "count", "mean", "quotient"}
        What is made of the folds: the first as it is, in units, as a count, or the first over the second.
    folds : tuple of Fold
        One or two.
    """

    how: Literal["fold", "total", "count", "mean", "quotient"]
    folds: tuple[Fold, ...]

    @property
    def meaning(self) -> str:
        """The summary in words, which a feature's digest is made of."""
        return f"{self.how}({', '.join(fold.meaning for fold in self.folds)})"

    def value(self, *folded: Any) -> Any:
        """Make the summary of its folds' columns."""
        first = folded[0].cast("float64")
        if self.how == "total":
            return first / SCALE
        if self.how == "mean":
            return first / SCALE / folded[1].nullif(0)
        return first / folded[1].nullif(0) if self.how == "quotient" else first


def total(value: Any, where: Any = None) -> Aggregate:
    """Sum `value` over the rows where `where` holds; missing where no row has a value."""
    return Aggregate("total", (_sum(value, where),))


def count(where: Any) -> Aggregate:
    """Count the rows where `where` holds; 0 for an applicant without any row."""
    return Aggregate("count", (_times(where),))


def mean(value: Any, where: Any = None) -> Aggregate:
    """Average `value` over the rows that have one and where `where` holds."""
    return Aggregate("mean", (_sum(value, where), _times(_both(value.notnull(), where))))


def share(condition: Any, of: Any = None) -> Aggregate:
    """Take the share, among the rows where `of` holds, of those where `condition` does too."""
    among = condition.notnull() if of is None else of
    return Aggregate("quotient", (_times(_both(condition, of)), _times(among)))


def ratio(numerator: Any, denominator: Any, where: Any = None) -> Aggregate:
    """Divide sums over the rows that have both values and where `where` holds; missing over zero."""
    both = _both(numerator.notnull() & denominator.notnull(), where)
    return Aggregate("quotient", (_sum(numerator, both), _sum(denominator, both)))


def least(value: Any, where: Any = None) -> Aggregate:
    """Take the least `value` of the rows where `where` holds."""
    return Aggregate("fold", (Fold("least", _where(value, where)),))


def most(value: Any, where: Any = None) -> Aggregate:
    """Take the greatest `value` of the rows where `where` holds."""
    return Aggregate("fold", (Fold("most", _where(value, where)),))


def _sum(value: Any, where: Any) -> Fold:
    """Sum whole millionths; adding a half and cutting rounds alike on every engine."""
    return Fold("sum", _where((value * SCALE + 0.5).floor().cast("int64"), where))


def _times(where: Any) -> Fold:
    return Fold("count", where.ifelse(1, None))


def _where(value: Any, where: Any) -> Any:
    return value if where is None else where.ifelse(value, None)


def _both(condition: Any, where: Any) -> Any:
    return condition if where is None else where & condition
