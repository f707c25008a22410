"""Where bars and marks of the page's pictures stand, in percent of their frame; draws nothing and knows no language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from credit.portfolio import Label
from credit.scoring.explain import Effect, Explanation

__all__ = ["Bar", "Distribution", "Step", "Waterfall", "distribution", "waterfall"]

#: Bars of the distribution, about; concepts of the waterfall that stand alone.
BARS, ALONE = 40, 8


@dataclass(frozen=True)
class Bar:
    """One bar: its height, and whether it holds the applicant or lies at or above the threshold."""

    height: float
    declined: bool
    own: bool


@dataclass(frozen=True)
class Distribution:
    """The book's probabilities of default: bars from 0 to `upper`, and where threshold and applicant stand."""

    bars: tuple[Bar, ...]
    upper: float
    threshold: float
    applicant: float


@dataclass(frozen=True)
class Step:
    """One effect of a waterfall, from `left` over `width` percent of the frame, and what it is made of."""

    label: Label | None
    log_odds: float
    probability: float
    left: float
    width: float
    parts: "tuple[Step, ...]" = ()


@dataclass(frozen=True)
class Waterfall:
    """From the base to the applicant: `steps` alone, `rest` gathered in the last of them, and the two ends."""

    steps: tuple[Step, ...]
    rest: Step | None
    explanation: Explanation
    start: float
    end: float


def distribution(scores: Sequence[float], threshold: float, probability: float) -> Distribution:
    """Lay out the book's distribution.

    Parameters
    ----------
    scores : sequence of float
        Its percentiles, from the 0th to the 100th.
    threshold, probability : float
        A bar ends at the threshold, so that none holds both approved and declined applicants.
    """
    upper = min(1.0, max(float(scores[-3]), 2 * threshold, 1.1 * probability))
    width = threshold / max(2, round(BARS * threshold / upper))
    count = ceil(upper / width - 1e-9)
    edges = width * np.arange(count + 1)
    share = np.diff(np.interp(edges, scores, np.linspace(0, 1, len(scores))))
    most = max(float(share.max()), 1e-9)
    own = min(count - 1, int(probability / width))
    first = round(threshold / width)
    bars = tuple(Bar(100 * float(each) / most, at >= first, at == own) for at, each in enumerate(share))
    frame = float(edges[-1])
    return Distribution(bars, frame, 100 * threshold / frame, 100 * min(probability, frame) / frame)


def waterfall(explanation: Explanation, labels: Mapping[str, tuple[str, Label]]) -> Waterfall:
    """Lay out an explanation by concept, each opened into its features.

    Parameters
    ----------
    explanation : Explanation
        The effects, the strongest first.
    labels : dict of str to (str, Label)
        By concept: itself and its words; by "feature NAME": its concept and its words.

    Notes
    -----
    Effects in log-odds and in probability differ by one factor, so that one picture is true to scale for both.
    """
    moving = [each for each in explanation.concepts if each.log_odds != 0]
    ends = np.cumsum([explanation.base_probability, *(each.probability for each in moving)])
    low, high = float(ends.min()), float(ends.max())
    span = (high - low) or 1.0

    def place(probability: float) -> float:
        return 100 * (probability - low) / span

    def step(effect: Effect, label: Label | None, at: float, parts: tuple[Step, ...] = ()) -> Step:
        left = place(min(at, at + effect.probability))
        return Step(label, effect.log_odds, effect.probability, left, 100 * abs(effect.probability) / span, parts)

    def features(concept: str, at: float) -> tuple[Step, ...]:
        made = []
        for effect in explanation.features:
            owner, label = labels[f"feature {effect.name}"]
            if owner == concept and effect.log_odds != 0:
                made.append(step(effect, label, at))
                at += effect.probability
        return tuple(made)

    every = [
        step(effect, labels[effect.name][1], float(at), features(effect.name, float(at)))
        for effect, at in zip(moving, ends, strict=False)
    ]
    alone, others = every[:ALONE], tuple(every[ALONE:])
    whole = Effect("", sum(each.log_odds for each in others), sum(each.probability for each in others))
    rest = step(whole, None, float(ends[len(alone)]), others) if others else None
    return Waterfall(tuple(alone), rest, explanation, place(explanation.base_probability), place(float(ends[-1])))
