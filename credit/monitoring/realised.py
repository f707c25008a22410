"""What decisions have really cost, and how good the model was, once outcomes are known; knows no ledger and no file.

Who was declined got no loan and so has no outcome: this is the selective labels problem (Lakkaraju et al. 2017, KDD,
page 275).  Where the declined have none, everything here is about the approved, what is set beside it is about those
validation rows that the model would approve, and what would need the others is left out and said to be.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from credit.errors import DataError
from credit.evaluation.decisions import losses
from credit.evaluation.fairness import group_table
from credit.evaluation.intervals import LEVEL, Interval, mean_interval, normal_quantile
from credit.evaluation.metrics import auc_gap, auc_interval, calibration_slope_intercept
from credit.monitoring.expectation import Recalibration, chance, judged, tally
from credit.monitoring.findings import Finding
from credit.monitoring.money import around, promised
from credit.monitoring.window import Window
from credit.portfolio import Costs, Portfolio
from credit.scoring.baseline import OUTCOME

__all__ = ["findings", "past", "realised", "records"]

#: Where the share of the declined with an outcome is below this share of that of the approved, labels are selective.
EVEN = 0.9
#: A loss of AUC that counts.
AUC_LOSS = 0.03
PERIODS = {"day": 10, "month": 7, "year": 4}
#: Columns of `group_table` that need outcomes of the declined.
BLIND = ("approval_rate", "approval_ratio", "false_positive_rate", "false_negative_rate", "reference")
ERRORS = {"false_positive_rate": "of good clients are declined", "false_negative_rate": "of defaulters are approved"}


def realised(
    window: Window, costs: Costs, portfolio: Portfolio, validation: pd.DataFrame, threshold: float
) -> dict[str, Any] | None:
    """Judge a window by its outcomes.

    Parameters
    ----------
    window : Window
        Those of its applicants count whose outcome is known.
    costs : Costs
        Today's cost matrix.
    portfolio : Portfolio
        Names the protected groups, and from which size they are judged.
    validation : DataFrame
        The model's validation rows, with `SCORE` and `OUTCOME`.
    threshold : float
        The model's own, by which the validation rows are decided.

    Returns
    -------
    dict or None
        None without any outcome.  Otherwise plain values: ``clients`` (with an outcome), ``judged`` (those of them
        that the figures are about), ``selective`` and ``said`` (which, in words), ``labels`` (by decision),
        ``cost`` (of ``approvals``, and of all ``decisions`` where the declined have outcomes too; each ``realised``
        beside ``expected`` of the same clients and ``promised``), ``auc``, ``calibration``, ``brier``, ``fairness``
        (by protected group), and ``left_out`` (what there is not, and why).
    """
    scored = window.scored
    known = scored["outcome"].notna().to_numpy()
    if not known.any():
        return None
    labels = _labels(scored, known)
    approved = (scored["decision"] == "approve").to_numpy()
    selective = _selective(labels) and bool((known & approved).any())
    rows = known & approved if selective else known
    then = promised(validation, costs, threshold).assign(outcome=validation[OUTCOME].to_numpy(np.float64))
    recalibration = Recalibration.measure(validation)
    cost = {
        name: _cost(scored[part], then[other], costs, recalibration)
        for name, part, other in (
            ("approvals", known & approved, then["decision"] == "approve"),
            ("decisions", known & (not selective), then["decision"] != ""),
        )
    }
    now, then = scored[rows], then[then["decision"] == "approve"] if selective else then
    left_out: dict[str, str] = {}
    if selective:
        left_out["errors of declining"] = "the declined have no outcome"
    return {
        "clients": int(known.sum()),
        "judged": int(rows.sum()),
        "selective": selective,
        "said": _said(labels, selective),
        "labels": labels,
        "cost": cost,
        "auc": _known("auc", left_out, _auc, now, then),
        "calibration": _known("calibration", left_out, _calibration, now, then),
        "brier": {"now": _brier(now), "promised": _brier(then) if len(then) else None},
        "fairness": _fairness(window, rows, portfolio, selective),
        "left_out": left_out,
    }


def _labels(scored: pd.DataFrame, known: Any) -> dict[str, dict[str, int]]:
    """Count the applicants of each decision, and those of them with an outcome and with a default."""
    of = scored["decision"].astype(str)
    given = pd.DataFrame(
        {"applicants": 1, "known": known.astype(int), "defaults": (scored["outcome"] == 1).astype(int)}
    )
    return {str(word): {str(k): int(v) for k, v in row.items()} for word, row in given.groupby(of).sum().iterrows()}


def _share(labels: dict[str, dict[str, int]], word: str) -> float:
    counts = labels.get(word, {"applicants": 0, "known": 0})
    return counts["known"] / counts["applicants"] if counts["applicants"] else float("nan")


def _selective(labels: dict[str, dict[str, int]]) -> bool:
    """Whether the declined have outcomes more rarely than the approved."""
    return bool(_share(labels, "decline") < EVEN * _share(labels, "approve"))


def _said(labels: dict[str, dict[str, int]], selective: bool) -> str:
    total, known = (sum(counts[name] for counts in labels.values()) for name in ("applicants", "known"))
    said = f"{known:,} of {total:,} applicants have an outcome"
    if not selective:
        return f"{said}, the declined as well as the approved: the figures are about all of them."
    return (
        f"{said}: {_share(labels, 'approve'):.0%} of the approved and {_share(labels, 'decline'):.0%} of the declined. "
        "Who is declined gets no loan, so nobody learns whether they would have repaid (selective labels): the figures "
        "are about the approved alone, good clients declined cannot be counted, and AUC is lower than among all "
        "applicants, for which reason it is held against the validation rows that the model would approve."
    )


def _cost(now: pd.DataFrame, then: pd.DataFrame, costs: Costs, recalibration: Recalibration) -> dict[str, Any] | None:
    """Return realised and expected cost of the same clients, and the realised of validation rows; None of nobody."""
    if now.empty:
        return None
    whole = tally(now["probability"], now["decision"], costs, recalibration)
    error, skewness = float(whole.error(recalibration)[0]), float(whole.skewness(recalibration)[0])
    then_lost = losses(then["outcome"], then["decision"], costs) if len(then) else None
    return {
        "clients": len(now),
        "defaults": int(now["outcome"].sum()),
        "realised": mean_interval(losses(now["outcome"], now["decision"], costs)).to_dict(),
        "expected": around(float(whole.mean[0]), error).to_dict() | {"error": error, "skewness": skewness},
        "promised": None if then_lost is None else mean_interval(then_lost).to_dict(),
    }


def _known(name: str, left_out: dict[str, str], figure: Any, now: pd.DataFrame, then: pd.DataFrame) -> Any:
    """Return a figure, or note why these outcomes do not give it."""
    try:
        return figure(now, then)
    except DataError as error:
        left_out[name] = str(error)
        return None


def _auc(now: pd.DataFrame, then: pd.DataFrame) -> dict[str, Any]:
    (y, p), (y_then, p_then) = (
        (rows["outcome"].to_numpy(np.float64), rows["probability"].to_numpy(np.float64)) for rows in (now, then)
    )
    return {
        "now": auc_interval(y, p).to_dict(),
        "promised": auc_interval(y_then, p_then).to_dict(),
        "loss": auc_gap(y_then, p_then, y, p).to_dict(),
    }


def _calibration(now: pd.DataFrame, then: pd.DataFrame) -> dict[str, Any]:
    del then
    found = calibration_slope_intercept(now["outcome"], now["probability"])
    p = now["probability"].to_numpy(np.float64)
    large = found.in_the_large.to_dict()
    # Many defaults by chance make the interval narrow: what chance reaches is measured without them too.
    error = max(_error(large), float((p * (1 - p)).sum()) ** -0.5)
    return {"in_the_large": large | {"error": error}, "slope": found.slope.to_dict()}


def _brier(rows: pd.DataFrame) -> dict[str, float]:
    """Return the mean squared error of the probabilities with its normal interval."""
    errors = (rows["probability"].to_numpy(np.float64) - rows["outcome"].to_numpy(np.float64)) ** 2
    return around(float(errors.mean()), float(errors.std() / errors.size**0.5)).to_dict()


def _fairness(window: Window, rows: Any, portfolio: Portfolio, selective: bool) -> dict[str, list[dict[str, Any]]]:
    """Return `group_table` of each protected group; where labels are selective without what needs the declined."""
    now = window.scored[rows]
    tables = {}
    for group in portfolio.groups:
        if group.name in window.parts:
            refused = (now["decision"] == "decline").to_numpy()
            levels = window.parts.loc[rows, group.name]
            table = group_table(now["outcome"], refused, now["probability"], levels, portfolio.limits.min_group)
            blind = [name for name in table if selective and str(name).startswith(BLIND)]
            tables[group.name] = records(table.drop(columns=blind))
    return tables


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as plain values, ready for JSON; what is not finite is None."""
    bare = table.replace([np.inf, -np.inf], np.nan).astype(object)
    return [
        {str(name): value for name, value in row.items()} for row in bare.where(bare.notna(), None).to_dict("records")
    ]


