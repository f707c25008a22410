"""What a portfolio says, as frozen dataclasses; reads no file, and knows no rows and no model."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "Action",
    "Ask",
    "Band",
    "Column",
    "Costs",
    "Group",
    "Label",
    "Language",
    "Limits",
    "Monitoring",
    "Portfolio",
    "Section",
    "Split",
    "Table",
    "Training",
]

Language = Literal["en", "fr"]
Type = Literal["number", "integer", "category", "flag"]
Unit = Literal["currency", "days", "months", "years", "share", "count", "score", "hour", "", "?"]
Role = Literal["feature", "key", "target", "protected", "excluded"]
Reaction = Literal["error", "warn", "null"]


@dataclass(frozen=True)
class Label:
    """What people read, in the two languages of the house."""

    en: str
    fr: str


@dataclass(frozen=True)
class Column:
    """One column of a table, and what the contract lets it hold.

    Attributes
    ----------
    type : {"number", "integer", "category", "flag"}
        A flag is a number that is 0 or 1.
    unit : str
        "currency" is the book's own; "?" is still to be filled in by someone who knows.
    minimum, maximum : float or None
        Bounds, both allowed values; `min` and `max` in TOML.
    levels : tuple of str
        Allowed values of a category; empty allows any.
    missing : bool
        Whether a value may be missing.
    sentinels : tuple of str or float
        Values that stand for "missing"; they become missing, and are counted.
    role : {"feature", "key", "target", "protected", "excluded"}
        Only features enter a model. Protected columns are audited, excluded ones are carried nowhere.
    monotone : {-1, 0, 1}
        1 where a higher value can only mean more risk, -1 where only less, 0 where neither is sure.
    on_range, on_level : {"error", "warn", "null"}
        What a value out of bounds, or an unknown level, leads to; "null" sets it missing, and counts it.
    group : str
        The concept that the column belongs to when a decision is explained; a feature without one is its own.
    actionable : bool
        Whether applicant and lender can change the value in this application, as with the amount asked for.
    """

    name: str
    type: Type
    label: Label
    group: str = ""
    unit: Unit = ""
    minimum: float | None = field(default=None, metadata={"key": "min"})
    maximum: float | None = field(default=None, metadata={"key": "max"})
    levels: tuple[str, ...] = ()
    missing: bool = True
    sentinels: tuple[str | float, ...] = ()
    role: Role = "feature"
    monotone: Literal[-1, 0, 1] = 0
    on_range: Reaction = "error"
    on_level: Reaction = "error"
    actionable: bool = False


@dataclass(frozen=True)
class Table:
    """One table of the book.

    Attributes
    ----------
    files : tuple of str
        Names of files without suffix, or of SQL tables, whose rows together are the (labelled) table.
    unlabelled : tuple of str
        The same for rows without a target.
    key : tuple of str
        Columns that name one row; empty where rows have no name.
    generated_key : bool
        The file has no key: the reader numbers the rows from 1, in a column named by `key`.
    parent, parent_key : str or None
        The table that a row belongs to, and the column that says to which of its rows.
    time : str or None
        Column of days or months relative to the application; a value above 0 lies after it.
    columns : dict of str to Column
        In the file's order; empty while a table is named but not used.
    """

    name: str
    label: Label
    files: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    generated_key: bool = False
    parent: str | None = None
    parent_key: str | None = None
    time: str | None = None
    columns: dict[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class Costs:
    """What a wrong decision costs, in units of one good client refused.

    A false negative is a client approved who defaults, a false positive a client refused who would have paid.
    `review` is the cost of a manual review, if the lender has one.
    """

    false_negative: float = 10.0
    false_positive: float = 1.0
    review: float | None = None

    @property
    def threshold(self) -> float:
        """The probability of default from which refusing is the cheaper decision (Elkan 2001, equation 2)."""
        return self.false_positive / (self.false_positive + self.false_negative)


@dataclass(frozen=True)
class Split:
    """Shares of clients for training, validation and test, and the salt of the hash that assigns them."""

    salt: str = "credit-1"
    train: float = 0.6
    validation: float = 0.2
    test: float = 0.2


@dataclass(frozen=True)
class Limits:
    """What a challenger must keep to become champion.

    Attributes
    ----------
    probability_cheaper : float
        Least probability that the challenger is cheaper than the champion.
    calibration_slope : tuple of float
        Lowest and highest slope of the outcome on the log-odds; 1 is perfect.
    calibration_in_the_large : float
        Largest absolute intercept in log-odds with the slope held at 1; 0 is perfect.
    auc_gap : float
        Largest absolute difference between the AUC in cross-validation and on test.
    group_gap : float
        Largest difference of an error rate between a group and all others.
    min_group : int
        Groups with fewer applicants are reported, not judged.
    approval_ratio : float
        Least approval rate of a group over that of the most approved one (four fifths: 29 CFR 1607.4 D).
    """

    probability_cheaper: float = 0.95
    calibration_slope: tuple[float, float] = (0.7, 1.3)
    calibration_in_the_large: float = 0.25
    auc_gap: float = 0.02
    group_gap: float = 0.10
    min_group: int = 100
    approval_ratio: float = 0.8


@dataclass(frozen=True)
class Monitoring:
    """When a model in use calls for attention; a pair is where it warns, and where it alerts.

    Attributes
    ----------
    window : int
        Fewest applicants that anything is said about.
    psi : tuple of float
        Population stability index of one feature, and of a segment's mix.
    score_psi : tuple of float
        The same of the probability of default.
    important : float
        Share of the model's gain from which a feature can alert; a lesser one only warns.
    cost : tuple of float
        Relative excess of the cost per applicant over what was promised, as expected and as realised.
    regression : float
        Cost per applicant by which a champion must be worse than its predecessor to be rolled back.
    min_segment : int
        Segments with fewer applicants are shown, not judged.
    """

    window: int = 300
    psi: tuple[float, float] = (0.1, 0.25)
    score_psi: tuple[float, float] = (0.1, 0.25)
    important: float = 0.01
    cost: tuple[float, float] = (0.05, 0.1)
    regression: float = 0.02
    min_segment: int = 100


@dataclass(frozen=True)
class Group:
    """A grouping of applicants to audit or to watch: the levels of a category, or bands of `scale` x a numeric column.

    Bands are [edge, next edge); the first and the last are open.  Where `judged` is false the groups are shown in
    every report and verdict, but no difference between them stops a model.
    """

    name: str
    column: str
    label: Label
    edges: tuple[float, ...] = ()
    scale: float = 1.0
    judged: bool = True


@dataclass(frozen=True)
class Band:
    """A class of risk: the probabilities of default below `below` that no band before it holds."""

    name: str
    below: float


@dataclass(frozen=True)
class Ask:
    """What an officer is asked for a column, in the units of people; see `credit.portfolio.words`.

    Attributes
    ----------
    label : Label
        The question: "Age" for a date of birth in days before the application.
    help_en, help_fr : str
        A sentence of help; may be empty.
    default : str, float or None
        What a blank form starts with, as the raw column has it; None leaves the field empty, to be answered.
    """

    name: str
    label: Label
    help_en: str = ""
    help_fr: str = ""
    default: str | float | None = None


@dataclass(frozen=True)
class Section:
    """A part of the officer's form: columns of the main table in order; a closed one opens on a click."""

    label: Label
    columns: tuple[str, ...]
    open: bool = False


