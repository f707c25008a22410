"""The door: who is let in, from where, how often and with how much; and that no log line tells of an applicant."""

import asyncio
import base64
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from credit.home import Home
from gradio_app import journal, limits
from gradio_app.guard import Guard
from gradio_app.limits import Callers, Rate
from gradio_app.server import create
from gradio_app.settings import Settings

PASSWORD, TOKEN = "correct-horse-9", "Zk3-f8Qw7_xPl29sVb4nTy6u"
USERS, TOKENS = {"anna": PASSWORD, "bob": "battery-staple-7"}, {"robot": TOKEN}
LOCAL = "http://127.0.0.1:7860"


def basic(name, password=PASSWORD):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def client(tmp_path, base=LOCAL, **settings):
    """A client of an app without a champion: what is tested happens before anyone decides."""
    made = create(Settings(home=Home(tmp_path / "home"), **settings), page=False)
    return TestClient(made, base_url=base, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    return client(folder, "https://credit.example", host="0.0.0.0", users=USERS, tokens=TOKENS)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return client(tmp_path_factory.mktemp("local"))


# Who


def test_nothing_but_health_and_readiness_is_open(guarded):
    """Every path that OpenAPI names, and one that it does not: a new path is closed unless someone opens it."""
    paths = guarded.get("/openapi.json", headers=basic("anna")).json()["paths"]
    opened = set()
    for path, methods in [*paths.items(), ("/openapi.json", ["get"]), ("/", ["get"]), ("/nothing", ["put"])]:
        for method in methods:
            answer = guarded.request(method, path.replace("{number}", "1"))
            if answer.status_code != 401:
                opened.add(path)
                continue
            assert answer.headers["www-authenticate"].startswith('Basic realm="credit"')
            assert answer.headers["content-type"] == "application/problem+json"
    assert opened == {"/health", "/ready"}


BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("headers", [basic("anna"), basic("bob", "battery-staple-7"), BEARER])
def test_those_who_are_known_come_in(guarded, headers):
    assert guarded.get("/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        *("", "Basic", "Basic !", "Bearer", f"Bearer {TOKEN}x", f"Bearer {PASSWORD}", f"Token {TOKEN}"),
        *(basic(*pair)["Authorization"] for pair in [("anna", "x"), ("bob",), ("", PASSWORD), ("robot", TOKEN)]),
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        basic(f"anna:{PASSWORD}", "")["Authorization"],
    ],
)
def test_those_who_are_not_known_stay_out(guarded, value):
    assert guarded.get("/metrics", headers={"Authorization": value}).status_code == 401


@given(st.text())
def test_no_header_breaks_the_check(value):
    assert Callers(USERS, TOKENS).name(value) is None


@given(st.sampled_from(["Basic ", "Bearer "]), st.binary())
def test_no_secret_breaks_the_check(scheme, value):
    assert Callers(USERS, TOKENS).name(scheme + base64.b64encode(value).decode()) is None


# From where


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "[::1]:80", "LOCALHOST:1"])
def test_this_machine_may_call_it_by_its_own_names(local, host):
    assert local.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "evil.example:7860", ""])
def test_a_name_that_was_pointed_here_is_refused(local, host):
    """DNS rebinding: a stranger's page, open in the officer's browser, calls this machine by the stranger's name."""
    assert local.get("/api/v1/decisions/1", headers={"Host": host}).status_code == 421


def test_a_container_without_passwords_answers_to_its_machine_alone(tmp_path):
    """It listens on every address of its own, and whoever published the port wider is told so."""
    made = client(tmp_path, host="0.0.0.0", open=True)
    assert made.get("/health", headers={"Host": "localhost:7860"}).status_code == 200
    for name in ("192.168.0.7:7860", "bank.example", "0.0.0.0:7860"):
        assert made.get("/health", headers={"Host": name}).status_code == 421


def test_a_server_answers_to_the_names_it_was_given(tmp_path):
    made = client(tmp_path, host="0.0.0.0", users=USERS, hosts=("credit.example",))
    assert made.get("/health", headers={"Host": "credit.example:443"}).status_code == 200
    assert made.get("/health", headers={"Host": "other.example"}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"Origin": LOCAL}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": LOCAL}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://127.0.0.1:7861"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": LOCAL}, True),
    ],
)
def test_another_site_changes_nothing(local, headers, refused):
    """A browser sends its password along with whatever another site makes it send."""
    for path in ("/api/v1/score", "/gradio_api/queue/join"):
        assert (local.post(path, json={}, headers=headers).status_code == 403) is refused
    assert local.get("/health", headers=headers).status_code == 200


# How often


def test_a_bucket_fills_at_a_steady_rate():
    now = [0.0]
    rate = Rate(2.0, lambda: now[0])
    assert [rate.wait("anna") for _ in range(5)] == [0, 0, 0, 0, 1]
    assert rate.wait("bob") == 0, "each caller has a bucket of their own"
    now[0] = 0.5
    assert [rate.wait("anna") for _ in range(2)] == [0, 1]
    now[0] = 1000.0
    assert [rate.wait("anna") for _ in range(5)] == [0, 0, 0, 0, 1]
    assert Rate(0.1, lambda: 0.0).wait("x") == 0
    assert all(Rate(0.0).wait("x") == 0 for _ in range(1000))


