"""The command line as a user meets it: what it prints, and with which exit code it ends."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from serving_util import RISKY
from serving_util import book as shop_book
from serving_util import champion as champion_of_shop
from typer.testing import CliRunner

from credit import __version__
from credit.__main__ import app, main
from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.home import Home

runner = CliRunner()


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def credit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    """Run a command in a folder of the test's own, as the console script does."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["credit", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        code = ended.value.code
        return Done(int(code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    rows = pd.DataFrame({"client": range(400), "income": [1000 + 7 * (n % 90) for n in range(400)]})
    rows["defaulted"] = [int(n % 4 == 0) for n in range(400)]
    rows.to_csv(tmp_path / "loans.csv", index=False)
    return tmp_path / "loans.csv"


def test_help_names_every_command_and_says_what_it_does() -> None:
    done = runner.invoke(app, ["--help"])
    assert done.exit_code == 0
    commands = ("synth", "check", "score", "register", "champion", "versions", "rollback", "portfolio", "features")
    for command in (*commands, "replay", "override", "outcomes", "ledger"):
        line = next(line for line in done.output.splitlines() if re.match(rf"\W*{command}\b", line))
        assert len(line.split()) > 2, line


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).output.strip() == __version__


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "--data", "nowhere"], "nowhere"),
        (["champion", "--portfolio", "home_credti"], "no such portfolio"),
        (["synth", "--clients", "3", "--out", "book"], "3"),
        (["score", "absent.csv", "--out", "decided.xls"], "champion"),
        (["features", "describe", "--language", "de"], "en and fr"),
        (["register"], "no release is kept"),
        (["rollback"], "reason"),
        (["replay", "7"], "decision 7: not in the ledger"),
        (["override", "7", "--to", "approve", "--reason", "x"], "decision 7: not in the ledger"),
        (["override", "7", "--to", "review", "--reason", "x"], "review"),
        (["override", "7", "--to", "approve"], "reason"),
        (["outcomes", "import", "absent.csv"], "absent.csv"),
        (["ledger", "erase", "--client", "7"], "reason"),
        (["ledger", "erase", "--reason", "x"], "--client or --event"),
        (["ledger", "erase", "--reason", "x", "--client", "7", "--event", "1"], "--client or --event"),
        (["ledger", "retain", "--days", "0"], "at least one day"),
    ],
)
def test_bad_use_ends_with_one_message_and_code_2(words: list[str], message: str, credit) -> None:
    done = credit(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_console_command_is_installed_and_refuses_an_unknown_option_with_code_2() -> None:
    command = Path(sys.executable).with_name("credit")
    done = subprocess.run([command, "champion", "--colour"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--colour" in done.stderr


def test_a_closed_port_ends_with_code_3(credit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    done = credit("champion")
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr


def test_synth_writes_a_book_that_check_accepts_and_that_says_synthetic(credit, tmp_path: Path) -> None:
    made = json.loads(credit("synth", "--clients", "1500", "--out", "book", "--json").stdout)
    assert made["synthetic"] is True
    assert "synthetic" in (tmp_path / "book" / "SYNTHETIC.txt").read_text().lower()
    checked = json.loads(credit("check", "--data", "book", "--json").stdout)
    assert checked["rows"] == 1500
    assert {finding["rule"] for finding in checked["warnings"]} == {"sentinel"}


def test_check_lists_every_violation_at_once(credit, loans: Path) -> None:
    assert credit("portfolio", "init", str(loans), "--target", "defaulted", "--out", "mine.toml").returncode == 0
    rows = pd.read_csv(loans).astype({"income": object})
    rows.loc[[2, 5], "income"] = "much"
    rows.loc[7, "defaulted"] = 3
    rows.to_csv(loans, index=False)
    done = credit("check", "--data", str(loans), "--portfolio", "mine.toml")
    assert done.returncode == 2
    assert "income" in done.stderr
    assert "row 3 = much" in done.stderr
    assert "defaulted" in done.stderr


def test_init_does_not_overwrite(credit, tmp_path: Path, loans: Path) -> None:
    (tmp_path / "mine.toml").write_text("mine")
    done = credit("portfolio", "init", str(loans), "--target", "defaulted", "--out", "mine.toml")
    assert done.returncode == 2
    assert (tmp_path / "mine.toml").read_text() == "mine"


def test_features_are_described_in_both_languages() -> None:
    english, french = (
        json.loads(runner.invoke(app, ["features", "describe", "--language", language, "--json"]).output)["features"]
        for language in ("en", "fr")
    )
    assert [f["name"] for f in english] == [f["name"] for f in french]
    assert all(f["words"] and f["formula"] for f in english + french)
    assert sum(a["words"] != b["words"] for a, b in zip(english, french, strict=True)) > 100


def test_no_champion_is_no_error_and_says_what_to_do(credit) -> None:
    done = credit("champion")
    assert done.returncode == 0
    assert "flows/training.py run" in done.stdout


def test_ledger_verify_finds_nothing_in_an_honest_ledger_and_ends_with_code_1_in_a_forged_one(
    credit_home: Path,
) -> None:
    home = Home(credit_home)
    home.root.mkdir(parents=True)
    ledger = Ledger(home.ledger_url)
    for number in range(3):
        ledger.append("note", {"number": number})
    assert runner.invoke(app, ["ledger", "verify", "--json"]).exit_code == 0
    forged = Path(home.ledger_url.removeprefix("sqlite:///"))
    with sqlite3.connect(forged) as connection:
        for (trigger,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f"drop trigger {trigger}")
        connection.execute("update events set payload = '{\"number\": 9}' where id = 2")
    connection.close()
    done = runner.invoke(app, ["ledger", "verify", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.output)["problems"]


def test_a_decision_is_replayed_overridden_followed_up_and_erased(credit, credit_home: Path, tmp_path: Path) -> None:
    """The life of one decision; the chain is whole after each step, and holds the head of each step before."""
    version, ledger = champion_of_shop(Home(credit_home)), Ledger(Home(credit_home).ledger_url)
    made = open_version(Registry("shop"), version).decide(RISKY)
    number = str(Records(ledger).decide(made, RISKY, None, by="officer", channel="page"))
    book = tmp_path / "shop.toml"
    book.write_text(shop_book().text)
    heads = [ledger.head]

    def run(code: int, *words: str) -> dict[str, Any]:
        done = credit(*words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        checked = credit("ledger", "verify", "--head", heads[-1], "--json")
        assert checked.returncode == 0, checked.stdout
        heads.append(json.loads(checked.stdout)["head"])
        return dict(json.loads(done.stdout))

    replayed = run(0, "replay", number)
    assert (replayed["same"], float.fromhex(replayed["bits"])) == (True, made.probability)
    assert run(0, "override", number, "--to", "approve", "--reason", "pays by direct debit")["to"] == "approve"
    day = str(ledger.events("decision")[0].at)[:10]
    Path("may.csv").write_text(f"decision,outcome,observed\n{number},1,{day}\n99,1,{day}\n")
    imported = run(1, "outcomes", "import", "may.csv")
    assert (imported["added"], imported["rejected"]) == (1, 1)
    assert "99 is not in the ledger" in Path("may.rejected.csv").read_text()
    Path("may.csv").write_text(f"decision,outcome,observed\n{number},0,{day}\n")
    assert run(0, "outcomes", "import", "may.csv", "--correct", "their file was wrong")["corrected"] == 1
    erased = run(0, "ledger", "erase", "--client", "5002", "--reason", "asked for", "--portfolio", str(book))
    assert erased["erased"] == 2
    assert "was erased" in run(1, "replay", number)["differences"][0]
    assert run(0, "ledger", "erase", "--event", number, "--reason", "again")["erased"] == 0
    assert run(0, "ledger", "retain", "--days", "30") == {"erased": 0, "event": None}
    assert len(set(heads)) == 5  # override, outcome, correction and erasure moved it


def test_ledger_verify_finds_a_cut_tail_by_the_head_that_it_printed(credit, credit_home: Path) -> None:
    ledger = Ledger(Home(credit_home).ledger_url)
    ledger.extend("note", [{"n": number} for number in range(3)])
    noted = json.loads(credit("ledger", "verify", "--json").stdout)
    assert (noted["events"], noted["head"]) == (3, ledger.head)
    with sqlite3.connect(Home(credit_home).ledger_url.removeprefix("sqlite:///")) as connection:
        connection.execute("drop trigger no_delete")
        connection.execute("delete from events where id = 3")
    connection.close()
    assert credit("ledger", "verify").returncode == 0
    done = credit("ledger", "verify", "--head", noted["head"])
    assert done.returncode == 1
    assert "newest events were removed" in done.stdout
