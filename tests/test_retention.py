"""Erasure: nothing of a person is left in the ledger, not in its file either, and the chain stays whole."""

import sqlite3
from pathlib import Path

import pytest
from ledger_util import APPLICATION, HISTORY, decided, decision, past

from credit.errors import ConfigError, DataError, ServiceError
from credit.governance.ledger import Ledger, draft
from credit.governance.outcomes import import_outcomes
from credit.governance.records import Records
from credit.governance.retention import erase, erase_events, retain
from credit.governance.sealing import Personal

WHY = "GDPR article 17(1)(b), request of 3 May"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path):
    return Ledger(f"sqlite:///{path}")


@pytest.fixture
def records(ledger):
    return Records(ledger)


def bytes_of(path: Path) -> bytes:
    """All that is on the disk: SQLite's file and what it keeps beside it."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def test_erasing_a_client_leaves_what_is_not_personal_and_a_whole_chain(ledger, records):
    mine, other = decided(ledger, "100001", "100002")
    records.override(mine, "approve", "client 100001 earns 4711", by="ana")
    head = ledger.head
    done = erase(ledger, "100001", WHY, portfolio="shop", by="ben")
    assert done.events == 2  # the decision, and the words of the override
    assert ledger.verify(head) == []
    found = records.find(mine)
    assert found.erased
    assert (found.client, found.application, found.history, found.exact) == ("", {}, {}, {})
    assert (found.decision, found.version, found.probability) == ("decline", 3, 0.3)
    assert found.reasons == [{"code": "R01"}, {"code": "R02"}]
    assert (found.overridden["to"], found.overridden["reason"]) == ("approve", None)
    assert records.earlier("100001") == []
    assert records.find(other).application == APPLICATION | {"client": "100002"}
    event = ledger.event(done.event)
    assert (event.kind, event.actor) == ("erasure", "ben")
    assert event.payload == {"events": [[1, 1], [3, 3]], "reason": WHY}


def test_nothing_of_the_client_is_left_on_the_disk(ledger, path):
    """Deleted rows stay in a database's free pages, its index and its log until they are written over."""
    clients = [f"client {number * 79190 % 899999:06}" for number in range(1200)]  # in no order, so that pages are split
    drafts = [draft({}, Personal("shop", client, {"of": client})) for client in clients]
    for at in range(0, 1200, 100):
        ledger.write(lambda writer, at=at: writer.extend("decision", drafts[at : at + 100]))
    gone, kept = clients[::3], clients[1]
    with sqlite3.connect(path) as connection:
        read = connection.execute("SELECT subject, salt, content FROM personal").fetchall()
    connection.close()
    traces = {client: (client.encode(), salt, content) for client, salt, content in read}
    before = bytes_of(path)
    assert all(trace in before for client in gone for trace in traces[client])
    erase_events(ledger, range(1, 1201, 3), WHY)
    after = bytes_of(path)
    assert [client for client in gone if any(trace in after for trace in traces[client])] == []
    assert all(trace in after for trace in traces[kept])
    assert ledger.verify() == []


def test_a_seal_alone_confirms_no_guess(ledger, path):
    """After erasure, not even the right content matches: the salt is gone, and no other fits."""
    [number] = decided(ledger, "100001")
    seal = ledger.event(number).payload["sealed"]
    erase(ledger, "100001", WHY, portfolio="shop")
    decided(ledger, "100001")
    assert [event.payload["sealed"] for event in ledger.events("decision")].count(seal) == 1
    assert ledger.holding([number]) == []


def test_erasing_is_of_one_book(ledger, records):
    """The same number in another book is another person."""
    [mine], [other] = decided(ledger, "100001"), decided(ledger, "100001", portfolio="bank")
    assert erase(ledger, "100001", WHY, portfolio="shop").events == 1
    assert records.find(mine).erased
    assert not records.find(other).erased


def test_erasing_twice_records_once(ledger):
    decided(ledger, "100001")
    assert erase(ledger, "100001", WHY, portfolio="shop").event == 2
    again = erase(ledger, "100001", WHY, portfolio="shop")
    assert (again.events, again.event) == (0, None)
    assert len(ledger.events("erasure")) == 1


def test_retention_erases_old_decisions_and_what_followed_them(ledger, records):
    """An override of yesterday is about the application of last year, and goes with it."""
    with past(100):
        old, older = decided(ledger, "100001", "100002")
    with past(10):
        [young] = decided(ledger, "100001")
        records.override(old, "approve", "client 100001 earns 4711", by="ana")
    done = retain(ledger, 30, by="cron")
    assert done.events == 3
    assert ledger.event(done.event).payload["events"] == [[1, 2], [4, 4]]
    assert "30 days" in ledger.event(done.event).payload["reason"]
    assert [records.find(number).erased for number in (old, older, young)] == [True, True, False]
    assert records.find(old).overridden["reason"] is None
    assert ledger.verify() == []
    assert retain(ledger, 30).event is None


