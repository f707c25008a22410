"""The registry against a real MLflow server that keeps the files: the same promises over HTTP."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from toy_registry import PORTFOLIO, assert_one_valid_champion, make

from credit.errors import ModelError, ServiceError
from credit.governance import tracking
from credit.governance.registry import Registry
from credit.home import Home

PATIENCE_SECONDS = 120


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name, value in tracking.PATIENCE.items():  # as `Tracking` would; here so that the test takes it back
        monkeypatch.setenv(name, value)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = f"--backend-store-uri sqlite:///{tmp_path}/server.db --artifacts-destination {tmp_path}/files"
    command = f"{sys.executable} -m mlflow server --host 127.0.0.1 --port {port} --workers 1 --serve-artifacts {place}"
    quiet = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command.split(), env=quiet, stdout=log, stderr=log, start_new_session=True)
    url, began = f"http://127.0.0.1:{port}", time.monotonic()
    while True:
        try:
            urlopen(f"{url}/health", timeout=2).close()
            break
        except (URLError, OSError):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() - began < PATIENCE_SECONDS
            time.sleep(0.2)
    yield url, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def test_a_models_whole_life_on_a_server(server, tmp_path, capfd):
    url, process = server
    home = Home(tmp_path / "home", url)
    registry = Registry(PORTFOLIO, home)
    assert registry.champion() is None
    first = registry.publish(make(tmp_path / "r1", "model 1"))
    second = registry.publish(make(tmp_path / "r2", "model 2", "promoted", first.digest))
    assert_one_valid_champion(registry, second.number)
    assert (registry.load() / "model.txt").read_text() == "model 2"
    assert not home.artifacts.exists()  # the server keeps the files
    assert capfd.readouterr().out == ""  # and its links stay out of our output
    assert registry.rollback(reason="try").number == first.number
    for file in (tmp_path / "files").rglob("model.txt"):
        file.write_text("another tree")
    shutil.rmtree(home.workspace)
    with pytest.raises(ModelError, match="not what was registered"):
        registry.load()
    for folder in (tmp_path / "files").rglob("bundle"):
        shutil.rmtree(folder)
    with pytest.raises(ModelError, match=r"version 1: its files cannot be read|not what was registered"):
        registry.load()
    third = make(tmp_path / "r3", "model 3", "promoted", first.digest)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()
    began = time.monotonic()
    with pytest.raises(ServiceError, match=f"credit register {third.release.folder}"):
        registry.publish(third)  # the connection was made before: MLflow's own client finds out
    assert time.monotonic() - began < 30
