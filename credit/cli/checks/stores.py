"""Whether MLflow, the ledger and Metaflow's datastore answer and can be read; writes to none of them.

SQLite files are opened read-only, for a client that opens one as it does for work makes folders, locks and tables.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from credit.cli.checks import FAULT, NOTE, OK, WARNING, Finding, guarded, near
from credit.governance.audit import chained
from credit.governance.entries import GENESIS
from credit.governance.store import EVENTS
from credit.home import Home, reach, shown

__all__ = ["FAILURES", "file_of", "findings", "reading"]

#: What a database or its driver may raise.
FAILURES = (sa.exc.SQLAlchemyError, sqlite3.Error, CommandError, ValueError)
UPGRADE = "pip install --require-hashes -r requirements/run.txt"
CLOUDS = {"s3": "boto3", "azure": "azure.storage.blob", "gs": "google.cloud.storage"}


def findings(home: Home) -> Iterator[Finding]:
    """Look at the three stores."""
    yield from guarded("mlflow", lambda: _mlflow(home.tracking_uri), FAILURES)
    yield from guarded("ledger", lambda: _ledger(home.ledger_url), FAILURES)
    yield from guarded("metaflow", _metaflow, FAILURES)


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for any other."""
    if not url.startswith("sqlite"):
        return None
    return Path(sa.make_url(url).database or "")


@contextmanager
def reading(url: str) -> Iterator[sa.Connection]:
    """Connect to a database that is there, and let it be read only.

    A SQLite file without a log beside it has no writer, and is read as it lies: otherwise reading makes one.
    """
    file = file_of(url)
    if file is None:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    else:
        how = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "immutable=1"
        place = f"{file.absolute().as_uri()}?{how}"
        engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(place, uri=True), poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def _mlflow(uri: str) -> Iterator[Finding]:
    scheme = urlsplit(uri).scheme
    if scheme in {"http", "https"}:
        reach(uri, "the MLflow server")
        yield from _server(uri)
        return
    if scheme in {"", "file"}:
        yield Finding(
            "mlflow", FAULT, f"{uri}: a folder, which MLflow no longer keeps up", "set MLFLOW_TRACKING_URI to a URL"
        )
        return
    file = file_of(uri)
    if file and not file.exists():
        yield Finding("mlflow", NOTE, f"{_shown(uri)}: not there yet", "nothing; the first run makes it")
        return
    reach(uri, "MLflow's database")
    with reading(uri) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            yield Finding("mlflow", NOTE, f"{_shown(uri)}: has no tables yet", "nothing; the first run makes them")
            return
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    yield _schema(uri, str(found))


def _schema(uri: str, found: str) -> Finding:
    """Compare a database's revision with those that the installed MLflow knows."""
    package = find_spec("mlflow")
    place = (
        Path(str(package.submodule_search_locations[0])) if package and package.submodule_search_locations else Path()
    )
    scripts = ScriptDirectory(str(place / "store" / "db_migrations"))
    head, known = scripts.get_current_head(), {each.revision for each in scripts.walk_revisions()}
    if found == head:
        return Finding("mlflow", OK, f"{_shown(uri)}: can be read, by MLflow {version('mlflow')}")
    if found in known:
        told = f"{_shown(uri)}: made by an older MLflow than {version('mlflow')} (schema {found}, wanted {head})"
        return Finding("mlflow", FAULT, told, "back it up, then mlflow db upgrade with its URL")
    told = f"{_shown(uri)}: made by a newer MLflow than {version('mlflow')} (schema {found} is not known here)"
    return Finding("mlflow", FAULT, told, "install the MLflow that wrote it, and raise it wherever else it is read")


def _server(uri: str) -> Iterator[Finding]:
    own, theirs = version("mlflow"), ""
    try:
        with urlopen(f"{uri.rstrip('/')}/version", timeout=5) as answer:  # noqa: S310 (http or https only)
            theirs = answer.read(100).decode(errors="replace").strip()
    except URLError as error:
        yield Finding("mlflow", NOTE, f"{_shown(uri)}: answers, but does not tell its version ({error.reason})")
        return
    if theirs.split(".")[:2] == own.split(".")[:2]:
        yield Finding("mlflow", OK, f"{_shown(uri)}: answers, MLflow {theirs}")
    else:
        told = f"{_shown(uri)}: answers, and is MLflow {theirs}; this client is {own}"
        yield Finding("mlflow", WARNING, told, "bring both to one release")


