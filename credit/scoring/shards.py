"""A book of any size -> one file of decisions and one of rejected rows, shard by shard; knows no registry and no flow.

A shard is a number of whole row groups.  It is read, judged, scored and written a block at a time, so that memory does
not grow with the book, nor with the shard.  What a shard leaves is named by its content (rows, model, range, options)
and gets its name only when it is whole: a run after a killed one finds it, and goes on from there.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from credit.console import log, step
from credit.errors import DataError
from credit.scoring.answers import TEXTS, Answers
from credit.scoring.decider import Decider
from credit.scoring.intake import Intake, Judged
from credit.scoring.plan import Piece, Plan, Shard, sha256
from credit.scoring.sheets import neutral, whole

__all__ = ["BINS", "DECISIONS", "REJECTS", "Done", "join", "lost", "score"]

#: Names of the two files that a run leaves.
DECISIONS, REJECTS = "decisions.parquet", "rejected.csv"
#: Rows in memory at once, and bars of the distribution.
BLOCK, BINS = 65_536, 100
EXAMPLES, WIDTH = 3, 40
Report = Callable[[int, int, str], None]


@dataclass
class Done:
    """What came of a shard, or of all.

    Parameters
    ----------
    scored, rejected : int
        Rows with a decision, and rows without.
    total : float
        Sum of the probabilities of default.
    decisions, bands, rules, unknown : dict of str to int
        Rows by decision and class of risk, rejected lines by rule, cells of unknown levels by feature.
    histogram : list of int
        Rows by probability of default, in `BINS` bars from 0 to 1.
    examples : list of dict
        The first rejected lines of each rule.
    """

    scored: int = 0
    rejected: int = 0
    total: float = 0.0
    decisions: Counter[str] = field(default_factory=Counter)
    bands: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: "Done") -> None:
        """Count another one's rows in."""
        self.scored, self.rejected = self.scored + other.scored, self.rejected + other.rejected
        self.total += other.total
        for name in ("decisions", "bands", "rules", "unknown"):
            getattr(self, name).update(getattr(other, name))
        self.histogram = [one + more for one, more in zip(self.histogram, other.histogram, strict=True)]
        for line in other.examples:
            if sum(known["rule"] == line["rule"] for known in self.examples) < EXAMPLES:
                self.examples.append(line)

    @classmethod
    def read(cls, text: str) -> "Done":
        """Read it back from JSON."""
        held: dict[str, Any] = json.loads(text)
        made: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value for name, value in held.items()
        }
        return cls(**made)


def score(
    plan: Plan, shard: Shard, decider: Decider, *, reasons: bool = False, threads: int = 1, report: Report | None = None
) -> Done:
    """Score a shard, unless an earlier run has done so, and leave its two parts and what came of it.

    Parameters
    ----------
    plan, shard
        What is to be done.
    decider : Decider
        The model that the plan was made for.
    reasons : bool
        As for the plan.
    threads : int
        For the model.
    report : callable, optional
        Called with the rows done, all rows and "rows" after each block.

    Returns
    -------
    Done
        What came of it.
    """
    decisions, rejects, summary = plan.places(shard)
    if all(place.exists() for place in (decisions, rejects, summary)):
        log.info("Shard %d: there already", shard.number + 1)
        return Done.read(summary.read_text(encoding="utf-8"))
    answers, done = Answers(decider, reasons=reasons, threads=threads), Done()
    work = step(f"Scoring shard {shard.number + 1} of {len(plan.shards)}", shard.rows)
    kept, lost = _writer(decisions, _decided(plan, answers)), _writer(rejects, _rejected(decider.portfolio.key))
    with work, kept as keep, lost as lose:
        for piece, judged in _judged(plan, shard, decider, threads):
            file, decided = plan.names[piece.file], answers.rows(judged.frame)
            keep(decided if plan.numeric else decided.astype({decider.portfolio.key: "str"}))
            lose(judged.rejected.assign(file=file))
            done.add(_count(decided, judged, decider.portfolio.key, file))
            if report:
                report(done.scored + done.rejected, shard.rows, "rows")
    with whole(summary) as partial:
        partial.write_text(json.dumps(vars(done)), encoding="utf-8")
    return done


