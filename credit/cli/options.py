"""Options that commands share, and how each shows its result; knows no command."""

import json
from typing import Annotated, Any

import typer

__all__ = ["Json", "Name", "Reason", "show"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[str, typer.Option("--portfolio", help="A portfolio's name or its TOML file.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the ledger.")]


def show(content: dict[str, Any], as_json: bool) -> None:
    """Print a result for machines, or a line for each of its parts."""
    if as_json:
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False, default=str))
        return
    for key, value in content.items():
        typer.echo(f"{key}: {value}")
