"""One applicant in, a decision that can be defended out; the one object behind app, batch and monitoring.

A decider is a registered bundle opened: the scorer, the portfolio that it was trained under, the reference that it is
compared with, and which version it is.  It knows no registry, no page and no ledger.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from credit import features, portfolio
from credit.errors import ContractError
from credit.evaluation.cost import decide as by_cost
from credit.features import Feature
from credit.features.online import Online, Row
from credit.features.online import frame as table
from credit.portfolio import Portfolio, words
from credit.scoring.encoding import Floats
from credit.scoring.encoding import Row as Features
from credit.scoring.explain import Explanation, attribute
from credit.scoring.reasons import Reason, Reasoner
from credit.scoring.reference import Reference
from credit.scoring.scorer import Scorer
from credit.scoring.whatif import WhatIf, propose

__all__ = ["BOOK", "Decider", "Decision", "Identity", "Outcome"]

#: The portfolio's file inside a bundle: a model is used under the contract it was trained under.
BOOK = "portfolio.toml"

History = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Identity:
    """Which model speaks.

    Parameters
    ----------
    model : str
        The registered model's name; empty for a bundle that is not registered.
    version : int
        Its version; 0 for a bundle that is not registered.
    digest : str
        SHA-256 of the bundle.
    """

    model: str = ""
    version: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Outcome:
    """What follows from one applicant's features.

    Parameters
    ----------
    probability : float
        Calibrated probability of default, from 0 to 1.
    decision : {"approve", "review", "decline"}
        By the threshold and the cost matrix.
    costs : dict of str to float
        The expected cost of each action.
    band : str
        The class of risk.
    """

    probability: float
    decision: str
    costs: dict[str, float]
    band: str


@dataclass(frozen=True)
class Decision:
    """What was decided about one applicant, and on what.

    Parameters
    ----------
    client : str
        The key of the application; empty where none was given.
    probability : float
        Calibrated probability of default, from 0 to 1.
    decision : {"approve", "review", "decline"}
        What follows from the probability, the threshold and the cost matrix.
    threshold : float
        Applicants at or above it are declined.
    costs : dict of str to float
        The expected cost of each action, in units of one good client refused; "review" only where it has a cost.
    band : str
        The class of risk.
    standing : float
        Share of the book's applicants with a lower probability.
    explanation : Explanation
        What moved the score.
    reasons : tuple of Reason
        The principal reasons against the applicant, four at most; what speaks against an approval too.
    missing : tuple of str
        Columns of the application that may be missing and were not given.
    synthetic : bool
        Whether the model was trained on made-up applicants.
    portfolio : str
        The book's name.
    identity : Identity
        The model.
    feature_hash : str
        SHA-256 over each feature's name, the digest of its definition, and its value bit for bit.
    """

    client: str
    probability: float
    decision: str
    threshold: float
    costs: dict[str, float]
    band: str
    standing: float
    explanation: Explanation
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]
    synthetic: bool
    portfolio: str
    identity: Identity
    feature_hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        return asdict(self)


class Decider:
    """A model in use.

    Parameters
    ----------
    scorer : Scorer
        Features to probability and decision.
    book : Portfolio
        The contract that it was trained under.
    reference : Reference
        What applicants are compared with.
    identity : Identity
        Which version it is.
    """

    def __init__(self, scorer: Scorer, book: Portfolio, reference: Reference, identity: Identity) -> None:
        self.scorer, self.portfolio, self.reference, self.identity = scorer, book, reference, identity
        self.features = features.select(book, scorer.contract)

    @classmethod
    def load(cls, folder: str | Path, model: str = "", version: int = 0, digest: str = "") -> "Decider":
        """Open a bundle whose files have been checked.

        Raises
        ------
        CreditError
            If a file is missing or damaged, or a feature no longer means what it meant.
        """
        book = portfolio.load(Path(folder) / BOOK)
        return cls(Scorer.load(folder), book, Reference.load(folder), Identity(model, version, digest))

    @cached_property
    def online(self) -> Online:
        """Raw rows to features; takes seconds to prepare."""
        return Online(self.portfolio, (*self.features, *self._judged()))

    @cached_property
    def reasoner(self) -> Reasoner:
        """Features to principal reasons."""
        return Reasoner(self.scorer, self.portfolio, self.features, self.reference)

    def decide(self, application: Row, history: History | None = None) -> Decision:
        """Decide on one applicant.

        Parameters
        ----------
        application : mapping
            The raw application: column to value, as text or number; what is not given is missing.
        history : mapping of str to sequence of mappings, optional
            Rows of the other tables by name; without a table the applicant has no rows in it.

        Returns
        -------
        Decision
            Bit for bit what the same rows get in a batch.

        Raises
        ------
        ContractError
            If a value is required and missing, of the wrong type, unknown or out of range; all at once.
        DataError
            If a table or a column is not the portfolio's.
        """
        try:
            typed = self.online.typed([application], history)
        except ContractError as error:
            faults = [words.fault(self.portfolio, broken, "en") for broken in error.violations]
            raise ContractError("\n".join(faults), error.violations) from error
        (row,) = self.online.compute(typed)
        return self._decision(row, typed.main)

    def _decision(self, row: Row, application: Mapping[str, Sequence[Any]]) -> Decision:
        frame = table(self.features, [row])
        attribution = attribute(self.scorer, self.features, frame)
        outcome = self._outcome(self.scorer.calibration.apply(attribution.raw))
        main = self.portfolio.columns
        optional = [name for name, column in main.items() if column.missing and column.role == "feature"]
        return Decision(
            str(application[self.portfolio.key][0]),
            outcome.probability,
            outcome.decision,
            self.scorer.threshold,
            outcome.costs,
            outcome.band,
            self.reference.standing(outcome.probability),
            attribution.explanation(0),
            self.reasoner.reasons(frame, attribution)[0],
            tuple(name for name in optional if application[name][0] is None),
            self.reference.synthetic,
            self.portfolio.name,
            self.identity,
            self._hash(row),
        )

    def outcome(self, row: Features) -> Outcome:
        """Decide on one row of features, without reasons.

        Parameters
        ----------
        row : mapping of str to value, or sequence of values
            At least the model's features by name, or exactly those in its order.

        Returns
        -------
        Outcome
            Bit for bit what `decide` and `decide_frame` say.

        Raises
        ------
        DataError
            If a feature is not there, or is no number.
        """
        return self._outcome(self.scorer.predict([row]))

    def _outcome(self, probability: Floats) -> Outcome:
        p = float(probability[0])
        word = str(by_cost(probability, self.scorer.costs, self.scorer.threshold)[0])
        return Outcome(p, word, _expected(p, self.scorer), self.band(p))

    def band(self, probability: float) -> str:
        """Name the class of risk that a probability lies in."""
        return next(
            (each.name for each in self.portfolio.bands if probability < each.below), self.portfolio.bands[-1].name
        )

    def decide_frame(self, frame: pd.DataFrame, *, threads: int = 1) -> pd.DataFrame:
        """Decide on rows of features.

        Parameters
        ----------
        frame : DataFrame, n rows
            At least the model's features.
        threads : int
            For LightGBM; the result does not depend on it.

        Returns
        -------
        DataFrame, n rows
            ``probability_of_default``, ``decision``, ``expected_cost_approve``, ``expected_cost_decline``,
            (``expected_cost_review``), ``band``, ``model_version``; indexed as `frame`.
        """
        decided = self.scorer.decide(frame, threads=threads)
        p = decided["probability_of_default"].to_numpy()
        for action, cost in _expected(p, self.scorer).items():
            decided[f"expected_cost_{action}"] = cost
        edges = np.array([each.below for each in self.portfolio.bands[:-1]])
        names = np.array([each.name for each in self.portfolio.bands], dtype=object)
        decided["band"] = names[np.searchsorted(edges, p, side="right")]
        decided["model_version"] = f"{self.identity.model}/{self.identity.version}"
        return decided

    def what_if(self, application: Row, history: History | None = None) -> WhatIf:
        """Find the smallest changes of the application that change the decision; see `credit.scoring.whatif`.

        Raises
        ------
        ContractError, DataError
            As `decide` does.
        """

        def confirm(changed: Row) -> tuple[float, str]:
            decision = self.decide(changed, history)
            return decision.probability, decision.decision

        def decide(rows: Sequence[Row]) -> pd.DataFrame:
            return self._decide_all(rows, history)

        return propose(self.portfolio, application, decide, self.reference.plausible, confirm)

    def _decide_all(self, applications: Sequence[Row], history: History | None) -> pd.DataFrame:
        """Decide on variants of one application with the same history: features, probability and decision of each."""
        frame = self.online.variants(applications, history)
        return frame.assign(**self.scorer.decide(frame))

    def _judged(self) -> tuple[Feature, ...]:
        """Return what the model does not read, but a change is held to: the application's own actionable numbers."""
        own = features.definitions(self.portfolio, [self.portfolio.main])
        return tuple(
            each for each in own if each.name in self.reference.plausible and each.name not in self.scorer.contract
        )

    def _hash(self, row: Row) -> str:
        whole = hashlib.sha256()
        for item in self.scorer.inputs:
            value = row[item.name]
            text = "" if value is None else str(value) if item.levels is not None else _bits(value)
            whole.update(f"{item.name} {item.digest} {text}\n".encode())
        return whole.hexdigest()


def _bits(value: float) -> str:
    """Write a number bit for bit; both zeros are one, for which of them the greatest of several is depends on order."""
    return (value + 0.0).hex()


def _expected(p: Any, scorer: Scorer) -> dict[str, Any]:
    """Return the expected cost of each action at probability p of default."""
    costs = {"approve": scorer.costs.false_negative * p, "decline": scorer.costs.false_positive * (1 - p)}
    if scorer.costs.review is not None:
        costs["review"] = p * 0 + scorer.costs.review
    return costs
