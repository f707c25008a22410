"""What the pages name exists: links, anchors, pictures, commands with their options, variables; runs nothing."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
from pages import ROOT, Page, commands, pages

PAGES = pages()
#: Where a reader begins.
ENTRANCES = ("README.md", "docs/README.md")
LARGEST = 200_000  # bytes of a picture that is made of a page
#: Why a block of shell is not run; each page's own words begin with one of these.
REASONS = ("installs", "needs", "stays in the foreground", "trains")
VARIABLE = re.compile(r"\b(?:CREDIT|MLFLOW|METAFLOW|SPARK|PYSPARK)_[A-Z0-9_]+\b")
#: Made by the reader, and read by nothing of ours.
OWN = {"CREDIT_URL"}


@pytest.fixture(params=PAGES.values(), ids=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    return request.param


def inside(page: Page, address: str) -> Path | None:
    """Return the file that an address of a page leads to, None if it leads outside."""
    parts = urlsplit(address)
    return None if parts.scheme else (page.path.parent / parts.path).resolve() if parts.path else page.path


def test_links_lead_somewhere(page: Page) -> None:
    wrong = []
    for line, address in page.links:
        target, anchor = inside(page, address), urlsplit(address).fragment
        if target is None:
            parts = urlsplit(address)
            if parts.scheme != "https" or "." not in parts.netloc or re.search(r"[\s<>]", address):
                wrong.append(f"{page.name}:{line}: {address} has no shape of an address")
        elif not target.exists() or ROOT not in (target, *target.parents):
            wrong.append(f"{page.name}:{line}: {address} is not there")
        elif anchor and anchor not in PAGES[target.relative_to(ROOT).as_posix()].anchors:
            wrong.append(f"{page.name}:{line}: {address} has no such heading")
    assert wrong == []


def test_pictures_are_there_and_say_in_words_what_they_show(page: Page) -> None:
    for line, address, words in page.images:
        target = inside(page, address)
        assert target is not None, f"{page.name}:{line}: {address} is fetched from outside"
        assert target.is_file(), f"{page.name}:{line}: {address}"
        assert len(words.split()) >= 3, f"{page.name}:{line}: {address} needs words"
    assert "<img" not in page.text, "pictures as Markdown, so that these tests see them"


def test_every_picture_is_shown_and_small() -> None:
    shown = {inside(page, address) for page in PAGES.values() for _, address, _ in page.images}
    files = set((ROOT / "docs" / "images").iterdir())
    assert files - shown == set()
    assert [file.name for file in files if file.stat().st_size > LARGEST] == []


def test_no_page_is_an_orphan() -> None:
    found, new = set(), set(ENTRANCES)
    while new:
        found |= new
        targets = {inside(PAGES[name], address) for name in new for _, address in PAGES[name].links}
        names = {target.relative_to(ROOT).as_posix() for target in targets if target is not None}
        names |= {f"{name}/{file.name}" for name in names for file in (ROOT / name).glob("*.md")}  # a folder's pages
        new = (names & PAGES.keys()) - found
    assert PAGES.keys() - found == set()


def test_what_is_not_run_has_a_known_reason(page: Page) -> None:
    reasons = [block.skip for block in page.blocks if block.skip]
    assert [reason for reason in reasons if not reason.startswith(REASONS)] == []


def test_commands_exist_with_their_options(page: Page) -> None:
    pieces = [(block.line, block.text) for block in page.blocks]
    pieces += [(line, text) for line, text in page.spans if re.match(r"(credit|python) \S", text)]
    found = ((line, words, unknown(words)) for line, text in pieces for words in commands(text))
    assert [f"{page.name}:{line}: `{' '.join(words)}`: {fault}" for line, words, fault in found if fault] == []


def test_variables_are_read_by_code(page: Page) -> None:
    named = {name.removesuffix("_FILE") for name in VARIABLE.findall(page.text)}  # any secret may come as a file
    assert sorted(named - known_variables()) == []


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("credit champoin", "champoin"),
        ("credit ledger verify --heads 1", "--heads"),
        ("python flows/training.py run --candidate x", "--candidate"),
        ("python flows/nothing.py run", "nothing.py"),
        ("python flows/training.py card serve", "serve"),
        ("python -m gradio_app --prot 1", "--prot"),
        ("python -m benchmarks.absent --json", "absent"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str, fault: str) -> None:
    assert fault in unknown(command.split())


def test_commands_are_found_wherever_a_shell_has_them() -> None:
    lines = ("export A=1", "A=2 credit champion | head # credit x", "for i in 1; do credit a \\", " --b; done")
    text = "\n".join((*lines, "cat <<'E' >f", "credit no", "E", 'test "a; credit no" && credit c'))
    found = [words[1:] for words in commands(text) if words[0] == "credit"]
    assert found == [["champion"], ["a", "--b"], ["c"]]


def unknown(words: list[str]) -> str:
    """Say what of a command of ours there is not; empty if all is there, or it is another's command."""
    name, *rest = [words[0].removeprefix(".venv/bin/"), *words[1:]]
    if name == "credit":
        return _known(_credit(), rest)
    if name not in ("python", "python3") or not rest:
        return ""
    if rest[0].startswith("flows/"):
        return _flow(rest[0], rest[1:])
    if rest[:2] == ["-m", "gradio_app"]:
        return next((f"no option {word}" for word in _options(rest[2:]) if word not in _app()), "")
    if rest[0] == "-m" and rest[1].startswith("benchmarks."):
        return "" if importlib.util.find_spec(rest[1]) else f"no module {rest[1]}"
    ours = "/" in rest[0] and not rest[0].startswith("-")  # what a page writes for itself lies beside it
    return f"no file {rest[0]}" if ours and not (ROOT / rest[0]).exists() else ""


