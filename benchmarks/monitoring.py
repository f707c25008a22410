"""What does monitoring take, how often does it cry wolf, and how small a change does it see?

    python -m benchmarks.monitoring --json
    python -m benchmarks.monitoring --only time --json          or alarms, or detection

Trains on a part of a synthetic book; all other clients are the pool that windows are drawn from.  The peer in time is
Evidently's own drift preset over all columns of the same frames, each in a process of its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from benchmarks.common import Goal, Result, arguments, show
from credit import console, portfolio
from credit.data import synthetic
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.home import Home
from credit.monitoring import drift, shift, watch
from credit.monitoring.retrain import train
from credit.monitoring.window import Window
from credit.portfolio import DEFAULT, Split
from credit.scoring.baseline import Baseline
from credit.scoring.decider import Decider
from credit.training.dataset import prepare

SEED = 11
#: Shares of the book: what is no training is the pool.
SPLIT = Split(salt="monitoring", train=0.25, validation=0.15, test=0.6)
TIMED = (10_000, 50_000, 300_000)
#: Rows of a window, and how many windows are drawn of it.
ALARMS = {1_000: 300, 5_000: 200, 20_000: 100}
#: Windows of each planted size, and the share of them that must be seen.
REPEATS, SEEN = 10, 0.8
REPORTED = 20
#: Seconds that a run may take at the largest size, and how many times faster than the preset it must be.
BUDGET, FASTER = 60.0, 10.0

Indices = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pool:
    """A model, what it was trained on, and clients it has never seen."""

    decider: Decider
    baseline: Baseline
    features: pd.DataFrame
    parts: pd.DataFrame
    scored: pd.DataFrame

    def window(self, at: Indices) -> Window:
        """Take some clients as a window."""
        tables = (frame.iloc[at].reset_index(drop=True) for frame in (self.features, self.parts, self.scored))
        return Window("the pool", None, None, *tables, {}, True)


def make(clients: int, folder: Path) -> Pool:
    """Train, and take the rest of the book as the pool."""
    book, home = replace(portfolio.load(DEFAULT), split=SPLIT), Home(folder / "home")
    synthetic.write(folder / "book", clients, SEED)
    train(book, folder / "book", home, "Benchmark/1", only=("selected", "prior"))
    registry = Registry(book.name, home)
    version = registry.versions()[-1]
    decider = open_version(registry, version)
    dataset = prepare(book, folder / "book", home.workspace)
    frame = dataset.load("test")
    decided = decider.decide_frame(frame)
    scored = pd.DataFrame(
        {
            "probability": decided["probability_of_default"],
            "decision": decided["decision"].astype(str),
            "outcome": frame[book.target].astype(float),
            "threshold": decider.scorer.threshold,
            "version": version.number,
            "at": None,
            "decision_id": 0,
        }
    )
    parts = dataset.groups(frame[book.key], [*book.groups, *book.segments])
    return Pool(decider, Baseline.load(registry.load(version)), frame[list(decider.scorer.contract)], parts, scored)


# Time and memory, each in a process of its own


def timed(pool: Pool, bundle: Path, folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Measure our run and the preset on the same frames."""
    figures: dict[str, Any] = {}
    for rows in TIMED:
        place = pool.window(rng.integers(len(pool.scored), size=rows)).save(folder / f"rows-{rows}")
        found = {name: _child(name, bundle, place) for name in ("ours", "preset")}
        found["times_faster"] = found["preset"]["seconds"] / found["ours"]["seconds"]
        figures[f"{rows} rows"] = found
        sys.stderr.write(f"{rows} rows: {json.dumps(found)}\n")
    return figures


