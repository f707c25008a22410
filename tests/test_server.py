"""The JSON API on a real champion: what it answers, how it refuses, and that no log line tells of an applicant."""

import json
import logging
from pathlib import Path

import pandas as pd
import pytest
from learning import open_sales
from serving_util import APPLICANT, RISKY, champion, second_champion, shop_file
from starlette.testclient import TestClient

from credit.errors import ServiceError
from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.home import Home
from gradio_app import journal
from gradio_app.desk import open_desk
from gradio_app.server import create
from gradio_app.settings import Settings

SECRETS = {"host": "0.0.0.0", "users": {"anna": "correct-horse-9"}, "rate": 0.0}
PEOPLE = ("anna", "correct-horse-9")


def client(home, base="http://127.0.0.1", **settings):
    given = {"home": home, "portfolio": str(shop_file(home.root)), "rows": 50, "rate": 0.0}
    made = create(Settings(**given | settings), page=False)
    return TestClient(made, base_url=base, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("server") / "home")
    champion(made)
    return made


@pytest.fixture(scope="module")
def api(home):
    with client(home, **SECRETS) as made:
        made.auth = PEOPLE
        yield made


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return client(Home(tmp_path_factory.mktemp("empty")))


def score(api, application=RISKY, **more):
    return api.post("/api/v1/score", json={"application": application, **more})


def is_problem(answer, status):
    told = answer.json()
    return (
        answer.status_code == status == told["status"]
        and answer.headers["content-type"] == "application/problem+json"
        and told["instance"] == f"urn:request:{answer.headers['x-request-id']}"
        and bool(told["detail"])
        and "Traceback" not in answer.text
    )


# Decisions


def test_score_says_what_the_scorer_says_and_the_ledger_keeps(api, home):
    answer = score(api)
    assert answer.status_code == 200
    told = answer.json()
    decision = api.app.desk.champion()[1].decide(RISKY)
    assert told["probability"] == decision.probability, "JSON keeps every bit"
    assert (told["decision"], told["band"], told["threshold"]) == (decision.decision, decision.band, decision.threshold)
    assert told["expected_costs"] == decision.costs
    assert told["feature_hash"] == decision.feature_hash
    assert [each["code"] for each in told["reasons"]] == [each.code for each in decision.reasons]
    assert answer.headers["x-model-version"] == "credit-shop/1"
    assert told["model"] == {"name": "credit-shop", "version": 1, "digest": decision.identity.digest}
    kept = Records(Ledger(home.ledger_url)).find(told["decision_id"])
    assert (kept.by, kept.channel, kept.application) == ("anna", "api", RISKY)
    assert kept.probability == decision.probability
    again = api.get(f"/api/v1/decisions/{told['decision_id']}").json()
    assert (again["by"], again["probability"], again["application"]) == ("anna", decision.probability, RISKY)


def test_reasons_come_in_the_language_asked(api):
    texts = {
        (field, header): score(api, language=field)
        if header is None
        else api.post("/api/v1/score", json={"application": RISKY}, headers={"Accept-Language": header})
        for field, header in [("en", None), ("fr", None), (None, "fr-CH, fr;q=0.9, en;q=0.8"), (None, "en-GB,fr;q=0.1")]
    }
    spoken = {key: answer.json()["reasons"][0]["text"] for key, answer in texts.items()}
    assert spoken["fr", None] == spoken[None, "fr-CH, fr;q=0.9, en;q=0.8"]
    assert spoken["en", None] == spoken[None, "en-GB,fr;q=0.1"]
    assert spoken["fr", None] != spoken["en", None]


def test_explain_takes_the_whole_score_apart(api):
    told = api.post("/api/v1/explain", json={"application": RISKY}).json()
    parts = told["explanation"]
    for name in ("concepts", "features"):
        assert sum(each["log_odds"] for each in parts[name]) == pytest.approx(parts["raw"] - parts["base"], abs=1e-6)
        way = parts["probability"] - parts["base_probability"]
        assert sum(each["probability"] for each in parts[name]) == pytest.approx(way, abs=1e-6)
    assert parts["probability"] == told["probability"]
    assert {each["label"] for each in parts["concepts"]} == {"Money", "Person"}
    assert api.get(f"/api/v1/decisions/{told['decision_id']}").status_code == 200, "a decision told is on record"


