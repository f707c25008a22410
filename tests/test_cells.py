"""What Python calls plainly in order, the contract's own rules call so too, and give the same typed value, bit for bit.

The rules stay written once, for the database; the readers are a shortcut that may only ever be too careful.
"""

import math
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit.data.cells import UNSURE, is_scalar, reader, text
from credit.data.rules import identity, judge, severity
from credit.portfolio import Column, Label

LABEL = Label("Column", "Colonne")


def column(kind: str, **known: Any) -> Column:
    return Column("c", kind, LABEL, **known)


COLUMNS = {
    "number": column("number"),
    "required number": column("number", missing=False, minimum=0.0),
    "range": column("number", minimum=-5.0, maximum=10.0),
    "range null": column("number", minimum=-5.0, maximum=10.0, on_range="null"),
    "range null required": column("number", minimum=-5.0, maximum=10.0, on_range="null", missing=False),
    "range warn": column("number", minimum=-5.0, maximum=10.0, on_range="warn"),
    "past": column("number", maximum=0.0, unit="days", on_range="null"),
    "sentinels": column("number", sentinels=(365243.0, "999", "XNA", "5e0"), maximum=100.0),
    "required sentinels": column("number", sentinels=(365243.0, "XNA"), missing=False),
    "integer": column("integer", minimum=0.0),
    "integer null": column("integer", maximum=7.0, on_range="null", sentinels=(999.0,)),
    "flag": column("flag"),
    "required flag": column("flag", missing=False),
    "levels": column("category", levels=("a", "b c", "1", "5.0", "Yes")),
    "levels null": column("category", levels=("a", "1"), on_level="null", sentinels=("XNA", "7")),
    "levels warn": column("category", levels=("a", "1"), on_level="warn"),
    "required levels": column("category", levels=("a", "1"), missing=False, on_level="null", sentinels=("XNA",)),
    "words": column("category", sentinels=("XNA", "5")),
    "required words": column("category", missing=False),
    "key": column("integer", role="key", missing=False),
    "number key": column("number", role="key", missing=False, minimum=0.0, maximum=1e6),
    "text key": column("category", role="key", missing=False),
}

TEXTS = (
    *("", " ", "5", " 5", "5 ", "+5", "-5", "05", "5.0", "5.00", "5.", ".5", "-.5", "-0", "0", "-0.0", "1e3", "1E3"),
    *(
        "1e-05",
        "1e400",
        "1e-400",
        "0x10",
        "1_000",
        "1,000",
        "1 000",
        "\u0661",
        "\uff15",
        "²",
        "nan",
        "NaN",
        "inf",
        "-inf",
    ),
    *("Infinity", "true", "True", "TRUE", "false", "False", "yes", "t", "1.0", "0.0", "365243", "365243.0", "999"),
    *("XNA", "a", "b c", "A", "a ", "Yes", "5e0", "7", "7.0", "7.000", "-7.0", "007", "007.0", "a\n", "5\n", "5.0\n"),
    *(
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "123456789012345678",
        "0.1",
        "0.30000000000000004",
    ),
    *(
        "a\x00",
        "\x00",
        "a\ud800",
        "é",
        "\u00a0",
        "\u200b",
        "None",
        "null",
        "NULL",
        "<NA>",
        "1.5.0",
        "--1",
        "1-1",
        "1e",
        "e1",
    ),
    *(
        "3.14159265358979",
        "2.2250738585072014e-308",
        "4.9e-324",
        "1.7976931348623157e+308",
        "123456789012345.12345678901234567",
    ),
)
VALUES = (
    *(None, True, False, 0, 1, -1, 5, 7, 10, 11, 365243, 2**53, 2**53 + 1, 2**63, -(2**63), 10**400, 10**5000),
    *(0.0, -0.0, 0.1, 1 / 3, 5.0, 7.5, 10.0, 10.000000000000002, -5.0, 1e16, 1e22, 1e-7, 5e-324, 1.7e308),
    *(math.nan, math.inf, -math.inf, 365243.0, 999.0, Decimal("1.50"), Decimal("NaN"), Decimal("5"), date(2020, 1, 2)),
    *(np.float64(0.1), np.float32(0.1), np.int64(5), np.int8(-3), np.bool_(True), np.str_("a"), np.float64("nan")),
    *(pd.NA, pd.NaT, [], [1], {}, {"a": 1}, b"a", b"5", (1,), {1}, object),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-20, 20),
    st.floats(),
    st.floats(-20, 20).map(lambda value: round(value, 3)),
    st.text(max_size=6),
    st.sampled_from(TEXTS),
    st.from_regex(r"[ +-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?[ \n]?", fullmatch=True),
    st.decimals(allow_nan=True),
)


