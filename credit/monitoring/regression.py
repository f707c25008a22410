"""Whether a champion costs more than its predecessor on the same matured clients; moves no model.

Outcomes are there for clients who got a loan, and who got one was decided by one of the two models: where one of them
declines and the other approves, outcomes are missing or not according to whose turn it was.  So two comparisons are
made.  The first is on the clients with an outcome.  The second adds those without one whom the two models treat
differently, with the champion's own probability in the place of the outcome.  That takes the champion at its word: a
client it declines would default as often as it says.  A rollback is proposed only where the champion is worse in both.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from credit.evaluation.checks import Booleans, Floats
from credit.evaluation.decisions import decide
from credit.evaluation.intervals import LEVEL, Interval, compare, normal_quantile
from credit.monitoring.expectation import stakes
from credit.monitoring.findings import Finding
from credit.monitoring.window import Window
from credit.portfolio import Costs
from credit.scoring.decider import Decider

__all__ = ["LEAST", "Regression", "compare_versions", "findings"]

#: Fewest clients with an outcome, and fewest of them whom the two models treat differently.
LEAST = (300, 30)


@dataclass(frozen=True)
class Regression:
    """A champion against its predecessor; differences are cost per client of the champion minus that of the other.

    Attributes
    ----------
    champion, predecessor : int
        Their versions.
    applicants, matured : int
        In the window, and with an outcome.
    cells : tuple of dict
        The clients whom the two treat differently: the decisions of both, ``clients``, ``matured``, ``defaults``.
    known : Interval or None
        The difference over the clients with an outcome (paired bootstrap); None where nothing can be compared.
    filled : Interval or None
        The difference over these and the clients without whom the two treat differently, as if they defaulted as often
        as the champion says (normal; chance in their outcomes included).
    filled_in : int
        How many those are.
    limit : float
        Where a difference begins to count.
    worse : bool
        Whether the first comparison is surely above 0 and beyond the limit.
    proposed : bool
        Whether both are.
    why : str
        The result in words, for people and the ledger.
    """

    champion: int
    predecessor: int
    applicants: int
    matured: int
    cells: tuple[dict[str, Any], ...]
    known: Interval | None
    filled: Interval | None
    filled_in: int
    limit: float
    worse: bool
    proposed: bool
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values, ready for JSON."""
        return asdict(self)


def compare_versions(
    champion: Decider,
    predecessor: Decider,
    window: Window,
    costs: Costs,
    limit: float,
    *,
    features: pd.DataFrame | None = None,
    least: tuple[int, int] = LEAST,
    threads: int = 1,
) -> Regression:
    """Compare two versions on a window, each deciding anew by its own threshold.

    Parameters
    ----------
    champion : Decider
        The model that `window` was scored by.
    predecessor : Decider
        The champion before it.
    window : Window
    costs : Costs
        Today's cost matrix, for both.
    limit : float
        Cost per client by which the champion must be worse; see [monitoring] regression.
    features : DataFrame, optional
        What the predecessor reads of the window's applicants, in their order; by default `window.features`.
    least : (int, int)
        See `LEAST`.
    threads : int
        For LightGBM.

    Returns
    -------
    Regression
        Without figures, and with the reason, where too few clients matured or the predecessor reads other features.
    """
    frame = window.features if features is None else features
    known = window.scored["outcome"].notna().to_numpy()
    pair = (champion.identity.version, predecessor.identity.version)
    absent = [name for name in predecessor.scorer.contract if name not in frame]
    said = ""
    if absent:
        said = f"version {pair[1]} reads {len(absent)} features that are not there, such as {absent[0]}"
    elif known.sum() < least[0]:
        said = f"{int(known.sum()):,} clients have an outcome, {least[0]:,} are needed"
    if said:
        return _silent(pair, window, known, (), limit, said)
    own, other = _decisions(champion, predecessor, window, frame, threads)
    cells = _cells(own, other, window.scored["outcome"], known)
    apart = own != other
    if (known & apart).sum() < least[1]:
        said = (
            f"they treat {int((known & apart).sum()):,} of the clients with an outcome differently, {least[1]:,} are "
            "needed"
        )
        return _silent(pair, window, known, cells, limit, said)
    return _judged(pair, window, own, other, cells, costs, limit)


