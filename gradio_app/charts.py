"""Where bars and marks of the page's pictures stand, in percent of their frame; draws nothing and knows no language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np

from credit.portfolio import Label
from credit.scoring.explain import Effect, Explanation

__all__ = ["Bar", "Distribution", "Line", "Point", "Step", "Trend", "Waterfall", "distribution", "trend", "waterfall"]

#: A number, a number with its interval as (estimate, low, high), or nothing.
Value = float | tuple[float, float, float] | None
#: Bars of the distribution, about; concepts of the waterfall that stand alone.
BARS, ALONE = 40, 8
#: Lines across a trend, about; how far intervals of the same moment stand apart.
TICKS, APART = 4, 1.6


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


@dataclass(frozen=True)
class Point:
    """One value of a trend, and its interval where it has one."""

    left: float
    bottom: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One series of a trend: its points, and what joins those that follow one another as an SVG path."""

    points: tuple[Point, ...]
    path: str


@dataclass(frozen=True)
class Trend:
    """Series over the same moments, in percent of their frame from its lower left corner.

    Parameters
    ----------
    lines : dict of str to Line
        By name.
    limits : tuple of float
        How high each limit stands that is within the frame.
    ticks : tuple of (float, float)
        Height and value of each line across.
    lefts : tuple of float
        Where each moment stands.
    """

    lines: dict[str, Line]
    limits: tuple[float, ...]
    ticks: tuple[tuple[float, float], ...]
    lefts: tuple[float, ...]


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


def trend(series: Mapping[str, Sequence[Value]], limits: Sequence[float] = (), *, zero: bool = True) -> Trend:
    """Lay out series over moments that are equally far apart.

    Parameters
    ----------
    series : dict of str to sequence
        One value a moment: a number, a number with its interval as (estimate, low, high), or None where there is none.
    limits : sequence of float
        Drawn where they are not far above all values.
    zero : bool
        Whether the frame begins at 0; else a little below the lowest value.
    """
    count = max((len(values) for values in series.values()), default=0)
    lefts = tuple(100 * (at + 0.5) / count for at in range(count))
    known = [number for values in series.values() for value in values for number in _numbers(value)]
    highest = max(known, default=1.0)
    near = [limit for limit in limits if limit <= 3 * highest] or list(limits[:1])
    low, high, step = _scale(0.0 if zero else min([*known, *near], default=0.0), max([highest, *near]))

    def place(number: float) -> float:
        return 100 * (number - low) / (high - low)

    def line(at: int, values: Sequence[Value]) -> Line:
        aside = APART * (at - (len(series) - 1) / 2) if any(isinstance(each, tuple) for each in values) else 0.0
        points = [
            Point(left + aside, *map(place, _numbers(value))) if value is not None else None
            for left, value in zip(lefts, values, strict=True)
        ]
        drawn = [
            f"{'L' if at and points[at - 1] else 'M'}{point.left:.2f} {100 - point.bottom:.2f}"
            for at, point in enumerate(points)
            if point
        ]
        return Line(tuple(point for point in points if point), " ".join(drawn))

    ticks = tuple((place(low + step * at), low + step * at) for at in range(round((high - low) / step) + 1))
    lines = {name: line(at, values) for at, (name, values) in enumerate(series.items())}
    return Trend(lines, tuple(map(place, near)), ticks, lefts)


def _numbers(value: Value) -> tuple[float, ...]:
    return () if value is None else value if isinstance(value, tuple) else (value,)


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Return the ends of an axis and the step between its lines, all of them round numbers."""
    span = (high - low) or abs(high) or 1.0
    rough = span / TICKS
    power = 10.0 ** floor(log10(rough))
    step = power * next(each for each in (1, 2, 2.5, 5, 10) if each * power >= rough * (1 - 1e-9))
    start = step * floor(low / step + 1e-9)
    return start, start + step * max(ceil((high - start) / step - 1e-9), 1), step