def findings(found: dict[str, Any] | None, portfolio: Portfolio) -> list[Finding]:
    """Say which figures of `realised` are beyond their limits, and by more than chance.

    Realised cost beyond what was expected of the same clients ([monitoring] cost); calibration in the large and, where
    the declined have outcomes, error rates by judged group ([limits]); AUC lower than promised by more than 0.03.
    """
    if found is None:
        return []
    return [*_dearer(found, portfolio), *_off(found, portfolio), *_blurred(found), *_unfair(found, portfolio)]


def _interval(values: dict[str, float]) -> Interval:
    return Interval(values["estimate"], values["low"], values["high"], values["level"])


def _error(interval: dict[str, float]) -> float:
    """Return the standard error behind a normal interval."""
    return (interval["high"] - interval["low"]) / (2 * normal_quantile(interval["level"]))


def _dearer(found: dict[str, Any], portfolio: Portfolio) -> Iterator[Finding]:
    name = "decisions" if found["cost"]["decisions"] else "approvals"
    if (cost := found["cost"][name]) is None:
        return
    real, guess = Interval(**cost["realised"]), cost["expected"]["estimate"]
    value = real.estimate / guess - 1
    floors = chance(cost["expected"]["error"] / guess, skewness=cost["expected"]["skewness"])
    if call := judged(value, portfolio.monitoring.cost, floors):
        why = (
            f"The {cost['clients']:,} {name} with an outcome have cost {real.estimate:.3f} each ({real.low:.3f} to "
            f"{real.high:.3f}), {value:.1%} more than was expected of the same clients ({guess:.3f})."
        )
        yield Finding(call[0], "cost", "realised cost", value, call[1], why, call[2], value)


