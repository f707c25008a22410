"""A drafted portfolio is true to the file, lets tomorrow's rows through, and keeps out what no model may see."""

import gzip
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit.data.contract import check
from credit.data.draft import draft
from credit.data.guess import words
from credit.data.tables import open_tables
from credit.errors import ConfigError, CreditError, DataError
from credit.portfolio import Portfolio, load

# Ibis 12 calls DuckDB 2 by a name that DuckDB will drop.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

ROWS = 400
Draft = Callable[..., Portfolio]


def loans(**columns: Any) -> pd.DataFrame:
    """Make a book of 400 loans, 100 of them in default, in no order."""
    random = np.random.default_rng(0)
    bad = random.permutation(np.arange(ROWS) % 4 == 0).astype(int)
    return pd.DataFrame({"amount": random.normal(1000, 100, ROWS).round(2), **columns, "bad": bad})


def spread(values: list[Any]) -> list[Any]:
    """Repeat values to the length of the book, so that no value goes with an outcome."""
    return [values[at % len(values)] for at in range(ROWS)]


@pytest.fixture
def drafted(tmp_path: Path) -> Draft:
    """Draft, load, and hold the file against its own draft: a draft that its own file breaks is no draft."""

    def make(frame: pd.DataFrame, name: str = "loans.parquet", **options: Any) -> Portfolio:
        file = tmp_path / name
        if name.endswith(".parquet"):
            frame.to_parquet(file, index=False)
        else:
            frame.to_csv(file, index=False)
        toml = tmp_path / "draft.toml"
        toml.write_text(draft(file, **({"target": "bad"} | options)), encoding="utf-8")
        book = load(toml)
        checked = check(book, open_tables(book, file))
        assert {found.severity for found in checked.report.warnings} <= {"null"}
        assert all(found.rule == "sentinel" for found in checked.report.warnings)
        return book

    return make


FOUND = {
    "zero_one": ([0, 1], {"type": "flag", "role": "feature"}),
    "counts": ([1, 2, 3, 4], {"type": "integer", "minimum": 0.0, "maximum": 7.0, "on_range": "warn"}),
    "whole_floats": ([1.0, 2.0, None], {"type": "integer", "missing": True}),
    "amounts": ([0.5, 1.25, 99.75], {"type": "number", "unit": "?", "minimum": 0.0, "maximum": 200.0}),
    "below_zero": ([-50, -10, -30], {"type": "integer", "minimum": -90.0, "maximum": 0.0}),
    "words": (["b", "a", "c"], {"type": "category", "levels": ("a", "b", "c"), "on_level": "null"}),
    "codes": (["007", "010"], {"type": "category", "levels": ("007", "010")}),
    "numbers_as_text": (["1", "2", "30"], {"type": "integer", "maximum": 59.0}),
    "truth": ([True, False], {"type": "category", "levels": ("False", "True")}),
    "some_missing": (["x", "y", None], {"levels": ("x", "y"), "missing": True}),
    "xna": (["x", "y", "XNA"], {"levels": ("x", "y"), "sentinels": ("XNA",)}),
    "question": (["1", "2", "?"], {"type": "integer", "sentinels": ("?",)}),
    "perhaps": (["x", "y", "Unknown"], {"levels": ("Unknown", "x", "y"), "sentinels": ()}),
    "thousand_years": ([-3, -200, -50, 365243], {"minimum": -400.0, "maximum": 0.0, "sentinels": (365243.0,)}),
    "minus_999": ([1, 5, 3, -999], {"minimum": 0.0, "maximum": 9.0, "sentinels": (-999.0,)}),
    "not_far": ([97, 98, 96, 95, 99], {"sentinels": ()}),
    "constant": ([5], {"role": "excluded"}),
    "nothing": ([None], {"role": "excluded"}),
    "constant_or_missing": ([5, None], {"role": "feature"}),
    "infinite": ([1.5, float("inf"), 2.5], {"role": "excluded"}),
    "days": (["2020-01-02", "2021-03-04"], {"role": "excluded"}),
    "stamps": (list(pd.to_datetime(["2020-01-02", "2021-03-04"])), {"role": "excluded"}),
    "sex": (["m", "f"], {"role": "protected"}),
    "maritalStatus": ([1, 2, 3], {"role": "protected", "type": "category", "levels": ("1", "2", "3")}),
    "FOREIGN_WORKER": (["yes", "no"], {"role": "protected"}),
    "sussex": (["m", "f"], {"role": "feature"}),
    "age": (list(range(20, 70)), {"role": "feature", "unit": "years"}),
    "DAYS_BIRTH": (list(range(-25000, -8000, 500)), {"role": "feature", "unit": "days"}),
    "car_age": (list(range(20)), {"unit": "?"}),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Portfolio, str]:
    """Draft one book with a column of each kind."""
    folder = tmp_path_factory.mktemp("draft")
    loans(**{name: spread(values) for name, (values, _) in FOUND.items()}).to_parquet(folder / "loans.parquet")
    text = draft(folder / "loans.parquet", "bad")
    (folder / "loans.toml").write_text(text, encoding="utf-8")
    return load(folder / "loans.toml"), text


