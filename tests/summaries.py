"""A few summaries of the history in `lending`, for tests of how features are built; imports nothing that learns."""

from ibis import _

from credit.features import Feature
from credit.features.aggregates import mean, most, total
from credit.features.dictionary import over

__all__ = ["few"]


def few(*_book: object) -> tuple[Feature, ...]:
    """Two of loans, two of their months; stands in for the function that reads a portfolio's derived features."""
    paid = over("loan_paid", total(_.paid), "paid", "payé", "money", table="loan", windows=(0,))
    due = over("loan_due", most(_.due), "due", "dû", "money", table="loan", windows=(12,))
    late = over("month_late", mean(_.late), "late", "retard", "money", table="month", windows=(0,))
    worst = over("month_worst", most(_.late), "worst", "pire", "money", table="month", windows=(3,))
    return (*paid, *due, *late, *worst)
