"""The smallest change of an application that changes its decision; knows no model and no page.

Every value that a person would say, within what is plausible, is scored in one pass: each action alone, and where none
suffices two together.  What is proposed has been scored once more, as a whole application of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product
from math import ceil, log
from typing import Any

import numpy as np

from credit.portfolio import Portfolio
from credit.scoring.changes import Lever, actions, held, lever
from credit.scoring.trials import Decide, Search, Trial
from credit.scoring.whatif_note import note

__all__ = ["GOALS", "Proposal", "WhatIf", "propose"]

Row = Mapping[str, Any]
#: One application to its probability of default and its decision, as for any applicant.
Confirm = Callable[[Row], tuple[float, str]]

HEADROOM = "headroom"
#: Decision to what is looked for, in order: the goal's name, and the decisions that reach it.
GOALS: dict[str, tuple[tuple[str, frozenset[str]], ...]] = {
    "approve": ((HEADROOM, frozenset({"review", "decline"})),),
    "review": (("approve", frozenset({"approve"})),),
    "decline": (("approve", frozenset({"approve"})), ("review", frozenset({"review"}))),
}
#: How far beyond a proposal everything must reach the goal too, as the logarithm of a factor: 2%.
FIRM = log(1.02) + 1e-9
#: Of two actions together: factors on each side that are tried first, and pairs that are then looked at closely.
COARSE, CLOSE = 8, 3


@dataclass(frozen=True)
class Proposal:
    """A change that changes the decision, and what it leads to.

    Parameters
    ----------
    action : str
        Name of the portfolio's action; of two together, both names with a "+" between.
    label_en, label_fr : str
        The same in words.
    changes : dict of str to (float, float)
        Column to its value now and then.
    factor : float
        By which the (first) action's columns are scaled.
    size : float
        The sum of the absolute logarithms of the factors; 0.1 is a change by about 10%.
    probability : float
        Of default, after the change, as the scorer says.
    decision : str
        After the change, as the scorer says.
    """

    action: str
    label_en: str
    label_fr: str
    changes: dict[str, tuple[float, float]]
    factor: float
    size: float
    probability: float
    decision: str


@dataclass(frozen=True)
class WhatIf:
    """What would have to change for another decision.

    Parameters
    ----------
    decision : {"approve", "review", "decline"}
        Now.
    goal : {"approve", "review", "headroom"}
        What was looked for: a better decision; where there is none, the smallest changes that would lose the approval.
    proposals : tuple of Proposal
        The smallest first: one for each action (for headroom: each action and direction), else one of two together.
    tried : int
        Plausible changes that were scored.
    note_en, note_fr : str
        What was tried, and what it means that nothing was found.
    """

    decision: str
    goal: str
    proposals: tuple[Proposal, ...]
    tried: int
    note_en: str
    note_fr: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        return asdict(self)


def propose(
    portfolio: Portfolio,
    application: Row,
    decide: Decide,
    plausible: Mapping[str, tuple[float, float]],
    confirm: Confirm,
) -> WhatIf:
    """Look for the smallest change of each action that changes the decision.

    Parameters
    ----------
    portfolio : Portfolio
        The book, with its actions.
    application : mapping
        The raw application.
    decide : callable
        Scores many applications with the applicant's history at once.
    plausible : mapping of str to (float, float)
        By feature: the range that a change may lead to.
    confirm : callable
        Scores one application, as any applicant's; only what it confirms is proposed.

    Returns
    -------
    WhatIf
        With a note that says what was tried; without proposals where there are none.

    Notes
    -----
    Models are not monotone.  A proposal must hold: whatever lies up to 2% further out in the same direction, and is
    plausible, reaches the goal too.  Headroom is the other way round: the first value that loses the approval counts,
    and an action that may only shrink a request is looked at for how far the request may grow.
    """
    probability, decision = confirm(application)
    search, goals = Search(application, decide, plausible), GOALS[decision]
    reverse = goals[0][0] == HEADROOM
    known = [(action, lever(portfolio, action, application)) for action in actions(portfolio, reverse=reverse)]
    levers = [each for _, each in known if isinstance(each, Lever)]
    alone = search.score(held([each], [factor]) for each in levers for factor in each.factors)
    reached = ((goal, _reached(search, levers, alone, wanted, confirm, reverse)) for goal, wanted in goals)
    goal, proposals = next((each for each in reached if each[1]), (goals[0][0], ()))
    told = (portfolio, goal, bool(proposals), known, search.trials, probability)
    return WhatIf(decision, goal, proposals, len(search.trials), note(*told, lang="en"), note(*told, lang="fr"))


def _reached(
    search: Search,
    levers: Sequence[Lever],
    alone: Sequence[Trial],
    wanted: frozenset[str],
    confirm: Confirm,
    headroom: bool,
) -> tuple[Proposal, ...]:
    """Propose single actions that reach the goal; where there is none, and it is no headroom, two together."""
    found = _nearest(alone, wanted, headroom)
    if not found and not headroom:
        found = _nearest(_together(search, levers, wanted), wanted)[:1]
    return tuple(_confirmed(search, found, wanted, confirm))


def _nearest(trials: Sequence[Trial], wanted: frozenset[str], headroom: bool = False) -> list[Trial]:
    """Return for each action the smallest change that reaches the goal and holds, the smallest of all first.

    Of the two directions of an action the nearer one counts; for headroom both.
    """
    ways: dict[tuple[str, tuple[bool, ...]], list[Trial]] = {}
    for trial in trials:
        ways.setdefault((trial.change.name, tuple(factor > 1 for factor in trial.change.factors)), []).append(trial)
    aims = {way: _first(own, wanted, 0.0 if headroom else FIRM) for way, own in ways.items()}
    ranked = sorted((aim for aim in aims.values() if aim), key=lambda trial: trial.change.size)
    best = {trial.change.name: trial for trial in reversed(ranked)}
    return [trial for trial in ranked if headroom or best[trial.change.name] is trial]


def _first(trials: Sequence[Trial], wanted: frozenset[str], firm: float) -> Trial | None:
    """Return the smallest change of one direction such that it, and all up to `firm` beyond it, reach the goal."""
    logs = np.abs([trial.change.logs for trial in trials])
    reached = np.array([trial.decision in wanted for trial in trials])
    for at in map(int, np.argsort(logs.sum(axis=1), kind="stable")):
        beyond = ((logs >= logs[at]) & (logs <= logs[at] + firm)).all(axis=1)
        if reached[beyond].all():
            return trials[at]
    return None


def _together(search: Search, levers: Sequence[Lever], wanted: frozenset[str]) -> list[Trial]:
    """Score two actions together: a coarse grid of factors first, then all values around its nearest that reach."""
    pairs = list(combinations(levers, 2))
    if not pairs:
        return []
    coarse = search.score(held(pair, factors) for pair in pairs for factors in product(*map(_nodes, pair)))
    reached = sorted((trial for trial in coarse if trial.decision in wanted), key=lambda trial: trial.change.size)
    best = list({trial.change.name: trial.change for trial in reversed(reached)}.values())[::-1][:CLOSE]
    close = (held(node.levers, factors) for node in best for factors in product(*map(_cell, node.levers, node.factors)))
    return search.score(close) if best else []


def _nodes(one: Lever) -> list[float]:
    """Return factors evenly spread over both sides, the outermost among them."""
    return [side[at] for side in (one.side(up=True), one.side(up=False)) for at in _ends(len(side))]


def _cell(one: Lever, node: float) -> list[float]:
    """Return all factors between the node before and this one, and those just beyond it."""
    side = one.side(up=node > 1)
    at = side.index(node)
    before = max((end + 1 for end in _ends(len(side)) if end < at), default=0)
    return [factor for factor in side[before:] if abs(log(factor)) <= abs(log(node)) + FIRM]


def _ends(count: int) -> list[int]:
    return sorted({ceil((part + 1) * count / COARSE) - 1 for part in range(COARSE)} - {-1})


def _confirmed(search: Search, found: Iterable[Trial], wanted: frozenset[str], confirm: Confirm) -> Iterator[Proposal]:
    """Score each change once more, on its own; propose those that keep what they promise."""
    for change in (trial.change for trial in found):
        probability, decision = confirm(change.applied(search.application))
        if decision in wanted:
            now = {name: value for one in change.levers for name, value in one.now.items()}
            yield Proposal(
                change.name,
                " + ".join(one.action.label.en for one in change.levers),
                " + ".join(one.action.label.fr for one in change.levers),
                {name: (now[name], value) for name, value in change.to.items()},
                change.factors[0],
                change.size,
                probability,
                decision,
            )
