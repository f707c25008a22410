"""What must hold between the parts of a portfolio, and within its numbers; reads no file."""

from collections.abc import Callable
from itertools import chain, pairwise
from math import isclose
from re import fullmatch
from typing import Any

from credit.portfolio.book import Column, Group, Portfolio, Table
from credit.portfolio.officer import NAME, Broken, repeated, shown
from credit.settings import KeyPath, hint

__all__ = ["broken"]

#: A name of a file leads to no other folder.
STEM = r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*"
#: What a model's results are called beside its features.
RESULTS = ("fold", "outcome", "probability_of_default")

Check = tuple[Callable[[Any], bool], str]
ABOVE_0: Check = (lambda value: value > 0, "above 0")
SHARE: Check = (lambda value: 0 < value < 1, "above 0 and below 1")
UNIT: Check = (lambda value: 0 <= value <= 1, "from 0 to 1")
SLOPES: Check = (lambda pair: 0 < pair[0] < pair[1], "a lower and a higher slope, both above 0")
LEVELS: Check = (lambda pair: 0 < pair[0] <= pair[1], "where it warns and where it alerts, both above 0, in this order")
NUMBERS: dict[tuple[str, str], Check] = {
    ("costs", "false_negative"): ABOVE_0,
    ("costs", "false_positive"): ABOVE_0,
    ("costs", "review"): ABOVE_0,
    ("split", "train"): SHARE,
    ("split", "validation"): SHARE,
    ("split", "test"): SHARE,
    ("limits", "probability_cheaper"): UNIT,
    ("limits", "calibration_slope"): SLOPES,
    ("limits", "calibration_in_the_large"): ABOVE_0,
    ("limits", "auc_gap"): UNIT,
    ("limits", "group_gap"): UNIT,
    ("limits", "min_group"): ABOVE_0,
    ("limits", "approval_ratio"): UNIT,
    ("monitoring", "window"): (lambda value: value >= 50, "50 or more"),
    ("monitoring", "psi"): LEVELS,
    ("monitoring", "score_psi"): LEVELS,
    ("monitoring", "important"): UNIT,
    ("monitoring", "cost"): LEVELS,
    ("monitoring", "regression"): (lambda value: value >= 0, "0 or more"),
    ("monitoring", "min_segment"): ABOVE_0,
    ("training", "folds"): (lambda value: value >= 2, "2 or more"),
    ("training", "seed"): (lambda value: 0 <= value < 2**31, "from 0 to 2147483647"),
}


def broken(book: Portfolio) -> Broken:
    """Yield the key path and the words of every rule that a portfolio breaks."""
    yield from _names(book)
    for table in book.tables.values():
        yield from _table(book, table)
        for column in table.columns.values():
            yield from _column(column, ("tables", table.name, "columns", column.name))
            if table.name != book.main and column.role in ("target", "protected"):
                where = ("tables", table.name, "columns", column.name, "role")
                yield where, f"only a column of the main table '{book.main}' is {column.role}; choose another."
    if book.main in book.tables:
        yield from _main(book, book.tables[book.main])
        for part in ("groups", "segments"):
            for at, group in enumerate(getattr(book, part), start=1):
                yield from _group(book, group, (part, str(at)))
        yield from shown(book)
    else:
        yield ("main",), f"must be one of the tables, not {book.main!r}; {hint(book.main, book.tables)}"
    yield from _numbers(book)
    yield from _training(book)


def _names(book: Portfolio) -> Broken:
    simple: list[tuple[KeyPath, str | None]] = [(("name",), book.name), (("derived",), book.derived)]
    simple += [(("tables", name), name) for name in book.tables]
    simple += [(("concepts", name), name) for name in book.concepts]
    for part in ("groups", "segments"):
        simple += [((part, str(at), "name"), group.name) for at, group in enumerate(getattr(book, part), start=1)]
    simple += [(("training", "candidates"), name) for name in book.training.candidates]
    simple += [(("training", "references"), name) for name in book.training.references]
    for where, name in simple:
        if name is not None and not fullmatch(NAME, name):
            yield where, f"must be letters, digits and _ and begin with a letter, not {name!r}."
    files: list[tuple[KeyPath, str | None]] = [(("synthetic",), book.synthetic)]
    for table in book.tables.values():
        files += [(("tables", table.name, "files"), stem) for stem in table.files]
        files += [(("tables", table.name, "unlabelled"), stem) for stem in table.unlabelled]
    for where, stem in files:
        if stem is not None and not fullmatch(STEM, stem):
            yield where, f"must be the plain name of a file, without a folder, not {stem!r}."


def _table(book: Portfolio, table: Table) -> Broken:
    where = ("tables", table.name)
    if not table.files:
        yield (*where, "files"), "names no file; name one at least, without its suffix."
    named = {"key": table.key, "parent_key": (table.parent_key,), "time": (table.time,)}
    for key, name in ((key, name) for key, names in named.items() for name in names):
        if name is not None and table.columns and name not in table.columns:
            yield (*where, key), f"must be a column of the table, not {name!r}; {hint(name, table.columns)}"
    if table.generated_key and len(table.key) != 1:
        yield (*where, "generated_key"), f"names one key column in key, not {list(table.key)}."
    if table.name == book.main:
        if table.parent or table.parent_key:
            yield (*where, "parent"), "the main table has none; leave parent and parent_key out."
    elif not table.parent or not table.parent_key:
        yield (*where, "parent"), "missing; name the table the rows belong to, and the column in parent_key."
    elif book.main not in _ancestors(book, table):
        rule = f"must lead to the main table '{book.main}'"
        yield (*where, "parent"), f"{rule}, not {table.parent!r}; {hint(table.parent, book.tables)}"


