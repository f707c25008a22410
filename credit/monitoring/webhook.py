"""Tells a receiver how a run ended: one POST of JSON, tried a few times; knows nothing of what it says."""

import json
import logging
import math
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from urllib3 import HTTPConnectionPool, Retry, Timeout, connection_from_url, exceptions
from urllib3.util import Url, parse_url

from credit.console import log
from credit.errors import ConfigError

__all__ = ["check", "longest", "notify"]

RETRIED = frozenset({429, *range(500, 600)})
#: Seconds before the third try; twice that before the fourth, and so on up to PAUSE; none before the second.
BACKOFF = 1.0
#: The longest pause between two tries in seconds; what a Retry-After asks for is not waited for.
PAUSE = 3
#: urllib3 writes the whole address here, and secrets may be part of it.
TALKATIVE = ("urllib3.connectionpool", "urllib3.util.retry")
REMEDY = "(the address is not shown, it may hold secrets); give one such as https://host/path."
WORDS = (
    (exceptions.NameResolutionError, "the host's name is not known"),
    (exceptions.NewConnectionError, "no connection"),
    (exceptions.ConnectTimeoutError, "no connection in time"),
    (exceptions.ReadTimeoutError, "no answer in time"),
    (exceptions.SSLError, "the certificate or the encryption was not accepted"),
    (exceptions.ProtocolError, "the connection broke off, or what came is no HTTP"),
)


def notify(
    url: str, message: Mapping[str, Any], *, token: str = "", timeout: float = 5.0, tries: int = 4
) -> dict[str, Any]:
    """Post a message as JSON; a receiver that is away or refuses is reported, and stops nothing.

    Tried again after 429, any 5xx and a broken or refused connection, so that the receiver may get the same
    message twice. Redirects are not followed. Returns after at most `longest` seconds, 29 as it comes. Host and
    port are all that is logged of the address: the rest of it may be secret.

    Parameters
    ----------
    url : str
        Where to; ``https://user:password@host/path`` sends basic authentication.
    message : mapping
        What to say; nothing personal.
    token : str
        Sent as ``Authorization: Bearer``.
    timeout : float
        Seconds a try may take.
    tries : int
        At most so many.

    Returns
    -------
    dict
        ``delivered``; ``attempts``; ``status`` of the last try's answer, None if none came; ``error``, empty
        where delivered; ``seconds``.

    Raises
    ------
    ConfigError
        If an argument is wrong; nothing is sent then.
    ValueError
        If the message has no form in JSON, as NaN has none.
    """
    address, headers = _checked(url, token, timeout, tries)
    body = json.dumps(dict(message), allow_nan=False).encode()
    place = Url(address.scheme, host=address.host, port=address.port).url
    pool = connection_from_url(place, timeout=Timeout(total=timeout), retries=_retries(tries))
    answer: dict[str, Any] = {}
    began = time.perf_counter()
    work = threading.Thread(target=_post, args=(pool, address.request_uri, body, headers, answer), daemon=True)
    work.start()
    work.join(longest(timeout, tries))  # urllib3 limits each read, not how many there are, nor the search for a name
    late = {"status": None, "error": f"no whole answer within {longest(timeout, tries):g} s"}
    end = late if work.is_alive() else answer
    status, error, seconds = end["status"], end["error"], round(time.perf_counter() - began, 3)
    if error:
        log.warning("webhook %s: not delivered: %s; attempts: %d, %.1f s.", place, error, pool.num_requests, seconds)
    return {
        "delivered": not error,
        "attempts": pool.num_requests,
        "status": status,
        "error": error,
        "seconds": seconds,
    }


def check(url: str) -> None:
    """Refuse an address that nothing can be sent to.

    Raises
    ------
    ConfigError
        If it has no http or https, no host, or cannot be read; it is not shown.
    """
    _address(url)


def longest(timeout: float = 5.0, tries: int = 4) -> float:
    """Return the seconds after which `notify` gives up, whatever the receiver does."""
    return tries * timeout + (tries - 1) * PAUSE


def _retries(tries: int) -> Retry:
    return Retry(
        total=tries - 1,
        redirect=False,
        allowed_methods=None,
        status_forcelist=RETRIED,
        backoff_factor=BACKOFF / 2,  # urllib3 doubles it before its first use
        backoff_max=PAUSE,
        respect_retry_after_header=False,  # it may ask for hours
        raise_on_status=False,
    )


def _post(pool: HTTPConnectionPool, path: str, body: bytes, headers: dict[str, str], answer: dict[str, Any]) -> None:
    """Send, and note in `answer` what came of it; nothing of the answer but its status is wanted."""
    try:
        with _silence():
            response = pool.urlopen("POST", path, body, headers, redirect=False, preload_content=False)
    except exceptions.HTTPError as error:
        answer.update(status=None, error=_words(error))
    else:
        response.close()
        answer.update(status=response.status, error=_refusal(response.status))
    finally:
        pool.close()


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what urllib3 logs in this thread."""
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    for name in TALKATIVE:
        logging.getLogger(name).addFilter(elsewhere)
    try:
        yield
    finally:
        for name in TALKATIVE:
            logging.getLogger(name).removeFilter(elsewhere)


def _words(error: exceptions.HTTPError) -> str:
    """Say what failed, without urllib3's own words: they hold the path and the query."""
    cause = error.reason if isinstance(error, exceptions.MaxRetryError) and error.reason else error
    said = next((words for kind, words in WORDS if isinstance(cause, kind)), "the request failed")
    below = cause.__cause__ or cause.__context__
    detail = below.strerror if isinstance(below, OSError) and below.strerror else type(cause).__name__
    return f"{said} ({detail})"


def _refusal(status: int) -> str:
    """Say why a status is no delivery; nothing if it is one."""
    if 200 <= status < 300:
        return ""
    known = f" {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else ""
    remedy = "; redirects are not followed: give the address they lead to" if 300 <= status < 400 else ""
    return f"status {status}{known}{remedy}"


def _checked(url: str, token: str, timeout: float, tries: int) -> tuple[Url, dict[str, str]]:
    """Take the address apart, and make the headers."""
    if not (0 < timeout < math.inf and tries >= 1):
        raise ConfigError(f"webhook: timeout must be above 0 s and tries at least 1, are {timeout} and {tries}.")
    address, headers = _address(url), {"Content-Type": "application/json", "User-Agent": "credit"}
    if token and address.auth:
        raise ConfigError(f"webhook {address.host}: a token, and a user in the address; give one of the two.")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError("webhook: the token must be printable ASCII without spaces (it is not shown here); mend it.")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    elif address.auth:
        headers["Authorization"] = f"Basic {b64encode(unquote(address.auth).encode()).decode()}"
    return address, headers


def _address(url: str) -> Url:
    """Take an address apart; what is wrong with it is said without showing it, for it may hold secrets."""
    try:
        address = parse_url(url.strip())
    except exceptions.LocationParseError:
        raise ConfigError(f"webhook: no address that can be read {REMEDY}") from None  # urllib3 shows it whole
    if address.scheme not in ("http", "https"):
        raise ConfigError(f"webhook: begins neither with https:// nor with http:// {REMEDY}")
    if not address.host:
        raise ConfigError(f"webhook: no host after {address.scheme}:// {REMEDY}")
    return address
