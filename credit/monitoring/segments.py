"""Where in the book the cost comes from: each group and segment now, beside what it was; knows no ledger and no file.

By group or segment, with shares w of the applicants and expected costs c per applicant, now and before, and C the
book's before, the cost per applicant has grown by the sum over levels of w_now (c_now - c_before) + (w_now - w_before)
(c_before - C): what each level has added, by costing more and by a larger share (Kitagawa 1955, JASA 50:1168).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from credit.evaluation.checks import Floats
from credit.evaluation.decisions import losses
from credit.evaluation.fairness import MISSING
from credit.evaluation.intervals import LEVEL, normal_quantile, ratio
from credit.monitoring.expectation import CHANCE, Call, Codes, Recalibration, Tally, chance, judged, tally
from credit.monitoring.findings import Finding, Severity
from credit.monitoring.money import promised
from credit.monitoring.window import Window
from credit.portfolio import Costs, Portfolio
from credit.scoring.baseline import OUTCOME, Baseline

__all__ = ["by_segment", "findings"]


def by_segment(window: Window, baseline: Baseline, costs: Costs, min_segment: int, *, threshold: float) -> pd.DataFrame:
    """Compare each level of each group and segment with the validation rows.

    Parameters
    ----------
    window : Window
    baseline : Baseline
        Its validation rows are what was before.
    costs : Costs
    min_segment : int
        Levels with fewer applicants are "small": shown, not judged.
    threshold : float
        The model's own, by which the validation rows are decided.

    Returns
    -------
    DataFrame
        One row a level of a part (group or segment), the small ones last, else what added most to the cost first: part,
        level, n, n_before, small; share, mean_probability, approval (share not declined) and expected_cost (per
        applicant), each _now and _before, the last also with _low and _high (95%, for these applicants' realised
        cost); growth (expected cost now over before, minus 1) and growth_error (standard error of its logarithm), apart
        (1 + growth over 1 + that of the book, minus 1) and apart_error; added (to the book's expected cost per
        applicant; the levels of a part add up to all of its growth) and added_share (of the book's cost before); of
        those with an outcome matured (how many), realised and realised_expected (per applicant), excess (realised over
        expected, minus 1), excess_error and excess_skewness, excess_apart (1 + excess over 1 + that of the book, minus
        1) and excess_apart_error, excess_share (what the excess adds, as a share of the book's cost before).  NaN where
        nobody is there.
    """
    validation = baseline.validation
    recalibration = Recalibration.measure(validation)
    then = promised(validation, costs, threshold).assign(outcome=validation[OUTCOME].to_numpy(np.float64))
    parts = [name for name in window.parts if name in validation]
    if not parts:
        return pd.DataFrame(columns=COLUMNS).astype({"small": bool})
    book = _levels(window.scored, then, ALL, costs, recalibration)
    tables = []
    for name in parts:
        table = _levels(window.scored, then, _cells(window.parts[name], validation[name]), costs, recalibration)
        tables.append(_apart(table.assign(part=str(name)), book.iloc[0]))
    table = pd.concat(tables, ignore_index=True)
    table["small"] = table["n"] < min_segment
    order = ["small", "added", "part", "level"]
    return table.sort_values(order, ascending=[True, False, True, True], ignore_index=True)[list(COLUMNS)]


COLUMNS = (
    *("part", "level", "n", "n_before", "small", "share_now", "share_before"),
    *("mean_probability_now", "mean_probability_before", "approval_now", "approval_before"),
    *("expected_cost_now", "expected_cost_now_low", "expected_cost_now_high"),
    *("expected_cost_before", "expected_cost_before_low", "expected_cost_before_high"),
    *("growth", "growth_error", "apart", "apart_error", "added", "added_share"),
    *("matured", "realised", "realised_expected", "excess", "excess_error", "excess_skewness"),
    *("excess_apart", "excess_apart_error", "excess_share"),
)


@dataclass(frozen=True)
class _Cells:
    """The levels of a part, and each client's position among them, now and before; None puts all into one."""

    levels: tuple[str, ...]
    now: Codes | None
    before: Codes | None


ALL = _Cells(("",), None, None)


def _cells(now: pd.Series, before: pd.Series) -> _Cells:
    codes, found = pd.factorize(pd.concat([now.astype("str"), before.astype("str")], ignore_index=True), sort=True)
    levels = tuple(map(str, found))
    if (codes < 0).any():
        codes, levels = np.where(codes < 0, len(levels), codes), (*levels, MISSING)
    return _Cells(levels, codes[: len(now)], codes[len(now) :])


def _levels(
    now: pd.DataFrame, then: pd.DataFrame, cells: _Cells, costs: Costs, recalibration: Recalibration
) -> pd.DataFrame:
    """Return the rows of one part; figures over no row are NaN, which numpy would say aloud."""
    size = len(cells.levels)
    here = np.zeros(len(now), dtype=np.intp) if cells.now is None else cells.now
    there = np.zeros(len(then), dtype=np.intp) if cells.before is None else cells.before
    with np.errstate(invalid="ignore", divide="ignore"):
        tallies = {
            "now": tally(now["probability"], now["decision"], costs, recalibration, here, size),
            "before": tally(then["probability"], then["decision"], costs, recalibration, there, size),
        }
        table: dict[str, Any] = {"level": cells.levels}
        table |= {"n": tallies["now"].rows.astype(int), "n_before": tallies["before"].rows.astype(int)}
        for when, rows, cell in (("now", now, here), ("before", then, there)):
            table |= _side(when, rows, cell, tallies[when], recalibration)
        log, error = tallies["now"].growth(tallies["before"], recalibration)
        table |= {"growth": np.expm1(log), "growth_error": error}
        table["added"], whole = _added(tallies["now"], tallies["before"])
        table["added_share"] = table["added"] / whole
        table |= _matured(now, here, size, costs, recalibration)
        beyond = (table["realised"] - table["realised_expected"]) * table["matured"] / len(now)
        return pd.DataFrame(table | {"excess_share": beyond / whole})


def _apart(table: pd.DataFrame, book: pd.Series) -> pd.DataFrame:
    """Add how far each level has moved beyond the whole book; their errors are added as if unrelated."""
    return table.assign(
        apart=(1 + table["growth"]) / (1 + book["growth"]) - 1,
        apart_error=np.hypot(table["growth_error"], book["growth_error"]),
        excess_apart=(1 + table["excess"]) / (1 + book["excess"]) - 1,
        excess_apart_error=np.hypot(table["excess_error"], book["excess_error"]),
    )


def _side(when: str, rows: pd.DataFrame, cell: Codes, cost: Tally, recalibration: Recalibration) -> dict[str, Floats]:
    half = normal_quantile(LEVEL) * cost.error(recalibration)
    return {
        f"share_{when}": cost.rows / cost.rows.sum(),
        f"mean_probability_{when}": np.bincount(cell, rows["probability"], cost.rows.size) / cost.rows,
        f"approval_{when}": np.bincount(cell, rows["decision"] != "decline", cost.rows.size) / cost.rows,
        f"expected_cost_{when}": cost.mean,
        f"expected_cost_{when}_low": np.maximum(cost.mean - half, 0.0),
        f"expected_cost_{when}_high": cost.mean + half,
    }


def _added(now: Tally, before: Tally) -> tuple[Floats, float]:
    """Return what each level has added to the book's cost per applicant, and that cost before.

    A level that was not there before is held against the book's cost; of one that is gone only its share counts.
    """
    share, share_then = now.rows / now.rows.sum(), before.rows / before.rows.sum()
    whole = float(np.nansum(share_then * before.mean))
    base = np.where(before.rows > 0, before.mean, whole)
    cost = np.where(now.rows > 0, now.mean, base)
    return share * (cost - base) + (share - share_then) * (base - whole), whole


def _matured(now: pd.DataFrame, cell: Codes, size: int, costs: Costs, recalibration: Recalibration) -> dict[str, Any]:
    known = now["outcome"].notna().to_numpy()
    done, of = now[known], cell[known]
    guess = tally(done["probability"], done["decision"], costs, recalibration, of, size)
    lost = losses(done["outcome"], done["decision"], costs) if len(done) else np.empty(0)
    real = np.bincount(of, lost, size) / guess.rows
    return {
        "matured": guess.rows.astype(int),
        "realised": real,
        "realised_expected": guess.mean,
        "excess": real / guess.mean - 1,
        "excess_error": guess.error(recalibration) / guess.mean,
        "excess_skewness": guess.skewness(recalibration),
    }


def findings(table: pd.DataFrame, portfolio: Portfolio) -> list[Finding]:
    """Say which levels cost more than they did, or have cost more than expected, and who is approved less often.

    A level that is not small calls where its cost exceeds [monitoring] cost and chance, allowing for how many levels
    are looked at, and where it does so beyond the whole book as well: what moves all alike is the book's own finding.
    It alerts only where it adds to the book's cost more than the book may grow before it warns.  A level of a judged
    group calls where its approval rate falls surely below [limits] approval_ratio of the best one's.
    """
    fair = table[~table["small"]]
    return [*_costly(fair, portfolio), *_refused(fair, portfolio)]


def _costly(fair: pd.DataFrame, portfolio: Portfolio) -> Iterator[Finding]:
    least, limits = portfolio.monitoring.min_segment, portfolio.monitoring.cost
    known, matured = fair[fair["n_before"] >= least], fair[fair["matured"] >= least]
    family = len(known) + len(matured)
    for row in known.to_dict("records"):
        floors, apart = (_grown(chance(row[name], family)) for name in ("growth_error", "apart_error"))
        if call := _both(judged(row["growth"], limits, floors), judged(row["apart"], limits, apart)):
            why = (
                f"are expected to cost {row['expected_cost_now']:.3f} each, {row['growth']:.1%} more than the "
                f"{row['expected_cost_before']:.3f} they were"
            )
            yield _finding(row, "expected cost", row["growth"], call, row["added_share"], why, portfolio)
    for row in matured.to_dict("records"):
        floors, apart = (
            chance(row[name], family, row["excess_skewness"]) for name in ("excess_error", "excess_apart_error")
        )
        if call := _both(judged(row["excess"], limits, floors), judged(row["excess_apart"], limits, apart)):
            why = (
                f"with an outcome ({row['matured']:,}) have cost {row['realised']:.3f} each, {row['excess']:.1%} more "
                f"than the {row['realised_expected']:.3f} expected of them"
            )
            yield _finding(row, "realised cost", row["excess"], call, row["excess_share"], why, portfolio)


def _grown(floors: dict[Severity, float]) -> dict[Severity, float]:
    return {word: float(np.expm1(each)) for word, each in floors.items()}


def _both(own: Call | None, apart: Call | None) -> Call | None:
    """Return the call of a level itself, as quietly as its call beyond the book; None where there is no such."""
    if own is None or apart is None:
        return None
    return own if apart[0] == "ALERT" else ("WARN", own[1], own[2])


def _finding(
    row: dict[str, Any],
    figure: str,
    value: float,
    call: Call,
    added: float,
    why: str,
    portfolio: Portfolio,
) -> Finding:
    severity, limit, floor = call
    warn, _ = portfolio.monitoring.cost
    subject = f"{row['part']} {row['level']}"
    text = f"{subject}: its {row['n']:,} applicants {why}; that adds {added:.1%} to the cost of the whole book."
    return Finding(
        severity if added > warn else "WARN", "segment", f"{subject}: {figure}", value, limit, text, floor, added
    )


def _refused(fair: pd.DataFrame, portfolio: Portfolio) -> Iterator[Finding]:
    limit = portfolio.limits.approval_ratio
    for group in (group for group in portfolio.groups if group.judged):
        rows = fair[(fair["part"] == group.name) & (fair["n"] >= portfolio.limits.min_group)]
        if rows.empty:
            continue
        approved = (rows["approval_now"] * rows["n"]).round().astype(int)
        best = int(rows["approval_now"].to_numpy().argmax())
        for at, row in enumerate(rows.to_dict("records")):
            if at == best:
                continue
            counts = (int(approved.iloc[at]), int(row["n"]), int(approved.iloc[best]), int(rows["n"].iloc[best]))
            yield from _ratio(row, rows["level"].iloc[best], counts, limit, len(rows) - 1)


def _ratio(
    row: dict[str, Any], best: str, counts: tuple[int, int, int, int], limit: float, family: int
) -> Iterator[Finding]:
    for severity in ("ALERT", "WARN"):
        share = ratio(*counts, level=CHANCE[severity] ** (1 / family))
        if share.high < limit:
            subject = f"{row['part']} {row['level']}"
            why = (
                f"{subject}: {row['approval_now']:.1%} approved, {share.estimate:.2f} times the rate of {best}; it was "
                f"{row['approval_before']:.1%}."
            )
            weight = limit - share.estimate
            yield Finding(severity, "fairness", f"{subject}: approval", share.estimate, limit, why, None, weight)
            return
