"""A whole book on two cores: how fast, in how much memory, and does it grow in proportion?

    python -m benchmarks.book --json                   10 million prepared rows, and 300,000 clients from raw tables
    python -m benchmarks.book --rows 200000 --clients 5000 --json                                       a small run

Needs a champion (`python flows/training.py run`).  Each size is one run of ScoringFlow as a user starts it, Metaflow
included, in a process of its own; memory is that of its largest process.  Prepared rows are the features of synthetic
clients, repeated under new keys.  The limit is LightGBM's own `Booster.predict` on the same rows, as a matrix in
memory, on the same threads: no reading, no judging, no writing.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import Goal, Result, arguments, peak_memory, show
from credit import console, cores
from credit.data import synthetic
from credit.errors import ModelError
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.portfolio import DEFAULT, load
from credit.scoring import book
from credit.scoring.decider import Decider

FLOW = Path(__file__).resolve().parents[1] / "flows" / "scoring.py"
SHARES = (0.1, 0.3, 1.0)
GROWTH, LEVEL = 1.1, 1.5
#: Clients whose features are repeated, and rows that the limit is measured on.
DRAWN, LIMIT_ROWS, REPEATS = 20_000, 500_000, 3


def flow(*options: str) -> dict[str, Any]:
    """Run ScoringFlow; say how long it took, and what its largest process held."""
    began = time.perf_counter()
    environment = os.environ | {"METAFLOW_USER": "benchmark"}
    done = subprocess.run(
        [sys.executable, str(FLOW), "run", *options], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return {"seconds": time.perf_counter() - began, "peak_mib": peak_memory()}


def limit(features: str, threads: str) -> dict[str, Any]:
    """Let LightGBM predict a matrix."""
    decider = champion()
    frame = pq.read_table(features).to_pandas()
    matrix = decider.scorer.matrix(frame)
    matrix = np.tile(matrix, (-(-LIMIT_ROWS // len(matrix)), 1))[:LIMIT_ROWS]
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        decider.scorer.booster.predict(matrix, raw_score=True, num_threads=int(threads))
        times.append(time.perf_counter() - began)
    return {"rows_per_second": len(matrix) / float(np.median(times))}


WORK = {"flow": flow, "limit": limit}


def champion() -> Decider:
    """Open the model in use."""
    registry = Registry(load(DEFAULT).name)
    version = registry.champion()
    if version is None:
        raise ModelError(f"{registry.model}: has no champion; train one with `python flows/training.py run`.")
    return open_version(registry, version)


def apart(work: str, *options: str) -> dict[str, Any]:
    """Do it in a process of its own, whose children's memory is theirs alone."""
    words = [sys.executable, "-m", "benchmarks.book", "--work", work, *(f"--option={each}" for each in options)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def repeat(features: Path, key: str, rows: int, target: Path) -> None:
    """Write as many rows, the features under new keys, a row group at a time."""
    drawn = pq.read_table(features)
    at = drawn.schema.get_field_index(key)
    with pq.ParquetWriter(target, drawn.schema, compression="zstd") as file:
        for first in range(0, rows, len(drawn)):
            part = drawn.slice(0, min(len(drawn), rows - first))
            keys = pa.array(np.arange(first + 1, first + 1 + len(part)), drawn.schema.field(at).type)
            file.write_table(part.set_column(at, drawn.schema.field(at), keys))


def grown(sizes: Sequence[int], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum runs of growing sizes up."""
    largest = runs[-1]
    return {
        "runs": [{"rows": size, **run} for size, run in zip(sizes, runs, strict=True)],
        "seconds": largest["seconds"],
        "rows_per_second": sizes[-1] / largest["seconds"],
        "peak_mib": largest["peak_mib"],
        "growth_exponent": math.log(largest["seconds"] / runs[0]["seconds"]) / math.log(sizes[-1] / sizes[0]),
        "memory_ratio": largest["peak_mib"] / runs[0]["peak_mib"],
    }


def measure(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[Goal]]:
    """Run all sizes; what is on disk is removed after each."""
    decider, threads = champion(), cores.available()
    source = folder / "drawn"
    synthetic.write(source, min(DRAWN, options.rows), 7, "parquet")
    features = Path(book.prepare(decider, source, folder / "features", labelled=True).features)
    figures: dict[str, Any] = {"threads": threads, "limit": apart("limit", str(features), str(threads))}
    figures["features"] = len(decider.features)
    rows = [max(1, round(share * options.rows)) for share in SHARES]
    figures["prepared"] = grown(rows, [_prepared(features, decider.portfolio.key, each, folder) for each in rows])
    clients = [max(100, round(share * options.clients)) for share in SHARES]
    figures["raw"] = grown(clients, [_raw(each, folder) for each in clients])
    figures["times_the_limit"] = figures["limit"]["rows_per_second"] / figures["prepared"]["rows_per_second"]
    goals = []
    for name in ("prepared", "raw"):
        goals.append(Goal(f"growth exponent, {name}", figures[name]["growth_exponent"], GROWTH, "lower"))
        goals.append(Goal(f"memory of 10 times the rows, {name}", figures[name]["memory_ratio"], LEVEL, "lower"))
    return figures, goals


def _prepared(features: Path, key: str, rows: int, folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        file = Path(place) / "rows.parquet"
        repeat(features, key, rows, file)
        size = file.stat().st_size / 2**20
        return apart("flow", "--features", str(file), "--out", f"{place}/out") | {"file_mib": size}


def _raw(clients: int, folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        synthetic.write(Path(place) / "raw", clients, 7, "parquet")
        return apart("flow", "--data", f"{place}/raw", "--labelled", "true", "--out", f"{place}/out")


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="prepared rows of the largest run")
    parser.add_argument("--clients", type=int, default=300_000, help="clients with raw tables of the largest run")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--option", action="append", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    console.quiet()
    if options.work:
        sys.stdout.write(json.dumps(WORK[options.work](*options.option)) + "\n")
        return
    console.configure()
    with tempfile.TemporaryDirectory() as folder:
        figures, goals = measure(options, Path(folder))
    show(Result("book", {"rows": options.rows, "clients": options.clients}, 1, figures, goals), options.json)


if __name__ == "__main__":
    main()
