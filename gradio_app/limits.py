"""Who calls, from where, how often, and with how much; knows no application and answers nothing."""

import base64
import hmac
import math
import re
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from threading import Lock
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from gradio_app.settings import Settings, is_loopback

__all__ = ["Callers", "Rate", "from_elsewhere", "host_known", "measured"]

SAFE = ("GET", "HEAD", "OPTIONS")


class Callers:
    """Those who may call, and how they show who they are: people by name and password, machines by a token."""

    def __init__(self, users: Mapping[str, str], tokens: Mapping[str, str]) -> None:
        self._people = {_digest(f"{name}:{secret}"): name for name, secret in users.items()}
        self._machines = {_digest(secret): name for name, secret in tokens.items()}

    def name(self, authorization: str | None) -> str | None:
        """Return who sends this ``Authorization`` header; None if nobody who is known."""
        scheme, _, rest = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            return _find(self._machines, rest.strip())
        if scheme.lower() == "basic":
            try:
                return _find(self._people, base64.b64decode(rest.strip(), validate=True).decode())
            except ValueError:  # neither base64 nor UTF-8
                return None
        return None


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="surrogateescape")).digest()


def _find(known: Mapping[bytes, str], text: str) -> str | None:
    """Compare with every one in constant time, so that the time tells nothing of how near a guess was."""
    given, found = _digest(text), None
    for digest, name in known.items():
        if hmac.compare_digest(digest, given):
            found = name
    return found


class Rate:
    """How often each caller may ask: a bucket of tokens that fills at a steady rate.

    Parameters
    ----------
    rate : float
        Requests a second in the long run; twice as many, and at least one, at once.  0 sets no limit.
    clock : callable
        Seconds from any beginning.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.clock, self.size = rate, clock, max(2 * rate, 1.0)
        self._held: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def wait(self, caller: str) -> int:
        """Take a token; return 0, or after how many whole seconds there will be one."""
        if not self.rate:
            return 0
        with self._lock:
            now = self.clock()
            tokens, since = self._held.get(caller, (self.size, now))
            tokens = min(self.size, tokens + (now - since) * self.rate)
            taken = tokens >= 1
            self._held[caller] = (tokens - taken, now)
        return 0 if taken else max(1, math.ceil((1 - tokens) / self.rate))


def host_known(headers: Headers, settings: Settings) -> bool:
    """Whether the server may be called by this name.

    Without passwords it answers only to this machine's own names: a page elsewhere that lets its own name point here
    (DNS rebinding) would be a stranger at the desk.
    """
    name = _without_port(headers.get("host", ""))
    if settings.hosts:
        return name in settings.hosts
    return settings.guarded or is_loopback(name)


def from_elsewhere(method: str, headers: Headers, settings: Settings) -> bool:
    """Whether a browser says that another site is behind a request that may change something."""
    if method in SAFE:
        return False
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return True
    if origin is None:
        return False
    place = urlsplit(origin).netloc.lower()
    return place != headers.get("host", "").lower() and _without_port(place) not in settings.hosts


def _without_port(host: str) -> str:
    return re.sub(r":\d*$", "", host.strip().lower()).strip("[]")


def measured(receive: Receive, most: int) -> Receive:
    """Count a body as it comes, announced or in chunks, and break off where it is too long."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, too_large(most))
        return message

    return counted


def too_large(most: int) -> str:
    """Say that a body is too large."""
    return f"The body is larger than {most / 1e6:g} MB; send less, or raise CREDIT_APP_BODY_MB or CREDIT_APP_UPLOAD_MB."
