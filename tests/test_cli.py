"""The command line as a user meets it: what it prints, and with which exit code it ends."""

import ast
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from serving_util import RISKY
from serving_util import book as shop_book
from serving_util import champion as champion_of_shop
from typer.testing import CliRunner

from credit import __version__, console, errors, portfolio
from credit.__main__ import app, main
from credit.cli import completion
from credit.cli.help import CLOSED, ENVIRONMENT, EXITS, INTERRUPTED, PROGRAMS, PURPOSES
from credit.data.fetch import sources
from credit.data.synthetic_drift import DRIFTS
from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.home import Home

ROOT = Path(__file__).resolve().parents[1]
#: What must not be loaded before somebody asks for work.
HEAVY = ("numpy", "pandas", "mlflow", "ibis", "duckdb", "sklearn", "lightgbm", "sqlalchemy", "matplotlib", "metaflow")
#: No terminal, and no wish of the machine's about colours or width.
PLAIN = ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TERM", "CLICOLOR_FORCE", "PY_COLORS", "GITHUB_ACTIONS")
runner = CliRunner()


def commands() -> dict[str, Any]:
    """All commands by their words, groups left out."""

    def walk(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
        for name, each in group.commands.items():
            if hasattr(each, "commands"):
                yield from walk(each, f"{before}{name} ")
            else:
                yield f"{before}{name}", each

    return dict(walk(typer.main.get_command(app)))


def piped(*words: str, program: tuple[str, ...] = ("-m", "credit"), **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a pipe does."""
    own = {name: value for name, value in os.environ.items() if name not in PLAIN}
    line = [sys.executable, *program, *words]
    return subprocess.run(line, cwd=ROOT, env=own | environ, capture_output=True, text=True, check=False)


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


def test_help_shows_every_command_under_its_purpose_and_the_programs_beside_it() -> None:
    done = piped("--help")
    assert done.returncode == 0
    sections = re.split(r"^([A-Z].*):$", done.stdout, flags=re.MULTILINE)
    shown = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert [title for title in shown if title in PURPOSES] == list(PURPOSES)
    for words, command in commands().items():
        assert re.search(rf"^  {words}  +[A-Z]\w+ ", shown[command.rich_help_panel], re.MULTILINE), words
    for purpose, programs in PROGRAMS.items():
        for line in programs:
            assert line in shown[purpose]
            started = Path(line.split()[1]) if line.endswith(" run") else Path(line.split()[-1], "__main__.py")
            assert (ROOT / started).is_file()
    for name in ENVIRONMENT:
        assert name in shown["Environment"]
    assert [int(code) for code in re.findall(r"^  (\d+) ", shown["Exit codes"], re.MULTILINE)] == list(EXITS)


def test_first_session_is_of_commands_that_exist() -> None:
    lines = re.findall(r"^  credit (.+?)   ?", piped("--help").stdout, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        command = next(each for words, each in commands().items() if f"{line} ".startswith(f"{words} "))
        known = {word for parameter in command.params for word in parameter.opts}
        assert set(re.findall(r"--[\w-]+", line)) <= known


@pytest.mark.parametrize("words", ["", *commands()])
def test_help_fits_80_columns_without_a_terminal_and_ends_in_an_example(words: str) -> None:
    done = runner.invoke(app, [*words.split(), "--help"], env={"COLUMNS": "", "TERMINAL_WIDTH": ""})
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 80
    assert not [
        line for line in done.output.splitlines()[1:] if line.endswith("...") and "--head" not in line
    ]  # cut off
    if words:
        assert re.search(rf"Examples?:\n    credit {words}", done.output)


@pytest.mark.parametrize("words", commands())
def test_every_option_has_a_help_text_and_every_example_parses(words: str) -> None:
    command = commands()[words]
    assert [parameter.name for parameter in command.params if not parameter.help] == []
    assert "--json" in {word for parameter in command.params for word in parameter.opts}
    for line in re.findall(rf"^  credit {words}(.*)$", command.epilog, re.MULTILINE):
        arguments = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", line)]
        command.make_context(words, arguments)  # refuses what it does not know


def test_help_is_quick_it_loads_nothing_heavy() -> None:
    code = f"""
import sys
sys.argv = ["credit", "--help"]
from credit.__main__ import main
try:
    main()
finally:
    print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = piped(program=("-c", code))
    assert done.returncode == 0
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (("-m", "credit"), ("score", "--help")),
        (("-m", "credit"), ("champion", "--colour")),
        (("-m", "credit"), ("check", "--data", "nowhere")),
        (("-m", "gradio_app"), ("--help",)),
        (("flows/training.py",), ("--help",)),
        (("flows/monitoring.py",), ("run", "--help")),
    ],
)
def test_nothing_is_coloured_where_there_is_no_terminal(program: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = piped(*words, program=program)
    assert done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).output.strip() == __version__


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "--data", "nowhere"], "nowhere"),
        (["champion", "--portfolio", "home_credti"], "no such portfolio"),
        (["synth", "--clients", "3", "--out", "book"], "3"),
        (["score", "absent.csv", "--out", "decided.xls"], "champion"),
        (["features", "describe", "--language", "de"], "'de' is not one of"),
        (["synth", "--clients", "100", "--out", "book", "--first-client", "7"], "from 100002"),
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
    assert done.stdout == ""
    told = json.loads(credit(*words, "--json").stdout)["error"]
    assert told["exit_code"] == 2
    assert message in told["message"]


