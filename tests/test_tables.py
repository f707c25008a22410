"""The reader: every format gives the same rows in the same order, and every fault one error that names it."""

import csv
import gc
import gzip
import hashlib
import io
import re
import sqlite3
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seven_util import BOOK, seven, write
from tables_util import EVENT_COLUMNS, EVENTS, HEAD, book, columns_of, rows, save

from credit.data import database, files
from credit.data.contract import check
from credit.data.tables import ROW, fingerprint, open_tables, present
from credit.errors import ConfigError, CreditError, DataError, ServiceError
from credit.portfolio import Portfolio

CSV = b"id,target,amount\n1,0,10\n2,1,20\n"


@pytest.fixture
def small(tmp_path: Path) -> Portfolio:
    return book(tmp_path)


def read(portfolio: Portfolio, source: Path | str, **options: Any) -> pd.DataFrame:
    table = open_tables(portfolio, source, **options)["application"]
    return table.order_by(ROW).to_pandas()


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def parquet(columns: dict[str, list[Any]] | None = None, names: list[str] | None = None) -> bytes:
    columns = columns or {"id": [1, 2], "target": [0, 1], "amount": [10.0, 20.0]}
    table = pa.table([pa.array(values) for values in columns.values()], names=names or list(columns))
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def sqlite(file: Path, script: str) -> Path:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)
    return file


FORMATS: dict[str, Callable[[], bytes]] = {
    "applications.csv": lambda: CSV,
    "applications.CSV": lambda: CSV,
    "applications.csv.gz": lambda: gzip.compress(CSV),
    "applications.zip": lambda: zipped(a__csv=CSV),
    "applications.csv.zip": lambda: zipped(whatever__csv=CSV),
    "applications.parquet": parquet,
    "applications.parquet.zip": lambda: zipped(whatever__parquet=parquet()),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("as_folder", [True, False])
def test_every_format_gives_the_same_rows(small: Portfolio, tmp_path: Path, name: str, as_folder: bool) -> None:
    folder = tmp_path / "data [1]* it's"  # what a shell, SQL or a wildcard would stumble over
    folder.mkdir()
    (folder / "README.txt").write_text("not a table")
    (folder / name).write_bytes(FORMATS[name]())
    found = read(small, folder if as_folder else folder / name)
    assert found[ROW].tolist() == [1, 2]
    assert found[["id", "target", "amount"]].astype(float).to_numpy().tolist() == [[1, 0, 10], [2, 1, 20]]


@pytest.mark.parametrize("as_url", [True, False])
@pytest.mark.parametrize("name", ["applications", "application"])
def test_sqlite_by_file_and_by_url(small: Portfolio, tmp_path: Path, name: str, as_url: bool) -> None:
    script = f"CREATE TABLE {name} (id, target, amount); INSERT INTO {name} VALUES (2, 1, NULL), (1, 0, 'ten')"
    file = sqlite(tmp_path / "data.db", script)
    found = read(small, f"sqlite:///{file}" if as_url else file)
    # In the order of the key, which is all the order that a database has.
    assert found["id"].tolist() == ["1", "2"]
    assert found["amount"].tolist()[0] == "ten"
    assert found["amount"].isna().tolist() == [False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.db", "small.toml"]


def test_the_unlabelled_rows_are_other_files(small: Portfolio, tmp_path: Path) -> None:
    (tmp_path / "applications.csv").write_bytes(CSV)
    (tmp_path / "open.csv").write_bytes(b"id,amount\n7,70\n")
    assert read(small, tmp_path)["id"].tolist() == ["1", "2"]
    assert read(small, tmp_path, labelled=False)["id"].tolist() == ["7"]


def test_several_files_are_one_table(tmp_path: Path) -> None:
    portfolio = book(tmp_path, HEAD.replace('["applications"]', '["first", "second"]'))
    (tmp_path / "first.csv").write_bytes(CSV)
    (tmp_path / "second.csv").write_bytes(b"amount,id,target\n30,3,0\n")
    found = read(portfolio, tmp_path)
    assert found["amount"].tolist() == ["10", "20", "30"]
    assert found[ROW].tolist() == [1, 2, 3]
    (tmp_path / "second.csv").write_bytes(b"amount,id\n30,3\n")
    with pytest.raises(DataError, match=r"second\.csv: its columns differ from those of .*first\.csv \(target\)"):
        read(portfolio, tmp_path)


def test_a_generated_key_is_the_row_number(tmp_path: Path) -> None:
    portfolio = book(tmp_path, HEAD.replace('key = ["id"]', 'key = ["id"]\ngenerated_key = true'))
    file = tmp_path / "any.csv"
    file.write_bytes(b"target,amount\n0,10\n1,20\n")
    assert read(portfolio, file)["id"].tolist() == [1, 2]
    file.write_bytes(CSV.replace(b"\n1,", b"\n5,"))
    assert read(portfolio, file)["id"].tolist() == ["5", "2"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"\xef\xbb\xbfid,a\n1,x\n", [["1", "x"]], id="byte order mark"),
        pytest.param(b"id,a\r\n1,x\r\n2,y\r\n", [["1", "x"], ["2", "y"]], id="CRLF"),
        pytest.param(b'id,a\n1,"x, ""y""\nz"\n2,w\n', [["1", 'x, "y"\nz'], ["2", "w"]], id="quoted"),
        pytest.param(b'id,a\n1,\n2,""\n', [["1", None], ["2", None]], id="empty is missing"),
        pytest.param(b"id,a\n\n1,x\n\n\n2,y", [["1", "x"], ["2", "y"]], id="blank lines, no last newline"),
        pytest.param(b'id,a\n1,5" pipe\n', [["1", '5" pipe']], id="a lone quotation mark inside a value"),
        pytest.param(b"id,a\n1,NA\n2,nan\n3,-0.0\n", [["1", "NA"], ["2", "nan"], ["3", "-0.0"]], id="raw"),
        pytest.param("id,a\n1,é\n".encode(), [["1", "é"]], id="UTF-8"),
        pytest.param(b'"id","a\nb"\n1,x\n', [["1", "x"]], id="a line break in the header"),
    ],
)
def test_csv_as_it_is_written(small: Portfolio, tmp_path: Path, content: bytes, expected: list[Any]) -> None:
    file = tmp_path / "any.csv"
    file.write_bytes(content)
    found = read(small, file).drop(columns=ROW)
    assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == expected


