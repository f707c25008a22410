"""Options that commands share, and how each shows its result; knows no command."""

import json
import os
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from credit.cli import completion
from credit.cli.help import CLOSED

__all__ = ["Json", "Name", "Reason", "Tongue", "say", "show"]


class Tongue(StrEnum):
    """What words are in."""

    en = "en"
    fr = "fr"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, also of an error.")]
Name = Annotated[
    str,
    typer.Option("--portfolio", autocompletion=completion.portfolios, help="A portfolio's name or its TOML file."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the ledger.")]


def show(content: dict[str, Any], as_json: bool) -> None:
    """Print a result for machines, or a line for each of its parts."""
    if as_json:
        say(json.dumps(content, indent=2, ensure_ascii=False, default=str))
    else:
        say(*(f"{key}: {value}" for key, value in content.items()))


def say(*lines: str) -> None:
    """Print lines; where the reader has gone, end as other programs do then, without a word."""
    try:
        for line in lines:
            typer.echo(line)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to be flushed into the pipe
        raise SystemExit(CLOSED) from None
