"""The model in use: that there is one, that its files are those registered, and that this code can use them.

What has to be downloaded goes to a temporary folder, and a registry in a SQLite file is read from a copy there: neither
the workspace nor the registry is touched.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from credit.cli.checks import NOTE, OK, Finding, guarded
from credit.cli.checks.stores import FAILURES, file_of
from credit.governance.registry import Registry, Version
from credit.governance.serving import open_version
from credit.governance.tracking import MlflowException
from credit.home import Home
from credit.portfolio import Portfolio
from credit.scoring.baseline import Baseline

__all__ = ["findings"]

TRAIN = "python flows/training.py run"


def findings(book: Portfolio, home: Home) -> Iterator[Finding]:
    """Look at a portfolio's champion; says nothing of a registry that is not there, which was said already."""
    failures = (*FAILURES, MlflowException)
    with tempfile.TemporaryDirectory(prefix="credit-doctor-") as folder:
        yield from guarded("champion", lambda: _champion(book, home, Path(folder)), failures)


def _champion(book: Portfolio, home: Home, folder: Path) -> Iterator[Finding]:
    file = file_of(home.tracking_uri)
    if file and not file.exists():
        yield _none(book)
        return
    elsewhere = replace(home, root=folder)
    if file:
        copy = folder / "mlflow.db"
        _copy(file, copy)
        elsewhere = replace(elsewhere, tracking_uri=f"sqlite:///{copy}")
    registry = Registry(book.name, elsewhere)
    version = registry.champion()
    if version is None:
        yield _none(book)
        return
    yield Finding("champion", OK, f"{version}, registered {version.created}, verdict {version.outcome}")
    yield from _files(registry, version)


def _files(registry: Registry, version: Version) -> Iterator[Finding]:
    bundle = registry.load(version)  # refuses what does not fit the registered hash
    yield Finding("bundle", OK, f"its files are those registered (SHA-256 {version.digest[:16]}...)")
    decider = open_version(registry, version)  # refuses a feature that no longer means what it meant
    yield Finding("features", OK, f"all {len(decider.features)} that it reads mean what they meant when it was trained")
    if decider.reference.synthetic:
        told = "trained on SYNTHETIC applicants: its decisions say nothing about real ones"
        yield Finding("rows", NOTE, told, f"{TRAIN} --data YOUR-ROWS")
    else:
        yield Finding("rows", OK, "trained on rows that are not marked as synthetic")
    yield from guarded("baseline", lambda: _baseline(bundle))


def _baseline(bundle: Path) -> Iterator[Finding]:
    baseline = Baseline.load(bundle)
    yield Finding("baseline", OK, f"{len(baseline.clients):,} clients to monitor against")


def _none(book: Portfolio) -> Finding:
    return Finding("champion", NOTE, f"{book.name} has none yet", f"{TRAIN} --portfolio {book.name}")


def _copy(file: Path, copy: Path) -> None:
    """Copy a SQLite database as it is at one moment, through a connection that cannot write."""
    how = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "immutable=1"
    place = f"{file.absolute().as_uri()}?{how}"
    with closing(sqlite3.connect(place, uri=True)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
