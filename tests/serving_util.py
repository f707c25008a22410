"""A small registered champion with its data, for tests of what serves a model; nothing of the registry is feigned."""

import atexit
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from learning import HEAD, learn, sales, shop, text

from credit import features
from credit.governance.assessment import assess
from credit.governance.keeping import keep
from credit.governance.registry import Registry, Version
from credit.governance.submission import submit
from credit.home import Home
from credit.portfolio import Portfolio
from credit.scoring.export import export
from credit.training.choice import choose
from credit.training.dataset import prepare

__all__ = [
    "APPLICANT",
    "RISKY",
    "Running",
    "book",
    "champion",
    "data",
    "registered",
    "running",
    "second_champion",
    "shop_file",
]

ROOT = Path(__file__).resolve().parents[1]

#: The shop's book with an amount that can be changed.
SHOP = HEAD.replace("min = 0, monotone = 1 }", "min = 0, max = 100000, monotone = 1, actionable = true }")
#: Any model passes: what is tested is how a champion is served, not how good it is.
EXTRA = """
[limits]
calibration_slope = [0.001, 100.0]
calibration_in_the_large = 100.0
auc_gap = 1.0
group_gap = 1.0
approval_ratio = 0.0
"""
#: An applicant whom every rule of the book lets through, and one who asks for much and has a low score.
APPLICANT = {"client": 5001, "kind": "cash", "town": "town a", "amount": 60.5, "score": 0.97, "months": 30, "phone": 1}
RISKY = APPLICANT | {"client": 5002, "kind": "loan", "amount": 1450.25, "score": 0.08}


@cache
def book(extra: str = "") -> Portfolio:
    """The shop's book as the champion has it; `extra` goes to the end of its TOML."""
    return shop(SHOP, EXTRA + extra)


def data(home: Home) -> Path:
    """The folder of the rows that the champion was trained on."""
    return home.root / "data"


def champion(home: Home, extra: str = "") -> Version:
    """Make a home whose registry has one champion of the shop's book; seconds the first time, then a copy."""
    made = _made(extra)
    shutil.copytree(made.root, home.root, ignore=shutil.ignore_patterns("artifacts", "*.lock"), dirs_exist_ok=True)
    return _champion(home)


def second_champion(home: Home, extra: str = "") -> Version:
    """Register a model of other rows in the same home, and make it champion; it is trained once."""
    version = submit(_other(extra), home).version
    if not version.is_champion:
        version = Registry("shop", home).promote(version.number, reason="a test wants it", force=True)
    return version


@cache
def _made(extra: str) -> Home:
    """Make the home that others are copied from; the store's files stay here, as it keeps their places."""
    home = _home_with_rows(0)
    registered(home, data(home), "Test/1", extra)
    return home


@cache
def _other(extra: str) -> Path:
    """Train on other rows, and keep the release."""
    home = _home_with_rows(1)
    return _release(home, data(home), "Test/2", extra)


def _home_with_rows(seed: int) -> Home:
    folder = mkdtemp(prefix="credit-champion-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    home = Home(Path(folder))
    data(home).mkdir()
    sales(900, seed).to_csv(data(home) / "sales.csv", index=False)
    return home


def _champion(home: Home) -> Version:
    version = Registry("shop", home).champion()
    assert version is not None
    return version


def registered(home: Home, source: Path, run: str, extra: str) -> Version:
    """Train on a folder's rows and register, as the flow does."""
    return submit(_release(home, source, run, extra), home).version


def _release(home: Home, source: Path, run: str, extra: str) -> Path:
    lender = book(extra)
    dataset = prepare(lender, source, home.workspace)
    defined = features.definitions(lender, dataset.tables)
    train, validation = dataset.load("train"), dataset.load("validation")
    fitted = {name: learn(name, train, lender, defined) for name in ("native", "prior")}
    predicted = {name: each.predict(validation) for name, each in fitted.items()}
    choice = choose(validation[lender.target], predicted, frozenset({"prior"}), lender.costs)
    scorer = export(fitted[choice.winner], lender, defined, choice.threshold, train)
    assessment = assess(scorer, fitted, choice, dataset, lender, defined)
    return keep(scorer, fitted, choice, assessment, dataset, lender, home, run, {"curve.png": _picture()})


def _picture() -> bytes:
    """The smallest PNG: one transparent pixel."""
    pixel = (
        "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e366"
        "0000000049454e44ae426082"
    )
    return bytes.fromhex(pixel)


def shop_file(folder: Path, extra: str = "") -> Path:
    """Write the shop's book to a file, as `--portfolio` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "shop.toml"
    file.write_text(text(SHOP, EXTRA + extra), encoding="utf-8")
    return file


@contextmanager
def running(home: Home, *options: str, **environ: str) -> Iterator["Running"]:
    """Start the server as a user does, in a process of its own on a free port; yield once it answers."""
    command = [sys.executable, "-m", "gradio_app", "--port", "0", "--portfolio", str(shop_file(home.root)), *options]
    own = {"CREDIT_HOME": str(home.root), "GRADIO_ANALYTICS_ENABLED": "False", **environ}
    with (home.root / "server.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | own, stdout=log, stderr=log)
        try:
            yield Running(process, _address(process, Path(log.name)), Path(log.name))
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Running:
    """A server: its process, where it answers, and its log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path


def _address(process: "subprocess.Popen[bytes]", log: Path, seconds: float = 180.0) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"running on (http://\S+)", log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the server does not start:\n{log.read_text(encoding='utf-8')}")
