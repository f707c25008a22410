"""`credit doctor` as somebody meets it whose machine is not ready: each fault here is made, not feigned."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from serving_util import book as shop_book
from serving_util import champion, shop_file

from credit.cli.checks import FAULT, LEVELS, NOTE, OK, WARNING, Finding, guarded, installation, machine, masked, stores
from credit.cli.doctor import examine
from credit.errors import DataError
from credit.governance.ledger import Ledger
from credit.home import Home

ROOT = Path(__file__).resolve().parents[1]


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with size and time of its last change."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}


@pytest.fixture
def doctor(tmp_path: Path) -> Callable[..., tuple[int, dict[str, dict[str, Any]], str]]:
    """Run the command as a process of its own, in a folder of its own, and see that it changed nothing there."""
    work = tmp_path / "work"
    work.mkdir()

    def run(*words: str, **environ: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        environ = {"PYTHONDONTWRITEBYTECODE": "1", "CREDIT_HOME": str(tmp_path / "home"), **environ}
        before = tree(tmp_path)
        line = [sys.executable, "-m", "credit", "doctor", *words, "--json"]
        path = os.pathsep.join(filter(None, (environ.pop("PYTHONPATH", ""), str(ROOT))))
        own = os.environ | environ | {"PYTHONPATH": path}
        done = subprocess.run(line, cwd=work, env=own, capture_output=True, text=True, check=False)
        assert tree(tmp_path) == before
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)
        levels = [finding["level"] for finding in told["findings"]]
        assert told["counts"] == {level: levels.count(level) for level in LEVELS}
        assert told["healthy"] == (FAULT not in levels)
        assert done.returncode == (0 if told["healthy"] else 1)
        return done.returncode, {finding["name"]: finding for finding in told["findings"]}, done.stdout + done.stderr

    return run


def test_an_empty_machine_is_healthy_is_told_what_to_do_and_stays_empty(doctor, tmp_path: Path) -> None:
    code, found, _ = doctor()
    assert code == 0
    assert not (tmp_path / "home").exists()
    for name in ("python", "packages", "lightgbm"):
        assert found[name]["level"] == OK, found[name]
    for name in ("home", "mlflow", "ledger", "metaflow", "champion"):
        assert found[name]["level"] == NOTE, found[name]
        assert found[name]["remedy"]
    assert "flows/training.py run" in found["champion"]["remedy"]


def test_a_champion_is_opened_and_nothing_is_touched(doctor, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    made = champion(home)
    code, found, _ = doctor("--portfolio", str(shop_file(tmp_path / "book")))
    assert code == 0
    for name in ("home", "mlflow", "ledger", "champion", "bundle", "features", "rows", "baseline"):
        assert found[name]["level"] == OK, found[name]
    assert str(made) in found["champion"]["told"]
    assert made.digest[:16] in found["bundle"]["told"]
    assert Ledger(home.ledger_url).head[:16] in found["ledger"]["told"]


def test_damaged_files_of_the_champion_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's own copy is looked at, not the one that is kept in the workspace and still good."""
    home = Home(tmp_path / "home")
    champion(home, "\n# a book of its own, as its files are damaged here\n")
    with closing(sqlite3.connect(home.root / "mlflow.db")) as store:
        (place,) = store.execute("select artifact_location from logged_models").fetchone()
    bundle = Path(place.removeprefix("file://")) / "data" / "bundle"
    (bundle / "added.txt").write_text("not registered")
    found = {each.name: each for each in examine(shop_book(), home)}
    assert found["champion"].level == FAULT
    assert "were not opened" in found["champion"].told
    assert "roll back" in found["champion"].told
    assert "bundle" not in found


def test_a_missing_openmp_runtime_is_named_with_its_remedy_and_the_rest_is_still_looked_at(doctor, tmp_path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    message = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (planted / "lightgbm.py").write_text(f"raise OSError({message!r})\n")
    code, found, _ = doctor(PYTHONPATH=str(planted))
    assert code == 1
    assert found["lightgbm"]["level"] == FAULT
    assert message in found["lightgbm"]["told"]
    assert "libgomp1" in found["lightgbm"]["remedy"]
    assert {"disk", "mlflow", "ledger", "metaflow"} <= found.keys()
    assert found["champion"]["level"] == FAULT


@pytest.mark.parametrize("module", ["sqlalchemy", "joblib"])
def test_a_package_that_does_not_import_is_a_fault_not_a_traceback(module: str, doctor, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / f"{module}.py").write_text("raise ImportError('broken on purpose')\n")
    code, found, said = doctor(PYTHONPATH=str(planted))
    assert code == 1
    assert any(each["level"] == FAULT and "broken on purpose" in each["told"] for each in found.values())
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("wanted", "level", "told"),
    [
        ("typer>=0.15", None, ""),
        ("typer>=99", WARNING, f"{version('typer')} is installed, wanted >=99"),
        ("no-such-package-at-all>=1", FAULT, "is not installed"),
    ],
)
def test_packages_are_held_to_their_bounds(wanted: str, level: str | None, told: str) -> None:
    found = installation._package(Requirement(wanted))
    assert (found and found.level) == level
    if found:
        assert told in found.told
        assert "requirements/run.txt" in found.remedy


