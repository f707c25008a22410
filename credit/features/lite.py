"""Ibis on SQLite, so that an expression means what it means on DuckDB; knows no table and no feature.

SQLite plans and runs hundreds of formulas over a handful of rows in a fraction of the time that a database for
millions of rows takes to set itself up: docs/decisions/0014-online.md.
"""

import math
import sqlite3
from typing import Any, ClassVar

import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.sqlite import SQLiteCompiler

__all__ = ["compiled", "connect"]

#: What SQLite reads as infinity.
INFINITY = "9e999"
EXACT, LARGEST = 2**53, 2**63


class Compiler(SQLiteCompiler):  # type: ignore[misc]
    """Ibis to SQLite's SQL, where SQLite means something else than DuckDB by the same words."""

    SIMPLE_OPS: ClassVar[dict[Any, str]] = {ops.Floor: "whole", ops.Ln: "natural_log"}

    def visit_DefaultLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802
        """Write a fraction as the quotient of two integers: SQLite does not read every decimal to the last bit."""
        if not isinstance(value, float) or value.is_integer():
            return super().visit_DefaultLiteral(op, value=value, dtype=dtype)
        over, under = value.as_integer_ratio()
        if abs(over) > EXACT or under >= LARGEST:
            return sge.convert(value)
        return sge.paren(sge.Div(this=self._real(sge.convert(over)), expression=self._real(sge.convert(under))))

    def visit_Divide(self, op: Any, *, left: Any, right: Any) -> Any:  # noqa: N802
        """Divide by zero to infinity; SQLite gives nothing."""
        quotient = sge.Div(this=self._real(left), expression=self._real(right))
        if isinstance(op.right, ops.NullIf) or (isinstance(op.right, ops.Literal) and op.right.value):
            return sge.paren(quotient)
        return self.if_(sge.paren(right.copy()).eq(0), sge.paren(left.copy()) * self._infinity(), quotient)

    def visit_Negate(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Keep the sign of zero; SQLite subtracts from 0."""
        return sge.paren(arg) * sge.convert(-1)

    def visit_Greatest(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Pass over what is missing; SQLite's answer would be missing too."""
        return self._beyond(self.f.max, arg, self._infinity(-1))

    def visit_Least(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """See `visit_Greatest`."""
        return self._beyond(self.f.min, arg, self._infinity())

    def visit_IsNan(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """SQLite knows no NaN: it is missing."""
        return self.if_(arg.is_(NULL), NULL, sge.false())

    def visit_IsInf(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Compare with infinity."""
        return self.f.abs(arg).eq(self._infinity())

    def _beyond(self, function: Any, arg: Any, end: Any) -> Any:
        if len(arg) == 1:
            return arg[0]
        return self.f.nullif(function(*(self.f.coalesce(value, end.copy()) for value in arg)), end.copy())

    def _real(self, value: Any) -> Any:
        return sge.Cast(this=value, to=sge.DataType.build("double"))

    def _infinity(self, sign: int = 1) -> Any:
        number = sge.Literal.number(INFINITY)
        return number if sign > 0 else sge.Neg(this=number)


def compiled(expression: Any) -> str:
    """Write an expression over unbound tables as SQLite's SQL."""
    return str(Compiler().to_sqlglot(expression.unbind()).sql(dialect="sqlite"))


def connect() -> sqlite3.Connection:
    """Open a database in memory, that has what the compiler's statements call; for one thread at a time."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.create_function("whole", 1, _whole, deterministic=True)
    connection.create_function("natural_log", 1, _natural_log, deterministic=True)
    return connection


def _whole(value: float | None) -> int | None:
    """Round down; a number that no database can add up as an integer is an error, as it is in DuckDB."""
    if value is None:
        return None
    whole = math.floor(value)
    if not -LARGEST <= whole < LARGEST:
        raise ValueError(value)
    return whole


def _natural_log(value: float | None) -> float | None:
    return None if value is None else math.log(value)