def test_the_console_command_is_installed_and_refuses_an_unknown_option_with_code_2() -> None:
    command = Path(sys.executable).with_name("credit")
    done = subprocess.run([command, "champion", "--colour"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--colour" in done.stderr


def test_a_closed_port_ends_with_code_3(credit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    done = credit("champion", "--json")
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr
    told = json.loads(done.stdout)["error"]
    assert (told["kind"], told["exit_code"]) == ("ServiceError", 3)
    assert told["message"] in done.stderr


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
    told = json.loads(credit("check", "--data", str(loans), "--portfolio", "mine.toml", "--json").stdout)["error"]
    assert (told["kind"], told["exit_code"]) == ("ContractError", 2)
    assert {each["column"] for each in told["violations"]} == {"income", "defaulted"}


def test_init_answers_in_json(credit, loans: Path) -> None:
    done = credit("portfolio", "init", str(loans), "--target", "defaulted", "--out", "mine.toml", "--json")
    told = json.loads(done.stdout)
    assert told["portfolio"] == "mine.toml"
    assert portfolio.load(told["portfolio"]).target == "defaulted"


def test_exit_codes_are_those_of_the_errors_and_of_the_page() -> None:
    raised = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert raised == {2, 3}
    assert raised | {0, 1, INTERRUPTED, CLOSED} == set(EXITS)
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    table = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)}
    assert table == EXITS


def test_the_page_names_every_command_and_no_other() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `credit ([a-z ]+?)(?: [A-Z-].*)?` \|", page, re.MULTILINE)) == set(commands())


def test_a_reader_that_goes_away_is_no_fault() -> None:
    """As in `credit features describe | head -1`: no traceback, and the exit code that other programs have then."""
    line = [sys.executable, "-m", "credit", "features", "describe"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (CLOSED, "")


def test_ctrl_c_ends_with_code_130_and_without_a_traceback(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "credit", "synth", "--clients", "2000000", "--out", str(tmp_path / "book")]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.readline()  # it is at work
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    assert process.returncode == INTERRUPTED
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("platform", ["win32", "cygwin"])
def test_windows_is_told_what_to_do_before_anything_else_fails(platform: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        console.require_unix(platform)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Docker" in said
    assert "WSL" in said


def test_the_command_asks_for_unix_first(tmp_path: Path) -> None:
    code = "import sys; import credit.__main__ as m; m.console.require_unix.__defaults__ = ('win32',); m.main()"
    done = piped("champion", program=("-c", code), CREDIT_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "wsl --install" in done.stderr


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_unix_is_let_through(platform: str) -> None:
    console.require_unix(platform)


COMPLETE = """
source <(credit --show-completion)
for line in "$@"; do
    IFS=' ' read -ra COMP_WORDS <<< "$line"
    [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _credit_completion credit
    echo "${COMPREPLY[*]}"
done
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_completes_commands_options_and_values() -> None:
    asked = {
        "credit ch": "check champion",
        "credit ledger v": "verify",
        "credit champion --portfolio home": "home_credit",
        "credit champion --portfolio ./mine": "",  # bash then offers files
        "credit data get ge": "german",
        "credit override 3 --to ": "approve decline",
        "credit simulate --drift sc": "score",
        "credit doctor --po": "--portfolio",
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", *asked],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(zip(asked, done.stdout.split("\n"), strict=False)) == asked
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_in_their_own_way(shell: str) -> None:
    asked = {"_CREDIT_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "credit data get "}
    script = str(Path(sys.executable).with_name("credit"))
    done = piped(program=(script,), **asked, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert done.returncode == 0
    assert all(name in done.stdout for name, _ in completion.books())


def test_completion_offers_what_the_commands_take() -> None:
    assert {name for name, _ in completion.books()} == {name for name, each in sources().items() if not each.steps}
    assert set(completion.drifts()) == {"none", *DRIFTS}
    assert completion.portfolios() == list(portfolio.available())


def test_numbers_of_clients_are_chosen_and_nothing_else_changes(credit) -> None:
    """A monitoring window that shares no client with the training rows: those would be set aside."""
    for name, first in (("one", "100002"), ("two", "500000")):
        assert credit("synth", "--clients", "150", "--out", name, "--first-client", first).returncode == 0
    ahead = 500_000 - 100_002
    keys = {"SK_ID_CURR": ahead, "SK_ID_PREV": 100 * ahead, "SK_ID_BUREAU": 100 * ahead}
    files = sorted(Path("one").glob("*.parquet"))
    assert len(files) == 7
    for file in files:
        one, two = pd.read_parquet(file), pd.read_parquet(Path("two") / file.name)
        for key in keys.keys() & set(one):
            one[key] += keys[key]
        pd.testing.assert_frame_equal(one, two)


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
