"""The server as it runs for users: a process of its own, a model changed under it, and a stop that loses nothing."""

import json
import signal
import threading
import time

import httpx
import pytest
from serving_util import APPLICANT, RISKY, champion, running, second_champion

from credit.governance.ledger import Ledger
from credit.home import Home

#: Seconds that the work takes which is under way when the server is stopped.
UNDER_WAY = 2.0
KNOWN = ("anna", "correct-horse-9")


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


class Asking(threading.Thread):
    """Asks again and again, and notes every answer."""

    def __init__(self, url):
        super().__init__()
        self.url, self.done, self.answers = url, threading.Event(), []
        self.took = 1.0

    def run(self):
        with asker(self.url) as client:
            while not self.done.is_set():
                began = time.monotonic()
                answer = client.post("/api/v1/score", json={"application": APPLICANT})
                self.took = time.monotonic() - began
                self.answers.append((answer.status_code, answer.headers["x-model-version"]))


def test_a_champion_changed_and_a_stop_under_load(home):
    """Page and API from one process; nobody is refused while the model changes, and nothing is lost at the stop."""
    environ = {"CREDIT_APP_CHAMPION_SECONDS": "0.2", "CREDIT_APP_RATE": "0", "CREDIT_APP_STOP_SECONDS": "100"}
    environ["CREDIT_APP_USERS"] = ":".join(KNOWN)
    with running(home, "--host", "0.0.0.0", **environ) as server, asker(server.url) as client:
        strangers_stay_out(server.url)
        page = client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        until(lambda: client.get("/ready").status_code == 200)

        asking = Asking(server.url)
        asking.start()
        second_champion(home)
        until(lambda: client.get("/ready").json()["model"]["version"] == 2)
        until(lambda: asking.answers[-1][1] == "credit-shop/2")
        asking.done.set()
        asking.join()
        assert {status for status, _ in asking.answers} == {200}
        assert [model for _, model in asking.answers] == sorted(model for _, model in asking.answers)

        many = min(1000, max(20, int(UNDER_WAY / asking.took)))
        batch = {"applicants": [{"application": RISKY | {"client": at}} for at in range(1, many + 1)]}
        beats, found = [], []
        listening = threading.Thread(target=listen, args=(server.url, beats))
        listening.start()
        until(lambda: beats)
        deciding = threading.Thread(target=lambda: found.append(client.post("/api/v1/batch", json=batch)))
        deciding.start()
        time.sleep(0.3)
        assert deciding.is_alive(), "the batch must still be under way"
        server.process.send_signal(signal.SIGTERM)
        for thread in (listening, deciding):
            thread.join(100)
        assert server.process.wait(60) == 0
        assert found[0].status_code == 200
        told = found[0].json()
        assert (told["scored"], told["rejected"]) == (many, 0)
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
    for value in (str(RISKY["amount"]), str(APPLICANT["amount"]), "town a"):
        assert value not in text
