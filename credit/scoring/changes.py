"""What an application could be changed to: values that people would say, scaled together; knows no model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from math import ceil, floor, isfinite, log, log10
from typing import Any

from credit.portfolio import Action, Column, Portfolio

__all__ = ["Change", "Lever", "actions", "held", "lever", "sayable"]

Row = Mapping[str, Any]
#: The largest step between two values that people would say, as a share of the value; what follows is finer.
STEP, FINE = 0.01, 0.0001
NUMBERS = ("number", "integer")


@dataclass(frozen=True)
class Change:
    """An application changed by one action, or by several together.

    Parameters
    ----------
    levers : tuple of Lever
        What is pulled.
    factors : tuple of float
        How far, one each; none is 1.
    to : dict of str to float
        The new values of the columns that change.
    """

    levers: "tuple[Lever, ...]"
    factors: tuple[float, ...]
    to: dict[str, float]

    @property
    def name(self) -> str:
        """The actions' names, with a "+" between."""
        return "+".join(each.action.name for each in self.levers)

    @property
    def logs(self) -> tuple[float, ...]:
        """The logarithms of the factors: what distances are measured in, 0 being no change."""
        return tuple(log(factor) for factor in self.factors)

    @property
    def size(self) -> float:
        """How large the change is: the sum of the absolute logarithms of the factors."""
        return sum(abs(each) for each in self.logs)

    def applied(self, application: Row) -> dict[str, Any]:
        """Return the changed application."""
        return {**application, **self.to}


@dataclass(frozen=True)
class Lever:
    """An action on one application.

    Parameters
    ----------
    action : Action
        What can be changed.
    columns : tuple of Column
        The columns that it scales.
    now : dict of str to float
        Their values.
    """

    action: Action
    columns: tuple[Column, ...]
    now: dict[str, float]

    @property
    def leader(self) -> Column:
        """The column whose values are ones that people say."""
        return self.columns[0]

    @cached_property
    def factors(self) -> tuple[float, ...]:
        """The factors at which the leading column has a sayable value; rising, without 1."""
        value, exponent = self.now[self.leader.name], self.action.scales[self.leader.name]
        ends = sorted(abs(value) * factor**exponent for factor in (self.action.low, self.action.high))
        sizes = sayable(abs(value), *ends, whole=self.leader.type == "integer")
        return tuple(sorted((size / abs(value)) ** (1 / exponent) for size in sizes))

    def side(self, up: bool) -> list[float]:
        """Return the factors above 1, or those below, from the nearest outward."""
        found = [factor for factor in self.factors if (factor > 1) == up]
        return found if up else found[::-1]


def actions(portfolio: Portfolio, *, reverse: bool = False) -> tuple[Action, ...]:
    """Return the portfolio's actions; where it names none, each actionable number alone.

    Parameters
    ----------
    portfolio : Portfolio
        The book.
    reverse : bool
        Whether to return them the other way round: what may be halved may be doubled, and the reverse.
    """
    alone = [column for column in portfolio.features if column.actionable and column.type in NUMBERS]
    found = portfolio.actions or tuple(Action(column.name, column.label, {column.name: 1.0}) for column in alone)
    return tuple(replace(each, low=1 / each.high, high=1 / each.low) for each in found) if reverse else found


def lever(portfolio: Portfolio, action: Action, application: Row) -> Lever | str:
    """Return an action with the values that it starts from, or the column that has none: missing, 0, or no number."""
    columns = tuple(portfolio.columns[name] for name, exponent in action.scales.items() if exponent)
    now = {column.name: _number(column, application.get(column.name)) for column in columns}
    known = {name: value for name, value in now.items() if value}
    lost = [name for name in now if name not in known]
    return lost[0] if lost else Lever(action, columns, known)


def held(levers: Sequence[Lever], factors: Sequence[float]) -> Change | None:
    """Return the change that the factors make, or None where a column would leave its contract or nothing changes."""
    columns = {column.name: column for each in levers for column in each.columns}
    leaders = {each.leader.name for each in levers}
    values = {}
    for name, column in columns.items():
        now = next(each.now[name] for each in levers if name in each.now)
        scaled = now
        for each, factor in zip(levers, factors, strict=True):
            scaled *= factor ** each.action.scales.get(name, 0.0)
        value = _rounded(scaled, STEP if name in leaders else FINE, whole=column.type == "integer")
        if not _allowed(column, value):
            return None
        if value != now:
            values[name] = value
    return Change(tuple(levers), tuple(factors), values) if values else None


def sayable(value: float, low: float, high: float, *, whole: bool = False) -> list[float]:
    """List what people would say between two bounds instead of a value, which is left out.

    Parameters
    ----------
    value, low, high : float
        All above 0.
    whole : bool
        Whether only integers count.

    Returns
    -------
    list of float
        In no order.  Multiples of a step that is 1, 2 or 5 times a power of ten and at most 1% of the value it leads
        to (at least 1 for integers), so neighbours are at most 1% apart.
    """
    above = takewhile(lambda found: found <= high, _walk(value, up=True, whole=whole))
    below = takewhile(lambda found: found >= low, _walk(value, up=False, whole=whole))
    return [*above, *below]


def _walk(value: float, *, up: bool, whole: bool) -> Iterator[float]:
    found = value
    while found > 0:
        mantissa, exponent = _step(found * (1 + 1e-8 if up else 1 - 1e-8), STEP, whole)
        count = found / (mantissa * 10.0**exponent)
        near = round(count)
        if abs(count - near) > 1e-9 * near:
            near = floor(count) if up else ceil(count)
        found = _exact((near + 1 if up else near - 1) * mantissa, exponent)
        if found > 0:
            yield found


def _step(value: float, share: float, whole: bool) -> tuple[int, int]:
    """Return the largest of 1, 2 and 5 times a power of ten that is at most a share of the value."""
    size = abs(value) * share * (1 + 1e-12)
    exponent = floor(log10(size))
    if whole and exponent < 0:
        return 1, 0
    return next(mantissa for mantissa in (5, 2, 1) if mantissa == 1 or size / 10.0**exponent >= mantissa), exponent


def _rounded(value: float, share: float, *, whole: bool) -> float:
    mantissa, exponent = _step(value, share, whole)
    made = _exact(round(value / (mantissa * 10.0**exponent)) * mantissa, exponent)
    return int(made) if whole else made


def _exact(count: int, exponent: int) -> float:
    """Return the number nearest to count x 10^exponent, which is written as shortly as it is said."""
    return float(f"{count}e{exponent}")


def _number(column: Column, value: Any) -> float | None:
    """Read a value as the contract does; what it takes for missing, or would refuse, is None."""
    number = _float(value) if column.type in NUMBERS else None
    if number is None or number in _sentinels(column):
        return None
    return int(number) if column.type == "integer" and number == int(number) else number


def _allowed(column: Column, value: float) -> bool:
    low = column.minimum is None or value >= column.minimum
    high = column.maximum is None or value <= column.maximum
    return low and high and value not in _sentinels(column)


def _sentinels(column: Column) -> list[float | None]:
    return [_float(each) for each in column.sentinels]


def _float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None
