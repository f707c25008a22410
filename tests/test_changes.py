"""Values that people would say, and columns that are scaled together: against counting, one number after the other."""

from decimal import Decimal
from itertools import pairwise
from math import isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import HEAD, shop

from credit.portfolio import Action, Label
from credit.scoring.changes import Change, Lever, actions, held, lever, sayable

POSITIVE = st.floats(1e-6, 1e9)
BOOK = shop(
    HEAD.replace("min = 0, monotone = 1 }", "min = 1, max = 5000, monotone = 1, actionable = true }").replace(
        "sentinels = [999] }", "sentinels = [999, 1000], actionable = true }"
    )
)
AMOUNT, MONTHS = actions(BOOK)


def step(value: Decimal) -> Decimal:
    """The largest of 1, 2 and 5 times a power of ten that is at most a hundredth of the value: tried one by one."""
    series = (mantissa * Decimal(10) ** exponent for exponent in range(12, -12, -1) for mantissa in (5, 2, 1))
    return next(each for each in series if each <= value / 100)


def action(**scales: float) -> Action:
    return Action("both", Label("Both", "Les deux"), scales)


def pulled(factor: float, act: Action = AMOUNT, **application: object) -> Change | None:
    one = lever(BOOK, act, application)
    assert isinstance(one, Lever)
    return held([one], [factor])


@given(POSITIVE, st.floats(0.4, 1), st.floats(1, 2.5))
def test_sayable_values_are_multiples_of_their_step(value, low, high):
    """What is proposed is what someone would ask for, and nothing between the bounds is left out."""
    low, high = value * low, value * high
    found = sorted(sayable(value, low, high))
    assert value not in found
    assert len(found) == len(set(found))
    assert all(low <= each <= high for each in found)
    assert all(Decimal(repr(each)) % step(Decimal(repr(each))) == 0 for each in found)
    ends = sorted([low, value, *found, high])
    assert all(after / before < 1.0102 for before, after in pairwise(ends))


@given(st.integers(1, 3000))
def test_every_integer_counts_where_they_are_few(value):
    found = sayable(float(value), value / 2, value * 2.0, whole=True)
    assert all(each == int(each) for each in found)
    if value <= 50:
        assert sorted(found) == [each for each in range((value + 1) // 2, 2 * value + 1) if each != value]


@pytest.mark.parametrize(
    ("value", "nearest"),
    [(406_597.5, [406_000, 408_000]), (0.123, [0.122, 0.124]), (100, [99.5, 101]), (99, [98.5, 99.5])],
)
def test_the_nearest_values(value, nearest):
    found = sorted(sayable(value, value * 0.98, value * 1.02))
    assert [max(each for each in found if each < value), min(each for each in found if each > value)] == nearest


@given(st.floats(2, 2400), st.integers(0, 399))
def test_the_leading_column_takes_sayable_values_and_the_others_follow(amount, at):
    """The same factor moves both; the follower is exact to a ten-thousandth, the leader to the last bit."""
    one = lever(BOOK, action(amount=1.0, score=-0.5), {"amount": amount, "score": 0.4})
    assert isinstance(one, Lever)
    factor = one.factors[at % len(one.factors)]
    made = held([one], [factor])
    assert made
    assert made.to["amount"] in set(sayable(amount, amount / 2, amount * 2))
    assert isclose(made.to["amount"] / amount, factor, rel_tol=1e-12)
    assert isclose(made.to["score"], 0.4 * factor**-0.5, rel_tol=1e-4)
    assert made.size == abs(log(factor))


def test_an_exponent_turns_the_direction():
    """A longer term is a smaller instalment."""
    one = lever(BOOK, action(amount=-1.0), {"amount": 100.0})
    assert isinstance(one, Lever)
    assert [held([one], [factor]).to["amount"] > 100 for factor in one.side(up=True)] == [False] * len(
        one.side(up=True)
    )  # type: ignore[union-attr]
    assert one.factors[0] >= 0.5
    assert one.factors[-1] <= 2


def test_two_levers_multiply():
    one, other = (lever(BOOK, act, {"amount": 1000.0, "score": 0.2}) for act in (AMOUNT, action(amount=1.0, score=1.0)))
    assert isinstance(one, Lever)
    assert isinstance(other, Lever)
    made = held([one, other], [1.1, 1.2])
    assert made
    assert made.to == {"amount": 1320.0, "score": 0.24}
    assert made.name == "amount+both"
    assert isclose(made.size, log(1.1) + log(1.2))
    assert made.applied({"amount": 1000.0, "kind": "card"}) == {"amount": 1320.0, "score": 0.24, "kind": "card"}


@pytest.mark.parametrize(("amount", "factor"), [(4000, 1.5), (1.2, 0.7)])
def test_nothing_leaves_the_columns_own_bounds(amount, factor):
    assert pulled(factor, amount=amount) is None


def test_integers_stay_integers():
    made = pulled(1.2, MONTHS, months=30.0)
    assert made
    assert isinstance(made.to["months"], int)
    assert made.to == {"months": 36}


def test_a_value_that_stands_for_missing_is_no_value():
    assert pulled(999 / 500, MONTHS, months=500) is None


@pytest.mark.parametrize("value", [None, "", "much", float("nan"), 0, 999, "999"])
def test_what_has_no_value_cannot_be_scaled(value):
    assert lever(BOOK, MONTHS, {"months": value}) == "months"


def test_text_is_read_as_the_contract_reads_it():
    found = lever(BOOK, AMOUNT, {"amount": "250.5"})
    assert isinstance(found, Lever)
    assert found.now == {"amount": 250.5}


def test_a_book_without_actions_has_each_actionable_number():
    assert [(each.name, each.scales, each.low, each.high) for each in (AMOUNT, MONTHS)] == [
        ("amount", {"amount": 1.0}, 0.5, 2.0),
        ("months", {"months": 1.0}, 0.5, 2.0),
    ]
    assert actions(shop()) == ()
