"""Commands about recorded decisions: replay, override, outcomes, the ledger itself; parses and prints."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from credit.cli import root
from credit.cli.help import GOVERN, WATCH, command
from credit.cli.options import Json, Name, Reason, show
from credit.errors import ConfigError
from credit.portfolio import DEFAULT, load

__all__: list[str] = []

Decided = Annotated[int, typer.Argument(metavar="ID", help="The decision's number in the ledger.")]


class Action(StrEnum):
    """What a person can decide."""

    approve = "approve"
    decline = "decline"


@command(
    root.app, GOVERN, "credit replay 12", exits="0 if the decision is the same bit for bit, 1 if anything differs."
)
def replay(number: Decided, as_json: Json = False) -> None:
    """Make a recorded decision again, and compare.

    It is made with the version and on the application of then. What was erased cannot be made again, and differs.
    """
    from credit.governance import replay as replays
    from credit.governance.records import Records
    from credit.governance.registry import Registry

    records = Records(_ledger())
    made = replays.replay(records, Registry(records.find(number).portfolio), number)
    shown = None if made.decision is None else made.decision.probability
    told = {"decision": number, "same": made.same, "differences": list(made.differences)}
    show(told | {"probability": shown, "bits": shown if shown is None else shown.hex()}, as_json)
    raise typer.Exit(0 if made.same else 1)


@command(root.app, GOVERN, "credit override 12 --to approve --reason 'a guarantor has signed'")
def override(
    number: Decided,
    to: Annotated[Action, typer.Option(help="What a person decides instead.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Record that a person decided otherwise, and why.

    The person is CREDIT_USER, or else the system's user.
    """
    from credit.governance.ledger import actor
    from credit.governance.records import Records

    event = Records(_ledger()).override(number, to.value, reason, by=actor())
    show({"decision": number, "to": to.value, "event": event}, as_json)


@command(
    root.outcomes,
    WATCH,
    "credit outcomes import may.csv",
    name="import",
    exits="0 if every row was taken, 1 if some were set aside.",
)
def import_outcomes(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet: decision (its number), outcome (0 or 1), observed.")],
    correct: Annotated[str, typer.Option(help="Why outcomes that contradict recorded ones take their place.")] = "",
    rejects: Annotated[Path | None, typer.Option(help="Where bad rows go [default: NAME.rejected.csv].")] = None,
    as_json: Json = False,
) -> None:
    """Join matured outcomes to recorded decisions.

    Monitoring then compares what was promised with what came. Bad rows go to a second file, with why; a file that was
    imported before adds nothing.
    """
    from credit.governance import outcomes as matured

    made = matured.import_outcomes(_ledger(), file, correct=correct, rejects=rejects)
    show(asdict(made), as_json)
    raise typer.Exit(1 if made.rejected else 0)


@command(
    root.ledger,
    GOVERN,
    "credit ledger verify",
    "credit ledger verify --head 4f6c...",
    name="verify",
    exits="0 if the chain is whole, 1 if a row was edited, removed, inserted or moved.",
)
def verify(
    head: Annotated[str | None, typer.Option(help="A head printed earlier; it must still be in the chain.")] = None,
    as_json: Json = False,
) -> None:
    """Check the ledger's chain of hashes, event by event.

    Keep the head that it prints elsewhere: held to it, the next check also finds that the newest events were removed.
    """
    found = _ledger().audit(head)
    told = {"intact": not found.problems, "events": found.events, "head": found.head, "problems": found.problems}
    show(told, as_json)
    raise typer.Exit(1 if found.problems else 0)


@command(root.ledger, GOVERN, "credit ledger erase --client 100417 --reason 'asked for, letter of 3 May'", name="erase")
def erase(
    reason: Annotated[str, typer.Option(help="On what ground, without the client's name; kept for ever.")],
    client: Annotated[str | None, typer.Option(help="The client's number.")] = None,
    event: Annotated[list[int] | None, typer.Option(help="Or events by number, as after restoring a backup.")] = None,
    portfolio: Name = DEFAULT,
    as_json: Json = False,
) -> None:
    """Erase what the ledger holds about a client.

    Application, reasons and exact figures go; what happened, when and by which version stays, and so does the chain.
    """
    from credit.governance import retention

    if (client is None) == (not event):
        raise ConfigError("erase: what to erase is --client or --event; give one of the two.")
    if client is None:
        erased = retention.erase_events(_ledger(), event or [], reason)
    else:
        erased = retention.erase(_ledger(), client, reason, portfolio=load(portfolio).name)
    show({"erased": erased.events, "event": erased.event}, as_json)


@command(root.ledger, GOVERN, "credit ledger retain --days 1825", name="retain")
def retain(
    days: Annotated[int, typer.Option(help="How long personal data are kept.")],
    reason: Annotated[str, typer.Option(help="On what ground [default: the period itself].")] = "",
    as_json: Json = False,
) -> None:
    """Erase what is personal of old decisions, in all books.

    As erase does, for every decision older than so many days; for a daily job.
    """
    from credit.governance import retention

    erased = retention.retain(_ledger(), days, reason)
    show({"erased": erased.events, "event": erased.event}, as_json)


def _ledger() -> Any:
    from credit.governance.ledger import Ledger
    from credit.home import Home

    return Ledger(Home.here().ledger_url)
