"""Commands about data: portfolios, synthetic and open books, the contract, features; parses and prints."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from credit import console
from credit.cli import completion, root
from credit.cli.help import DATA, command
from credit.cli.options import Json, Name, Tongue, say, show
from credit.errors import ConfigError
from credit.portfolio import DEFAULT, available, load

__all__: list[str] = []

Source = Annotated[str, typer.Option("--data", help="A folder, a file or a database URL.")]


class Format(StrEnum):
    """What a synthetic book is written as."""

    parquet = "parquet"
    csv = "csv"


class Engine(StrEnum):
    """What computes features."""

    duckdb = "duckdb"
    spark = "spark"


@command(root.portfolio, DATA, "credit portfolio list", name="list")
def list_portfolios(as_json: Json = False) -> None:
    """List the portfolios that come with the package."""
    show({name: load(name).title.en for name in available()}, as_json)


@command(
    root.portfolio,
    DATA,
    "credit portfolio init loans.csv --target defaulted --out loans.toml",
    "python flows/training.py run --portfolio loans.toml --data loans.csv",
    name="init",
)
def init(
    file: Annotated[Path, typer.Argument(help="A table of labelled rows: CSV or Parquet.")],
    target: Annotated[str, typer.Option(help="The column that is 1 for a default and 0 for none.")],
    out: Annotated[Path, typer.Option(help="The TOML file to write; it must not exist.")],
    key: Annotated[
        str | None, typer.Option("--id", help="The column that is the client id [default: a unique one].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draft a portfolio from a table of your own.

    Types, ranges and levels are read from the rows; the draft says what it could not know: units, words, costs,
    protected groups. Train with it at once, and fill these in before anyone relies on the model.
    """
    from credit.data.draft import draft

    if out.exists():
        raise ConfigError(f"--out {out}: exists already; name another file, or remove it.")
    out.write_text(draft(file, target, key, out.stem), encoding="utf-8")
    train = f"python flows/training.py run --portfolio {out} --data {file}"
    if as_json:
        show({"portfolio": str(out), "next": train}, as_json)
    else:
        say(f"{out}: drafted; train with `{train}`.")


@command(
    root.app,
    DATA,
    "credit check --data loans.csv --portfolio loans.toml",
    exits="0 if there are at most warnings, 2 if anything breaks the contract.",
)
def check(
    data: Source,
    portfolio: Name = DEFAULT,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="The target is not there yet.")] = False,
    as_json: Json = False,
) -> None:
    """Hold data against a portfolio's contract.

    Every violation is listed at once, with table, row, column, rule and value: keys, types, ranges, levels, time.
    """
    from credit.data import contract, tables

    loaded = load(portfolio)
    opened = tables.open_tables(loaded, data, labelled=not unlabelled)
    report = contract.check(loaded, opened, labelled=not unlabelled).report
    found = [asdict(violation) for violation in report.violations]
    told = {"table": report.table, "rows": report.rows, "sizes": report.sizes, "errors": 0}
    show(told | {"warnings": found if as_json else len(found)}, as_json)  # the log has listed them for people


@command(root.app, DATA, "credit synth --clients 2000 --seed 8 --first-client 500000 --out book")
def synth(
    clients: Annotated[int, typer.Option(help="How many, 100 to 10,000,000.")],
    out: Annotated[Path, typer.Option(help="A folder, empty or with an earlier synthetic book.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same rows.")] = 7,
    first_client: Annotated[
        int | None, typer.Option(help="The first client's number, so that two books share nobody [default: 100002].")
    ] = None,
    format: Annotated[Format, typer.Option(help="The files' format.")] = Format.parquet,  # noqa: A002
    as_json: Json = False,
) -> None:
    """Write a synthetic book; nobody in it exists.

    It has the default portfolio's schema and all its tables. Another seed makes other rows, but numbers its
    clients alike; monitoring sets aside whom the champion was trained on, so new applicants need other numbers.
    """
    from credit.data import synthetic

    first = synthetic.FIRST_ID if first_client is None else first_client
    with console.step("Making up a synthetic book", clients) as making:
        files = synthetic.write(out, clients, seed, format.value, first_client=first)
        rows = synthetic.rows_written(out)
        making.note = f"{sum(rows.values()):,} rows in {len(rows)} tables"
    told = {"synthetic": True, "clients": clients, "seed": seed, "first_client": first, "rows": rows}
    show(told | {"files": [str(file) for file in files]}, as_json)


@command(root.data, DATA, "credit data get german --out books", name="get")
def get(
    name: Annotated[
        str, typer.Argument(autocompletion=completion.books, help="Its name; a wrong one is answered with all of them.")
    ],
    out: Annotated[Path, typer.Option(help="A folder for the Parquet file.")],
    as_json: Json = False,
) -> None:
    """Fetch an open book from OpenML.

    What comes is held to a hash of its content. Printed are its licence, whose it is, and what to do next.
    """
    from credit.data.fetch import fetch, sources

    file, source = fetch(name, out), sources()[name]
    told = {"file": str(file), "title": source.title, "rows": source.rows, "defaults": source.defaults}
    told |= {"licence": source.licence, "source": source.source, "sha256": source.sha256}
    draft = f"credit portfolio init {file} --target TARGET --out {file.with_suffix('.toml')}"
    train = f"python flows/training.py run --portfolio {source.portfolio} --data {file}"
    show(told | {"next": train if source.portfolio else draft}, as_json)


@command(
    root.features, DATA, "credit features describe --language fr", "credit features describe --json", name="describe"
)
def describe(
    portfolio: Name = DEFAULT,
    language: Annotated[Tongue, typer.Option(help="Of the words.")] = Tongue.en,
    as_json: Json = False,
) -> None:
    """Print every feature in words.

    Of each: name, words, concept, table, and what it is computed from; as JSON also kind, unit, window, direction and
    whether the applicant can change it.
    """
    from credit.features import definitions

    rows = [
        {
            "name": feature.name,
            "words": getattr(feature.label, language.value),
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
    say(*(f"{row['name']}: {row['words']} [{row['concept']}, {row['table']}] {row['formula']}" for row in rows))


@command(root.features, DATA, "credit features build --data book --out features --memory 4GB", name="build")
def build(
    data: Annotated[str, typer.Option("--data", help="A folder, a file or a database; with Spark a folder or URL.")],
    out: Annotated[str, typer.Option("--out", help="A folder; with Spark also a URL.")],
    portfolio: Name = DEFAULT,
    engine: Annotated[
        Engine, typer.Option(help="Where it is done; spark needs the extra spark, and Java.")
    ] = Engine.duckdb,
    memory: Annotated[str | None, typer.Option(help="What the engine may use, such as 4GB; the rest spills.")] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Of applications without a target.")] = False,
    as_json: Json = False,
) -> None:
    """Build one row of features per applicant.

    What was built from the same data and the same definitions is not built again. A training run does this by itself;
    the command is for books of a size that is prepared beforehand, on Spark for instance.
    """
    from credit.features import scale

    loaded = load(portfolio)
    with scale.opened(engine.value, memory) as opened:
        made = scale.make(loaded, data, out, opened, labelled=not unlabelled)
    show({"engine": engine.value} | made.to_dict(), as_json)
