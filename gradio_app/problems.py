"""Errors -> problem details (RFC 9457): a status, one clear message, the list of violations, never a traceback."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from credit.errors import CreditError, DataError, ModelError, ServiceError
from gradio_app import wire
from gradio_app.desk import Desk, TooManyError
from gradio_app.schema import Problem

__all__ = ["MEDIA", "ProblemError", "documented", "problem", "refused", "unforeseen"]

MEDIA = "application/problem+json"
#: What the statuses say where nothing more is known.
DETAILS = {
    404: "There is nothing here; /openapi.json says what there is.",
    405: "This path does not know this method; /openapi.json says which it knows.",
    400: "The body cannot be read; send what /openapi.json describes.",
}


class ProblemError(Exception):
    """A request that is refused."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers


def problem(
    request_id: str,
    status: int,
    detail: str,
    violations: Iterable[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Write a problem."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{request_id}",
        "violations": list(violations),
    }
    return JSONResponse(content, status, dict(headers or {}), MEDIA)


def refused(request: Request, error: Exception) -> JSONResponse:
    """Answer for an error that was foreseen."""
    number = request.scope["state"]["id"]
    if isinstance(error, ProblemError):
        return problem(number, error.status, str(error), headers=error.headers)
    if isinstance(error, RequestValidationError):
        return _malformed(number, error)
    if isinstance(error, CreditError):
        return _credit(request, number, error)
    assert isinstance(error, HTTPException)  # noqa: S101 (these are registered, and no others)
    detail = DETAILS.get(error.status_code, str(error.detail))
    return problem(number, error.status_code, detail, headers=error.headers)


def unforeseen(request: Request, _: Exception) -> JSONResponse:
    """Answer for an error that was not; the log says where it came from."""
    number = request.scope["state"]["id"]
    return problem(number, 500, f"An unforeseen fault, and nothing was decided; the log tells more about {number}.")


def _credit(request: Request, number: str, error: CreditError) -> JSONResponse:
    desk: Desk = request.app.state.desk
    if isinstance(error, TooManyError):
        return problem(number, 413, str(error))
    if isinstance(error, DataError):
        lang = wire.language(request.scope["state"].get("language"), request.headers.get("accept-language"))
        listed = wire.violations(desk.today(), error, lang)
        return problem(number, 422, " ".join(each["message"] for each in listed), listed)
    if isinstance(error, ServiceError | ModelError):
        return problem(number, 503, str(error), headers={"Retry-After": "30"})
    return problem(number, 422, str(error))


def _malformed(number: str, error: RequestValidationError) -> JSONResponse:
    """Answer for a body that is not JSON, or not of the form that OpenAPI documents."""
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return problem(number, 400, "The body is not JSON; send what /openapi.json describes.")
    listed = [_wrong(each) for each in found]
    return problem(number, 422, " ".join(each["message"] for each in listed[:5]), listed)


def _wrong(each: Mapping[str, Any]) -> dict[str, str]:
    """Say where a body departs from the form; the same place is named once, whichever type was tried."""
    place = [str(part) for part in each["loc"] if part not in ("body", "query", "path")]
    where = ".".join(place) or "body"
    return {
        "field": where,
        "column": place[-1] if place else "",
        "rule": each["type"],
        "message": f"{where}: {each['msg']}.",
    }


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a path can answer with, for OpenAPI."""
    about = {
        400: "The body is not JSON.",
        401: "The caller did not say who they are, or nobody knows them.",
        403: "The request comes from another site.",
        404: "There is no such decision, or no such report.",
        409: "The decision cannot be overridden so.",
        413: "More than the server takes at once.",
        415: "The body is of a type that is not read here.",
        421: "The server is not called by this name.",
        422: "The application breaks rules; each one is listed.",
        429: "Too many requests; Retry-After says when to come back.",
        500: "An unforeseen fault; the log tells more.",
        503: "There is no model yet, or the ledger or the registry does not answer.",
    }
    return {status: {"description": about[status], "model": Problem} for status in sorted({*statuses})}
