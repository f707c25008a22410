"""Where features are computed and written: the protocol of an engine, and DuckDB in this process; knows no feature."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq

from credit.data import tables
from credit.errors import ConfigError
from credit.portfolio import Portfolio

__all__ = ["DUCKDB", "DuckDB", "Engine"]

#: What a process has not finished is called by this, its number, and what it is.
PARTIAL = ".partial-"
#: Rows that a writer holds in memory: hundreds of columns are wide.
ROW_GROUP = 16_384


class Stage(Protocol):
    """Compute a table once, and go on with the result."""

    def __call__(self, table: Any, name: str) -> Any:
        """Return the same rows as a table of its own."""


class Engine(Protocol):
    """What a build needs of the place where the tables live."""

    def present(self, portfolio: Portfolio, source: str | Path, *, labelled: bool) -> tuple[str, ...]:
        """Name the tables that a source holds, the main one first."""

    def fingerprint(self, portfolio: Portfolio, source: str | Path, *, labelled: bool, names: Sequence[str]) -> str:
        """Digest the content of these tables, whatever the order of their rows may be."""

    def open_tables(
        self, portfolio: Portfolio, source: str | Path, *, labelled: bool, names: Sequence[str]
    ) -> dict[str, Any]:
        """Open these tables as they are, lazily, with the number of each row."""

    def place(self, out: str | Path, name: str) -> str:
        """Name a file, or a folder that counts as one, in the output."""

    def exists(self, place: str) -> bool:
        """Whether a table was written there."""

    def read_text(self, place: str) -> str | None:
        """Read a small text; None where there is none."""

    def write_text(self, text: str, place: str) -> None:
        """Write a small text whole or not at all."""

    def clear(self, place: str) -> None:
        """Take back a small text, if there is one."""

    def write(self, table: Any, place: str) -> int:
        """Write a table as Parquet; return its rows.  It may be taken for whole only when this returns."""

    def staging(self, out: str | Path) -> AbstractContextManager[Stage]:
        """Enter a context in which intermediate results are kept, and nowhere after it."""


@dataclass(frozen=True)
class DuckDB:
    """DuckDB in this process, writing to folders of this machine.

    Parameters
    ----------
    memory : str, optional
        What it may use, such as "4GB"; what does not fit goes to temporary files.  By default its own limit holds.
    threads : int, optional
        By default as many as there are cores.
    """

    memory: str | None = None
    threads: int | None = None

    def present(self, portfolio: Portfolio, source: str | Path, *, labelled: bool) -> tuple[str, ...]:
        """Name the tables that a folder, a file or a database holds."""
        return tables.present(portfolio, source, labelled=labelled)

    def fingerprint(self, portfolio: Portfolio, source: str | Path, *, labelled: bool, names: Sequence[str]) -> str:
        """Digest the files' bytes, or a database's rows."""
        return tables.fingerprint(portfolio, source, labelled=labelled, names=names)

    def open_tables(
        self, portfolio: Portfolio, source: str | Path, *, labelled: bool, names: Sequence[str]
    ) -> dict[str, Any]:
        """Open the tables on a connection of their own."""
        limits: dict[str, Any] = {"memory": self.memory, "threads": self.threads}
        return tables.open_tables(portfolio, source, labelled=labelled, names=names, **limits)

    def place(self, out: str | Path, name: str) -> str:
        """Name a file in a folder."""
        if "://" in str(out):
            raise ConfigError(f"--out {out}: DuckDB writes to a folder of this machine; give one, or --engine spark.")
        return str(Path(out) / name)

    def exists(self, place: str) -> bool:
        """Whether the file is there; it has its name only once it is whole."""
        return Path(place).is_file()

    def read_text(self, place: str) -> str | None:
        """Read a file, if it is there."""
        path = Path(place)
        return path.read_text(encoding="utf-8") if path.exists() else None

    def write_text(self, text: str, place: str) -> None:
        """Write beside the file, then give it its name."""
        with _partial(Path(place)) as partial:
            partial.write_text(text, encoding="utf-8")

    def clear(self, place: str) -> None:
        """Remove the file."""
        Path(place).unlink(missing_ok=True)

    def write(self, table: Any, place: str) -> int:
        """Stream the rows to a file beside, then give it its name."""
        with _partial(Path(place)) as partial:
            table.to_parquet(partial, row_group_size=ROW_GROUP)
        return int(pq.read_metadata(place).num_rows)

    @contextmanager
    def staging(self, out: str | Path) -> Iterator[Stage]:
        """Keep intermediate results as files beside the output; what a killed process left there goes first."""
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{PARTIAL}*"):
            if not _alive(left.name.removeprefix(PARTIAL).partition("-")[0]):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        kept = folder / f"{PARTIAL}{os.getpid()}-folds"
        kept.mkdir(exist_ok=True)

        def stage(table: Any, name: str) -> Any:
            path = kept / f"{name}.parquet"
            table.to_parquet(path, compression="uncompressed")  # read once, and gone
            return table.get_backend().read_parquet(path)

        try:
            yield stage
        finally:
            shutil.rmtree(kept)


#: The engine of one machine.
DUCKDB = DuckDB()


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _alive(process: str) -> bool:
    """Whether a process runs on this machine; what carries no process's number is nobody's to remove."""
    if not process.isdecimal():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
