r"""Does monitoring stay silent on real applicants of one population, and tell planted drift from what is no drift?

No real rows come with the project: give labelled ones with --labelled, and those of another kind with --other.

    python -m benchmarks.real_drift --labelled application_train.csv.gz MORE.parquet \
        --other application_test.csv.gz --json

The labelled rows are cut into blocks in the order of the client number.  Every other block trains a model of the
application alone; the rest are windows, as they are and with drift planted in one of them.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import Goal, Result, arguments, show
from credit import console, portfolio
from credit.data.synthetic_drift import DRIFTS
from credit.errors import ContractError
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.home import Home
from credit.monitoring import watch
from credit.monitoring.retrain import train
from credit.monitoring.window import from_tables
from credit.portfolio import DEFAULT, Portfolio
from credit.scoring.baseline import Baseline
from credit.scoring.decider import Decider

BLOCKS, SEED = 6, 7
#: What each planted drift changes: (kind, column), or the outcomes.
EXPECTED = {
    "income": ("feature", "AMT_INCOME_TOTAL"),
    "score": ("feature", "EXT_SOURCE_2"),
    "younger": ("feature", "DAYS_BIRTH"),
    "labels": ("outcome", ""),
}
#: Odds of default that the planted change of outcomes multiplies.
ODDS = 2.0


def rows(files: list[str]) -> pd.DataFrame:
    """Read raw applications, and put them in the order of the client number."""
    frames = [pd.read_parquet(file) if file.endswith(".parquet") else pd.read_csv(file) for file in files]
    joined = pd.concat(frames, ignore_index=True)
    if joined["SK_ID_CURR"].duplicated().any():
        raise ContractError("--labelled: some clients come twice; give each file once.")
    return joined.sort_values("SK_ID_CURR", ignore_index=True)


class Watched:
    """A model of the application alone, and what it was trained on."""

    def __init__(self, book: Portfolio, frame: pd.DataFrame, folder: Path) -> None:
        self.book, self.folder = book, folder
        home = Home(folder / "home")
        train(book, self._written("train", frame, labelled=True), home, "Benchmark/1", only=("application", "prior"))
        registry = Registry(book.name, home)
        version = registry.versions()[-1]
        self.decider: Decider = open_version(registry, version)
        self.baseline = Baseline.load(registry.load(version))

    def status(self, name: str, frame: pd.DataFrame, labelled: bool = True) -> dict[str, Any]:
        """Hold a window of raw applications against it."""
        source = self._written(name, frame, labelled=labelled)
        window = from_tables(self.decider, self.baseline, source, history="none", labelled=labelled)
        return watch.watch(self.decider, self.baseline, window, run=f"Benchmark/{name}", seed=SEED)

    def _written(self, name: str, frame: pd.DataFrame, *, labelled: bool) -> str:
        place = self.folder / name
        place.mkdir()
        frame.to_parquet(place / f"application_{'train' if labelled else 'test'}.parquet")
        return str(place)


def told(status: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a reader wants of a status."""
    money, score = status["money"], status["score"]
    shifted = sorted(status["features"], key=lambda row: -row["psi"])[:5]
    return {
        "status": status["status"],
        "applicants": status["window"]["applicants"],
        "findings": [f"{each['severity']} {each['kind']} {each['subject']}" for each in status["findings"][:8]],
        "score_psi": score["psi"],
        "score_mean": [score["mean_before"], score["mean_now"]],
        "largest_psi": {row["feature"]: round(row["psi"], 4) for row in shifted},
        "cost": {name: money[name] and money[name]["estimate"] for name in ("promised", "expected", "realised")},
        "drift_cost": {row["feature"]: row["cost"] for row in money["drift"]},
    }


def labels_shifted(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Let good clients default until the odds are `ODDS` times what they were; who applies stays the same."""
    rate = frame["TARGET"].mean()
    odds = ODDS * rate / (1 - rate)
    extra = (odds / (1 + odds) - rate) / (1 - rate)
    return frame.assign(TARGET=frame["TARGET"].where(rng.random(len(frame)) >= extra, 1))


def planted_windows(frame: pd.DataFrame, spare: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Plant each drift in a block; a drift that chooses who applies chooses from `spare` too."""
    windows = {}
    for name in ("income", "score", "younger"):
        pool = pd.concat([frame, spare]) if name == "younger" else frame
        changed, _ = DRIFTS[name].change(pool.reset_index(drop=True), np.zeros(len(pool)), rng)
        windows[name] = changed.head(len(frame)).reset_index(drop=True)
    return windows | {"labels": labels_shifted(frame, rng)}


def caught(name: str, status: Mapping[str, Any], made_of: Mapping[str, str]) -> dict[str, bool]:
    """Whether a planted drift raises a finding, and is at the root of what is ranked first among its kind.

    A column moves what is computed from it too: the first feature must be the column, or be made of it.
    """
    kind, subject = EXPECTED[name]
    if kind == "outcome":
        first = status["findings"][0]["kind"] if status["findings"] else ""
        return {"caught": first in ("cost", "calibration"), "column_first": first in ("cost", "calibration")}
    found = [each["subject"] for each in status["findings"] if each["kind"] == "feature"]
    largest = max(status["features"], key=lambda row: row["psi"])["feature"]
    return {"caught": subject in found and subject in made_of[found[0]], "column_first": largest == subject}


def mix(before: pd.Series, now: pd.Series) -> dict[str, list[float]]:
    """Compare the share of each level."""
    shares = [side.value_counts(normalize=True) for side in (before, now)]
    return {str(level): [float(share.get(level, 0.0)) for share in shares] for level in shares[0].index}


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--labelled", nargs="+", required=True, help="labelled applications: CSV or Parquet")
    parser.add_argument("--other", nargs="+", default=[], help="applications without an outcome, as application_test")
    options = parser.parse_args()
    console.quiet()
    console.configure()
    frame, rng = rows(options.labelled), np.random.default_rng(SEED)
    blocks = [frame.iloc[at].reset_index(drop=True) for at in np.array_split(np.arange(len(frame)), BLOCKS)]
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(portfolio.load(DEFAULT), pd.concat(blocks[::2], ignore_index=True), Path(folder))
        plain = {f"block {at}": watched.status(f"block-{at}", blocks[at]) for at in range(1, BLOCKS, 2)}
        windows = planted_windows(blocks[1], pd.concat([blocks[3], blocks[5]]), rng)
        drifted = {name: watched.status(f"planted-{name}", window) for name, window in windows.items()}
        made_of = {each.name: f"{each.name} {each.formula!r}" for each in watched.decider.features}
        seen = {name: caught(name, status, made_of) for name, status in drifted.items()}
        figures: dict[str, Any] = {
            "plain": {name: told(status) for name, status in plain.items()},
            "planted": {name: told(status) | seen[name] for name, status in drifted.items()},
        }
        if options.other:
            other = rows(options.other)
            found, column = watched.status("other", other, labelled=False), "NAME_CONTRACT_TYPE"
            figures["other"] = told(found) | {column: mix(frame[column], other[column])}
            figures["other"]["contract"] = [row for row in found["parts"] if row["part"] == "contract"]
    goals = [
        Goal("plain blocks with a status other than OK", sum(s["status"] != "OK" for s in plain.values()), 0, "lower"),
        Goal("planted drifts caught and ranked first", sum(each["caught"] for each in seen.values()), 4, "higher"),
    ]
    sizes = {"rows": len(frame), "defaults": int(frame["TARGET"].sum()), "blocks": BLOCKS}
    show(Result("real_drift", sizes, 1, figures, goals), options.json)


if __name__ == "__main__":
    main()
