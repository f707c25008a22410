"""One applicant with their history, in memory -> the features of the batch, bit for bit; knows no model.

The contract and the features' expressions are compiled once, to prepared statements over tables of text on a DuckDB
of their own; an applicant's rows are put into these tables, and the statements are run.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from operator import add
from threading import Lock
from time import perf_counter
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from credit.data import contract
from credit.data.files import ROW
from credit.data.report import REMEDIES
from credit.data.rules import Judgement, judge, promised, severity
from credit.errors import DataError
from credit.features.build import express
from credit.features.dictionary import Feature, needed
from credit.portfolio import Portfolio, Table

__all__ = ["Online"]

Row = Mapping[str, Any]


class Online:
    """Features of one applicant at a time.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    features : sequence of Feature
        What to compute.

    Attributes
    ----------
    spent : dict of str to float
        Seconds of the last applicant: putting the rows in place, the contract, the features.
    """

    def __init__(self, portfolio: Portfolio, features: Sequence[Feature]) -> None:
        self.portfolio = portfolio
        self.columns = {name: promised(portfolio.tables[name], False) for name in needed(portfolio, features)}
        self._connection = ibis.duckdb.connect(autoinstall_known_extensions=False, autoload_known_extensions=False)
        self._lock = Lock()
        self.spent: dict[str, float] = {}
        self._run("SET threads = 1")
        self._run("PRAGMA disable_optimizer")  # for a handful of rows, planning costs more than what it saves
        typed = {}
        for name, columns in self.columns.items():
            declared = ", ".join(f'"{column}" VARCHAR' for column in columns)
            self._run(f'CREATE TABLE "{name}" ({declared})')
            table = self._connection.table(name)
            judged = {column: judge(rule, table[column]) for column, rule in columns.items()}
            typed[name] = table.select(**{column: one.typed for column, one in judged.items()})
            self._prepare(f"faults of {name}", _faults(table, portfolio.tables[name], judged))
        self._prepare("features", express(portfolio, typed, features))

    def features(self, application: Row, history: Mapping[str, Sequence[Row]] | None = None) -> pd.DataFrame:
        """Compute the features of one applicant.

        Parameters
        ----------
        application : mapping
            The raw application: column to value, as text or number; what is not given is missing.
        history : mapping of str to sequence of mappings, optional
            Rows of the other tables, by the portfolio's name of the table; the applicant's own key may be left out.
            Without a table the applicant has no rows in it.

        Returns
        -------
        DataFrame, 1 row
            The key and the features.

        Raises
        ------
        DataError
            If a table or a column is not the portfolio's.
        ContractError
            If a value breaks the contract; it lists all violations.
        """
        key = self.portfolio.key
        rows = {self.portfolio.main: [application]}
        for name, given in (history or {}).items():
            if name not in self.portfolio.tables:
                raise DataError(
                    f"{name}: no such table in portfolio '{self.portfolio.name}'{_hint(name, self.columns)}."
                )
            owner = self.portfolio.tables[name].parent_key
            rows[name] = [{owner: application.get(key), **row} if owner == key else row for row in given]
        with self._lock:
            times = [perf_counter()]
            texts = {name: self._texts(name, rows.get(name, [])) for name in self.columns}
            for name, table in texts.items():
                self._connection.con.register("given", table)
                self._run(f'DELETE FROM "{name}"; INSERT INTO "{name}" SELECT * FROM given')  # noqa: S608 - our names
            times.append(perf_counter())
            if any(self._run(f'EXECUTE "faults of {name}"').fetchone()[0] for name in self.columns):
                self._explain(texts)
            times.append(perf_counter())
            made: pd.DataFrame = self._run("EXECUTE features").df()
            times.append(perf_counter())
            self.spent = dict(zip(("rows", "contract", "features"), np.diff(times).tolist(), strict=True))
            return made

    def _run(self, statement: str) -> Any:
        return self._connection.con.execute(statement)

    def _prepare(self, name: str, expression: Any) -> None:
        self._run(f'PREPARE "{name}" AS {self._connection.compile(expression)}')

    def _texts(self, name: str, rows: Sequence[Row]) -> pa.Table:
        """Write values as text, which the contract judges alike from every source."""
        known = self.columns[name]
        spec = self.portfolio.tables[name]
        strange = sorted({column for row in rows for column in row} - known.keys() - spec.columns.keys())
        if strange:
            raise DataError(f"{name}.{strange[0]}: no such column in the portfolio{_hint(strange[0], known)}.")
        columns = [pa.array([_text(row.get(column)) for row in rows], pa.string()) for column in known]
        return pa.Table.from_arrays(columns, names=list(known))

    def _explain(self, texts: Mapping[str, pa.Table]) -> None:
        """Let the contract say what is wrong; the fast check has found that something is."""
        numbered = {
            name: ibis.memtable(table.append_column(ROW, pa.array(range(1, len(table) + 1), pa.int64())))
            for name, table in texts.items()
            if len(table)
        }
        contract.check(self.portfolio, numbered, labelled=False)
        raise DataError("the applicant's rows break the contract in a way that it cannot name; please report it.")


def _faults(table: Any, spec: Table, judged: Mapping[str, Judgement]) -> Any:
    """Count the cells that break a rule which is an error, and the rows whose key is not their own."""
    errors = {
        name: [rule for rule in REMEDIES if severity(one.column, rule) == "error"] for name, one in judged.items()
    }
    broken = [one.rule.isin(errors[name]).ifelse(one.rule, None).count() for name, one in judged.items()]
    if spec.key and spec.parent:
        names = ibis.struct({name: judged[name].typed for name in spec.key})
        broken.append(table.count() - names.nunique())
    return table.aggregate(faults=reduce(add, broken))


def _text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)  # noqa: PLR0124 - NaN is missing


def _hint(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name.lower(), [each.lower() for each in known], n=1)
    meant = [each for each in known if each.lower() in close]
    return f"; {meant[0]!r} may be meant" if meant else "; leave it out"
