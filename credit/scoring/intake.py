"""Rows of features as they lie in a file -> rows a model can score, and those it cannot, with why; scores nothing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from credit.data.report import REMEDIES
from credit.data.rules import identity, judge, promised
from credit.errors import DataError
from credit.portfolio import Portfolio
from credit.scoring.scorer import Input, Scorer

__all__ = ["REJECTED", "Intake", "Judged", "check_columns", "is_numeric", "repeated"]

#: The columns of a rejected row's lines.
REJECTED = ("row", "column", "rule", "value", "remedy")
GIVE = "give the row its own key, a whole number"
NUMBER = "give the number, or leave the cell empty"
FINITE = "give a finite number, or leave the cell empty"
REMEDY = {**REMEDIES, "not a number": NUMBER, "not finite": FINITE}


@dataclass(frozen=True)
class Judged:
    """A block of rows.

    Parameters
    ----------
    frame : DataFrame
        The valid rows: the key, then the model's features.
    rejected : DataFrame
        A line for each broken rule: row, the key, column, rule, value, remedy.
    unknown : Counter
        By feature: valid cells whose level the model does not know; it takes them for missing.
    """

    frame: pd.DataFrame
    rejected: pd.DataFrame
    unknown: Counter[str]


class Intake:
    """What judges the blocks of files with the same columns.

    Parameters
    ----------
    portfolio : Portfolio
        The book; it says what a key is.
    scorer : Scorer
        The model; it says what it reads.
    schema : pyarrow.Schema
        The files' columns.
    repeated : pyarrow.Array
        Keys, as text, that more than one row has.

    Notes
    -----
    The rules are those of the contract where they can be kept without the raw values: a key that is there, valid and
    only once; numbers that are finite numbers.  NaN is missing, as in a data frame; so is a level that the model does
    not know.
    """

    def __init__(self, portfolio: Portfolio, scorer: Scorer, schema: pa.Schema, repeated: pa.Array) -> None:
        self.key, self.inputs = portfolio.key, scorer.inputs
        self.columns = [self.key, *(item.name for item in scorer.inputs)]
        self.repeated = repeated
        self._odd = [item for item in scorer.inputs if _is_odd(item, schema.field(item.name).type)]
        self._connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})
        asked = pa.schema([schema.field(name) for name in [self.key, *(item.name for item in self._odd)]])
        self._query = _typing(portfolio, self._odd, asked)

    def judge(self, block: pa.Table, first: int) -> Judged:
        """Judge rows whose numbers begin with `first`."""
        made = self._typed(block)
        key, faults = made["key"], [self._key_faults(made)]
        columns: dict[str, Any] = {}
        for item in self.inputs:
            odd = f"typed {item.name}" in made.column_names
            values = made[f"typed {item.name}"] if odd else block[item.name]
            columns[item.name] = values.to_pandas().array if item.levels is not None else _floats(values)
            if item.levels is None:
                faults += self._number_faults(item.name, block[item.name], columns[item.name], odd)
        rejected = pd.concat(faults, ignore_index=True)
        rejected.insert(1, self.key, key.cast(pa.string()).take(pa.array(rejected["row"])).to_pandas().astype("str"))
        valid = ~np.isin(np.arange(len(block)), rejected["row"])
        kept = columns if valid.all() else {name: values[valid] for name, values in columns.items()}
        frame = pd.DataFrame({self.key: key.filter(pa.array(valid)).to_pandas().array, **kept}, copy=False)
        rejected = rejected.assign(row=rejected["row"] + first).sort_values(["row", "column"], ignore_index=True)
        return Judged(frame, rejected, self._unknown(frame))

    def _typed(self, block: pa.Table) -> pa.Table:
        """Let the contract's own rules type the keys, and what is no number yet."""
        names = [self.key, *(item.name for item in self._odd)]
        self._connection.register("block", block.select(names))
        return self._connection.sql(self._query).to_arrow_table()

    def _key_faults(self, made: pa.Table) -> pd.DataFrame:
        rule = made["rule"]
        if len(self.repeated):
            twice = pc.is_in(made["key"].cast(pa.string()), value_set=self.repeated)
            rule = pc.if_else(pc.and_(twice, pc.is_null(rule)), "duplicated key", rule)
        at = np.flatnonzero(pc.is_valid(rule).to_numpy(zero_copy_only=False))
        rules, found = (each.take(pa.array(at)).to_pylist() for each in (rule, made["found"]))
        return _lines(at, self.key, rules, found, key=True)

    def _number_faults(self, name: str, raw: Any, values: Any, odd: bool) -> Iterable[pd.DataFrame]:
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            yield _lines(infinite, name, "not finite", raw.take(pa.array(infinite)).to_pylist())
        if odd:
            given = pc.is_valid(raw).to_numpy(zero_copy_only=False)
            maybe = np.flatnonzero(given & np.isnan(values))
            texts = [str(value) for value in raw.take(pa.array(maybe)).to_pylist()]
            bad = [at for at, text in enumerate(texts) if text.strip().lower() not in ("", "nan")]
            yield _lines(maybe[bad], name, "not a number", [texts[at] for at in bad])

    def _unknown(self, frame: pd.DataFrame) -> Counter[str]:
        found: Counter[str] = Counter()
        for item in self.inputs:
            if item.levels is not None:
                strange = frame[item.name].notna() & ~frame[item.name].isin(item.levels)
                found[item.name] += int(strange.sum())
        return +found


