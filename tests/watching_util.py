"""A small baseline, windows of applicants, and what monitoring says of them, for tests of what shows and keeps it."""

from typing import Any

import numpy as np
import pandas as pd
from learning import sales

from credit.evaluation.stability import Bins
from credit.monitoring.window import Window
from credit.scoring.baseline import FOLD, OUTCOME, SCORE, Baseline

__all__ = ["baseline", "finding", "scored", "status", "window"]

INPUTS = ("kind", "town", "amount", "score", "months", "phone")


def scored(rows: pd.DataFrame) -> np.ndarray:
    """Probabilities as a model might give them."""
    raw = -2.0 + 0.003 * (rows["amount"] - 300) - 3.0 * (rows["score"].fillna(0.5) - 0.5)
    return (1 / (1 + np.exp(-raw.astype(float)))).to_numpy()


def baseline(changes: dict[str, Any] | None = None, rows: int = 400, synthetic: bool = False) -> Baseline:
    """Validation rows of the shop, some columns replaced."""
    made = sales(rows, 5)
    known = {SCORE: scored(made), FOLD: "validation", OUTCOME: made["unpaid"].astype("int8")}
    sample = made[list(INPUTS)].assign(**known | (changes or {}))
    levels = {name: Bins.fit(made[name] if name != SCORE else sample[name]) for name in (*INPUTS, SCORE)}
    counts = {name: (1,) * each.size for name, each in levels.items()}
    return Baseline(synthetic, INPUTS, (), levels, counts, sample, "salt", np.array([], dtype=np.uint64))


def window(
    changes: dict[str, Any] | None = None, rows: int = 300, known: str = "nobody", synthetic: bool = False
) -> Window:
    """Applicants of the shop, some columns replaced; `known`: whose outcome is, "nobody", "approved", "everybody"."""
    made = sales(rows, 6)
    probability = (changes or {}).get("probability", scored(made))
    features = made[list(INPUTS)].assign(**{name: of for name, of in (changes or {}).items() if name != "probability"})
    decided = np.where(np.broadcast_to(probability, rows) >= 0.2, "decline", "approve")
    seen = {"nobody": decided == "", "approved": decided == "approve", "everybody": decided != ""}[known]
    table = pd.DataFrame({"probability": probability, "decision": decided, "outcome": made["unpaid"].astype(float)})
    table["outcome"] = table["outcome"].where(seen)
    table = table.assign(threshold=0.2, version=1, at=None, decision_id=0)
    span = ("2026-10-01T08:00:00+00:00", "2026-10-31T17:00:00+00:00")
    return Window("the ledger", *span, features, pd.DataFrame(index=features.index), table, {}, synthetic)


def finding(severity: str = "ALERT", kind: str = "feature", subject: str = "amount", **more: Any) -> dict[str, Any]:
    """One finding as a status holds it."""
    made = {"severity": severity, "kind": kind, "subject": subject, "value": 0.31, "limit": 0.25, "floor": 0.02}
    return made | {"why": f"{subject} has moved.", "weight": 0.1} | more


def status(number: int = 1, found: str = "OK", **more: Any) -> dict[str, Any]:
    """What a run kept, of the form that `credit.monitoring.watch.judged` returns."""
    span = {"estimate": 0.52, "low": 0.48, "high": 0.56, "level": 0.95}
    cost = {"clients": 90, "defaults": 7, "realised": span, "expected": span | {"error": 0.02}, "promised": span}
    feature = {"feature": "amount", "psi": 0.31, "floor": 0.02, "missing_before": 0.0, "missing_now": 0.01}
    feature |= {"unseen_now": 0.0, "importance": 0.4, "constant_now": False, "all_missing_now": False}
    segment: dict[str, Any] = {"part": "sex", "level": "f", "n": 150, "n_before": 80, "small": False}
    for name, value in {"share": 0.5, "mean_probability": 0.2, "approval": 0.6, "expected_cost": 0.5}.items():
        segment |= {f"{name}_now": value, f"{name}_before": value}
    return {
        "format": 1,
        "run": f"MonitoringFlow/{number}",
        "at": f"2026-{number:02d}-15T06:00:00+00:00",
        "portfolio": "shop",
        "title": {"en": "A shop's credits", "fr": "Les crédits d'un magasin"},
        "synthetic": False,
        "model": "credit-shop",
        "version": 1,
        "digest": "0" * 64,
        "status": found,
        "findings": [] if found == "OK" else [finding(found)],
        "window": {
            "source": "the ledger",
            "start": f"2026-{number:02d}-01T08:00:00+00:00",
            "end": f"2026-{number:02d}-14T17:00:00+00:00",
            "applicants": 1234,
            "matured": 90,
            "set_aside": {"erased": 3},
        },
        "score": {"psi": 0.05, "floor": 0.03, "mean_before": 0.081, "mean_now": 0.093},
        "features": [feature],
        "parts": [],
        "decisions": {"approve": 0.7, "review": 0.0, "decline": 0.3},
        "money": {
            "promised": span,
            "promised_expected": span,
            "expected": span,
            "excess": span,
            "realised": span | {"of": "approvals"},
            "drift": [{"feature": "amount", "cost": 0.03, "low": 0.01, "high": 0.05}],
        },
        "quality": {
            "said": "90 of 1,234 applicants have an outcome.",
            "cost": {"approvals": cost, "decisions": None},
            "auc": {"now": span, "promised": span, "loss": span},
            "calibration": {"in_the_large": span, "slope": span},
        },
        "segments": [segment],
        "past": [
            {"period": "2026-09", "n": 1234, "matured": 90, "expected": 0.5, "low": 0.4, "high": 0.6, "realised": 0.55}
        ],
        "regression": None,
        "evidently": None,
        "actions": {"retraining": None, "rollback": None, "webhook": None},
    } | more
