"""The command `credit` itself and its groups, before any command is in them; does no work."""

from typing import Annotated

import typer

from credit import __version__
from credit.cli.help import Commands

__all__ = ["app", "data", "features", "ledger", "outcomes", "portfolio"]

app = typer.Typer(
    name="credit",
    cls=Commands,
    help="Credit scoring from raw tables to a gated, registered, explained and monitored model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _group(name: str, text: str) -> typer.Typer:
    made = typer.Typer(no_args_is_help=True, help=text, rich_markup_mode=None)
    app.add_typer(made, name=name)
    return made


outcomes = _group("outcomes", "What became of the applicants.")
ledger = _group("ledger", "The append-only record of decisions, outcomes and promotions.")
portfolio = _group("portfolio", "Portfolios: the lender's books as TOML files.")
data = _group("data", "Open books: fetch a copy of your own.")
features = _group("features", "Features: their dictionary, and their values for a book.")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before the command."""
