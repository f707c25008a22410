"""What the shift of one feature costs, by deciding anew as if it had not shifted; needs no outcome.

It is a what-if about the model, not a cause in the world.  One feature is given back its baseline distribution while
every other feature stays as it is, those derived from the same raw column too, and the model decides again.  The costs
are expected ones: they hold as far as the probabilities are calibrated for today's applicants, and a shift that breaks
calibration costs more than is shown here.  Effects of several features do not add up where the model has them interact.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from credit.errors import DataError
from credit.evaluation.checks import Floats, positive
from credit.evaluation.decisions import expected_cost
from credit.evaluation.intervals import LEVEL
from credit.monitoring.window import Window
from credit.scoring.baseline import Baseline
from credit.scoring.decider import Decider
from credit.scoring.scorer import Scorer

__all__ = ["cost_of_drift"]

#: Groups whose spread gives the interval, and fewest applicants in each.
GROUPS, LEAST = 20, 25

Places = npt.NDArray[np.int64]
Pairs = list[tuple[Places, Places]]


def cost_of_drift(
    decider: Decider,
    baseline: Baseline,
    window: Window,
    names: Sequence[str],
    *,
    rows: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return expected cost per applicant now, minus what it would be had a feature kept its baseline distribution.

    A number is mapped by rank: whoever is at a quantile of the window gets the value at that quantile of the baseline,
    and as many are missing as were, chosen at random.  Of a category, as few applicants as possible, chosen at random,
    get another level so that the shares are those of the baseline.

    Parameters
    ----------
    decider : Decider
        The model that is watched, with its threshold.
    baseline : Baseline
        Kept with it.
    window : Window
        The applicants of today.
    names : sequence of str
        Features to look at.
    rows : int
        Applicants that are scored again at most, drawn at random.
    seed : int
        Of all that is drawn.

    Returns
    -------
    DataFrame
        One row a name, in their order: feature, cost (above 0 where the shift makes decisions dearer, in units of one
        good client refused), low, high (95% interval).

    Raises
    ------
    DataError
        If window or baseline has fewer than 50 rows, or a name is no feature of the model.

    Notes
    -----
    The interval must hold the chance in both samples, so window and baseline are cut into the same number of random
    groups, and the difference is worked out anew in each pair of groups.  Their mean has the variance of the whole, and
    their spread estimates it (batch means): cost +- t(groups - 1) s / sqrt(groups).
    """
    if unknown := [name for name in names if name not in baseline.inputs]:
        raise DataError(f"cost of drift: {unknown[0]!r} is no feature of the model; it has {len(baseline.inputs)}.")
    rng = np.random.default_rng(seed)
    here = np.sort(rng.permutation(len(window))[: positive("rows", rows)])
    frame = window.features.iloc[here].reset_index(drop=True)
    count = min(GROUPS, len(frame) // LEAST, len(baseline.sample) // LEAST)
    if count < 2:
        sides = f"{len(frame)} applicants against {len(baseline.sample)} of the baseline"
        raise DataError(f"cost of drift: {sides}, at least {2 * LEAST} each are needed; take a longer window.")
    pairs = list(zip(_parts(len(frame), count, rng), _parts(len(baseline.sample), count, rng), strict=True))
    now = _costs(decider.scorer, frame, pairs)
    found = []
    for name in names:
        whole, parts = _undone(frame[name], baseline.sample[name], pairs, rng)
        change = now - _costs(decider.scorer, frame.assign(**{name: parts}), pairs)
        cost = now[0] - _costs(decider.scorer, frame.assign(**{name: whole}), [])[0]
        half = stdtrit(count - 1, (1 + LEVEL) / 2) * change[1:].std(ddof=1) / np.sqrt(count)
        found.append((name, float(cost), float(cost - half), float(cost + half)))
    return pd.DataFrame(found, columns=["feature", "cost", "low", "high"])


def _parts(rows: int, count: int, rng: np.random.Generator) -> list[Places]:
    return np.array_split(rng.permutation(rows), count)


def _costs(scorer: Scorer, frame: pd.DataFrame, pairs: Pairs) -> Floats:
    """Return the expected cost per applicant of all rows, then of each group."""
    decided = scorer.decide(frame)
    p, words = decided["probability_of_default"].to_numpy(), decided["decision"].to_numpy()
    groups = (expected_cost(p[group], words[group], scorer.costs) for group, _ in pairs)
    return np.array([expected_cost(p, words, scorer.costs), *groups])


def _undone(now: pd.Series, before: pd.Series, pairs: Pairs, rng: np.random.Generator) -> tuple[pd.Series, pd.Series]:
    """Give a column its baseline distribution, as a whole, and group by group."""
    numbers = pd.api.types.is_numeric_dtype(before)
    if not numbers:
        codes, levels = pd.factorize(pd.concat([now, before]).astype("str"), use_na_sentinel=False)
        here, there = codes[: len(now)], codes[len(now) :]
    else:
        here, there = (side.to_numpy(np.float64, na_value=np.nan) for side in (now, before))
    restore = _ranked if numbers else _redrawn
    whole, parts = restore(here, there, rng), np.empty_like(here)
    for group, other in pairs:
        parts[group] = restore(here[group], there[other], rng)
    if numbers:
        return pd.Series(whole), pd.Series(parts)
    return pd.Series(levels.take(whole)), pd.Series(levels.take(parts))


def _ranked(now: Floats, before: Floats, rng: np.random.Generator) -> Floats:
    """Map numbers by rank to the quantiles of `before`, ties in random order, with its share of missing values."""
    values, held = np.sort(before[~np.isnan(before)]), rng.permutation(np.flatnonzero(~np.isnan(now)))
    wanted = round(now.size * values.size / before.size)
    share = np.empty(now.size)
    share[held[np.argsort(now[held], kind="stable")]] = (np.arange(held.size) + 0.5) / max(held.size, 1)
    absent = rng.permutation(np.flatnonzero(np.isnan(now)))[: max(wanted - held.size, 0)]
    share[absent] = rng.random(absent.size)
    chosen = np.concatenate([rng.permutation(held)[:wanted], absent])
    made = np.full(now.size, np.nan)
    if values.size:
        made[chosen] = values[(share[chosen] * values.size).astype(np.int64)]
    return made


def _redrawn(now: Places, before: Places, rng: np.random.Generator) -> Places:
    """Move as few rows as possible to other levels, so that each has the share that it has in `before`."""
    size = int(max(now.max(), before.max())) + 1
    exact = np.bincount(before, minlength=size) * (now.size / before.size)
    wanted = np.floor(exact).astype(np.int64)
    wanted[np.argsort(wanted - exact, kind="stable")[: now.size - wanted.sum()]] += 1
    order = rng.permutation(now.size)
    order = order[np.argsort(now[order], kind="stable")]  # by level, at random within it
    held = np.bincount(now, minlength=size)
    rank = np.arange(now.size) - np.repeat(np.cumsum(held) - held, held)
    surplus = rng.permutation(order[rank >= wanted[now[order]]])
    made = now.copy()
    made[surplus] = np.repeat(np.arange(size), np.maximum(wanted - held, 0))
    return made
