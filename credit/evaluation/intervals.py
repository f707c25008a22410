"""Intervals for means, shares and their differences; knows no cost matrix and no probability of default.

Bootstrap: rows are drawn with replacement from all rows (not stratified: the number of defaults would differ
in another sample of applicants, and so it does here), the model and its threshold stay as they are, and the
interval runs between percentiles (Efron & Tibshirani 1993, chapter 13).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from credit.evaluation.checks import Floats, floats, positive

__all__ = [
    "CELLS",
    "LEVEL",
    "Comparison",
    "Interval",
    "compare",
    "mean_interval",
    "newcombe",
    "normal_quantile",
    "percentiles",
    "ratio",
    "resampled_means",
    "spread",
    "wilson",
]

LEVEL = 0.95
#: Up to so many distinct rows, resamples are drawn as counts of those, which is exact and much faster.
CELLS = 1024


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; `f"{interval:.3f}"` reads "0.523 (0.510 to 0.537)"."""

    estimate: float
    low: float
    high: float
    level: float = LEVEL

    def to_dict(self) -> dict[str, float]:
        """Return the four numbers, ready for JSON."""
        return asdict(self)

    def __neg__(self) -> "Interval":
        return Interval(0.0 - self.estimate, 0.0 - self.high, 0.0 - self.low, self.level)

    def __format__(self, spec: str) -> str:
        return f"{self.estimate:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


@dataclass(frozen=True)
class Comparison:
    """Two ways to decide on the same rows, a against b.

    Attributes
    ----------
    difference : Interval
        Cost per applicant of a minus that of b; below 0 where a is cheaper.
    saving : Interval
        The share of b's cost that a saves, -difference / cost of b; NaN where b may cost nothing.
    probability_cheaper : float
        Share of resamples in which a is cheaper than b; ties count half, so that equals give 0.5.
    """

    difference: Interval
    saving: Interval
    probability_cheaper: float

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dicts, ready for JSON."""
        return asdict(self)


def spread(name: str, interval: Interval) -> dict[str, float]:
    """Return the columns NAME, NAME_low and NAME_high of a table."""
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def normal_quantile(level: float) -> float:
    """Return z such that a standard normal lies in [-z, z] with probability `level`."""
    return float(ndtri((1 + level) / 2))


def percentiles(estimate: float, draws: Floats, level: float = LEVEL) -> Interval:
    """Return the percentile interval of bootstrap `draws`, shape (repeats,), around `estimate`."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high), level)


def resampled_means(rows: Floats, repeats: int, seed: int) -> Floats:
    """Draw the bootstrap distribution of column means.

    Resampling n rows means drawing multinomial counts over the distinct rows. Losses take few distinct
    values, so that form is used where it is cheap; with many distinct values the rows themselves are drawn.
    The result does not depend on the order of the rows.

    Parameters
    ----------
    rows : array of shape (n, k)
        The columns are resampled together, so that comparisons between them are paired.

    Returns
    -------
    array of shape (repeats, k)
    """
    positive("repeats", repeats)
    n, rng = len(rows), np.random.default_rng(seed)
    cells, counts = np.unique(rows, axis=0, return_counts=True)
    if len(cells) <= CELLS:
        return np.asarray(rng.multinomial(n, counts / n, size=repeats) @ cells / n)
    ordered, means = np.repeat(cells, counts, axis=0), np.empty((repeats, rows.shape[1]))
    for mean in means:
        mean[:] = np.bincount(rng.integers(n, size=n), minlength=n) @ ordered / n
    return means


def mean_interval(losses: npt.ArrayLike, repeats: int = 2000, seed: int = 0) -> Interval:
    """Return the mean of per-row losses with its bootstrap interval."""
    rows = floats("losses", losses)
    return percentiles(float(rows.mean()), resampled_means(rows[:, None], repeats, seed)[:, 0])


