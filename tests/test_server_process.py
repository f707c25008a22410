"""The server as it runs for users: a process of its own, a model changed under it, and a stop that loses nothing."""

import json
import signal
import socket
import threading
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx
import pytest
from serving_util import APPLICANT, RISKY, champion, running, second_champion

from credit.governance.ledger import Ledger
from credit.home import Home

KNOWN = ("anna", "correct-horse-9")
#: Applicants of the batch that is under way when the server is stopped.
MANY = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("process") / "home")
    champion(made)
    return made


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def asker(url):
    """One who is known; the address of all networks is not one to call."""
    return httpx.Client(base_url=url.replace("0.0.0.0", "127.0.0.1"), timeout=120, auth=KNOWN)


def strangers_stay_out(url):
    """The page, what it is made of, its streams and its uploads are as closed as the API."""
    with httpx.Client(base_url=url.replace("0.0.0.0", "127.0.0.1"), timeout=60) as client:
        paths = ("/", "/config", "/gradio_api/heartbeat/x", "/gradio_api/info", "/gradio_api/file=x", "/theme.css")
        assert {client.get(path).status_code for path in paths} == {401}
        assert client.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
        assert client.get("/health").status_code == 200
        elsewhere = {"Origin": "https://evil.example"}
        assert client.post("/gradio_api/queue/join", auth=KNOWN, headers=elsewhere).status_code == 403


class Asking:
    """Asks again and again, and notes every answer."""

    def __init__(self, url):
        self.url, self.done, self.answers = url, threading.Event(), []

    def run(self):
        with asker(self.url) as client:
            while not self.done.is_set():
                answer = client.post("/api/v1/score", json={"application": APPLICANT})
                self.answers.append((answer.status_code, answer.headers["x-model-version"]))


def announced(url, body):
    """Announce a batch, and return its connection once the server says that it is waiting for the rest."""
    place = urlsplit(url)
    connection = socket.create_connection(("127.0.0.1", place.port), timeout=100)
    known = b64encode(":".join(KNOWN).encode()).decode()
    head = ["POST /api/v1/batch HTTP/1.1", f"Host: 127.0.0.1:{place.port}", f"Authorization: Basic {known}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Expect: 100-continue"]
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    said = connection.recv(4096)
    assert said.startswith(b"HTTP/1.1 100"), said
    return connection


def closed(url):
    """Whether the server takes no more connections."""
    try:
        socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=100).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_champion_changed_and_a_stop_under_load(home):
    """Page and API from one process; nobody is refused while the model changes, and nothing is lost at the stop."""
    environ = {"CREDIT_APP_CHAMPION_SECONDS": "0.2", "CREDIT_APP_RATE": "0", "CREDIT_APP_STOP_SECONDS": "100"}
    environ["CREDIT_APP_USERS"] = ":".join(KNOWN)
    with (
        ThreadPoolExecutor() as beside,  # outermost: what it runs ends with the server, however the test ends
        running(home, "--host", "0.0.0.0", **environ) as server,
        asker(server.url) as client,
    ):
        strangers_stay_out(server.url)
        page = client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        until(lambda: client.get("/ready").status_code == 200)

        asking = Asking(server.url)
        asked = beside.submit(asking.run)
        second_champion(home)
        until(lambda: client.get("/ready").json()["model"]["version"] == 2)
        until(lambda: asked.done() or asking.answers[-1:] == [(200, "credit-shop/2")])
        asking.done.set()
        asked.result(100)
        assert {status for status, _ in asking.answers} == {200}
        assert [model for _, model in asking.answers] == sorted(model for _, model in asking.answers)

        beats = []
        listening = beside.submit(listen, server.url, beats)
        until(lambda: listening.done() or beats)
        batch = {"applicants": [{"application": RISKY | {"client": at}} for at in range(1, MANY + 1)]}
        body = json.dumps(batch).encode()
        with announced(server.url, body) as connection:
            server.process.send_signal(signal.SIGTERM)
            until(lambda: closed(server.url))
            listening.result(100)
            assert beats[-1] == "end"
            assert server.process.poll() is None, "the batch must still be under way"
            connection.sendall(body)
            answer = HTTPResponse(connection)
            answer.begin()
            told = json.loads(answer.read())
        assert server.process.wait(100) == 0
        assert answer.status == 200
        assert (told["scored"], told["rejected"]) == (MANY, 0)
        kept = {event.id for event in Ledger(home.ledger_url).events("decision")}
        assert {item["decision"]["decision_id"] for item in told["items"]} <= kept
        assert {event.actor for event in Ledger(home.ledger_url).events("decision")} == {"anna"}
        assert_log(server.log)


def listen(url, beats):
    """Hold the page's stream open, as every open page does; it ends when the server stops."""
    with asker(url) as client, client.stream("GET", "/gradio_api/heartbeat/one") as stream:
        beats.extend(stream.iter_lines())
        beats.append("end")


def assert_log(path):
    """Every line is JSON, and none tells of an applicant."""
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert any(line.get("route") == "/api/v1/batch" and line["status"] == 200 for line in lines)
    assert any("version 2 is in use" in line["event"] for line in lines)
    assert [line for line in lines if line["level"] in ("warning", "error")] == []
    told = json.dumps([{name: value for name, value in line.items() if name not in ("time", "ms")} for line in lines])
    for value in (str(RISKY["amount"]), str(APPLICANT["amount"]), "town a"):
        assert value not in told, "a duration may look like an amount; nothing else may"
