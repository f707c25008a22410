"""The ledger: what was appended can be read back, and what was tampered with is found."""

import hashlib
import json
import re
import sqlite3
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_util import kill, person, race

from credit.errors import ConfigError, DataError, ServiceError
from credit.governance.audit import _Ranges, runs
from credit.governance.ledger import Ledger, draft


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


def followed(ledger):
    """Six events: 2, 4 and 6 hold something personal, 5 follows up 2."""
    for number in range(1, 7):
        payload = {"n": number} | ({"about": 2} if number == 5 else {})
        ledger.append("decision", payload, by="tester", personal=None if number % 2 else person(number))
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
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
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
    "make the payload no JSON": (["UPDATE events SET payload = 'x' WHERE id = 3"], "event 3: .* edited"),
    "make the payload no text": (["UPDATE events SET payload = x'ff00' WHERE id = 3"], "event 3: .* edited"),
    "damage the payload": (["UPDATE events SET payload = CAST(x'ff' AS TEXT) WHERE id = 3"], "event 3: .* edited"),
    "make the hash a number": (["UPDATE events SET hash = 7 WHERE id = 6"], "event 6: .* edited"),
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


PEOPLE = {
    "edit the content": (
        ["UPDATE personal SET content = x'00' WHERE event = 2"],
        "event 2: .* does not match its seal",
    ),
    "edit the salt": (["UPDATE personal SET salt = zeroblob(32) WHERE event = 2"], "event 2: .* does not match"),
    "make the salt no bytes": (["UPDATE personal SET salt = 'x' WHERE event = 2"], "event 2: .* does not match"),
    "make the content a number": (["UPDATE personal SET content = 5 WHERE event = 2"], "event 2: .* does not match"),
    "damage the subject": (
        ["UPDATE personal SET subject = CAST(x'ff' AS TEXT) WHERE event = 2"],
        "event 2: .* does not match its seal",
    ),
    "edit the subject": (["UPDATE personal SET subject = 'x' WHERE event = 4"], "event 4: .* does not match its seal"),
    "edit the book": (["UPDATE personal SET book = 'x' WHERE event = 4"], "event 4: .* does not match its seal"),
    "lengthen the salt by the content's first byte": (
        ["UPDATE personal SET salt = CAST(salt || substr(content, 1, 1) AS BLOB), content = substr(content, 2)"],
        "event 2: .* does not match its seal",
    ),
    "remove without an erasure": (["DELETE FROM personal WHERE event = 2"], "event 2: .* no erasure names it"),
    "swap two": (
        [f"UPDATE personal SET event = {new} WHERE event = {old}" for old, new in ((2, 99), (4, 2), (99, 4))],
        "event 2: .* does not match its seal",
    ),
    "give it to another event": (["UPDATE personal SET event = 3 WHERE event = 2"], "event 2: .* is gone"),
    "insert beside an event without": (
        ["INSERT INTO personal SELECT 3, book, subject, salt, content FROM personal WHERE event = 2"],
        "event 3: .* recorded without any; it was inserted",
    ),
    "insert for no event": (
        ["INSERT INTO personal SELECT 9, book, subject, salt, content FROM personal WHERE event = 2"],
        "event 9: personal content is there, but no such event",
    ),
    "remove the event alone": (["DELETE FROM events WHERE id = 6"], "event 6: personal content .* no such event"),
    "edit a link": (["UPDATE links SET about = 4"], "event 5: it is about event 2, but its link leads to 4"),
    "remove a link": (["DELETE FROM links"], "event 5: it is about event 2, but its link leads to None"),
    "insert a link": (["INSERT INTO links VALUES (3, 2)"], "event 3: it is about event None, but its link leads to 2"),
    "insert a link of no event": (["INSERT INTO links VALUES (9, 2)"], "event 9: a link is there, but no such event"),
}


@pytest.mark.parametrize("how", PEOPLE)
def test_tampering_with_what_stands_beside_the_chain_is_found(how, ledger, path):
    """What is personal is no part of the hashes, yet an edit of an applicant's income must show."""
    followed(ledger)
    assert ledger.verify() == []
    statements, problem = PEOPLE[how]
    tamper(path, *statements)
    problems = ledger.verify()
    assert len(problems) <= 3  # what was moved is missed in one place and found in another
    assert re.search(problem, problems[0])


def test_an_erasure_excuses_what_it_names_and_nothing_else(ledger, path):
    followed(ledger)
    ledger.write(lambda writer: writer.erase([2, 6], "asked for", by="officer"))
    assert ledger.verify() == []
    assert ledger.events("erasure")[0].payload == {"events": [[2, 2], [6, 6]], "reason": "asked for"}
    assert ledger.holding(range(1, 9)) == [4]
    tamper(path, "DELETE FROM personal WHERE event = 4")
    assert [problem[:8] for problem in ledger.verify()] == ["event 4:"]


def test_an_erasure_cannot_excuse_what_comes_after_it(ledger, path):
    """Else one could be recorded in advance, for decisions yet to be removed."""
    ledger.append("erasure", {"events": [[1, 100]], "reason": "in advance"})
    ledger.append("decision", {}, personal=person(2))
    tamper(path, "DELETE FROM personal")
    assert "event 2: its personal content is gone" in ledger.verify()[0]


