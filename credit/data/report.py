"""What is wrong with the rows, in words and as a table; finds nothing itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import pandas as pd

from credit.data.rules import Severity
from credit.errors import ContractError

__all__ = ["DONE", "REMEDIES", "Report", "Violation", "refuse"]

SHOWN = 3

CELL = "correct the cells or leave them empty"
REMEDIES = {
    "no rows": "give data with at least one row",
    "missing column": "add the column",
    "unknown column": "it is not used; describe it in the portfolio, or drop it",
    "missing key": "give every row its key",
    "duplicated key": "keep one row for each key",
    "no parent": "they count for no applicant",
    "missing value": "fill the cells in, or set missing = true for this column",
    "sentinel": "leave the cells empty",
    "not a number": CELL,
    "not finite": CELL,
    "not an integer": CELL,
    "not 0 or 1": CELL,
    "out of range": 'correct the rows, or widen min and max or set on_range = "null" for this column',
    "dated after the application": "drop what was not known on the day of the application",
    "unknown level": 'correct the rows, or add the level or set on_level = "null" for this column',
    "target missing": "drop the rows whose outcome is not known; they can be scored, not trained on",
    "target not 0 or 1": "write 1 for a default and 0 for none",
    "empty target": "give rows with known outcomes",
    "constant target": "give rows with both outcomes",
    "too few defaults": "give more rows",
    "too few without default": "give more rows",
}
#: What is done about a breach that is no error.
DONE = {"warn": "kept as it is", "null": "set missing"}


@dataclass(frozen=True)
class Violation:
    """One rule broken in one column.

    Attributes
    ----------
    table, column, rule : str
        What is broken, and where; `column` names several where the key does.
    count : int
        Offending rows.
    rows : tuple of int
        The first of them, 1-based.
    values : tuple of str
        Their values, as found.
    severity : {"error", "warn", "null"}
        Refused, kept, or set missing.
    remedy : str
        What to do, or what is done.
    allowed : str
        The range, the levels or the number that the rule asks for.
    """

    table: str
    column: str
    rule: str
    count: int
    rows: tuple[int, ...]
    values: tuple[str, ...]
    severity: Severity
    remedy: str
    allowed: str = ""

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        first = [f"row {row} = {value}" for row, value in zip(self.rows, self.values, strict=False)][:SHOWN]
        seen = f", {self.count:,} row{'s' * (self.count != 1)} (first: {', '.join(first)})" if first else ""
        allowed = f" {self.allowed}" if self.allowed else ""
        return f"{where}: {self.rule}{allowed}{seen}; {self.remedy}"


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes
    ----------
    table : str
        The main table.
    sizes : dict of str to int
        Rows of each table that was checked.
    violations : tuple of Violation
        By table, in the order of its columns.
    """

    table: str
    sizes: dict[str, int]
    violations: tuple[Violation, ...]

    @property
    def rows(self) -> int:
        """Rows of the main table."""
        return self.sizes[self.table]

    @property
    def errors(self) -> tuple[Violation, ...]:
        """What refuses the data."""
        return tuple(found for found in self.violations if found.severity == "error")

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """What was kept, or set missing."""
        return tuple(found for found in self.violations if found.severity != "error")

    def frame(self) -> pd.DataFrame:
        """Return one row a violation, in columns named as the attributes of `Violation`."""
        names = [field.name for field in fields(Violation)]
        return pd.DataFrame([asdict(found) for found in self.violations], columns=names)


def refuse(errors: Sequence[Violation]) -> None:
    """Raise one error that lists all violations, if there are any.

    Raises
    ------
    ContractError
        With the violations.
    """
    if errors:
        count = f"{len(errors)} violation{'s' * (len(errors) != 1)}"
        tables = ", ".join(dict.fromkeys(error.table for error in errors))
        raise ContractError("\n".join([f"{count} in {tables}:", *(f"  {error}" for error in errors)]), errors)