def test_what_if_proposes_what_the_scorer_confirms(api):
    """An applicant who asks for a little too much: what is proposed is scored, and comes out as promised."""
    base = APPLICANT | {"client": 6000, "score": 0.6}
    asked = (base | {"amount": amount} for amount in range(1500, 50, -25))
    near = next(each for each in asked if score(api, each).json()["decision"] == "decline")
    before = len(api.app.desk.records.ledger.events("decision"))
    told = api.post("/api/v1/what-if", json={"application": near}).json()
    assert told["decision"] == "decline"
    assert len(api.app.desk.records.ledger.events("decision")) == before, "a what-if is no decision"
    for proposal in told["proposals"]:
        changed = near | {change["column"]: change["then"] for change in proposal["changes"]}
        confirmed = score(api, changed).json()
        assert confirmed["probability"] == proposal["probability"]
        assert confirmed["decision"] == proposal["decision"] != "decline"
    assert told["proposals"] or told["note"]


def test_batch_decides_each_as_alone(api):
    bad = RISKY | {"client": 7003, "kind": "barter"}
    sent = [{"application": APPLICANT}, {"application": bad, "language": "fr"}, {"application": RISKY}]
    told = api.post("/api/v1/batch", json={"applicants": sent}).json()
    assert (told["scored"], told["rejected"]) == (2, 1)
    assert [item["row"] for item in told["items"]] == [1, 2, 3]
    for item, application in ((told["items"][0], APPLICANT), (told["items"][2], RISKY)):
        alone = score(api, application).json()
        assert {**item["decision"], "decision_id": 0} == {**alone, "decision_id": 0}
    [violation] = told["items"][1]["violations"]
    assert (violation["column"], violation["rule"]) == ("kind", "unknown level")
    assert "valeur inconnue" in violation["message"]
    assert told["items"][1]["decision"] is None


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_is_decided_as_a_batch(api, tmp_path, suffix):
    rows = open_sales(6).assign(client=range(8001, 8007), phone=1.0, odd="x")
    path = tmp_path / f"a{suffix}"
    rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path, index=False)
    with path.open("rb") as file:
        told = api.post("/api/v1/batch/file?history=known", files={"file": (path.name, file)}).json()
    assert told["scored"] + told["rejected"] == 6
    assert told["scored"] > 0
    assert told["unused"] == ["odd"]
    for item in told["items"]:
        row = rows.iloc[item["row"] - 1].drop("odd").to_dict()
        alone = score(api, {name: None if pd.isna(value) else value for name, value in row.items()})
        assert (item["decision"] is not None) == (alone.status_code == 200)
        if item["decision"]:
            assert item["decision"]["probability"] == alone.json()["probability"]


def test_an_override_has_a_reason_and_a_name(api):
    number = score(api).json()["decision_id"]
    path = f"/api/v1/decisions/{number}/override"
    assert is_problem(api.post(path, json={"to": "approve"}), 422)
    assert is_problem(api.post(path, json={"to": "approve", "reason": "  "}), 422)
    assert is_problem(api.post(path, json={"to": "review", "reason": "x"}), 422)
    told = api.post(path, json={"to": "approve", "reason": "payslip seen"}).json()
    assert (told["decision_id"], told["to"], told["by"]) == (number, "approve", "anna")
    found = api.get(f"/api/v1/decisions/{number}").json()
    assert (found["overridden"]["reason"], found["overridden"]["by"]) == ("payslip seen", "anna")
    assert found["decision"] == "decline", "what the model said stays on record"
    assert is_problem(api.post(path, json={"to": "approve", "reason": "again"}), 409)


# Refusals


@pytest.mark.parametrize(
    ("application", "columns"),
    [
        ({}, {"client", "phone"}),
        (RISKY | {"amount": -1, "kind": "barter"}, {"amount", "kind"}),
        (RISKY | {"amount": "much"}, {"amount"}),
        (RISKY | {"score": 1e300}, {"score"}),
        (RISKY | {"client": True}, {"client"}),
        (RISKY | {"phone": None}, {"phone"}),
        (RISKY | {"months": 10**400}, {"months"}),
    ],
)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_violation_is_listed_in_the_language_asked(api, application, columns, language):
    answer = score(api, application, language=language)
    assert is_problem(answer, 422)
    listed = answer.json()["violations"]
    assert {each["column"] for each in listed} == columns
    labels = {name: getattr(column.label, language) for name, column in api.app.desk.book.columns.items()}
    assert all(each["field"] == labels[each["column"]] and each["message"] for each in listed)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 422),
        (b"{", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"application": []}', "application/json", 422),
        (b'{"application": {"amount": [1]}}', "application/json", 422),
        (b'{"application": {"amount": NaN}}', "application/json", 422),
        (b'{"application": {"amount": 1e999}}', "application/json", 422),
        (b'{"application": {"kind": "\\ud800"}}', "application/json", 422),
        (b'{"application": {"\\ud800": 1}}', "application/json", 422),
        (b'{"application": {}, "history": {"\\ud800": []}}', "application/json", 422),
        (b'{"application": {}, "language": "de"}', "application/json", 422),
        (b'{"application": {}, "sex": "f"}', "application/json", 422),
        (b'{"application": {"no such": 1}}', "application/json", 422),
        (b'{"application": {}, "history": {"no such": []}}', "application/json", 422),
        (json.dumps({"application": {"kind": "x" * 1001}}).encode(), "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"a,b", "text/csv", 415),
    ],
)
def test_a_bad_body_is_one_clear_problem(api, body, kind, status):
    for path in ("score", "explain", "what-if"):
        assert is_problem(api.post(f"/api/v1/{path}", content=body, headers={"Content-Type": kind}), status)


