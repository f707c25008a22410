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
from credit.features.online import Online, Row
from credit.portfolio import Portfolio
from credit.scoring.explain import Explanation, explain
from credit.scoring.reference import Reference
from credit.scoring.scorer import Scorer
from credit.scoring.whatif import Proposal, propose

__all__ = ["BOOK", "Decider", "Decision", "Identity"]

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
        What moved the score, and the reasons in codes.
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
        return Online(self.portfolio, self.features)

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
        frame = self.online.features(application, history)
        return self._decision(frame, application)

    def _decision(self, frame: pd.DataFrame, application: Row) -> Decision:
        probability = float(self.scorer.predict(frame)[0])
        decided = self.decide_frame(frame).iloc[0]
        main = self.portfolio.columns
        optional = [name for name, column in main.items() if column.missing and column.role == "feature"]
        key = application.get(self.portfolio.key)
        return Decision(
            "" if key is None else str(key),
            probability,
            str(decided["decision"]),
            self.scorer.threshold,
            _expected(probability, self.scorer),
            self.band(probability),
            self.reference.standing(probability),
            explain(self.scorer, self.features, frame)[0],
            tuple(name for name in optional if application.get(name) in (None, "")),
            self.reference.synthetic,
            self.portfolio.name,
            self.identity,
            self._hash(frame),
        )

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
        decided = self.scorer.decide(frame)
        p = decided["probability_of_default"].to_numpy()
        for action, cost in _expected(p, self.scorer).items():
            decided[f"expected_cost_{action}"] = cost
        edges = np.array([each.below for each in self.portfolio.bands[:-1]])
        names = np.array([each.name for each in self.portfolio.bands], dtype=object)
        decided["band"] = names[np.searchsorted(edges, p, side="right")]
        decided["model_version"] = f"{self.identity.model}/{self.identity.version}"
        return decided

    def what_if(self, application: Row, history: History | None = None) -> tuple[Proposal, ...]:
        """Find the smallest changes of the application that change the decision; see `credit.scoring.whatif`."""
        return propose(self.portfolio, application, lambda rows: self._decide_all(rows, history))

    def _decide_all(self, applications: Sequence[Row], history: History | None) -> list[tuple[float, str]]:
        """Decide on variants of one application with the same history."""
        made = [self.decide(application, history) for application in applications]
        return [(each.probability, each.decision) for each in made]

    def _hash(self, frame: pd.DataFrame) -> str:
        whole = hashlib.sha256()
        for item in self.scorer.inputs:
            value = frame[item.name].iloc[0]
            text = "" if pd.isna(value) else float(value).hex() if item.levels is None else str(value)
            whole.update(f"{item.name} {item.digest} {text}\n".encode())
        return whole.hexdigest()


def _expected(p: Any, scorer: Scorer) -> dict[str, Any]:
    """Return the expected cost of each action at probability p of default."""
    costs = {"approve": scorer.costs.false_negative * p, "decline": scorer.costs.false_positive * (1 - p)}
    if scorer.costs.review is not None:
        costs["review"] = p * 0 + scorer.costs.review
    return costs
