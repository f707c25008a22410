"""A baseline and windows of the shop of `learning`, without a training run, for tests of what has moved."""

from typing import Any

import numpy as np
import pandas as pd
from learning import fitted, sales, shop
from windows_util import window as bare

from credit import features
from credit.evaluation.stability import Bins
from credit.monitoring.window import Window
from credit.scoring.baseline import FOLD, OUTCOME, SCORE, Baseline
from credit.scoring.decider import Decider, Identity
from credit.scoring.export import export
from credit.scoring.reference import Reference
from credit.scoring.scorer import Scorer

PARTS = ("sex", "branch")


def decider(candidate: str = "native", threshold: float = 0.2) -> Decider:
    """A model that has never been registered."""
    book = shop()
    defined = features.definitions(book)
    scorer = export(fitted(candidate), book, defined, threshold, sales())
    return Decider(scorer, book, Reference.make(scorer, defined, sales(500, 4), True), Identity())


def baseline(scorer: Scorer, rows: pd.DataFrame, y_true: Any = 0, parts: tuple[str, ...] = ()) -> Baseline:
    """What is kept of rows; every third is a validation row."""
    inputs = tuple(scorer.contract)
    held = np.arange(len(rows)) % 3 == 0
    p = np.where(held, scorer.predict(rows), np.nan)
    fold = np.where(held, "validation", "train")
    sample = rows[[*inputs, *parts]].assign(**{SCORE: p, FOLD: fold, OUTCOME: y_true}).reset_index(drop=True)
    columns = {name: sample.loc[held, name] if name == SCORE else sample[name] for name in (*inputs, *parts, SCORE)}
    bins = {name: Bins.fit(column) for name, column in columns.items()}
    counts = {name: tuple(map(int, bins[name].counts(column))) for name, column in columns.items()}
    return Baseline(True, inputs, parts, bins, counts, sample, "salt", np.empty(0, np.uint64))


def window(scorer: Scorer, rows: pd.DataFrame, parts: tuple[str, ...] = ()) -> Window:
    """Applicants whose outcome nobody knows."""
    rows = rows.reset_index(drop=True)
    decided = scorer.decide(rows)
    scored = pd.DataFrame(
        {
            "probability": decided["probability_of_default"],
            "decision": decided["decision"].astype(str),
            "outcome": np.nan,
            "threshold": scorer.threshold,
        }
    )
    return bare(scored, rows[list(parts)], rows[list(scorer.contract)])