def join(plan: Plan, out: str | Path, rejected: pd.DataFrame | None = None) -> dict[str, str]:
    """Put the parts together, in the order of the rows.

    Parameters
    ----------
    plan : Plan
        All its shards are done.
    out : str or Path
        The folder for `DECISIONS` and `REJECTS`.
    rejected : DataFrame, optional
        Lines that come first: of raw rows that never became features.

    Returns
    -------
    dict of str to str
        ``decisions_file``, ``rejects_file``, and the SHA-256 of each, ``decisions_sha256`` and ``rejects_sha256``.
    """
    folder, stage = Path(out), Path(plan.folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = [plan.places(shard) for shard in plan.shards]
    with step("Joining the shards", plan.rows):
        with _writer(stage / DECISIONS, pq.read_schema(parts[0][0])) as write:
            for decisions, _rejects, _summary in parts:
                for batch in pq.ParquetFile(decisions).iter_batches(BLOCK):
                    write(batch)
        names = pq.read_schema(parts[0][1]).names
        lines = (batch.to_pandas() for part in parts for batch in pq.ParquetFile(part[1]).iter_batches(BLOCK))
        head = pd.DataFrame(columns=names) if rejected is None else rejected.reindex(columns=names)
        with whole(stage / REJECTS) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
            neutral(head).to_csv(stream, index=False)
            for frame in lines:
                neutral(frame).to_csv(stream, index=False, header=False)
    made = {"decisions": folder / DECISIONS, "rejects": folder / REJECTS}
    for place in made.values():
        (stage / place.name).replace(place)
    hashes = {f"{name}_sha256": sha256(place) for name, place in made.items()}
    return {f"{name}_file": str(place) for name, place in made.items()} | hashes


def _judged(plan: Plan, shard: Shard, decider: Decider, threads: int) -> Iterator[tuple[Piece, Judged]]:
    twice = pa.array(plan.repeated, pa.string())
    for piece in shard.pieces:
        try:
            with pq.ParquetFile(piece.file, buffer_size=1 << 20, pre_buffer=False) as file:
                intake = Intake(decider.portfolio, decider.scorer, file.schema_arrow, twice)
                first = piece.first
                options = {"columns": intake.columns, "use_threads": threads > 1}
                for batch in file.iter_batches(BLOCK, row_groups=list(piece.groups), **options):
                    yield piece, intake.judge(pa.Table.from_batches([batch]), first)
                    first += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            name = plan.names[piece.file]
            raise DataError(f"{name}: the Parquet file is damaged, or gone ({error}); write it again.") from error


def lost(lines: pd.DataFrame, key: str, file: str) -> Done:
    """Count rejected rows, of which `lines` has one for each rule that they break."""
    first = lines.groupby("rule", sort=True).head(EXAMPLES).rename(columns={key: "key"})
    short = first.assign(file=file, value=first["value"].astype("str").str.slice(0, WIDTH))
    examples = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in short.to_dict("records")]
    return Done(rejected=int(lines["row"].nunique()), rules=Counter(lines["rule"].tolist()), examples=examples)


def _count(decided: pd.DataFrame, judged: Judged, key: str, file: str) -> Done:
    p = decided["probability_of_default"].to_numpy()
    done = lost(judged.rejected, key, file)
    done.scored, done.total, done.unknown = len(decided), float(p.sum()), judged.unknown
    done.decisions, done.bands = Counter(decided["decision"].tolist()), Counter(decided["band"].tolist())
    done.histogram = np.histogram(p, BINS, (0, 1))[0].tolist()
    return done


def _decided(plan: Plan, answers: Answers) -> pa.Schema:
    """Return the columns of the decisions; the same for all shards, whatever is in them."""
    key, *names = answers.nobody().columns
    text = {name: pa.string() for name in names if name in TEXTS or name.startswith("reason")}
    columns = {name: text.get(name, pa.float64()) for name in names}
    return pa.schema({key: pa.int64() if plan.numeric else pa.string()} | columns)


def _rejected(key: str) -> pa.Schema:
    names = ("file", "row", key, "column", "rule", "value", "remedy")
    return pa.schema([(name, pa.int64() if name == "row" else pa.string()) for name in names])


@contextmanager
def _writer(place: Path, schema: pa.Schema) -> Iterator[Callable[[Any], None]]:
    """Write a file whole or not at all, a frame or batch at a time."""

    def write(rows: Any) -> None:
        if isinstance(rows, pd.DataFrame):
            rows = pa.Table.from_pandas(rows, schema, preserve_index=False)
        file.write(rows)

    with whole(place) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as file:
        yield write
