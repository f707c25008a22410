"""What the API takes and gives, as OpenAPI documents it; knows how nothing is made."""

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from credit.portfolio import Language

__all__ = [
    "Alive",
    "Applicant",
    "Batch",
    "BatchAnswer",
    "Explained",
    "Overridden",
    "Override",
    "Problem",
    "Ready",
    "Record",
    "Scored",
    "Violated",
    "WhatIfAnswer",
]

LONGEST = 1000


def _raw(value: Any) -> Any:
    """Check a raw value in one step, so that a wrong one is one fault and not one for each type that it is not."""
    plain = value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))
    if not plain and not (isinstance(value, str) and len(value) <= LONGEST and _whole(value)):
        raise PydanticCustomError(
            "raw_value", f"must be text of at most {LONGEST} characters, a finite number, true, false or null"
        )
    return value


def _whole(text: str) -> bool:
    """Whether a text holds no half of a character, which no file could hold."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


Text = Annotated[str, Field(max_length=LONGEST)]
Number = Annotated[float, Field(allow_inf_nan=False)]
#: A raw value, as the portfolio's tables hold it.
Value = Annotated[
    bool | int | Number | Text | None, PlainValidator(_raw, json_schema_input_type=bool | int | Number | Text | None)
]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Row = Annotated[dict[Name, Value], Field(max_length=1000)]
History = Annotated[dict[Name, Annotated[list[Row], Field(max_length=20_000)]], Field(max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Action = Literal["approve", "review", "decline"]


class Strict(BaseModel):
    """What a caller sends: a field that nobody knows is a mistake, not passed over."""

    model_config = ConfigDict(extra="forbid")


class Applicant(Strict):
    """One applicant as raw rows: columns as the portfolio's main table has them; what is left out is missing."""

    application: Row = Field(description="Column of the main table to its raw value.")
    history: History | None = Field(None, description="Rows of the other tables, by the table's name.")
    language: Language | None = Field(None, description="Of reasons and messages; else as Accept-Language says.")


class Batch(Strict):
    """Many applicants."""

    applicants: list[Applicant] = Field(min_length=1, description="As many as the server takes at once.")
    language: Language | None = Field(None, description="Of reasons and messages; else as Accept-Language says.")


class Override(Strict):
    """A person's decision instead of the model's."""

    to: Literal["approve", "decline"]
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")] = Field(description="Why; recorded.")


class Wired(BaseModel):
    """What is sent back."""


class Model(Wired):
    """Which model speaks."""

    name: str
    version: int
    digest: str = Field(description="SHA-256 of its files.")


class Reason(Wired):
    """A statement of reason, the strongest first."""

    code: str
    concept: str
    text: str
    probability: float = Field(description="What the concept adds to the probability of default.")


class Scored(Wired):
    """A decision, as the ledger has it."""

    decision_id: int = Field(description="Its number in the ledger.")
    client: str
    probability: Share = Field(description="Calibrated probability of default.")
    decision: Action
    threshold: Share = Field(description="Applicants at or above it are declined.")
    expected_costs: dict[str, float] = Field(description="By action, in units of one good client refused.")
    band: str
    standing: Share = Field(description="Share of the book's applicants with a lower probability.")
    reasons: list[Reason]
    missing: list[str] = Field(description="Columns that may be missing, and were not given.")
    synthetic: bool = Field(description="Whether the model was trained on made-up applicants.")
    portfolio: str
    model: Model
    feature_hash: str


class Contribution(Wired):
    """What moves the score."""

    name: str
    label: str
    log_odds: float = Field(description="SHAP value; above 0 it speaks for a default.")
    probability: float = Field(description="Its share of the way from the base probability.")


class Explanation(Wired):
    """A score taken apart; the parts sum to the way from base to raw."""

    base: float
    raw: float
    base_probability: Share
    probability: Share
    concepts: list[Contribution]
    features: list[Contribution]


class Explained(Scored):
    """A decision with its explanation."""

    explanation: Explanation


class Change(Wired):
    """One value, now and then."""

    column: str
    now: float
    then: float


class Proposal(Wired):
    """A change that leads to another decision; it was scored to be sure."""

    action: str
    label: str
    changes: list[Change]
    probability: Share
    decision: Action


class WhatIfAnswer(Wired):
    """What would have to change for another decision; no decision itself, and not recorded."""

    decision: Action = Field(description="As things are.")
    goal: str = Field(description="What was looked for.")
    proposals: list[Proposal]
    tried: int
    note: str
    model: Model


class Violated(Wired):
    """One rule broken by what was sent."""

    field: str = Field(description="What people call it.")
    column: str
    rule: str
    message: str


class Problem(Wired):
    """What is wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = Field(description="The request's id, as the log has it.")
    violations: list[Violated] = []


class Item(Wired):
    """What came of one applicant of a batch: either a decision or violations."""

    row: int = Field(description="From 1, in the order given.")
    decision: Scored | None = None
    violations: list[Violated] = []


class BatchAnswer(Wired):
    """What came of a batch."""

    scored: int
    rejected: int
    unused: list[str] = Field([], description="Columns of a file that the portfolio does not know.")
    items: list[Item]


class Overridden(Wired):
    """An override, recorded."""

    event: int
    decision_id: int
    to: Literal["approve", "decline"]
    by: str


class Record(Wired):
    """A decision as it was recorded, and what followed."""

    decision_id: int
    at: str
    by: str
    channel: str
    client: str
    portfolio: str
    model: Model
    probability: Share
    decision: Action
    threshold: Share
    band: str
    reasons: list[dict[str, Any]]
    synthetic: bool
    application: dict[str, Any]
    history: dict[str, list[dict[str, Any]]]
    overridden: dict[str, Any] | None
    outcome: int | None
    erased: bool = Field(description="Whether the personal part is gone.")


class Alive(Wired):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Wired):
    """Decisions can be made."""

    status: Literal["ready"] = "ready"
    model: Model
    trouble: str = Field(description="Why no newer model can be seen, if the registry is at fault; empty otherwise.")
