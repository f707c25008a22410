"""The folder of a synthetic book: a file for each table, and a marker that never lies about them; draws nothing."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from credit.errors import DataError

__all__ = ["FORMATS", "MARKER", "plain", "put", "refuse_foreign_files", "rows_written"]

FORMATS = ("parquet", "csv")
MARKER = "SYNTHETIC.txt"
PARTIAL = ".partial"  # ending of a file that is not complete
Blocks = Iterator[Mapping[str, pa.Table]]
COUNT = "rows of "


def rows_written(folder: Path) -> dict[str, int]:
    """Read from the marker each table's rows; empty if the folder holds no book, or one that is not complete."""
    marker = folder / MARKER
    lines = marker.read_text(encoding="utf-8").splitlines() if marker.exists() else []
    counts = [line.removeprefix(COUNT).split(": ") for line in lines if line.startswith(COUNT)]
    return {name: int(count) for name, count in counts}


def _names(tables: Collection[str]) -> set[str]:
    return {f"{name}.{ending}" for name in tables for ending in FORMATS}


def refuse_foreign_files(folder: Path, tables: Collection[str]) -> None:
    """Refuse a folder with anything but an earlier synthetic book, which may be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file, a book is written into a folder; give another path.")
    ours = _names(tables)
    names = sorted(path.name for path in folder.iterdir() if path.suffix != PARTIAL and path.name != MARKER)
    found = [name for name in names if name not in ours]
    if found or (names and not (folder / MARKER).exists()):
        other = found[0] if found else f"{names[0]} without the marker {MARKER}"
        raise DataError(f"{folder}: holds {other}, a synthetic book replaces only an earlier one; give another folder.")


def put(
    folder: Path,
    format: str,  # noqa: A002
    book: str,
    tables: Collection[str],
    known: Collection[str],
    blocks: Blocks,
) -> list[Path]:
    """Write all tables beside their names, then name them; the marker never lies about a table.

    It names the book before a table is there, and tells rows when all are.  Another book's tables go first; the same
    book's stay until they are replaced, for another process may read them.

    Parameters
    ----------
    folder : Path
    format : {"parquet", "csv"}
    book : str
        What the marker says of the book; another book says something else.
    tables : collection of str
        The tables to write; the first one is named last.
    known : collection of str
        All tables that a synthetic book may have.
    blocks : iterator of mappings
        The tables' rows, block by block.
    """
    marker = folder / MARKER
    if not marker.exists() or not marker.read_text(encoding="utf-8").startswith(book):
        for name in _names(known):
            (folder / name).unlink(missing_ok=True)
        _mark(marker, book)
    paths = {name: folder / f"{name}.{format}" for name in tables}
    partial = {name: _beside(path) for name, path in paths.items()}
    try:
        rows = _fill(partial, format, blocks)
        for name, path in reversed(paths.items()):
            partial[name].replace(path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    _mark(marker, book + "".join(f"{COUNT}{name}: {rows[name]}\n" for name in tables))
    return [*paths.values(), marker]


def _mark(marker: Path, text: str) -> None:
    partial = _beside(marker)
    partial.write_text(text, encoding="utf-8")
    partial.replace(marker)


def _beside(path: Path) -> Path:
    """Name a file that is not complete; two processes may write the same book at once."""
    return path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")


def _fill(paths: Mapping[str, Path], format: str, blocks: Blocks) -> dict[str, int]:  # noqa: A002
    """Write block after block, a row group a block; return each table's rows."""
    rows = dict.fromkeys(paths, 0)
    with ExitStack() as stack:
        sinks: dict[str, Any] = {}
        for block in blocks:
            for name, path in paths.items():
                table = block[name] if format == "parquet" else plain(block[name])
                if name not in sinks:
                    sinks[name] = stack.enter_context(_writer(path, table.schema, format))
                sinks[name].write_table(table)
                rows[name] += table.num_rows
    return rows


def _writer(path: Path, schema: pa.Schema, format: str) -> Any:  # noqa: A002
    """Open a file; in Parquet a reader sees text, however it was held; in CSV text is quoted, a missing value empty."""
    if format == "csv":
        return pyarrow.csv.CSVWriter(path, schema)
    return pyarrow.parquet.ParquetWriter(path, schema, store_schema=False)


def plain(table: pa.Table) -> pa.Table:
    """Text as text, not as numbers of levels."""
    fields = [
        pa.field(column.name, pa.string() if pa.types.is_dictionary(column.type) else column.type)
        for column in table.schema
    ]
    return table.cast(pa.schema(fields))
