"""What does a decision cost beyond the model: one row, a batch, an applicant with history, a request over HTTP?

    python -m benchmarks.scoring --json                       a champion trained for the purpose, on synthetic clients
    python -m benchmarks.scoring --champion --json            the registered champion of CREDIT_HOME
    python -m benchmarks.scoring --champion --only row        one question: row, batch, online or http

The peer is LightGBM's own Booster.predict on the same, already encoded rows; beside it the same bundle behind
mlflow.pyfunc, and a scikit-learn pipeline of the same features, trees and leaves.  Rows are synthetic.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import Goal, Result, arguments, show
from credit import console, cores, features
from credit.data import contract, synthetic, tables
from credit.data.clients import Clients
from credit.errors import ConfigError
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.home import Home
from credit.portfolio import DEFAULT
from credit.scoring.decider import Decider
from credit.scoring.explain import contributions
from credit.training import candidates

ROOT = Path(__file__).resolve().parents[1]
CLIENTS, SEED = 10_000, 13
BATCH, REPEATS, ROWS, ASKED = 20_000, 7, 400, 100
EACH, CROWD = 40, (1, 8, 32)
STARTS = 120.0

Figures = dict[str, Any]
Found = tuple[Figures, list[Goal]]


@dataclass(frozen=True)
class Case:
    """A champion, and synthetic clients that it has not seen."""

    decider: Decider
    uri: str
    home: Path
    folder: Path

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The clients' features, some repeated to make a batch."""
        book = self.decider.portfolio
        names = features.needed(book, self.decider.features)
        opened = tables.open_tables(book, self.folder, names=names)
        made = features.express(book, contract.check(book, opened).tables, self.decider.features).to_pandas()
        return made.iloc[np.resize(np.arange(len(made)), BATCH)].reset_index(drop=True)

    @cached_property
    def cases(self) -> list[tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]]:
        """Raw applicants with their history."""
        book = self.decider.portfolio
        clients = Clients(book, self.folder)
        found = [clients.case(key) for key in clients.numbers("", ASKED)]
        return [({k: v for k, v in one.items() if k != book.target}, history) for one, history in found]


# Questions


def row(case: Case) -> Found:
    """Take one prepared row to a decision with costs and band."""
    decider, booster = case.decider, case.decider.scorer.booster
    frame = case.rows.head(ROWS)
    mappings = frame.astype(object).where(frame.notna(), None).to_dict("records")
    sequences = [[each[item.name] for item in decider.scorer.inputs] for each in mappings]
    encoded = decider.scorer.matrix(frame)
    pyfunc, pipeline = _pyfunc(case), _pipeline(case)
    names = [item.name for item in decider.scorer.inputs]
    ways: dict[str, Callable[[int], Any]] = {
        "booster": lambda at: booster.predict(encoded[at : at + 1], num_threads=1),
        "mapping": lambda at: decider.outcome(mappings[at]),
        "sequence": lambda at: decider.outcome(sequences[at]),
        "contributions_booster": lambda at: booster.predict(encoded[at : at + 1], pred_contrib=True, num_threads=1),
    }
    slow: dict[str, Callable[[int], Any]] = {
        "mlflow_pyfunc": lambda at: pyfunc.predict(frame.iloc[[at]]),
        "sklearn_pipeline": lambda at: pipeline.predict_proba(frame[names].iloc[[at]]),
    }
    figures = {f"{name}_ms": times for name, times in {**_alternate(ways, ROWS), **_alternate(slow, 40)}.items()}
    base = figures["booster_ms"]["p50"]
    goals = [
        Goal(f"one row as a {kind} over Booster.predict, p50", figures[f"{kind}_ms"]["p50"] / base, 3, "lower")
        for kind in ("mapping", "sequence")
    ]
    return figures, goals