def compare(losses_a: npt.ArrayLike, losses_b: npt.ArrayLike, repeats: int = 2000, seed: int = 0) -> Comparison:
    """Compare two ways to decide by their losses on the same rows, in the same order.

    Parameters
    ----------
    losses_a, losses_b : array_like of shape (n,)
        As `losses` gives them.
    """
    a = floats("losses_a", losses_a)
    b = floats("losses_b", losses_b, a.size)
    draws = resampled_means(np.column_stack([a - b, b]), repeats, seed)
    gap, base = draws.T
    defined = b.mean() > 0 and (base > 0).all()
    saving = percentiles((b - a).mean() / b.mean(), (0.0 - gap) / base) if defined else Interval(np.nan, np.nan, np.nan)
    cheaper = float(np.mean(gap < 0) + np.mean(gap == 0) / 2)
    return Comparison(percentiles(float((a - b).mean()), gap), saving, cheaper)


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return Wilson's score interval of a share (Wilson 1927; Newcombe 1998, Statist. Med. 17:857, method 3).

    The limits are the p that solve |x/n - p| = z sqrt(p (1 - p) / n). They lie in [0, 1] and hold their level
    in small samples. Without rows nothing is known: the interval is [0, 1].

    Parameters
    ----------
    successes, n : array_like
        Counts x and n, of one shape.
    """
    x, rows = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if np.any((x < 0) | (x > rows)):
        raise ValueError(f"successes: must lie between 0 and n, are {x} of {rows}.")
    z2 = normal_quantile(level) ** 2
    middle = (2 * x + z2) / (2 * (rows + z2))
    share = np.divide(x, rows, out=np.full_like(rows, 0.5), where=rows > 0)
    half = np.sqrt(z2 * (z2 + 4 * x * (1 - share))) / (2 * (rows + z2))
    return np.where(x == 0, 0.0, middle - half), np.where(x == rows, 1.0, middle + half)


def newcombe(x1: int, n1: int, x2: int, n2: int, level: float = LEVEL) -> Interval:
    """Return the hybrid score interval of x1/n1 - x2/n2 (Newcombe 1998, Statist. Med. 17:873, method 10).

    With Wilson limits (l, u) of each share, low = d - sqrt((p1 - l1)^2 + (u2 - p2)^2) and
    high = d + sqrt((u1 - p1)^2 + (p2 - l2)^2). Where a share has no rows, the estimate is NaN in [-1, 1].
    """
    if n1 == 0 or n2 == 0:
        return Interval(float("nan"), -1.0, 1.0, level)
    (l1, l2), (u1, u2) = wilson([x1, x2], [n1, n2], level)
    p1, p2 = x1 / n1, x2 / n2
    low, high = np.hypot(p1 - l1, u2 - p2), np.hypot(u1 - p1, p2 - l2)
    return Interval(p1 - p2, float(p1 - p2 - low), float(p1 - p2 + high), level)


def ratio(x1: int, n1: int, x2: int, n2: int, level: float = LEVEL) -> Interval:
    """Return the interval of (x1/n1) / (x2/n2) from Wilson limits (MOVER-R: Donner & Zou 2012, SMMR 21:347).

    With a = p1 p2, the limits are A / (a + sqrt(a^2 - A B)) for A = l1 (2 p1 - l1), B = u2 (2 p2 - u2), and
    (a + sqrt(a^2 - A B)) / B for A = u1 (2 p1 - u1), B = l2 (2 p2 - l2). Where the ratio is undefined (no
    rows, or x2 = 0), the estimate is NaN in [0, inf].
    """
    if n1 == 0 or n2 == 0 or x2 == 0:
        return Interval(float("nan"), 0.0, float("inf"), level)
    (l1, l2), (u1, u2) = wilson([x1, x2], [n1, n2], level)
    p1, p2 = x1 / n1, x2 / n2
    a, lower = p1 * p2, l1 * (2 * p1 - l1)
    low = lower / (a + np.sqrt(a**2 - lower * u2 * (2 * p2 - u2))) if x1 else 0.0
    divisor = l2 * (2 * p2 - l2)
    high = (a + np.sqrt(a**2 - u1 * (2 * p1 - u1) * divisor)) / divisor
    return Interval(p1 / p2, float(low), float(high), level)
