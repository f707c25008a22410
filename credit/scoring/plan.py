"""A book of prepared rows of any size, divided into shards of whole row groups; scores nothing."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from credit import __version__
from credit.console import step
from credit.data.files import SUFFIXES, File, stem
from credit.errors import ConfigError, DataError
from credit.scoring.decider import Decider
from credit.scoring.intake import check_columns, is_numeric, repeated
from credit.scoring.sheets import whole

__all__ = ["Piece", "Plan", "Shard", "divide", "sha256"]

#: Of what the parts are made; another number when their form changes.
FORMAT = 1
#: More shards than this are merged: each costs seconds of its own.
MOST = 64


@dataclass(frozen=True)
class Piece:
    """Row groups of one file; `first` is the number of their first row in it."""

    file: str
    groups: tuple[int, ...]
    first: int
    rows: int


@dataclass(frozen=True)
class Shard:
    """What is scored at once."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(piece.rows for piece in self.pieces)


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Parameters
    ----------
    folder : str
        Where shards leave their parts.
    names : dict of str to str
        How the files that are read were called by who gave them.
    fingerprint : str
        SHA-256 of the rows' files.
    digest : str
        SHA-256 of everything that a part depends on.
    repeated : tuple of str
        Keys that more than one row has.
    numeric : bool
        Whether keys are integers.
    shards : tuple of Shard
        All rows, each once.
    """

    folder: str
    names: dict[str, str]
    fingerprint: str
    digest: str
    repeated: tuple[str, ...]
    numeric: bool
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(shard.rows for shard in self.shards)

    def places(self, shard: Shard) -> tuple[Path, Path, Path]:
        """Name the files of a shard's decisions, rejected rows and counts by what they are made of."""
        files = list(self.names)
        ranges = [[files.index(piece.file), piece.groups, piece.first, piece.rows] for piece in shard.pieces]
        name = hashlib.sha256(f"{self.digest} {json.dumps(ranges)}".encode()).hexdigest()[:24]
        folder = Path(self.folder)
        return folder / f"{name}.parquet", folder / f"{name}.rejected.parquet", folder / f"{name}.json"


def divide(
    decider: Decider,
    source: str | Path,
    folder: str | Path,
    shard_rows: int = 1_000_000,
    *,
    reasons: bool = False,
    memory: str = "1GB",
) -> Plan:
    """Look at prepared rows, and divide them.

    Parameters
    ----------
    decider : Decider
        The model in use.
    source : str or Path
        A file of features, or a folder of such files: CSV or Parquet, plain or compressed, the key and one column a
        feature.
    folder : str or Path
        For parts, and what is needed on the way.
    shard_rows : int
        Rows of a shard, about: row groups stay whole.
    reasons : bool
        Whether the codes of the reasons are written too, of whoever is not approved.
    memory : str
        What may be used to look for keys that are there twice; the rest goes to temporary files.

    Raises
    ------
    ConfigError
        If `shard_rows` is no number of rows.
    DataError
        If a file is damaged, or lacks a column.
    """
    if shard_rows < 1:
        raise ConfigError(f"--shard-rows {shard_rows}: must be 1 or more; leave it out for a million.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    given = _files(Path(source))
    with step(f"Reading {source}") as reading:
        hashes = [sha256(file) for file in given]
        fingerprint = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        read = {
            _as_parquet(file, folder / f"rows-{digest[:16]}-{at}.parquet"): str(file)
            for at, (file, digest) in enumerate(zip(given, hashes, strict=True))
        }
        for place, name in read.items():
            check_columns(decider.portfolio, decider.scorer, Path(name), _schema(place, name))
        twice = repeated(decider.portfolio, read, folder, memory)
        shards = tuple(_shards(list(read), shard_rows))
        reading.rows = sum(shard.rows for shard in shards)
    if not reading.rows:
        raise DataError(f"{source}: columns but no rows; give at least one row.")
    model = [decider.identity.digest, decider.scorer.threshold, asdict(decider.scorer.costs)]
    meaning = json.dumps([FORMAT, __version__, fingerprint, str(decider.identity), *model, reasons])
    digest = hashlib.sha256(meaning.encode()).hexdigest()
    names = {str(place): name for place, name in read.items()}
    numeric = is_numeric(decider.portfolio, read)
    return Plan(str(folder), names, fingerprint, digest, tuple(twice.to_pylist()), numeric, shards)


def _files(source: Path) -> list[Path]:
    if source.is_dir():
        found = sorted(file for file in source.iterdir() if file.is_file() and stem(file))
    else:
        found = [source] if source.is_file() and stem(source) else []
    if not found:
        raise DataError(f"{source}: no file of features ({', '.join(SUFFIXES)}); give one, or a folder of them.")
    return found


def sha256(file: Path) -> str:
    """Digest a file's bytes."""
    content = hashlib.sha256()
    for block in File(file).content():
        content.update(block)
    return content.hexdigest()


def _as_parquet(file: Path, made: Path) -> Path:
    """Return the file, or the Parquet that is made of it once."""
    if file.name.lower().endswith(".parquet"):
        return file
    if not made.exists():
        with whole(made) as partial:
            File(file).parquet(partial)
    return made


def _schema(place: Path, name: str) -> pa.Schema:
    try:
        return pq.read_schema(place)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{name}: not a Parquet file, or a truncated one ({error}); write it again.") from error


def _shards(files: Sequence[Path], rows: int) -> Iterator[Shard]:
    """Gather whole row groups until there are enough rows; all shards are about as large."""
    held = {file: pq.read_metadata(file) for file in files}
    total = sum(each.num_rows for each in held.values())
    size = -(-total // min(MOST, max(1, -(-total // rows))))
    pieces: list[Piece] = []
    number = count = 0
    for file, metadata in held.items():
        first = 1
        for group in range(metadata.num_row_groups):
            pieces.append(Piece(str(file), (group,), first, metadata.row_group(group).num_rows))
            first, count = first + pieces[-1].rows, count + pieces[-1].rows
            if count >= size:
                yield Shard(number, _merged(pieces))
                pieces, number, count = [], number + 1, 0
    if pieces:
        yield Shard(number, _merged(pieces))


def _merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Make one piece of row groups that follow one another in a file."""
    made: list[Piece] = []
    for piece in pieces:
        if made and made[-1].file == piece.file:
            last = made.pop()
            piece = Piece(last.file, (*last.groups, *piece.groups), last.first, last.rows + piece.rows)  # noqa: PLW2901
        made.append(piece)
    return tuple(made)