def _child(name: str, bundle: Path, place: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.monitoring", "--child", name, str(bundle), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def child(name: str, bundle: Path, place: Path) -> None:
    """Do one of the two, and print what it took; reading the frames does not count."""
    decider, baseline, window = Decider.load(bundle), Baseline.load(bundle), Window.load(place)
    work = {"ours": _ours, "preset": _preset}[name]
    before = _peak()
    began = time.perf_counter()
    more = work(decider, baseline, window, place)
    took = time.perf_counter() - began
    print(json.dumps({"seconds": round(took, 2), "peak_mib": _peak(), "before_mib": before, **more}))


def _peak() -> int:
    """Return the most memory that this process has held, in MiB; what getrusage tells, a child inherits (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) // 1024


def _ours(decider: Decider, baseline: Baseline, window: Window, place: Path) -> dict[str, Any]:
    importance = shift.importance(decider.scorer)
    names = sorted(importance, key=lambda each: -importance[each])[:REPORTED]
    began = time.perf_counter()
    watch.watch(decider, baseline, window, run="Benchmark/1")
    own = time.perf_counter() - began
    told = drift.report(baseline, window, names, decider.portfolio, place / "report", seed=SEED)
    return {"own_seconds": round(own, 2), "evidently_seconds": told["seconds"], "columns": len(decider.features)}


def _preset(decider: Decider, baseline: Baseline, window: Window, place: Path) -> dict[str, Any]:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    del decider, place
    names = [name for name in baseline.inputs if not window.features[name].isna().all()]
    Report([DataDriftPreset()]).run(window.features[names], baseline.sample[names]).dict()
    return {"columns": len(names)}


# False alarms


def alarms(pool: Pool, rng: np.random.Generator) -> dict[str, Any]:
    """Draw windows of the population that the model knows; count those that are not OK."""
    figures = {}
    for rows, windows in ALARMS.items():
        found, kinds = Counter[str](), Counter[str]()
        for _ in range(windows):
            window = pool.window(rng.choice(len(pool.scored), rows, replace=False))
            status = watch.watch(pool.decider, pool.baseline, window, run="Benchmark/1")
            found[status["status"]] += 1
            kinds.update({f"{each['severity']} {each['kind']} {each['subject']}" for each in status["findings"]})
        shares = {name: found[name] / windows for name in ("OK", "WARN", "ALERT")}
        figures[f"{rows} rows"] = {"windows": windows, **shares, "by": dict(kinds.most_common(8))}
        sys.stderr.write(f"{rows} rows: {json.dumps(figures[f'{rows} rows'])}\n")
    return figures


# Detection


def detection(pool: Pool, rng: np.random.Generator) -> dict[str, Any]:
    """Find the smallest planted change that is seen in most windows, by kind of change and rows of the window."""
    return {
        name: {f"{rows} rows": _smallest(pool, plant, sizes, rows, rng) for rows in ALARMS}
        for name, (sizes, plant) in _plants(pool).items()
    }


Plant = Callable[[Pool, int, float, np.random.Generator], tuple[Window, Callable[[Any], bool]]]


def _plants(pool: Pool) -> dict[str, tuple[tuple[float, ...], Plant]]:
    importance = shift.importance(pool.decider.scorer)
    kinds = {item.name: item.levels is None for item in pool.decider.scorer.inputs}
    ordered = sorted(importance, key=lambda each: -importance[each])
    number = next(name for name in ordered if kinds[name])
    category = next(name for name in ordered if not kinds[name])
    spread = float(pool.features[number].std())

    def score(pool: Pool, rows: int, size: float, rng: np.random.Generator) -> Any:
        z = logit(pool.scored["probability"].to_numpy())
        weight = np.exp(size * (z - z.mean()) / z.std())
        at = rng.choice(len(z), rows, replace=True, p=weight / weight.sum())
        return pool.window(at), lambda each: each.kind in ("score", "cost")

    def feature(name: str, change: Callable[[pd.Series, float, np.random.Generator], pd.Series]) -> Plant:
        def plant(pool: Pool, rows: int, size: float, rng: np.random.Generator) -> Any:
            window = pool.window(rng.choice(len(pool.scored), rows, replace=False))
            features = window.features.assign(**{name: change(window.features[name], size, rng)})
            decided = pool.decider.scorer.decide(features)
            words = decided["decision"].astype(str)
            scored = window.scored.assign(probability=decided["probability_of_default"], decision=words)
            return replace(window, features=features, scored=scored), lambda each: each.subject == name

        return plant

    def gone(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
        return values.mask(rng.random(len(values)) < share)

    def strange(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
        return values.astype(object).mask(rng.random(len(values)) < share, "NEVER SEEN")

    moved = feature(number, lambda values, size, _: values + size * spread)
    return {
        "score, in standard deviations of its log-odds": ((0.05, 0.1, 0.2, 0.3, 0.4, 0.5), score),
        f"{number}, in standard deviations": ((0.1, 0.2, 0.3, 0.4, 0.5, 0.75), moved),
        f"{number}, share gone missing": ((0.02, 0.05, 0.1, 0.15, 0.2, 0.3), feature(number, gone)),
        f"{category}, share of an unseen level": ((0.005, 0.01, 0.02, 0.03, 0.05, 0.1), feature(category, strange)),
    }


def _smallest(
    pool: Pool, plant: Plant, sizes: tuple[float, ...], rows: int, rng: np.random.Generator
) -> dict[str, float | None]:
    """Go up the sizes; return the first that is seen, and the first that alerts, in most windows."""
    found: dict[str, float | None] = {"seen": None, "alert": None}
    for size in sizes:
        seen = list(_seen(pool, plant, rows, size, rng))
        for name, share in (("seen", np.mean([any(each) for each in seen])), ("alert", np.mean([e[1] for e in seen]))):
            if found[name] is None and share >= SEEN:
                found[name] = size
        if None not in found.values():
            break
    sys.stderr.write(f"{rows} rows: {json.dumps(found)}\n")
    return found


def _seen(pool: Pool, plant: Plant, rows: int, size: float, rng: np.random.Generator) -> Iterator[tuple[bool, bool]]:
    """Yield for each window whether it was warned of, and whether it was alerted."""
    limits = pool.decider.portfolio.monitoring
    for _ in range(REPEATS):
        window, about = plant(pool, rows, size, rng)
        window = replace(window, scored=window.scored.assign(outcome=np.nan))
        pieces = (
            watch.moved(pool.decider, pool.baseline, window, limits, SEED, costed=0),
            watch.paid(pool.decider, pool.baseline, window, limits),
        )
        found = [each for piece in pieces for each in piece.findings if about(each)]
        yield any(each.severity == "WARN" for each in found), any(each.severity == "ALERT" for each in found)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=50_000, help="of the synthetic book")
    parser.add_argument("--only", choices=("time", "alarms", "detection"), help="one question alone")
    parser.add_argument("--child", nargs=3, metavar=("WORK", "BUNDLE", "ROWS"), help="used by the benchmark itself")
    options = parser.parse_args()
    console.quiet()
    if options.child:
        child(options.child[0], Path(options.child[1]), Path(options.child[2]))
        return
    figures: dict[str, Any] = {}
    goals = []
    with tempfile.TemporaryDirectory() as folder:
        pool, rng = make(options.clients, Path(folder)), np.random.default_rng(SEED)
        bundle = next((Path(folder) / "home").glob("workspace/models/*"))
        if options.only in (None, "time"):
            figures["time"] = timed(pool, bundle, Path(folder), rng)
            largest = figures["time"][f"{TIMED[-1]} rows"]
            goals += [
                Goal("times faster than Evidently's preset, 300,000 rows", largest["times_faster"], FASTER, "higher"),
                Goal("seconds of a run, 300,000 rows", largest["ours"]["seconds"], BUDGET, "lower"),
            ]
        if options.only in (None, "alarms"):
            figures["alarms"] = alarms(pool, rng)
            goals += [
                Goal(f"share of windows with a false alert, {name}", found["ALERT"], 0.01, "lower")
                for name, found in figures["alarms"].items()
            ]
        if options.only in (None, "detection"):
            figures["detection"] = detection(pool, rng)
    sizes = {"clients": options.clients, "pool": len(pool.scored), "features": len(pool.decider.features)}
    sizes |= {"timed": list(TIMED), "windows": ALARMS, "windows_planted": REPEATS}
    show(Result("monitoring", sizes, 1, figures, goals), options.json)


if __name__ == "__main__":
    main()