@pytest.mark.parametrize("name", FOUND)
def test_what_a_column_looks_like(name: str, found: tuple[Portfolio, str]) -> None:
    column = found[0].columns[name]
    assert {key: getattr(column, key) for key in FOUND[name][1]} == FOUND[name][1]


def test_the_file_as_a_whole(found: tuple[Portfolio, str]) -> None:
    book, text = found
    assert (book.name, book.main, book.key, book.target) == ("loans", "loans", "row_number", "bad")
    assert book.tables["loans"].files == ("loans",)
    assert book.costs.threshold == pytest.approx(1 / 11)
    assert text.startswith("# loans.parquet: 400 rows, 31 columns, 100 defaults (25.0%).\n")


@pytest.mark.parametrize(
    "line",
    [
        'unit = "?" # fill in',
        "missing = true # 33.2% are",
        "missing = true # none is, so far",
        "max = 7 # seen: 4",
        'role = "protected" # by its name: audited, never scored; check',
        "sentinels = [365243] # read as missing; check",
        "# If Unknown means missing, move it from levels to sentinels.",
        "# Left out: every row has the same value.",
        "# Left out: no row has a value.",
        "# Left out: a date; a model could use the days from it to the application.",
    ],
)
def test_doubts_are_written_down(line: str, found: tuple[Portfolio, str]) -> None:
    """A guess that does not say it is one is taken for knowledge."""
    assert line in found[1].splitlines()


def test_protected_columns_and_age_are_audited(found: tuple[Portfolio, str]) -> None:
    groups = {group.column: group for group in found[0].groups}
    assert set(groups) == {"sex", "maritalStatus", "FOREIGN_WORKER", "age", "DAYS_BIRTH"}
    assert groups["age"].edges == (25, 35, 45, 55, 65)
    assert groups["DAYS_BIRTH"].scale * -36525 == pytest.approx(100)
    assert groups["DAYS_BIRTH"].edges == (25, 35, 45, 55, 65)
    assert groups["sex"].edges == ()


def test_a_repeated_lone_extreme_is_only_pointed_out(drafted: Draft, tmp_path: Path) -> None:
    """An odd number may be a rich client: without a convention behind it, it stays."""
    book = drafted(loans(income=spread([10, 20, 30, 40, 12345])))
    assert book.columns["income"].sentinels == ()
    assert "# If 12345, far off and repeated, means missing" in (tmp_path / "draft.toml").read_text()


# ---- Key -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"client_id": 7 * np.arange(ROWS)[::-1]}, "client_id"),
        ({"customerID": [f"{at}-X" for at in range(ROWS)]}, "customerID"),
        ({"n": np.arange(1000, 1000 + ROWS)}, "n"),
        ({"income": 7 * np.arange(ROWS)}, None),
        ({"client_id": spread([1, 2, 3])}, None),
        ({"client_id": [None, *range(1, ROWS)]}, None),
    ],
    ids=["named as one", "all texts differ", "counts the rows", "just numbers", "repeats", "has a gap"],
)
def test_the_key_is_found_or_made(columns: dict[str, Any], key: str | None, drafted: Draft) -> None:
    book = drafted(loans(**columns))
    assert (book.key, book.tables["loans"].generated_key) == (key or "row_number", key is None)


