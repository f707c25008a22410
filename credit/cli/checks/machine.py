"""Cores, memory, the folder of all state and the disk under it, and the programs that some uses need."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from credit import cores
from credit.cli.checks import FAULT, NOTE, OK, WARNING, Finding, guarded, near
from credit.home import Home

__all__ = ["findings"]

GB = 1e9
#: Free disk: a run on the synthetic book of 10,000 clients keeps 80 MB in all, and needs room for what it sorts.
LITTLE_DISK, NO_DISK = 2 * GB, 0.2 * GB
#: Memory: a task of that run takes 0.55 GB at most; as many as there are cores are at work at once, and an app beside.
LITTLE_MEMORY, NO_MEMORY = 4 * GB, 1 * GB
MOUNTS = Path("/proc/self/mounts")
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
#: File systems on which SQLite's locks cannot be relied upon.
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def findings(home: Home) -> Iterator[Finding]:
    """Look at the machine, and at where state is kept."""
    for name, look in (("cores", _cores), ("memory", _memory), ("browser", _browser), ("java", _java)):
        yield from guarded(name, look)
    yield from guarded("home", lambda: _home(home.root))
    yield from guarded("disk", lambda: _disk(home.root))


def _cores() -> Iterator[Finding]:
    found = cores.available()
    yield Finding("cores", OK, f"{found}, so many tasks of a run work at once")


def _memory() -> Iterator[Finding]:
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in LIMITS:
        if file.is_file() and (limit := file.read_text(encoding="ascii").strip()).isdigit():
            found = min(found, int(limit))
    level = FAULT if found < NO_MEMORY else WARNING if found < LITTLE_MEMORY else OK
    remedy = "" if level == OK else "give the machine or the container 4 GB, or run with --max-workers 1"
    yield Finding("memory", level, f"{found / GB:.1f} GB for this machine or container", remedy)


def _home(root: Path) -> Iterator[Finding]:
    there = _existing(root)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        remedy = "set CREDIT_HOME to a folder that you may write to"
        yield Finding("home", FAULT, f"{near(root)}: {near(there)} cannot be written to", remedy)
    elif not root.exists():
        yield Finding("home", NOTE, f"{near(root)}: not there yet", "nothing; the first run makes it")
    elif held := [name for name in ("workspace", "artifacts") if not _writable(root / name)]:
        yield Finding(
            "home",
            FAULT,
            f"{near(root)}: {', '.join(held)} in it cannot be written to",
            "correct its owner or its rights",
        )
    else:
        yield Finding("home", OK, f"{near(root)}: can be written to")
    if (kind := _file_system(there)) in REMOTE:
        remedy = "set CREDIT_HOME to a local disk, or put MLflow and the ledger on PostgreSQL"
        yield Finding(
            "home", WARNING, f"{near(root)}: on a network drive ({kind}), where SQLite's locks may fail", remedy
        )


def _disk(root: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(_existing(root)).free
    level = FAULT if free < NO_DISK else WARNING if free < LITTLE_DISK else OK
    remedy = "" if level == OK else "free some, or set CREDIT_HOME to another disk; 2 GB are comfortable"
    yield Finding("disk", level, f"{free / GB:,.1f} GB free for {near(root)}", remedy)


def _browser() -> Iterator[Finding]:
    asked = os.environ.get("CREDIT_CHROMIUM", "")
    found = next(filter(None, map(shutil.which, filter(None, (asked, *BROWSERS)))), None)
    if found:
        yield Finding("browser", OK, f"{found}, for the tests of pages and cards")
    else:
        remedy = "apt-get install chromium, or set CREDIT_CHROMIUM to one"
        yield Finding("browser", NOTE, "no Chromium or Chrome; only tests of pages and cards need it", remedy)


def _java() -> Iterator[Finding]:
    place = os.environ.get("JAVA_HOME", "")
    found = shutil.which("java", path=f"{place}/bin") if place else shutil.which("java")
    if found:
        yield Finding("java", OK, f"{found}, for features on Spark")
    else:
        level = WARNING if find_spec("pyspark") and place else NOTE
        told = f"none in JAVA_HOME={place}" if place else "none found"
        yield Finding(
            "java", level, f"{told}; only features on Spark need it", "install Java 17 or newer, or set JAVA_HOME"
        )


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def _writable(path: Path) -> bool:
    return not path.exists() or os.access(path, os.W_OK | os.X_OK)


def _file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """Name the type of the file system that a path is on; empty where the system does not tell."""
    if not mounts.is_file():
        return ""
    rows = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    over = [
        (len(point), kind) for _, point, kind, *_ in rows if path.resolve().is_relative_to(point.replace("\\040", " "))
    ]
    return max(over, default=(0, ""))[1]
