"""Whatever fails, and whoever is killed: one valid champion is left, and the trained model is kept."""

import http.server
import multiprocessing
import os
import signal
import socket
import threading
import time

import pytest
from mlflow import MlflowClient
from toy_registry import PORTFOLIO, assert_one_valid_champion, grown, home, judge, make, moves, registry, stores

from credit.errors import ServiceError
from credit.governance import release as releases
from credit.governance import tracking
from credit.governance.ledger import Ledger
from credit.governance.registry import Registry
from credit.governance.tracking import Tracking
from credit.home import Home

__all__ = ["grown", "home", "registry", "stores"]  # fixtures

#: Processes that are forked from one that has imported MLflow and opened no database.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["credit.governance.registry", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"]
)


# Killing


def _publish(home, judged, step=None):
    """Publish in this process, and kill it before its n-th call of a function."""
    if step is not None:
        owner, name, left = step
        original = getattr(owner, name)

        def deadly(*args, **options):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **options)

        setattr(owner, name, deadly)
    Registry(PORTFOLIO, home).publish(judged)


def start(*args):
    process = context.Process(target=_publish, args=args)
    process.start()
    return process


STEPS = {
    # killed before: which call of what, the champion then, versions then
    "the run": ((MlflowClient, "create_run", 1), 1, 1),
    "the model's files": ((MlflowClient, "log_model_artifacts", 1), 1, 1),
    "the version": ((MlflowClient, "create_model_version", 1), 1, 1),
    "the alias challenger": ((MlflowClient, "set_registered_model_alias", 1), 1, 2),
    "the record of the registration": ((Ledger, "append", 1), 1, 2),
    "the check of the files": ((Tracking, "download", 1), 1, 2),
    "the alias champion": ((MlflowClient, "set_registered_model_alias", 2), 1, 2),
    "the record of the promotion": ((Ledger, "append", 2), 2, 2),
    "nothing": (None, 2, 2),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_leaves_one_valid_champion(step, grown, tmp_path):
    """The old champion or the new one, and publishing again finishes the job without a second version."""
    registry = grown(1)
    made = make(tmp_path / "release", "model 2", "promoted", registry.champion().digest)
    where, champion, versions = STEPS[step]
    process = start(registry.home, made, where)
    process.join()
    assert process.exitcode == (-signal.SIGKILL if where else 0)
    assert_one_valid_champion(registry, champion)
    assert len(registry.versions()) == versions
    assert registry.publish(made).number == 2
    assert_one_valid_champion(registry, 2)
    assert len(registry.versions()) == 2
    kind = "reconciliation" if step == "the record of the promotion" else "promotion"
    assert moves(registry) == [("promotion", None, 1), (kind, 1, 2)]
    assert [event.payload["to"] for event in registry.history() if event.kind == "registration"] == [1, 2]
    assert Ledger(registry.home.ledger_url).verify() == []


def test_two_runs_at_once_on_a_fresh_store_both_finish(tmp_path):
    home = Home(tmp_path / "fresh")
    both = [make(tmp_path / name, name) for name in ("one", "two")]
    processes = [start(home, judged) for judged in both]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    registry = Registry(PORTFOLIO, home)
    assert [version.number for version in registry.versions()] == [1, 2]
    assert_one_valid_champion(registry, 1, 2)
    assert Ledger(home.ledger_url).verify() == []


# Servers that fail


class _Half(http.server.BaseHTTPRequestHandler):
    """Healthy when asked, and failing at work."""

    status = 500

    def do_GET(self):
        self.send_response(200 if self.path == "/health" else self.status)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def silent():
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def failing(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Half)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "remedy"), [(401, "set MLFLOW_TRACKING_USERNAME"), (403, "use an account")])
def test_a_server_that_does_not_let_us_in_says_what_to_set_and_shows_no_password(
    failing, status, remedy, tmp_path, monkeypatch
):
    monkeypatch.setattr(_Half, "status", status)
    uri = failing.replace("//", "//anna:s3cret@")
    with pytest.raises(ServiceError, match=remedy) as caught:
        Registry(PORTFOLIO, Home(tmp_path, uri)).champion()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("server", ["silent", "closed", "failing"])
def test_a_server_that_fails_is_an_error_in_time_that_says_how_to_go_on(server, request, tmp_path, monkeypatch):
    uri = request.getfixturevalue(server)
    for name, value in tracking.PATIENCE.items():  # as `Tracking` would; here so that the test takes it back
        monkeypatch.setenv(name, os.environ.get(name, value))
    made = make(tmp_path / "release")
    began = time.monotonic()
    with pytest.raises(ServiceError) as caught:
        Registry(PORTFOLIO, Home(tmp_path / "home", uri)).publish(made)
    assert time.monotonic() - began < 30
    assert uri in str(caught.value)
    assert f"credit register {made.release.folder}" in str(caught.value)
    assert releases.read(made.release.folder) == made.release  # the model is kept, and can be registered later


def test_register_finishes_what_an_unreachable_server_stopped(closed, home, tmp_path):
    made = make(tmp_path / "release")
    with pytest.raises(ServiceError):
        Registry(PORTFOLIO, Home(home.root, closed)).publish(made)
    assert Registry(PORTFOLIO, home).publish(judge(releases.read(made.release.folder))).is_champion
