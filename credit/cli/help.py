"""What `--help` says beside the commands' own words: purposes, examples, environment, exit codes; knows no work."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer
from typer.core import TyperGroup

from credit.errors import CreditError, ServiceError

__all__ = ["CLOSED", "ENVIRONMENT", "EXITS", "FINDING", "INTERRUPTED", "PROGRAMS", "PURPOSES", "Commands", "command"]

F = TypeVar("F", bound=Callable[..., Any])

TRAIN = "Train and compare"
SCORE = "Score and explain"
GOVERN = "Govern and audit"
WATCH = "Watch"
DATA = "Data and portfolios"
MACHINE = "This machine"
#: In the order in which they are shown.
PURPOSES = (TRAIN, SCORE, GOVERN, WATCH, DATA, MACHINE)

FINDING, INTERRUPTED, CLOSED = 1, 130, 141
#: How every command ends.
EXITS: Mapping[int, str] = {
    0: "done; a challenger that the gate refuses is a result, not a failure",
    FINDING: "a check found something: doctor, replay, ledger verify, outcomes import",
    CreditError.exit_code: "bad input or use, also Windows: one message says what, where and the remedy",
    ServiceError.exit_code: "a service does not answer: MLflow, the ledger's database, OpenML",
    INTERRUPTED: "interrupted, as by Ctrl-C",
    CLOSED: "the reader of the output went away, as head does",
}
#: What is started otherwise, and shown with the purpose that it serves.
PROGRAMS: Mapping[str, Mapping[str, str]] = {
    TRAIN: {"python flows/training.py run": "train candidates, compare, gate, register"},
    SCORE: {
        "python flows/scoring.py run": "a whole book, in shards, resumable",
        "python -m gradio_app": "the officer's page and the JSON API",
    },
    WATCH: {"python flows/monitoring.py run": "hold applications against the training rows"},
}
SESSION: Mapping[str, str] = {
    "credit doctor": "is this machine ready?",
    "python flows/training.py run": "train on made-up applicants (two minutes)",
    "credit champion": "the model that won",
    "credit synth --clients 1000 --out new": "some more made-up applicants",
    "credit score new --labelled --out decided.csv": "decide on them, with reasons",
}
ENVIRONMENT: Mapping[str, str] = {
    "CREDIT_HOME": "folder of all state; default: .credit in the working folder",
    "MLFLOW_TRACKING_URI": "MLflow's server or database; default: a SQLite file in CREDIT_HOME",
    "CREDIT_LEDGER_URL": "SQLAlchemy URL of the ledger; default: a SQLite file in CREDIT_HOME",
    "CREDIT_USER": "who acts, as the ledger records it; default: the system's user",
    "CREDIT_APP_*": "settings of the app; see python -m gradio_app --help and docs/app.md",
    "METAFLOW_*": "where runs and cards of the flows are kept; default: .metaflow in the working folder",
}


class Commands(TyperGroup):
    """The top-level group: shows every command, those of its groups too, under what it is good for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each purpose."""
        found: dict[str, list[tuple[str, str]]] = {purpose: [] for purpose in PURPOSES}
        for name, leaf in _leaves(self):
            found[leaf.rich_help_panel].append((name, leaf.get_short_help_str(100)))
        for purpose, rows in found.items():
            with formatter.section(purpose):
                formatter.write_dl(rows + list(PROGRAMS.get(purpose, {}).items()), col_max=36)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what a first session looks like, the environment and the exit codes."""
        codes = {str(code): text for code, text in EXITS.items()}
        for title, rows in (("First session", SESSION), ("Environment", ENVIRONMENT), ("Exit codes", codes)):
            with formatter.section(title):
                formatter.write_dl(list(rows.items()), col_max=48)
        formatter.write_paragraph()
        formatter.write_text(
            "COMMAND --help says more, with an example. The flows and the app lie in the checkout and have a --help "
            "of their own: python flows/training.py run --help, and so on. Every command takes --json, and then "
            "prints one JSON object on standard output, an error too. There is no colour to switch off."
        )


def command(
    app: typer.Typer, purpose: str, *examples: str, name: str | None = None, exits: str = ""
) -> Callable[[F], F]:
    """Register a function as a command, with what its help ends in.

    Parameters
    ----------
    app : Typer
        The group that it belongs to.
    purpose : str
        One of `PURPOSES`.
    *examples : str
        Command lines as one would type them.
    name : str, optional
        By default the function's.
    exits : str
        What its exit codes mean, where they say more than the table of the top-level help.
    """
    shown = ["\b", "Example:" if len(examples) == 1 else "Examples:", *(f"  {line}" for line in examples)]
    codes = ["", f"Exit codes: {exits}"] if exits else []
    return app.command(name, rich_help_panel=purpose, epilog="\n".join(shown + codes))


def _leaves(group: Any, before: str = "") -> Any:
    """Yield every command with its whole name, those of groups in the place of their group."""
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from _leaves(each, f"{before}{name} ")
        else:
            yield f"{before}{name}", each
