"""Open books: what is fetched is the book that is meant, and anything else leaves nothing behind."""

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openml_util import OpenML, point, serving
from typer.testing import CliRunner

from credit.__main__ import app
from credit.data import fetch as module
from credit.data.contract import check
from credit.data.draft import draft
from credit.data.fetch import TARGET, Source, canonical, fetch, sources
from credit.data.tables import open_tables
from credit.errors import ConfigError, CreditError, DataError, ServiceError
from credit.portfolio import load

ROWS, DEFAULTS = 160, 53


def there() -> pd.DataFrame:
    """Return rows as a server may hold them: other names, classes as words, quotation marks where ARFF needs them."""
    at = pd.Series(range(ROWS))
    frame = pd.DataFrame({"x1": 1000 + 7 * at, "x2": at % 5 + 1})
    frame["x3"] = [["<0", "0<=X<200", "no checking"][number // 2 % 3] for number in at]
    return frame.assign(y=["bad" if number % 3 == 1 else "good" for number in at])


def here() -> pd.DataFrame:
    """Return the same rows as the project wants them."""
    frame = there().rename(columns={"x1": "income", "x2": "grade", "x3": "status", "y": TARGET})
    frame.insert(0, "ID", range(1, ROWS + 1))
    frame[TARGET] = (frame[TARGET] == "bad").astype(int)
    return frame


MEANT = Source(
    title="A book",
    source="https://doi.org/any",
    licence="CC BY 4.0",
    openml=7,
    file="book.parquet",
    key="ID",
    columns={"x1": "income", "x2": "grade", "x3": "status"},
    target={"good": 0, "bad": 1},
    rows=ROWS,
    defaults=DEFAULTS,
    sha256=canonical(here()),
)


def catalogue(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: Any) -> None:
    file = folder / "sources.json"
    file.write_text(json.dumps({"any": asdict(replace(MEANT, **changes))}))
    monkeypatch.setattr(module, "CATALOGUE", file)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OpenML]:
    content = OpenML(there())
    catalogue(monkeypatch, tmp_path)
    with serving(content) as base:
        point(monkeypatch, base)
        yield content


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "mine"


def test_a_book_is_fetched_renamed_and_written(held: OpenML, out: Path) -> None:
    assert fetch("any", out) == out / "book.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(out / "book.parquet"), here(), check_dtype=False)
    assert [path.name for path in out.iterdir()] == ["book.parquet"]
    assert fetch("any", out).exists(), "a second time is no error"


def test_a_drafted_portfolio_accepts_what_was_fetched(held: OpenML, out: Path) -> None:
    file = fetch("any", out)
    (out / "book.toml").write_text(draft(file, TARGET, None, "book"), encoding="utf-8")
    book = load(out / "book.toml")
    assert check(book, open_tables(book, file)).report.rows == ROWS


def test_the_command_shows_licence_source_checksum_and_what_next(held: OpenML, out: Path) -> None:
    done = CliRunner().invoke(app, ["data", "get", "any", "--out", str(out), "--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (told["licence"], told["source"], told["sha256"]) == (MEANT.licence, MEANT.source, MEANT.sha256)
    assert (told["rows"], told["defaults"]) == (ROWS, DEFAULTS)
    assert told["next"].startswith(f"credit portfolio init {out / 'book.parquet'} --target TARGET")


def of_arff(spoil: Any) -> Any:
    return lambda path, content: spoil(content) if path.endswith(".arff") else content


SPOILT: dict[str, tuple[dict[str, Any], type[CreditError], str]] = {
    "damaged on its way": (
        {"spoil": of_arff(lambda content: content.replace(b"1007", b"1008"))},
        DataError,
        r"data set 7: damaged, or none \(The md5 checksum",
    ),
    "other rows": ({"frame": there().iloc[1:]}, DataError, r"not the book that is meant: 159 rows, 53 defaults, SHA"),
    "another value": (
        {"frame": there().replace({"x1": 1007}, 1008)},
        DataError,
        rf"not the book that is meant: 160 rows, 53 defaults, SHA-256 \w+ instead of .* {MEANT.sha256}; nothing",
    ),
    "another column": ({"frame": there().rename(columns={"x1": "v1"})}, DataError, r"was expected \(x1\); nothing"),
    "another class": ({"frame": there().replace({"y": "bad"}, "ugly")}, DataError, r"was expected \(ugly\); nothing"),
    "another page": ({"spoil": lambda path, content: b"<html>Sign in</html>"}, DataError, r"damaged, or none \("),
    "another answer": ({"spoil": lambda path, content: b"{}"}, DataError, r"damaged, or none \('data_set_desc"),
    "no such data set": ({"number": 8}, ServiceError, r"the server does not answer as it should \(Not Found\)"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_what_is_not_the_book_leaves_nothing_behind(
    held: OpenML, out: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
    changes, kind, message = SPOILT[fault]
    for name, value in changes.items():
        setattr(held, name, value)
    with pytest.raises(kind, match=message):
        fetch("any", out)
    assert not out.exists()


def test_an_earlier_copy_outlives_a_failure(held: OpenML, out: Path) -> None:
    fetch("any", out)
    held.frame = there().iloc[1:]
    with pytest.raises(DataError):
        fetch("any", out)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "book.parquet"), here(), check_dtype=False)


def test_nobody_answers(
    held: OpenML, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    from sklearn.datasets import _openml

    monkeypatch.setattr(_openml, "_DATA_INFO", f"http://127.0.0.1:{closed}/{{}}")
    with pytest.raises(ServiceError, match=r"does not answer as it should \(.*refused\); check the network") as caught:
        fetch("any", out)
    assert caught.value.exit_code == 3
    assert socket.getdefaulttimeout() is None
    assert not out.exists()


def test_a_silent_server_is_given_up(held: OpenML, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        from sklearn.datasets import _openml

        monkeypatch.setattr(_openml, "_DATA_INFO", f"http://127.0.0.1:{silent.getsockname()[1]}/{{}}")
        with pytest.raises(ServiceError, match=r"does not answer as it should \(timed out\)"):
            fetch("any", out)


def test_a_folder_that_cannot_be(held: OpenML, out: Path) -> None:
    out.write_text("a file")
    with pytest.raises(ConfigError, match=r"--out .*mine: cannot be written to \(File exists\); name another folder"):
        fetch("any", out)


def test_a_name_that_nobody_knows(out: Path) -> None:
    with pytest.raises(ConfigError, match=r"data 'other': .* there are taiwan, german, home_credit\."):
        fetch("other", out)


def test_what_may_not_be_passed_on_is_said_in_two_lines(out: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fetch("home_credit", out)
    assert len(str(caught.value).splitlines()) == 2
    assert "kaggle competitions download" in str(caught.value)


def test_the_digest_is_of_the_content_not_of_order_or_types() -> None:
    frame = here()
    assert canonical(frame) == canonical(frame.iloc[::-1]) == canonical(frame.astype(str)) == MEANT.sha256
    assert canonical(frame) != canonical(frame.assign(grade=1))
    assert canonical(frame) != canonical(frame.rename(columns={"grade": "mark"}))


def test_the_books_on_offer_fit_what_is_said_of_them() -> None:
    offered = {name: source for name, source in sources().items() if not source.steps}
    assert set(offered) == {"taiwan", "german"}
    for source in offered.values():
        assert source.licence == "CC BY 4.0"
        assert source.source.startswith("https://doi.org/")
        assert len(source.sha256) == 64
        assert sorted(source.target.values()) == [0, 1]
    taiwan = load(offered["taiwan"].portfolio)
    assert [offered["taiwan"].key, *offered["taiwan"].columns.values(), TARGET] == list(taiwan.columns)
    assert offered["taiwan"].file == f"{taiwan.tables[taiwan.main].files[0]}.parquet"
    assert (offered["taiwan"].rows, offered["taiwan"].defaults) == (30_000, 6_636)
    assert (offered["german"].rows, offered["german"].defaults, len(offered["german"].columns)) == (1_000, 300, 20)
