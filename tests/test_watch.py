"""A whole status: silent on the population that the model knows, loud and rightly ranked on one that it does not."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import sales
from serving_util import champion

from credit.governance.ledger import Ledger
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.home import Home
from credit.monitoring import watch
from credit.monitoring.archive import Archive
from credit.monitoring.findings import KINDS, Finding, level, ranked, verdict
from credit.monitoring.window import AGAIN, TRAINED, UNKNOWN, Window
from credit.monitoring.words import page
from credit.scoring.baseline import Baseline


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("watch") / "home")
    version, registry = champion(home), Registry("shop", home)
    return SimpleNamespace(
        home=home, decider=open_version(registry, version), baseline=Baseline.load(registry.load(version))
    )


def window(model, frame: pd.DataFrame, outcomes: bool = True, **changed) -> Window:
    features = frame[list(model.decider.scorer.contract)].reset_index(drop=True)
    decided = model.decider.decide_frame(features)
    scored = pd.DataFrame(
        {
            "probability": decided["probability_of_default"],
            "decision": decided["decision"].astype(str),
            "outcome": frame["unpaid"].to_numpy(float) if outcomes else np.nan,
            "threshold": model.decider.scorer.threshold,
            "version": 1,
            "at": "2026-03-01T00:00:00+00:00",
            "decision_id": range(1, len(frame) + 1),
        }
    )
    parts = pd.DataFrame({"sex": frame["sex"].to_numpy(object)})
    return replace(Window("a test", None, None, features, parts, scored, {}, False), **changed)


def status(model, seen: Window) -> dict:
    return watch.watch(model.decider, model.baseline, seen, run="Test/1", at="2026-03-02T00:00:00+00:00")


def test_the_population_it_knows_moves_nothing(model):
    """Drawn from the same source as the training rows: no feature, mix or score stands out."""
    told = status(model, window(model, sales(3000, 21)))
    shifted = [each for each in told["findings"] if each["kind"] in ("feature", "score", "segment", "data")]
    assert shifted == []
    assert all(row["psi"] < max(row["floor"], 0.1) for row in told["features"])


def test_planted_drift_is_found_priced_and_ranked(model):
    """The feature that was changed comes first, the score moves with it, and the shift has a price that is not 0."""
    frame = sales(3000, 22)
    told = status(model, window(model, frame.assign(amount=frame["amount"] * 2.5), outcomes=False))
    kinds = [(each["severity"], each["kind"]) for each in told["findings"]]
    assert told["status"] == "ALERT"
    assert kinds == sorted(kinds, key=lambda pair: (pair[0] != "ALERT", KINDS.index(pair[1])))
    assert next(each["subject"] for each in told["findings"] if each["kind"] == "feature") == "amount"
    assert {"score", "feature"} <= {kind for _, kind in kinds}
    [cost] = [row for row in told["money"]["drift"] if row["feature"] == "amount"]
    saved = told["money"]["expected"]["estimate"] - told["money"]["promised_expected"]["estimate"]
    assert cost["low"] > 0 or cost["high"] < 0
    assert cost["cost"] == pytest.approx(saved, abs=0.05)  # the only thing that was changed
    assert told["quality"] is None


def test_outcomes_that_go_wrong_are_told_from_people_who_change(model):
    """Label shift: nobody looks different, so that no feature moves, but costs and calibration do."""
    frame = sales(4000, 23)
    worse = frame["unpaid"].where(np.random.default_rng(0).random(len(frame)) > 0.35, 1)
    told = status(model, window(model, frame.assign(unpaid=worse)))
    kinds = {each["kind"] for each in told["findings"] if each["severity"] == "ALERT"}
    assert "cost" in kinds
    assert told["quality"]["calibration"]["in_the_large"]["low"] > 0
    assert not {"feature", "score"} & kinds


def test_a_status_is_plain_kept_and_shown(model):
    """What is kept is JSON and comes back the same; the page for people says what the status says."""
    frame = sales(1500, 24)
    told = status(model, window(model, frame.assign(score=np.nan), start="2026-02-01", end="2026-02-28"))
    archive = Archive(model.home, "shop")
    archive.keep(told)
    assert archive.last() == json.loads(json.dumps(told))
    text = page(told)
    assert text.startswith(f"{told['status']}: A shop's credits")
    assert "2026-02-01 to 2026-02-28" in text
    for each in told["findings"][:5]:
        assert each["why"] in text


def test_the_ledger_learns_of_it_and_of_nobody(model, tmp_path):
    told = status(model, window(model, sales(1000, 25)))
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.append(watch.MONITORING, watch.entry(told), by="anna")
    [event] = ledger.events(watch.MONITORING)
    assert event.payload["status"] == told["status"]
    assert event.payload["window"]["applicants"] == 1000
    assert "features" not in event.payload
    assert ledger.verify() == []


def test_rows_that_could_not_be_used_are_warned_of(model):
    """A window of which half is missing says little, however well the other half looks."""
    told = status(model, window(model, sales(1000, 26), set_aside={TRAINED: 900, AGAIN: 5000, UNKNOWN: 3}))
    found = {each["subject"]: each for each in told["findings"] if each["kind"] == "data"}
    assert found.keys() == {TRAINED, UNKNOWN}
    assert found[TRAINED]["value"] == pytest.approx(900 / 1900)
    few = status(model, window(model, sales(1000, 26), set_aside={TRAINED: 50, AGAIN: 5000}))
    assert [each for each in few["findings"] if each["kind"] == "data"] == []


def test_without_a_predecessor_there_is_nothing_to_compare(model):
    piece = watch.compared(
        model.decider, None, window(model, sales(500, 1)), model.decider.portfolio.monitoring, said="why"
    )
    assert piece.told == {"regression": {"why": "why", "proposed": False}}
    assert piece.findings == []


FINDINGS = st.builds(
    Finding,
    severity=st.sampled_from(["WARN", "ALERT"]),
    kind=st.sampled_from(KINDS),
    subject=st.text(max_size=5),
    value=st.floats(0, 1),
    limit=st.floats(0, 1),
    why=st.just("so"),
    weight=st.floats(0, 1),
)


@given(st.lists(FINDINGS, max_size=12))
def test_ranking_loses_nothing_and_puts_the_loudest_first(found):
    order = ranked(found)
    assert sorted(map(str, order)) == sorted(map(str, found))
    loud = [each.severity for each in order]
    assert loud == sorted(loud, key=["ALERT", "WARN"].index)
    assert verdict(found) == (loud[0] if loud else "OK")


@pytest.mark.parametrize(("value", "expected"), [(0.1, None), (0.11, "WARN"), (0.25, "WARN"), (0.26, "ALERT")])
def test_a_limit_is_still_allowed(value, expected):
    assert level(value, (0.1, 0.25)) == expected


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind: must be one of"):
        Finding("WARN", "mood", "x", 1.0, 0.0, "so")
