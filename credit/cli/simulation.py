"""The command that lets the whole loop run on made-up applicants; parses, prints, and writes table and picture."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from credit.cli import completion, root
from credit.cli.help import WATCH, command
from credit.cli.options import Json, Name, say, show
from credit.portfolio import DEFAULT, load

__all__: list[str] = []

TABLE, PICTURE, SUMMARY = "months.csv", "cost.png", "summary.json"
#: What of each month is shown in the terminal.
SHOWN = {
    "month": "month",
    "version": "version",
    "approved": "approved",
    "default_rate": "default",
    "cost_with": "with",
    "cost_without": "without",
    "cost_known": "known",
    "matured": "matured",
    "status": "status",
    "trained": "trained",
    "verdict": "verdict",
}


@command(root.app, WATCH, "credit simulate --out world", "credit simulate --drift income --months 6 --out prices")
def simulate(
    out: Annotated[Path, typer.Option(help="A folder, missing or empty; it becomes a CREDIT_HOME of its own.")],
    portfolio: Name = DEFAULT,
    clients: Annotated[int, typer.Option(help="To train the first model on.")] = 6000,
    months: Annotated[int, typer.Option(help="How many; the last one is the last whole month before today.")] = 10,
    applicants: Annotated[int, typer.Option(help="In each month.")] = 600,
    drift: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=completion.drifts,
            help="What changes, once for each: risk, income, score, younger, or none [default: risk].",
        ),
    ] = None,
    since: Annotated[int, typer.Option("--from", help="The month from which it changes.")] = 3,
    maturity: Annotated[int, typer.Option(help="Months until an outcome is known; a real book's take longer.")] = 1,
    explore: Annotated[float, typer.Option(help="Share of the declined who are approved to learn.")] = 0.1,
    memory: Annotated[int, typer.Option(help="Clients that a new training reads, the newest; the rest is old.")] = 2000,
    candidates: Annotated[str, typer.Option(help="Who competes, separated by commas.")] = "quick,prior",
    seed: Annotated[int, typer.Option(help="The same seed, on the same day, makes the same months.")] = 7,
    as_json: Json = False,
) -> None:
    """Run the whole loop on made-up applicants.

    Month by month it decides, lets the world drift, learns outcomes, watches, trains anew and promotes; at the end it
    says what that saved. It takes some minutes.
    """
    from credit.monitoring.simulate import Plan, simulate

    names = [name for name in (drift or ["risk"]) if name != "none"]
    field = tuple(name for name in candidates.split(",") if name)
    plan = Plan(clients, months, applicants, tuple(names), since, maturity, explore, memory, field, seed)
    done = simulate(load(portfolio), plan, out)
    told = done.to_dict() | {"files": _written(done, out)}
    if as_json:
        show(told, as_json)
        return
    say(_page(done, told))


def _written(done: Any, out: Path) -> dict[str, str]:
    from credit.plots import loop_plot, to_png

    places = {name: out / file for name, file in (("table", TABLE), ("picture", PICTURE), ("summary", SUMMARY))}
    done.table.assign(synthetic=True).to_csv(places["table"], index=False)
    places["picture"].write_bytes(to_png(loop_plot(done.table, synthetic=True)))
    places["summary"].write_text(json.dumps(done.to_dict(), indent=2, ensure_ascii=False), encoding="utf-8")
    return {name: str(place) for name, place in places.items()}


def _page(done: Any, told: dict[str, Any]) -> str:
    """Write the result for people."""
    table = done.table[list(SHOWN)].rename(columns=SHOWN).replace({"trained": {0: ""}})
    formats = {"approved": "{:.1%}".format, "default": "{:.1%}".format}
    formats |= dict.fromkeys(("with", "without", "known"), "{:.3f}".format)
    drift = "; ".join(done.drifts) or "none"
    lines = [
        "SYNTHETIC: nobody in it exists, and no figure says anything about a real book.",
        f"Drift from month {done.plan.since}: {drift}.",
        "",
        table.to_string(index=False, formatters=formats),
        "",
        "with, without: cost per applicant of everybody, with the loop and under the first model for ever; only a",
        "made-up world knows what would have become of the declined.  known: had the true probabilities been known.",
        *_saved("since the drift", done.since_drift),
        *_saved("since the first new champion", done.since_learning),
        *(f"{name}: {place}" for name, place in told["files"].items()),
        f"See it in the app: CREDIT_HOME={Path(told['files']['table']).parent} python -m gradio_app",
    ]
    return "\n".join(lines)


def _saved(when: str, compared: Any) -> list[str]:
    """Say what the loop saved, with its interval."""
    return [] if compared is None else [f"cost per applicant {when}, with against without: {compared.difference:+.3f}"]
