"""Records: a decision comes back bit for bit, and what stays for ever points to nobody."""

import json
import math
import sqlite3
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_util import APPLICATION, HISTORY, decided, decision, past, reason

from credit.data.cells import text
from credit.errors import ConfigError, DataError
from credit.governance.ledger import Ledger
from credit.governance.plain import plain
from credit.governance.records import LONGEST, Records
from credit.scoring.decider import Identity


@pytest.fixture
def ledger(tmp_path):
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def records(ledger):
    return Records(ledger)


def test_a_decision_comes_back_with_all_that_it_was_made_on(records):
    before = datetime.now(UTC)
    made = decision()
    number = records.decide(made, APPLICATION, HISTORY, by="officer 7", channel="page")
    found = records.find(number)
    assert (found.id, found.by, found.channel, found.client) == (number, "officer 7", "page", "100001")
    assert (found.model, found.version, found.digest) == ("credit-shop", 3, "d" * 64)
    assert (found.probability, found.decision, found.threshold) == (made.probability, "decline", made.threshold)
    assert (found.application, found.history) == (APPLICATION, HISTORY)
    assert found.exact["costs"] == made.costs
    assert found.exact["feature_hash"] == "f" * 64
    assert [each["en"] for each in found.reasons] == ["You asked for 4711"] * 2
    assert (found.overridden, found.outcome, found.erased) == (None, None, False)
    assert before <= datetime.fromisoformat(found.at) <= datetime.now(UTC)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Records(Ledger(f"sqlite:///{tmp_path_factory.mktemp('shared') / 'ledger.db'}"))


@settings(max_examples=50)
@given(p=st.floats(0, 1), cost=st.floats(allow_nan=False, allow_infinity=False))
def test_probabilities_and_costs_keep_every_bit(p, cost, shared):
    """A replay compares bit for bit."""
    number = shared.decide(decision(probability=p, costs={"approve": cost}), {}, None, by="x", channel="api")
    found = shared.find(number)
    assert found.probability.hex() == p.hex()
    assert found.exact["costs"]["approve"].hex() == cost.hex()


def test_the_chain_holds_nothing_that_tells_who_it_was(ledger, records):
    """Who has the same rows and the model can compute a probability: to the last bit it is as good as a name."""
    number = records.decide(decision(), APPLICATION, HISTORY, by="officer", channel="page")
    records.override(number, "approve", "Mme Durand, 100001, earns 4711", by="officer")
    chain = json.dumps([event.payload for event in ledger.events()])
    exact = decision()
    for told in ("100001", "4711", "Durand", "Besan", str(exact.probability), str(exact.standing), exact.feature_hash):
        assert told not in chain
    assert ledger.event(number).payload["probability"] == 0.3
    assert ledger.event(number).payload["reasons"] == ["R01", "R02"]


def test_decisions_are_recorded_all_or_none(records, ledger):
    items = [(decision("1"), {"amount": 1}, None), (decision("2", costs={"approve": math.nan}), {}, None)]
    assert records.decide_many(items, by="x", channel="batch") == [1, 2]
    assert records.find(2).exact["costs"] == {"approve": None}
    with pytest.raises(ValueError, match="JSON"):
        records.decide_many([*items, (decision("3", probability=math.nan), {}, None)], by="x", channel="batch")
    assert len(ledger.events()) == 2
    assert records.decide_many([], by="x", channel="batch") == []


def test_a_clients_decisions_come_newest_first_in_their_book(records, ledger):
    """Two books may give one number to two persons."""
    first = decided(ledger, "100001", "100002", "100001", "1000010")
    [other] = decided(ledger, "100001", portfolio="bank")
    assert [each.id for each in records.earlier("100001")] == [other, first[2], first[0]]
    assert [each.id for each in records.earlier("100001", portfolio="shop")] == [first[2], first[0]]
    assert [each.id for each in records.earlier("100001", limit=1)] == [other]
    assert records.earlier("999") == []


def test_who_gave_no_number_has_no_earlier_decisions(records, ledger):
    """Applicants without a number are not one person."""
    decided(ledger, "", "")
    assert records.earlier("") == []


