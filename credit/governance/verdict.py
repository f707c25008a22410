"""What the gate found, rule by rule, and what follows; knows not how it was found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

__all__ = ["Outcome", "Rule", "Verdict"]

#: "contract": only the changed feature contract stands in the way; "new contract": promoted in spite of it.
Outcome = Literal["first", "promoted", "new contract", "same", "contract", "refused"]
PROMOTED = ("first", "promoted", "new contract")


@dataclass(frozen=True)
class Rule:
    """One rule and what came of it.

    Parameters
    ----------
    name : str
        The rule.
    figure, low, high : float or None
        What was measured, with its 95% interval where it has one.
    limit : str
        What it was held against.
    passed : bool or None
        None: reported, not judged.
    text : str
        The same in a sentence.
    """

    name: str
    figure: float | None
    low: float | None
    high: float | None
    limit: str
    passed: bool | None
    text: str

    @property
    def shown(self) -> str:
        """The figure with its interval."""
        if self.figure is None:
            return "-"
        return f"{self.figure:.3f}" + (f" ({self.low:.3f} to {self.high:.3f})" if self.low is not None else "")

    @property
    def mark(self) -> str:
        """The outcome in a word."""
        return "not judged" if self.passed is None else "pass" if self.passed else "FAIL"


@dataclass(frozen=True)
class Verdict:
    """Every rule, and what follows.

    Parameters
    ----------
    outcome : Outcome
        What follows.
    summary : str
        The same in a sentence.
    rules : tuple of Rule
        All that were looked at, failed or not.
    challenger : str
        Digest of the bundle that was judged.
    champion : str or None
        Digest of the champion it was judged against: the verdict holds only while that one is champion.
    """

    outcome: Outcome
    summary: str
    rules: tuple[Rule, ...]
    challenger: str
    champion: str | None

    @property
    def promote(self) -> bool:
        """Whether the challenger becomes champion."""
        return self.outcome in PROMOTED

    @property
    def failed(self) -> tuple[Rule, ...]:
        """The rules that stand in the way."""
        return tuple(rule for rule in self.rules if rule.passed is False)

    def frame(self) -> pd.DataFrame:
        """Return the rules as text: rule, figure, limit, outcome, reason."""
        rows = [(rule.name, rule.shown, rule.limit, rule.mark, rule.text) for rule in self.rules]
        return pd.DataFrame(rows, columns=["rule", "figure", "limit", "outcome", "reason"])

    def table(self) -> str:
        """Return the summary and the rules for a terminal."""
        rows = [("rule", "figure", "limit", "outcome")]
        rows += [(rule.name, rule.shown, rule.limit, rule.mark) for rule in self.rules]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([self.summary, *(line.rstrip() for line in lines)])

    def markdown(self) -> str:
        """Return the summary and the rules with their sentences."""
        rows = [f"| {r.name} | {r.shown} | {r.limit} | {r.mark} | {r.text} |" for r in self.rules]
        head = "| rule | figure | limit | outcome | reason |\n|---|---|---|---|---|"
        return "\n".join([self.summary, "", head, *rows])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self) | {"promote": self.promote, "rules": [asdict(rule) for rule in self.rules]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Verdict":
        """Read what `to_dict` wrote."""
        rest = {key: values[key] for key in ("outcome", "summary", "challenger", "champion")}
        return cls(rules=tuple(Rule(**rule) for rule in values["rules"]), **rest)