def check_columns(portfolio: Portfolio, scorer: Scorer, file: Path, schema: pa.Schema) -> None:
    """Refuse a file that lacks a column.

    Raises
    ------
    DataError
        It names what is missing.
    """
    if portfolio.key not in schema.names:
        raise DataError(f"{file}: has no column {portfolio.key!r}, which says whose a row is; add it.")
    absent = [item.name for item in scorer.inputs if item.name not in schema.names]
    if absent:
        more = ", ..." if len(absent) > 5 else ""
        raise DataError(
            f"{file}: {len(absent)} features that the model reads are not there ({', '.join(absent[:5])}{more}); build "
            "them with `credit features build`, or give the raw tables with --data."
        )


def repeated(portfolio: Portfolio, files: Iterable[Path], scratch: Path, memory: str) -> pa.Array:
    """Find the keys that more than one row has, in any of the files.

    Parameters
    ----------
    portfolio : Portfolio
        It says what a key is.
    files : iterable of Path
        Parquet.
    scratch : Path
        A folder for what does not fit into memory.
    memory : str
        What may be used, such as "1GB".

    Returns
    -------
    pyarrow.Array
        Keys as text.
    """
    column = promised(portfolio.tables[portfolio.main], False)[portfolio.key]
    options = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,
    }
    connection = ibis.duckdb.connect(temp_directory=str(scratch), memory_limit=memory, **options)
    keys = [identity(column, connection.read_parquet(file)[portfolio.key]).name("key").as_table() for file in files]
    numeric = all(each["key"].type().is_integer() for each in keys)
    rows = ibis.union(*(each if numeric else each.select(key=each["key"].cast("string")) for each in keys))
    times = rows.drop_null("key").group_by("key").aggregate(times=ibis._.count())
    twice = times.filter(ibis._.times > 1).select(key=ibis._.key.cast("string")).to_pyarrow()["key"]
    connection.disconnect()
    return twice.combine_chunks().cast(pa.string())


def is_numeric(portfolio: Portfolio, files: Iterable[Path]) -> bool:
    """Whether keys are integers in the output: by the contract, or as they are in every file."""
    if portfolio.columns[portfolio.key].type != "category":
        return True
    return all(pa.types.is_signed_integer(pq.read_schema(file).field(portfolio.key).type) for file in files)


def _is_odd(item: Input, kind: pa.DataType) -> bool:
    """Whether a column must be read as something else than it is."""
    plain = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return _is_text(kind) is False if item.levels is not None else not plain


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _typing(portfolio: Portfolio, odd: Iterable[Input], schema: pa.Schema) -> str:
    """Write the query that types a block."""
    column = promised(portfolio.tables[portfolio.main], False)[portfolio.key]
    block = ibis.table(ibis.Schema.from_pyarrow(pa.schema([_undictionary(field) for field in schema])), name="block")
    key = judge(column, block[portfolio.key])
    chosen = {"key": identity(column, block[portfolio.key]), "rule": key.rule, "found": key.found}
    for item in odd:
        value = block[item.name].cast("string")
        number = value.nullif("").try_cast("float64")
        level = value.re_replace(r"^(-?\d+)\.0+$", r"\1").nullif("")
        chosen[f"typed {item.name}"] = level if item.levels is not None else number
    return str(ibis.to_sql(block.select(**chosen), dialect="duckdb"))


def _undictionary(field: pa.Field) -> pa.Field:
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def _floats(values: Any) -> Any:
    """Return numbers as float64, missing ones as NaN."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return values.cast(pa.float64(), safe=False).to_numpy()


def _lines(at: Any, column: str, rule: Any, values: Any, *, key: bool = False) -> pd.DataFrame:
    frame = pd.DataFrame({"row": np.asarray(at, dtype=np.int64), "column": column, "rule": rule})
    texts = [None if value is None else str(value) for value in values]
    frame["value"] = pd.Series(texts, dtype="str", index=frame.index)
    remedies = REMEDIES | {"not a number": GIVE, "not an integer": GIVE} if key else REMEDY
    return frame.astype({"column": "str", "rule": "str"}).assign(remedy=frame["rule"].map(remedies).astype("str"))