def _known(command: Any, words: list[str], more: frozenset[str] = frozenset()) -> str:
    """Follow the words down a tree of commands, then hold the options against the last one's."""
    while hasattr(command, "commands"):  # Typer's groups are click's, or copies of them
        more |= {name for parameter in command.params for name in parameter.opts}
        at = next((at for at, word in enumerate(words) if word in command.commands), None)
        if at is None:
            stray = next((word for word in words if not word.startswith("-")), None)
            if stray is not None and not stray.isupper():  # COMMAND stands for any
                return f"no command {stray}"
            return ""
        command, words = command.commands[words[at]], words[:at] + words[at + 1 :]
    given = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return next((f"no option {word}" for word in _options(words) if word not in given | more | {"--help"}), "")


def _options(words: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]


@cache
def _credit() -> Any:
    from credit.__main__ import app

    return typer.main.get_command(app)


@cache
def _app() -> set[str]:
    from gradio_app.settings import _options as parser

    return {"--help", *parser({})._option_string_actions}


def _flow(file: str, words: list[str]) -> str:
    """Check a flow's command: its own parameters, and what Metaflow adds."""
    if not (ROOT / file).exists():
        return f"no file {file}"
    from metaflow.cli import start
    from metaflow.cli_components.run_cmds import resume, run
    from metaflow.plugins.argo.argo_workflows_cli import cli as argo
    from metaflow.plugins.cards.card_cli import cli as cards

    groups: list[Any] = [argo.commands["argo-workflows"], cards.commands["card"]]
    commands_ = {"run": run, "resume": resume, "argo-workflows": groups[0], "card": groups[1]}
    tree = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    calls = [node for node in tree if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Parameter"]
    own = {f"--{node.args[0].value}" for node in calls if isinstance(node.args[0], ast.Constant)}
    top = {name for parameter in start.params for name in parameter.opts}
    at = next((at for at, word in enumerate(words) if word in commands_), None)
    if at is None:
        return f"no command among {' '.join(words)}"
    if stray := next((word for word in _options(words[:at]) if word not in top), None):
        return f"no option {stray}"
    found: Any = commands_[words[at]]
    if hasattr(found, "commands"):
        if words[at + 1] not in found.commands:
            return f"no command {words[at + 1]}"
        found, at = found.commands[words[at + 1]], at + 1
    given = {name for parameter in found.params for name in parameter.opts} | own | {"--help"}
    return next((f"no option {word}" for word in _options(words[at + 1 :]) if word not in given), "")


@cache
def known_variables() -> set[str]:
    """Every variable that our code names, or the configuration of MLflow, Metaflow and PySpark."""
    folders = ("credit", "flows", "gradio_app", "tests", "benchmarks", "docs", ".ci", ".github", "docker")
    files = [
        file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in {".py", ".sh", ".yml", ""}
    ]
    files += [ROOT / name for name in ("compose.yaml", "Dockerfile", ".env.example")]
    read = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    found = {name for text in read for name in VARIABLE.findall(text)}
    from metaflow import metaflow_config
    from mlflow import environment_variables

    found |= {f"METAFLOW_{name}" for name in dir(metaflow_config)}
    found |= {name for name in dir(environment_variables) if name.startswith("MLFLOW_")}
    pyspark = importlib.util.find_spec("pyspark")
    if pyspark is not None and pyspark.origin:
        launcher = Path(pyspark.origin).parent / "java_gateway.py"
        found |= set(VARIABLE.findall(launcher.read_text(encoding="utf-8"))) | {"SPARK_CONF_DIR"}
    return found | OWN
