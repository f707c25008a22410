"""Any request that the OpenAPI document allows, and many that it does not: the server answers as documented."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from serving_util import champion, shop_file

from credit.home import Home
from gradio_app.server import create
from gradio_app.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of what Schemathesis imports
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


OPERATIONS = [
    *(("POST", f"/api/v1/{name}") for name in ("score", "explain", "what-if", "batch", "batch/file")),
    ("GET", "/api/v1/decisions/{number}"),
    ("POST", "/api/v1/decisions/{number}/override"),
    ("GET", "/api/v1/monitoring/{flow}/{number}/report"),
    *(("GET", path) for path in ("/health", "/ready", "/metrics")),
]
LOCAL = {"Host": "127.0.0.1"}


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("schema") / "home")
    champion(home)
    app = create(Settings(home=home, portfolio=str(shop_file(home.root)), rate=0.0, rows=5), page=False)
    app.desk.champion()
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=LOCAL)


def test_every_operation_is_tried(schema):
    found = [result.ok() for result in schema.get_all_operations()]
    assert {(each.method.upper(), each.path) for each in found} == set(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_api_answers_as_documented(schema, method, path, mode):
    """Allowed requests and forbidden ones: no fault of the server, and no answer that the document does not name."""
    operation = schema[path][method]
    if mode == GenerationMode.NEGATIVE and not (operation.body or operation.path_parameters or operation.query):
        return  # nothing that could be wrong

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        case.call_and_validate(headers=LOCAL, checks=CHECKS)

    check()
