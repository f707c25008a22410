"""Features at full size: how fast, in how much memory, and what is history worth?

    python -m benchmarks.features --json                          speed, on a synthetic book
    python -m benchmarks.features --sample FOLDER --json          and value, on real relational rows of one's own

Speed: the feature build on DuckDB against the same features in plain pandas (`benchmarks.features_pandas`), and against
what DuckDB needs merely to scan the same columns and group them by client.  Each runs in a process of its own.
Online: one applicant with history in memory.  Value: 5 x 5 folds, paired with the application alone.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold

from benchmarks.common import Goal, Result, arguments, show
from credit import console, portfolio
from credit.data import contract, synthetic, tables
from credit.evaluation.cost import losses
from credit.features import Feature, build, definitions
from credit.features.build import express
from credit.features.online import Online
from credit.portfolio import DEFAULT, Portfolio
from credit.training.selection import select

FULL = 307_511
SHARES = (0.1, 0.3, 1.0)
FASTER, LEANER, LIMIT, GROWTH = 10.0, 1 / 3, 3.0, 1.1
#: What MANIFEST-like notes of the sample's earlier measurements say, at the same settings and folds.
EARLIER = {"auc": 0.755, "cost": 0.519}
FOLDS, REPEATS, SEED = 5, 5, 7
SETTINGS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.02,
    "num_leaves": 8,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "verbose": -1,
    "num_threads": 1,
    "seed": 1,
}


# Work, each in a process of its own


def duckdb_build(folder: str) -> dict[str, Any]:
    """Build the features of a book; the contract's time apart."""
    book = portfolio.load(DEFAULT)
    names = tables.present(book, folder)
    began = time.perf_counter()
    opened = tables.open_tables(book, folder, names=names)
    checked = contract.check(book, opened)
    judged = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        built = build(book, checked.tables, out, "benchmark")
        done = time.perf_counter()
        return {"contract_seconds": judged - began, "seconds": done - judged, "rows": built.rows}


def duckdb_scan(folder: str) -> dict[str, Any]:
    """Scan the columns that features read and group them by their owner: the least that any build must do."""
    book = portfolio.load(DEFAULT)
    names = tables.present(book, folder)
    opened = tables.open_tables(book, folder, names=names)
    used = _columns(book, names)
    began = time.perf_counter()
    for name in names:
        owner = book.tables[name].parent_key or book.key
        table = opened[name]
        sums = {
            column: table[column].max() if table[column].type().is_string() else table[column].sum()
            for column in used[name]
            if column != owner
        }
        grouped = table.group_by(owner).aggregate(**sums)
        grouped.aggregate(**{column: grouped[column].max() for column in sums}).to_pyarrow()  # or nothing is computed
    return {"seconds": time.perf_counter() - began}


def plain_pandas(folder: str) -> dict[str, Any]:
    """Do the same in pandas, reading included."""
    from benchmarks import features_pandas

    began = time.perf_counter()
    made = features_pandas.features(folder)
    return {"seconds": time.perf_counter() - began, "rows": len(made)}


WORK: dict[str, Callable[[str], dict[str, Any]]] = {
    "duckdb_build": duckdb_build,
    "duckdb_scan": duckdb_scan,
    "plain_pandas": plain_pandas,
}


def _columns(book: Portfolio, names: Sequence[str]) -> dict[str, set[str]]:
    """Name the columns of each table that a feature's formula or aggregate mentions."""
    words: dict[str, str] = dict.fromkeys(names, "")
    for feature in definitions(book, names):
        words[feature.table] += feature.aggregate.meaning if feature.aggregate else ""
        words[book.main] += repr(feature.formula)
    return {name: {column for column in book.tables[name].columns if column in words[name]} for name in names}


def _apart(work: str, folder: str) -> dict[str, Any]:
    """Run one piece of work in a fresh process; add its peak memory."""
    command = [sys.executable, "-m", "benchmarks.features", "--work", work, "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{work} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{work}, {Path(folder).name} clients: {found['seconds']:.1f} s, {found['peak_mib']:,.0f} MiB\n")
    return found


# Questions


