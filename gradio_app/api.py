"""The JSON API: paths to the desk; decides and checks nothing itself."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, File, Query, Request, UploadFile
from fastapi import Path as InPath
from fastapi.openapi.utils import get_openapi
from starlette.responses import FileResponse, Response

from credit.errors import ConfigError, DataError
from credit.governance.records import Recorded
from credit.monitoring.archive import Archive
from credit.portfolio import Language
from credit.scoring.decider import Decision, Identity
from gradio_app import schema, wire
from gradio_app.batches import SUFFIXES
from gradio_app.desk import Case, Desk
from gradio_app.problems import MEDIA, ProblemError, documented
from gradio_app.schema import Applicant, Batch, Override

__all__ = ["document", "probes", "reports", "router"]

CHANNEL = "api"
#: What any path of the API can answer with.
ANY = (401, 403, 421, 422, 429, 500, 503)
BODY = (400, 413, 415)
Number = Annotated[int, InPath(ge=1, le=2**53, description="The decision's number in the ledger.")]


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _caller(request: Request) -> str:
    return str(request.state.caller)


def _json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ProblemError(415, "The body must be JSON; send it with Content-Type: application/json.")


def _form(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ProblemError(415, "The body must be a form with a file; send it as multipart/form-data, field `file`.")


At = Annotated[Desk, Depends(_desk)]
By = Annotated[str, Depends(_caller)]
JSON = [Depends(_json)]
TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
router = APIRouter(prefix="/api/v1", tags=["decisions"])
reports = APIRouter(prefix="/api/v1/monitoring", tags=["monitoring"])
probes = APIRouter(tags=["operation"])


def _speak(request: Request, asked: Language | None) -> Language:
    """Choose the language of the answer, of errors too."""
    request.state.language = asked
    return wire.language(asked, request.headers.get("accept-language"))


def _used(request: Request, identity: Identity) -> None:
    """Let the answer's headers name the model that made it, should another be champion by now."""
    request.state.model = wire.named(identity)


def _decide(request: Request, sent: Applicant, desk: Desk, by: str) -> tuple[int, Decision, Language]:
    lang = _speak(request, sent.language)
    number, decision = desk.decide(sent.application, sent.history, by=by, channel=CHANNEL)
    _used(request, decision.identity)
    return number, decision, lang


def _found(desk: Desk, number: int) -> Recorded:
    try:
        return desk.find(number)
    except DataError as error:
        raise ProblemError(404, f"decision {number}: there is no such decision.") from error


@router.post("/score", dependencies=JSON, responses=documented(*ANY, *BODY))
def score(sent: Applicant, request: Request, desk: At, by: By) -> schema.Scored:
    """Decide on one applicant, and record the decision."""
    number, decision, lang = _decide(request, sent, desk, by)
    return schema.Scored.model_validate(wire.scored(number, decision, lang))


@router.post("/explain", dependencies=JSON, responses=documented(*ANY, *BODY))
def explain(sent: Applicant, request: Request, desk: At, by: By) -> schema.Explained:
    """Decide on one applicant, record the decision, and take the score apart."""
    number, decision, lang = _decide(request, sent, desk, by)
    return schema.Explained.model_validate(wire.explained(number, decision, desk.champion()[1], lang))


@router.post("/what-if", dependencies=JSON, responses=documented(*ANY, *BODY))
def what_if(sent: Applicant, request: Request, desk: At) -> schema.WhatIfAnswer:
    """Find the smallest changes that change the decision; nothing is decided, and nothing recorded."""
    lang = _speak(request, sent.language)
    identity = desk.champion()[1].identity
    found = desk.what_if(sent.application, sent.history)
    _used(request, identity)
    return schema.WhatIfAnswer.model_validate(wire.what_if(found, identity, lang))


@router.post("/batch", dependencies=JSON, responses=documented(*ANY, *BODY))
def batch(sent: Batch, request: Request, desk: At, by: By) -> schema.BatchAnswer:
    """Decide on many applicants, and record all decisions in one transaction; a fault of one stops no other."""
    lang = _speak(request, sent.language)
    cases = [Case(each.application, each.history) for each in sent.applicants]
    outcomes = desk.decide_all(cases, by=by, channel=CHANNEL)
    langs = [each.language or lang for each in sent.applicants]
    return schema.BatchAnswer.model_validate(wire.batch(outcomes, desk.today(), langs))


