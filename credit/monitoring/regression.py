"""Whether a champion costs more than its predecessor on the same matured clients; moves no model.

Outcomes are there for clients who got a loan, and who got one was decided by one of the two models: where one of them
declines and the other approves, outcomes are missing or not according to whose turn it was.  So the difference is
measured three times: *known*, on the clients with an outcome; *filled*, with those without one whom the two treat
differently, as if they defaulted as often as the champion says, which favours it; and *modelled*, as if they defaulted
as often as the known outcomes say of clients with these two probabilities.  Given both, who has an outcome no longer
depends on what it is, as long as the two models decided and not what an officer knew besides.  A rollback is proposed
where the champion is worse on the known clients and as modelled.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from credit.evaluation.checks import Booleans, Floats
from credit.evaluation.decisions import decide
from credit.evaluation.intervals import LEVEL, Interval, compare, normal_quantile
from credit.evaluation.metrics import MARGIN
from credit.monitoring.expectation import stakes
from credit.monitoring.findings import Finding
from credit.monitoring.window import Window
from credit.portfolio import Costs
from credit.scoring.baseline import SCORE
from credit.scoring.decider import Decider

__all__ = ["LEAST", "Regression", "compare_versions", "findings"]

#: Fewest clients with an outcome, and fewest of them whom the two models treat differently.
LEAST = (300, 30)
#: The champion's word: its log-odds as they are, and nothing of the other's.
WORD = np.array([0.0, 1.0, 0.0])


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
    modelled : Interval or None
        The same, as if they defaulted as often as the known outcomes say of clients with these two probabilities
        (normal; what the outcomes leave open included).
    filled_in : int
        How many those are.
    limit : float
        Where a difference begins to count.
    worse : bool
        Whether the difference is surely above 0 and beyond the limit on the known clients.
    proposed : bool
        Whether it is so as modelled too.
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
    modelled: Interval | None
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
    own, other = _told(champion, window), predecessor.scorer.decide(frame, threads=threads)
    cells = _cells(own, other, window.scored["outcome"], known)
    apart = int((known & _apart(own, other)).sum())
    if apart < least[1]:
        said = f"they treat {apart:,} of the clients with an outcome differently, {least[1]:,} are needed"
        return _silent(pair, window, known, cells, limit, said)
    return _judged(pair, window, own, other, cells, costs, limit)


def _told(champion: Decider, window: Window) -> pd.DataFrame:
    """Return what the champion says of the window, as `Scorer.decide` would."""
    p = window.scored["probability"].to_numpy(np.float64)
    decision = decide(p, champion.scorer.costs, champion.scorer.threshold)
    return pd.DataFrame({SCORE: p, "decision": decision})


def _apart(own: pd.DataFrame, other: pd.DataFrame) -> Booleans:
    return np.asarray(own["decision"].to_numpy(str) != other["decision"].to_numpy(str))


def _cells(own: pd.DataFrame, other: pd.DataFrame, outcome: pd.Series, known: Booleans) -> tuple[dict[str, Any], ...]:
    """Count the clients whom the two treat differently."""
    table = pd.DataFrame(
        {
            "champion": own["decision"].to_numpy(str),
            "predecessor": other["decision"].to_numpy(str),
            "clients": 1,
            "matured": known.astype(int),
            "defaults": (outcome.to_numpy() == 1).astype(int),
        }
    )
    counts = table[_apart(own, other)].groupby(["champion", "predecessor"]).sum().reset_index()
    return tuple(
        {str(name): value if isinstance(value, str) else int(value) for name, value in row.items()}
        for row in counts.to_dict("records")
    )


def _judged(
    pair: tuple[int, int],
    window: Window,
    own: pd.DataFrame,
    other: pd.DataFrame,
    cells: tuple[dict[str, Any], ...],
    costs: Costs,
    limit: float,
) -> Regression:
    y = window.scored["outcome"].to_numpy(np.float64)
    known, apart = ~np.isnan(y), _apart(own, other)
    (bad, good), (bad_other, good_other) = (stakes(each["decision"], costs) for each in (own, other))
    first = compare(np.where(y == 1, bad, good)[known], np.where(y == 1, bad_other, good_other)[known]).difference
    rows = known | apart
    stake, base, missing = (bad - bad_other - good + good_other)[rows], (good - good_other)[rows], ~known[rows]
    X = np.column_stack([np.ones(len(y)), *(_logit(each) for each in (own, other))])
    X[:, 2] -= X[:, 1]

    def replaced(coefficients: Floats, spread: Floats) -> Interval:
        p = expit(X[rows] @ coefficients)
        risk = np.where(missing, p, y[rows])
        tilt = (missing * p * (1 - p) * stake) @ X[rows] / rows.sum()
        return _around(base + risk * stake, risk * (1 - risk) * stake**2, float(tilt @ spread @ tilt))

    word, learnt = replaced(WORD, np.zeros((3, 3))), replaced(*_learn(X[known], y[known] == 1))
    worse, also = _beyond(first, limit), _beyond(learnt, limit)
    filled_in, matured = int(missing.sum()), int(known.sum())
    why = _said(pair, (first, learnt, word), filled_in, limit, matured)
    return Regression(
        *pair, len(window), matured, cells, first, word, learnt, filled_in, limit, worse, worse and also, why
    )


def _logit(told: pd.DataFrame) -> Floats:
    return np.asarray(logit(np.clip(told[SCORE].to_numpy(np.float64), MARGIN, 1 - MARGIN)))


def _learn(X: Floats, defaults: Booleans) -> tuple[Floats, Floats]:
    """Return the coefficients that the outcomes speak for and their covariance, starting from the champion's word.

    The columns of X are 1, the champion's log-odds, and those of the other minus those; each coefficient has a normal
    prior around `WORD` with a standard deviation of 1, so that there is always one answer (Newton's method, Laplace's
    approximation).
    """

    def loss(beta: Floats) -> float:
        misfit = np.logaddexp(0, np.where(defaults, -1, 1) * (X @ beta)).sum()
        return float(misfit + ((beta - WORD) ** 2).sum() / 2)

    beta, step = WORD, np.ones(3)
    while np.abs(step).max() > 1e-9:
        p = expit(X @ beta)
        information = X.T @ (X * (p * (1 - p))[:, None]) + np.eye(3)
        step = np.linalg.solve(information, X.T @ (defaults - p) - (beta - WORD))
        while loss(beta + step) > loss(beta) + 1e-9:
            step = step / 2
        beta = beta + step
    return beta, np.linalg.inv(information)


def _around(values: Floats, luck: Floats, model: float) -> Interval:
    """Return the normal interval of a mean of values that have a variance of their own, and share that of a model."""
    half = normal_quantile(LEVEL) * ((values.var() + luck.mean()) / values.size + model) ** 0.5
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def _said(
    pair: tuple[int, int], figures: tuple[Interval, Interval, Interval], filled_in: int, limit: float, matured: int
) -> str:
    first, learnt, word = figures
    said = (
        f"On {matured:,} clients with an outcome, version {pair[0]} costs {first:+.4f} per client against version "
        f"{pair[1]}. With the {filled_in:,} without one whom they treat differently it is {learnt:+.4f} by what the "
        f"outcomes say of such clients, and {word:+.4f} at version {pair[0]}'s own word. "
    )
    if not _beyond(first, limit):
        return f"{said}The first is not surely above 0 and beyond the limit of {limit:g}: no rollback is proposed."
    if not _beyond(learnt, limit):
        return (
            f"{said}Only the first is surely above 0 and beyond the limit of {limit:g}: who has an outcome may be the "
            "cause, so no rollback is proposed."
        )
    return f"{said}The first two are surely above 0 and beyond the limit of {limit:g}: go back to version {pair[1]}."


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
    return Regression(*pair, len(window), int(known.sum()), cells, None, None, None, 0, limit, False, False, why)


def findings(found: Regression | None) -> list[Finding]:
    """Call an alert for a proposed rollback, a warning where only the clients with an outcome speak for it."""
    if found is None or found.known is None or not found.worse:
        return []
    subject, value = f"version {found.champion} against {found.predecessor}", found.known.estimate
    severity: Any = "ALERT" if found.proposed else "WARN"
    return [Finding(severity, "regression", subject, value, found.limit, found.why, None, value)]