def test_earlier_decisions_are_found_by_index_alone(records, ledger):
    """A page shows them for every applicant: the time must not grow with the ledger."""
    number = decided(ledger, "100001", "100002")[0]
    records.override(number, "approve", "knows them", by="officer")
    asked = []
    sa.event.listen(ledger._store._engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    assert records.earlier("100001")[0].overridden["reason"] == "knows them"
    assert len(asked) == 3
    connection = sqlite3.connect(ledger.url.removeprefix("sqlite:///"))
    for statement, values in asked:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        assert not [step for step in plan if step[-1].startswith("SCAN")], plan
    connection.close()


def test_an_override_says_who_what_and_why_and_the_last_one_stands(records, ledger):
    [number] = decided(ledger, "100001")
    first = records.override(number, "approve", "  pays by direct debit ", by="ana")
    assert records.find(number).overridden == {
        "id": first,
        "at": ledger.event(first).at,
        "by": "ana",
        "from": "decline",
        "to": "approve",
        "reason": "pays by direct debit",
    }
    records.override(number, "decline", "no longer", by="ben")
    found = records.find(number)
    assert (found.overridden["from"], found.overridden["to"], found.overridden["by"]) == ("approve", "decline", "ben")
    assert found.decision == "decline"  # what the model said stays


OVERRIDES = [
    (1, "approve", " \n", ConfigError, "reason: is empty"),
    (1, "approve", "x" * (LONGEST + 1), ConfigError, "at most 2000"),
    (1, "approve", "\ud800", ConfigError, "surrogate"),
    (1, "decline", "why not", ConfigError, "is 'decline' already"),
    (1, "review", "why not", ConfigError, "'approve' or 'decline'"),
    (2, "approve", "why not", DataError, "event 2 is of kind 'note'"),
    (9, "approve", "why not", DataError, "decision 9: not in the ledger .*no such event"),
    (10**30, "approve", "why not", DataError, "no such event"),
    (-1, "approve", "why not", DataError, "no such event"),
]


@pytest.mark.parametrize(("number", "to", "why", "error", "message"), OVERRIDES)
def test_an_override_that_cannot_stand_is_one_clear_error(number, to, why, error, message, records, ledger):
    decided(ledger, "100001")
    ledger.append("note", {})
    with pytest.raises(error, match=message):
        records.override(number, to, why, by="ana")
    assert len(ledger.events()) == 2


def test_the_scoring_of_a_book_is_one_event(records, ledger):
    number = records.book({"input": "a" * 64, "scored": np.int64(300_000), "version": 3}, by="flow")
    assert ledger.event(number).payload == {"input": "a" * 64, "scored": 300_000, "version": 3}


def test_a_summary_counts_what_a_loop_counts(records, ledger):
    """Against a dictionary filled by hand; days without decisions are there, older ones are not."""
    today = datetime.now(UTC).date()
    with past(5):
        decided(ledger, "1", "2", probability=0.5)
    with past(2):
        numbers = decided(ledger, "3", "4", probability=0.25) + decided(ledger, "5", probability=0.05)
        decided(ledger, "6", probability=0.9, portfolio="bank")
    records.override(numbers[0], "approve", "knows them", by="ana")
    table = records.summary(4, portfolio="shop").set_index("day")
    assert list(table.index) == [(today - timedelta(days=back)).isoformat() for back in (3, 2, 1, 0)]
    assert list(table["decisions"]) == [0, 3, 0, 0]
    assert list(table["overrides"]) == [0, 0, 0, 1]
    assert table["approved"].iloc[1] == pytest.approx(1 / 3)
    assert table["probability"].iloc[1] == pytest.approx((0.25 + 0.25 + 0.05) / 3)
    assert table["approved"].isna().tolist() == [True, False, True, True]
    assert list(records.summary(4)["decisions"]) == [0, 4, 0, 0]
    assert list(records.summary(9)["decisions"]) == [0, 0, 0, 2, 0, 0, 4, 0, 0]


def test_a_summary_of_an_empty_ledger_is_empty_days(records):
    assert list(records.summary(2)["decisions"]) == [0, 0]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.decimals()
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.sampled_from([pd.NaT, pd.NA, np.nan, 10**5000, "\ud800", "\x00"])
    | st.sampled_from([np.float32(0.1), np.bool_(True), np.str_("é"), np.datetime64("2026-01-02")])
    | st.floats().map(np.float64)
    | st.floats(width=32).map(np.float32)
    | st.integers(-(2**63), 2**63 - 1).map(np.int64)
    | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(pd.Timestamp)
)


@settings(max_examples=300)
@given(value=scalars)
def test_any_value_is_stored_so_that_its_text_stays(value):
    """A replay must judge the same raw values, whatever types a page, a file or a database gave."""
    stored = json.loads(json.dumps(plain({"a": [value]}), allow_nan=False))["a"][0]
    assert text(stored) == text(value)


def test_types_are_kept_where_json_has_them():
    given_ = [
        1,
        1.5,
        True,
        "1.50",
        None,
        np.int64(7),
        np.float64(0.25),
        Decimal("1.50"),
        date(2026, 1, 2),
        Fraction(1, 3),
    ]
    assert plain(given_) == [1, 1.5, True, "1.50", None, 7, 0.25, "1.50", "2026-01-02", "1/3"]
    assert [type(each) for each in plain(given_)[:7]] == [int, float, bool, str, type(None), int, float]


def test_a_model_that_is_not_registered_is_on_record_as_such(records):
    found = records.find(records.decide(decision(identity=Identity()), {}, None, by="x", channel="api"))
    assert (found.model, found.version) == ("", 0)


def test_reasons_may_hold_numpy_values(records):
    told = (reason("R01", probability=np.float64(0.125)),)
    found = records.find(records.decide(decision(reasons=told), {}, None, by="x", channel="api"))
    assert found.reasons[0]["probability"] == 0.125


def test_what_no_database_can_hold_is_written_so_that_it_can(records):
    """A number typed into a page may be anything; it must be found again under the same number."""
    odd = "7\ud800\x00"
    number = records.decide(decision(odd), {"client": odd}, None, by=odd * 200, channel="page")
    assert [each.id for each in records.earlier(odd)] == [number]
    assert records.find(number).by.startswith("7?\ufffd")
    assert records.ledger.verify() == []
