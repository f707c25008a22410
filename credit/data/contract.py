"""Do the rows keep what the portfolio promises?  All violations at once; mends nothing, and fits nothing.

Each cell is judged by the first rule that it breaks (`credit.data.rules`).  A violation is an error (the data
are refused), a warning (the value is kept) or "null" (the value is set missing); all are counted and shown.
Rows of history that belong to no row of their parent table are told and kept: the features pass them over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from math import ceil
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa

from credit.console import log, step
from credit.data.files import ROW
from credit.data.keys import duplicates, may_repeat, orphans
from credit.data.report import DONE, REMEDIES, Report, Violation, refuse
from credit.data.rules import allowed, is_text, judge, promised, severity
from credit.portfolio import Column, Portfolio

__all__ = ["Checked", "Report", "Screened", "Violation", "assess", "check", "screen"]

#: Defaults (and clients who paid) that each fold of the search needs, to rank anything.
DEFAULTS_PER_FOLD = 10
#: Rows that a violation names, and characters of their values.
KEPT, WIDTH = 5, 40


@dataclass(frozen=True)
class Checked:
    """Typed tables that keep the contract, and what was found on the way."""

    tables: dict[str, Any]
    report: Report


@dataclass(frozen=True)
class Screened:
    """Typed tables, of the main one the valid rows only; `rejected` has a line for each rule a row breaks."""

    tables: dict[str, Any]
    rejected: pd.DataFrame
    report: Report


def check(portfolio: Portfolio, tables: Mapping[str, Any], *, labelled: bool = True) -> Checked:
    """Hold tables against the portfolio, and give them their types.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    tables : mapping of str to ibis.Table
        From `credit.data.tables.open_tables`, the main table among them; all are checked.
    labelled : bool
        Whether the main table must have a target; if not, one that is there is neither judged nor kept.

    Returns
    -------
    Checked
        Lazy tables with the contract's columns only, in its order: numbers, integers and flags are float64,
        categories strings, the target int8; a key is int64 where the portfolio calls it a number or all its
        values are integers, else string; what is missing is NULL. Excluded columns are neither asked for nor
        kept.

    Raises
    ------
    ContractError
        If there is any error; it lists all of them.
    """
    with step("Checking the contract") as checking:
        checked = assess(portfolio, tables, labelled=labelled)
        checking.rows = sum(checked.report.sizes.values())
    refuse(checked.report.errors)
    _log(checked.report)
    return checked


def assess(portfolio: Portfolio, tables: Mapping[str, Any], *, labelled: bool = True) -> Checked:
    """Do what `check` does, but refuse nothing and log nothing: the report says all.

    Of one applicant, tables without the main one may be assessed too.
    """
    judged = _judged(portfolio, tables, labelled=labelled)
    return Checked({name: table.typed for name, table in judged.items()}, _report(portfolio, judged))


def screen(portfolio: Portfolio, tables: Mapping[str, Any]) -> Screened:
    """Part the valid from the invalid rows of applications without a target.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    tables : mapping of str to ibis.Table
        From `credit.data.tables.open_tables`, the main table among them.

    Returns
    -------
    Screened
        Rows are typed as by `check`. `rejected` has the columns row, the key's, column, rule, value and
        remedy; of rows with the same key all are rejected.

    Raises
    ------
    ContractError
        If what is wrong is no single application's fault: a missing column, no rows, an error in another table.
    """
    with step("Screening the applications") as screening:
        judged = _judged(portfolio, tables, labelled=False)
        report = _report(portfolio, judged)
        refuse([found for found in report.errors if found.table != portfolio.main or not found.rows])
        main = judged[portfolio.main]
        rejected = main.rejected()
        screening.rows = report.rows - rejected["row"].nunique()
        screening.note = f"{rejected['row'].nunique():,} rejected"
    _log(report)
    valid = main.without(rejected["row"].unique().tolist())
    typed = {name: table.typed for name, table in judged.items()}
    return Screened(typed | {portfolio.main: valid}, rejected, report)


def _judged(portfolio: Portfolio, tables: Mapping[str, Any], *, labelled: bool) -> "dict[str, _Judged]":
    return {name: _Judged(portfolio, name, table, labelled=labelled) for name, table in tables.items()}


def _report(portfolio: Portfolio, judged: "Mapping[str, _Judged]") -> Report:
    found: list[Violation] = []
    for table in judged.values():
        found += table.violations()
        parent = judged.get(table.spec.parent or "")
        if parent:
            found += table.orphans(parent)
    return Report(portfolio.main, {name: table.rows for name, table in judged.items()}, tuple(found))


def _log(report: Report) -> None:
    for warning in report.warnings:
        log.info("  %s", warning)


class _Judged:
    """One table under its contract."""

    def __init__(self, portfolio: Portfolio, name: str, table: Any, *, labelled: bool) -> None:
        self.portfolio, self.spec, self.table = portfolio, portfolio.tables[name], table
        self.columns = promised(self.spec, labelled)
        present = {name: column for name, column in self.columns.items() if name in table.columns}
        self.judgements = {name: judge(column, table[name]) for name, column in present.items()}
        self.cells = {name: one.typed for name, one in self.judgements.items()}
        for key in (column for column in present.values() if column.role == "key"):
            if key.type != "category" or not self.counts.get(f"text {key.name}"):
                self.cells[key.name] = self.cells[key.name].try_cast("int64")

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.counts["rows"]

    @property
    def typed(self) -> Any:
        """The table with its final columns."""
        return self.table.select(**self.cells)

    def violations(self) -> Iterator[Violation]:
        """Yield what is wrong, column by column in the contract's order."""
        if not self.rows:
            # An applicant may have no history, but there is no application without a row.
            yield self._violation("", "no rows", severity="error" if self.spec.name == self.portfolio.main else "warn")
        known = {ROW, *self.spec.columns, *self.columns}
        unknown = [name for name in self.table.columns if name not in known]
        for name, column in self.columns.items():
            if name not in self.judgements:
                yield self._missing(column, unknown)
            elif self.counts[f"broken {name}"]:
                yield from self._first(name, self._faults(name))
        key, given = self.spec.key, self.judgements.keys() >= set(self.spec.key)
        if key and given and may_repeat(self._keys(), key, self.spec.time):
            yield from self._first(", ".join(key), self._duplicates())
        if "defaults" in self.counts and self.rows:
            yield from self._outcomes()
        if self.spec.columns:
            for name in unknown:
                yield self._violation(name, "unknown column", severity="warn")

    def orphans(self, parent: "_Judged") -> Iterator[Violation]:
        """Yield what is to be said of rows that name a parent who is not there."""
        name, key = str(self.spec.parent_key), parent.spec.key
        if name not in self.cells or len(key) != 1 or key[0] not in parent.cells:
            return
        children = self.table.select(row=self.table[ROW], owner=self.cells[name])
        lost = orphans(children, parent.table.select(owner=parent.cells[key[0]]))
        faults = lost.select("row", rule=ibis.literal("no parent"), value="owner")
        where, remedy = f"in {parent.spec.name}", REMEDIES["no parent"]
        yield from self._first(name, faults, severity="warn", allowed=where, remedy=remedy)

    def rejected(self) -> pd.DataFrame:
        """Return a line for each error of a row, with the row's number and key."""
        key = self.cells[self.portfolio.key]
        broken = [name for name in self.judgements if self.counts[f"broken {name}"]]
        lines = [self._faults(name).filter(ibis._.rule.notin(_tolerated(self.columns[name]))) for name in broken]
        faults = ibis.union(self._duplicates(), *lines)
        found = self.table.select(row=self.table[ROW], key=key).inner_join(faults, "row").order_by("row", "column")
        frame = found.to_pyarrow().to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        frame["remedy"] = frame["rule"].map(REMEDIES)
        return frame.astype({"row": "int64"}).rename(columns={"key": self.portfolio.key})

    def without(self, rows: Sequence[int]) -> Any:
        """Return the typed table without some rows."""
        numbered = self.table.select(ROW, **self.cells)
        bad = ibis.memtable({ROW: list(rows)}, schema={ROW: "int64"})
        return numbered.anti_join(bad, ROW).drop(ROW)

    @cached_property
    def counts(self) -> dict[str, int]:
        """What is broken, where, counted in one scan of the table."""
        counts = {"rows": self.table.count()}
        for name, one in self.judgements.items():
            counts[f"broken {name}"] = one.rule.count()
            if one.column.role == "key" and one.typed.type().is_string():
                counts[f"text {name}"] = is_text(one.typed).sum()
            if one.column.role == "target":
                counts |= {"defaults": (one.typed == 1).sum(), "without": (one.typed == 0).sum()}
        row = self.table.aggregate(**counts).to_pyarrow().to_pylist()[0]
        return {name: count or 0 for name, count in row.items()}

    def _faults(self, name: str) -> Any:
        """Select each cell of a column that breaks a rule."""
        one = self.judgements[name]
        row, column = self.table[ROW], ibis.literal(name)
        return self.table.select(row=row, column=column, rule=one.rule, value=one.found).drop_null("rule")

    def _keys(self) -> Any:
        return self.table.select(ROW, **{name: self.cells[name] for name in self.spec.key})

    def _duplicates(self) -> Any:
        """Select each row that shares its key with another."""
        key = self.spec.key
        twice = duplicates(self._keys(), key)
        return twice.select(
            row=twice[ROW],
            column=ibis.literal(", ".join(key)),
            rule=ibis.literal("duplicated key"),
            value=ibis.literal(", ").join([twice[name].cast("string") for name in key]),
        )

    def _first(self, name: str, faults: Any, **known: Any) -> Iterator[Violation]:
        """Yield a violation for each rule broken, with the first rows that break it."""
        column = self.columns.get(name)
        counts = faults.group_by("rule").aggregate(times=ibis._.count()).order_by("rule")
        for rule, times in counts.to_pyarrow().to_pandas().itertuples(index=False):
            lowest = faults.filter(ibis._.rule == rule).order_by("row").limit(KEPT)
            first = lowest.select("row", "value").to_pyarrow().to_pylist()
            reaction = severity(column, rule) if column else "error"
            usual = {
                "count": times,
                "rows": tuple(cell["row"] for cell in first),
                "values": tuple(_short(cell["value"]) for cell in first),
                "severity": reaction,
                "remedy": DONE.get(reaction, REMEDIES[rule]),
                "allowed": allowed(column, rule) if column else "",
            }
            yield self._violation(name, rule, **(usual | known))

    def _missing(self, column: Column, unknown: Sequence[str]) -> Violation:
        """Report a column that is not there, and the one that may be meant."""
        if column.role == "target":
            remedy = "add the outcome, 1 for a default and 0 for none (rows without it can only be scored)"
        else:
            close = get_close_matches(column.name.lower(), [name.lower() for name in unknown], n=1)
            meant = [name for name in unknown if name.lower() in close]
            remedy = f"add it, or rename {meant[0]!r} if that is it" if meant else REMEDIES["missing column"]
        return self._violation(column.name, "missing column", remedy=remedy)

    def _outcomes(self) -> Iterator[Violation]:
        """Report outcomes that nothing can be learned from."""
        target, training = self.portfolio.target, self.portfolio.training
        needed = ceil(DEFAULTS_PER_FOLD * training.folds / self.portfolio.split.train)
        defaults, without = self.counts["defaults"], self.counts["without"]
        if not defaults and not without:
            yield self._violation(target, "empty target")
        elif not defaults or not without:
            yield self._violation(target, "constant target", allowed=f"(always {int(not without)})")
        else:
            for rule, count in {"too few defaults": defaults, "too few without default": without}.items():
                if count < needed:
                    few = f"({count}, at least {needed} needed)"
                    yield self._violation(target, rule, count=count, allowed=few)

    def _violation(self, column: str, rule: str, **known: Any) -> Violation:
        usual: dict[str, Any] = {"count": self.rows, "rows": (), "values": (), "severity": "error"}
        return Violation(self.spec.name, column, rule, **(usual | {"remedy": REMEDIES[rule]} | known))


def _tolerated(column: Column) -> list[str]:
    return [rule for rule in REMEDIES if severity(column, rule) != "error"]


def _short(value: str | None) -> str:
    if value is None:
        return "(empty)"
    return value if len(value) <= WIDTH else f"{value[:WIDTH]}..."