def test_other_refusals(api):
    assert is_problem(api.get("/api/v1/decisions/999999"), 404)
    assert is_problem(api.get("/api/v1/decisions/1"), 404), "the ledger's other events are no decisions"
    assert is_problem(api.get("/api/v1/decisions/0"), 422)
    assert is_problem(api.get("/api/v1/decisions/x"), 422)
    assert is_problem(api.get("/api/v1/decisions/99999999999999999999999"), 422)
    assert is_problem(api.post("/api/v1/decisions/999999/override", json={"to": "approve", "reason": "x"}), 404)
    assert is_problem(api.get("/api/v1/score"), 405)
    assert is_problem(api.get("/api/v2/score"), 404)
    assert is_problem(api.get("/docs"), 404)
    assert is_problem(api.post("/api/v1/batch", json={"applicants": []}), 422)
    assert is_problem(api.post("/api/v1/batch", json={"applicants": [{"application": RISKY}] * 51}), 413)
    assert is_problem(api.post("/api/v1/batch/file", files={"file": ("a.xlsx", b"PK")}), 415)
    assert is_problem(api.post("/api/v1/batch/file", content=b"a,b"), 415)
    assert is_problem(api.post("/api/v1/batch/file", files={"other": ("a.csv", b"a")}), 422)
    assert is_problem(api.post("/api/v1/batch/file", files={"file": ("a.csv", b"\xff\xfe")}), 422)
    assert is_problem(api.post("/api/v1/batch/file?history=all", files={"file": ("a.csv", b"client\n1")}), 422)


def test_no_champion_is_said_and_so_is_the_remedy(empty):
    sent = {"json": {"application": APPLICANT}}
    answers = [
        *(empty.post(f"/api/v1/{path}", **sent) for path in ("score", "explain", "what-if")),
        empty.post("/api/v1/batch", json={"applicants": [sent["json"]]}),
        empty.post("/api/v1/batch/file", files={"file": ("a.csv", b"client\n1")}),
        empty.get("/ready"),
    ]
    for answer in answers:
        assert is_problem(answer, 503)
        assert "python flows/training.py run" in answer.json()["detail"]
        assert answer.headers["retry-after"]
    assert empty.get("/health").json() == {"status": "alive"}
    assert "credit_model_info{" not in empty.get("/metrics").text


