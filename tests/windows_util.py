"""Windows of applicants whose true probability of default is known, for tests of what monitoring says about money."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from credit.evaluation.decisions import decide
from credit.monitoring.window import Window
from credit.portfolio import Costs
from credit.scoring.baseline import OUTCOME, SCORE

COSTS = Costs()


def draw(rows: int, rng: np.random.Generator, mean: float = -2.8, shift: float = 0.0, slope: float = 1.0) -> Any:
    """Draw (y, p): the model says p, the truth is expit(shift + slope logit(p)); `mean` moves the population."""
    p = expit(rng.normal(mean, 1.1, rows))
    truth = expit(shift + slope * logit(p))
    return (rng.random(rows) < truth).astype(float), p


def validation(rows: int, rng: np.random.Generator, **how: float) -> pd.DataFrame:
    y, p = draw(rows, rng, **how)
    return pd.DataFrame({SCORE: p, OUTCOME: y})


def scored(y: Any, p: Any, costs: Costs = COSTS, threshold: float | None = None, **columns: Any) -> pd.DataFrame:
    cut = costs.threshold if threshold is None else threshold
    usual = {"probability": p, "decision": decide(p, costs, cut), "outcome": y}
    return pd.DataFrame({**usual, "threshold": cut, "version": 3, "at": None, "decision_id": 0} | columns)


def window(rows: pd.DataFrame, parts: pd.DataFrame | None = None, features: pd.DataFrame | None = None) -> Window:
    empty = pd.DataFrame(index=rows.index)
    return Window(
        "a test", None, None, empty if features is None else features, empty if parts is None else parts, rows, {}, True
    )


def selected(rows: pd.DataFrame) -> pd.DataFrame:
    """The same without the outcomes of the declined, as a ledger has it."""
    return rows.assign(outcome=rows["outcome"].where(rows["decision"] != "decline"))
