"""The server: page and API behind one door, started and stopped gracefully; decides nothing.

settings.py   options and environment, checked
desk.py       what page and API both do; batches.py, faults.py
guard.py      the door: who calls, from where, how often; limits.py, journal.py, metrics.py
api.py        the JSON API; schema.py, wire.py, problems.py
app.py        the page
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

import credit
from credit.errors import CreditError
from gradio_app import api, problems
from gradio_app.desk import Desk, open_desk
from gradio_app.guard import Guard
from gradio_app.settings import Settings

__all__ = ["create", "serve"]

ABOUT = """Credit decisions as the lender's page gives them: recorded before they are handed out, with reasons.

Errors are problem details (RFC 9457), in English or French as Accept-Language or the field `language` asks."""
#: Bytes of a request's head.
HEAD = 65_536


class Front:
    """API and page beside each other: what is not the API's is the page's."""

    def __init__(self, api: FastAPI, page: ASGIApp | None) -> None:
        self.api, self.page = api, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path = scope.get("path", "")
        own = path.startswith("/api/") or path in ("/health", "/ready", "/metrics", "/openapi.json")
        if self.page is None or own or scope["type"] == "lifespan":
            await self.api(scope, receive, send)
        else:
            scope["state"]["area"] = "page"
            await self.page(scope, receive, send)


def create(settings: Settings, desk: Desk | None = None, *, page: bool = True) -> Guard:
    """Make the ASGI application.

    Parameters
    ----------
    settings : Settings
        How it runs.
    desk : Desk, optional
        Default: one as the settings say.
    page : bool
        Whether the page is there, or the API alone.

    Returns
    -------
    Guard
        With all that it guards.
    """
    desk = desk or open_desk(settings)
    beside = _page(settings, desk) if page else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with desk.serving.watching():
            if beside is None:
                yield
            else:
                async with beside.router.lifespan_context(beside):
                    yield

    app = FastAPI(
        title="Prêt à dépenser",
        description=ABOUT,
        version=credit.__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.desk = desk
    app.include_router(api.router)
    app.include_router(api.reports)
    app.include_router(api.probes)
    app.openapi = api.document(app, settings.guarded)  # type: ignore[method-assign]
    for kind in (HTTPException, RequestValidationError, CreditError, problems.ProblemError):
        app.add_exception_handler(kind, problems.refused)
    app.add_exception_handler(Exception, problems.unforeseen)
    guard = Guard(Front(app, beside), settings, desk)
    if beside is not None:
        mounted: Any = next(route.app for route in beside.routes if isinstance(route, Mount))
        guard.stop = mounted.stop_event
    return guard


def _page(settings: Settings, desk: Desk) -> FastAPI:
    import gradio as gr  # noqa: PLC0415 (seconds, and the API does without)

    from gradio_app import app  # noqa: PLC0415

    whole: FastAPI = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        app.build(desk, settings),
        path="/",
        server_name=settings.host,
        auth_dependency=lambda request: request.scope["state"]["caller"],
        max_file_size=int(settings.upload_mb * 1e6),
        ssr_mode=False,
        enable_monitoring=False,
        **app.look(),
    )
    return whole


class _Server(uvicorn.Server):
    """Uvicorn that leaves with 0 after a graceful stop, and lets go of the page's heartbeats at once."""

    def __init__(self, config: uvicorn.Config, guard: Guard) -> None:
        super().__init__(config)
        self.guard = guard

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second Ctrl-C does not wait."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop taking requests, tell open streams, wait for requests under way."""
        if self.guard.stop:
            self.guard.stop.set()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    os.environ.setdefault("GRADIO_TEMP_DIR", str(settings.home.root / "uploads"))
    guard = create(settings)
    config = uvicorn.Config(
        guard,
        settings.host,
        settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.stop_seconds,
        h11_max_incomplete_event_size=HEAD,
        http="h11",
        ws="none",
    )
    _Server(config, guard).run()
