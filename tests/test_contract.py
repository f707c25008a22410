"""The contract: each rule is caught and counted, from text and from types, and nothing valid is lost.

Training on rows that break a promise gives a model nobody can trust, so every broken rule must be an error that
names where and what to do; and a rule that fires on valid rows would lose clients, so the rows that are kept are
compared with a brute-force count too.
"""

import math
from itertools import groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seven_util import BOOK, SHAPES, seven, write
from tables_util import COLUMNS, EVENT_COLUMNS, EVENTS, book, columns_of, plant, rows, save

from credit.data.contract import Checked, Screened, check, screen
from credit.data.report import Violation
from credit.data.tables import open_tables
from credit.errors import ContractError
from credit.portfolio import Portfolio

FORMATS = ("csv", "parquet", "db")


@pytest.fixture
def small(tmp_path: Path) -> Portfolio:
    return book(tmp_path)


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def checked(portfolio: Portfolio, frame: pd.DataFrame, file: Path, **options: bool) -> Checked:
    return check(portfolio, open_tables(portfolio, save(frame, file)), **options)


def screened(portfolio: Portfolio, frame: pd.DataFrame, file: Path) -> Screened:
    return screen(portfolio, open_tables(portfolio, save(frame, file, "open"), labelled=False))


def violations(portfolio: Portfolio, frame: pd.DataFrame, file: Path, **options: bool) -> list[Violation]:
    """Return all violations, whether they refuse the data or not."""
    try:
        return list(checked(portfolio, frame, file, **options).report.violations)
    except ContractError as error:
        return list(error.violations)


def typed(result: Checked | Screened, name: str = "application") -> pa.Table:
    return result.tables[name].order_by("id").to_pyarrow()


CELLS: list[tuple[str, Any, str, str]] = [
    ("id", None, "missing key", "error"),
    ("id", "A7", "not a number", "error"),
    ("id", 7.5, "not an integer", "error"),
    ("id", "99999999999999999999", "not an integer", "error"),
    ("target", None, "target missing", "error"),
    ("target", 2, "target not 0 or 1", "error"),
    ("target", 0.5, "target not 0 or 1", "error"),
    ("target", "yes", "target not 0 or 1", "error"),
    ("amount", None, "missing value", "error"),
    ("amount", "ten", "not a number", "error"),
    ("amount", "1,000", "not a number", "error"),
    ("amount", " ", "not a number", "error"),
    ("amount", "nan", "not finite", "error"),
    ("amount", "-Infinity", "not finite", "error"),
    ("amount", "1e999", "not finite", "error"),
    ("amount", math.inf, "not finite", "error"),
    ("amount", 9.99, "out of range", "error"),
    ("amount", 1000.01, "out of range", "error"),
    ("days", 1, "dated after the application", "error"),
    ("days", -5001, "out of range", "error"),
    ("days", -1.5, "not an integer", "error"),
    ("days", "yesterday", "not a number", "error"),
    ("days", 365243, "sentinel", "null"),
    ("days", "365243.0", "sentinel", "null"),
    ("score", 1.01, "out of range", "null"),
    ("score", "high", "not a number", "error"),
    ("visits", 10, "out of range", "warn"),
    ("phone", 2, "not 0 or 1", "error"),
    ("phone", "maybe", "not a number", "error"),
    ("kind", "cheque", "unknown level", "error"),
    ("kind", "Cash", "unknown level", "error"),
    ("kind", "XNA", "sentinel", "null"),
    ("grade", 4, "unknown level", "null"),
    ("region", "west", "unknown level", "warn"),
    ("region", None, "missing value", "error"),
]


def rounds(cells: list[tuple[str, Any, str, str]]) -> list[list[tuple[str, Any, str, str]]]:
    """Deal the cells out: the first of each column, then the second, ...; many faults at once, one a column."""
    groups = [list(group) for _, group in groupby(cells, key=itemgetter(0))]
    return [[cell for cell in turn if cell] for turn in zip_longest(*groups)]


