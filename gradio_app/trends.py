"""What monitoring found over its windows, as pictures and tables; computes no statistic and knows no single run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credit.portfolio import Language, Portfolio, words
from gradio_app import charts
from gradio_app.texts import say
from gradio_app.view import fixed

__all__ = ["Chart", "Status", "ends", "trends"]

COSTS = ("expected", "promised")
Status = Mapping[str, Any]
Series = dict[str, list[Any]]


@dataclass(frozen=True)
class Chart:
    """One trend, and the same as a table.

    Parameters
    ----------
    title : str
        What it shows.
    trend : Trend
        Where its points stand; its series are named as in the texts.
    ticks : list of (float, str)
        Height and words of each line across.
    days : list of str
        Of the windows.
    rows : list of list of str
        Each window's day and values, the newest first.
    limited : bool
        Whether limits are drawn.
    """

    title: str
    trend: charts.Trend
    ticks: list[tuple[float, str]]
    days: list[str]
    rows: list[list[str]]
    limited: bool


def trends(runs: Sequence[Status], book: Portfolio, lang: Language) -> Iterator[Chart]:
    """Lay out what can be followed over the windows.

    Parameters
    ----------
    runs : sequence of dict
        What each run found, the oldest first.
    book : Portfolio
        Says where drift warns, and where it alerts.
    lang : {"en", "fr"}
        The language.

    Yields
    ------
    Chart
        Where there is anything to show.
    """
    limits = book.monitoring
    shares = _series(runs, "decisions", ("approve", "review", "decline"))
    costs = {name: [ends(each) for each in values] for name, values in _series(runs, "money", COSTS).items()}
    plans: list[tuple[str, Series, tuple[float, ...]]] = [
        ("score", _series(runs, "score", ("psi", "floor")), limits.score_psi),
        ("feature", _strongest(runs, limits.important), limits.psi),
        ("decisions", {name: values for name, values in shares.items() if any(values)}, ()),
        ("cost", costs, ()),
        ("realised", _matured(runs), ()),
    ]
    days = [_day(run) for run in runs]
    for name, series, marks in plans:
        if any(value is not None for values in series.values() for value in values):
            yield _chart(name, series, marks, days, lang)


def _chart(name: str, series: Series, marks: tuple[float, ...], days: list[str], lang: Language) -> Chart:
    def write(value: float) -> str:
        return words.percent(value, lang, digits=0) if name == "decisions" else fixed(value, lang, 3)

    laid = charts.trend(series, marks, zero=name not in ("cost", "realised"))
    rows = [[day, *(_told(values[at], write, lang) for values in series.values())] for at, day in enumerate(days)]
    ticks = [(height, write(value)) for height, value in laid.ticks]
    return Chart(say(f"watching.trend_{name}", lang), laid, ticks, days, rows[::-1], bool(marks))


def _told(value: charts.Value, write: Callable[[float], str], lang: Language) -> str:
    if isinstance(value, tuple):
        return say("watching.interval", lang, **dict(zip(("estimate", "low", "high"), map(write, value), strict=True)))
    return "" if value is None else write(value)


def _at(run: Status, *path: str) -> Any:
    """Return what lies at a path of a status; None where there is nothing."""
    found: Any = run
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _series(runs: Sequence[Status], part: str, names: Sequence[str]) -> Series:
    return {name: [_at(run, part, name) for run in runs] for name in names}


def _strongest(runs: Sequence[Status], important: float) -> Series:
    """Find the largest index of a feature that matters, and the largest that chance reaches in one."""
    heavy = [[each for each in run.get("features") or [] if each["importance"] >= important] for run in runs]
    return {name: [max((each[name] for each in rows), default=None) for rows in heavy] for name in ("psi", "floor")}


def _matured(runs: Sequence[Status]) -> Series:
    """Return realised and expected cost of the same clients."""
    told = [_at(run, "quality", "cost", _at(run, "money", "realised", "of") or "") or {} for run in runs]
    return {name: [ends(each.get(name)) for each in told] for name in ("realised", "expected")}


def _day(run: Status) -> str:
    return str(_at(run, "window", "end") or run["at"])[:10]


def ends(found: Mapping[str, float] | None) -> tuple[float, float, float] | None:
    """Return estimate, low and high of an interval; None where there is none."""
    if found is None or found["estimate"] is None:
        return None
    return found["estimate"], found["low"], found["high"]