@router.post("/batch/file", dependencies=[Depends(_form)], responses=documented(*ANY, *BODY))
def batch_file(
    request: Request,
    desk: At,
    by: By,
    file: Annotated[UploadFile, File(description="CSV (UTF-8) or Parquet; columns as in the main table.")],
    history: Annotated[
        Literal["none", "known"], Query(description="Whether to look up the history of existing clients.")
    ] = "none",
) -> schema.BatchAnswer:
    """Decide on a file of applicants, as on a batch."""
    lang = _speak(request, None)
    suffix = Path(file.filename or "").suffix.lower()
    if suffix not in SUFFIXES:
        raise ProblemError(415, "The file's name ends neither in .csv nor in .parquet; send one of the two.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix}"
        with path.open("wb") as copy:
            while block := file.file.read(1 << 20):
                copy.write(block)
        cases, unused = desk.cases(path, history)
    outcomes = desk.decide_all(cases, by=by, channel=CHANNEL)
    return schema.BatchAnswer.model_validate(wire.batch(outcomes, desk.today(), [lang] * len(cases), unused))


@router.get("/decisions/{number}", responses=documented(*ANY, 404))
def decision(number: Number, desk: At) -> schema.Record:
    """Return a decision as it was recorded, and what followed."""
    return schema.Record.model_validate(wire.record(_found(desk, number)))


@router.post("/decisions/{number}/override", dependencies=JSON, responses=documented(*ANY, *BODY, 404, 409))
def override(number: Number, sent: Override, desk: At, by: By) -> schema.Overridden:
    """Set a decision aside, with a reason; recorded under the caller's name."""
    found = _found(desk, number)
    try:
        event = desk.override(found.id, sent.to, sent.reason, by=by)
    except (ConfigError, DataError) as error:
        raise ProblemError(409, str(error)) from error
    return schema.Overridden(event=event, decision_id=number, to=sent.to, by=by)


@reports.get(
    "/{flow}/{number}/report",
    response_class=FileResponse,
    responses=documented(*ANY, 404) | {200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def report(
    request: Request,
    desk: At,
    flow: Annotated[str, InPath(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)],
    number: Annotated[str, InPath(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)],
) -> FileResponse:
    """Return the report of a monitoring run, a page whose scripts can reach nothing."""
    found = Archive(desk.serving.registry.home, desk.book.name).report(f"{flow}/{number}")
    if found is None:
        raise ProblemError(404, f"run {flow}/{number}: there is no report of it.")
    request.state.area = "report"
    return FileResponse(found, media_type="text/html")


@probes.get("/health", responses=documented(421))
def health() -> schema.Alive:
    """Say that the process answers."""
    return schema.Alive()


@probes.get("/ready", responses=documented(421, 503))
def ready(desk: At) -> schema.Ready:
    """Say whether decisions can be made: there is a champion, and the ledger answers."""
    identity = desk.champion()[1].identity
    _ = desk.records.ledger.head
    return schema.Ready(model=schema.Model.model_validate(wire.model(identity)), trouble=desk.serving.trouble)


@probes.get("/metrics", response_class=Response, responses=documented(401, 421, 429) | TEXT)
def metrics(desk: At) -> Response:
    """Return the counters in Prometheus' text format."""
    identity = desk.serving.identity
    model = (identity.model, identity.version, identity.digest) if identity else None
    return Response(desk.metrics.text(model, bool(desk.serving.trouble)), media_type=desk.metrics.media_type)


def document(app: FastAPI, guarded: bool) -> Callable[[], dict[str, Any]]:
    """Return what makes the OpenAPI document: FastAPI's own, with problems as such, and who may call."""

    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            operations = [one for path in found["paths"].values() for one in path.values()]
            for answers in (one["responses"] for one in operations):
                for status, answer in answers.items():
                    if int(status) >= 400:
                        answer["content"] = {MEDIA: answer["content"].pop("application/json")}
            if guarded:
                schemes = {name: {"type": "http", "scheme": name} for name in ("basic", "bearer")}
                found["components"]["securitySchemes"] = schemes
                found["security"] = [{name: []} for name in schemes]
                for path in ("/health", "/ready"):
                    found["paths"][path]["get"]["security"] = []
            app.openapi_schema = found
        return app.openapi_schema

    return made