def test_a_column_without_a_name_gets_one(small: Portfolio, tmp_path: Path) -> None:
    # pandas writes its index so; a name keeps the column apart, and the contract reports it as unknown.
    file = tmp_path / "any.csv"
    file.write_bytes(b",id\n0,1\n")
    assert read(small, file).columns.tolist() == ["column_1", "id", ROW]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(cells, cells), min_size=1, max_size=20), block=st.integers(64, 200))
def test_csv_equals_what_was_written(
    small: Portfolio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[tuple[str, str]], block: int
) -> None:
    # Values, order and row numbers survive whatever stands in a cell and wherever a block of reading ends.
    monkeypatch.setattr(files, "BLOCK", block)
    file = tmp_path / "any.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("id", "a"), *table])
    found = read(small, file)
    assert found[ROW].tolist() == list(range(1, len(table) + 1))
    for name, values in zip(("id", "a"), zip(*table, strict=True), strict=True):
        assert found[name].fillna("").tolist() == list(values)


FAULTS: dict[str, tuple[str, bytes, str]] = {
    "empty CSV": ("a.csv", b"", r"the file is empty"),
    "blank CSV": ("a.csv", b"\n\n", r"the file is empty"),
    "header only": ("a.csv", b"id,target\n", r"a header but no rows"),
    "header only, no newline": ("a.csv", b"id,target", r"a header but no rows"),
    "duplicated column": ("a.csv", b"id,x,x\n1,2,3\n", r"duplicated column, 'x', 'x'"),
    "duplicated but for case": ("a.csv", b"id,x,X\n1,2,3\n", r"duplicated column, 'x', 'X'"),
    "reserved name": ("a.csv", b"id,__row__\n1,2\n", r"'__row__' has a name that the reader uses itself"),
    "too many fields": ("a.csv", b"id,x\n1,2\n3,4,5\n", r"line 3 has 3 fields, but the header names 2"),
    "a comma too many": ("a.csv", b"id,x\n1,2,\n", r"line 2 has 3 fields, but the header names 2"),
    "too few fields": ("a.csv", b'id,x\n1,"2\n2"\n3\n', r"line 4 has 1 fields, but the header names 2"),
    "cut in a line": ("a.csv", b"id,x,y\n1,2,3\n4,5", r"line 3 has 2 fields, but the header names 3"),
    "cut in a quoted value": ("a.csv", b'id,x\n1,"2\n3,4\n', r"line 3: a quotation mark is never closed"),
    "Latin-1": ("a.csv", b"id,x\n1,a\n2,caf\xe9\n", r"line 3, byte 6 \(0xe9\) is not UTF-8; save the file"),
    "Latin-1 header": ("a.csv", b"id,caf\xe9\n1,a\n", r"line 1, byte 7 \(0xe9\) is not UTF-8"),
    "UTF-16": ("a.csv", "id,x\n1,2\n".encode("utf-16"), r"line 1, byte 1 \(0xff\) is not UTF-8"),
    "semicolons": ("a.csv", b"id;x\n1;2\n", r"separated by semicolons; save the file with commas"),
    "tabs": ("a.csv", b"id\tx\n1\t2\n", r"separated by tabs"),
    "no gzip": ("a.csv.gz", CSV, r"truncated, damaged or not what its suffix says \(Not a gzipped file"),
    "truncated gzip": ("a.csv.gz", gzip.compress(CSV * 99)[:-20], r"cannot be read to its end"),
    "damaged gzip": ("a.csv.gz", gzip.compress(CSV)[:-8] + bytes(8), r"\(CRC check failed"),
    "no zip": ("a.zip", CSV, r"cannot be read to its end.*\(File is not a zip file\)"),
    "truncated zip": ("a.zip", zipped(a__csv=CSV)[:-30], r"File is not a zip file"),
    "damaged zip": ("a.zip", flipped(zipped(a__csv=CSV), 40), r"cannot be read to its end"),
    "empty zip": ("a.zip", zipped(), r"exactly one CSV or Parquet file, but holds nothing"),
    "zip of two": ("a.zip", zipped(a__csv=CSV, b__csv=CSV), r"exactly one .* but holds a\.csv, b\.csv; unpack"),
    "zip of text": ("a.zip", zipped(a__txt=CSV), r"but holds a\.txt"),
    "no Parquet": ("a.parquet", CSV, r"not a Parquet file, or a truncated one"),
    "empty Parquet": ("a.parquet", b"", r"not a Parquet file, or a truncated one"),
    "truncated Parquet": ("a.parquet", parquet()[:-40], r"not a Parquet file, or a truncated one"),
    "Parquet without rows": ("a.parquet", parquet({"id": [], "x": []}), r"columns but no rows"),
    "Parquet, duplicated": (
        "a.parquet",
        parquet({"id": [1], "x": [1], "y": [2]}, ["id", "x", "x"]),
        r"duplicated column, 'x', 'x'",
    ),
    "another kind": ("a.xlsx", b"PK", r"files of this kind are not read \(read are: .*\.csv.*\.sqlite3\)"),
    "no SQLite": ("a.db", CSV, r"not a SQLite file, or an empty one"),
    "empty SQLite": ("a.db", b"", r"not a SQLite file, or an empty one"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_at_fault_is_named_with_what_is_wrong(small: Portfolio, tmp_path: Path, fault: str) -> None:
    name, content, message = FAULTS[fault]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(small, tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert str(caught.value).endswith(".")


def test_damage_inside_a_parquet_file_shows_on_opening(small: Portfolio, tmp_path: Path) -> None:
    file = save(rows(5000), tmp_path / "a.parquet")
    file.write_bytes(file.read_bytes()[:200] + bytes(3800) + file.read_bytes()[4000:])
    with pytest.raises(DataError, match=r"a\.parquet: the Parquet file is damaged"):
        read(small, file)


def test_a_truncated_sqlite_file(small: Portfolio, tmp_path: Path) -> None:
    file = save(rows(5000), tmp_path / "a.db")
    file.write_bytes(file.read_bytes()[:20000])
    with pytest.raises(DataError, match=r"a\.db.*: the file cannot be read \(.*malformed"):
        read(small, file)


def test_an_encrypted_zip(small: Portfolio, tmp_path: Path) -> None:
    content = bytearray(zipped(a__csv=CSV))
    content[6] |= 1  # the flag in the local header, and in the central directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip: the archive is encrypted; unpack it"):
        read(small, tmp_path / "a.zip")


PLACES: dict[str, tuple[list[str], str, str]] = {
    "nothing there": ([], "nowhere", r"nowhere: nothing is there; give a folder, a file, or the URL"),
    "no SQLite file there": ([], "nowhere.db", r"nowhere\.db: cannot be read \(No such file"),
    "empty folder": ([], "", r"expected applications with one of .*\.csv\.gz.*but the folder holds no CSV or Par"),
    "other files": (["b.csv", "c.zip"], "", r"expected applications with .* but the folder holds b\.csv, c\.zip;"),
    "two for one": (
        ["applications.csv", "applications.parquet"],
        "",
        r"2 files for applications \(applications\.csv, applications\.parquet\), and no rule says which",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_at_fault_is_named(small: Portfolio, tmp_path: Path, place: str) -> None:
    present, source, message = PLACES[place]
    folder = tmp_path / "data"
    folder.mkdir()
    for name in present:
        (folder / name).write_bytes(CSV)
    with pytest.raises(DataError, match=message):
        read(small, folder / source)


def test_one_file_is_one_table(tmp_path: Path) -> None:
    tail = '[tables.event]\nen = "E"\nfr = "E"\nfiles = ["events"]\nparent = "application"\nparent_key = "id"\n'
    portfolio = book(tmp_path, tail=tail)
    file = tmp_path / "applications.csv"
    file.write_bytes(CSV)
    with pytest.raises(DataError, match=r"holds only the table 'application', but event is asked for too; give the"):
        open_tables(portfolio, file, names=("application", "event"))
    (tmp_path / "events.csv").write_bytes(b"id,month\n1,-1\n1,-2\n")
    opened = open_tables(portfolio, tmp_path, names=("application", "event"))
    assert {name: table.count().execute() for name, table in opened.items()} == {"application": 2, "event": 2}


@pytest.fixture
def family(tmp_path: Path) -> Portfolio:
    """A book with history and history of that; a further table is named, but not described."""
    child, bare = (
        EVENTS.replace("s.event", f"s.{name}").replace('"events"', f'"{name}s"') for name in ("detail", "bare")
    )
    child = child.replace('"application"', '"event"').replace('parent_key = "id"', 'parent_key = "event_id"')
    tail = EVENTS + columns_of("event", EVENT_COLUMNS) + bare + child + columns_of("detail", EVENT_COLUMNS)
    return book(tmp_path, tail=tail)


HELD: list[tuple[list[str], tuple[str, ...], str | None]] = [
    (["applications", "events", "details", "bares"], ("application", "event", "detail"), None),
    (["applications", "events"], ("application", "event"), "detail"),
    (["applications", "details"], ("application",), "event, detail"),
    (["events"], ("application", "event"), "detail"),
    ([], ("application",), "event, detail"),
]


@pytest.mark.parametrize("as_database", [True, False])
@pytest.mark.parametrize(("stems", "names", "absent"), HELD)
def test_what_is_not_given_is_left_out_and_said(
    family: Portfolio,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    stems: list[str],
    names: tuple[str, ...],
    absent: str | None,
    as_database: bool,
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "events.csv").mkdir(exist_ok=True)  # a folder is no file
    source = sqlite(tmp_path / "a.db", "PRAGMA user_version = 1") if as_database else folder
    for stem in stems:
        target = source if as_database else folder / f"{stem}.parquet"
        save(rows(4), target, table=stem)
    with caplog.at_level("INFO", logger="credit"):
        assert present(family, source) == names
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ([f"Not given, so left out: {absent}"] if absent else [])


def test_history_is_opened_and_counts_in_the_fingerprint_where_it_is_given(family: Portfolio, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "applications.csv").write_bytes(CSV)
    alone = fingerprint(family, folder)
    assert list(open_tables(family, folder)) == ["application"]
    (folder / "events.csv").write_bytes(b"event_id,id,month\n1,1,-1\n")
    assert list(open_tables(family, folder)) == ["application", "event"]
    assert fingerprint(family, folder) == fingerprint(family, folder, names=["event", "application"]) != alone
    assert fingerprint(family, folder, names=["application"]) == alone
    assert list(open_tables(family, folder / "applications.csv")) == ["application"]


def test_seven_tables_are_the_same_from_sqlite_and_from_files(tmp_path: Path) -> None:
    frames = seven()
    sources = [write(frames, tmp_path, suffix) for suffix in ("csv", "db")]
    file, base = [check(BOOK, open_tables(BOOK, source)).tables for source in sources]
    assert list(file) == list(base) == list(BOOK.tables)
    for name, table in file.items():
        one, two = table.to_pyarrow(), base[name].to_pyarrow()
        order = [(column, "ascending") for column in one.column_names]
        assert one.schema == two.schema
        assert one.num_rows == len(frames[name])
        assert one.sort_by(order).equals(two.sort_by(order)), name


MEMORIES: dict[str, tuple[dict[str, Any], str]] = {
    "no number": ({"memory": "much"}, r"memory 'much': no amount of memory; write a number and a unit, such as 4GB"),
    "no unit": ({"memory": "4"}, r"memory '4': no amount of memory"),
    "a share": ({"memory": "80%"}, r"memory '80%': no amount of memory"),
    "negative": ({"memory": "-1GB"}, r"memory '-1GB': no amount of memory"),
    "no thread": ({"threads": 0}, r"threads 0: must be 1 or more"),
}


@pytest.mark.parametrize("fault", MEMORIES)
def test_an_impossible_limit_is_one_clear_error(
    small: Portfolio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    limits, message = MEMORIES[fault]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (tmp_path / "a.csv").write_bytes(CSV)
    with pytest.raises(ConfigError, match=message):
        read(small, tmp_path / "a.csv", **limits)
    assert list(scratch.iterdir()) == []


def test_too_little_memory_is_not_taken_for_damage(small: Portfolio, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    with pytest.raises(ConfigError, match=r"a\.csv: more memory is needed than is allowed"):
        read(small, tmp_path / "a.csv", memory="0GB")


def test_limits_are_handed_to_duckdb(small: Portfolio, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    opened = open_tables(small, tmp_path / "a.csv", memory="64 MiB", threads=1)["application"]
    found = opened.get_backend().raw_sql("SELECT current_setting('memory_limit'), current_setting('threads')")
    assert found.fetchall() == [("64.0 MiB", 1)]


BASES: dict[str, tuple[str, str]] = {
    "no such table": ("CREATE TABLE other (id)", r"no table applications, nor application \(there are: other\)"),
    "no table at all": ("PRAGMA user_version = 1", r"\(there are: none\)"),
    "two names": ("CREATE TABLE applications (id); CREATE TABLE application (id)", r"both applications and applic"),
    "no rows": ("CREATE TABLE applications (id)", r"table 'applications': columns but no rows"),
}


@pytest.mark.parametrize("fault", BASES)
def test_a_database_at_fault(small: Portfolio, tmp_path: Path, fault: str) -> None:
    script, message = BASES[fault]
    file = sqlite(tmp_path / "a.db", script)
    with pytest.raises(DataError, match=message):
        read(small, file)


URLS: dict[str, tuple[type[CreditError], str, str]] = {
    "no URL": (DataError, "post gres://u:secret@h/d", r"post gres://\.\.\.: not a URL of a database"),
    "unknown kind": (DataError, "carrier://u:secret@h/d", r"carrier://u:\*\*\*@h/d: no kind of database"),
    "a web page": (DataError, "https://example.org/a.csv", r"no kind of database is called 'https'"),
    "no SQLite file": (DataError, "sqlite:////nowhere/a.db", r"/nowhere/a\.db: cannot be read"),
}


@pytest.mark.parametrize("fault", URLS)
def test_a_url_at_fault_is_named_without_its_password(small: Portfolio, fault: str) -> None:
    kind, url, message = URLS[fault]
    with pytest.raises(kind, match=message) as caught:
        read(small, url)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named(small: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DataError, match=r"postgresql\+psycopg://u:\*\*\*@h/d: the database's driver 'psycopg' is not"):
        read(small, "postgresql+psycopg://u:secret@h/d")


def connecting(monkeypatch: pytest.MonkeyPatch, connect: Callable[[], Any]) -> str:
    """Let a URL of PostgreSQL lead to `connect`, whatever drivers are installed."""
    engine = sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=sqlalchemy.NullPool)
    monkeypatch.setattr(database, "create_engine", lambda url, **options: engine)
    return "postgresql://u:secret@h/d?sslpassword=other"


def test_a_database_that_does_not_answer(small: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang() -> Any:
        time.sleep(3)
        raise sqlite3.OperationalError

    monkeypatch.setattr(database, "TIMEOUT", 0.2)
    url = connecting(monkeypatch, hang)
    begun = time.perf_counter()
    with pytest.raises(ServiceError, match=r"postgresql://u:\*\*\*@h/d: the database does not answer within 0\.2 s"):
        read(small, url)
    assert time.perf_counter() - begun < 2


def test_a_database_that_refuses(small: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise sqlite3.OperationalError("connection refused for u with secret\nHINT: none")

    url = connecting(monkeypatch, refuse)
    message = r"@h/d: the database cannot be read \(connection refused for u with \*\*\*\); check"
    with pytest.raises(ServiceError, match=message) as caught:
        read(small, url)
    assert not re.search("secret|other", str(caught.value))


def test_a_database_is_read_in_chunks(small: Portfolio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Chunks bound the memory; neither rows nor the fingerprint may depend on where one ends.
    file = save(rows(100), tmp_path / "a.db")
    whole = read(small, file), fingerprint(small, file)
    monkeypatch.setattr(database, "CHUNK", 7)
    pd.testing.assert_frame_equal(read(small, file), whole[0])
    assert fingerprint(small, file) == whole[1]
    assert whole[0]["id"].tolist() == [str(number) for number in range(1001, 1101)]


def test_temporary_files_go_with_the_tables(small: Portfolio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    file = tmp_path / "a.csv"
    file.write_bytes(CSV)
    opened = open_tables(small, file)
    assert [path.name for path in scratch.glob("*/*")] == ["application-0.parquet"]
    connection = opened["application"].get_backend()
    # No network: DuckDB must never go and fetch an extension on its own.
    settings = "SELECT current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions')"
    assert connection.raw_sql(settings).fetchall() == [(False, False)]
    del opened, connection
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_the_fingerprint_is_of_the_content(small: Portfolio, tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "elsewhere.csv"
    first.write_bytes(CSV)
    second.write_bytes(CSV)
    digest = fingerprint(small, first)
    assert digest == fingerprint(small, second)
    expected = f"application {hashlib.sha256(CSV).hexdigest()}\n"
    assert digest == hashlib.sha256(expected.encode()).hexdigest()
    second.write_bytes(CSV.replace(b"20", b"21"))
    assert digest != fingerprint(small, second)


def test_the_fingerprint_of_a_database_is_of_its_rows(small: Portfolio, tmp_path: Path) -> None:
    create = "CREATE TABLE applications (id, x); INSERT INTO applications VALUES "
    texts = {
        "as is": create + "(1, 'a'), (2, NULL)",
        "other order": create + "(2, NULL), (1, 'a')",
        "vacuumed": create + "(1, 'a'), (2, NULL); CREATE TABLE other (x); DROP TABLE other; VACUUM",
        "empty for missing": create + "(1, 'a'), (2, '')",
        "other value": create + "(1, 'b'), (2, NULL)",
        "moved comma": create + "(1, 'a'), ('2,', NULL)",
    }
    digests = [
        fingerprint(small, sqlite(tmp_path / f"{number}.db", script)) for number, script in enumerate(texts.values())
    ]
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 4


def test_a_database_without_the_key_has_one_order_all_the_same(tmp_path: Path) -> None:
    # A generated key is the row's number: it must not depend on how the database happens to store the rows.
    portfolio = book(tmp_path, HEAD.replace('key = ["id"]', 'key = ["id"]\ngenerated_key = true'))
    create = "CREATE TABLE applications (x, y); INSERT INTO applications VALUES "
    first = sqlite(tmp_path / "1.db", create + "(2, 'a'), (1, 'b'), (1, 'a')")
    second = sqlite(tmp_path / "2.db", create + "(1, 'a'), (2, 'a'), (1, 'b')")
    pd.testing.assert_frame_equal(read(portfolio, first), read(portfolio, second))
    assert fingerprint(portfolio, first) == fingerprint(portfolio, second)