@dataclass(frozen=True)
class Action:
    """One way in which an application can be changed: columns of numbers scaled together by one factor.

    Attributes
    ----------
    name : str
        What texts call it.
    scales : dict of str to float
        Actionable column of the main table to exponent: with factor f it becomes value x f ** exponent.  A longer
        term at the same amount is ``{ annuity = -1 }``, less at the same term ``{ amount = 1, annuity = 1 }``.
    low, high : float
        The factors that are plausible.
    """

    name: str
    label: Label
    scales: dict[str, float]
    low: float = 0.5
    high: float = 2.0


@dataclass(frozen=True)
class Training:
    """Which candidates compete, beside which references, and how they are searched.

    `overrides` holds the file's [candidates.NAME] tables as they are; `credit.training` gives them meaning.
    """

    candidates: tuple[str, ...] = ("native", "imputed", "weighted", "monotone")
    references: tuple[str, ...] = ("prior", "scorecard")
    folds: int = 3
    seed: int = 7
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict, metadata={"key": ""})


#: The bands of a book that names none.
BANDS = (Band("A", 0.02), Band("B", 0.04), Band("C", 0.07), Band("D", 0.11), Band("E", 0.2), Band("F", 1.0))


@dataclass(frozen=True)
class Portfolio:
    """A lender's book.

    Attributes
    ----------
    main : str
        The table with one row per application.
    key, target : str
        Its columns that name the client and say whether the client defaulted (1) or not (0).
    derived : str or None
        Module of `credit.features` that derives further features.
    synthetic : str or None
        File of facts beside the portfolio's file, from which a synthetic book is made.
    groups : tuple of Group
        The protected groups, which are audited.
    segments : tuple of Group
        The parts of the book that monitoring tells apart, beside the protected groups.
    concepts : dict of str to Label
        What a decision is explained by; each feature belongs to one.
    adverse : dict of str to Label
        By concept: the words of a reason for a refusal; the concept's own words where there are none.
    words : dict of str to Label
        By level of a category: what people read instead; ``COLUMN=level`` where it is meant for one column only.
    bands : tuple of Band
        The classes of risk, the safest first.
    asks : dict of str to Ask
        By column of the main table: how an officer is asked for it; the column's own words where there is none.
    form : tuple of Section
        The officer's form, with every feature that may not be missing; made from the concepts where there is none.
    actions : tuple of Action
        How an application can be changed; each actionable column alone where there is none.
    folder : Path
        Where the portfolio's file lies; no part of its identity.
    text : str
        The file as it was read, to be kept with a model; no part of its identity.
    """

    name: str
    title: Label
    source: str
    licence: str
    main: str
    key: str
    target: str
    tables: dict[str, Table]
    derived: str | None = None
    synthetic: str | None = None
    costs: Costs = field(default_factory=Costs)
    split: Split = field(default_factory=Split)
    limits: Limits = field(default_factory=Limits)
    training: Training = field(default_factory=Training)
    groups: tuple[Group, ...] = ()
    monitoring: Monitoring = field(default_factory=Monitoring)
    segments: tuple[Group, ...] = ()
    concepts: dict[str, Label] = field(default_factory=dict)
    adverse: dict[str, Label] = field(default_factory=dict)
    words: dict[str, Label] = field(default_factory=dict)
    bands: tuple[Band, ...] = BANDS
    asks: dict[str, Ask] = field(default_factory=dict)
    form: tuple[Section, ...] = ()
    actions: tuple[Action, ...] = ()
    folder: Path = field(default=Path(), compare=False, metadata={"key": ""})
    text: str = field(default="", compare=False, repr=False, metadata={"key": ""})

    @property
    def columns(self) -> dict[str, Column]:
        """Columns of the main table, by name, in the file's order."""
        return self.tables[self.main].columns

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns of the main table that may enter a model."""
        return tuple(column for column in self.columns.values() if column.role == "feature")

    def seeded(self, seed: int | None) -> "Portfolio":
        """Return the same book under another seed; None keeps its own."""
        return self if seed is None else replace(self, training=replace(self.training, seed=seed))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: the same for the same book however its file is laid out or ordered."""
        content = asdict(self)
        del content["folder"], content["text"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
