"""The command that says whether this machine is ready, and what to do where it is not; shows, and looks at nothing."""

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import typer

from credit import __version__
from credit.cli import root
from credit.cli.checks import FAULT, LEVELS, OK, Finding, guarded, masked
from credit.cli.help import FINDING, MACHINE, command
from credit.cli.options import Json, Name, say, show
from credit.home import Home
from credit.portfolio import DEFAULT, Portfolio, load

__all__ = ["examine"]

WIDEST = 110


@command(
    root.app,
    MACHINE,
    "credit doctor",
    "credit doctor --portfolio loans.toml --json",
    exits="0 if nothing is a fault, 1 if something is.",
)
def doctor(portfolio: Name = DEFAULT, as_json: Json = False) -> None:
    """Check this installation, and say what to do.

    Looked at are Python and the packages, the stores, the champion, memory and disk, and what only some uses need. A
    fault does not work, a warning will trouble somebody, a note is worth knowing. Nothing is changed or made, and no
    network is contacted but the configured stores.
    """
    found = list(examine(load(portfolio), Home.here()))
    counts = Counter(finding.level for finding in found)
    if as_json:
        told = {"version": __version__, "portfolio": portfolio, "healthy": not counts[FAULT]}
        counted = {level: counts[level] for level in LEVELS}
        show(told | {"counts": counted, "findings": [asdict(finding) for finding in found]}, as_json)
    else:
        say(*_page(found), "", ", ".join(f"{level} {counts[level]}" for level in LEVELS))
    raise typer.Exit(FINDING if counts[FAULT] else 0)


def examine(book: Portfolio, home: Home) -> Iterator[Finding]:
    """Yield all findings, no password in any of them."""
    yield from masked(_examine(book, home), (home.tracking_uri, home.ledger_url))


def _examine(book: Portfolio, home: Home) -> Iterator[Finding]:
    from credit.cli.checks import machine

    yield from guarded("packages", _installation)
    yield from machine.findings(home)
    remedy = "mend the packages first; see above"
    yield from guarded("stores", lambda: _stores(home), remedy=remedy)
    yield from guarded("champion", lambda: _champion(book, home), remedy=remedy)


# These are imported where they are used: each needs packages, and one that is missing is a finding.
def _installation() -> Iterator[Finding]:
    from credit.cli.checks import installation

    yield from installation.findings()


def _stores(home: Home) -> Iterator[Finding]:
    from credit.cli.checks import stores

    yield from stores.findings(home)


def _champion(book: Portfolio, home: Home) -> Iterator[Finding]:
    from credit.cli.checks import champion

    yield from champion.findings(book, home)


def _page(found: list[Finding]) -> Iterator[str]:
    """Write a line or more for each finding, the remedy below it."""
    level, name = max(map(len, LEVELS)), max(len(finding.name) for finding in found)
    width, ahead = min(shutil.get_terminal_size().columns, WIDEST), " " * (level + name + 4)
    for finding in found:
        first = f"{finding.level:<{level}}  {finding.name:<{name}}  "
        yield _wrapped(finding.told, width, first, ahead)
        if finding.remedy and finding.level != OK:
            yield _wrapped(finding.remedy, width, f"{ahead}-> ", f"{ahead}   ")


def _wrapped(text: str, width: int, first: str, later: str) -> str:
    fill = partial(textwrap.fill, width=width, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)
    lines = text.splitlines() or [""]
    return "\n".join([fill(lines[0], initial_indent=first), *(fill(line, initial_indent=later) for line in lines[1:])])