def batch(case: Case) -> Found:
    """Take a frame of prepared rows to decisions, and attribute some."""
    decider, booster, frame = case.decider, case.decider.scorer.booster, case.rows
    encoded, few = decider.scorer.matrix(frame), frame.head(2_000)
    matrix, threads = decider.scorer.matrix(few), cores.available()
    pyfunc, pipeline = _pyfunc(case), _pipeline(case)
    names = [item.name for item in decider.scorer.inputs]
    figures: Figures = {"rows": len(frame), "threads": threads}
    goals = []
    for number in dict.fromkeys((1, threads)):
        ways: dict[str, Callable[[int], Any]] = {
            "booster": lambda _, n=number: booster.predict(encoded, num_threads=n),
            "decider": lambda _, n=number: decider.decide_frame(frame, threads=n),
        }
        times = _alternate(ways, REPEATS)
        share = times["booster"]["p50"] / times["decider"]["p50"]
        figures[f"threads_{number}"] = {
            f"{name}_rows_per_second": 1000 * len(frame) / each["p50"] for name, each in times.items()
        }
        goals.append(Goal(f"batch throughput over Booster.predict, threads: {number}", share, 0.9, "higher"))
    beside = {
        "mlflow_pyfunc": lambda _: pyfunc.predict(frame),
        "sklearn_pipeline": lambda _: pipeline.predict_proba(frame[names]),
    }
    for name, each in _alternate(beside, 3).items():
        figures[f"{name}_rows_per_second"] = 1000 * len(frame) / each["p50"]
    shap = _alternate(
        {
            "booster": lambda _: booster.predict(matrix, pred_contrib=True, num_threads=1),
            "contributions": lambda _: contributions(decider.scorer, few),
        },
        3,
    )
    figures["attributions"] = {f"{name}_rows_per_second": 2e6 / each["p50"] for name, each in shap.items()}
    ratio = shap["contributions"]["p50"] / shap["booster"]["p50"]
    goals.append(Goal("attributions with their check over pred_contrib, time", ratio, 1.15, "lower"))
    return figures, goals


def online(case: Case) -> Found:
    """Take one raw applicant through contract, features and decision with reasons, in this process."""
    began = time.perf_counter()
    ready = case.decider.online
    figures: Figures = {"prepare_seconds_once": time.perf_counter() - began}
    goals = []
    for name, limit, keep in (("with_history", 50, True), ("without_history", 15, False)):
        asked = [(application, history if keep else None) for application, history in case.cases]
        typed = [ready.typed([application], history) for application, history in asked]
        ways: dict[str, Callable[[int], Any]] = {
            "contract": lambda at, asked=asked: ready.typed([asked[at][0]], asked[at][1]),
            "features": lambda at, typed=typed: ready.compute(typed[at]),
            "both": lambda at, asked=asked: ready.compute(ready.typed([asked[at][0]], asked[at][1])),
            "decision": lambda at, asked=asked: case.decider.decide(*asked[at]),
        }
        figures[f"{name}_ms"] = _alternate(ways, len(asked))
        p50 = figures[f"{name}_ms"]["both"]["p50"]
        goals.append(Goal(f"features of an applicant {name.replace('_', ' ')}, p50 ms", p50, limit, "lower"))
    return figures, goals


def http(case: Case) -> Found:
    """Ask the server as it is started, from 1, 8 and 32 clients."""
    figures: Figures = {}
    errors = 0
    with _server(case) as address:
        for name, keep in (("application", False), ("with_history", True)):
            bodies = case.folder / f"{name}.jsonl"
            sent = [{"application": one, **({"history": past} if keep else {})} for one, past in case.cases]
            bodies.write_text("".join(json.dumps(_json(each)) + "\n" for each in sent), encoding="utf-8")
            for crowd in CROWD:
                command = ["-m", "benchmarks.load", f"{address}/api/v1/score", str(bodies), str(crowd), str(EACH * 8)]
                done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout)
                errors += sum(found["errors"].values())
                figures[f"{name}_clients_{crowd}"] = {
                    **_times(found["seconds"]),
                    "per_second": len(found["seconds"]) / found["wall"],
                    "errors": found["errors"],
                }
    return figures, [Goal("HTTP errors", errors, 0, "lower")]


