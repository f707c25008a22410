"""Drift planted in synthetic applications from a chosen month: whoever applies, or what becomes of them, changes.

Each is a pure function of raw rows and of their true probabilities of default.  It knows no file, no model and no
calendar; the outcomes are drawn afterwards, from the probabilities that it leaves.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from credit.errors import ConfigError

__all__ = ["DRIFTS", "SPARE", "Drift", "chosen", "planted"]

Floats = NDArray[np.float64]
Applicants = tuple[pd.DataFrame, Floats]

#: A drift that chooses among those who would apply is given so many times the applicants that are wanted.
SPARE = 3
INFLATION = 1.5
GONE = 0.5
YEARS = 8.0  # older, and e times less likely to be among those who apply
KIND = "Commercial associate"
ODDS = 30.0


@dataclass(frozen=True)
class Drift:
    """One planted change.

    Parameters
    ----------
    title : str
        What happens, for people.
    change : callable
        (applications, probabilities, random generator) -> the same of whoever applies now, those first who are
        likelier to; shorter by no row.
    """

    title: str
    change: Callable[[pd.DataFrame, Floats, np.random.Generator], Applicants]


def _income(rows: pd.DataFrame, probability: Floats, _: np.random.Generator) -> Applicants:
    """Let all prices rise and incomes with them: the figure is another, the risk is not."""
    return rows.assign(AMT_INCOME_TOTAL=rows["AMT_INCOME_TOTAL"] * INFLATION), probability


def _score(rows: pd.DataFrame, probability: Floats, rng: np.random.Generator) -> Applicants:
    """Let a source fail, for anybody alike: less is known of them, the risk is the same."""
    return rows.assign(EXT_SOURCE_2=rows["EXT_SOURCE_2"].mask(rng.random(len(rows)) < GONE)), probability


def _younger(rows: pd.DataFrame, probability: Floats, rng: np.random.Generator) -> Applicants:
    """Draw without replacement, with weights exp(-age / YEARS), so that the young come first.

    As the keys of Efraimidis & Spirakis 2006 (Information Processing Letters 97:181) do, in logarithms.
    """
    age = rows["DAYS_BIRTH"].to_numpy() / -365.25
    order = np.argsort(rng.exponential(size=len(rows)) * np.exp((age - age.min()) / YEARS), kind="stable")
    return rows.iloc[order].reset_index(drop=True), probability[order]


def _risk(rows: pd.DataFrame, probability: Floats, _: np.random.Generator) -> Applicants:
    """Let one kind of applicant fail far more often; nothing of what is known about anybody changes."""
    odds = np.where(rows["NAME_INCOME_TYPE"] == KIND, ODDS, 1.0)
    return rows, odds * probability / (1 + (odds - 1) * probability)


#: By the name that they are asked for under.
DRIFTS = {
    "income": Drift(f"incomes are {INFLATION:g} times what they were, and mean no more than before", _income),
    "score": Drift(f"an external score is missing for {GONE:.0%} of the applicants", _score),
    "younger": Drift("the applicants are younger", _younger),
    "risk": Drift(f"the odds of default of one kind of applicant ({KIND.lower()}s) are {ODDS:g} times as high", _risk),
}


def chosen(names: Iterable[str]) -> tuple[Drift, ...]:
    """Return drifts by name, in the order of `DRIFTS`; ConfigError where there is none of that name."""
    wanted = set(names)
    for name in sorted(wanted - DRIFTS.keys()):
        raise ConfigError(f"drift {name!r}: no such drift is known; name some of {', '.join(DRIFTS)}.")
    return tuple(drift for name, drift in DRIFTS.items() if name in wanted)


def planted(
    rows: pd.DataFrame, probability: Floats, drifts: Iterable[Drift], seed: np.random.SeedSequence
) -> Applicants:
    """Apply drifts one after the other, each with a stream of its own.

    Parameters
    ----------
    rows : DataFrame, n rows
        Raw applications.
    probability : array (n,)
        Their true probabilities of default.
    drifts : iterable of Drift
        In the order in which they happen.
    seed : SeedSequence
        The same gives the same rows.

    Returns
    -------
    DataFrame, array (n,)
        The same of the changed applicants; the given ones are left alone.
    """
    wanted = list(drifts)
    for drift, stream in zip(wanted, seed.spawn(len(wanted)), strict=True):
        rows, probability = drift.change(rows, probability, np.random.default_rng(stream))
    return rows, probability
