"""Why an applicant was not simply approved: the four strongest adverse concepts as reason codes; knows no page.

A reason is a concept whose SHAP value speaks for a default.  Its strength is how much more it does so than with the
typical approved applicant; the official interpretation of Regulation B (12 CFR 1002, supplement I, 9(b)(2)-5) names
this comparison, with those who passed, first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from credit.features import Feature
from credit.portfolio import Portfolio
from credit.scoring.explain import Attribution, attribute
from credit.scoring.reference import Reference, Value
from credit.scoring.scorer import Scorer
from credit.scoring.telling import Teller

__all__ = ["MOST", "Reason", "Reasoner", "code"]

#: "Disclosure of more than four reasons is not likely to be helpful to the applicant" (the same, 9(b)(2)-1).
MOST = 4
#: What has less than this share of the strongest one's strength is no principal reason.
PRINCIPAL = 0.1
#: So many concepts are held against the scorer; of those that hold, `MOST` become reasons.
CHECKED = 8

#: Below this, in log-odds, a strength is rounding.
ROUNDING = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reason:
    """One principal reason.

    Parameters
    ----------
    code : str
        Stable: the concept's id in upper case.
    concept : str
        The concept's id.
    en, fr : str
        The reason in words, with the applicant's value and the usual one of approved applicants.
    probability : float
        `strength` on the scale of probabilities, by the explanation's slope; 0 where calibration is flat.
    feature : str
        The feature named first.
    value : float, str or None
        The applicant's value of it; None is "missing".
    usual : float, str or None
        The approved applicants' median, or most frequent level; None is "missing" too.
    strength : float
        In log-odds: by how much the concept speaks more for a default than with the typical approved applicant.
    """

    code: str
    concept: str
    en: str
    fr: str
    probability: float
    feature: str
    value: Value
    usual: Value
    strength: float


def code(concept: str) -> str:
    """Return a concept's reason code; as stable as the portfolio's ids of concepts."""
    return concept.upper()


class Reasoner:
    """Reasons for one model's decisions.

    Parameters
    ----------
    scorer : Scorer
        The model.
    book : Portfolio
        Its words.
    features : sequence of Feature
        The scorer's own, perhaps among others.
    reference : Reference
        What approved applicants usually have; where none is approved, concepts count as they are.
    """

    def __init__(self, scorer: Scorer, book: Portfolio, features: Sequence[Feature], reference: Reference) -> None:
        self.scorer = scorer
        self.features = {each.name: each for each in features if each.name in scorer.contract}
        self.compared = bool(reference.approved)
        self._teller = Teller(book, self.features, reference.approved)
        self.typical = attribute(scorer, features, _frame(scorer, reference))
        (self._values,) = self.typical.by_feature * self.compared
        (self._by_concept,) = self.typical.by_concept * self.compared
        names = self.typical.names
        flagged = [item.name for item in scorer.inputs if item.indicator]
        owner = np.array([self.features[name].concept for name in (*names, *flagged)])
        self._columns = [np.flatnonzero(owner == concept) for concept in self.typical.concepts]
        self._members = [columns[columns < len(names)] for columns in self._columns]

    def reasons(self, frame: pd.DataFrame, attribution: Attribution | None = None) -> list[tuple[Reason, ...]]:
        """Give the principal reasons against each applicant, the strongest first.

        Parameters
        ----------
        frame : DataFrame, n rows
            At least the scorer's features.
        attribution : Attribution, optional
            That of the same rows, if it is at hand.

        Returns
        -------
        list of tuple of Reason
            Four at most; fewer where fewer concepts speak against the applicant.  Each has been held against the
            scorer: were the concept as with the typical approved applicant, the score would be lower.
        """
        whole = attribution or attribute(self.scorer, tuple(self.features.values()), frame)
        strengths = self.strengths(whole)
        kept = self.held(whole, [self.candidates(row) for row in strengths])
        return [
            tuple(self._reason(frame, whole, at, concept, float(strengths[at, concept])) for concept in concepts)
            for at, concepts in enumerate(kept)
        ]

    def strengths(self, attribution: Attribution) -> Floats:
        """Return each concept's strength against each applicant; 0 where it does not speak for a default."""
        found = attribution.by_concept
        return np.where(found > 0, np.maximum(found - self._by_concept, 0.0), 0.0)

    def candidates(self, strengths: Floats) -> list[int]:
        """Return one applicant's principal concepts by position, the strongest first, `CHECKED` at most."""
        order = np.argsort(-strengths, kind="stable")[:CHECKED]
        least = PRINCIPAL * strengths.max(initial=0.0)
        return [int(at) for at in order if strengths[at] > ROUNDING and strengths[at] >= least]

    def drops(self, attribution: Attribution, wanted: Sequence[Sequence[int]]) -> list[Floats]:
        """Return by how much each raw score falls with a concept as with the typical approved applicant.

        Parameters
        ----------
        attribution : Attribution
            Of n rows.
        wanted : sequence of sequence of int, n
            By row: positions of concepts.

        Returns
        -------
        list of ndarray, n
            By row: log-odds, one number a concept.
        """
        sizes = [len(each) for each in wanted]
        if not sum(sizes):
            return [np.empty(0) for _ in wanted]
        owners = np.repeat(np.arange(len(wanted)), sizes)
        changed, usual = attribution.matrix[owners], self.typical.matrix[0]
        for row, concept in enumerate(concept for each in wanted for concept in each):
            changed[row, self._columns[concept]] = usual[self._columns[concept]]
        after = np.asarray(self.scorer.booster.predict(changed, raw_score=True, num_threads=1))
        return np.split(attribution.raw[owners] - after, np.cumsum(sizes)[:-1])

    def held(self, attribution: Attribution, candidates: Sequence[Sequence[int]]) -> list[list[int]]:
        """Keep of each applicant's concepts those whose neutralisation lowers the score, `MOST` at most."""
        if not self.compared:
            return [list(each[:MOST]) for each in candidates]
        pairs = zip(candidates, self.drops(attribution, candidates), strict=True)
        return [[at for at, fall in zip(each, falls, strict=True) if fall > 0][:MOST] for each, falls in pairs]

    def _reason(self, frame: pd.DataFrame, whole: Attribution, at: int, concept: int, strength: float) -> Reason:
        name, members = whole.concepts[concept], self._members[concept]
        [values] = whole.by_feature[[at]] - self._values
        ranked = members[np.argsort(-values[members], kind="stable")]
        against = {whole.names[each]: float(values[each]) for each in ranked if values[each] > 0}
        facts = self._teller.facts(against, lambda each: _plain(frame[each].iloc[at]))
        en, fr = self._teller.say(name, facts, "en"), self._teller.say(name, facts, "fr")
        first = facts[0]
        effect = strength * whole.slope(at)
        return Reason(code(name), name, en, fr, effect, first.feature.name, first.value, first.usual, strength)


def _frame(scorer: Scorer, reference: Reference) -> pd.DataFrame:
    """Return the typical approved applicant as a row of features; one of whom nothing is known if there is none."""
    columns = {}
    for item in scorer.inputs:
        kind = "float64" if item.levels is None else "str"
        columns[item.name] = pd.Series([reference.approved.get(item.name)], dtype=kind)
    return pd.DataFrame(columns)


def _plain(cell: object) -> Value:
    """Return a cell as plain Python; missing of any kind is None."""
    if isinstance(cell, str):
        return cell
    return None if pd.isna(cell) else float(cell)  # type: ignore[arg-type]
