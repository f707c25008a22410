"""Files of rows -> Parquet that DuckDB scans in place; knows formats and their faults, and no portfolio."""

import csv
import gzip
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from credit.errors import DataError

__all__ = ["ROW", "SUFFIXES", "File", "check_names", "stem", "write"]

#: The hidden column with the 1-based number of a row in its table.
ROW = "__row__"
#: What is read, longest first; Kaggle names its archives NAME.csv.zip.
SUFFIXES = (".parquet.zip", ".csv.zip", ".csv.gz", ".csv", ".zip", ".parquet")
RESERVED = (ROW, "file_row_number")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
BLOCK = 16 << 20


def stem(file: Path) -> str | None:
    """Return the file's name without its suffix, or None if it is of a kind that is not read."""
    suffix = next((end for end in SUFFIXES if file.name.lower().endswith(end)), None)
    return file.name[: -len(suffix)] if suffix else None


def check_names(what: str, names: Sequence[str]) -> None:
    """Refuse columns that a table cannot tell apart; DuckDB takes no notice of letter case.

    Raises
    ------
    DataError
        If a name is there twice, or is one that the reader uses itself.
    """
    counts = Counter(name.lower() for name in names)
    twice = [name for name in names if counts[name.lower()] > 1]
    if twice:
        raise DataError(
            f"{what}: duplicated column, {', '.join(map(repr, twice))} (letter case does not tell columns "
            "apart); rename or drop all but one of them."
        )
    taken = [name for name in names if name.lower() in RESERVED]
    if taken:
        raise DataError(f"{what}: column {taken[0]!r} has a name that the reader uses itself; rename it.")


def write(batches: Iterator[pa.RecordBatch], schema: pa.Schema, target: Path) -> None:
    """Write batches to Parquet one at a time, so that memory stays bounded by one batch."""
    with pq.ParquetWriter(target, schema, compression="snappy") as writer:
        for batch in batches:
            writer.write_batch(batch)


@dataclass(frozen=True)
class File:
    """A CSV or Parquet file, plain or compressed."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def parquet(self, target: Path) -> Path:
        """Return a Parquet file with the same rows: this one, or `target` made from it.

        A CSV's values stay text as they are written, an empty one is missing.

        Raises
        ------
        DataError
            If the file is empty, damaged, no UTF-8, has a duplicated column or a row of another length; the
            message names the line.
        """
        name = self.path.name.lower()
        with _opened(self.path) as (stream, inner):
            if not inner.endswith(".parquet"):
                names = _header(self.path, stream)
            elif name.endswith(".parquet"):
                return self.path
            else:
                with target.open("wb") as out:
                    while block := stream.read(BLOCK):
                        out.write(block)
                return target
        with _opened(self.path) as (stream, _):
            _convert(self.path, stream, names, target)
        return target

    def content(self) -> Iterator[bytes]:
        """Yield the file's bytes, which its fingerprint is made of."""
        with self.path.open("rb") as stream:
            while block := stream.read(BLOCK):
                yield block


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, str]]:
    """Open a file through its compression; give the stream and the lower-case name of what is inside."""
    name = path.name.lower()
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as stream:
                yield stream, stream.name.lower()
        elif name.endswith(".gz"):
            with gzip.open(path) as stream:
                yield stream, name.removesuffix(".gz")
        else:
            with path.open("rb") as stream:
                yield stream, name
    except DAMAGE as error:
        raise DataError(
            f"{path}: cannot be read to its end, it is truncated, damaged or not what its suffix says "
            f"({error}); copy or download it again."
        ) from error


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if len(members) != 1 or not members[0].filename.lower().endswith((".csv", ".parquet")):
        seen = ", ".join(info.filename for info in members) or "nothing"
        raise DataError(
            f"{path}: an archive must hold exactly one CSV or Parquet file, but holds {seen}; "
            "unpack it, and give the folder or the file."
        )
    if members[0].flag_bits & 1:
        raise DataError(f"{path}: the archive is encrypted; unpack it, and give the file.")
    return members[0]


def _lines(path: Path, stream: IO[bytes]) -> Iterator[str]:
    """Decode line by line, so that what is not UTF-8 is known by its line."""
    for number, line in enumerate(stream, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}: line {number}, byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8; "
                "save the file as UTF-8."
            ) from error


def _header(path: Path, stream: IO[bytes]) -> list[str]:
    """Read the columns' names from the file itself: libraries rename duplicates silently."""
    rows = (row for row in csv.reader(_lines(path, stream)) if row)
    names = next(rows, None)
    if names is None:
        raise DataError(f"{path}: the file is empty; give a CSV with a header line and rows.")
    for separator, word in SEPARATORS.items():
        if len(names) == 1 and separator in names[0]:
            raise DataError(f"{path}: the fields are separated by {word}; save the file with commas as separators.")
    names = [name or f"column_{at}" for at, name in enumerate(names, start=1)]
    check_names(str(path), names)
    if next(rows, None) is None:
        raise DataError(f"{path}: a header but no rows; give a file with at least one row.")
    return names


class _Quotes:
    """A stream that counts quotation marks: an odd number means that a quoted field may never end."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.count = stream, 0

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(size)
        self.count += block.count(b'"')
        return block

    def close(self) -> None:
        """Leave the stream to who opened it."""


def _convert(path: Path, stream: IO[bytes], names: list[str], target: Path) -> None:
    text: dict[str, Any] = dict.fromkeys(names, pa.string())
    quotes = _Quotes(stream)
    try:
        reader = pyarrow.csv.open_csv(
            quotes,
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, skip_rows_after_names=1, use_threads=False, block_size=BLOCK
            ),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(names) > 1),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=text, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )
        write(iter(reader), reader.schema, target)
    except pa.ArrowInvalid as error:
        _name_fault(path, len(names))
        raise DataError(f"{path}: not a CSV ({error}); save the file again as comma-separated UTF-8.") from error
    if quotes.count % 2:
        _name_fault(path, len(names))


def _name_fault(path: Path, width: int) -> None:
    """Find the first faulty line the slow way, field by field.

    Raises
    ------
    DataError
        If there is one.
    """
    with _opened(path) as (stream, _):
        reader = csv.reader(_lines(path, stream), strict=True)
        try:
            for fields in reader:
                if fields and len(fields) != width:
                    raise DataError(
                        f"{path}: line {reader.line_num} has {len(fields)} fields, but the header names "
                        f"{width}; mend the line (a value with a comma in it must be in quotation marks)."
                    )
        except csv.Error as error:
            raise DataError(
                f"{path}: line {reader.line_num}: a quotation mark is never closed, or in the wrong place "
                f"({error}); mend the line."
            ) from error