@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), max_size=60))
def test_no_caller_gets_more_than_the_rate_allows(rate, pauses):
    """In any stretch of time: at most what the bucket held and what has flowed in since."""
    now, taken = 0.0, 0
    bucket = Rate(rate, lambda: now)
    for pause in pauses:
        now += pause
        taken += bucket.wait("anna") == 0
        assert taken <= max(2 * rate, 1.0) + now * rate + 1e-6


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path):
    made = client(tmp_path, host="0.0.0.0", users=USERS, rate=0.5)
    first, second = (made.get("/api/v1/decisions/1", headers=basic("anna")) for _ in range(2))
    assert (first.status_code, second.status_code) == (404, 429)
    assert second.headers["retry-after"] == "2"
    assert made.get("/api/v1/decisions/1", headers=basic("bob", "battery-staple-7")).status_code == 404
    assert made.get("/health").status_code == 200


# How much


def test_guesses_are_slowed_and_those_who_are_known_are_not(tmp_path):
    """A password can be guessed only as fast as one caller may ask; a guesser shuts nobody else out."""
    guarded = client(tmp_path, rate=1, users={"anna": PASSWORD})
    tried = [guarded.get("/metrics", headers=basic("anna", f"wrong {at} guess")) for at in range(6)]
    assert [answer.status_code for answer in tried].count(429) >= 3
    assert int(tried[-1].headers["retry-after"]) >= 1
    assert guarded.get("/metrics", headers=basic("anna")).status_code == 200


def test_an_announced_body_that_is_too_large_is_not_read(tmp_path):
    made = client(tmp_path, body_mb=0.001)
    answer = made.post("/api/v1/score", content=b" " * 1001, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert "larger than 0.001 MB" in answer.json()["detail"]
    assert (
        made.post("/api/v1/score", content=b" " * 999, headers={"Content-Type": "application/json"}).status_code == 400
    )


def test_a_body_in_chunks_is_counted(tmp_path):
    """Whoever announces no length must not be able to fill the memory."""
    made, sent = client(tmp_path, body_mb=0.01), []

    def chunks():
        for _ in range(100):
            sent.append(1)
            yield b" " * 1000

    answer = made.post("/api/v1/score", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_no_more_is_read_than_allowed():
    """The count itself, without a client that may read ahead."""
    read = []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    async def work():
        counted = limits.measured(receive, 25)
        await counted()
        await counted()
        with pytest.raises(limits.HTTPException, match="larger than"):
            await counted()

    asyncio.run(work())
    assert len(read) == 3


# What every answer carries


@pytest.mark.parametrize("path", ["/health", "/ready", "/nothing", "/openapi.json", "/api/v1/decisions/x"])
def test_every_answer_is_numbered_and_closed(local, path):
    answer = local.get(path, headers={"X-Request-ID": "abc-1.2_3"})
    assert answer.headers["x-request-id"] == "abc-1.2_3"
    assert answer.headers["x-model-version"] == "none"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    if answer.status_code >= 400:
        assert answer.json()["instance"] == "urn:request:abc-1.2_3"


@pytest.mark.parametrize("asked", ["", "a b", "x" * 65, "-x", "a\tb", "<script>", '"', "é".encode()])
def test_an_id_that_is_not_sane_is_replaced(local, asked):
    """It is written into logs and answers: nothing may be smuggled in with it."""
    answer = local.get("/health", headers={"X-Request-ID": asked})
    assert len(answer.headers["x-request-id"]) == 32


def test_a_websocket_is_closed(local):
    async def work():
        sent = []

        async def send(message):
            sent.append(message)

        await guard({"type": "websocket"}, None, send)
        return sent

    guard = local.app
    assert isinstance(guard, Guard)
    assert asyncio.run(work()) == [{"type": "websocket.close", "code": 1008}]


# What the log says


def lines(caplog):
    return [json.loads(journal.Lines().format(record)) for record in caplog.records if record.name == "credit.app"]


def test_one_line_for_each_request(tmp_path, caplog):
    made = client(tmp_path, host="0.0.0.0", users=USERS)
    with caplog.at_level(logging.INFO, "credit.app"):
        made.get("/api/v1/decisions/17", headers=basic("anna") | {"X-Request-ID": "one"})
        made.get("/client/100002")
        made.request("BREW", "/health")
    first, second, third = lines(caplog)
    assert {key: first[key] for key in ("event", "id", "method", "route", "status", "caller", "model")} == {
        "event": "request",
        "id": "one",
        "method": "GET",
        "route": "/api/v1/decisions/{number}",
        "status": 404,
        "caller": "anna",
        "model": "none",
    }
    assert first["ms"] > 0
    assert first["time"].endswith("+00:00")
    assert (second["status"], second["caller"], second["route"]) == (401, None, "none"), "a path may name a client"
    assert third["method"] == "OTHER"


def test_of_an_exception_only_its_place_is_told():
    """The message of a library's exception may quote the value that it tripped over."""
    try:
        float("Dupont, born 1961")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "it failed", None, True)
        record.exc_info = __import__("sys").exc_info()
    text = journal.Lines().format(record)
    told = json.loads(text)
    assert "Dupont" not in text
    assert told["fault"] == "ValueError"
    assert told["where"][-1].endswith("test_of_an_exception_only_its_place_is_told")


def test_host_check_reads_the_header_and_no_other():
    headers = Headers({"host": "evil.example", "x-forwarded-host": "localhost"})
    assert not limits.host_known(headers, Settings())
