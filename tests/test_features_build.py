"""`credit features build`: once per content, within its memory, and whole or not at all, wherever it is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from learning import HEAD, sales, shop, text
from lending import TABLES, drawn
from summaries import few
from typer.testing import CliRunner

from credit.__main__ import app
from credit.data import synthetic
from credit.errors import ConfigError, CreditError
from credit.features import load, scale
from credit.features.engine import PARTIAL, DuckDB, Engine
from credit.portfolio import load as portfolio

CLIENTS = 1_600


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A small synthetic book of three tables, one below the other: a third of the features, and of the time."""
    folder = tmp_path_factory.mktemp("book")
    synthetic.write(folder, CLIENTS, 3)
    for path in folder.glob("*.parquet"):
        if not path.name.startswith(("application", "bureau")):
            path.unlink()
    return folder


@pytest.fixture(scope="module")
def reference(data, tmp_path_factory) -> Path:
    """Its features, built without disturbance."""
    out = tmp_path_factory.mktemp("reference")
    assert scale.make(portfolio("home_credit"), data, out, DuckDB()).tables[1:] == ("bureau", "bureau_balance")
    return out


@dataclass(frozen=True)
class Lender:
    """A book of three tables with a few features of each, in a file, and its rows."""

    file: Path
    rows: Path

    @classmethod
    def write(cls, folder: Path, clients: int, loans: int) -> "Lender":
        rows = folder / "rows"
        rows.mkdir()
        of_clients, of_loans = drawn(clients, loans)
        sales(clients).to_parquet(rows / "sales.parquet", index=False)
        of_clients.to_parquet(rows / "loans.parquet", index=False)
        of_loans.drop_duplicates(["loan", "month"]).to_parquet(rows / "months.parquet", index=False)
        book = text(HEAD.replace("[tables.sale]", TABLES + "\n[tables.sale]"))
        (folder / "lender.toml").write_text(book, encoding="utf-8")
        return cls(folder / "lender.toml", rows)

    def make(self, out: Path, engine: Engine) -> scale.Made:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("credit.features.dictionary._derived", few)
            return scale.make(portfolio(str(self.file)), self.rows, out, engine)


@pytest.fixture(scope="module")
def lender(tmp_path_factory) -> Lender:
    return Lender.write(tmp_path_factory.mktemp("lender"), 300, 4_000)


@pytest.fixture(scope="module")
def reference_of_lender(lender, tmp_path_factory) -> Path:
    """Its features, built without disturbance."""
    out = tmp_path_factory.mktemp("reference-of-lender")
    assert lender.make(out, DuckDB()).tables[1:] == ("loan", "month")
    return out


