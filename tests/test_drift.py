"""Evidently's report: its figures against our own arithmetic, what it is spared, and that it reaches nobody."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from learning import shop
from scipy.stats import wasserstein_distance
from sklearn.metrics import roc_auc_score
from watching_util import INPUTS, baseline, window

from credit.errors import DataError
from credit.monitoring import drift
from credit.monitoring.drift import report
from credit.scoring.baseline import OUTCOME, SCORE

SHOP = shop()
EVIL = "</script><script>document.title='evil';fetch('http://outside.test/')</script>"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One report of a shifted window, all outcomes known, with an unknown level that tries to run."""
    folder = tmp_path_factory.mktemp("drift")
    now = window(known="everybody", synthetic=True)
    now.features["amount"] += 200.0
    now.features["town"] = pd.Series([EVIL, "town a"] * 150, dtype="str")
    now.features["months"] = np.nan
    workspace = folder / "evidently"
    told = report(baseline(), now, INPUTS, SHOP, folder / "run", workspace=workspace, budget=600)
    return told, now


def figures(told):
    read = json.loads(Path(told["json"]).read_text(encoding="utf-8"), parse_constant=pytest.fail)
    return read["metrics"]


def value(told, kind, column=None):
    [found] = [
        each["value"]
        for each in figures(told)
        if each["config"]["type"].endswith(f":{kind}") and each["config"].get("column") == column
    ]
    return found


def test_distances_are_what_scipy_and_the_formula_say(made):
    """Wasserstein in standard deviations of the baseline; Jensen-Shannon in nats."""
    told, now = made
    before = baseline().validation
    for name, words in {"amount": "Amount (amount)", "score": "Score (score)"}.items():
        one, two = before[name].dropna(), now.features[name].dropna()
        assert value(told, "ValueDrift", words) == pytest.approx(
            wasserstein_distance(one, two) / one.std(ddof=0), rel=0.01
        )
    shares = [frame["kind"].fillna("-").value_counts(normalize=True) for frame in (before, now.features)]
    p, q = (each.reindex(shares[0].index.union(shares[1].index), fill_value=0).to_numpy() for each in shares)
    middle = (p + q) / 2
    js = (np.sum(p * np.log(p / middle)) + np.sum(q * np.log(q / middle))) / 2
    assert value(told, "ValueDrift", "Kind (kind)") == pytest.approx(np.sqrt(js), rel=0.01)
    assert told["drifted"] == ["town", "amount"]
    assert told["methods"] == {"number": "wasserstein", "category": "jensenshannon", "score": "psi"}


def test_quality_is_scikit_learns_once_outcomes_are_known(made):
    told, now = made
    assert told["matured"] == len(now)
    expected = roc_auc_score(now.scored["outcome"], now.scored["probability"])
    assert value(told, "RocAuc") == pytest.approx(expected)
    right = (now.scored["probability"] >= 0.2) == (now.scored["outcome"] == 1)
    assert value(told, "Accuracy") == pytest.approx(right.mean())


def test_what_was_done_is_told(made):
    told, now = made
    assert told["columns"] == ["kind", "town", "amount", "score", "phone"]
    assert told["rows"] == {"baseline": 400, "window": len(now)}
    assert told["left_out"] == {"months": "no value in the window"}
    assert value(told, "RowCount") == len(now)
    assert told["seconds"] > 0


def test_the_report_says_what_it_is_and_that_it_is_synthetic(made):
    told, _ = made
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert page.count("Synthetic data:") == 1
    for words in ("A shop&#x27;s credits", "2026-10-01 to 2026-10-31", "Months (months): no value in the window"):
        assert words in page


def test_the_report_opens_from_its_file_and_asks_for_nothing(made, browser_page):
    """The fixture fails the test on any request outside; the file is all that is asked for at all."""
    told, _ = made
    asked = []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.goto(Path(told["report"]).absolute().as_uri())
    browser_page.get_by_text("Data Drift Summary").wait_for()
    browser_page.get_by_text("Amount (amount)").first.wait_for()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [
        Path(told["report"]).absolute().as_uri()
    ]
    assert browser_page.title() == "Drift: A shop's credits"


