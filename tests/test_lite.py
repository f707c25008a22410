"""What an expression gives on SQLite is what it gives on DuckDB, bit for bit: the oracle is DuckDB itself."""

import math
import sqlite3
from contextlib import closing
from functools import cache

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis import _

from credit.features import lite

SCHEMA = {"at": "int64", "a": "float64", "b": "float64", "w": "string", "n": "int64"}
#: The vocabulary of features; `n` is an integer column, as counts and sums are before they become features.
EXPRESSIONS = {
    "sum": _.a + _.b,
    "difference": _.a - _.b,
    "product": _.a * _.b,
    "quotient": _.a / _.b,
    "quotient or nothing": _.a / _.b.nullif(0),
    "quotient of integers": _.n / 3,
    "quotient of an integer": _.n.cast("float64") / 1_000_000,
    "nested quotients": 1 / (_.a / _.b),
    "fractions": _.a * 0.1 + 1e-3 - _.b / -365.25 + 30.4375,
    "least": ibis.least(_.a, _.b, 0.99),
    "greatest": ibis.greatest(_.a, _.b),
    "clipped": ibis.greatest(ibis.least(_.a, 0.99), 0.01),
    "logarithm": ibis.greatest(ibis.least(_.a, 0.99), 0.01).ln(),
    "whole": (_.a * 1_000_000 + 0.5).floor().cast("int64").cast("float64"),
    "missing": _.a.isnull().cast("float64") + _.b.notnull().cast("float64"),
    "else": ibis.coalesce(_.a, _.b, 0.5),
    "condition": ((_.a > _.b) | (_.w == "x") & ~_.a.isnull()).ifelse(_.a, _.b),
    "one of": _.w.isin(("x", "1")).ifelse(1.0, None),
    "text to number": _.w.isin(("0", "1", "5")).ifelse(_.w, None).cast("float64"),
    "cases": ibis.cases((_.a <= 3, 3), (_.a <= 12, 12), else_=1_000_000).cast("int32").cast("float64"),
    "negated": -_.a / (365.25 / 12),
    "negative zero": -_.a * 0.0,
}
numbers = st.one_of(
    st.none(),
    st.floats(-1e9, 1e9),
    st.integers(-40, 40).map(float),
    st.floats(-1e6, 1e6).map(lambda value: round(value, 2)),
)
rows = st.lists(
    st.tuples(numbers, numbers, st.one_of(st.none(), st.sampled_from(["x", "0", "1", "5", "z"])), st.integers(-99, 99)),
    min_size=1,
    max_size=30,
)


@cache
def statements() -> tuple[str, str]:
    """Both engines' SQL, written once."""
    made = ibis.table(SCHEMA, name="t").select("at", **EXPRESSIONS)
    return lite.compiled(made), str(ibis.to_sql(made, dialect="duckdb"))


def both(given_rows: list) -> tuple[list, list]:
    """What SQLite gives, and what DuckDB gives."""
    numbered = [(at, *row) for at, row in enumerate(given_rows)]
    columns = dict(zip(SCHEMA, zip(*numbered, strict=True), strict=True))
    table = pa.table(columns, schema=ibis.schema(SCHEMA).to_pyarrow())
    mine, other = statements()
    with duckdb.connect() as connection:
        connection.register("t", table)
        theirs = connection.sql(other).to_arrow_table().to_pylist()
    with closing(filled(numbered)) as lites:
        done = lites.execute(mine)
        names = [column[0] for column in done.description]
        ours = [dict(zip(names, row, strict=True)) for row in done]
    return sorted(ours, key=lambda row: row["at"]), sorted(theirs, key=lambda row: row["at"])


def filled(rows: list) -> sqlite3.Connection:
    connection = lite.connect()
    connection.execute('CREATE TABLE "t" ("at", "a", "b", "w", "n")')
    connection.executemany('INSERT INTO "t" VALUES (?, ?, ?, ?, ?)', rows)
    return connection


def plain(value):
    """Bits; NaN and infinity are missing in a feature, and zero has no sign: of two zeros either may be the lesser."""
    return None if value is None or not math.isfinite(value) else (float(value) + 0.0).hex()


def agree(given_rows: list) -> None:
    for mine, other, row in zip(*both(given_rows), given_rows, strict=True):
        for name in EXPRESSIONS:
            assert plain(mine[name]) == plain(other[name]), (name, row)


@settings(max_examples=25, deadline=None)
@given(rows)
def test_every_expression_has_duckdbs_bits(given_rows):
    agree(given_rows)


def test_corners():
    """Zeros, their signs, what is missing, and what divides by them."""
    corners = (None, 0.0, -0.0, 1.0, -1.0, 0.1, 3.0, 12.0, 1e-300, 1e9)
    agree([(a, b, w, 0) for a in corners for b in corners for w in (None, "x", "5")])


@pytest.mark.parametrize(
    "value", [0.1, 1e-3, 30.4375, 365.25, 0.99, 1 / 3, 123456.789012345, -2.2250738585072e-5, 1e-12]
)
def test_a_number_in_a_formula_keeps_its_bits(value):
    """SQLite's own reading of decimals is not exact for every number."""
    with closing(filled([(0, 1.0, 0, 0, 0)])) as connection:
        [[found]] = connection.execute(lite.compiled(ibis.table(SCHEMA, name="t").select(x=_.a * value)))
    assert float(found).hex() == value.hex()


@pytest.mark.parametrize("value", [1e300, -1e19, float(2**63)])
def test_what_is_too_large_for_an_integer_is_an_error(value):
    """SQLite would cut it off at its largest integer, and nobody would know."""
    statement = lite.compiled(ibis.table(SCHEMA, name="t").select(x=_.a.floor().cast("int64")))
    with closing(filled([(0, value, 0, 0, 0)])) as connection, pytest.raises(sqlite3.Error):
        connection.execute(statement).fetchall()
