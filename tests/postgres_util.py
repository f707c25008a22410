"""A PostgreSQL server of the tests' own, on a free port, in a folder that is removed after them.

Debian's package `postgresql` brings the server.  Where it, or the driver, is missing, tests that ask for it are
skipped with the reason; CREDIT_REQUIRE_POSTGRES=1 makes that a failure.
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

import pytest

__all__ = ["PASSWORD", "USER", "Server", "free_port", "server"]

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
