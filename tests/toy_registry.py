"""Small releases and copied stores, for the tests of the registry."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from credit.evaluation.metrics import Interval
from credit.governance import release as releases
from credit.governance.registry import Registry
from credit.governance.release import Candidate, Data
from credit.governance.verdict import Rule, Verdict
from credit.home import Home

PORTFOLIO = "toy"
SAMPLE = pd.DataFrame(
    {"income": [1.5, np.nan], "children": [0, 2], "kind": pd.Categorical(["cash", None]), "city": ["x", "y"]}
)
SAID = pd.DataFrame({"probability_of_default": [0.1, 0.2], "decision": ["approve", "decline"]})
RULE = Rule("calibration slope", 1.02, 0.9, 1.1, "0.7 to 1.3", True, "Fine.")


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Stores with 0 to 3 champions in a row: making tables and runs takes seconds, copying them does not."""
    root = tmp_path_factory.mktemp("stores")
    registry = Registry(PORTFOLIO, Home(root / "home"))
    registry.home.root.mkdir(parents=True)
    MlflowClient(registry.home.tracking_uri).search_experiments()  # makes the tables
    against = registry.champion()
    for number in range(4):
        if number:
            made = make(root / f"r{number}", f"model {number}", "promoted" if against else "first", against)
            version = registry.publish(made)
            assert (version.number, version.is_champion) == (number, True)
            against = version.digest
        shutil.copytree(root / "home", root / str(number), ignore=shutil.ignore_patterns("artifacts", "*.lock"))
    return root


@pytest.fixture
def grown(stores, tmp_path):
    """Copy a store where models 1 to `number` were promoted, each over the one before it."""

    def copy(number):
        shutil.copytree(stores / str(number), tmp_path / f"home{number}")
        return Registry(PORTFOLIO, Home(tmp_path / f"home{number}"))

    return copy


@pytest.fixture
def registry(grown):
    return grown(0)


@pytest.fixture
def home(registry):
    return registry.home


def keep(folder, text="a tree", **parts):
    """Write a release whose bundle is told apart by `text`; the registry never reads it."""
    bundle = Path(folder) / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "model.txt").write_text(text)
    (bundle / "scorer.json").write_text("{}")
    given = {
        "portfolio": PORTFOLIO,
        "data": Data("synthetic", "d" * 64, 1000, "test.parquet"),
        "truth": pd.DataFrame({"y_true": [0, 1], "y_prob": [0.1, 0.2], "decision": ["approve", "decline"]}),
        "groups": pd.DataFrame({"age": ["young", None]}),
        "auc_gap": Interval(0.01, -0.01, 0.03),
        "sample": SAMPLE,
        "predictions": SAID,
        "params": {"seed": 7},
        "metrics": {"auc": 0.75},
        "tags": {"metaflow_run_id": "42"},
        "candidates": [Candidate("native", {"leaves": 31}, {"cost": 0.5}, {"rounds.csv": "a,b\n1,2\n"})],
        "artifacts": {"plots/curve.png": b"png", "policies.csv": "x\n1\n"},
    }
    return releases.write(folder, **given | parts)


def judge(kept, outcome="first", against=None, rules=(RULE,)):
    text = (kept.bundle / "model.txt").read_text()
    digest = releases.digest(kept.bundle)
    return releases.judge(kept, Verdict(outcome, f"{text}: {outcome}.", rules, digest, against))


def make(folder, text="a tree", outcome="first", against=None):
    return judge(keep(folder, text), outcome, against)


def moves(registry):
    return [(e.kind, e.payload["from"], e.payload["to"]) for e in registry.history() if e.kind != "registration"]


def assert_one_valid_champion(registry, *allowed):
    champions = [version.number for version in registry.versions() if version.is_champion]
    assert len(champions) == 1
    assert champions[0] in allowed
    champion = registry.champion()
    assert champion.number == champions[0]
    assert releases.digest(registry.load(champion)) == champion.digest
    return champion
