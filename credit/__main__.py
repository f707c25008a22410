"""The command line; parses, calls one function, prints.  Knows no work of its own.

Exit codes: 0 done (a challenger that fails the gate is a finding, not a failure); 1 a check found something;
2 bad input or use; 3 a service does not answer.
"""

import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from credit import __version__, console
from credit.cli import decisions, simulation
from credit.cli.options import Json, Name, Reason, show
from credit.errors import ConfigError, CreditError, ModelError
from credit.portfolio import DEFAULT, available, load

app = typer.Typer(
    name="credit",
    help="Credit scoring from raw tables to a gated, registered model.  Train with `python flows/training.py run`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
book = typer.Typer(no_args_is_help=True, help="Portfolios: the lender's books as TOML files.")
features_app = typer.Typer(no_args_is_help=True, help="Features: their dictionary, and their values for a book.")
data_app = typer.Typer(no_args_is_help=True, help="Open books: fetch a copy of your own.")
app.add_typer(book, name="portfolio")
app.add_typer(data_app, name="data")
app.add_typer(features_app, name="features")
app.add_typer(decisions.ledger, name="ledger")
app.add_typer(decisions.outcomes, name="outcomes")

Source = Annotated[str, typer.Option("--data", help="A folder, a file or a database URL.")]
Number = Annotated[int | None, typer.Argument(help="The version; by default the champion before this one.")]


class Format(StrEnum):
    """What a synthetic book is written as."""

    parquet = "parquet"
    csv = "csv"


class Tongue(StrEnum):
    """What words are in."""

    en = "en"
    fr = "fr"


class Engine(StrEnum):
    """What computes features."""

    duckdb = "duckdb"
    spark = "spark"


def main() -> None:
    """Run a command; a `CreditError` becomes one message and its exit code."""
    console.quiet()
    console.configure()
    try:
        app()
    except CreditError as error:
        sys.stderr.write(f"credit: {error}\n")
        sys.exit(error.exit_code)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)


@app.command()
def synth(
    clients: Annotated[int, typer.Option(help="How many.")],
    out: Annotated[Path, typer.Option(help="A folder, empty or with an earlier synthetic book.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same rows.")] = 7,
    format: Annotated[Format, typer.Option(help="The files' format.")] = Format.parquet,  # noqa: A002
    as_json: Json = False,
) -> None:
    """Write a synthetic book in the default portfolio's schema, all its tables; nobody in it exists."""
    from credit.data import synthetic

    with console.step("Making up a synthetic book", clients) as making:
        files = synthetic.write(out, clients, seed, format.value)
        rows = synthetic.rows_written(out)
        making.note = f"{sum(rows.values()):,} rows in {len(rows)} tables"
    told = {"synthetic": True, "clients": clients, "seed": seed, "rows": rows}
    show(told | {"files": [str(file) for file in files]}, as_json)


@app.command()
def check(data: Source, portfolio: Name = DEFAULT, unlabelled: bool = False, as_json: Json = False) -> None:
    """Hold data against a portfolio's contract; list every violation.  Exit code 2 if any is an error."""
    from credit.data import contract, tables

    loaded = load(portfolio)
    opened = tables.open_tables(loaded, data, labelled=not unlabelled)
    report = contract.check(loaded, opened, labelled=not unlabelled).report
    found = [asdict(violation) for violation in report.violations]
    show({"table": report.table, "rows": report.rows, "sizes": report.sizes, "errors": 0, "warnings": found}, as_json)


@app.command()
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
    """Score raw applications with the champion; rows that break the contract go to a second file."""
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


@app.command()
def register(
    folder: Annotated[Path | None, typer.Argument(help="A kept release; by default the newest.")] = None,
    accept_new_contract: Annotated[bool, typer.Option(help="Promote without a comparison.")] = False,
    as_json: Json = False,
) -> None:
    """Gate and register a trained model that a training run kept, as when MLflow did not answer."""
    from credit.governance import submission
    from credit.home import Home

    home = Home.here()
    submitted = submission.submit(folder or submission.newest(home), home, accept_new_contract=accept_new_contract)
    if as_json:
        show({"version": submitted.version.number, "verdict": submitted.verdict.to_dict()}, as_json)
    else:
        typer.echo(f"Version {submitted.version.number}\n{submitted.verdict.table()}")


@app.command()
def champion(portfolio: Name = DEFAULT, as_json: Json = False) -> None:
    """Show the model in use."""
    from credit.governance.registry import Registry

    found = Registry(load(portfolio).name).champion()
    if found is None and not as_json:
        typer.echo("No champion yet; train one with `python flows/training.py run`.")
        return
    show({"champion": None if found is None else _row(found)}, as_json)


