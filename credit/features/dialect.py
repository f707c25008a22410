"""Ibis on Spark, so that an expression means what it means on DuckDB; knows no table and no feature."""

import re
from typing import Any, ClassVar

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.formats.pyarrow import PyArrowData

__all__ = ["SparkBackend"]

#: Whole floats below this are written without an exponent.
PLAIN = 10**15


class Compiler(PySparkCompiler):  # type: ignore[misc]
    """Ibis to Spark's SQL, where ibis leaves a gap or Spark means something else than DuckDB by the same words."""

    SIMPLE_OPS: ClassVar[dict[Any, str]] = {ops.BitOr: "bit_or"}

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Take NaN for a value, which the contract judges; a condition needs parentheses."""
        return sge.paren(arg, copy=False).is_(NULL)

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """See `visit_IsNull`."""
        return sge.not_(self.visit_IsNull(op, arg=arg))

    def visit_IsInf(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Compare in Spark; ibis 12 compares in Python, where no column is infinite."""
        return self.f.abs(arg).eq(self.POS_INF)

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:  # noqa: N802
        """Name a group as Java does."""
        return self.f.regexp_replace(arg, pattern, re.sub(r"\\(\d)", r"$\1", replacement.this))

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802
        """Write a whole float as 12345678.0, not as 1.2345678E7."""
        text = super().visit_Cast(op, arg=arg, to=to)
        if not (to.is_string() and op.arg.dtype.is_floating()):
            return text
        whole = self.f.concat(self.cast(self.cast(arg, dt.int64), dt.string), ".0")
        return self.if_((self.f.abs(arg) < PLAIN) & (arg % 1).eq(0), whole, text)


class SparkBackend(Backend):  # type: ignore[misc]
    """Ibis on Spark, with the compiler above, and without pandas between Spark and Arrow."""

    compiler = Compiler()

    def to_pyarrow(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_options: Any) -> Any:
        """Run an expression, and fetch its rows."""
        table = expr.as_table()
        found = self._session.sql(self.compile(table, params=params, limit=limit)).toArrow()
        return expr.__pyarrow_result__(PyArrowData.convert_table(found, table.schema()))