def test_the_key_can_be_named(drafted: Draft) -> None:
    book = drafted(loans(a_id=np.arange(ROWS), b=np.arange(ROWS)[::-1] * 3), key="b")
    assert book.key == "b"
    assert book.columns["a_id"].role == "excluded", "a second number of the row says nothing about the next row"


def test_a_row_number_that_is_taken_gets_another_name(drafted: Draft) -> None:
    assert drafted(loans(Row_Number=spread([1, 2]))).key == "row_number_"


# ---- What must not be learned from ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leak",
    [
        lambda bad: bad,
        lambda bad: 1 - bad,
        lambda bad: bad.map({0: "paid", 1: "written off"}),
        lambda bad: bad * 3 + np.arange(ROWS) % 3,
    ],
)
def test_what_tells_the_target_is_left_out(leak: Callable[[pd.Series], Any], drafted: Draft) -> None:
    """A perfect predictor is written after the outcome; a model of it is perfect, and useless."""
    frame = loans()
    frame["status"] = leak(frame["bad"])
    assert drafted(frame).columns["status"].role == "excluded"


def test_free_text_is_left_out(drafted: Draft) -> None:
    book = drafted(loans(remark=[f"text {at // 1.5}" for at in range(ROWS)], job=[f"j{at % 90}" for at in range(ROWS)]))
    assert book.columns["remark"].role == "excluded"
    assert len(book.columns["job"].levels) == 90


# ---- Tomorrow --------------------------------------------------------------------------------------------------


def test_tomorrows_rows_are_no_error(drafted: Draft, tmp_path: Path) -> None:
    """A draft saw one sample: a value beyond it is reported, and refuses nobody."""
    frame = loans(job=spread(["a", "b"]), children=spread([0, 1, 2, 3]))
    book = drafted(frame)
    frame.loc[:3, "amount"] = [-1e9, 1e9, np.nan, 0.0]
    frame.loc[:3, "job"] = ["new", None, "a", "b"]
    frame.loc[:3, "children"] = [50, -1, 0, 0]
    frame.to_parquet(tmp_path / "tomorrow.parquet")
    report = check(book, open_tables(book, tmp_path / "tomorrow.parquet")).report
    assert report.errors == ()
    assert {(found.column, found.rule) for found in report.warnings} == {
        ("amount", "out of range"),
        ("job", "unknown level"),
        ("children", "out of range"),
    }


# ---- Formats and names -----------------------------------------------------------------------------------------


def test_every_format_gives_the_same_draft(tmp_path: Path) -> None:
    frame = loans(job=spread(["a", "b", None]), children=spread([0, 1, 2]), sex=spread(["m", "f"]))
    frame.to_parquet(tmp_path / "loans.parquet")
    text = frame.to_csv(index=False)
    (tmp_path / "loans.csv").write_text(text)
    (tmp_path / "loans.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "loans.zip", "w") as archive:
        archive.writestr("inside.csv", text)
    drafts = [tomllib.loads(draft(tmp_path / f"loans.{end}", "bad")) for end in ("parquet", "csv", "csv.gz", "zip")]
    assert all(each == drafts[0] for each in drafts)


ODD = ["a b", "x:{}[],", '"quoted"', "it's", "é à", "a.b", "#", "=", "\\n", "名前", "2020", "[x]", "-"]


@pytest.mark.parametrize("name", ["loans.parquet", "loans.csv"])
def test_odd_column_names_survive(name: str, drafted: Draft) -> None:
    book = drafted(loans(**dict.fromkeys(ODD, spread([1, 2, 3]))), name)
    assert list(book.columns) == ["row_number", "amount", *ODD, "bad"]


@pytest.mark.parametrize(
    ("file", "name"),
    [("My Loans (2).csv", "my_loans_2"), ("2020-é.csv", "x_2020"), ("uci_taiwan.csv", "uci_taiwan_draft")],
)
def test_a_file_lends_its_name(file: str, name: str, drafted: Draft) -> None:
    """The name becomes a registered model's: it must be plain, and not that of a book of the package."""
    assert drafted(loans(), file).name == name


def test_the_name_can_be_given(tmp_path: Path) -> None:
    file = tmp_path / "loans.csv"
    loans().to_csv(file, index=False)
    names = {"Shop 7": "shop_7", "../x": "x", "home_credit": "home_credit_draft"}
    assert {name: tomllib.loads(draft(file, "bad", name=name))["name"] for name in names} == names


def test_drafting_is_repeatable(tmp_path: Path) -> None:
    loans(job=spread(["a", "b"])).to_csv(tmp_path / "loans.csv", index=False)
    assert draft(tmp_path / "loans.csv", "bad") == draft(tmp_path / "loans.csv", "bad")


@given(data=st.data())
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_a_column_its_own_draft_holds(data: st.DataObject, drafted: Draft) -> None:
    """The promise of the command is that training runs on its draft unedited."""
    cell = st.one_of(
        st.integers(-(2**40), 2**40),
        st.floats(allow_nan=False, allow_infinity=False, width=32),
        st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=6),
        st.sampled_from(["NA", "?", "Unknown", "999", "1.0", "-0", " 7 ", "0x1F", "1_000", "inf", "nan", "True"]),
    )
    columns = {f"c{at}": spread(data.draw(st.lists(st.none() | cell, min_size=1, max_size=12))) for at in range(12)}
    texts = {name: [None if cell is None else str(cell) for cell in cells] for name, cells in columns.items()}
    frame = loans(**texts)
    assert set(drafted(frame, "loans.csv").columns) - {"row_number"} == set(frame.columns)