@app.command()
def versions(portfolio: Name = DEFAULT, as_json: Json = False) -> None:
    """List all registered versions, the oldest first."""
    from credit.governance.registry import Registry

    found = [_row(version) for version in Registry(load(portfolio).name).versions()]
    if as_json:
        show({"versions": found}, as_json)
        return
    for row in found or [{"versions": "none yet"}]:
        typer.echo("  ".join(f"{key}: {value}" for key, value in row.items()))


@app.command()
def rollback(
    reason: Reason,
    version: Number = None,
    portfolio: Name = DEFAULT,
    force: Annotated[bool, typer.Option(help="Also to a version that the gate refused.")] = False,
    as_json: Json = False,
) -> None:
    """Make an earlier champion champion again; the move and its reason go into the ledger."""
    from credit.governance.registry import Registry

    moved = Registry(load(portfolio).name).rollback(version, reason=reason, force=force)
    show({"champion": _row(moved)}, as_json)


app.command()(decisions.replay)
app.command()(decisions.override)
app.command()(simulation.simulate)


@features_app.command("build")
def build(
    data: Annotated[str, typer.Option("--data", help="A folder, a file or a database; with Spark a folder or URL.")],
    out: Annotated[str, typer.Option("--out", help="A folder; with Spark also a URL.")],
    portfolio: Name = DEFAULT,
    engine: Annotated[Engine, typer.Option(help="Where it is done.")] = Engine.duckdb,
    memory: Annotated[str | None, typer.Option(help="What the engine may use, such as 4GB; the rest spills.")] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Of applications without a target.")] = False,
    as_json: Json = False,
) -> None:
    """Build one row of features per applicant; the same data and definitions are not built again."""
    from credit.features import scale

    loaded = load(portfolio)
    with scale.opened(engine.value, memory) as opened:
        made = scale.make(loaded, data, out, opened, labelled=not unlabelled)
    show({"engine": engine.value} | made.to_dict(), as_json)


@features_app.command("describe")
def describe(portfolio: Name = DEFAULT, language: str = "en", as_json: Json = False) -> None:
    """Print every feature: name, words, concept, table, window, unit, direction, what it is computed from."""
    from credit.features import definitions

    if language not in ("en", "fr"):
        raise ConfigError(f"--language {language}: the words are in en and fr; give one of them.")
    rows = [
        {
            "name": feature.name,
            "words": getattr(feature.label, language),
            "concept": feature.concept,
            "table": feature.table,
            "window": f"{feature.window} months" if feature.window else "all" if feature.aggregate else "",
            "kind": feature.kind,
            "unit": feature.unit,
            "direction": {1: "more risk", -1: "less risk", 0: ""}[feature.monotone],
            "actionable": feature.actionable,
            "formula": feature.aggregate.meaning if feature.aggregate else repr(feature.formula),
        }
        for feature in definitions(load(portfolio))
    ]
    if as_json:
        show({"features": rows}, as_json)
        return
    for row in rows:
        typer.echo(f"{row['name']}: {row['words']} [{row['concept']}, {row['table']}] {row['formula']}")


@data_app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="Its name; a wrong one is answered with all of them.")],
    out: Annotated[Path, typer.Option(help="A folder for the Parquet file.")],
    as_json: Json = False,
) -> None:
    """Fetch an open book from OpenML, check its content, and say whose it is."""
    from credit.data.fetch import fetch, sources

    file, source = fetch(name, out), sources()[name]
    told = {"file": str(file), "title": source.title, "rows": source.rows, "defaults": source.defaults}
    told |= {"licence": source.licence, "source": source.source, "sha256": source.sha256}
    draft = f"credit portfolio init {file} --target TARGET --out {file.with_suffix('.toml')}"
    train = f"python flows/training.py run --portfolio {source.portfolio} --data {file}"
    show(told | {"next": train if source.portfolio else draft}, as_json)


@book.command("list")
def list_portfolios(as_json: Json = False) -> None:
    """List the portfolios that come with the package."""
    show({name: load(name).title.en for name in available()}, as_json)


@book.command("init")
def init(
    file: Annotated[Path, typer.Argument(help="A table of labelled rows: CSV or Parquet.")],
    target: Annotated[str, typer.Option(help="The column that is 1 for a default and 0 for none.")],
    out: Annotated[Path, typer.Option(help="The TOML file to write.")],
    key: Annotated[str | None, typer.Option("--id", help="The client id; by default a unique column.")] = None,
) -> None:
    """Draft a portfolio from a table of your own; train with it, then fill in what only you know."""
    from credit.data.draft import draft

    if out.exists():
        raise ConfigError(f"--out {out}: exists already; name another file, or remove it.")
    out.write_text(draft(file, target, key, out.stem), encoding="utf-8")
    typer.echo(f"{out}: drafted; train with `python flows/training.py run --portfolio {out} --data {file}`.")


def _row(version: Any) -> dict[str, Any]:
    names = ("model", "number", "outcome", "created", "digest")
    return {name: getattr(version, name) for name in names} | {"aliases": list(version.aliases)}


if __name__ == "__main__":
    main()