def test_an_erasure_that_is_widened_is_an_edited_event(ledger, path):
    followed(ledger)
    ledger.write(lambda writer: writer.erase([2], "asked for"))
    tamper(path, "UPDATE events SET payload = replace(payload, '[2,2]', '[2,6]') WHERE id = 7", "DELETE FROM personal")
    assert re.search("event 7: .* edited", ledger.verify()[0])


def test_what_was_erased_and_is_there_again_is_found(ledger, path):
    """A backup of the table, restored, brings back what a person had erased."""
    followed(ledger)
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT * FROM personal WHERE event = 2").fetchone()
    connection.close()
    ledger.write(lambda writer: writer.erase([2], "asked for"))
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO personal VALUES (?, ?, ?, ?, ?)", kept)
    connection.close()
    assert re.search("event 2: .* erased, but is there again", ledger.verify()[0])


@given(groups=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), max_size=6))
def test_runs_name_exactly_their_numbers(groups):
    """Against a set: a run too long would excuse a removal, one too short would report an erasure."""
    ranges, named = _Ranges(), set()
    for group in groups:
        ranges.add(runs(group), by=41)
        named |= set(group)
    assert [number for number in range(42) if number in ranges] == sorted(named)


def test_an_edited_content_is_not_read(ledger, path):
    followed(ledger)
    tamper(path, "UPDATE personal SET subject = 'client 4' WHERE event = 2")
    with pytest.raises(DataError, match=r"event 2: .* not what was sealed"):
        ledger.personal(ledger.events())


def test_what_is_personal_is_nowhere_in_the_chain(ledger, path):
    """Salted: equal contents have unequal seals, so that a guess cannot be tried."""
    for _ in range(2):
        ledger.append("decision", {"n": 1}, personal=person(1, income=4711))
    first, second = ledger.events()
    assert first.payload["sealed"] != second.payload["sealed"]
    assert ledger.personal([first])[1] == ledger.personal([second])[2] == person(1, income=4711)
    with sqlite3.connect(path) as connection:
        text = str(connection.execute("SELECT * FROM events").fetchall())
    connection.close()
    assert "4711" not in text
    assert "client" not in text


def test_events_are_found_by_what_they_follow_up(ledger):
    followed(ledger)
    assert {about: [event.id for event in events] for about, events in ledger.about([1, 2, 3]).items()} == {2: [5]}
    assert ledger.event(5).payload["about"] == 2
    assert ledger.event(7) is None
    assert next(ledger.newest()).id == 6


def test_a_payload_cannot_bring_its_own_seal(ledger):
    with pytest.raises(ValueError, match="sealed"):
        ledger.append("decision", {"sealed": "x"})


def test_reading_and_writing_as_one_is_undone_as_one(ledger):
    filled(ledger)

    def half(writer):
        writer.extend("note", [draft({"n": len(writer.events())})])
        raise ConfigError("changed my mind")

    with pytest.raises(ConfigError):
        ledger.write(half)
    assert len(ledger.events()) == 6


def test_checking_does_not_hold_the_ledger_in_memory(ledger):
    """A lender's ledger has millions of events."""
    ledger.extend("note", ({"text": f"{number} " + "x" * 4000} for number in range(6000)))
    tracemalloc.start()
    assert ledger.verify() == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6 < 6000 * 4000


#: The tables as they were before anything personal was kept.
OLD = """
CREATE TABLE events (id INTEGER NOT NULL, at VARCHAR(32) NOT NULL, kind VARCHAR(64) NOT NULL,
    actor VARCHAR(255) NOT NULL, payload TEXT NOT NULL, previous VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (id), UNIQUE (previous), UNIQUE (hash));
CREATE INDEX ix_events_kind ON events (kind);
CREATE TRIGGER no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
"""


def test_a_ledger_of_promotions_alone_stays_valid_and_takes_decisions(ledger, path):
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.executescript(OLD)
        previous = "0" * 64
        for number in (1, 2):
            row = [number, f"2026-01-0{number}T00:00:00.000000+00:00", "promotion", "ana", f'{{"to":{number}}}']
            text = json.dumps([previous, *row], separators=(",", ":"))
            digest = hashlib.sha256(text.encode()).hexdigest()
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, previous, digest))
            previous = digest
    connection.close()
    assert ledger.verify(head=previous) == []
    assert ledger.append("decision", {"about": 1}, personal=person(3)) == 3
    assert ledger.verify(head=previous) == []
    assert [event.payload.get("to") for event in ledger.events()] == [1, 2, None]


def test_a_cut_tail_is_found_by_a_head_kept_elsewhere(ledger, path):
    """A shorter chain is whole in itself: only a witness outside of it can tell."""
    head = filled(ledger).head
    tamper(path, "DELETE FROM events WHERE id > 4")
    assert ledger.verify() == []
    assert "newest events were removed" in ledger.verify(head)[0]
    assert ledger.verify(ledger.head) == []


REFUSED = (
    "UPDATE events SET kind = 'x'",
    "DELETE FROM events",
    "UPDATE personal SET subject = 'x'",
    "UPDATE links SET about = 1",
    "DELETE FROM links",
)


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_itself_refuses_to_change_events(statement, ledger, path):
    followed(ledger)
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


def test_concurrent_writers_on_a_fresh_file_never_fork_the_chain(ledger):
    race(ledger)


def test_a_kill_in_mid_write_loses_nothing_that_was_acknowledged(ledger):
    for lines in (3, 20, 47):
        kill(ledger, lines)


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