WORK: dict[str, Callable[[Case], Found]] = {"row": row, "batch": batch, "online": online, "http": http}


# Means


def _alternate(ways: dict[str, Callable[[int], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Time several ways in turn, so that a busy moment meets all of them alike; ms."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for work in ways.values():
        work(0)
    for at in range(repeats):
        for name, work in ways.items():
            began = time.perf_counter()
            work(at)
            seconds[name].append(time.perf_counter() - began)
    return {name: _times(each) for name, each in seconds.items()}


def _times(seconds: list[float]) -> dict[str, float]:
    return {f"p{share}": 1000 * float(np.quantile(seconds, share / 100)) for share in (50, 95, 99)}


def _pyfunc(case: Case) -> Any:
    """Load the registered model as MLflow loads it."""
    import mlflow

    mlflow.set_tracking_uri(Home(case.home).tracking_uri)
    return mlflow.pyfunc.load_model(case.uri)


def _pipeline(case: Case) -> Any:
    """Fit a scikit-learn pipeline of the champion's features, trees and leaves, on made-up outcomes."""
    decider = case.decider
    leaves = {"num_leaves": decider.scorer.about["parameters"].get("num_leaves", 16)}
    chosen = candidates.candidates(decider.portfolio)[0]
    chosen = replace(chosen, parameters={**leaves, "n_estimators": decider.scorer.booster.num_trees()})
    kept = candidates.ordered(decider.features)
    train = case.rows.head(5_000)
    outcome = np.random.default_rng(0).random(len(train)) < 0.1
    return candidates.build(chosen, kept, threads=1, seed=0).fit(train[[each.name for each in kept]], outcome)


@contextmanager
def _server(case: Case) -> Iterator[str]:
    """Start the app on a free port, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "CREDIT_HOME": str(case.home), "CREDIT_APP_RATE": "0"}
    command = [sys.executable, "-m", "gradio_app", "--port", str(port), "--data", str(case.folder)]
    with (case.folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(server, f"{address}/ready", case.folder / "server.log")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=STARTS)


def _wait(server: Any, address: str, log: Path) -> None:
    end = time.monotonic() + STARTS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"the server does not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _json(value: Any) -> Any:
    """Make raw rows fit for JSON."""
    if isinstance(value, dict):
        return {key: _json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _champion(home: Path) -> tuple[Decider, str]:
    registry = Registry(DEFAULT, Home(home))
    version = registry.champion()
    if version is None:
        raise ConfigError("--champion: there is none; train one first: python flows/training.py run.")
    return open_version(registry, version), f"models:/{version.model}/{version.number}"


def _train(home: Path, clients: int) -> None:
    """Register a champion in a home of its own."""
    command = [sys.executable, str(ROOT / "flows" / "training.py"), "run", "--clients", str(clients)]
    environment = {**os.environ, "CREDIT_HOME": str(home)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(command, cwd=home.parent, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"training failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--champion", action="store_true", help="measure the registered champion")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="of the book that a champion is trained on")
    parser.add_argument("--only", choices=WORK, action="append", help="one question; may be given several times")
    options = parser.parse_args()
    console.quiet()
    figures: Figures = {"data": "synthetic"}
    goals: list[Goal] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = Home.here().root if options.champion else folder / "home"
        if not options.champion:
            _train(home, options.clients)
        synthetic.write(folder / "book", 2_000, SEED)
        decider, uri = _champion(home)
        case = Case(decider, uri, home, folder / "book")
        model = {"features": len(decider.features), "trees": decider.scorer.booster.num_trees()}
        for name in options.only or WORK:
            figures[name], more = WORK[name](case)
            goals += more
    show(Result("scoring", {**model, "batch": BATCH}, REPEATS, figures, goals), options.json)


if __name__ == "__main__":
    main()
