"""What the app is told by its options and its environment, checked before anything starts; serves nothing."""

import argparse
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from credit.errors import ConfigError
from credit.home import Home
from credit.portfolio import DEFAULT

__all__ = ["Settings", "is_loopback"]

#: What a name may look like: it is written into the ledger and into the log.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
#: Least length and number of different characters of a secret.
PASSWORD, TOKEN, VARIED = 12, 24, 6
REMEDY = "give one of your own, such as `python -c 'import secrets; print(secrets.token_urlsafe(24))'` makes"
#: Settings that are numbers: environment variable, its attribute, the lowest and the highest value.
NUMBERS = {
    "CREDIT_APP_BODY_MB": ("body_mb", 0.001, 1024.0),
    "CREDIT_APP_UPLOAD_MB": ("upload_mb", 0.001, 1024.0),
    "CREDIT_APP_ROWS": ("rows", 1, 100_000),
    "CREDIT_APP_RATE": ("rate", 0, 1e6),
    "CREDIT_APP_QUEUE": ("queue", 1, 10_000),
    "CREDIT_APP_STOP_SECONDS": ("stop_seconds", 1, 3600),
    "CREDIT_APP_CHAMPION_SECONDS": ("champion_seconds", 0.05, 3600.0),
}


@dataclass(frozen=True)
class Settings:
    """How the app runs.

    Parameters
    ----------
    host, port
        Where it listens; port 0 takes a free one.
    portfolio : str
        Name of the portfolio whose champion answers, or its file.
    data : str
        Where existing clients are looked up; empty for the data that the champion was trained on.
    home : Home
        Where state lives.
    users : dict of str to str
        Name to password of people.
    tokens : dict of str to str
        Name to token of machines.
    hosts : tuple of str
        Names by which the server may be called; none allows any.
    open : bool
        Whether it may listen to other machines and ask nobody for a password: in a container, whose port is published
        on its machine's own address alone.  It then answers to that machine's own names only.
    body_mb, upload_mb : float
        Largest body of a request, and of a file, in units of 1,000,000 bytes.
    rows : int
        Most applicants of one batch.
    rate : float
        Requests of one caller a second that are answered in the long run, twice as many at once; 0 sets no limit.
    queue : int
        Most pieces of work of the page that wait.
    stop_seconds : int
        How long a stop waits for requests under way.
    champion_seconds : float
        How often the registry is asked who is champion.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    portfolio: str = DEFAULT
    data: str = ""
    home: Home = field(default_factory=Home.here)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    hosts: tuple[str, ...] = ()
    open: bool = False
    body_mb: float = 2.0
    upload_mb: float = 20.0
    rows: int = 1000
    rate: float = 20.0
    queue: int = 64
    stop_seconds: int = 20
    champion_seconds: float = 5.0

    def __post_init__(self) -> None:
        if not (self.guarded or self.open or is_loopback(self.host)):
            raise ConfigError(
                f"--host {self.host}: other machines could reach the app, and nobody would be asked for a password; "
                "set CREDIT_APP_USERS=name:password (or CREDIT_APP_USERS_FILE), or listen on 127.0.0.1; in a container "
                "whose port is published on 127.0.0.1 alone, CREDIT_APP_OPEN=yes."
            )

    @property
    def guarded(self) -> bool:
        """Whether callers must say who they are."""
        return bool(self.users or self.tokens)

    @classmethod
    def read(cls, options: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the command line and the environment.

        Raises
        ------
        ConfigError
            If a setting breaks a rule, or the app would listen to other machines unguarded.
        """
        chosen = _options(environ).parse_args(options)
        users = _people(environ)
        tokens = _named(environ, "CREDIT_APP_TOKENS", TOKEN)
        if both := sorted(users.keys() & tokens.keys()):
            raise ConfigError(f"CREDIT_APP_TOKENS: {both[0]!r} is a user too, and nobody could tell them apart.")
        return cls(
            chosen.host,
            _port(chosen.port),
            chosen.portfolio,
            chosen.data,
            Home.here(environ),
            users,
            tokens,
            tuple(name for name in re.split(r"[,\s]+", environ.get("CREDIT_APP_HOSTS", "").lower()) if name),
            _yes(environ, "CREDIT_APP_OPEN"),
            **_numbers(environ),
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return False


def _options(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m gradio_app", description="Credit decisions: a page and a JSON API.")
    known = {
        "host": ("127.0.0.1", "address to listen on; any but this machine's own needs CREDIT_APP_USERS"),
        "port": ("7860", "port to listen on; 0 takes a free one"),
        "portfolio": (DEFAULT, "portfolio whose champion answers"),
        "data": ("", "folder, file or database of existing clients; default: the champion's training data"),
    }
    for name, (default, text) in known.items():
        variable = f"CREDIT_APP_{name.upper()}"
        value = environ.get(variable) or default
        parser.add_argument(f"--{name}", default=value, help=f"{text} ({variable}; now {value or 'none'})")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ConfigError(f"--port {text}: is no port; give a number from 0 to 65535.")
    return int(text)


def _numbers(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the limits that are set."""
    kinds = {each: type(getattr(Settings, each)) for each, _, _ in NUMBERS.values()}
    found = {}
    for variable, (name, low, high) in NUMBERS.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        try:
            found[name] = kinds[name](text)
        except ValueError:
            found[name] = float("nan")
        if not low <= found[name] <= high:
            kind = "a whole number" if kinds[name] is int else "a number"
            raise ConfigError(f"{variable}={text}: must be {kind} from {low:g} to {high:g}.")
    return found


def _yes(environ: Mapping[str, str], variable: str) -> bool:
    text = environ.get(variable, "").strip().lower()
    if text not in ("", "yes", "no"):
        raise ConfigError(f"{variable}={text}: is neither yes nor no; give one of them, or leave it unset.")
    return text == "yes"


def _people(environ: Mapping[str, str]) -> dict[str, str]:
    return _named(environ, "CREDIT_APP_USERS", PASSWORD)


def _named(environ: Mapping[str, str], variable: str, least: int) -> dict[str, str]:
    """Read "name:secret" entries from a variable, or from the file that its twin names."""
    twin = f"{variable}_FILE"
    if variable in environ and twin in environ:
        raise ConfigError(f"{variable}: {twin} is set too; keep one of the two.")
    if twin in environ:
        entries = _lines(twin, environ[twin])
    elif variable in environ:
        entries = environ[variable].split(",")
    else:
        return {}
    found: dict[str, str] = {}
    for name, secret in _pairs(variable, [entry.strip() for entry in entries if entry.strip()]):
        _check(variable, name, secret, least, found)
        found[name] = secret
    if not found:
        raise ConfigError(f"{variable}: is set and names nobody; give name:password, or leave it unset.")
    return found


def _lines(variable: str, path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{variable}={path}: {reason}; name a file with one name:password a line.") from error
    return [line for line in lines if not line.lstrip().startswith("#")]


def _pairs(variable: str, entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    for at, entry in enumerate(entries, start=1):
        name, colon, secret = entry.partition(":")
        if not colon or not NAME.fullmatch(name):
            raise ConfigError(
                f"{variable}: entry {at} is not name:password; a name has letters, digits and . _ @ -, at most 64."
            )
        yield name, secret


def _check(variable: str, name: str, secret: str, least: int, found: Mapping[str, str]) -> None:
    """Refuse a secret that protects nothing, and a caller who cannot be told from another; it is not shown."""
    if name in found:
        raise ConfigError(f"{variable}: {name!r} is there twice; keep one.")
    if secret in found.values():
        raise ConfigError(f"{variable}: {name!r} has another one's secret; {REMEDY}.")
    named = name.lower() in secret.lower() and len(secret) < 2 * least
    if named or len(secret) < least or len(set(secret)) < VARIED:
        raise ConfigError(
            f"{variable}: the secret of {name!r} is weak: at least {least} characters, {VARIED} of them different, "
            f"and not the name; {REMEDY}."
        )
