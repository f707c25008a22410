"""Shared keys and lost children, against counting by hand: no repeated key may slip through the quick look."""

from collections import Counter
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit.data.keys import MOMENTS, duplicates, may_repeat, orphans

KEY = ("owner", "month")


def table(**columns: Any) -> Any:
    return ibis.memtable(pa.table(columns))


def rows(pairs: list[tuple[Any, Any]]) -> Any:
    owners, months = ([pair[at] for pair in pairs] for at in (0, 1))
    return table(row=range(len(pairs)), owner=pa.array(owners, pa.int64()), month=pa.array(months, pa.float64()))


months = st.one_of(st.none(), st.integers(-200, 3), st.sampled_from([-1e300, -(10.0**6), -1.5, -1.0, float("inf")]))
pairs = st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 4)), months), max_size=12)


@given(pairs=pairs)
def test_what_is_shared_is_found_and_the_quick_look_misses_nothing(pairs: list[tuple[Any, Any]]) -> None:
    counts = Counter(pair for pair in pairs if None not in pair)
    expected = [at for at, pair in enumerate(pairs) if counts[pair] > 1]
    assert sorted(duplicates(rows(pairs), KEY).to_pyarrow()["row"].to_pylist()) == expected
    whole = [pair for pair in counts if isinstance(pair[1], int)]
    if any(counts[pair] > 1 for pair in whole):
        assert may_repeat(rows(pairs), KEY, "month")
    if len(whole) == len(counts) and max(counts.values(), default=0) < 2:
        assert not may_repeat(rows(pairs), KEY, "month")
    assert may_repeat(rows(pairs), KEY, None) == bool(expected)


@pytest.mark.parametrize("span", [1, 41, 42, 43, 84, MOMENTS - 1, MOMENTS, 5000])
def test_every_month_of_a_long_history_is_told_apart(span: int) -> None:
    once = [(owner, -month) for owner in (1, 2) for month in range(span + 1)]
    assert not may_repeat(rows(once), KEY, "month")
    for month in {0, span // 2, span}:
        assert may_repeat(rows([*once, (2, -month)]), KEY, "month")


def test_children_of_nobody() -> None:
    children = table(row=[1, 2, 3, 4], owner=[7, None, 9, 7])
    assert sorted(orphans(children, table(owner=[9, 10])).to_pyarrow()["row"].to_pylist()) == [1, 4]
    assert orphans(children, table(owner=["9", "A"])).to_pyarrow()["owner"].to_pylist() == ["7", "7"]
    assert orphans(children, table(owner=[7, 9])).to_pyarrow().num_rows == 0
