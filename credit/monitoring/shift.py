"""What has moved between the baseline and a window: features, score, mix of clients; knows no cost and no outcome."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from credit.errors import DataError
from credit.evaluation.stability import Codes, index
from credit.monitoring.findings import Finding, Severity, level
from credit.monitoring.floor import floors
from credit.monitoring.window import Window
from credit.portfolio import Monitoring
from credit.scoring.baseline import SCORE, Baseline
from credit.scoring.scorer import Scorer

__all__ = ["MISSING", "UNSEEN", "findings", "importance", "mixes", "score_shift", "shifts"]

#: What a table of levels calls values that are missing, and levels that the baseline did not have.
MISSING, UNSEEN = "(missing)", "(unseen)"
#: A column with one value only is a fault where the baseline would give that with less than this probability.
CHANCE = 1e-4
#: Shares whose quantiles of the score are shown.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def importance(scorer: Scorer) -> dict[str, float]:
    """Return each feature's share of the model's gain; a missing indicator counts with its feature."""
    gain = np.asarray(scorer.booster.feature_importance("gain"), dtype=np.float64)
    own = gain[: len(scorer.inputs)].copy()
    np.add.at(own, scorer.encoder.flagged, gain[len(scorer.inputs) :])
    shares = own / own.sum() if own.sum() > 0 else own
    return dict(zip(scorer.contract, map(float, shares), strict=True))


def shifts(baseline: Baseline, window: Window, importance: Mapping[str, float], *, seed: int = 0) -> pd.DataFrame:
    """Measure how far each feature has moved.

    Parameters
    ----------
    baseline : Baseline
        What the model was trained and validated on.
    window : Window
        The applicants of today.
    importance : mapping of str to float
        Each feature's share of the model's gain.
    seed : int
        Of the noise floor.

    Returns
    -------
    DataFrame
        One row a feature, the largest psi x importance first: feature, psi (population stability index; missing values
        and unseen levels are bins of their own), floor (what chance reaches in any feature in 1 of 100 windows),
        missing_before, missing_now, unseen_now (shares of rows), importance, constant_now (one known value only, which
        the baseline makes all but impossible), all_missing_now (no known value, which the baseline has).

    Raises
    ------
    DataError
        If a feature is not in the window, or holds what is no number.
    """
    names = baseline.inputs
    if absent := [name for name in names if name not in window.features]:
        raise DataError(
            f"{window.source}: {len(absent)} features that the model reads are not there ({', '.join(absent[:5])}); "
            "build the features with the portfolio that the model was trained on."
        )
    noise = _floors(baseline, names, len(window), seed)
    rows = []
    for name, floor in zip(names, noise, strict=True):
        before, now = np.array(baseline.counts[name]), _counts(baseline, name, window.features[name])
        moved = {"feature": name, "psi": index(before, now), "floor": float(floor)}
        moved |= {"missing_before": float(before[-2] / before.sum()), "missing_now": float(now[-2] / now.sum())}
        moved |= {"unseen_now": float(now[-1] / now.sum()), "importance": float(importance[name])}
        one_bin = (now[:-2] > 0).sum() + (now[-1] > 0) == 1
        moved["constant_now"] = bool(one_bin and _stuck(baseline.sample[name], window.features[name]))
        moved["all_missing_now"] = moved["missing_now"] == 1 > moved["missing_before"]
        rows.append(moved)
    table = pd.DataFrame(rows)
    order = np.lexsort((-table["psi"], -table["psi"] * table["importance"]))
    return table.iloc[order].reset_index(drop=True)


def score_shift(baseline: Baseline, window: Window, *, seed: int = 0) -> dict[str, Any]:
    """Measure how far the probability of default has moved, against the validation rows.

    Returns
    -------
    dict
        psi, floor, mean_before, mean_now, and quantiles: share, before, now.
    """
    validation, now = baseline.validation, window.scored["probability"]
    psi = index(baseline.counts[SCORE], _counts(baseline, SCORE, now))
    (floor,) = _floors(baseline, (SCORE,), len(window), seed)
    sides = {"before": validation[SCORE], "now": now}
    quantiles = {side: [float(each) for each in np.quantile(p, QUANTILES)] for side, p in sides.items()}
    return {
        "psi": psi,
        "floor": float(floor),
        **{f"mean_{side}": float(p.mean()) for side, p in sides.items()},
        "quantiles": {"share": list(QUANTILES), **quantiles},
    }


def mixes(baseline: Baseline, window: Window, *, seed: int = 0) -> pd.DataFrame:
    """Measure how far the mix of clients has moved, for each group and segment that the window tells of.

    Returns
    -------
    DataFrame
        One row a level: part, psi and floor (of the part), level, share_before, share_now. Levels that neither side has
        are left out.
    """
    names = tuple(name for name in baseline.parts if name in window.parts)
    noise = _floors(baseline, names, len(window), seed) if names else ()
    rows = []
    for name, floor in zip(names, noise, strict=True):
        before, now = np.array(baseline.counts[name]), _counts(baseline, name, window.parts[name])
        psi = index(before, now)
        shares = zip(before / before.sum(), now / now.sum(), strict=True)
        levels = (*(baseline.bins[name].levels or ()), MISSING, UNSEEN)
        rows += [
            (name, psi, float(floor), word, float(was), float(became))
            for word, (was, became) in zip(levels, shares, strict=True)
            if was or became
        ]
    return pd.DataFrame(rows, columns=["part", "psi", "floor", "level", "share_before", "share_now"])


def findings(
    features: pd.DataFrame, score: Mapping[str, Any], parts: pd.DataFrame, limits: Monitoring
) -> list[Finding]:
    """Say what has moved beyond its limit, and further than chance would move it.

    Parameters
    ----------
    features, score, parts
        What `shifts`, `score_shift` and `mixes` return.
    limits : Monitoring
        A feature alerts from its share of the gain `important`, else it only warns.
    """
    found = [_score(score, limits)]
    for row in features.to_dict("records"):
        found += [_feature(row, limits), _data(row, limits)]
    found += [_mix(part, levels, limits) for part, levels in parts.groupby("part", sort=False)]
    return [each for each in found if each is not None]


def _counts(baseline: Baseline, name: str, values: pd.Series) -> Codes:
    return np.bincount(baseline.codes(name, values), minlength=baseline.bins[name].size)


@lru_cache(maxsize=64)
def _floors(baseline: Baseline, names: tuple[str, ...], n: int, seed: int) -> Any:
    """Draw the floors for windows of n rows, once: they depend on nothing else of a window."""
    rows = baseline.validation if names == (SCORE,) else baseline.sample
    codes = np.column_stack([baseline.codes(name, rows[name]) for name in names])
    sizes, behind = [baseline.bins[name].size for name in names], [sum(baseline.counts[name]) for name in names]
    return floors(codes, sizes, n, behind, seed=seed)


def _stuck(before: pd.Series, now: pd.Series) -> bool:
    """Whether a window has one known value only, which rows drawn from the baseline would not have."""
    known, was = now.dropna(), before.dropna()
    if known.empty or was.empty or not (known == known.iloc[0]).all():
        return False
    most = int(was.value_counts().iloc[0])
    return bool((most / len(was)) ** len(known) < CHANCE)


def _beyond(psi: float, floor: float, pair: tuple[float, float]) -> Severity | None:
    return level(psi, pair) if psi > floor else None


def _limit(severity: Severity, pair: tuple[float, float]) -> float:
    return pair[severity == "ALERT"]


def _score(score: Mapping[str, Any], limits: Monitoring) -> Finding | None:
    psi, floor = score["psi"], score["floor"]
    if not (severity := _beyond(psi, floor, limits.score_psi)):
        return None
    why = (
        f"The score has moved (index {psi:.2f}, chance reaches {floor:.2f}): its mean was {score['mean_before']:.1%} "
        f"and is {score['mean_now']:.1%}."
    )
    return Finding(severity, "score", SCORE, psi, _limit(severity, limits.score_psi), why, floor, psi)


def _feature(row: Mapping[str, Any], limits: Monitoring) -> Finding | None:
    psi, floor, share = row["psi"], row["floor"], row["importance"]
    if not (severity := _beyond(psi, floor, limits.psi)):
        return None
    if share < limits.important:
        severity = "WARN"
    gone = f", missing {row['missing_now']:.1%} instead of {row['missing_before']:.1%}"
    new = f", {row['unseen_now']:.1%} with a level never seen"
    why = (
        f"{row['feature']} has moved (index {psi:.2f}, chance reaches {floor:.2f})"
        f"{gone if abs(row['missing_now'] - row['missing_before']) >= 0.01 else ''}"
        f"{new if row['unseen_now'] else ''}; it has {share:.1%} of the model's gain."
    )
    return Finding(severity, "feature", row["feature"], psi, _limit(severity, limits.psi), why, floor, psi * share)


def _data(row: Mapping[str, Any], limits: Monitoring) -> Finding | None:
    name, share = row["feature"], row["importance"]
    severity: Severity = "ALERT" if share >= limits.important else "WARN"
    if row["all_missing_now"]:
        was = row["missing_before"]
        why = f"{name} is missing for everybody, and was for {was:.1%}; see whether its source still delivers."
        return Finding(severity, "data", name, 1.0, was, why, weight=share)
    if row["constant_now"]:
        why = f"{name} has one value for everybody who has it, and had several; see what its source delivers."
        return Finding(severity, "data", name, 1.0, 1.0, why, weight=share)
    return None


def _mix(part: Any, levels: pd.DataFrame, limits: Monitoring) -> Finding | None:
    psi, floor = float(levels["psi"].iloc[0]), float(levels["floor"].iloc[0])
    if not (severity := _beyond(psi, floor, limits.psi)):
        return None
    most = levels.loc[(levels["share_now"] - levels["share_before"]).abs().idxmax()]
    why = (
        f"The mix of {part} has moved (index {psi:.2f}, chance reaches {floor:.2f}), {most['level']} the most: "
        f"{most['share_before']:.1%} before, {most['share_now']:.1%} now."
    )
    return Finding(severity, "segment", str(part), psi, _limit(severity, limits.psi), why, floor, psi)