def test_a_registry_of_a_newer_mlflow_is_told_from_one_of_an_older(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    champion(home)
    for revision, words in (("ffffffffffff", "newer MLflow"), ("451aebb31d03", "older MLflow")):
        with closing(sqlite3.connect(home.root / "mlflow.db")) as store, store:
            store.execute("update alembic_version set version_num = ?", (revision,))
        [found] = stores._mlflow(home.tracking_uri)
        assert found.level == FAULT
        assert words in found.told
        assert found.remedy


def test_a_forged_head_of_the_ledger_is_a_fault(credit_home: Path) -> None:
    url = Home(credit_home).ledger_url
    Ledger(url).extend("note", [{"n": number} for number in range(3)])
    [whole] = stores._ledger(url)
    assert (whole.level, "3 events" in whole.told) == (OK, True)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as forged, forged:
        forged.execute("drop trigger no_update")
        forged.execute("update events set payload = '{}' where id = 3")
    [broken] = stores._ledger(url)
    assert broken.level == FAULT
    assert "credit ledger verify" in broken.remedy


def test_files_that_are_no_databases_are_faults(doctor, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    for name in ("mlflow.db", "ledger.db"):
        (tmp_path / "home" / name).write_bytes(b"what is this" * 999)
    code, found, _ = doctor()
    assert code == 1
    for name in ("mlflow", "ledger", "champion"):
        assert found[name]["level"] == FAULT
        assert "not a database" in found[name]["told"]


@pytest.mark.parametrize(
    "address",
    ["http://ana:s3cret-w0rd@127.0.0.1:9", "postgresql+psycopg://ana:s3cret-w0rd@127.0.0.1:9/x?sslpassword=s3cret2"],
)
def test_what_does_not_answer_is_a_fault_and_no_password_is_shown(address: str, doctor) -> None:
    ledger = address if address.startswith("postgresql") else "nonsense://ana:s3cret-w0rd@127.0.0.1:9/x"
    code, found, said = doctor(MLFLOW_TRACKING_URI=address, CREDIT_LEDGER_URL=ledger)
    assert code == 1
    assert found["mlflow"]["level"] == found["ledger"]["level"] == FAULT
    assert "127.0.0.1:9" in found["mlflow"]["told"]
    assert "s3cret" not in said


@pytest.mark.parametrize("text", ["http://u:pa/ss@h", "login pa/ss failed", "x?password=pa/ss&y", "(u, pa/ss)"])
def test_a_password_is_hidden_wherever_a_library_puts_it(text: str) -> None:
    [clean] = masked([Finding("x", FAULT, text, text)], ["http://u:pa%2Fss@h/db"])
    assert "pa/ss" not in clean.told + clean.remedy
    assert "***" in clean.told


def test_folders_that_cannot_be_written_to_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home below a file, which no rights help: the tests may run as root."""
    (tmp_path / "file").write_text("")
    found = list(machine._home(tmp_path / "file" / "home"))
    assert [each.level for each in found] == [FAULT]
    assert "CREDIT_HOME" in found[0].remedy
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(tmp_path / "file"))
    assert [each.level for each in stores._metaflow()] == [FAULT]


@pytest.mark.parametrize(("free", "level"), [(10e9, OK), (1e9, WARNING), (0.1e9, FAULT)])
def test_a_full_disk_is_said(free: float, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = machine.shutil.disk_usage(tmp_path)._replace(free=int(free))
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage)
    [found] = machine._disk(tmp_path / "not" / "there")
    assert (found.level, bool(found.remedy)) == (level, level != OK)


@pytest.mark.parametrize(("limit", "level"), [("max", OK), (str(3 * 10**9), WARNING), ("500000000", FAULT)])
def test_the_limit_of_a_container_counts(limit: str, level: str, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "memory.max").write_text(limit + "\n")
    monkeypatch.setattr(machine, "LIMITS", (tmp_path / "memory.max",))
    monkeypatch.setattr(machine.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4_000_000}.__getitem__)
    [found] = machine._memory()
    assert found.level == level


def test_a_network_drive_is_found_in_the_table_of_mounts(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"/dev/sda1 / ext4 rw 0 0\nbox:/share {tmp_path.resolve()} nfs4 rw 0 0\n")
    assert machine._file_system(tmp_path / "home", table) == "nfs4"
    assert machine._file_system(Path("/usr"), table) == "ext4"
    assert machine._file_system(tmp_path, tmp_path / "absent") == ""


def test_a_check_that_fails_is_a_fault_in_its_own_words_and_what_nobody_expects_is_not_hidden() -> None:
    def failing(error: Exception):
        yield Finding("x", OK, "so far")
        raise error

    found = list(guarded("x", lambda: failing(DataError("rows.csv: gone; give another."))))
    assert [each.level for each in found] == [OK, FAULT]
    assert found[1].told == "rows.csv: gone; give another."
    assert "PermissionError: no" in list(guarded("x", lambda: failing(PermissionError("no"))))[1].told
    with pytest.raises(ZeroDivisionError):
        list(guarded("x", lambda: failing(ZeroDivisionError())))


def test_the_page_of_people_has_every_finding_and_every_remedy(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "credit", "doctor"]
    own = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    own |= {"CREDIT_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    done = subprocess.run(line, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    words = " ".join(done.stdout.split())
    assert "fault mlflow http://127.0.0.1:9: the MLflow server does not answer" in words
    assert "-> python flows/training.py run" in words or "fault champion" in words
    assert max(len(row) for row in done.stdout.splitlines() if "/" not in row) <= 80