def _decisions(
    champion: Decider, predecessor: Decider, window: Window, frame: pd.DataFrame, threads: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    p = window.scored["probability"].to_numpy(np.float64)
    own = decide(p, champion.scorer.costs, champion.scorer.threshold)
    return own, predecessor.scorer.decide(frame, threads=threads)["decision"].to_numpy(str)


def _cells(
    own: npt.NDArray[Any], other: npt.NDArray[Any], outcome: pd.Series, known: Booleans
) -> tuple[dict[str, Any], ...]:
    """Count the clients whom the two treat differently."""
    table = pd.DataFrame(
        {"champion": own, "predecessor": other, "clients": 1, "matured": known, "defaults": outcome.to_numpy() == 1}
    )
    counts = table[own != other].groupby(["champion", "predecessor"]).sum().reset_index()
    return tuple(
        {name: value if isinstance(value, str) else int(value) for name, value in row.items()}
        for row in counts.to_dict("records")
    )


def _judged(
    pair: tuple[int, int],
    window: Window,
    own: npt.NDArray[Any],
    other: npt.NDArray[Any],
    cells: tuple[dict[str, Any], ...],
    costs: Costs,
    limit: float,
) -> Regression:
    scored, apart = window.scored, own != other
    y = scored["outcome"].to_numpy(np.float64)
    known = ~np.isnan(y)
    (bad, good), (bad_other, good_other) = stakes(own, costs), stakes(other, costs)
    a, b = (np.where(y == 1, *each)[known] for each in ((bad, good), (bad_other, good_other)))
    first = compare(a, b).difference
    rows = known | apart
    risk = np.where(known, y, scored["probability"].to_numpy(np.float64))[rows]
    stake, base = (bad - bad_other - good + good_other)[rows], (good - good_other)[rows]
    second = _mean(base + risk * stake, risk * (1 - risk) * stake**2)
    worse, also = (_beyond(each, limit) for each in (first, second))
    filled_in = int((apart & ~known).sum())
    why = _said(pair, first, second, filled_in, limit, int(known.sum()))
    counts = (len(window), int(known.sum()))
    return Regression(*pair, *counts, cells, first, second, filled_in, limit, worse, worse and also, why)


def _mean(values: Floats, luck: Floats) -> Interval:
    """Return the normal interval of a mean, where values are known but for a variance of their own."""
    half = normal_quantile(LEVEL) * ((values.var() + luck.mean()) / values.size) ** 0.5
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def _said(pair: tuple[int, int], first: Interval, second: Interval, filled_in: int, limit: float, matured: int) -> str:
    worse, also = (_beyond(each, limit) for each in (first, second))
    said = (
        f"On {matured:,} clients with an outcome, version {pair[0]} costs {first:+.4f} per client against version "
        f"{pair[1]}; with the {filled_in:,} without one whom they treat differently, taken at version {pair[0]}'s "
        f"word, {second:+.4f}. "
    )
    if worse and also:
        return f"{said}Both are surely above 0 and beyond the limit of {limit:g}: go back to version {pair[1]}."
    if worse:
        return (
            f"{said}Only the first is surely above 0 and beyond the limit of {limit:g}: who has an outcome may be the "
            "cause, so no rollback is proposed."
        )
    return f"{said}The first is not surely above 0 and beyond the limit of {limit:g}: no rollback is proposed."


def _beyond(difference: Interval, limit: float) -> bool:
    return difference.estimate > limit and difference.low > 0


def _silent(
    pair: tuple[int, int],
    window: Window,
    known: Booleans,
    cells: tuple[dict[str, Any], ...],
    limit: float,
    said: str,
) -> Regression:
    why = f"Version {pair[0]} is not compared with version {pair[1]}: {said}."
    return Regression(*pair, len(window), int(known.sum()), cells, None, None, 0, limit, False, False, why)


def findings(found: Regression | None) -> list[Finding]:
    """Call an alert for a proposed rollback, a warning where only the clients with an outcome speak for it."""
    if found is None or found.known is None or not found.worse:
        return []
    subject, value = f"version {found.champion} against {found.predecessor}", found.known.estimate
    severity: Any = "ALERT" if found.proposed else "WARN"
    return [Finding(severity, "regression", subject, value, found.limit, found.why, None, value)]
