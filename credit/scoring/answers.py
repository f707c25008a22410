"""Rows of features -> rows of decisions, with reasons where they are asked for; reads and writes no file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from credit.portfolio import Language
from credit.scoring.decider import Decider
from credit.scoring.explain import attribute
from credit.scoring.reasons import MOST, Reasoner, code

__all__ = ["TEXTS", "Answers"]

#: Columns that are text, besides the reasons.
TEXTS = ("decision", "band", "model_version")


class Answers:
    """What is written about applicants.

    Parameters
    ----------
    decider : Decider
        The model in use.
    reasons : bool
        Whether ``reason_1`` to ``reason_4`` hold the codes of the reasons of whoever is not approved.
    language : {"en", "fr"}, optional
        In which ``reason_1_words`` and so on say them; None for no words.
    threads : int
        For the model.
    """

    def __init__(
        self, decider: Decider, *, reasons: bool = False, language: Language | None = None, threads: int = 1
    ) -> None:
        self.decider, self.language, self.threads = decider, language, threads
        self._reasoner = None
        if reasons:
            self._reasoner = Reasoner(decider.scorer, decider.portfolio, decider.features, decider.reference)

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Decide on rows.

        Parameters
        ----------
        frame : DataFrame, n rows
            The key and the model's features.

        Returns
        -------
        DataFrame, n rows
            The key, what `Decider.decide_frame` gives, and the reasons.
        """
        if frame.empty:
            return self.nobody()
        key = self.decider.portfolio.key
        decided = self.decider.decide_frame(frame, threads=self.threads)
        decided.insert(0, key, frame[key])
        return decided if self._reasoner is None else decided.assign(**self._told(frame, decided, self._reasoner))

    def _told(self, frame: pd.DataFrame, decided: pd.DataFrame, reasoner: Reasoner) -> dict[str, Any]:
        """Return the columns that say why whoever is not approved is not."""
        asked = np.flatnonzero((decided["decision"] != "approve").to_numpy())
        theirs = frame.iloc[asked].reset_index(drop=True)
        if self.language is None:
            codes = self._codes(theirs, reasoner) if len(asked) else []
            return {f"reason_{rank + 1}": _spread(len(frame), asked, codes, rank) for rank in range(MOST)}
        found = reasoner.reasons(theirs) if len(asked) else []
        named = [[reason.code for reason in each] for each in found]
        words = [[str(getattr(reason, self.language)) for reason in each] for each in found]
        return {
            f"reason_{rank + 1}{end}": _spread(len(frame), asked, texts, rank)
            for rank in range(MOST)
            for end, texts in {"": named, "_words": words}.items()
        }

    def _codes(self, frame: pd.DataFrame, reasoner: Reasoner) -> list[list[str]]:
        """Give the codes alone: for a whole book, words take too long."""
        whole = attribute(self.decider.scorer, self.decider.features, frame)
        kept = reasoner.held(whole, [reasoner.candidates(row) for row in reasoner.strengths(whole)])
        return [[code(whole.concepts[at]) for at in each] for each in kept]

    def nobody(self) -> pd.DataFrame:
        """Return an answer of no meaning: its columns are those of all."""
        inputs = self.decider.scorer.inputs
        nothing = {item.name: pd.Series([None], dtype="str" if item.levels else "float64") for item in inputs}
        return self.rows(pd.DataFrame({self.decider.portfolio.key: [0]} | nothing)).iloc[:0]


def _spread(rows: int, at: Any, texts: Sequence[Sequence[str]], rank: int) -> Any:
    """Write the texts of one rank to the rows that they are about; the others have none."""
    column = np.full(rows, None, dtype=object)
    column[at] = [each[rank] if rank < len(each) else None for each in texts]
    return pd.array(column, dtype="str")
