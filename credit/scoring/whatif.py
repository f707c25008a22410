"""The smallest change of an application that changes its decision; knows no model and no page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credit.portfolio import Action, Portfolio

__all__ = ["Proposal", "propose"]

Row = Mapping[str, Any]
#: Applications with the same history to (probability, decision) each.
Decide = Callable[[Sequence[Row]], Sequence[tuple[float, str]]]


@dataclass(frozen=True)
class Proposal:
    """A change that changes the decision, and what it leads to.

    Parameters
    ----------
    action : str
        Name of the portfolio's action.
    changes : dict of str to (float, float)
        Column to its value now and then.
    factor : float
        By which the action's columns are scaled.
    probability : float
        Of default, after the change, as the scorer says.
    decision : str
        After the change, as the scorer says.
    """

    action: str
    changes: dict[str, tuple[float, float]]
    factor: float
    probability: float
    decision: str


def propose(portfolio: Portfolio, application: Row, decide: Decide) -> tuple[Proposal, ...]:
    """Return the smallest change for each action that changes the decision, the smallest of all first."""
    raise NotImplementedError