@pytest.fixture
def shop_file(tmp_path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    sales(400).to_parquet(folder / "sales.parquet", index=False)
    return folder


def same(one: Path, other: Path) -> None:
    for name in ("features.parquet", "audit.parquet"):
        pd.testing.assert_frame_equal(load(one / name), load(other / name), check_exact=True)
    assert json.loads((one / "features.json").read_text()) == json.loads((other / "features.json").read_text())


def run(*arguments: object) -> tuple[dict[str, object], str]:
    """Run the command in a process of its own; give its JSON and its log."""
    command = [sys.executable, "-m", "credit", "features", "build", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


# The command


def test_it_says_what_it_made_and_finds_it_again(data, reference, tmp_path):
    made, log = run("--data", data, "--out", tmp_path / "out")
    assert made["rows"] == CLIENTS
    assert made["features"] == len(pd.read_parquet(tmp_path / "out" / "features.parquet").columns) - 2
    assert made["tables"] == ["application", "bureau", "bureau_balance"]
    assert not made["unchanged"]
    for name in made["tables"][1:]:
        label = portfolio("home_credit").tables[name].label.en.lower()
        assert f"Folding {label}: done" in log  # progress, table by table
    same(tmp_path / "out", reference)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again, log = run("--data", data, "--out", tmp_path / "out")
    assert again == made | {"unchanged": True}
    assert "Folding" not in log
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--memory", "lots"), "memory 'lots': no amount of memory"),
        (("--memory", "1MB"), "memory '1MB'"),
        (("--out", "{out}/file"), "is a file; name a folder"),
        (("--out", "{out}/file/below"), "cannot be written"),
        (("--out", "s3://bucket/features"), "give one, or --engine spark"),
        (("--data", "{out}/nothing"), "nothing is there"),
        (("--data", "postgresql+psycopg2://127.0.0.1:1/x"), "127.0.0.1"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(shop_file, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "shop.toml").write_text(text(), encoding="utf-8")
    usual = {"--data": str(shop_file), "--out": str(tmp_path / "out"), "--portfolio": str(tmp_path / "shop.toml")}
    given = usual | {arguments[0]: arguments[1].format(out=tmp_path)}
    result = CliRunner().invoke(app, ["features", "build", *(word for pair in given.items() for word in pair)])
    assert isinstance(result.exception, CreditError), result.output
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="engine 'dask'"), scale.opened("dask"):
        pass


# Content addressing


def built(data: Path, out: Path, **options: bool) -> scale.Made:
    return scale.make(shop(), data, out, DuckDB(), **options)


def test_another_row_another_definition_or_no_target_is_another_content(shop_file, tmp_path):
    out = tmp_path / "out"
    first = built(shop_file, out)
    assert built(shop_file, out).unchanged
    sales(401).to_parquet(shop_file / "sales.parquet", index=False)
    second = built(shop_file, out)
    assert not second.unchanged
    assert second.rows == 401
    sales(401).drop(columns="unpaid").to_parquet(shop_file / "open_sales.parquet", index=False)
    third = built(shop_file, out, labelled=False)
    assert "unpaid" not in pd.read_parquet(out / "features.parquet")
    assert len({made.digest for made in (first, second, third)}) == 3


@pytest.mark.parametrize("lost", ["features.parquet", "audit.parquet", "features.json"])
def test_a_set_that_has_lost_a_file_is_built_again(shop_file, tmp_path, lost):
    first = built(shop_file, tmp_path / "out")
    (tmp_path / "out" / lost).unlink()
    assert built(shop_file, tmp_path / "out") == first
    assert (tmp_path / "out" / lost).exists()


def test_a_failed_contract_leaves_the_earlier_set(shop_file, tmp_path):
    first = built(shop_file, tmp_path / "out")
    good = (shop_file / "sales.parquet").read_bytes()
    sales(400).assign(amount=-1.0).to_parquet(shop_file / "sales.parquet", index=False)
    with pytest.raises(CreditError, match="out of range"):
        built(shop_file, tmp_path / "out")
    (shop_file / "sales.parquet").write_bytes(good)
    assert built(shop_file, tmp_path / "out") == scale.Made(**first.to_dict() | {"unchanged": True})


# Killed

#: Kills itself before, or after, the nth time that it stages a table or gives a finished file its name.
DEADLY = """
import os, signal, sys
from pathlib import Path
import ibis
from credit.features import dictionary, scale
from credit.features.engine import DuckDB
from credit.portfolio import load
from summaries import few

dictionary._derived = few
what, nth, book, data, out = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
owner = {"replace": Path, "to_parquet": ibis.expr.types.Table}[what]
real, calls = getattr(owner, what), []

def deadly(*args, **options):
    calls.append(what)
    result = None if what == "replace" and len(calls) == nth else real(*args, **options)
    if len(calls) == nth:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, what, deadly)
scale.make(load(book), data, out, DuckDB(threads=1))
"""


def killed(what: str, nth: int, lender: Lender, out: Path) -> None:
    words = [what, str(nth), str(lender.file), str(lender.rows), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.run([sys.executable, "-c", DEADLY, *words], env=environment, check=False)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("what", "nth"),
    [("to_parquet", 1), ("to_parquet", 2), ("to_parquet", 3), ("replace", 2), ("replace", 3)],
    ids=["first fold", "later fold", "features written", "audit not yet named", "manifest not yet named"],
)
def test_killed_anywhere_it_leaves_nothing_that_passes_for_whole(lender, reference_of_lender, tmp_path, what, nth):
    """Without a manifest there is no set; what has its name is whole; the next build mends all and sweeps up."""
    out = tmp_path / "out"
    killed(what, nth, lender, out)
    assert not (out / "features.json").exists()
    for name in ("features.parquet", "audit.parquet"):
        if (out / name).exists():
            assert len(pd.read_parquet(out / name)) == 300
    assert list(out.glob(f"{PARTIAL}*"))
    assert not lender.make(out, DuckDB()).unchanged
    same(out, reference_of_lender)
    assert {path.name for path in out.iterdir()} == {"features.parquet", "audit.parquet", "features.json"}


def test_the_work_of_a_living_process_is_left_alone(shop_file, tmp_path):
    out = tmp_path / "out"
    living = out / f"{PARTIAL}{os.getppid()}-folds"
    living.mkdir(parents=True)
    built(shop_file, out)
    assert living.exists()


# Memory


def test_within_little_memory_it_spills_and_makes_the_same(tmp_path, monkeypatch):
    large = Lender.write(tmp_path, 20_000, 300_000)
    large.make(tmp_path / "free", DuckDB(threads=1))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    spilled, done = set(), threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            with suppress(FileNotFoundError):  # a folder that goes while it is looked into
                spilled.update(path.name for path in temporary.rglob("duckdb_temp_*"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for memory in ("100MB", "90MB", "80MB", "70MB"):  # ever less, until it spills
            made = tmp_path / memory
            large.make(made, DuckDB(memory, threads=1))
            if spilled:
                break
    finally:
        done.set()
        watcher.join()
    assert spilled
    same(tmp_path / "free", made)


def test_too_little_memory_is_one_clear_error_and_leaves_nothing(data, tmp_path):
    with pytest.raises(ConfigError, match="memory '60MB' is too little"), scale.opened("duckdb", "60MB") as engine:
        scale.make(portfolio("home_credit"), data, tmp_path / "out", engine)
    assert not list((tmp_path / "out").glob("*.*"))


@pytest.mark.parametrize(("written", "bytes_"), [("4GB", 4e9), ("1.5 GiB", 1.5 * 2**30), ("512kb", 512e3), ("7B", 7)])
def test_memory_is_read_as_duckdb_reads_it(written, bytes_):
    assert scale._bytes(written) == bytes_
