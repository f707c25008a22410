"""Baseline and window side by side, as a report can read them; measures nothing and knows no report."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from credit import features
from credit.monitoring.window import Window
from credit.portfolio import Portfolio
from credit.scoring.baseline import SCORE, Baseline

__all__ = ["MISSING", "Sides", "compare", "sampled", "tame"]

MISSING = "(missing)"


@dataclass
class Sides:
    """The same columns of two samples of rows.

    Parameters
    ----------
    before : DataFrame
        Validation rows of the baseline: those that the model was not fitted on.
    now : DataFrame
        Rows of the window.
    words : dict of str to str
        What people call each column.
    kinds : dict of str to str
        "number", "category" or "score" of each column that can be compared, in the order of their importance.
    left_out : dict of str to str
        What cannot be compared, and why.
    """

    before: pd.DataFrame
    now: pd.DataFrame
    words: dict[str, str]
    kinds: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[str]:
        """List the columns of some kinds that can be compared."""
        return [name for name, kind in self.kinds.items() if kind in kinds]


def compare(
    baseline: Baseline, window: Window, names: Sequence[str], portfolio: Portfolio, *, rows: int, seed: int
) -> Sides:
    """Put inputs of the model and the score side by side, from at most `rows` rows each.

    Parameters
    ----------
    baseline, window
        What is compared.
    names : sequence of str
        Inputs, the most important first.
    portfolio : Portfolio
        Has words for them.
    rows : int
        Most rows of each side; more are sampled.
    seed : int
        Of the sample.
    """
    labels = {each.name: each.label.en for each in features.definitions(portfolio)}
    words = {name: tame(f"{labels[name]} ({name})" if name in labels else name) for name in names}
    words[SCORE] = "Probability of default"
    now = window.features[list(names)].assign(**{SCORE: window.scored["probability"].to_numpy()})
    sides = Sides(sampled(baseline.validation[[*names, SCORE]], rows, seed), sampled(now, rows, seed), words)
    for name in (*names, SCORE):
        kind = "score" if name == SCORE else "number" if baseline.bins[name].levels is None else "category"
        _take(sides, name, kind)
    return sides


def sampled(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Draw at most `rows` rows, in their order, with a fresh index."""
    kept = np.sort(np.random.default_rng(seed).permutation(len(frame))[:rows])
    return frame.iloc[kept].reset_index(drop=True)


def tame(text: str) -> str:
    """Replace the signs that could end the script which a report writes names and levels into, unescaped."""
    return text.replace("<", "\u2039").replace("&", "\uff06")


def _take(sides: Sides, name: str, kind: str) -> None:
    """Write a column as its kind wants it, and let it be compared, or say why it cannot be."""
    tables = {"baseline": sides.before, "window": sides.now}
    empty = [side for side, table in tables.items() if table[name].isna().all()]
    for table in tables.values():
        table[name] = _levels(table[name]) if kind == "category" else table[name].astype(np.float64)
    known = pd.concat([table[name] for table in tables.values()]).dropna()
    if empty:
        sides.left_out[name] = f"no value in the {' and the '.join(empty)}"
    elif (known == known.iloc[0]).all():
        sides.left_out[name] = "the same value throughout"
    elif kind != "category" and not np.isfinite(known).all():
        sides.left_out[name] = "infinite values"
    else:
        sides.kinds[name] = kind


def _levels(column: pd.Series) -> pd.Series:
    """Write levels as text; what is missing is one of its own."""
    return column.astype(object).where(column.notna(), MISSING).map(lambda level: tame(str(level)))
