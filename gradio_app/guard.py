"""The door: every request passes here, is checked, numbered, counted and logged; knows no route and no applicant."""

import asyncio
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit.governance.ledger import actor
from gradio_app import journal, limits
from gradio_app.desk import Desk
from gradio_app.problems import problem
from gradio_app.settings import Settings

__all__ = ["OPEN", "Guard"]

#: What answers without a password.
OPEN = ("/health", "/ready")
UPLOADS = "/api/v1/batch/file"
#: Bytes that a form adds to the file in it.
WRAPPING = 100_000
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
CHALLENGE = 'Basic realm="credit", charset="UTF-8", Bearer realm="credit"'
#: Gradio's page needs its own inline scripts and styles, and nothing from outside.
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
#: A report draws itself with scripts; as it has no origin, they reach neither page nor API, and no network.
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'none'"
)
POLICIES = {"page": PAGE_POLICY, "report": REPORT_POLICY}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware around page and API.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    settings : Settings
        Who may call, and how much.
    desk : Desk
        Knows the model in use, which every answer names, and counts requests.

    Attributes
    ----------
    stop : Event or None
        Set when the server stops, so that streams that never end by themselves do.
    """

    def __init__(self, app: ASGIApp, settings: Settings, desk: Desk) -> None:
        self.app, self.settings, self.desk = app, settings, desk
        self.stop: asyncio.Event | None = None
        self._callers = limits.Callers(settings.users, settings.tokens)
        self._rate, self._guesses = limits.Rate(settings.rate), limits.Rate(settings.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":  # neither page nor API uses any
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, began = Headers(scope=scope), time.perf_counter()
        asked = headers.get("x-request-id", "")
        state = {"id": asked if SANE.fullmatch(asked) else uuid.uuid4().hex, "caller": None, "model": None}
        scope["state"] = dict(scope.get("state") or {}) | state
        answer = _Answer(scope, send, self._model)
        try:
            refusal = self._refuse(scope, headers)
            if refusal is None:
                await self.app(scope, limits.measured(receive, self._most(scope["path"])), answer)
            else:
                await refusal(scope, receive, answer)
        finally:
            self._note(scope, answer.status, time.perf_counter() - began)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """Return why a request is not let in, or None and who it is."""
        state, path, settings = scope["state"], scope["path"], self.settings
        if not limits.host_known(headers, settings):
            return problem(state["id"], 421, "The server is not called by this name; CREDIT_APP_HOSTS may name it.")
        if path in OPEN:
            return None
        state["caller"] = self._callers.name(headers.get("authorization")) if settings.guarded else actor()
        if state["caller"] is None:
            if wait := self._guesses.wait("anybody"):  # one limit for all who guess, from wherever
                return self._later(state["id"], wait)
            text = "Say who you are: a name and password (Basic) or a token (Bearer) that the server knows."
            return problem(state["id"], 401, text, headers={"WWW-Authenticate": CHALLENGE})
        if limits.from_elsewhere(scope["method"], headers, settings):
            return problem(state["id"], 403, "The request comes from another site; use the app's own page.")
        return self._excess(scope, headers)

    def _excess(self, scope: Scope, headers: Headers) -> Response | None:
        """Return why a request is too much, or None; that the page loads its own files does not count."""
        number, path = scope["state"]["id"], scope["path"]
        counted = path.startswith("/api/") or scope["method"] not in limits.SAFE
        if counted and (wait := self._rate.wait(self._who(scope))):
            return self._later(number, wait)
        most, announced = self._most(path), headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > most:
            return problem(number, 413, limits.too_large(most), headers={"Connection": "close"})
        return None

    def _later(self, number: str, wait: int) -> Response:
        text = f"More than {self.settings.rate:g} requests a second; come back in {wait} s."
        return problem(number, 429, text, headers={"Retry-After": str(wait)})

    def _who(self, scope: Scope) -> str:
        if self.settings.guarded:
            return str(scope["state"]["caller"])
        return str((scope.get("client") or ("",))[0])

    def _most(self, path: str) -> int:
        """Return how many bytes a body may have."""
        small = path.startswith("/api/") and path != UPLOADS
        return int(self.settings.body_mb * 1e6) if small else int(self.settings.upload_mb * 1e6) + WRAPPING

    def _model(self) -> str:
        identity = self.desk.serving.identity
        return f"{identity.model}/{identity.version}" if identity else "none"

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log: the route's template, never the path, which may name a client."""
        route = getattr(scope.get("route"), "path", None) or scope["state"].get("area", "none")
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self.desk.metrics.answered(route, method, status, seconds)
        state = scope["state"]
        journal.told(
            "request",
            id=state["id"],
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            caller=state["caller"],
            model=state["model"] or self._model(),
        )


METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class _Answer:
    """What goes back: it notes the status, and adds what every answer carries."""

    def __init__(self, scope: Scope, send: Send, model: Any) -> None:
        self.scope, self.send, self.model = scope, send, model
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            state, headers = self.scope["state"], MutableHeaders(scope=message)
            area = state.get("area")
            headers.update(HEADERS)
            headers["Content-Security-Policy"] = POLICIES.get(area, API_POLICY)
            headers["X-Request-ID"] = state["id"]
            headers["X-Model-Version"] = state["model"] or self.model()
            if area != "page":
                headers["Cache-Control"] = "no-store"
        await self.send(message)