def speed(clients: int) -> tuple[dict[str, Any], list[Goal]]:
    """Measure shares of a book; pandas at the largest size."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for share in SHARES:
            size = round(clients * share)
            data = Path(folder) / str(size)
            synthetic.write(data, size)
            works = ("duckdb_scan", "duckdb_build") if share < 1 else tuple(reversed(WORK))
            figures[str(size)] = {work: _apart(work, str(data)) for work in works}
            if share < 1:
                for file in data.iterdir():
                    file.unlink()
    sizes = [round(clients * share) for share in SHARES]
    full = figures[str(sizes[-1])]
    built, scanned, pandas = full["duckdb_build"], full["duckdb_scan"], full["plain_pandas"]
    spent = [figures[str(size)]["duckdb_build"]["seconds"] for size in sizes]
    growth = math.log(spent[-1] / spent[0]) / math.log(sizes[-1] / sizes[0])
    goals = [
        Goal("times faster than plain pandas", pandas["seconds"] / built["seconds"], FASTER, "higher"),
        Goal("memory over plain pandas", built["peak_mib"] / pandas["peak_mib"], LEANER, "lower"),
        Goal("time over merely scanning and grouping", built["seconds"] / scanned["seconds"], LIMIT, "lower"),
        Goal("growth exponent (1 is linear)", growth, GROWTH, "lower"),
    ]
    return figures, goals


def online(clients: int = 2_000, asked: int = 60) -> dict[str, Any]:
    """Time single applicants of a synthetic book, and where the time goes."""
    book = portfolio.load(DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        synthetic.write(folder, clients)
        names = tables.present(book, folder)
        raw = {name: pd.read_parquet(Path(folder) / f"{book.tables[name].files[0]}.parquet") for name in names}
    began = time.perf_counter()
    ready = Online(book, definitions(book, names))
    prepared = time.perf_counter() - began
    cases = [_case(book, raw, key) for key in raw[book.main][book.key].head(asked)]
    for application, history in cases[:3]:
        ready.features(application, history)
    seconds, parts = [], []
    for application, history in cases:
        began = time.perf_counter()
        typed = ready.typed([application], history)
        checked = time.perf_counter()
        ready.compute(typed)
        seconds.append(time.perf_counter() - began)
        parts.append({"contract": checked - began, "features": began + seconds[-1] - checked})
    return {
        "prepare_seconds_once": prepared,
        "p50_ms": 1000 * float(np.quantile(seconds, 0.5)),
        "p95_ms": 1000 * float(np.quantile(seconds, 0.95)),
        "median_ms_by_part": {part: 1000 * float(np.median([each[part] for each in parts])) for part in parts[0]},
    }


def _case(book: Portfolio, raw: dict[str, pd.DataFrame], key: int) -> tuple[dict[str, Any], dict[str, Any]]:
    rows: dict[str, pd.DataFrame] = {}
    for name, table in raw.items():
        spec = book.tables[name]
        owners = [key] if spec.parent in (None, book.main) else rows[str(spec.parent)][str(spec.parent_key)]
        rows[name] = table[table[spec.parent_key or book.key].isin(owners)]
    application = rows.pop(book.main).drop(columns=book.target).to_dict("records")[0]
    return application, {name: table.to_dict("records") for name, table in rows.items()}


def value(folder: str) -> tuple[dict[str, Any], list[Goal]]:
    """Compare application only, all features, and features selected inside each train fold, on the same folds."""
    book = portfolio.load(DEFAULT)
    names = tables.present(book, folder)
    checked = contract.check(book, tables.open_tables(book, folder, names=names))
    every = definitions(book, names)
    frame = express(book, checked.tables, every).to_pandas().set_index(book.key)
    order = tables.open_tables(book, folder)[book.main].order_by("__row__")[book.key].to_pyarrow().to_pylist()
    frame = frame.loc[[int(each) for each in order]].reset_index()
    y = frame[book.target].to_numpy()
    alone = tuple(feature for feature in every if feature.tables == {book.main})
    folds = list(RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=SEED).split(frame, y))
    scores: dict[str, list[tuple[float, float]]] = {"application": [], "all": [], "selected": []}
    kept = []
    for number, (inside, outside) in enumerate(folds, start=1):
        chosen = select(frame.iloc[inside].reset_index(drop=True), book, every)
        kept.append(len(chosen.kept))
        selected = tuple(feature for feature in every if feature.name in set(chosen.kept))
        for name, wanted, share in (("application", alone, 0.3), ("all", every, 0.1), ("selected", selected, 0.2)):
            scores[name].append(_fold(frame, y, wanted, inside, outside, share, book))
        sys.stderr.write(f"value: fold {number} of {len(folds)}\n")
    measured = {name: np.array(each) for name, each in scores.items()}
    figures: dict[str, Any] = {
        name: {
            "auc": float(each[:, 0].mean()),
            "auc_sd": float(each[:, 0].std(ddof=1)),
            "cost": float(each[:, 1].mean()),
            "cost_sd": float(each[:, 1].std(ddof=1)),
        }
        for name, each in measured.items()
    }
    pairs = (("all", "application"), ("selected", "application"), ("selected", "all"))
    figures["paired"] = {f"{one} minus {other}": _paired(measured[one] - measured[other]) for one, other in pairs}
    figures["selected_features"] = {"mean": float(np.mean(kept)), "most": max(kept)}
    goals = [
        Goal("AUC of all features", figures["all"]["auc"], EARLIER["auc"], "higher"),
        Goal("cost of all features", figures["all"]["cost"], EARLIER["cost"], "lower"),
        Goal("features selected", max(kept), 150, "lower"),
        Goal(
            "AUC lost by selection for certain",
            max(0.0, -figures["paired"]["selected minus all"]["auc_high"]),
            0,
            "lower",
        ),
    ]
    return figures, goals


def _fold(
    frame: pd.DataFrame,
    y: np.ndarray,
    wanted: Sequence[Feature],
    inside: np.ndarray,
    outside: np.ndarray,
    share: float,
    book: Portfolio,
) -> tuple[float, float]:
    """Stop early inside, refit, and score the fold outside: AUC, and cost at the theoretical threshold."""
    columns = {
        feature.name: frame[feature.name].astype("category").cat.codes.astype(float).replace(-1, np.nan)
        if feature.kind == "category"
        else frame[feature.name].astype(float)
        for feature in wanted
    }
    X = pd.DataFrame(columns).to_numpy()
    settings = {**SETTINGS, "feature_fraction": share}
    inner = list(StratifiedKFold(4, shuffle=True, random_state=0).split(X[inside], y[inside]))
    stopped = lgb.cv(
        settings,
        lgb.Dataset(X[inside], y[inside]),
        num_boost_round=500,
        folds=inner[:2],
        callbacks=[lgb.early_stopping(40, verbose=False)],
    )
    trees = len(stopped["valid binary_logloss-mean"])
    p = lgb.train(settings, lgb.Dataset(X[inside], y[inside]), num_boost_round=trees).predict(X[outside])
    refused = np.asarray(p) >= book.costs.threshold
    return float(roc_auc_score(y[outside], p)), float(losses(y[outside], refused, book.costs).mean())


def _paired(difference: np.ndarray) -> dict[str, Any]:
    """Mean over folds, with an interval that allows for folds sharing their train rows.

    Variance after Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52 (2003).
    """
    found: dict[str, Any] = {"better_folds_auc": int((difference[:, 0] > 0).sum()), "folds": len(difference)}
    for at, name in enumerate(("auc", "cost")):
        spread = difference[:, at].std(ddof=1) * math.sqrt(1 / len(difference) + 1 / (FOLDS - 1))
        mean = float(difference[:, at].mean())
        found |= {name: mean, f"{name}_low": mean - 2.06 * spread, f"{name}_high": mean + 2.06 * spread}
    return found


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=FULL, help="of the synthetic book")
    parser.add_argument("--sample", help="a folder of real relational rows, for the value of history")
    parser.add_argument("--only", choices=("speed", "online", "value"), help="one question alone")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    console.quiet()
    if options.work:
        found = WORK[options.work](options.folder)
        found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(json.dumps(found) + "\n")
        return
    figures: dict[str, Any] = {"speed_data": "synthetic"}
    goals: list[Goal] = []
    if options.only in (None, "speed"):
        figures["speed"], more = speed(options.clients)
        goals += more
    if options.only in (None, "online"):
        figures["online"] = online()
    if options.sample and options.only in (None, "value"):
        figures["value"], more = value(options.sample)
        goals += more
    show(Result("features", {"clients": options.clients}, 1, figures, goals), options.json)


if __name__ == "__main__":
    main()