# ---- Refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (["good", "bad"], "holds .*; recode it, for example with pandas, if bad is a default: .* == 'bad'"),
        (["no", "yes"], "if yes is a default"),
        ([1, 2, 1], "'bad' holds 2, 1; recode it, for example with pandas, if 2 is a default: .* == 2"),
        ([0, 1, 2], "a target is 1 for a default and 0 for none, but 'bad' holds"),
        ([0.5, 1.5], "a target is 1 for a default and 0 for none"),
        ([0, 1, None], "'bad' is missing in 133 rows; leave out what has no outcome yet"),
        ([0], "'bad' is the same in every row; give rows with both outcomes"),
        ([None], "'bad' is missing in 400 rows"),
    ],
)
@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_a_target_that_is_not_0_and_1(outcome: list[Any], message: str, end: str, drafted: Draft) -> None:
    """Guessing which of two words means default would train a model upside down."""
    frame = loans()
    frame["bad"] = pd.Series(spread(outcome))
    with pytest.raises(DataError, match=message):
        drafted(frame, f"loans.{end}")


@pytest.mark.parametrize("outcome", [[True, False], ["0", "1"], [0.0, 1.0], ["false", "true"]])
def test_0_and_1_in_other_clothes(outcome: list[Any], drafted: Draft) -> None:
    frame = loans()
    frame["bad"] = spread(outcome)
    assert drafted(frame).columns["bad"].role == "target"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "bda"}, "no column 'bda'; did you mean 'bad'"),
        ({"key": "zzz"}, "no column 'zzz'; known: amount, job, bad."),
        ({"key": "bad"}, "'bad' cannot be both target and key"),
        ({"key": "job"}, "'job' does not tell the rows apart"),
    ],
)
def test_wrong_options(options: dict[str, str], message: str, tmp_path: Path) -> None:
    loans(job=spread(["a", "b"])).to_csv(tmp_path / "loans.csv", index=False)
    with pytest.raises((ConfigError, DataError), match=message):
        draft(tmp_path / "loans.csv", **({"target": "bad"} | options))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file; give a CSV or Parquet file"),
        ("empty.csv", b"", "empty"),
        ("header.csv", b"a,bad\n", "no rows"),
        ("twice.csv", b"a,a,bad\n1,2,0\n", "duplicated column"),
        ("loans.xlsx", b"PK", "not read"),
        ("line.csv", b'"a\nb",bad\n1,0\n2,1\n', "cannot be called 'a\\\\nb'; rename it"),
    ],
)
def test_files_that_cannot_be_drafted(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CreditError, match=message):
        draft(tmp_path / name, "bad")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("SK_ID_CURR", {"sk", "id", "curr"}),
        ("customerID", {"customer", "id"}),
        ("maritalStatus", {"marital", "status"}),
        ("HTTPCode2", {"http", "code", "2"}),
        ("Âge du client", {"âge", "du", "client"}),
    ],
)
def test_names_fall_into_words(name: str, parts: set[str]) -> None:
    assert words(name) == parts
