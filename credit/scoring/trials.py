"""Changes of one application, scored many at once and held to what is plausible; knows no goal and no model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from credit.scoring.changes import Change

__all__ = ["Decide", "Search", "Trial"]

Row = Mapping[str, Any]
#: Applications with the same history to a row each: ``probability_of_default``, ``decision``, and features by name.
Decide = Callable[[Sequence[Row]], pd.DataFrame]


@dataclass(frozen=True)
class Trial:
    """A change that was scored."""

    change: Change
    probability: float
    decision: str


class Search:
    """The changes of one application that were scored so far, and whether they are plausible."""

    def __init__(self, application: Row, decide: Decide, plausible: Mapping[str, tuple[float, float]]) -> None:
        self.application, self.decide, self.plausible = application, decide, plausible
        self.seen: dict[tuple[str, tuple[float, ...]], Trial | None] = {}

    @property
    def trials(self) -> list[Trial]:
        """All plausible changes."""
        return [trial for trial in self.seen.values() if trial]

    def score(self, changes: Iterable[Change | None]) -> list[Trial]:
        """Score in one pass what was not scored before; return those of the changes that are plausible."""
        asked = {(change.name, change.factors): change for change in changes if change}
        if new := {key: change for key, change in asked.items() if key not in self.seen}:
            frame = self.decide([self.application, *(change.applied(self.application) for change in new.values())])
            probability, decision = (frame[name].tolist()[1:] for name in ("probability_of_default", "decision"))
            scored = zip(new, map(Trial, new.values(), probability, decision), self._fits(frame)[1:], strict=True)
            self.seen |= {key: trial if fits else None for key, trial, fits in scored}
        return [trial for key in asked if (trial := self.seen[key])]

    def _fits(self, frame: pd.DataFrame) -> list[bool]:
        """Say which rows stay in the plausible ranges; where the applicant is outside, no row may go further out."""
        fits = np.full(len(frame), True)
        for name in self.plausible.keys() & set(frame.columns):
            values, (low, high) = frame[name].to_numpy(np.float64, na_value=np.nan), self.plausible[name]
            inside = (values >= np.fmin(low, values[0])) & (values <= np.fmax(high, values[0]))
            fits &= np.isnan(values) | inside
        return [bool(fit) for fit in fits]
