"""A first portfolio file for an unknown table, with its doubts as comments; trains and decides nothing."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AoT, Array, Table

from credit import portfolio
from credit.console import progress
from credit.data.files import ROW, stem
from credit.data.guess import Guess, Seen, guess
from credit.data.tables import open_tables
from credit.errors import ConfigError, DataError
from credit.portfolio import Label, Portfolio
from credit.settings import hint

__all__ = ["draft"]

NUMBER = "row_number"
YES, NO = ("1", "1.0", "true"), ("0", "0.0", "false")
WIDTH = 100
BAD = re.compile(r"bad|yes|y|default(ed)?|charged ?off|late|unpaid", re.IGNORECASE)
HEAD = """\
{file}: {rows:,} rows, {columns} columns, {bad:,} defaults ({share:.1%}).

Drafted by `credit portfolio init`; training runs on it as it is. Before anyone relies on it, look at
  unit = "?"          what a number counts: currency, days, months, years, share, count, score or hour
  role                what no model may see, for it is protected, or known only afterwards
  min, max, levels    what is allowed: what was seen, widened
  missing             false where every applicant must have a value
  en, fr              words for people: both are only the column's name
and add to a column, where you know, monotone = 1 (a higher value can only mean more risk) or -1 (less), and
group = "NAME" to explain it together with others, in the words of [concepts.NAME] en = "...", fr = "...".

A form is made of all that. To say it better, add what the portfolios of the package have:
  [asks]              the question, help and first value of a field, where the column's words do not do
  [words]             what people read instead of a level
  [[form]]            the fields in their order, in sections
  [adverse]           the reason for a refusal, by group
  [[actions]]         what can be changed in an application, of columns with actionable = true
  [[bands]]           classes of risk
"""


def draft(file: str | Path, target: str, key: str | None = None, name: str | None = None) -> str:
    """Write the portfolio file of a table that nobody has described yet.

    Parameters
    ----------
    file : str or Path
        CSV (also .csv.gz, .zip) or Parquet; one row per applicant.
    target : str
        The column that is 1 for a default and 0 for none.
    key : str, optional
        The column that names the applicant; by default one that looks like it, or else the row's number.
    name : str, optional
        The portfolio's name; by default the file's. It is made plain: lower-case letters, digits and _.

    Returns
    -------
    str
        TOML that `credit.portfolio.load` accepts.

    Raises
    ------
    DataError
        If the file cannot be read, its target is not 0 and 1, or `key` does not tell the rows apart.
    ConfigError
        If `target` or `key` is no column.
    """
    path = Path(file)
    rows = _open(path)
    names = [column for column in rows.columns if column != ROW]
    _check_names(path, names, target, key)
    count = int(rows.count().execute())
    bad = _defaults(path, target, rows[target].value_counts(name="n").execute())
    others = [column for column in names if column != target]
    looked = progress(others, len(others), "Looking at columns")
    seen = {column: _see(rows, column, target, count) for column in looked}
    found = _key(path, seen, key)
    guesses = {column: guess(each) for column, each in seen.items()}
    guesses[target] = Guess({"type": "flag", "role": "target", "missing": False})
    number = found or _free(names)
    kind = "integer" if found is None or seen[found].whole else "category"
    guesses[number] = Guess({"type": kind, "role": "key", "missing": False})
    ordered = {column: guesses[column] for column in (names if found else [number, *names])}
    head = HEAD.format(file=path.name, rows=count, columns=len(names), bad=bad, share=bad / count)
    file_stem = stem(path) or ""
    return _render(_Plan(file_stem, name or file_stem, number, found is None, target, ordered), head)


@dataclass(frozen=True)
class _Plan:
    """What the file is going to say."""

    stem: str
    name: str
    key: str
    generated: bool
    target: str
    guesses: dict[str, Guess]

    @property
    def table(self) -> str:
        return _identifier(self.stem)

    @property
    def title(self) -> str:
        plain = _identifier(self.name)
        return f"{plain}_draft" if plain in portfolio.available() else plain


def _open(path: Path) -> Any:
    """Read one file by the only reader, as a book of which nothing is known but that."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a CSV or Parquet file.")
    words = Label("", "")
    table = portfolio.Table(name="draft", label=words, files=("draft",))
    book = Portfolio("draft", words, "", "", main="draft", key="", target="", tables={"draft": table})
    return open_tables(book, path)["draft"]


