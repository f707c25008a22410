"""A decider of the shop's book, fitted in a fraction of a second, for tests of what scores files."""

from functools import cache

from learning import fitted, sales, shop

from credit import features
from credit.scoring.decider import Decider, Identity
from credit.scoring.export import export
from credit.scoring.reference import Reference

__all__ = ["THRESHOLD", "decider"]

THRESHOLD = 0.2


@cache
def decider(name: str = "native") -> Decider:
    """Return the same decider each time; tests must not change it."""
    book, train = shop(), sales()
    defined = features.definitions(book)
    scorer = export(fitted(name), book, defined, THRESHOLD, train)
    return Decider(scorer, book, Reference.make(scorer, defined, train, True), Identity("credit-shop", 3, "ab" * 32))
