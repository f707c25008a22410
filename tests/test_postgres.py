"""A book in PostgreSQL gives the same tables as its files, and each fault one error; a server of the test's own.

Debian's package `postgresql` brings the server.  Where it, or the driver, is missing, these tests are skipped with
the reason; CREDIT_REQUIRE_POSTGRES=1 makes that a failure.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy
from seven_util import BOOK, seven, write

from credit.data.contract import check
from credit.data.tables import fingerprint, open_tables, present
from credit.errors import DataError, ServiceError

USER, PASSWORD = "lender", "s3cret"
#: The server refuses to run as root; the package makes this user.
SERVANT = "postgres"


@dataclass
class Server:
    """A running PostgreSQL."""

    port: int

    def url(self, password: str = PASSWORD, port: int | None = None, name: str = "postgres") -> str:
        return f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{port or self.port}/{name}"


def programs() -> Path:
    """Return the folder with `initdb` and `pg_ctl`, of the newest version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[4]))
    lacking = "Debian's package `postgresql` (or its `initdb`)" if not found else ""
    lacking = lacking or ("the driver `psycopg`" if find_spec("psycopg") is None else "")
    if lacking:
        required = os.environ.get("CREDIT_REQUIRE_POSTGRES") == "1"
        (pytest.fail if required else pytest.skip)(f"{lacking} is not installed")
    return found[-1].parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Start a cluster of its own, with a password, in a folder that its user may enter (pytest's is closed)."""
    folder, found = programs(), Server(free_port())
    home = Path(tempfile.mkdtemp(prefix="credit-postgres-"))
    (home / "password").write_text(PASSWORD)
    servant: str | None = None
    if os.geteuid() == 0:
        servant = SERVANT
        for path in (home, home / "password"):
            shutil.chown(path, SERVANT)
    options = f"-p {found.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
    control = [str(folder / "pg_ctl"), "-D", str(home / "data")]

    def run(*command: str) -> None:
        done = subprocess.run(command, check=False, cwd=home, user=servant, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        login = ["--username", USER, "--auth", "scram-sha-256", "--pwfile", str(home / "password")]
        run(str(folder / "initdb"), "-D", str(home / "data"), *login, "--encoding", "UTF8", "--no-sync")
        run(*control, "-w", "-l", str(home / "log"), "-o", options, "start")
        try:
            yield found
        finally:
            run(*control, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return seven()


@pytest.fixture(scope="module")
def loaded(server: Server, frames: dict[str, pd.DataFrame]) -> str:
    """Load the seven tables with types of the database's own; return its URL."""
    engine = sqlalchemy.create_engine(server.url(), poolclass=sqlalchemy.NullPool)
    for name, frame in frames.items():
        frame.to_sql(BOOK.tables[name].files[0], engine, index=False)
    return server.url()


def test_seven_tables_are_the_same_from_postgresql_and_from_files(
    loaded: str, frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    assert present(BOOK, loaded) == tuple(BOOK.tables)
    base = check(BOOK, open_tables(BOOK, loaded))
    file = check(BOOK, open_tables(BOOK, write(frames, tmp_path)))
    assert base.report == file.report
    for name, table in file.tables.items():
        one, two = table.to_pyarrow(), base.tables[name].to_pyarrow()
        order = [(column, "ascending") for column in one.column_names]
        assert one.schema == two.schema
        assert one.num_rows == len(frames[name])
        assert one.sort_by(order).equals(two.sort_by(order)), name


def test_the_fingerprint_is_of_the_rows_not_of_their_order(loaded: str, server: Server) -> None:
    before = fingerprint(BOOK, loaded, names=["application", "bureau"])
    engine = sqlalchemy.create_engine(server.url(), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:  # an update moves a row to the end of PostgreSQL's file
        connection.exec_driver_sql('UPDATE bureau SET "CREDIT_TYPE" = "CREDIT_TYPE" WHERE "SK_ID_BUREAU" < 5000009')
        moved = connection.exec_driver_sql('SELECT "SK_ID_BUREAU" FROM bureau LIMIT 1').scalar()
    assert moved == 5_000_009
    assert fingerprint(BOOK, loaded, names=["application", "bureau"]) == before


def test_a_wrong_password(server: Server) -> None:
    with pytest.raises(
        ServiceError, match=rf"{USER}:\*\*\*@127.*: the database cannot be read \(.*password auth"
    ) as caught:
        open_tables(BOOK, server.url(password="w0rse"))
    assert "w0rse" not in str(caught.value)


def test_nobody_listens(server: Server) -> None:
    with pytest.raises(ServiceError, match=r"the database cannot be read \(.*refused.*check its address") as caught:
        open_tables(BOOK, server.url(port=free_port()))
    assert PASSWORD not in str(caught.value)


def test_no_such_database(server: Server) -> None:
    with pytest.raises(ServiceError, match=r'"nowhere" does not exist'):
        open_tables(BOOK, server.url(name="nowhere"))


def test_no_such_table(server: Server) -> None:
    with pytest.raises(DataError, match=r"no table application_train, nor application \(there are: none\)"):
        open_tables(BOOK, server.url(name="template1"))