def _check_names(path: Path, names: list[str], target: str, key: str | None) -> None:
    for wanted in (target, key):
        if wanted is not None and wanted not in names:
            raise ConfigError(f"{path}: no column {wanted!r}; {hint(wanted, names)}")
    if target == key:
        raise ConfigError(f"{path}: {target!r} cannot be both target and key; name two columns.")
    odd = [name for name in names if not name.strip() or not name.isprintable()]
    if odd:
        raise DataError(f"{path}: a column cannot be called {odd[0]!r}; rename it, in printable letters.")


def _defaults(path: Path, target: str, counts: pd.DataFrame) -> int:
    """Count the defaults, and refuse a target that is not plainly 0 and 1."""
    known = counts.dropna(subset=target)
    found = dict(zip(known[target], known["n"].astype(int), strict=True))
    lost = int(counts["n"].sum() - known["n"].sum())
    if not {str(value).lower() for value in found} <= {*YES, *NO}:
        raise DataError(f"{path}: a target is 1 for a default and 0 for none, but {_recode(target, found)}")
    if lost:
        raise DataError(f"{path}: {target!r} is missing in {lost:,} rows; leave out what has no outcome yet.")
    if len(found) < 2:
        raise DataError(f"{path}: {target!r} is the same in every row; give rows with both outcomes.")
    return sum(n for value, n in found.items() if str(value).lower() in YES)


def _recode(target: str, found: dict[Any, int]) -> str:
    values = sorted(found, key=lambda value: found[value])
    shown = ", ".join(str(value) for value in values[:5]) + (", ..." if len(values) > 5 else "")
    bad = next((value for value in values if BAD.fullmatch(str(value))), values[0])
    literal = str(bad) if re.fullmatch(r"-?[\d.]+", str(bad)) else repr(bad)
    return (
        f"{target!r} holds {shown}; recode it, for example with pandas, if {bad} is a default: "
        f"frame[{target!r}] = (frame[{target!r}] == {literal}).astype(int)"
    )


def _see(rows: Any, column: str, target: str, count: int) -> Seen:
    """Count a column's distinct values, and the defaults among the rows with each."""
    kind, value = rows[column].type(), rows[column]
    if kind.is_boolean():
        value = ibis.cases((value, "True"), (~value, "False"))
    elif kind.is_numeric() and not kind.is_integer():
        value = value.cast("float64")
    kinds = {
        "text": kind.is_string() or kind.is_boolean(),
        "number": kind.is_numeric(),
        "date": kind.is_temporal(),
    }
    what = next((name for name, holds in kinds.items() if holds), "other")
    if what == "other":
        value = ibis.cases((value.notnull(), ""))  # noqa: PD004 - Ibis calls it so
    pairs = rows.select(value=value, bad=rows[target].cast("string").lower().isin(YES).cast("int64"))
    counts = pairs.group_by("value").agg(n=pairs.count(), bad=pairs.bad.sum()).order_by("value")
    number = counts.value.try_cast("float64") if what in ("text", "number") else ibis.null("float64")
    return Seen(column, what, counts.mutate(number=number).execute().dropna(subset="value"), count)


def _key(path: Path, seen: dict[str, Seen], key: str | None) -> str | None:
    """Find the column that names the rows; None if there is none."""
    if key is None:
        return next((column for column, each in seen.items() if each.is_id), None)
    if not seen[key].unique:
        raise DataError(
            f"{path}: {key!r} does not tell the rows apart, some are missing or equal; "
            "name another column, or none to number the rows."
        )
    return key