def _ancestors(book: Portfolio, table: Table) -> list[str]:
    found: list[str] = []
    step: Table | None = table
    while step is not None and step.parent and step.parent not in found:
        found.append(step.parent)
        step = book.tables.get(step.parent)
    return found


def _column(column: Column, where: KeyPath) -> Broken:
    if not column.name.strip() or not column.name.isprintable():
        yield where, "a column's name must be printable text."
    given = {
        "min": (column.minimum is not None, ("number", "integer")),
        "max": (column.maximum is not None, ("number", "integer")),
        "levels": (bool(column.levels), ("category",)),
        "monotone": (bool(column.monotone), ("number", "integer", "flag")),
    }
    for key, (is_given, types) in given.items():
        if is_given and column.type not in types:
            yield (*where, key), f"only for {' or '.join(types)}, not for a {column.type}; leave it out."
    for key, value in (("monotone", column.monotone), ("actionable", column.actionable)):
        if value and column.role != "feature":
            yield (*where, key), f"only for a feature, not for a column that is {column.role}; leave it out."
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        yield (*where, "min"), f"must not exceed max, but {column.minimum:g} > {column.maximum:g}."
    if column.type == "category" and not all(isinstance(value, str) for value in column.sentinels):
        yield (*where, "sentinels"), f"must be texts for a category, not {list(column.sentinels)}."
    if again := repeated(column.levels):
        yield (*where, "levels"), f"must differ, but are there twice: {again}."
    elif again := repeated(chain(column.levels, column.sentinels)):
        yield (*where, "sentinels"), f"must differ, also from the levels, but are there twice: {again}."


def _main(book: Portfolio, table: Table) -> Broken:
    where = ("tables", table.name)
    if table.key != (book.key,):
        yield (*where, "key"), f"must be the portfolio's key, [{book.key!r}], not {list(table.key)}."
    for role, name in (("key", book.key), ("target", book.target)):
        if name not in table.columns:
            known = hint(name, table.columns)
            yield (role,), f"must be a column of table '{table.name}', not {name!r}; {known}"
    if book.target == book.key:
        yield ("target",), f"must not be the key, {book.key!r}."
    for column in table.columns.values():
        yield from _role(book, column, (*where, "columns", column.name))
    if not book.features:
        yield (*where, "columns"), "none is a feature; leave out the role of one at least."


def _role(book: Portfolio, column: Column, where: KeyPath) -> Broken:
    wanted = {book.key: "key", book.target: "target"}.get(column.name)
    if wanted and column.role != wanted:
        yield (*where, "role"), f"must be '{wanted}', as the portfolio says, not '{column.role}'."
    if not wanted and column.role in ("key", "target"):
        yield (*where, "role"), f"the key is {book.key!r} and the target {book.target!r}; choose another."
    if wanted == "target" and column.type != "flag":
        yield (*where, "type"), f"a target is a flag (1 default, 0 none), not a {column.type}."
    if column.group and column.group not in book.concepts:
        known = hint(column.group, book.concepts)
        yield (*where, "group"), f"must be one of the [concepts], not {column.group!r}; {known}"


def _group(book: Portfolio, group: Group, where: KeyPath) -> Broken:
    if [other.name for other in (*book.groups, *book.segments)].count(group.name) > 1:
        yield (*where, "name"), f"another group or segment is called {group.name!r} too; choose another name."
    taken = {column.name for column in book.features} | set(RESULTS)
    if group.name in taken:
        yield (*where, "name"), f"{group.name!r} is the name of a feature or a result; choose another name."
    column = book.columns.get(group.column)
    if column is None:
        known = hint(group.column, book.columns)
        yield (*where, "column"), f"must be a column of table '{book.main}', not {group.column!r}; {known}"
    elif column.role == "excluded":
        yield (*where, "column"), f"{group.column!r} is excluded, and so carried nowhere; choose another column."
    elif column.type == "category" and group.edges:
        yield (*where, "edges"), f"the levels of category {group.column!r} are the groups; leave edges out."
    elif column.type != "category" and not group.edges:
        yield (*where, "edges"), f"{group.column!r} is a {column.type}; give the edges of its bands."
    if any(low >= high for low, high in pairwise(group.edges)):
        yield (*where, "edges"), f"must increase, not {list(group.edges)}."
    if group.scale == 0:
        yield (*where, "scale"), "must not be 0; leave it out for 1."


def _numbers(book: Portfolio) -> Broken:
    for (part, key), (holds, words) in NUMBERS.items():
        value = getattr(getattr(book, part), key)
        if value is not None and not holds(value):
            yield (part, key), f"must be {words}, not {value}."
    total = book.split.train + book.split.validation + book.split.test
    if not isclose(total, 1, abs_tol=1e-9):
        yield ("split",), f"train, validation and test must sum to 1, not {total:g}."


def _training(book: Portfolio) -> Broken:
    names = (*book.training.candidates, *book.training.references)
    if not book.training.candidates:
        yield ("training", "candidates"), "names no candidate; name one at least."
    if again := repeated(names):
        yield (
            ("training", "candidates"),
            f"must differ, references included, but are there twice: {again}.",
        )
    for name in book.training.overrides:
        if name not in names:
            yield ("candidates", name), f"is no candidate or reference of [training]; {hint(name, names)}"
