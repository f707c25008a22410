"""Commands about registered models: which there are, which is used, what it decides; parses and prints."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from credit.cli import root
from credit.cli.help import GOVERN, SCORE, TRAIN, command
from credit.cli.options import Json, Name, Reason, Tongue, say, show
from credit.errors import ConfigError, ModelError
from credit.portfolio import DEFAULT, load

__all__: list[str] = []


@command(root.app, TRAIN, "credit champion --json")
def champion(portfolio: Name = DEFAULT, as_json: Json = False) -> None:
    """Show the model in use.

    That there is none is an answer too: as JSON, champion is null.
    """
    from credit.governance.registry import Registry

    found = Registry(load(portfolio).name).champion()
    if found is None and not as_json:
        say("No champion yet; train one with `python flows/training.py run`.")
        return
    show({"champion": None if found is None else _row(found)}, as_json)


@command(root.app, TRAIN, "credit versions --portfolio loans.toml")
def versions(portfolio: Name = DEFAULT, as_json: Json = False) -> None:
    """List all versions, the oldest first.

    Of each: the gate's verdict, when it was made, the hash of its files, and its aliases.
    """
    from credit.governance.registry import Registry

    found = [_row(version) for version in Registry(load(portfolio).name).versions()]
    if as_json:
        show({"versions": found}, as_json)
        return
    rows = found or [{"versions": "none yet"}]
    say(*("  ".join(f"{key}: {value}" for key, value in row.items()) for row in rows))


@command(root.app, TRAIN, "credit register", exits="0 whether or not the gate lets it become champion.")
def register(
    folder: Annotated[Path | None, typer.Argument(help="A kept release [default: the newest].")] = None,
    accept_new_contract: Annotated[
        bool,
        typer.Option(
            "--accept-new-contract",
            help="Promote it although the champion cannot be scored on its rows, and so not compared.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Gate and register what a run kept.

    A training run gates and registers its model by itself; the command finishes what a run could not, as when MLflow
    did not answer.
    """
    from credit.governance import submission
    from credit.home import Home

    home = Home.here()
    submitted = submission.submit(folder or submission.newest(home), home, accept_new_contract=accept_new_contract)
    version, verdict = submitted.version, submitted.verdict
    if as_json:
        told = {"version": version.number, "is_champion": version.is_champion, "verdict": verdict.to_dict()}
        show(told, as_json)
        return
    say(f"Version {version.number}\n{verdict.table()}")
    if verdict.promote and not version.is_champion:
        say(
            f"It is not champion all the same: the ledger says that version {version.number} was already once, "
            f"or another run has promoted since. A person can: credit rollback {version.number} --reason WHY"
        )


@command(
    root.app,
    SCORE,
    "credit score book --out decided.csv",
    "credit score new.csv --no-history --language fr --out decided.parquet",
    exits="0 also where rows were set aside: read how many.",
)
def score(
    file: Annotated[Path, typer.Argument(help="Raw applications: a file, or the folder with every table.")],
    out: Annotated[Path, typer.Option(help="Decisions: .csv or .parquet; rejects go beside it.")],
    portfolio: Name = DEFAULT,
    history: Annotated[str | None, typer.Option(help="Where the other tables are, if elsewhere.")] = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="Nobody has rows in the other tables.")] = False,
    labelled: Annotated[bool, typer.Option("--labelled", help="Those with a known outcome, to look back.")] = False,
    language: Annotated[Tongue, typer.Option(help="Of the reasons.")] = Tongue.en,
    as_json: Json = False,
) -> None:
    """Decide on raw applications with the champion.

    Each gets a probability of default, a decision, its expected costs, and reasons in words. Rows that break the
    contract go to OUT.rejected.csv, with why.
    """
    from credit.governance.registry import Registry
    from credit.governance.serving import open_version
    from credit.scoring import book as books

    if history and no_history:
        raise ConfigError("--history and --no-history: are opposites; give one of them.")
    registry = Registry(load(portfolio).name)
    version = registry.champion()
    if version is None:
        raise ModelError(f"{registry.model}: has no champion; train one, or promote a version.")
    decider = open_version(registry, version)
    source = books.NO_HISTORY if no_history else history
    scored = books.score(decider, file, out, history=source, labelled=labelled, language=language.value)
    show(asdict(scored) | {"synthetic": decider.reference.synthetic}, as_json)


@command(root.app, GOVERN, "credit rollback --reason 'too many refusals since Monday'")
def rollback(
    reason: Reason,
    version: Annotated[int | None, typer.Argument(help="The version [default: the champion before this one].")] = None,
    portfolio: Name = DEFAULT,
    force: Annotated[bool, typer.Option("--force", help="Also to a version that the gate refused.")] = False,
    as_json: Json = False,
) -> None:
    """Make an earlier champion champion again.

    The move and its reason go into the ledger; the app uses that version within seconds. Repeated, it goes back step
    by step.
    """
    from credit.governance.registry import Registry

    moved = Registry(load(portfolio).name).rollback(version, reason=reason, force=force)
    show({"champion": _row(moved)}, as_json)


def _row(version: Any) -> dict[str, Any]:
    names = ("model", "number", "outcome", "created", "digest")
    return {name: getattr(version, name) for name in names} | {"aliases": list(version.aliases)}
