"""Whether a challenger may become champion, and why; pure: knows no registry, no file and no clock.

Every rule is judged on the same test rows. The burden of proof differs by design. That the challenger is
cheaper (than the champion, than treating everyone alike) it must prove, with its bootstrap. The calibration
limits hold for the estimate. The AUC gap and the protected groups fail only where the 95% interval lies
wholly beyond the limit, so that chance in small groups is not taken for unfairness.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from credit.errors import DataError
from credit.evaluation.cost import Comparison, compare, losses
from credit.evaluation.fairness import group_table
from credit.evaluation.metrics import Interval, calibration_slope_intercept
from credit.governance.verdict import Outcome, Rule, Verdict
from credit.portfolio import Costs, Limits

__all__ = ["Evidence", "Incumbent", "decide"]

CONTRACT = "feature contract"
#: The error rates of `group_table` that are judged, and of whom each is a share.
ERRORS = {"false_positive_rate": "good clients are refused", "false_negative_rate": "defaulters are approved"}


@dataclass(frozen=True)
class Evidence:
    """What the challenger did on the test rows.

    Parameters
    ----------
    name : str
        How texts call it.
    digest : str
        SHA-256 of its bundle.
    contract : mapping
        Its features by name, each with the digest of its definition.
    y_true : array of {0, 1}, shape (n,)
        1 = default.
    y_prob : array of float, shape (n,)
        Calibrated probabilities of default.
    decisions : array of str, shape (n,)
        "approve", "review" or "decline".
    auc_gap : Interval, optional
        AUC in cross-validation minus AUC on test; not judged where there is none.
    groups : DataFrame, n rows
        Protected attributes, one column each.
    shown : collection of str
        Those of them whose rules are reported and not judged.
    """

    name: str
    digest: str
    contract: Mapping[str, str]
    y_true: npt.ArrayLike
    y_prob: npt.ArrayLike
    decisions: npt.ArrayLike
    auc_gap: Interval | None = None
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)
    shown: Collection[str] = ()


@dataclass(frozen=True)
class Incumbent:
    """The champion, and what it decides on the same rows in the same order.

    Parameters
    ----------
    name, digest, contract
        As in `Evidence`.
    decisions : array of str, shape (n,), or None
        From its own features; None where these can no longer be computed.
    """

    name: str
    digest: str
    contract: Mapping[str, str]
    decisions: npt.ArrayLike | None


def decide(
    challenger: Evidence,
    champion: Incumbent | None,
    limits: Limits,
    costs: Costs,
    *,
    accept_new_contract: bool = False,
    seed: int = 0,
) -> Verdict:
    """Judge a challenger.

    Parameters
    ----------
    challenger : Evidence
        What it did on the test rows.
    champion : Incumbent or None
        The present champion on the same rows; None judges the first model, by floor and limits alone.
    limits : Limits
        The portfolio's limits.
    costs : Costs
        Today's cost matrix, for both models.
    accept_new_contract : bool
        Promote without a comparison where the champion cannot be scored.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Verdict
        All rules; the challenger is promoted if none fails.
    """
    own = losses(challenger.y_true, challenger.decisions, costs)
    rules: list[Rule] = []
    same = ""
    if champion is not None:
        same = _same(challenger, champion)
        rules.append(_different(champion, same))
        rules.append(_contract(challenger, champion, accept_new_contract))
        if champion.decisions is not None:
            theirs = losses(challenger.y_true, champion.decisions, costs)
            rules.append(_cheaper(champion.name, compare(own, theirs, seed=seed), limits))
    for policy, refuse in (("approving all", False), ("refusing all", True)):
        alike = losses(challenger.y_true, np.full(own.size, refuse), costs)
        rules.append(_floor(policy, compare(own, alike, seed=seed).difference))
    rules += _calibrated(challenger, limits)
    rules.append(_stable(challenger.auc_gap, limits))
    for attribute in challenger.groups:
        found = _fair(challenger, str(attribute), limits)
        rules += (replace(rule, passed=None) for rule in found) if attribute in challenger.shown else found
    outcome = _outcome(rules, champion, same)
    summary = _summary(outcome, rules, challenger, champion, same)
    return Verdict(outcome, summary, tuple(rules), challenger.digest, champion.digest if champion else None)


def _outcome(rules: list[Rule], champion: Incumbent | None, same: str) -> Outcome:
    failed = [rule.name for rule in rules if rule.passed is False]
    if same:
        return "same"
    if failed:
        return "contract" if failed == [CONTRACT] else "refused"
    if champion is None:
        return "first"
    return "new contract" if champion.decisions is None else "promoted"


def _summary(outcome: Outcome, rules: list[Rule], challenger: Evidence, champion: Incumbent | None, same: str) -> str:
    judged = sum(rule.passed is not None for rule in rules)
    failed = [rule.name for rule in rules if rule.passed is False]
    kept = f"{champion.name} stays champion" if champion else "there is no champion yet"
    promoted = f"{challenger.name} becomes champion"
    texts: dict[Outcome, str] = {
        "first": f"First model: {promoted}; it passes all {judged} rules.",
        "promoted": f"{promoted}; it passes all {judged} rules.",
        "new contract": f"New feature contract accepted: {promoted} without a comparison; "
        f"it passes all {judged} rules.",
        "same": f"Same model again: {kept}; {challenger.name} {same}.",
        "contract": f"Feature contract changed: {kept}, and it cannot be scored on these rows; "
        "repeat with --accept-new-contract to promote on floor and limits alone.",
        "refused": f"Not promoted: {kept}; {challenger.name} fails {len(failed)} of {judged} rules "
        f"({', '.join(failed)}).",
    }
    return texts[outcome]


def _same(challenger: Evidence, champion: Incumbent) -> str:
    """Return in which way both are one and the same model, or nothing."""
    if challenger.digest == champion.digest:
        return f"is {champion.name}, file by file"
    if champion.decisions is None or not np.array_equal(challenger.decisions, champion.decisions):
        return ""
    return f"decides as {champion.name} on all {np.size(champion.decisions):,} test rows"


def _different(champion: Incumbent, same: str) -> Rule:
    text = f"The challenger {same}." if same else f"The challenger is another model than {champion.name}."
    return _rule("different from the champion", None, "another model", not same, text)


def _contract(challenger: Evidence, champion: Incumbent, accept: bool) -> Rule:
    changes = _changes(challenger.contract, champion.contract)
    scored = champion.decisions is not None
    if not changes:
        text = "Both models read the same features."
    elif scored:
        text = f"The features differ ({changes}); the champion was scored on its own."
    else:
        text = f"The features differ ({changes}) and the champion cannot be scored on these rows; " + (
            "accepted." if accept else "--accept-new-contract promotes without a comparison."
        )
    if not changes and not scored:
        text = "Both models read the same features, but the champion cannot be scored on these rows."
    return _rule(CONTRACT, None, "champion scored, or change accepted", scored or accept, text)


def _changes(new: Mapping[str, str], old: Mapping[str, str]) -> str:
    counts = {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "redefined": sum(new[name] != old[name] for name in new.keys() & old.keys()),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _cheaper(name: str, result: Comparison, limits: Limits) -> Rule:
    share, least = result.probability_cheaper, limits.probability_cheaper
    gap = result.difference
    text = f"Cheaper than {name} with probability {share:.3f}; the cost per applicant differs by {gap:+.4f}."
    return _rule("cheaper than the champion", share, f">= {least:g}", share >= least, text)


def _floor(policy: str, gap: Interval) -> Rule:
    text = f"The cost per applicant differs from {policy} by {gap:+.4f}; all of the interval must lie below 0."
    return _rule(f"cheaper than {policy}", gap, "interval < 0", gap.high < 0, text)


def _calibrated(challenger: Evidence, limits: Limits) -> Iterator[Rule]:
    low, high = limits.calibration_slope
    most = limits.calibration_in_the_large
    slope, large = "calibration slope", "calibration in the large"
    slope_limit, large_limit = f"{low:g} to {high:g}", f"-{most:g} to {most:g}"
    try:
        found = calibration_slope_intercept(challenger.y_true, challenger.y_prob)
    except DataError as error:
        yield _rule(slope, None, slope_limit, False, str(error))
        yield _rule(large, None, large_limit, False, str(error))
        return
    text = f"The outcome's log-odds rise by {found.slope:.2f} per unit predicted; 1 is perfect."
    yield _rule(slope, found.slope, slope_limit, low <= found.slope.estimate <= high, text)
    text = f"Defaults are off by {found.in_the_large:+.2f} in log-odds; above 0 the model is too optimistic."
    yield _rule(large, found.in_the_large, large_limit, abs(found.in_the_large.estimate) <= most, text)


def _stable(gap: Interval | None, limits: Limits) -> Rule:
    name, limit = "AUC gap", f"-{limits.auc_gap:g} to {limits.auc_gap:g}"
    if gap is None:
        return _rule(name, None, limit, None, "No AUC from cross-validation to compare with.")
    text = f"AUC in cross-validation minus AUC on test: {gap:+.4f}; fails if wholly beyond the limit."
    return _rule(name, gap, limit, not _beyond(gap.low, gap.high, limits.auc_gap), text)


def _fair(challenger: Evidence, attribute: str, limits: Limits) -> Iterator[Rule]:
    refused = np.asarray(challenger.decisions) == "decline"
    table = group_table(challenger.y_true, refused, challenger.y_prob, challenger.groups[attribute], limits.min_group)
    judged = table[~table["small"]]
    small = ", ".join(f"{row.group} (n = {row.n})" for row in table[table["small"]].itertuples())
    note = f" Fewer than {limits.min_group}, not judged: {small}." if small else ""
    for rate in ERRORS:
        yield _gap_rule(judged, rate, attribute, limits.group_gap, note)
    yield _ratio_rule(judged, attribute, limits.approval_ratio, note)


def _gap_rule(judged: pd.DataFrame, rate: str, attribute: str, limit: float, note: str) -> Rule:
    name, shown = f"{rate.replace('_', ' ')} by {attribute}", f"gap -{limit:g} to {limit:g}"
    gaps = judged.dropna(subset=f"{rate}_gap")
    if gaps.empty:
        return _rule(name, None, shown, None, "No group is large enough to judge." + note)
    beyond = [_beyond(low, high, limit) for low, high in gaps[[f"{rate}_gap_low", f"{rate}_gap_high"]].to_numpy()]
    row = (gaps[beyond] if any(beyond) else gaps).sort_values(f"{rate}_gap", key=abs).iloc[-1]
    gap = Interval(*(float(row[f"{rate}_gap{end}"]) for end in ("", "_low", "_high")))
    text = f"{row['group']}: {row[rate]:.1%} of {ERRORS[rate]}, {gap.estimate * 100:+.1f} points to all others."
    return _rule(name, gap, shown, not any(beyond), text + _others(sum(beyond)) + note)


def _ratio_rule(judged: pd.DataFrame, attribute: str, limit: float, note: str) -> Rule:
    name, shown = f"approval ratio by {attribute}", f">= {limit:g}"
    ratios = judged.dropna(subset="approval_ratio")
    if ratios.empty:
        return _rule(name, None, shown, None, "No group is large enough to judge." + note)
    below = ratios["approval_ratio_high"] < limit
    row = (ratios[below] if below.any() else ratios).sort_values("approval_ratio").iloc[0]
    share = Interval(*(float(row[f"approval_ratio{end}"]) for end in ("", "_low", "_high")))
    best = ratios.loc[ratios["reference"], "group"].iloc[0]
    text = f"{row['group']}: {row['approval_rate']:.1%} approved, {share.estimate:.2f} times the rate of {best}."
    return _rule(name, share, shown, not below.any(), text + _others(int(below.sum())) + note)


def _others(failing: int) -> str:
    return f" {failing - 1} more beyond the limit." if failing > 1 else ""


def _beyond(low: float, high: float, limit: float) -> bool:
    """Whether an interval lies wholly outside [-limit, limit]."""
    return bool(low > limit or high < -limit)


def _rule(name: str, figure: Interval | float | None, limit: str, passed: bool | None, text: str) -> Rule:
    values = (figure.estimate, figure.low, figure.high) if isinstance(figure, Interval) else (figure, None, None)
    numbers = [None if value is None or not math.isfinite(value) else float(value) for value in values]
    return Rule(name, numbers[0], numbers[1], numbers[2], limit, None if passed is None else bool(passed), text)
