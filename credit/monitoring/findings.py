"""What calls for attention, and how loudly; measures nothing."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["KINDS", "Finding", "Severity", "level", "ranked", "verdict"]

Severity = Literal["WARN", "ALERT"]
KINDS = (
    *("regression", "cost", "calibration", "score", "discrimination"),
    *("feature", "segment", "fairness", "data"),
)


@dataclass(frozen=True)
class Finding:
    """One thing beyond its limit.

    Parameters
    ----------
    severity : {"WARN", "ALERT"}
        How loudly.
    kind : str
        One of `KINDS`.
    subject : str
        What it is about: a feature, a segment, a figure.
    value, limit : float
        What was measured, and where it begins to count.
    why : str
        One sentence for people.
    floor : float or None
        What chance alone reaches; None where it has no such floor.
    weight : float
        Orders findings of one severity and kind, the heaviest first.
    """

    severity: Severity
    kind: str
    subject: str
    value: float
    limit: float
    why: str
    floor: float | None = None
    weight: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: must be one of {', '.join(KINDS)}, is {self.kind!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def level(value: float, limits: tuple[float, float]) -> Severity | None:
    """Say how loudly a value calls, given where it warns and where it alerts; not at all at a limit or below."""
    warn, alert = limits
    return "ALERT" if value > alert else "WARN" if value > warn else None


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Put alerts before warnings, what costs money before what may, and the heavier before the lighter."""
    return sorted(findings, key=lambda each: (each.severity != "ALERT", KINDS.index(each.kind), -each.weight))


def verdict(findings: Iterable[Finding]) -> Literal["OK", "WARN", "ALERT"]:
    """Return the loudest severity, or OK."""
    found = {each.severity for each in findings}
    return "ALERT" if "ALERT" in found else "WARN" if found else "OK"
