"""One lender's book as data: tables, columns, costs, limits, words; knows no rows and no model.

A book is one TOML file (`credit/portfolios/home_credit.toml` is the default); a new book is a new file, not
new code.

    book.py      what a portfolio says
    rules.py     what must hold between its parts
    officer.py   the same for what an officer sees
    words.py     its columns and values in the words and units of people
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from credit.errors import ConfigError
from credit.portfolio.book import (
    Action,
    Ask,
    Band,
    Column,
    Costs,
    Group,
    Label,
    Language,
    Limits,
    Monitoring,
    Portfolio,
    Section,
    Split,
    Table,
    Training,
)
from credit.portfolio.rules import broken
from credit.settings import Reader, parse

__all__ = [
    "DEFAULT",
    "Action",
    "Ask",
    "Band",
    "Column",
    "Costs",
    "Group",
    "Label",
    "Language",
    "Limits",
    "Monitoring",
    "Portfolio",
    "Section",
    "Split",
    "Table",
    "Training",
    "available",
    "load",
]

#: The book that is meant where none is named.
DEFAULT = "home_credit"
FOLDER = Path(__file__).parents[1] / "portfolios"


def available() -> tuple[str, ...]:
    """Return the names of the portfolios that come with the package."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


def load(name_or_path: str | Path) -> Portfolio:
    """Read a portfolio.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `available()`, or the path of a TOML file.

    Returns
    -------
    Portfolio
        Complete and consistent.

    Raises
    ------
    ConfigError
        If there is no such portfolio, or its file breaks a rule; all broken rules are listed, each with key
        path, rule, value and remedy.
    """
    file = FOLDER / f"{name_or_path}.toml" if str(name_or_path) in available() else Path(name_or_path)
    if not file.is_file():
        known = ", ".join(available())
        raise ConfigError(
            f"--portfolio '{name_or_path}': no such portfolio (known: {known}) and no such file; "
            "give one of these names or the path of a TOML file."
        )
    document, reader = parse(file), Reader(file)
    overrides = reader.convert(dict[str, dict[str, Any]], document.pop("candidates", {}), ("candidates",))
    book: Portfolio = reader.read(Portfolio, document, folder=file.parent, text=file.read_text(encoding="utf-8"))
    book = replace(book, training=replace(book.training, overrides=overrides))
    for where, what in broken(book):
        reader.wrong(where, what)
    reader.finish()
    return _with_own_concepts(book)


def _with_own_concepts(book: Portfolio) -> Portfolio:
    """Make each feature that names no concept one of its own."""
    alone = {column.name: column for column in book.features if not column.group}
    main = book.tables[book.main]
    columns = main.columns | {name: replace(column, group=name) for name, column in alone.items()}
    concepts = {name: column.label for name, column in alone.items()} | book.concepts
    return replace(book, tables=book.tables | {main.name: replace(main, columns=columns)}, concepts=concepts)
