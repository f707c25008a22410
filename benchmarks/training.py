"""What does orchestration cost, and does training grow in proportion to the book?

The peer is the same library calls in one plain process on all cores.  Sizes are synthetic clients.
"""

import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import Goal, Result, arguments, peak_memory, show

ROOT = Path(__file__).resolve().parents[1]
GOAL = 1.25
#: What each step of the flow imports, and how many tasks run it.
IMPORTS = {
    "start": "import cards, credit.training.dataset, credit.training.candidates",
    "fit": "import cards, credit.training.search, credit.features",
    "choose": "import cards, credit.training.choice",
    "evaluate": "import cards, credit.governance.assessment, credit.governance.keeping, credit.scoring.export",
    "register": "import cards, credit.governance.submission, mlflow.pyfunc",
    "end": "import summary",
}
PLAIN = "from benchmarks.training import plain; plain({clients})"


def plain(clients: int) -> None:
    """Do what the flow does, in this process, one candidate after the other on all cores."""
    from credit import console, cores, portfolio
    from credit.features import definitions
    from credit.governance import submission
    from credit.governance.assessment import assess
    from credit.governance.keeping import keep
    from credit.home import Home
    from credit.scoring.export import export
    from credit.training.candidates import candidates
    from credit.training.choice import choose
    from credit.training.dataset import embedded, prepare
    from credit.training.search import fit

    console.quiet()
    home, book = Home.here(), portfolio.load("home_credit")
    dataset = prepare(book, embedded(book, clients, home.workspace), home.workspace)
    features = definitions(book, dataset.tables)
    train, validation = dataset.load("train"), dataset.load("validation")
    threads = cores.available()
    fitted = {each.name: fit(each, train, book, features, threads=threads) for each in candidates(book)}
    predicted = {name: model.predict(validation) for name, model in fitted.items()}
    references = frozenset(name for name, model in fitted.items() if model.candidate.reference)
    choice = choose(validation[book.target], predicted, references, book.costs)
    scorer = export(fitted[choice.winner], book, features, choice.threshold, train)
    assessment = assess(scorer, fitted, choice, dataset, book, features)
    folder = keep(scorer, fitted, choice, assessment, dataset, book, home, f"plain/{os.getpid()}")
    submission.submit(folder, home)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[10_000, 50_000, 300_000])
    parser.add_argument("--repeats", type=int, default=3, help="of the smallest size; larger ones run once")
    options = parser.parse_args()
    figures: dict[str, Any] = {"data": "synthetic"}
    walls = {}
    for clients in sorted(options.clients):
        repeats = options.repeats if clients == min(options.clients) else 1
        pairs = [(*_timed(_flow, clients), *_timed(_plain, clients)) for _ in range(repeats)]
        flow, flow_cpu, alone, alone_cpu = (median(times) for times in zip(*pairs, strict=True))
        sys.stderr.write(f"{clients:,} clients: flow {flow:.0f} s, one plain process {alone:.0f} s\n")
        walls[clients] = flow
        figures[f"clients_{clients}"] = {
            "flow_seconds": flow,
            "plain_seconds": alone,
            "ratio": flow / alone,
            "flow_cpu_seconds": flow_cpu,  # tells a busy machine from a slow program
            "plain_cpu_seconds": alone_cpu,
            "ratio_cpu": flow_cpu / alone_cpu,
        }
    figures["peak_memory_mib_largest_process"] = peak_memory()
    figures["imports"] = _imports(walls[min(walls)])
    goals = [
        Goal(
            f"flow over plain process, {clients:,} clients",
            figures[f"clients_{clients}"]["ratio"],
            GOAL,
            "lower",
        )
        for clients in walls
    ]
    if len(walls) > 1:
        small, large = min(walls), max(walls)
        growth = math.log(walls[large] / walls[small]) / math.log(large / small)
        goals.append(Goal("growth exponent of the flow's wall time (1 is linear)", growth, 1.1, "lower"))
    show(Result("training", {"clients": options.clients}, options.repeats, figures, goals), options.json)


def _timed(work: Any, clients: int) -> tuple[float, float]:
    """Return the seconds that passed, and the seconds of processor time that all processes used."""
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), _used()
        work(clients, folder)
        return time.perf_counter() - began, _used() - used


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _flow(clients: int, folder: str) -> None:
    _run([sys.executable, str(ROOT / "flows" / "training.py"), "run", "--clients", str(clients)], folder)


def _plain(clients: int, folder: str) -> None:
    _run([sys.executable, "-c", PLAIN.format(clients=clients)], folder)


def _run(command: list[str], folder: str) -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "flows")])
    environment = {**os.environ, "PYTHONPATH": path, "CREDIT_HOME": str(Path(folder) / ".credit")}
    environment.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin would slow whatever shares the cores
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def _imports(wall: float) -> dict[str, Any]:
    """Time each step's imports alone; their share of what the cores had to give during the flow."""
    from credit import cores, portfolio
    from credit.training.candidates import candidates

    tasks = {"fit": len(candidates(portfolio.load("home_credit")))}
    seconds = {}
    for name, statement in IMPORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            code = f"from metaflow import FlowSpec; {statement}"
            times = []
            for _ in range(3):
                began = time.perf_counter()
                _run([sys.executable, "-c", code], folder)
                times.append(time.perf_counter() - began)
        seconds[name] = median(times) * tasks.get(name, 1)
    return {
        "seconds_all_tasks": seconds,
        "share_of_core_time": sum(seconds.values()) / (wall * cores.available()),
    }


if __name__ == "__main__":
    main()
