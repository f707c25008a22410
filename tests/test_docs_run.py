"""The tutorial, the how-to pages and the runbook, followed as a reader does: each page's blocks in one shell, in order.

The tutorial is followed once, in an empty folder; each other page goes on from where it ended.  All pages are followed
in the same place, as models keep the absolute path of their home.  A block under `<!-- not run: why -->` is left out.
What a ```text block after it shows must be in what a block prints: `...` stands for anything, and decimals, hashes and
times for any other.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from pages import ROOT, Block, Page, pages
from postgres_util import PASSWORD, USER, free_port, server
from warm import Warm

from credit.governance.registry import Registry
from credit.governance.release import digest
from credit.governance.submission import newest, submit
from credit.home import Home

__all__ = ["server"]  # the fixture

TUTORIAL = "docs/tutorial.md"
FOLLOWED = {
    name: page
    for name, page in pages().items()
    if name.startswith(("docs/how-to/", "docs/explanation/")) or name == "docs/runbook.md"
}
#: Ports that pages name, which somebody else may hold here.
PORTS = ("7860", "5005")
DATABASE, ROLLBACK = "docs/how-to/postgresql.md", "docs/how-to/rollback.md"
SECONDS = 900
#: What Metaflow puts before what a step prints.
PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ (\[[^]]*\] )?")
#: Alike in no two runs, or on no two machines; whole numbers stay.
VARYING = (
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "HASH"),
    (re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.+]+Z?)?"), "TIME"),
    (re.compile(r"[-+]?\d+\.\d+(e-?\d+)?"), "0.0"),
    (re.compile(r"\b\d{13,}\b"), "RUN"),
)


@dataclass(frozen=True)
class Place:
    """A folder like a clone of the project, and what a page's shell knows."""

    folder: Path
    programs: Path

    def follow(self, page: Page, **environ: str) -> None:
        """Run a page's blocks; AssertionError names the block that fails, or the line that it does not print."""
        blocks = [block for block in page.blocks if block.skip is None]
        said = self.run(page, blocks, environ)
        for block, output in zip(blocks, said, strict=True):
            if block.shown is not None:
                lost = missing(block.shown, output)
                assert not lost, f"{page.name}:{block.line}: {lost!r} is not in what it prints:\n{output}"

    def run(self, page: Page, blocks: list[Block], environ: dict[str, str]) -> list[str]:
        """Run blocks in one shell; return what each printed, on either stream."""
        ports = {port: str(free_port()) for port in PORTS}
        mark = "<<< end of block >>>"
        script = "\n".join(f"{block.text}\n{{ echo; echo '{mark}'; }} 2>/dev/null" for block in blocks)
        for port, free in ports.items():
            script = re.sub(rf"\b{port}\b", free, script)
        own = {"CREDIT_APP_PORT": ports["7860"], "METAFLOW_USER": "reader", "NO_COLOR": "1", "COLUMNS": "200"}
        found = (str(self.programs), str(Path(sys.executable).parent), os.environ["PATH"])
        own |= {"PATH": os.pathsep.join(found), "HOME": str(self.folder)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CREDIT_", "MLFLOW_"))}
        log = self.folder.parent / "said.txt"
        with log.open("wb") as out:
            shell = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=self.folder,
                env=kept | own | environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = shell.wait(SECONDS)
            finally:  # what a page starts in the background must not outlive it, even if the page fails
                with suppress(ProcessLookupError):
                    os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
        said = log.read_text(encoding="utf-8", errors="replace").split(f"{mark}\n")
        if code:
            at = min(len(said), len(blocks)) - 1
            pytest.fail(f"{page.name}:{blocks[at].line}: ends with exit code {code}:\n{blocks[at].text}\n{said[-1]}")
        return said[: len(blocks)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    """Follow the tutorial, and keep what it leaves."""
    if shutil.which("curl") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("curl, which the pages use, is not installed")
    root = tmp_path_factory.mktemp("docs")
    place, copy = Place(root / "clone", root / "programs"), root / "kept"
    place.folder.mkdir()
    for name in ("flows", "gradio_app", "docs", "requirements"):
        (place.folder / name).symlink_to(ROOT / name)
    with Warm(place.programs):
        place.follow(pages()[TUTORIAL])
        shutil.copytree(place.folder, copy, symlinks=True)
        yield place, copy


@pytest.fixture
def place(kept: tuple[Place, Path]) -> Place:
    """The folder as the tutorial leaves it."""
    made, copy = kept
    shutil.rmtree(made.folder)
    shutil.copytree(copy, made.folder, symlinks=True)
    return made


def second_champion(home: Home) -> None:
    """Register the tutorial's model with a stricter threshold, and make it champion, as a person may."""
    folder = home.workspace / "releases" / "stricter"
    shutil.copytree(newest(home), folder)
    scorer, meta = folder / "bundle" / "scorer.json", folder / "release.json"
    kept = json.loads(scorer.read_text(encoding="utf-8"))
    kept["threshold"] *= 0.9
    scorer.write_text(json.dumps(kept), encoding="utf-8")
    truth = pd.read_parquet(folder / "truth.parquet")
    truth["decision"] = (truth["y_prob"] < kept["threshold"]).map({True: "approve", False: "decline"})
    truth.to_parquet(folder / "truth.parquet")
    told = json.loads(meta.read_text(encoding="utf-8")) | {"bundle": digest(folder / "bundle")}
    meta.write_text(json.dumps(told), encoding="utf-8")
    version = submit(folder, home).version
    if not version.is_champion:
        Registry(told["portfolio"], home).promote(version.number, reason="the page begins with it", force=True)


def test_the_tutorial_is_true(kept: tuple[Place, Path]) -> None:
    assert (kept[1] / ".credit" / "ledger.db").is_file()


@pytest.mark.parametrize("name", [name for name in FOLLOWED if any(b.skip is None for b in FOLLOWED[name].blocks)])
def test_pages_are_true(name: str, place: Place, request: pytest.FixtureRequest) -> None:
    environ = {}
    if name == DATABASE:
        found = request.getfixturevalue("server")
        environ = {"PGHOST": "127.0.0.1", "PGPORT": str(found.port), "PGUSER": USER, "PGPASSWORD": PASSWORD}
    if name == ROLLBACK:
        second_champion(Home(place.folder / ".credit"))
    place.follow(FOLLOWED[name], **environ)


@pytest.mark.parametrize(
    ("shown", "said", "lost"),
    [
        ("a\nc\n", "a\nb\nc\n", "c"),  # lines follow each other
        ("a\n...\nc\n", "a\nb\nc\n", ""),
        ("b\nc\n", "a\nb\nc\n", ""),
        ("c\n...\na\n", "a\nb\nc\n", "a"),  # in their order
        ("p = 0.1234 of 12\n", "2026-01-01 10:00:00.000 [1/end/8 (pid 7)] p = 0.5 of 12\n", ""),
        ("p = 0.1234 of 12\n", "p = 0.5 of 13\n", "p = 0.1234 of 12"),
        ("one ... three\n", "one two three\n", ""),
        ("head: d1fcf0b061c891dd\n", "head: 0123456789abcdef\n", ""),
        ("head: d1fcf0b061c891dd\n", "head: none\n", "head: d1fcf0b061c891dd"),
    ],
)
def test_what_is_shown_is_held_against_what_is_said(shown: str, said: str, lost: str) -> None:
    assert missing(shown, said) == lost


def missing(shown: str, said: str) -> str:
    """Return the first line of `shown` that `said` does not have at its place; empty if all is there."""
    lines = [_masked(PREFIX.sub("", line)) for line in said.splitlines()]
    parts: list[list[str]] = [[]]
    for line in shown.splitlines():
        if line.strip() == "...":
            parts.append([])
        else:
            parts[-1].append(line)
    at = 0
    for part in filter(None, parts):
        wanted = [re.compile(re.escape(_masked(line)).replace(r"\.\.\.", ".*")) for line in part]
        furthest = 0
        for start in range(at, len(lines) + 1):
            fit = 0
            while fit < len(wanted) and start + fit < len(lines) and wanted[fit].fullmatch(lines[start + fit]):
                fit += 1
            furthest = max(furthest, fit)
            if fit == len(wanted):
                at = start + fit
                break
        else:
            return part[furthest]
    return ""


def _masked(line: str) -> str:
    for pattern, word in VARYING:
        line = pattern.sub(word, line)
    return " ".join(line.split())