def test_an_outcome_can_be_joined_after_erasure(ledger, records, tmp_path):
    """Monitoring needs version, probability and outcome, and none of them says whose they are."""
    [number] = decided(ledger, "100001")
    erase(ledger, "100001", WHY, portfolio="shop")
    day = ledger.event(number).at[:10]
    (tmp_path / "o.csv").write_text(f"decision,outcome,observed\n{number},1,{day}\n")
    assert import_outcomes(ledger, tmp_path / "o.csv").added == 1
    assert records.find(number).outcome == 1
    assert retain(ledger, 1).events == 0


def test_an_erased_decision_cannot_be_overridden(ledger, records):
    [number] = decided(ledger, "100001")
    erase(ledger, "100001", WHY, portfolio="shop")
    with pytest.raises(DataError, match="was erased"):
        records.override(number, "approve", "why not", by="ana")


def test_what_a_restored_backup_brings_back_is_found_and_erased_by_number(ledger, path):
    decided(ledger, "100001", "100002")
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT * FROM personal WHERE event = 1").fetchone()
    connection.close()
    erase(ledger, "100001", WHY, portfolio="shop")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO personal VALUES (?, ?, ?, ?, ?)", kept)
    connection.close()
    assert "erase it again" in ledger.verify()[0]
    assert erase_events(ledger, [1, 1, 3], WHY).events == 1
    assert ledger.verify() == []
    assert ledger.holding([1, 2]) == [2]


REFUSED = [
    (lambda ledger: erase(ledger, "100001", " ", portfolio="shop"), ConfigError, "reason: is empty"),
    (lambda ledger: erase(ledger, "", WHY, portfolio="shop"), ConfigError, "client: is empty"),
    (lambda ledger: erase(ledger, "100001", "asked by 100001.", portfolio="shop"), ConfigError, "names the client"),
    (lambda ledger: erase_events(ledger, [1, 7], WHY), DataError, "event 7: not in the ledger"),
    (lambda ledger: retain(ledger, 0), ConfigError, "--days 0: .* at least one day"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_what_cannot_be_erased_is_one_clear_error(call, error, message, ledger):
    decided(ledger, "100001")
    with pytest.raises(error, match=message):
        call(ledger)
    assert ledger.holding([1]) == [1]
    assert len(ledger.events()) == 1


def test_a_ground_may_hold_a_short_number_by_chance(ledger):
    decided(ledger, "17")
    assert erase(ledger, "17", WHY, portfolio="shop").events == 1


def test_a_reader_that_keeps_a_copy_is_told_and_the_same_call_finishes(ledger, path):
    """SQLite cannot empty its log while someone reads an old state from it."""
    decided(ledger, "100001")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM personal").fetchall()
    quick = Ledger(f"{ledger.url}?timeout=0.2")
    with pytest.raises(ServiceError, match=r"still holds copies of them .*repeat the command"):
        erase(quick, "100001", WHY, portfolio="shop")
    reader.execute("ROLLBACK")
    reader.close()
    assert erase(ledger, "100001", WHY, portfolio="shop").events == 0
    assert b"100001" not in bytes_of(path)


def test_a_file_that_cannot_be_written_anew_says_so_and_the_same_call_finishes(ledger, path, monkeypatch):
    """The rows are gone by then: an error without this would read as if nothing had been erased."""
    decided(ledger, "100001")
    quick = Ledger(f"{ledger.url}?timeout=0.2")
    other = sqlite3.connect(path, isolation_level=None)
    scrub = quick._store.scrub

    def held():
        other.execute("BEGIN IMMEDIATE")
        scrub()

    monkeypatch.setattr(quick._store, "scrub", held)
    with pytest.raises(ServiceError, match=r"the rows are erased, but .*database is locked"):
        erase(quick, "100001", WHY, portfolio="shop")
    other.close()
    assert ledger.holding([1]) == []
    assert erase(ledger, "100001", WHY, portfolio="shop").events == 0


def test_a_decision_may_hold_much(ledger, records):
    """An applicant with two thousand rows of history takes a small part of their text."""
    history = {"loans": [HISTORY["loans"][0] | {"loan": number} for number in range(2000)]}
    number = records.decide(decision(), APPLICATION, history, by="x", channel="api")
    assert records.find(number).history == history
