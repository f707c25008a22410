"""The ledger on PostgreSQL keeps what it keeps on SQLite: order among writers, seals, erasure, and a whole chain."""

import pytest
import sqlalchemy as sa
from ledger_util import APPLICATION, HISTORY, decided, kill, past, race
from postgres_util import Server, server

from credit.errors import ServiceError
from credit.governance.ledger import Ledger
from credit.governance.outcomes import import_outcomes
from credit.governance.records import Records
from credit.governance.retention import erase, retain

__all__ = ["server"]  # the fixture


@pytest.fixture
def ledger(server: Server, request: pytest.FixtureRequest):
    """A ledger in a database of its own."""
    name = f"ledger_{abs(hash(request.node.name))}"
    engine = sa.create_engine(server.url(), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    made = Ledger(server.url(name=name))
    yield made
    made._store._engine.dispose()


def test_writers_that_start_together_lose_nothing(ledger):
    """They also make the tables together, which PostgreSQL by itself lets fail."""
    race(ledger)


def test_a_kill_loses_nothing_that_was_acknowledged(ledger):
    kill(ledger, 20)


def test_a_decision_lives_as_on_sqlite(ledger, tmp_path):
    records = Records(ledger)
    with past(40):
        old, mine = decided(ledger, "100001", "100002", probability=0.1 + 0.2)
    records.override(mine, "approve", "pays by direct debit", by="ana")
    (tmp_path / "may.csv").write_text(
        f"decision,outcome,observed\n{mine},1,2026-01-01\n{old},0,{ledger.event(3).at[:10]}\n"
    )
    assert import_outcomes(ledger, tmp_path / "may.csv").added == 1
    found = records.find(mine)
    assert (found.application, found.history) == (APPLICATION | {"client": "100002"}, HISTORY)
    assert found.probability.hex() == (0.1 + 0.2).hex()
    assert found.overridden["reason"] == "pays by direct debit"
    assert records.earlier("100001")[0].outcome == 0
    assert records.summary(41)["decisions"].iloc[0] == 2
    head = ledger.head
    assert erase(ledger, "100002", "asked for", portfolio="shop").events == 2
    assert retain(ledger, 30).events == 1
    assert records.find(mine).erased
    assert ledger.verify(head) == []


TABLES = ("events", "personal", "links")
TAMPERED = {
    "UPDATE events SET payload = '{}' WHERE id = 1": "event 1: its content does not match its hash",
    "DELETE FROM events WHERE id = 1": "event 2: event 1 should come here",
    "UPDATE personal SET content = '' WHERE event = 2": "event 2: its personal content does not match its seal",
    "DELETE FROM personal WHERE event = 2": "event 2: its personal content is gone",
    "UPDATE personal SET event = 9 WHERE event = 2": "event 2: its personal content is gone",
    "DELETE FROM links": "event 3: it is about event 1, but its link leads to None",
}


def test_tampering_is_found(ledger):
    decided(ledger, "100001", "100002")
    ledger.append("note", {"about": 1})
    engine = sa.create_engine(ledger.url, poolclass=sa.NullPool)
    for statement, problem in TAMPERED.items():
        assert ledger.verify() == []
        with engine.connect() as connection, connection.begin() as change:
            tables = {name: connection.exec_driver_sql(f"SELECT * FROM {name}").fetchall() for name in TABLES}
            connection.exec_driver_sql(statement)
            change.commit()
        assert ledger.verify()[0].startswith(problem)
        with engine.begin() as connection:
            for name, rows in tables.items():
                table = sa.Table(name, sa.MetaData(), autoload_with=connection)
                connection.execute(table.delete())
                connection.execute(table.insert(), [row._asdict() for row in rows])


def test_a_server_that_was_restarted_is_found_again(ledger):
    """The app keeps connections for hours; one that the server has ended must not fail a decision."""
    ledger.append("note", {})
    other = sa.create_engine(ledger.url, poolclass=sa.NullPool)
    with other.connect() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        connection.exec_driver_sql(f"{query} AND pid <> pg_backend_pid()")
    assert ledger.append("note", {}) == 2


def test_a_wrong_password_is_one_clear_error(ledger, server):
    with pytest.raises(ServiceError, match=r"ledger postgresql.*\*\*\*.*password auth") as caught:
        Ledger(server.url(password="w0rse")).append("note", {})
    assert "w0rse" not in str(caught.value)