def _off(found: dict[str, Any], portfolio: Portfolio) -> Iterator[Finding]:
    if (figures := found["calibration"]) is None:
        return
    large, limit = _interval(figures["in_the_large"]), portfolio.limits.calibration_in_the_large
    size = abs(large.estimate)
    if call := judged(size, (limit, limit), chance(figures["in_the_large"]["error"])):
        more = "more" if large.estimate > 0 else "fewer"
        why = (
            f"There are {more} defaults than the probabilities say: by {large.estimate:+.2f} in log-odds "
            f"({large.low:+.2f} to {large.high:+.2f})."
        )
        yield Finding(call[0], "calibration", "calibration in the large", size, call[1], why, call[2], size)


def _blurred(found: dict[str, Any]) -> Iterator[Finding]:
    if (figures := found["auc"]) is None:
        return
    loss, now, then = (Interval(**figures[name]) for name in ("loss", "now", "promised"))
    if call := judged(loss.estimate, (AUC_LOSS, AUC_LOSS), chance(_error(figures["loss"]))):
        why = f"AUC is {now:.3f}, on like applicants of the validation rows it was {then:.3f}."
        yield Finding(call[0], "discrimination", "AUC", loss.estimate, call[1], why, call[2], loss.estimate)


def _unfair(found: dict[str, Any], portfolio: Portfolio) -> Iterator[Finding]:
    limit = portfolio.limits.group_gap
    for group in (group for group in portfolio.groups if group.judged and not found["selective"]):
        rows = [row for row in found["fairness"].get(group.name, []) if not row["small"]]
        for row, (rate, words) in ((row, item) for row in rows for item in ERRORS.items()):
            if (gap := row[f"{rate}_gap"]) is None:
                continue
            near = gap - row[f"{rate}_gap_low"] if gap > 0 else row[f"{rate}_gap_high"] - gap
            floors = chance(near / normal_quantile(LEVEL), len(rows) * len(ERRORS))
            if call := judged(abs(gap), (limit, limit), {word: limit + each for word, each in floors.items()}):
                why = f"{group.name} {row['group']}: {row[rate]:.1%} {words}, {gap * 100:+.1f} points to all others."
                subject = f"{group.name} {row['group']}: {rate.replace('_', ' ')}"
                yield Finding(call[0], "fairness", subject, abs(gap), limit, why, call[2], abs(gap))


def past(scored: pd.DataFrame, costs: Costs, validation: pd.DataFrame, period: str = "month") -> pd.DataFrame:
    """Hold the estimate against what came of it, period by period, on the same clients.

    Parameters
    ----------
    scored : DataFrame
        As in `Window`, with ``at``; rows without a moment are left out.
    costs, validation
        As in `realised`.
    period : {"month", "day", "year"}

    Returns
    -------
    DataFrame
        One row a period in order: period, n (applicants), matured (with an outcome), and of the matured expected, low,
        high (95%, for the realised cost per client) and realised; NaN where none matured.
    """
    if period not in PERIODS:
        raise ValueError(f"period: must be one of {', '.join(PERIODS)}, is {period!r}.")
    rows = scored[scored["at"].notna()]
    codes, names = pd.factorize(rows["at"].astype(str).str[: PERIODS[period]], sort=True)
    known = rows["outcome"].notna().to_numpy()
    done, cell, size = rows[known], codes[known], len(names)
    recalibration = Recalibration.measure(validation)
    whole = tally(done["probability"], done["decision"], costs, recalibration, cell, size)
    with np.errstate(invalid="ignore"):
        half = normal_quantile(LEVEL) * whole.error(recalibration)
        lost = losses(done["outcome"], done["decision"], costs) if len(done) else np.empty(0)
        real = np.bincount(cell, weights=lost, minlength=size) / whole.rows
    table = {"period": names.astype(str), "n": np.bincount(codes, minlength=size), "matured": whole.rows.astype(int)}
    low = np.maximum(whole.mean - half, 0.0)
    return pd.DataFrame({**table, "expected": whole.mean, "low": low, "high": whole.mean + half, "realised": real})