def _ledger(url: str) -> Iterator[Finding]:
    file = file_of(url)
    if file and not file.exists():
        yield Finding("ledger", NOTE, f"{_shown(url)}: not there yet", "nothing; the first registration makes it")
        return
    reach(url, "the ledger's database")
    with reading(url) as connection:
        if not sa.inspect(connection).has_table(EVENTS.name):
            yield Finding(
                "ledger", NOTE, f"{_shown(url)}: has no tables yet", "nothing; the first registration makes them"
            )
            return
        newest = connection.execute(sa.select(EVENTS).order_by(EVENTS.c.id.desc()).limit(2)).all()
    if not newest:
        yield Finding("ledger", OK, f"{_shown(url)}: can be read, and is empty")
        return
    last, before = newest[0], newest[1].hash if len(newest) > 1 else GENESIS
    if chained(dict(last._mapping)) != last.hash or last.previous != before:
        told = f"{_shown(url)}: event {last.id}, the newest, does not fit the chain"
        yield Finding("ledger", FAULT, told, "credit ledger verify says where it breaks; restore a backup")
    else:
        told = f"{_shown(url)}: {last.id:,} events, head {last.hash[:16]}..."
        yield Finding("ledger", OK, told, "credit ledger verify follows the whole chain")


def _metaflow() -> Iterator[Finding]:
    """Find where runs would go, without Metaflow, which makes a folder when it is asked."""
    told = {**_profile(), **os.environ}
    kind = told.get("METAFLOW_DEFAULT_DATASTORE", "local")
    variable = f"METAFLOW_DATASTORE_SYSROOT_{kind.upper()}"
    asked = told.get(variable, "")
    if kind == "local":
        yield _local(asked)
        return
    library = CLOUDS.get(kind, "")
    if library and find_spec(library.partition(".")[0]) is None:
        why = f"runs go to {kind}, and {library} is not installed"
        yield Finding("metaflow", FAULT, why, f"pip install {library.replace('.', '-')}")
    elif asked:
        yield Finding("metaflow", NOTE, f"runs go to {asked}, which was not contacted")
    else:
        yield Finding("metaflow", FAULT, f"runs go to {kind}, and no place is named", f"set {variable}")


def _local(asked: str) -> Finding:
    """Look at the folder that Metaflow would take: the one named, else the nearest above, else one to be made here."""
    here = Path.cwd()
    above = next((each / ".metaflow" for each in (here, *here.parents) if (each / ".metaflow").is_dir()), None)
    place = Path(asked) / ".metaflow" if asked else above or here / ".metaflow"
    there = next(each for each in (place, *place.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        remedy = "start runs in a folder that you may write to, or set METAFLOW_DATASTORE_SYSROOT_LOCAL"
        return Finding("metaflow", FAULT, f"{near(place)}: {near(there)} cannot be written to", remedy)
    if not place.is_dir():
        return Finding("metaflow", NOTE, f"{near(place)}: not there yet", "nothing; the first run makes it")
    runs = sum(each.name.isdigit() for each in place.glob("*Flow/*"))
    return Finding("metaflow", OK, f"{near(place)}: can be written to, {runs:,} runs kept")


def _profile() -> dict[str, str]:
    """Read Metaflow's configuration of this user, if there is one."""
    folder = Path(os.environ.get("METAFLOW_HOME") or Path.home() / ".metaflowconfig")
    profile = os.environ.get("METAFLOW_PROFILE")
    file = folder / (f"config_{profile}.json" if profile else "config.json")
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _shown(url: str) -> str:
    """Write a database's URL for people: a file by its path, any other without its password."""
    file = file_of(url)
    if file is not None:
        return near(file)
    return shown(url)