def ruled(rule: Column, values: list[Any]) -> list[tuple[Any, bool]]:
    """The rules' own answer: typed value, and whether an error is found."""
    table = ibis.memtable(
        {"at": range(len(values)), "v": [text(each) for each in values]}, schema={"at": "int64", "v": "string"}
    )
    one = judge(rule, table["v"])
    typed = identity(rule, table["v"]) if rule.role == "key" else one.typed
    found = table.select("at", typed=typed, rule=one.rule).order_by("at").to_pyarrow().to_pylist()
    return [(each["typed"], bool(each["rule"]) and severity(rule, each["rule"]) == "error") for each in found]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one.hex() == other.hex()
    return type(one) is type(other) and one == other


def held(rule: Column, values: list[Any]) -> int:
    """Hold the reader against the rules; return how many cells it was sure of."""
    read = reader(rule)
    sure = 0
    for value, (typed, error) in zip(values, ruled(rule, values), strict=True):
        answer = read(value)
        if answer is not UNSURE:
            sure += 1
            assert not error, (rule, value, answer)
            assert same(answer, typed), (rule, value, answer, typed)
    return sure


@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_called_plain_is_plain(name):
    """Every way to write a number, a word or nothing that has ever gone wrong somewhere, in every kind of column."""
    assert held(COLUMNS[name], [*TEXTS, *VALUES]) > 3


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_value_is_called_plain_that_the_rules_doubt(data):
    rule = data.draw(st.sampled_from(list(COLUMNS.values())))
    held(rule, data.draw(st.lists(scalars, min_size=1, max_size=40)))


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("number", 5, 5.0),
        ("number", "5.25", 5.25),
        ("number", None, None),
        ("range null", 11, None),
        ("range warn", 11.0, 11.0),
        ("sentinels", 365243, None),
        ("sentinels", "XNA", None),
        ("flag", "True", 1.0),
        ("flag", False, 0.0),
        ("levels", "5", UNSURE),
        ("levels", 1.0, "1"),
        ("levels null", "z", None),
        ("words", "a town", "a town"),
        ("words", 5.0, None),
        ("key", "5.0", 5),
        ("text key", "A7", "A7"),
    ],
)
def test_the_usual_needs_no_database(name, value, typed):
    """A shortcut that is never taken is sound, and useless."""
    assert same(reader(COLUMNS[name])(value), typed)


@pytest.mark.parametrize(
    "value", ["1e400", "0x10", "1_000", "\u0661", " 5", "nan", "inf", "+5", "", [1], {"a": 1}, b"5"]
)
def test_doubtful_numbers_are_left_to_the_rules(value):
    assert reader(COLUMNS["required number"])(value) is UNSURE


def test_text_is_what_a_database_can_hold():
    for value in (*TEXTS, *VALUES):
        written = text(value)
        assert written is None or (written.encode() and "\x00" not in written) or written == ""


def test_one_value_or_none():
    assert all(is_scalar(value) for value in ("a", 1, 1.5, True, None, pd.NA, Decimal(1), np.int8(1), date(2020, 1, 1)))
    assert not any(is_scalar(value) for value in ([], {}, b"a", (1,), {1}, object))