def test_runs_of_a_portfolio_share_a_project_in_the_order_of_their_windows(made):
    from evidently.ui.workspace import Workspace

    told, _ = made
    run = report(baseline(), window(), INPUTS[:2], SHOP, Path(told["report"]).parent, workspace=Path(told["workspace"]))
    assert run["project"] == told["project"]
    held = Workspace(told["workspace"])
    assert [each.name for each in held.list_projects()] == ["shop"]
    assert len(held.list_runs(told["project"])) == 2


def test_outcomes_of_approved_clients_alone_give_no_precision(tmp_path):
    """All of them are below the threshold: whatever needs both decisions would be made up."""
    now = window(known="approved")
    told = report(baseline(), now, INPUTS[:2], SHOP, tmp_path)
    kinds = {each["config"]["type"].rpartition(":")[2] for each in figures(told)}
    assert "RocAuc" in kinds
    assert not {"Precision", "Recall", "F1Score", "Accuracy"} & kinds
    [(_, why)] = told["left_out"].items()
    assert "one side of the threshold of 0.200" in why
    known = now.scored.dropna(subset="outcome")
    assert value(told, "RocAuc") == pytest.approx(roc_auc_score(known["outcome"], known["probability"]))
    assert "workspace" not in told


@pytest.mark.parametrize(
    ("outcome", "why"),
    [(np.nan, "no outcome is known yet in the window"), (0.0, "300 known outcomes, all the same in the window")],
)
def test_without_both_outcomes_there_is_no_quality(tmp_path, outcome, why):
    now = window()
    now.scored["outcome"] = outcome
    told = report(baseline(), now, ["amount"], SHOP, tmp_path)
    assert told["left_out"] == {"classification quality": why}


def test_what_the_time_does_not_allow_for_is_left_out_the_least_important_first(tmp_path):
    told = report(baseline(), window(), INPUTS, SHOP, tmp_path, budget=0.001)
    assert told["columns"] == ["kind"]
    late = dict.fromkeys(INPUTS[1:], "beyond the 0.001 s that the report may take")
    assert told["left_out"] == late | {"classification quality": "no outcome is known yet in the window"}


def test_more_rows_than_allowed_are_sampled(tmp_path):
    told = report(baseline(), window(), ["amount"], SHOP, tmp_path, rows=120)
    assert told["rows"] == {"baseline": 120, "window": 120}


def test_a_window_with_nothing_to_compare_is_refused(tmp_path):
    before = baseline({"amount": 1.0, SCORE: 0.1})
    with pytest.raises(DataError, match="the ledger: no column can be compared \\(amount: the same value throughout;"):
        report(before, window({"amount": 1.0, "probability": 0.1}), ["amount"], SHOP, tmp_path)
    assert list(tmp_path.iterdir()) == []


WATCH = """
import sys
seen = []
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        seen.append(event)
sys.addaudithook(watch)
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from learning import shop
from watching_util import baseline, window
from credit.monitoring.drift import report
folder = Path(sys.argv[2])
report(baseline(), window(), ["amount"], shop(), folder / "run", workspace=folder / "evidently")
print(seen)
"""


def test_nobody_is_told_even_where_the_environment_does_not_forbid_it(tmp_path):
    tests = Path(__file__).parent
    free = {name: of for name, of in os.environ.items() if name not in ("DO_NOT_TRACK", "PYTHONWARNINGS")}
    command = [sys.executable, "-c", WATCH, str(tests), str(tmp_path)]
    done = subprocess.run(command, env=free, cwd=tests.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_outcome_is_no_column_of_the_report(made):
    told, _ = made
    assert OUTCOME not in {each["config"].get("column") for each in figures(told)}
    assert set(drift.NAMES) == {"report", "json"}
