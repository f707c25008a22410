"""Aggregates of history against loops in plain Python: every summary, every window, whatever the order of the rows."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis import _
from lending import SCHEMAS, drawn, lender

from credit.features import Feature, definitions, express, needed
from credit.features.aggregates import Aggregate, count, least, mean, most, ratio, share, total
from credit.features.dictionary import WINDOWS, derive, over
from credit.portfolio import Portfolio

OPEN = _.state == "open"

#: Each summary in ibis, and over a list of dicts in Python; None is missing.
Oracle = Callable[[list[dict[str, Any]]], float | None]


def numbers(rows: list[dict[str, Any]], name: str, where: Callable[[dict[str, Any]], bool]) -> list[float]:
    return [row[name] for row in rows if row[name] is not None and where(row)]


def is_open(row: dict[str, Any]) -> bool:
    return row["state"] == "open"


def always(_row: dict[str, Any]) -> bool:
    return True


def over_or_none(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def both(row: dict[str, Any]) -> bool:
    return row["paid"] is not None and row["due"] is not None


SUMMARIES: dict[str, tuple[Aggregate, Oracle]] = {
    "total": (total(_.paid), lambda r: math.fsum(numbers(r, "paid", always)) if numbers(r, "paid", always) else None),
    "total_open": (
        total(_.paid, OPEN),
        lambda r: math.fsum(numbers(r, "paid", is_open)) if numbers(r, "paid", is_open) else None,
    ),
    "count": (count(OPEN), lambda r: float(sum(map(is_open, r)))),
    "mean": (
        mean(_.paid, OPEN),
        lambda r: over_or_none(math.fsum(numbers(r, "paid", is_open)), len(numbers(r, "paid", is_open))),
    ),
    "share": (share(OPEN), lambda r: over_or_none(sum(map(is_open, r)), sum(x["state"] is not None for x in r))),
    "share_of": (
        share(_.paid > 100, of=OPEN),
        lambda r: over_or_none(sum(is_open(x) and (x["paid"] or 0) > 100 for x in r), sum(map(is_open, r))),
    ),
    "ratio": (
        ratio(_.paid, _.due),
        lambda r: over_or_none(math.fsum(x["paid"] for x in r if both(x)), math.fsum(x["due"] for x in r if both(x))),
    ),
    "least": (least(_.paid, OPEN), lambda r: min(numbers(r, "paid", is_open), default=None)),
    "most": (most(_.paid), lambda r: max(numbers(r, "paid", always), default=None)),
}


@pytest.fixture(scope="module")
def book() -> Portfolio:
    return lender()


def features() -> tuple[Feature, ...]:
    """Every summary of loans over every window, one of months, and a ratio to the application."""
    made = [
        feature
        for name, (aggregate, _oracle) in SUMMARIES.items()
        for feature in over(f"loan_{name}", aggregate, name, name, "money", table="loan", windows=WINDOWS)
    ]
    late = over("month_late", mean(_.late), "late", "retard", "money", table="month", windows=(0, 12))
    worst = over("month_worst", most(_.late), "worst", "pire", "money", table="month", windows=(0, 3))
    return (*made, *late, *worst)


def computed(book: Portfolio, loans: pd.DataFrame, months: pd.DataFrame, clients: int) -> pd.DataFrame:
    sales = pd.DataFrame({"client": np.arange(clients), "amount": 50.0})
    frames = {"sale": sales, "loan": loans, "month": months}
    tables = {name: ibis.memtable(frame, schema=SCHEMAS[name]) for name, frame in frames.items()}
    return express(book, tables, features()).order_by("client").to_pandas().set_index("client")


CENTS = st.integers(-(10**9), 10**9).map(lambda cents: cents / 100)
LOAN = st.fixed_dictionaries(
    {
        "client": st.integers(0, 3),
        "days": st.none() | st.integers(-1000, 0).map(float),
        "paid": st.none() | CENTS,
        "due": st.none() | CENTS,
        "state": st.none() | st.sampled_from(["open", "closed"]),
    }
)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame([{"loan": at, **row} for at, row in enumerate(rows)], columns=list(SCHEMAS["loan"]))
    return table.astype({"days": float, "paid": float, "due": float})


NO_MONTHS = pd.DataFrame(columns=list(SCHEMAS["month"])).astype(float)


@given(st.lists(LOAN, max_size=25))
@settings(max_examples=25)
def test_every_summary_and_window_against_plain_python(book, rows):
    made = computed(book, frame(rows), NO_MONTHS, 5)
    for client in range(5):
        own = [row for row in rows if row["client"] == client]
        for window in WINDOWS:
            limit = -window * 365.25 / 12 if window else -math.inf
            seen = [row for row in own if not window or (row["days"] is not None and row["days"] >= limit)]
            for name, (_aggregate, oracle) in SUMMARIES.items():
                got = made.loc[client, f"loan_{name}_{window}m" if window else f"loan_{name}"]
                expected = oracle(seen)
                if expected is None:
                    assert np.isnan(got), (name, window)
                else:
                    assert got == pytest.approx(expected, rel=1e-9, abs=1e-6), (name, window)


def test_order_and_company_change_no_bit(book):
    """Sums of floats would differ in the last bit, and with them a decision between batch and counter."""
    loans, months = drawn()
    whole = computed(book, loans, months, 201)
    shuffled = computed(book, loans.sample(frac=1, random_state=1), months.sample(frac=1, random_state=2), 201)
    pd.testing.assert_frame_equal(whole, shuffled, check_exact=True)
    for client in (0, 17, 199):
        own = loans[loans["client"] == client]
        alone = computed(book, own, months[months["loan"].isin(own["loan"])], 201)
        pd.testing.assert_series_equal(whole.loc[client], alone.loc[client], check_exact=True)


def test_a_table_below_another_reaches_the_client(book):
    loans, months = drawn()
    made = computed(book, loans, months, 201)
    joined = months.merge(loans[["loan", "client"]], on="loan")  # rows of unknown loans belong to nobody
    recent = joined[joined["month"] >= -12].groupby("client")["late"].mean()
    np.testing.assert_allclose(made["month_late_12m"], recent.reindex(made.index), rtol=1e-12)
    worst = joined[joined["month"] >= -3].groupby("client")["late"].max()
    np.testing.assert_array_equal(made["month_worst_3m"], worst.reindex(made.index))


def test_who_has_no_rows_has_no_values_but_counts_of_zero(book):
    loans, months = drawn()
    stranger = computed(book, loans, months, 201).loc[200]
    counts = [feature.name for feature in features() if feature.aggregate and feature.aggregate.how == "count"]
    assert (stranger[counts] == 0).all()
    assert stranger.drop(counts).isna().all()


def test_a_ratio_to_the_request_reads_aggregates_by_name(book, monkeypatch):
    """It needs their tables, and means something else when one of them does."""
    sums = over("loan_total", total(_.paid), "Paid", "Payé", "money", table="loan")
    part = derive("paid_to_amount", _.loan_total / _.amount, "Paid", "Payé", "money", table="loan")
    changed = over("loan_total", total(_.paid, OPEN), "Paid", "Payé", "money", table="loan")

    def defined(derived: tuple[Feature, ...], tables: list[str] | None = None) -> dict[str, Feature]:
        monkeypatch.setattr("credit.features.dictionary._derived", lambda _book: derived)
        return {feature.name: feature for feature in definitions(book, tables)}

    known = defined((*sums, part))
    assert needed(book, [known["paid_to_amount"]]) == ("sale", "loan")
    assert needed(book, [known["amount"]]) == ("sale",)
    assert "paid_to_amount" not in defined((*sums, part), ["sale"])
    assert known["paid_to_amount"].digest != defined((*changed, part))["paid_to_amount"].digest
    loans, _months = drawn()
    tables = {
        "sale": ibis.memtable(pd.DataFrame({"client": [3], "amount": [50.0]})),
        "loan": ibis.memtable(loans, schema=SCHEMAS["loan"]),
    }
    made = express(book, tables, [known["paid_to_amount"]]).to_pandas()
    assert list(made) == ["client", "paid_to_amount"]
    assert made["paid_to_amount"][0] == pytest.approx(loans.loc[loans["client"] == 3, "paid"].sum() / 50)


def test_words_and_names_say_the_window():
    whole, year = over("paid", total(_.paid), "Paid", "Payé", "money", table="loan", windows=(0, 12))
    assert (whole.name, year.name) == ("paid", "paid_12m")
    assert (year.label.en, year.label.fr) == ("Paid, last 12 months", "Payé, 12 derniers mois")
    assert whole.digest != year.digest != replace(year, window=6).digest
