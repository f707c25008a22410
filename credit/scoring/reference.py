"""What a model's decisions are compared with: the book's scores and its approved applicants; knows no single applicant.

It is made of validation rows when the model is kept, lies beside the model as ``reference.json``, and so has the
same hash and the same life.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from credit.errors import ModelError
from credit.features import Feature
from credit.scoring.scorer import Scorer

__all__ = ["Reference"]

FILE = "reference.json"
#: Quantiles of the actionable features between which a change is plausible.
PLAUSIBLE = (0.01, 0.99)
Value = float | str | None


@dataclass(frozen=True)
class Reference:
    """The validation applicants, summed up.

    Parameters
    ----------
    synthetic : bool
        Whether they are made up; whatever is shown with the model must say so.
    scores : tuple of float
        The 0th, 1st, ... 100th percentile of their probabilities of default.
    approved : dict of str to float, str or None
        By feature: the median of the approved applicants, or their most frequent level; None if that is "missing".
        Empty where none is approved.  Together they are the typical approved applicant: docs/decisions/0013-reasons.md.
    plausible : dict of str to (float, float)
        By actionable feature: the 1% and the 99% quantile of all applicants.
    """

    synthetic: bool
    scores: tuple[float, ...]
    approved: dict[str, Value]
    plausible: dict[str, tuple[float, float]]

    @classmethod
    def make(cls, scorer: Scorer, features: Sequence[Feature], frame: pd.DataFrame, synthetic: bool) -> "Reference":
        """Sum up applicants whom the model was not fitted on; `frame` has a row of features for each."""
        decided = scorer.decide(frame)
        approved = frame[(decided["decision"] == "approve").to_numpy()]
        read = scorer.contract if len(approved) else {}
        return cls(
            synthetic,
            tuple(float(each) for each in np.percentile(decided["probability_of_default"], np.arange(101))),
            {each.name: _typical(approved[each.name], each) for each in features if each.name in read},
            {each.name: _range(frame[each.name]) for each in features if each.actionable and each.kind == "number"},
        )

    def standing(self, probability: float) -> float:
        """Return the share of the book's applicants with a lower probability of default, from 0 to 1."""
        return float(np.interp(probability, self.scores, np.linspace(0.0, 1.0, len(self.scores))))

    def save(self, folder: str | Path) -> Path:
        """Write ``reference.json`` into a bundle."""
        path = Path(folder) / FILE
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, folder: str | Path) -> "Reference":
        """Read it back.

        Raises
        ------
        ModelError
            If it is missing or not what `save` writes.
        """
        path = Path(folder) / FILE
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            plausible = {name: (float(low), float(high)) for name, (low, high) in held["plausible"].items()}
            scores = tuple(float(score) for score in held["scores"])
            return cls(bool(held["synthetic"]), scores, dict(held["approved"]), plausible)
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}; restore the bundle, or train again.") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: not a reference ({error!r}); restore the bundle, or train again.") from error


def _typical(values: pd.Series, feature: Feature) -> Value:
    known = values.dropna()
    if len(known) * 2 <= len(values):
        return None
    return str(known.mode().iloc[0]) if feature.kind == "category" else float(known.median())


def _range(values: pd.Series) -> tuple[float, float]:
    known: Any = values.dropna()
    low, high = (0.0, 0.0) if known.empty else np.quantile(known, PLAUSIBLE)
    return float(low), float(high)
