"""The ledger: what was appended can be read back, and what was tampered with is found."""

import multiprocessing
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit.errors import ConfigError, ServiceError
from credit.governance.ledger import Ledger

WRITERS, EACH = 4, 30


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path):
    return Ledger(f"sqlite:///{path}")


def filled(ledger, events=6):
    for number in range(1, events + 1):
        ledger.append("odd" if number % 2 else "even", {"n": number}, by="tester")
    return ledger


def test_making_a_ledger_touches_nothing(ledger, path):
    assert not path.parent.exists()


def test_events_come_back_in_order_with_who_and_when(ledger):
    before = datetime.now(UTC)
    assert [ledger.append("promotion", {"to": n}, by="ana") for n in (1, 2)] == [1, 2]
    events = ledger.events()
    assert [(event.id, event.kind, event.actor, event.payload) for event in events] == [
        (1, "promotion", "ana", {"to": 1}),
        (2, "promotion", "ana", {"to": 2}),
    ]
    assert before <= datetime.fromisoformat(events[0].at) <= datetime.now(UTC)
    assert ledger.head == events[-1].hash


def test_events_can_be_had_by_kind(ledger):
    filled(ledger)
    assert [event.payload["n"] for event in ledger.events("even")] == [2, 4, 6]
    assert len(ledger.events("even", "odd")) == len(ledger.events()) == 6
    assert ledger.events("unknown") == []


def test_many_events_are_recorded_all_or_none(ledger):
    """A batch that breaks off half-way would leave decisions without their neighbours."""
    assert ledger.extend("decision", ({"n": n} for n in range(500))) == list(range(1, 501))
    with pytest.raises(ValueError, match="JSON"):
        ledger.extend("decision", [{"n": 1}, {"n": float("nan")}])
    assert len(ledger.events()) == 500
    assert ledger.extend("decision", []) == []
    assert ledger.verify() == []


def test_who_acts_is_the_environments_or_the_systems_user(ledger, monkeypatch):
    monkeypatch.setenv("CREDIT_USER", "officer 7")
    ledger.append("decision", {})
    monkeypatch.delenv("CREDIT_USER")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    ledger.append("decision", {})
    first, second = ledger.events()
    assert first.actor == "officer 7"
    assert second.actor.startswith("uid ")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Ledger(f"sqlite:///{tmp_path_factory.mktemp('shared') / 'ledger.db'}")


@settings(max_examples=50)
@given(payload=st.dictionaries(st.text(), values, max_size=4))
def test_any_json_payload_survives(payload, shared):
    """A decision is replayed from what the ledger holds: every value must come back exactly."""
    shared.append("any", payload)
    assert shared.events()[-1].payload == payload
    assert shared.verify() == []


def test_an_empty_ledger_is_whole(ledger):
    assert ledger.verify() == []
    assert ledger.head == "0" * 64


def tamper(path: Path, *statements: str) -> None:
    """Change the file as someone with access to it could, past the triggers."""
    with sqlite3.connect(path) as connection:
        for trigger in ("no_update", "no_delete"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


COPY = "INSERT INTO events SELECT {id}, at, kind, actor, payload, {previous}, {hash} FROM events WHERE id = 2"
TAMPERED = {
    "edit the payload": (["UPDATE events SET payload = '{\"n\":9}' WHERE id = 3"], "event 3: .* edited"),
    "edit the actor": (["UPDATE events SET actor = 'other' WHERE id = 3"], "event 3: .* edited"),
    "edit the kind": (["UPDATE events SET kind = 'even' WHERE id = 3"], "event 3: .* edited"),
    "edit the time": (
        ["UPDATE events SET at = '2020-01-01T00:00:00.000000+00:00' WHERE id = 1"],
        "event 1: .* edited",
    ),
    "delete the first": (["DELETE FROM events WHERE id = 1"], "event 2: event 1 should come here"),
    "delete one": (["DELETE FROM events WHERE id = 3"], "event 4: event 3 should come here"),
    "delete one and renumber": (
        [
            "DELETE FROM events WHERE id = 3",
            *(f"UPDATE events SET id = {n - 1} WHERE id = {n}" for n in (4, 5, 6)),
        ],
        "event 3: does not follow",
    ),
    "swap two": (
        [f"UPDATE events SET id = {new} WHERE id = {old}" for old, new in ((3, 99), (4, 3), (99, 4))],
        "event 3: does not follow",
    ),
    "insert at the end": ([COPY.format(id=7, previous="'x'", hash="'y'")], "event 7: does not follow"),
    "insert between": (
        [
            *(f"UPDATE events SET id = {n + 1} WHERE id = {n}" for n in (6, 5, 4)),
            COPY.format(id=4, previous="'x'", hash="'y'"),
        ],
        "event 4: does not follow",
    ),
    "edit a hash": (["UPDATE events SET hash = 'z' WHERE id = 6"], "event 6: .* edited"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found_and_located(how, ledger, path):
    filled(ledger)
    assert ledger.verify() == []
    statements, problem = TAMPERED[how]
    tamper(path, *statements)
    problems = ledger.verify()
    assert problems
    assert re.search(problem, problems[0])


def test_a_cut_tail_is_found_by_a_head_kept_elsewhere(ledger, path):
    """A shorter chain is whole in itself: only a witness outside of it can tell."""
    head = filled(ledger).head
    tamper(path, "DELETE FROM events WHERE id > 4")
    assert ledger.verify() == []
    assert "newest events were removed" in ledger.verify(head)[0]
    assert ledger.verify(ledger.head) == []


@pytest.mark.parametrize("statement", ["UPDATE events SET kind = 'x'", "DELETE FROM events"])
def test_the_database_itself_refuses_to_change_events(statement, ledger, path):
    filled(ledger)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        connection.execute(statement)
    connection.close()


def test_a_fork_of_the_chain_is_refused_by_the_database(ledger, path):
    filled(ledger)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="previous"):
        connection.execute(
            "INSERT INTO events SELECT 7, at, kind, actor, payload, previous, 'y' FROM events WHERE id = 2"
        )
    connection.close()


def _write(url: str, writer: int) -> None:
    ledger = Ledger(url)
    for number in range(EACH):
        ledger.append("race", {"writer": writer, "n": number})


def test_concurrent_writers_on_a_fresh_file_never_fork_the_chain(ledger, path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(ledger.url, writer)) for writer in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert ledger.verify() == []
    events = ledger.events()
    assert len(events) == WRITERS * EACH
    for writer in range(WRITERS):  # nobody's events are lost or reordered
        assert [e.payload["n"] for e in events if e.payload["writer"] == writer] == list(range(EACH))


def test_readers_do_not_wait_for_a_writer(ledger, path):
    """In WAL mode a long write must not stop the scoring of applicants."""
    filled(ledger)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    assert len(ledger.events()) == 6
    assert ledger.verify() == []
    connection.execute("ROLLBACK")
    connection.close()


ERRORS = [
    ("nonsense", ConfigError, "not an SQLAlchemy URL"),
    ("postgresql://u:secret@127.0.0.1:9/credit", ServiceError, "ledger's database does not answer"),
]


@pytest.mark.parametrize(("url", "error", "message"), ERRORS)
def test_errors_name_the_address_and_the_remedy(url, error, message):
    with pytest.raises(error, match=message) as caught:
        Ledger(url).append("x", {})
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_an_error(path, ledger):
    path.parent.mkdir()
    path.write_text("not a database, whatever its name says" * 100)
    with pytest.raises(ServiceError, match="file is not a database"):
        ledger.append("x", {})