def _free(names: list[str]) -> str:
    """Call the row's number as no column is called."""
    taken = {name.lower() for name in names}
    number = NUMBER
    while number in taken:
        number += "_"
    return number


def _render(plan: _Plan, head: str) -> str:
    book = tomlkit.document()
    for line in head.splitlines():
        book.add(tomlkit.comment(line) if line else tomlkit.nl())
    book.add(tomlkit.nl())
    _top(book, plan)
    if groups := _groups(plan.guesses):
        book["groups"] = groups
    table = tomlkit.table()
    table.update(_words("Applications", "Demandes") | {"files": [plan.stem], "key": [plan.key]})
    if plan.generated:
        _put(table, "generated_key", True, "no column names the rows, so their number does: keep their order")
    table["columns"] = _parent({column: _entry(column, found) for column, found in plan.guesses.items()})
    book["tables"] = _parent({plan.table: table})
    return tomlkit.dumps(book)


def _parent(tables: dict[str, Table]) -> Table:
    """Hold tables in one that needs no line of its own."""
    parent = tomlkit.table(is_super_table=True)
    parent.update(tables)
    return parent


def _top(book: TOMLDocument, plan: _Plan) -> None:
    title = tomlkit.inline_table()
    title.update(_words(_title(plan.stem)))
    book.update({"name": plan.title, "title": title})
    _put(book, "source", "?", "fill in: where the rows come from")
    _put(book, "licence", "?", "fill in: who may use them")
    book.update({"main": plan.table, "key": plan.key, "target": plan.target})
    costs = tomlkit.table()
    costs.comment("in units of one good client refused")
    _put(costs, "false_negative", 10.0, "a client approved who defaults")
    _put(costs, "false_positive", 1.0, "a client refused who would have paid")
    book["costs"] = costs


def _groups(guesses: dict[str, Guess]) -> AoT:
    groups = tomlkit.aot()
    for column, found in guesses.items():
        if found.edges is not None:
            group = tomlkit.table()
            name = _identifier(column)
            name += "_band" if found.edges and name == column else ""  # the name is the feature's already
            group.update({"name": name, "column": column} | _words(_title(column)))
            if found.edges:
                group["edges"] = list(found.edges)
            if found.scale != 1:
                _put(group, "scale", found.scale, "days before the application to years")
            groups.append(group)
    return groups


def _entry(column: str, found: Guess) -> Table:
    entry = tomlkit.table()
    if found.note:
        entry.add(tomlkit.comment(found.note))
    entry.update(_words(_title(column)))
    for key, value in found.settings.items():
        _put(entry, key, _wrapped(value) if isinstance(value, list) else value, found.remarks.get(key, ""))
    return entry


def _put(table: Any, key: str, value: Any, remark: str = "") -> None:
    item = tomlkit.item(value)
    if remark:
        item.comment(remark)
    table[key] = item


def _wrapped(values: list[Any]) -> Array:
    """Write a long array on several lines."""
    array = tomlkit.array()
    array.extend(values)
    if len(array.as_string()) <= WIDTH:
        return array
    array.clear()
    line: list[Any] = []
    for value in values:
        if line and len(tomlkit.item([*line, value]).as_string()) > WIDTH:
            array.add_line(*line)
            line = []
        line.append(value)
    array.add_line(*line)
    array.add_line(indent="")
    return array


def _words(en: str, fr: str | None = None) -> dict[str, str]:
    return {"en": en, "fr": fr or en}


def _title(name: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", name)).capitalize() or name


def _identifier(name: str) -> str:
    """Make a name that may stand in a registry: letters, digits and _, a letter first."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    return (plain if re.match(r"[a-z]", plain) else f"x_{plain}")[:50].rstrip("_")
