"""A file of matured outcomes -> events about the decisions they belong to; judges no model by them.

A row is the number of a decision, what became of it (1 default, 0 none), and the date when that was seen.  Bad rows go
to a file of their own, each with its reason, and all others are kept.  What is recorded already is not recorded
again, and what contradicts it is refused until someone says why it is to be corrected.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from credit.data.files import File, stem
from credit.errors import DataError
from credit.governance.entries import LARGEST
from credit.governance.ledger import Draft, Ledger, Writer, draft
from credit.governance.recorded import CORRECTION, DECISION, OUTCOME
from credit.governance.records import stated

__all__ = ["COLUMNS", "Imported", "import_outcomes"]

COLUMNS = ("decision", "outcome", "observed")
BATCH = 5000  # rows in one transaction
FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run

Row = tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Imported:
    """What came of a file of outcomes.

    Parameters
    ----------
    added, known, corrected, rejected : int
        Rows that were recorded, were recorded before, took the place of another outcome, or were refused.
    rejects : str
        The file of those refused: ``row``, ``decision``, ``outcome``, ``observed``, ``reason``.
    """

    added: int
    known: int
    corrected: int
    rejected: int
    rejects: str


@dataclass
class _Tally:
    """One batch: what it would record, and what not."""

    correct: str
    outcomes: list[Draft] = field(default_factory=list)
    corrections: list[Draft] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    known: int = 0

    def take(self, row: Row, made: Mapping[int, str], standing: dict[int, dict[str, Any]]) -> None:
        """Sort one row into where it belongs; `made` says when each decision was made, `standing` what is known."""
        number, cells = row
        reason = _fault(cells, made)
        if not reason:
            about = _number(cells["decision"])
            new = {"outcome": FLAGS[cells["outcome"]], "observed": cells["observed"][:10]}
            old = standing.setdefault(about, new)
            if old is new:
                self.outcomes.append(draft({"about": about} | new))
            elif old == new:
                self.known += 1
            elif self.correct:
                self.corrections.append(draft({"about": about, "was": old, "reason": self.correct} | new))
                standing[about] = new
            else:
                reason = (
                    f"outcome {old['outcome']}, observed {old['observed']}, is recorded already for decision {about}; "
                    "if this one is right, import it with --correct and say why"
                )
        if reason:
            self.refused.append({"row": number, **cells, "reason": reason})


def import_outcomes(
    ledger: Ledger, file: Path, *, correct: str = "", rejects: Path | None = None, by: str | None = None
) -> Imported:
    """Record outcomes.

    Parameters
    ----------
    ledger : Ledger
        Holds the decisions.
    file : Path
        CSV or Parquet with the columns ``decision`` (its number), ``outcome`` (0 or 1), ``observed`` (YYYY-MM-DD);
        others are left alone.
    correct : str, optional
        Why an outcome that contradicts a recorded one takes its place.  Both stay in the ledger.
    rejects : Path, optional
        Where refused rows go; default: ``NAME.rejected.csv`` beside the file.
    by : str, optional
        Who asked.

    Returns
    -------
    Imported
        Counts.  After a kill the same call records what is missing.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or the rejects cannot be written.
    ServiceError
        If the ledger does not take it.
    """
    why = stated(correct, "correct") if correct else ""
    place = rejects or file.with_name(f"{stem(file) or file.stem}.rejected.csv")
    tallies = [_record(ledger, batch, why, by) for batch in _batches(file)]
    refused = [row for tally in tallies for row in tally.refused]
    _write(place, refused)
    added, corrected = (sum(len(getattr(each, name)) for each in tallies) for name in ("outcomes", "corrections"))
    return Imported(added, sum(each.known for each in tallies), corrected, len(refused), str(place))


def _record(ledger: Ledger, batch: list[Row], correct: str, by: str | None) -> _Tally:
    numbers = [_number(cells["decision"]) for _, cells in batch]

    def work(writer: Writer) -> _Tally:
        tally = _Tally(correct)
        made = {event.id: event.at for event in writer.numbered(numbers) if event.kind == DECISION}
        standing = {about: last for about, each in writer.about(made).items() if (last := _last(each))}
        for row in batch:
            tally.take(row, made, standing)
        writer.extend(OUTCOME, tally.outcomes, by=by)
        writer.extend(CORRECTION, tally.corrections, by=by)
        return tally

    return ledger.write(work)


def _last(events: list[Any]) -> dict[str, Any] | None:
    told = [event.payload for event in events if event.kind in (OUTCOME, CORRECTION)]
    return {name: told[-1][name] for name in ("outcome", "observed")} if told else None


def _fault(cells: Mapping[str, str], made: Mapping[int, str]) -> str:
    """Say what is wrong with a row as such; empty where nothing is."""
    number = _number(cells["decision"])
    if not number:
        return f"decision {cells['decision']!r} is no number of a decision; give a whole number from 1"
    if number not in made:
        return f"decision {number} is not in the ledger; give a number that a decision was recorded under"
    if cells["outcome"] not in FLAGS:
        return f"outcome {cells['outcome']!r} is neither 0 nor 1; give 1 for a default and 0 for none"
    seen = _day(cells["observed"])
    if seen is None:
        return f"observed {cells['observed']!r} is no date; write YYYY-MM-DD"
    if seen > datetime.now(UTC).date():
        return f"observed {seen} is in the future; give the day when the outcome was seen"
    if seen.isoformat() < made[number][:10]:
        return f"observed {seen} is before the decision of {made[number][:10]}; an outcome comes after it"
    return ""


def _number(text: str) -> int:
    """Read the number of a decision; 0 if it is none."""
    found = int(text.partition(".")[0]) if re.fullmatch(r"[0-9]{1,10}(\.0+)?", text) else 0
    return found if found <= LARGEST else 0


def _day(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]00:00:00)?", text):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _batches(file: Path) -> Iterator[list[Row]]:
    """Read a file as text, some thousand rows at a time, each with its number."""
    if stem(file) is None:
        raise DataError(f"{file}: outcomes are read from CSV or Parquet; give a file of one of these kinds.")
    with TemporaryDirectory(prefix="credit-") as folder:
        parquet = File(file).parquet(Path(folder) / "outcomes.parquet")
        try:
            with pq.ParquetFile(parquet) as opened:
                if absent := [name for name in COLUMNS if name not in opened.schema_arrow.names]:
                    raise DataError(f"{file}: no column {', '.join(absent)}; an outcome is {', '.join(COLUMNS)}.")
                start = 1
                for batch in opened.iter_batches(BATCH, columns=list(COLUMNS)):
                    rows = [{name: _text(row[name]) for name in COLUMNS} for row in batch.to_pylist()]
                    yield list(enumerate(rows, start))
                    start += len(rows)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{file}: not a Parquet file, or a damaged one ({error}); copy it again.") from error


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _write(place: Path, refused: list[dict[str, Any]]) -> None:
    try:
        with place.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ["row", *COLUMNS, "reason"])
            writer.writeheader()
            writer.writerows({name: _harmless(cell) for name, cell in row.items()} for row in refused)
    except OSError as error:
        raise DataError(
            f"{place}: {error.strerror}; the valid outcomes are recorded. Name another file with --rejects and repeat "
            "the command to see those that are not."
        ) from error


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
