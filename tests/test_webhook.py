"""A receiver is told how a run ended, and whatever it does stops nothing: real sockets on this machine, no stand-in."""

import json
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from receiver_util import receiving

from credit.errors import ConfigError
from credit.monitoring import webhook
from credit.monitoring.webhook import longest, notify

MESSAGE = {"run": "MonitoringFlow/17", "status": "ALERT", "reasons": ["le coût a monté"], "cost": 0.31}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are as short as they can be; their length is tested where it matters."""
    monkeypatch.setattr(webhook, "BACKOFF", 0.002)


@contextmanager
def talking(talk) -> Iterator[str]:
    """Serve raw sockets: `talk` gets each connection, and is free to misbehave."""
    threads: list[threading.Thread] = []

    def start(target, *given: object) -> None:
        threads.append(threading.Thread(target=target, args=given))
        threads[-1].start()

    def answer(caller: socket.socket) -> None:
        with caller:
            talk(caller)

    def serve() -> None:
        while True:
            try:
                caller, _ = door.accept()
            except OSError:  # the door was shut
                return
            start(answer, caller)

    with socket.create_server(("127.0.0.1", 0)) as door:
        start(serve)
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def hang(caller: socket.socket) -> None:
    """Listen until the other side has had enough."""
    while caller.recv(1 << 16):
        pass


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def test_the_message_arrives_as_json() -> None:
    with receiving(200) as server:
        told = notify(server.address + "/hooks/credit?team=risk", MESSAGE)
        [(path, headers, body)] = server.asked
    assert told == {"delivered": True, "attempts": 1, "status": 200, "error": "", "seconds": told["seconds"]}
    assert path == "/hooks/credit?team=risk"
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert json.loads(body) == MESSAGE


@pytest.mark.parametrize("refusal", [429, 500, 502, 503, 504])
def test_a_receiver_that_refuses_for_a_while_is_told_in_the_end(refusal: int, caplog) -> None:
    with receiving(refusal, refusal, refusal, 202) as server:
        told = notify(server.address, MESSAGE)
        bodies = {body for _, _, body in server.asked}
    assert (told["delivered"], told["attempts"], told["status"], told["error"]) == (True, 4, 202, "")
    assert len(server.asked) == 4
    assert len(bodies) == 1
    assert caplog.records == []


def test_a_receiver_that_always_fails_is_given_up_with_a_warning(caplog) -> None:
    with receiving(500) as server:
        told = notify(server.address, MESSAGE, tries=3)
    assert (told["delivered"], told["attempts"], told["status"]) == (False, 3, 500)
    assert told["error"] == "status 500 Internal Server Error"
    assert len(server.asked) == 3
    [record] = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "credit")
    assert "not delivered: status 500" in record.message
    assert "attempts: 3" in record.message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_refusal_that_will_not_change_is_not_tried_again(status: int) -> None:
    with receiving(status, 200) as server:
        told = notify(server.address, MESSAGE)
    assert (told["delivered"], told["attempts"], told["status"]) == (False, 1, status)
    assert len(server.asked) == 1


def test_a_status_that_nobody_has_named_is_reported() -> None:
    with receiving(499) as server:
        assert notify(server.address, MESSAGE)["error"] == "status 499"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_so_that_the_token_stays_with_the_receiver_it_was_meant_for(status: int) -> None:
    with receiving(200) as other, receiving(status, Location=other.address + "/elsewhere") as server:
        told = notify(server.address, MESSAGE, token="s3cret")
    assert other.asked == []
    assert len(server.asked) == 1
    assert (told["delivered"], told["attempts"], told["status"]) == (False, 1, status)
    assert "redirects are not followed" in told["error"]


def test_the_token_is_a_bearer() -> None:
    with receiving(200) as server:
        notify(server.address, MESSAGE, token="s3cret")
    assert server.asked[0][1]["Authorization"] == "Bearer s3cret"


def test_a_user_in_the_address_is_basic_authentication() -> None:
    with receiving(200) as server:
        notify(server.address.replace("//", "//moniteur:cl%C3%A9%3A1@"), MESSAGE)
    assert server.asked[0][1]["Authorization"] == "Basic bW9uaXRldXI6Y2zDqTox"


def test_a_receiver_that_hangs_costs_its_timeouts_and_no_more() -> None:
    with talking(hang) as address:
        told = notify(address, MESSAGE, timeout=0.1, tries=2)
    assert (told["delivered"], told["attempts"], told["status"]) == (False, 2, None)
    assert told["error"].startswith("no answer in time")


def test_a_receiver_that_drips_is_left_when_the_time_is_up(monkeypatch) -> None:
    """Each byte comes in time, so no timeout of a read ends it; only the limit on the whole does."""
    monkeypatch.setattr(webhook, "PAUSE", 0)
    enough = threading.Event()

    def drip(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        while not enough.wait(0.02):
            caller.sendall(b".")

    before = set(threading.enumerate())
    with talking(drip) as address:
        told = notify(address, MESSAGE, timeout=0.2, tries=1)
        enough.set()
        for thread in set(threading.enumerate()) - before:
            if thread.name.endswith("(_post)"):
                thread.join()  # what is left to itself comes to its end, and holds no one up
    assert (told["delivered"], told["status"], told["error"]) == (False, None, "no whole answer within 0.2 s")


@pytest.mark.parametrize(
    ("words", "error"),
    [(b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP"), (b"", "no HTTP")],
    ids=["another protocol", "closes at once"],
)
def test_a_receiver_that_speaks_no_http_is_reported(words: bytes, error: str) -> None:
    def talk(caller: socket.socket) -> None:
        caller.recv(1 << 16)
        caller.sendall(words)

    with talking(talk) as address:
        told = notify(address, MESSAGE, tries=2)
    assert (told["delivered"], told["attempts"], told["status"]) == (False, 2, None)
    assert error in told["error"]


def test_a_refused_connection_is_tried_again_and_reported(caplog) -> None:
    told = notify(f"http://127.0.0.1:{closed_port()}/x", MESSAGE, tries=3)
    assert (told["delivered"], told["attempts"], told["status"]) == (False, 3, None)
    assert told["error"] == "no connection (Connection refused)"
    assert len(caplog.records) == 1


def test_an_unknown_host_is_reported() -> None:
    told = notify("http://receiver.invalid/x", MESSAGE, tries=1)
    assert (told["delivered"], told["status"]) == (False, None)
    assert told["error"].startswith("the host's name is not known")


def test_https_is_not_spoken_to_who_cannot() -> None:
    with receiving(200) as server:
        told = notify(server.address.replace("http:", "https:"), MESSAGE, tries=1)
    assert not told["delivered"]
    assert server.asked == []
    assert told["error"].startswith("the certificate or the encryption")


@pytest.mark.parametrize("asked", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_receiver_that_asks_for_patience_gets_no_more_than_the_longest_pause(asked: str, monkeypatch) -> None:
    """Were its wish granted, the limit would come before the second try."""
    monkeypatch.setattr(webhook, "PAUSE", 0.05)
    with receiving(503, 200, Retry_After=asked) as server:
        told = notify(server.address, MESSAGE, timeout=2.0)
    assert (told["delivered"], told["attempts"]) == (True, 2)


def test_the_stated_limit_is_the_sum_of_its_parts() -> None:
    assert longest() == 4 * 5 + 3 * 3
    assert longest(0.5, 1) == 0.5


SECRETS = ("pa55word", "qu3ry", "p4th", "t0ken")


@pytest.mark.parametrize("outcome", [200, 302, 404, 500, None])
@pytest.mark.parametrize("place", ["moniteur:pa55word@{}/p4th?key=qu3ry#frag", "{}/p4th?key=qu3ry"])
def test_no_secret_reaches_a_log_or_the_result(outcome: int | None, place: str, caplog) -> None:
    """Even where all that urllib3 has to say is written down."""
    caplog.set_level(logging.DEBUG)
    token = "" if "@" in place else "t0ken"
    with receiving(outcome or 200, Location="/p4th?key=qu3ry") as server:
        port = closed_port() if outcome is None else server.server_port
        told = notify("http://" + place.format(f"127.0.0.1:{port}"), MESSAGE, token=token, tries=2)
    assert told["delivered"] is (outcome == 200)
    said = caplog.text + str([record.__dict__ for record in caplog.records]) + str(told)
    assert [secret for secret in SECRETS if secret in said] == []


def test_what_others_log_meanwhile_is_kept(caplog) -> None:
    """Silence is for one thread: MLflow's client uses the same library beside us."""
    caplog.set_level(logging.DEBUG)
    other = logging.getLogger("urllib3.connectionpool")
    before = list(other.filters)  # MLflow adds one of its own
    with talking(lambda _: other.warning("of another thread")) as address:
        notify(address, MESSAGE, tries=1)
    assert "of another thread" in caplog.text
    assert other.filters == before


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begins neither"),
        ("hooks.example/p4th", "begins neither"),
        ("ftp://moniteur:pa55word@hooks.example/p4th", "begins neither"),
        ("file:///p4th", "begins neither"),
        ("https://", "no host after https://"),
        ("https:///p4th?key=qu3ry", "no host after https://"),
        ("http://moniteur:pa55word@/p4th", "no host after http://"),
        ("http://hooks.example:port/p4th", "no address that can be read"),
        ("http://hooks.example:99999/p4th", "no address that can be read"),
        ("http://hooks example/p4th", "no address that can be read"),
        ("http://[::1/p4th", "no address that can be read"),
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        webhook.check(url)
    with pytest.raises(ConfigError, match=why) as caught:
        notify(url, MESSAGE)
    assert "https://host/path" in str(caught.value)
    said = "".join(traceback.format_exception(caught.value))
    assert [secret for secret in SECRETS if secret in said] == []


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "clé", "tab\t"])
def test_a_token_that_fits_in_no_header_is_refused_unshown(token: str) -> None:
    with receiving(200) as server, pytest.raises(ConfigError, match="printable ASCII") as caught:
        notify(server.address, MESSAGE, token=token)
    assert token not in str(caught.value)
    assert server.asked == []


def test_two_ways_to_authenticate_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="give one of the two"):
        notify("http://moniteur:pa55word@127.0.0.1:9/", MESSAGE, token="t0ken")


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"timeout": float("inf")}, {"tries": 0}])
def test_a_limit_that_is_none_is_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match="timeout must be above 0 s and tries at least 1"):
        notify("http://127.0.0.1:9/", MESSAGE, **options)


def test_a_message_with_no_form_in_json_is_not_sent() -> None:
    with receiving(200) as server, pytest.raises(ValueError, match="JSON"):
        notify(server.address, {"cost": float("nan")})
    assert server.asked == []