def test_no_record_no_decision(home, tmp_path):
    """The ledger cannot be written: the caller gets an error, and neither probability nor decision."""
    (tmp_path / "ledger.db").mkdir()
    made = client(Home(home.root, ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}"))
    for answer in (score(made), made.post("/api/v1/batch", json={"applicants": [{"application": RISKY}]})):
        assert is_problem(answer, 503)
        assert "probability" not in answer.text
    assert is_problem(made.get("/ready"), 503)
    assert "credit_ledger_failures_total 2.0" in made.get("/metrics").text


# What the operator sees


def test_ready_names_the_model_and_the_trouble(home):
    made = client(home)
    told = made.get("/ready").json()
    assert (told["model"]["version"], told["trouble"]) == (1, "")
    made.app.desk.serving.registry.champion = unreachable
    made.app.desk.serving.look()
    told = made.get("/ready").json()
    assert (told["status"], told["trouble"]) == ("ready", "the registry does not answer")
    assert score(made).status_code == 200
    assert "credit_registry_up 0.0" in made.get("/metrics").text


def unreachable():
    raise ServiceError("the registry does not answer")


def test_metrics_count(home):
    made = client(home)
    score(made)
    score(made, RISKY | {"amount": -1, "kind": "barter"})
    made.post("/api/v1/batch", json={"applicants": [{"application": RISKY}, {"application": APPLICANT}]})
    made.get("/api/v1/decisions/424242")
    lines = made.get("/metrics").text.splitlines()
    digest = made.app.desk.serving.identity.digest
    for line in (
        'credit_decisions_total{channel="api",decision="decline"} 2.0',
        'credit_decisions_total{channel="api",decision="approve"} 1.0',
        'credit_rejects_total{rule="out of range"} 1.0',
        'credit_rejects_total{rule="unknown level"} 1.0',
        'credit_http_requests_total{method="POST",route="/api/v1/score",status="200"} 1.0',
        'credit_http_requests_total{method="POST",route="/api/v1/score",status="422"} 1.0',
        'credit_http_requests_total{method="GET",route="/api/v1/decisions/{number}",status="404"} 1.0',
        'credit_http_request_seconds_count{route="/api/v1/score"} 2.0',
        f'credit_model_info{{digest="{digest}",model="credit-shop",version="1"}} 1.0',
        "credit_registry_up 1.0",
    ):
        assert line in lines


def test_a_new_champion_answers_without_a_restart(tmp_path):
    home = Home(tmp_path / "home")
    champion(home)
    made = client(home)
    assert score(made).headers["x-model-version"] == "credit-shop/1"
    second_champion(home)
    made.app.desk.serving.look()
    answer = score(made)
    assert (answer.headers["x-model-version"], answer.json()["model"]["version"]) == ("credit-shop/2", 2)
    Registry("shop", home).rollback(reason="a test wants it")
    made.app.desk.serving.look()
    assert score(made).headers["x-model-version"] == "credit-shop/1"


MARKED = {
    **RISKY,
    "client": 73219184,
    "town": "Zyxwville-sur-Mer",
    "amount": 98765.43,
    "score": 0.123456789,
    "months": 117,
}


@pytest.mark.parametrize("spoilt", [{}, {"amount": -98765.43}, {"kind": "qwertz"}, {"score": "Zyxwville"}, {"zork": 1}])
def test_no_log_line_tells_of_an_applicant(api, caplog, capfd, spoilt):
    """Logs go to people and places that may not know who asked for credit; also when something goes wrong."""
    application = MARKED | spoilt
    with caplog.at_level(logging.DEBUG):
        score(api, application)
        api.post("/api/v1/batch", json={"applicants": [{"application": application}]})
        api.get("/client/73219184?town=Zyxwville")
    text = "\n".join(journal.Lines().format(each) for each in caplog.records if heard(each)) + capfd.readouterr().err
    assert text.count('"event": "request"') >= 3
    for value in ("73219184", "Zyxwville", "98765", "0.123456789", "qwertz"):
        assert value not in text


def heard(record):
    """Whether the server lets a record through, as `journal.configure` sets the levels."""
    names = [name for name in journal.LEVELS if not name or record.name == name or record.name.startswith(f"{name}.")]
    return record.levelno >= journal.LEVELS[max(names, key=len)]


def test_an_unforeseen_fault_tells_nothing(home, caplog):
    """A bug, planted where every decision passes: a problem with a number, and a log without the value."""
    made = client(home)
    decider = made.app.desk.champion()[1]
    decider.decide = lambda application, history: int(f"not a number: {application['town']}")
    with caplog.at_level(logging.INFO):
        answer = score(made, MARKED)
    assert is_problem(answer, 500)
    assert "Zyxwville" not in answer.text
    text = "\n".join(journal.Lines().format(each) for each in caplog.records)
    assert answer.headers["x-request-id"] in text
    assert "Zyxwville" not in text


def test_the_page_and_the_api_share_the_desk(home):
    """One door, one desk, one set of counters: no second way to a decision."""
    settings = Settings(home=home, portfolio=str(shop_file(home.root)))
    desk = open_desk(settings)
    made = TestClient(create(settings, desk, page=False), base_url="http://127.0.0.1")
    number = score(made).json()["decision_id"]
    assert desk.find(number).client == "5002"
    desk.decide(APPLICANT, by="anna", channel="page")
    assert 'credit_decisions_total{channel="page",decision="approve"} 1.0' in made.get("/metrics").text


def test_openapi_is_whole(api):
    """Who reads the document alone must know each path, each way to be refused, and who may call."""
    told = api.get("/openapi.json").json()
    assert set(told["paths"]) == {
        *(f"/api/v1/{path}" for path in ("score", "explain", "what-if", "batch", "batch/file", "decisions/{number}")),
        "/api/v1/decisions/{number}/override",
        "/api/v1/monitoring/{flow}/{number}/report",
        *("/health", "/ready", "/metrics"),
    }
    assert set(told["components"]["securitySchemes"]) == {"basic", "bearer"}
    for path, methods in told["paths"].items():
        for operation in methods.values():
            assert operation["description"]
            for status, answer in operation["responses"].items():
                assert (int(status) < 400) or list(answer["content"]) == ["application/problem+json"]
            if path.startswith("/api/"):
                assert {"401", "403", "422", "429", "503"} <= operation["responses"].keys()
    assert "swagger" not in json.dumps(told).lower()
    assert Path(told["info"]["title"]).name == "Prêt à dépenser"