#: What is no error is only told when nothing is one.
ROUNDS = [
    *rounds([cell for cell in CELLS if cell[3] == "error"]),
    *rounds([cell for cell in CELLS if cell[3] != "error"]),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("turn", range(len(ROUNDS)))
def test_a_bad_cell_is_found_counted_and_judged(small: Portfolio, tmp_path: Path, suffix: str, turn: int) -> None:
    frame = rows()
    for column, value, _, _ in ROUNDS[turn]:
        frame = plant(frame, column, row_3=value, row_41=value)
    # A key that is there twice is a fault of its own.
    found = violations(small, frame, tmp_path / f"a.{suffix}")
    found = [one for one in found if one.rule != "duplicated key"]
    judged = {one.column: (one.rule, one.severity, one.count) for one in found}
    assert judged == {column: (rule, severity, 2) for column, _, rule, severity in ROUNDS[turn]}
    assert len(found) == len(judged)
    assert {one.rows for one in found} == {(3, 41)}


VALID: list[tuple[str, Any]] = [
    *[("amount", 10), ("amount", 1000), ("amount", "1e2"), ("amount", " 20 "), ("amount", "+30.")],
    *[("days", 0), ("days", -5000), ("days", None), ("days", "-3.0"), ("score", None), ("score", 0)],
    *[("phone", "True"), ("phone", "false"), ("phone", 1.0), ("phone", None), ("kind", None)],
    *[("grade", "1.0"), ("grade", "2"), ("town", "XNA"), ("town", None), ("town", "12.0")],
]


def test_a_valid_cell_is_no_violation(small: Portfolio, tmp_path: Path, form: str) -> None:
    frame = rows()
    for at, (column, value) in enumerate(VALID, start=1):
        frame = plant(frame, column, **{f"row_{at}": value})
    assert violations(small, frame, tmp_path / f"a.{form}") == []


TABLES: dict[str, tuple[Any, str, str]] = {
    "no key": (
        lambda f: f.drop(columns="id"),
        "id: missing column",
        "add the column",
    ),
    "no target": (
        lambda f: f.drop(columns="target"),
        "target: missing column",
        r"add the outcome, 1 for a default and 0 for none \(rows without it can only be scored\)",
    ),
    "no column": (lambda f: f.drop(columns="town"), "town: missing column", "add the column"),
    "a column renamed": (
        lambda f: f.rename(columns={"amount": "Amount"}),
        "amount: missing column",
        "add it, or rename 'Amount' if that is it",
    ),
    "duplicated key": (
        lambda f: plant(f, "id", row_5=1001, row_9=1001),
        r"id: duplicated key, 3 rows \(first: row 1 = 1001, row 5 = 1001, row 9 = 1001\)",
        "keep one row for each key",
    ),
    "duplicated key, written otherwise": (
        lambda f: plant(f, "id", row_5="1001.0"),
        r"id: duplicated key, 2 rows \(first: row 1 = 1001, row 5 = 1001\)",
        "keep one row for each key",
    ),
    "no outcome known": (lambda f: f.assign(target=None), "target: empty target", "give rows with known outcomes"),
    "no default": (lambda f: f.assign(target=0), r"target: constant target \(always 0\)", "with both outcomes"),
    "all in default": (lambda f: f.assign(target=1), r"target: constant target \(always 1\)", "with both outc"),
    "few defaults": (
        lambda f: f.assign(target=[1] * 49 + [0] * 71),
        r"target: too few defaults \(49, at least 50 needed\)",
        "give more rows",
    ),
    "few without": (
        lambda f: f.assign(target=[0] * 49 + [1] * 71),
        r"target: too few without default \(49, at least 50 needed\)",
        "give more rows",
    ),
}


@pytest.mark.parametrize("fault", TABLES)
def test_a_fault_of_the_table_is_said_with_its_remedy(small: Portfolio, tmp_path: Path, fault: str) -> None:
    spoil, message, remedy = TABLES[fault]
    with pytest.raises(ContractError, match=rf"(?m)^  application\.{message}; .*{remedy}"):
        checked(small, spoil(rows()), tmp_path / "a.csv")


def test_fifty_defaults_are_enough(small: Portfolio, tmp_path: Path) -> None:
    # 10 for each of 3 folds, in the 60% of the rows that train.
    frame = rows().assign(target=[1] * 50 + [0] * 70)
    assert violations(small, frame, tmp_path / "a.csv") == []


def test_a_table_without_rows(small: Portfolio, tmp_path: Path) -> None:
    tables = open_tables(small, save(rows(), tmp_path / "a.csv"))
    with pytest.raises(ContractError, match=r"1 violation in application:\n  application: no rows; give data with"):
        check(small, {"application": tables["application"].filter(ibis._.id == "none")})


def test_all_violations_are_one_error(small: Portfolio, tmp_path: Path) -> None:
    frame = plant(rows(), "amount", row_2=-5, row_3=9e9, row_4=1e4, row_5=1001, row_6=1002, row_7=1003)
    frame = plant(plant(frame, "kind", row_1="x" * 99), "days", row_120=2).drop(columns="town").assign(extra=1)
    with pytest.raises(ContractError) as caught:
        checked(small, frame, tmp_path / "a.csv")
    amount, days, kind, town = caught.value.violations
    first = "row 2 = -5, row 3 = 9000000000, row 4 = 10000"
    assert str(caught.value).splitlines() == [
        "4 violations in application:",
        f"  application.amount: out of range [10, 1000], 6 rows (first: {first}); {amount.remedy}",
        f"  application.days: dated after the application [-5000, 0], 1 row (first: row 120 = 2); {days.remedy}",
        f"  application.kind: unknown level (known: cash, card), 1 row (first: row 1 = {'x' * 40}...); {kind.remedy}",
        f"  application.town: missing column; {town.remedy}",
    ]
    assert amount.remedy == 'correct the rows, or widen min and max or set on_range = "null" for this column'
    assert amount.rows == (2, 3, 4, 5, 6)


def test_what_is_not_an_error_is_reported_and_never_silent(
    small: Portfolio, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = plant(plant(rows(), "days", row_2=365243), "region", row_3="west").assign(extra=1)
    with caplog.at_level("INFO", logger="credit"):
        result = checked(small, frame, tmp_path / "a.csv")
    assert result.report.errors == ()
    assert (result.report.table, result.report.rows, result.report.sizes) == ("application", 120, {"application": 120})
    found = result.report.frame()
    assert found[["column", "rule", "count", "severity"]].to_numpy().tolist() == [
        ["days", "sentinel", 1, "null"],
        ["region", "unknown level", 1, "warn"],
        ["extra", "unknown column", 120, "warn"],
    ]
    assert [record.getMessage().strip() for record in caplog.records][-3:] == [
        "application.days: sentinel, 1 row (first: row 2 = 365243); set missing",
        "application.region: unknown level (known: north, south), 1 row (first: row 3 = west); kept as it is",
        "application.extra: unknown column; it is not used; describe it in the portfolio, or drop it",
    ]
    values = typed(result)
    assert values["days"].null_count == 1
    assert values["region"][2].as_py() == "west"
    assert "extra" not in values.column_names


def test_types_of_the_result(small: Portfolio, tmp_path: Path, form: str) -> None:
    values = typed(checked(small, rows(), tmp_path / f"a.{form}"))
    texts = {"kind", "grade", "town", "region"}
    expected = {name: pa.string() if name in texts else pa.float64() for name in COLUMNS}
    expected |= {"id": pa.int64(), "target": pa.int8()}
    assert dict(zip(values.column_names, values.schema.types, strict=True)) == expected
    assert list(expected) == values.column_names
    assert values["amount"].to_pylist() == rows()["amount"].tolist()
    assert values["grade"].to_pylist() == rows()["grade"].astype(str).tolist()


def test_every_format_gives_the_same_typed_table(small: Portfolio, tmp_path: Path) -> None:
    # Missing values make pandas write whole numbers as 1.0, and flags come as True and False: the meaning is the same.
    frame = rows()
    frame["grade"] = frame["grade"].where(frame["grade"] != 3).astype(float)
    frame["days"] = frame["days"].where(frame["days"] > -100, 365243.0).where(frame["days"] < -3)
    frame["phone"] = frame["phone"].astype(bool)
    frame["town"] = frame["town"].where(frame["town"] != "town 3", "")
    frame["score"] = [number / 7 for number in range(120)]
    results = [checked(small, frame, tmp_path / f"a.{form}") for form in FORMATS]
    first, *others = [typed(result) for result in results]
    assert first["grade"].unique().to_pylist() == ["1", "2", None]
    assert first["phone"].unique().to_pylist() == [0.0, 1.0]
    assert first["town"].null_count == (frame["town"] == "").sum()
    assert first["score"].to_pylist() == [value if value <= 1 else None for value in frame["score"]]
    for other in others:
        assert other.equals(first)
    counts = [{(one.column, one.rule, one.count) for one in result.report.violations} for result in results]
    assert counts[0] == counts[1] == counts[2]
    assert ("days", "sentinel", 20) in counts[0]


KEYS: list[tuple[str, list[Any], pa.DataType, list[Any]]] = [
    ("integer", [5, 6], pa.int64(), [5, 6]),
    ("integer", [5.0, 6.0], pa.int64(), [5, 6]),
    ("integer", ["5", "06"], pa.int64(), [5, 6]),
    ("integer", ["9007199254740993", "1"], pa.int64(), [9007199254740993, 1]),
    ("category", ["5", "6"], pa.int64(), [5, 6]),
    ("category", [5.0, 6.0], pa.int64(), [5, 6]),
    ("category", ["5", "06"], pa.string(), ["5", "06"]),
    ("category", ["5", "A6"], pa.string(), ["5", "A6"]),
    ("category", ["5", "9" * 30], pa.string(), ["5", "9" * 30]),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("declared", "values", "kind", "expected"), KEYS)
def test_a_key_is_an_integer_where_all_are(
    tmp_path: Path, suffix: str, declared: str, values: list[Any], kind: pa.DataType, expected: list[Any]
) -> None:
    # "06" and "6" may be two clients: only a book that calls its key an integer says that they are one.
    portfolio = book(tmp_path, id=f'type = "{declared}", role = "key", missing = false')
    frame = rows(2).assign(id=values)
    found = checked(portfolio, frame, tmp_path / f"a.{suffix}", labelled=False).tables["application"].to_pyarrow()
    assert found["id"].type == kind
    assert sorted(found["id"].to_pylist()) == sorted(expected)


SENTINELS: list[tuple[str, list[Any], list[Any], list[Any]]] = [
    ('type = "number", sentinels = [365243]', [], ["365243", "365243.0", "3.65243e5", "1"], [None, None, None, 1]),
    ('type = "number", sentinels = [-1, 99]', [], [-1, 99.0, 98], [None, None, 98]),
    ('type = "number", sentinels = ["?", "NaN"]', [], ["?", "NaN", "7"], [None, None, 7]),
    ('type = "number", sentinels = ["99"]', [], [99.0, 7.0], [None, 7]),
    ('type = "category", sentinels = ["XNA", "0"]', [], ["XNA", "0.0", "0", "x"], [None, None, None, "x"]),
    ('type = "category", sentinels = ["0"]', [], [0.0, 1.0], [None, "1"]),
    ('type = "category", levels = ["a"], sentinels = ["?"]', [], ["?", "a"], [None, "a"]),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("declared", "_", "values", "expected"), SENTINELS)
def test_a_sentinel_is_one_however_it_is_written(
    tmp_path: Path, suffix: str, declared: str, _: Any, values: list[Any], expected: list[Any]
) -> None:
    portfolio = book(tmp_path, town=declared)
    frame = rows(4).head(len(values)).assign(town=pd.Series(values))
    result = checked(portfolio, frame, tmp_path / f"a.{suffix}", labelled=False)
    assert typed(result)["town"].to_pylist() == expected
    assert [(one.rule, one.count) for one in result.report.violations] == [("sentinel", expected.count(None))]


def test_what_must_not_be_missing_is_never_set_missing(tmp_path: Path) -> None:
    # "null" would make the very gap that missing = false forbids.
    portfolio = book(
        tmp_path,
        score='type = "number", max = 1, on_range = "null", missing = false',
        days='type = "number", sentinels = [365243], missing = false',
        grade='type = "category", levels = ["1", "2"], on_level = "null", missing = false',
    )
    frame = plant(plant(rows(), "score", row_1=2), "days", row_2=365243)
    found = violations(portfolio, frame, tmp_path / "a.csv")
    assert [(one.column, one.rule, one.count, one.severity) for one in found] == [
        ("days", "missing value", 1, "error"),
        ("score", "out of range", 1, "error"),
        ("grade", "unknown level", 40, "error"),
    ]


def test_what_is_not_the_contracts_is_not_in_the_result(tmp_path: Path) -> None:
    portfolio = book(tmp_path, town='type = "category", role = "excluded"')
    frame = rows().assign(copy_of_target=rows()["target"])
    # A column nobody described may be a copy of the target; excluded columns are known, and used nowhere.
    result = checked(portfolio, frame, tmp_path / "a.csv")
    assert typed(result).column_names == [name for name in COLUMNS if name != "town"]
    assert [one.column for one in result.report.violations] == ["copy_of_target"]
    assert violations(portfolio, rows().drop(columns="town"), tmp_path / "a.csv") == []


def test_without_labels_a_target_is_neither_asked_for_nor_kept(small: Portfolio, tmp_path: Path) -> None:
    for frame in (rows(2).drop(columns="target"), rows(2).assign(target="unknown")):
        result = checked(small, frame, tmp_path / "a.csv", labelled=False)
        assert "target" not in result.tables["application"].columns
        assert result.report.violations == ()


# ---- other tables -------------------------------------------------------------------------------------------


def events(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"event_id": ["a", "a", "b"], "id": [1001, 1001, 1002], "month": [-1, -2, -1], "paid": [1, 2, 3]}
    )
    return frame.assign(**columns)


EVENT_FAULTS: dict[str, tuple[pd.DataFrame, list[tuple[str, str, int, tuple[int, ...]]]]] = {
    "none": (events(), []),
    "after the application": (events(month=[-1, 1, 2]), [("month", "dated after the application", 2, (2, 3))]),
    "duplicated key": (events(month=[-1, -1, -1]), [("event_id, month", "duplicated key", 2, (1, 2))]),
    "missing key": (events(event_id=["a", None, "b"]), [("event_id", "missing key", 1, (2,))]),
    "missing parent": (events(id=[1001, None, 1002]), [("id", "missing key", 1, (2,))]),
    "out of range": (events(paid=[1, -2, 3]), [("paid", "out of range", 1, (2,))]),
}


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("fault", EVENT_FAULTS)
def test_other_tables_are_held_to_their_columns_keys_and_time(tmp_path: Path, described: bool, fault: str) -> None:
    frame, expected = EVENT_FAULTS[fault]
    portfolio = book(tmp_path, tail=EVENTS + (columns_of("event", EVENT_COLUMNS) if described else ""))
    save(rows(), tmp_path / "applications.csv")
    save(frame, tmp_path / "events.csv")
    tables = open_tables(portfolio, tmp_path, names=("application", "event"))
    if not described:
        expected = [one for one in expected if one[0] != "paid"]
    if expected:
        with pytest.raises(ContractError, match="1 violation in event:") as caught:
            check(portfolio, tables)
        found = [(one.column, one.rule, one.count, one.rows) for one in caught.value.violations]
        assert found == expected
        with pytest.raises(ContractError, match="1 violation in event:"):
            screen(portfolio, tables)
    else:
        result = check(portfolio, tables).tables["event"]
        assert set(result.columns) == {"event_id", "id", "month"} | ({"paid"} if described else set())
        assert (result.id.type().is_int64(), result.month.type().is_float64()) == (True, True)


def events_report(folder: Path, frame: pd.DataFrame, key: str = "integer") -> Checked:
    portfolio = book(folder, tail=EVENTS + columns_of("event", EVENT_COLUMNS), id=f'type = "{key}", role = "key"')
    save(rows(), folder / "applications.csv")
    save(frame, folder / "events.parquet")
    return check(portfolio, open_tables(portfolio, folder))


@pytest.mark.parametrize("key", ["integer", "category"])
def test_rows_of_nobody_are_told_and_kept(tmp_path: Path, key: str) -> None:
    # Files of history speak of more clients than those at hand: that is their nature, and no fault.
    frame = events(event_id=["a", "b", "c"], id=[1001, 7, 7])
    result = events_report(tmp_path, frame, key)
    assert [str(found) for found in result.report.violations] == [
        "event.id: no parent in application, 2 rows (first: row 2 = 7, row 3 = 7); they count for no applicant"
    ]
    assert result.report.warnings == result.report.violations
    assert result.report.sizes == {"application": 120, "event": 3}
    assert result.tables["event"].count().execute() == 3


def test_an_applicant_may_have_no_history_at_all(tmp_path: Path) -> None:
    portfolio = book(tmp_path, tail=EVENTS + columns_of("event", EVENT_COLUMNS))
    save(rows(), tmp_path / "applications.csv")
    save(events(), tmp_path / "events.csv")
    tables = open_tables(portfolio, tmp_path)
    none = tables | {"event": tables["event"].filter(ibis._.id == "nobody")}
    assert [(one.rule, one.severity) for one in check(portfolio, none).report.violations] == [("no rows", "warn")]


# ---- the default book's history -----------------------------------------------------------------------------


def seven_found(folder: Path, planted: list[tuple[str, str]], **cells: Any) -> list[tuple[str, str, str, int, str]]:
    """Plant the same cells in columns of the seven tables; return what the contract says."""
    frames = seven()
    for table, column in planted:
        frames[table] = plant(frames[table], column, **cells)
    try:
        found = check(BOOK, open_tables(BOOK, write(frames, folder))).report.violations
    except ContractError as error:
        found = error.violations
    return [(one.table, one.column, one.rule, one.count, one.severity) for one in found]


def test_valid_history_is_no_violation(tmp_path: Path) -> None:
    result = check(BOOK, open_tables(BOOK, write(seven(), tmp_path)))
    assert result.report.violations == ()
    assert list(result.tables) == list(BOOK.tables)


def test_planted_future_rows_of_every_table_are_refused_with_their_count(tmp_path: Path) -> None:
    # What happened after the application is not known on its day; a model trained on it promises what it cannot keep.
    times = [(table, str(BOOK.tables[table].time)) for table in SHAPES]
    assert len(times) == 6
    found = seven_found(tmp_path, times, row_2=1, row_9=31, row_12=365)
    assert found == [(table, time, "dated after the application", 3, "error") for table, time in times]


@pytest.mark.parametrize("reaction", ["error", "null"])
def test_no_date_of_history_lies_ahead_in_the_result(tmp_path: Path, reaction: str) -> None:
    past = [
        (table.name, column.name)
        for table in BOOK.tables.values()
        for column in table.columns.values()
        if table.name in SHAPES and column.unit in ("days", "months") and column.maximum == 0
        if column.on_range == reaction
    ]
    assert len(past) >= 6
    found = seven_found(tmp_path, past, row_2=1)
    assert found == [(table, column, "dated after the application", 1, reaction) for table, column in past]


#: Extremes that the publisher's files are known to hold -> what becomes of them.
EXTREMES: list[tuple[str, str, Any, str]] = [
    ("bureau", "DAYS_CREDIT_ENDDATE", 31199, ""),
    ("bureau", "DAYS_CREDIT_ENDDATE", -42060, "out of range"),
    ("bureau", "DAYS_ENDDATE_FACT", -42023, "out of range"),
    ("bureau", "DAYS_CREDIT_UPDATE", 372, "dated after the application"),
    ("bureau", "AMT_CREDIT_SUM", 585_000_000, ""),
    ("bureau", "AMT_CREDIT_SUM_DEBT", -4_705_600, ""),
    ("bureau", "AMT_CREDIT_SUM_DEBT", 170_100_000, ""),
    ("bureau", "AMT_CREDIT_SUM_LIMIT", -586_406, "out of range"),
    ("bureau", "AMT_ANNUITY", 118_453_423.5, ""),
    ("bureau", "CREDIT_CURRENCY", "currency 4", ""),
    ("bureau", "CREDIT_ACTIVE", "Bad debt", ""),
    ("bureau", "CREDIT_TYPE", "Interbank credit", ""),
    ("previous_application", "AMT_APPLICATION", 0, ""),
    ("previous_application", "AMT_DOWN_PAYMENT", -0.9, "out of range"),
    ("previous_application", "RATE_DOWN_PAYMENT", -0.0000149, "out of range"),
    ("previous_application", "CNT_PAYMENT", 0, ""),
    ("previous_application", "NAME_GOODS_CATEGORY", "House Construction", ""),
    ("previous_application", "SELLERPLACE_AREA", 4_000_000, ""),
    ("previous_application", "SELLERPLACE_AREA", -1, "sentinel"),
    ("previous_application", "CODE_REJECT_REASON", "XAP", "sentinel"),
    ("previous_application", "NAME_PORTFOLIO", "XNA", "sentinel"),
    ("previous_application", "DAYS_FIRST_DRAWING", 365243, "sentinel"),
    ("previous_application", "DAYS_FIRST_DUE", 365243, "sentinel"),
    ("previous_application", "DAYS_LAST_DUE_1ST_VERSION", 365243, "sentinel"),
    ("previous_application", "DAYS_LAST_DUE_1ST_VERSION", 2389, ""),
    ("previous_application", "DAYS_LAST_DUE", 365243, "sentinel"),
    ("previous_application", "DAYS_TERMINATION", 365243, "sentinel"),
    ("pos_cash_balance", "SK_DPD", 4231, ""),
    ("pos_cash_balance", "NAME_CONTRACT_STATUS", "XNA", "sentinel"),
    ("credit_card_balance", "AMT_BALANCE", -420_250.2, ""),
    ("credit_card_balance", "AMT_RECIVABLE", -420_250.2, ""),
    ("credit_card_balance", "AMT_DRAWINGS_ATM_CURRENT", -6827.3, "out of range"),
    ("installments_payments", "DAYS_ENTRY_PAYMENT", -4921, ""),
    ("installments_payments", "NUM_INSTALMENT_VERSION", 178, ""),
]


def test_what_the_publishers_files_hold_is_never_an_error(tmp_path: Path) -> None:
    frames = seven()
    for at, (table, column, value, _) in enumerate(EXTREMES, start=1):
        frames[table] = plant(frames[table], column, **{f"row_{at}": value})
    report = check(BOOK, open_tables(BOOK, write(frames, tmp_path))).report
    found = {(one.table, one.column, one.rule, *one.rows) for one in report.violations}
    assert found == {(table, column, rule, at) for at, (table, column, _, rule) in enumerate(EXTREMES, 1) if rule}
    assert {one.severity for one in report.violations} == {"null"}


# ---- screening ----------------------------------------------------------------------------------------------


def test_screening_parts_the_rows(small: Portfolio, tmp_path: Path, form: str) -> None:
    frame = plant(plant(rows().drop(columns="target"), "amount", row_2=-5), "kind", row_2="cheque", row_7="x")
    frame = plant(frame, "id", row_9=1020)
    result = screened(small, frame, tmp_path / f"a.{form}")
    # Without saying which of two rows with one key is the client's, neither can be scored.
    rejected = result.rejected.sort_values(["id", "column"])
    assert rejected.columns.tolist() == ["row", "id", "column", "rule", "value", "remedy"]
    assert rejected[["id", "column", "rule", "value"]].to_numpy().tolist() == [
        [1002, "amount", "out of range", "-5"],
        [1002, "kind", "unknown level", "cheque"],
        [1007, "kind", "unknown level", "x"],
        [1020, "id", "duplicated key", "1020"],
        [1020, "id", "duplicated key", "1020"],
    ]
    if form != "db":
        assert result.rejected["row"].tolist() == [2, 2, 7, 9, 20]
    assert result.rejected["remedy"].str.len().min() > 10
    kept = frame[~frame.index.isin([1, 6, 8, 19])].reset_index(drop=True)
    assert typed(result).equals(typed(checked(small, kept, tmp_path / f"b.{form}", labelled=False)))


def test_screening_keeps_the_order_of_the_rows(small: Portfolio, tmp_path: Path) -> None:
    frame = plant(rows(2000).iloc[::-1].reset_index(drop=True), "amount", row_2=-5)
    frame["amount"] = frame["amount"].clip(upper=1000)
    result = screened(small, frame, tmp_path / "a.csv")
    expected = [number for number in frame["id"] if number != frame["id"][1]]
    assert result.tables["application"].to_pyarrow()["id"].to_pylist() == expected


@pytest.mark.parametrize(("spoil", "left"), [(lambda f: f, 120), (lambda f: f.assign(amount=-1), 0)])
def test_screening_none_and_all(small: Portfolio, tmp_path: Path, spoil: Any, left: int) -> None:
    result = screened(small, spoil(rows()), tmp_path / "a.csv")
    assert result.tables["application"].count().execute() == left
    assert len(result.rejected) == 120 - left


def test_screening_refuses_what_is_no_rows_fault(small: Portfolio, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"1 violation in application:\n  application\.town: missing column"):
        screened(small, plant(rows(), "amount", row_2=-5).drop(columns="town"), tmp_path / "a.csv")


def test_a_rejected_row_may_have_no_key(small: Portfolio, tmp_path: Path) -> None:
    result = screened(small, plant(rows(), "id", row_2=None), tmp_path / "a.csv")
    assert result.rejected[["row", "rule"]].to_numpy().tolist() == [[2, "missing key"]]
    assert result.rejected["id"].isna().all()


# ---- against brute force --------------------------------------------------------------------------------------

POOLS = {
    "id": ["1", "2", "3", "4", "5", "6", "7", "8", "", "x", "1.5", "2.0"],
    "amount": ["10", "1000", "500.5", "9.99", "1e4", "", "ten", "nan", "inf", "1e999"],
    "days": ["0", "-5000", "-1", "1", "-5001", "-1.5", "365243", "365243.0", "", "soon"],
    "score": ["0", "1", "0.5", "-0.1", "1.1", "", "nan"],
    "visits": ["0", "9", "10", "2.5", "-3"],
    "phone": ["0", "1", "True", "false", "2", "", "no"],
    "kind": ["cash", "card", "XNA", "", "Card"],
    "grade": ["1", "2.0", "3.00", "4", ""],
    "region": ["north", "south", "west", ""],
}


def expected_rule(column: str, text: str) -> str | None:  # noqa: C901 - one rule after the other
    """Judge one cell of the small book the plain way: by hand, one value at a time."""
    if column in ("kind", "grade", "region"):
        known = {"kind": ["cash", "card"], "grade": ["1", "2", "2.0", "3", "3.00"], "region": ["north", "south"]}
        if text == "":
            return "missing value" if column == "region" else None
        if (column, text) == ("kind", "XNA"):
            return "sentinel"
        return None if text in known[column] else "unknown level"
    if text == "":
        return {"id": "missing key", "amount": "missing value"}.get(column)
    if column == "phone" and text in ("True", "false"):
        return None
    try:
        number = float(text)
    except ValueError:
        return "not a number"
    if column == "days" and number == 365243:
        return "sentinel"
    if not math.isfinite(number):
        return "not finite"
    if column in ("id", "days", "visits") and number != int(number):
        return "not an integer"
    if column == "phone":
        return None if number in (0, 1) else "not 0 or 1"
    low, high = {"amount": (10, 1000), "days": (-5000, 0), "score": (0, 1), "visits": (-math.inf, 9)}.get(
        column, (-math.inf, math.inf)
    )
    if column == "days" and number > high:
        return "dated after the application"
    return None if low <= number <= high else "out of range"


def is_error(column: str, rule: str | None) -> bool:
    tolerated = {"days": ["sentinel"], "kind": ["sentinel"], "score": ["out of range"]}
    tolerated |= {"visits": ["out of range"], "grade": ["unknown level"], "region": ["unknown level"]}
    return rule is not None and rule not in tolerated.get(column, [])


table = st.integers(1, 12).flatmap(
    lambda count: st.fixed_dictionaries(
        {name: st.lists(st.sampled_from(pool), min_size=count, max_size=count) for name, pool in POOLS.items()}
    )
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(cells=table, suffix=st.sampled_from(["csv", "parquet"]))
def test_counts_equal_brute_force_and_nothing_valid_is_lost(
    small: Portfolio, tmp_path: Path, cells: dict[str, list[str]], suffix: str
) -> None:
    frame = pd.DataFrame(cells, dtype=object).assign(town="t")
    judged = {name: [expected_rule(name, text) for text in frame[name]] for name in POOLS}
    keys = [float(text) if rule is None else None for text, rule in zip(frame["id"], judged["id"], strict=True)]
    # A number that is no whole one counts as no key; two keys are the same however they are written.
    shared = [key is not None and keys.count(key) > 1 for key in keys]
    expected = {(name, rule): rules.count(rule) for name, rules in judged.items() for rule in rules if rule}
    expected |= {("id", "duplicated key"): sum(shared)} if any(shared) else {}

    result = screened(small, frame, tmp_path / f"a.{suffix}")
    assert {(one.column, one.rule): one.count for one in result.report.violations} == expected
    for one in result.report.violations:
        rules = judged[one.column] if one.rule != "duplicated key" else [one.rule if twice else "" for twice in shared]
        assert one.rows == tuple(at for at, rule in enumerate(rules, start=1) if rule == one.rule)[:5]

    bad = [twice or any(is_error(name, rules[at]) for name, rules in judged.items()) for at, twice in enumerate(shared)]
    assert set(result.rejected["row"]) == {at for at, wrong in enumerate(bad, start=1) if wrong}
    kept = result.tables["application"].to_pyarrow()
    assert kept["id"].to_pylist() == [int(key) for key, wrong in zip(keys, bad, strict=True) if not wrong and key]
    scores = [
        (float(text) if text and not rule else None) for text, rule in zip(frame["score"], judged["score"], strict=True)
    ]
    assert kept["score"].to_pylist() == [score for score, wrong in zip(scores, bad, strict=True) if not wrong]
