"""Figures from outcomes against direct counting, and what selective labels forbid to say."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from learning import shop
from sklearn.metrics import roc_auc_score
from windows_util import COSTS, draw, scored, selected, validation, window

from credit.evaluation.decisions import losses
from credit.evaluation.fairness import group_table
from credit.evaluation.metrics import auc_gap, calibration_slope_intercept
from credit.monitoring.money import estimate, promised
from credit.monitoring.realised import findings, past, realised, records
from credit.scoring.baseline import OUTCOME

CUT, BOOK = COSTS.threshold, shop()
BLIND = ("approval", "false_positive", "false_negative", "reference")


def made(rows=3000, seed=0, held=4000, **how):
    """A window with two groups, and validation rows of a calibrated model."""
    rng = np.random.default_rng(seed)
    y, p = draw(rows, rng, **how)
    sex = pd.DataFrame({"sex": rng.choice(["f", "m"], rows)})
    return scored(y, p), sex, validation(held, rng)


def judge(taken, parts, kept):
    return realised(window(taken, parts), COSTS, BOOK, kept, CUT)


def calls(*given):
    return {(each.severity, each.kind) for each in findings(judge(*given), BOOK)}


def test_without_outcomes_there_is_nothing_to_say():
    taken, parts, kept = made(400)
    assert judge(taken.assign(outcome=np.nan), parts, kept) is None
    assert findings(None, BOOK) == []


def test_labels_are_counted_by_decision():
    taken, parts, kept = made()
    taken.loc[::5, "outcome"] = np.nan
    found = judge(taken, parts, kept)
    for word, counts in found["labels"].items():
        rows = [row for row in taken.itertuples() if row.decision == word]
        assert counts["applicants"] == len(rows)
        assert counts["known"] == sum(not math.isnan(row.outcome) for row in rows)
        assert counts["defaults"] == sum(row.outcome == 1 for row in rows)
    assert found["clients"] == found["judged"] == taken["outcome"].notna().sum()
    assert "the declined as well as the approved" in found["said"]


def test_with_all_outcomes_the_figures_are_about_everyone():
    taken, parts, kept = made()
    found = judge(taken, parts, kept)
    y, p = taken["outcome"], taken["probability"]
    lost = losses(y, taken["decision"], COSTS)
    cost = found["cost"]["decisions"]
    assert not found["selective"]
    assert found["left_out"] == {}
    assert cost["realised"]["estimate"] == pytest.approx(lost.mean())
    assert cost["expected"]["estimate"] == pytest.approx(estimate(taken, COSTS, kept).expected.estimate)
    assert cost["expected"]["low"] < lost.mean() < cost["expected"]["high"]
    assert (cost["clients"], cost["defaults"]) == (3000, y.sum())
    then = promised(kept, COSTS, CUT)
    assert cost["promised"]["estimate"] == pytest.approx(losses(kept[OUTCOME], then["decision"], COSTS).mean())
    assert found["auc"]["now"]["estimate"] == pytest.approx(roc_auc_score(y, p))
    assert found["auc"]["promised"]["estimate"] == pytest.approx(roc_auc_score(kept[OUTCOME], then["probability"]))
    assert found["auc"]["loss"] == auc_gap(kept[OUTCOME], then["probability"], y, p).to_dict()
    assert found["calibration"]["slope"] == calibration_slope_intercept(y, p).slope.to_dict()
    assert found["brier"]["now"]["estimate"] == pytest.approx(((p - y) ** 2).mean())
    table = group_table(y, (taken["decision"] == "decline").to_numpy(), p, parts["sex"], BOOK.limits.min_group)
    assert found["fairness"] == {"sex": records(table)}
    json.dumps(found, allow_nan=False)


def test_of_approved_clients_it_is_what_their_defaults_cost():
    taken, parts, kept = made()
    cost = judge(selected(taken), parts, kept)["cost"]["approvals"]
    rows = taken[taken["decision"] == "approve"]
    assert (cost["clients"], cost["defaults"]) == (len(rows), rows["outcome"].sum())
    assert cost["realised"]["estimate"] == pytest.approx(10 * rows["outcome"].mean())
    assert cost["expected"]["estimate"] == pytest.approx(estimate(rows, COSTS, kept).expected.estimate)


def test_selective_labels_are_said_and_like_is_held_against_like():
    """Nobody knows what the declined would have done: their errors are left out, and AUC's yardstick is cut alike."""
    taken, parts, kept = made(6000)
    found = judge(selected(taken), parts, kept)
    approved, then = taken[taken["decision"] == "approve"], promised(kept, COSTS, CUT)
    would = then["decision"] == "approve"
    assert found["selective"]
    assert found["cost"]["decisions"] is None
    assert "selective labels" in found["said"]
    assert "100% of the approved and 0% of the declined" in found["said"]
    assert found["left_out"] == {"errors of declining": "the declined have no outcome"}
    assert found["judged"] == len(approved)
    assert found["auc"]["now"]["estimate"] == pytest.approx(roc_auc_score(approved["outcome"], approved["probability"]))
    assert found["auc"]["promised"]["estimate"] == pytest.approx(
        roc_auc_score(kept.loc[would, OUTCOME], then.loc[would, "probability"])
    )
    assert found["auc"]["promised"]["estimate"] < roc_auc_score(kept[OUTCOME], then["probability"]) - 0.05
    for row in found["fairness"]["sex"]:
        assert row["default_rate"] is not None
        assert not [name for name in row if name.startswith(BLIND)]


def test_a_naive_yardstick_would_cry_wolf():
    """Why like is held against like: the approved alone rank worse than all, though the model is as it was."""
    taken, parts, kept = made(6000)
    found = judge(selected(taken), parts, kept)
    whole = roc_auc_score(kept[OUTCOME], promised(kept, COSTS, CUT)["probability"])
    assert found["auc"]["now"]["high"] < whole - 0.03
    assert findings(found, BOOK) == []


def test_some_outcomes_of_the_declined_do_not_make_labels_even():
    taken, parts, kept = made()
    taken.loc[(taken["decision"] == "decline") & (taken.index % 2 == 0), "outcome"] = np.nan
    found = judge(taken, parts, kept)
    assert found["selective"]
    assert found["judged"] == (taken["decision"] == "approve").sum() < found["clients"]


def test_outcomes_of_the_declined_alone_are_used_as_they_are():
    taken, parts, kept = made()
    found = judge(taken.assign(outcome=taken["outcome"].where(taken["decision"] == "decline")), parts, kept)
    assert not found["selective"]
    assert found["cost"]["approvals"] is None
    assert found["cost"]["decisions"]["clients"] == (taken["decision"] == "decline").sum()


@pytest.mark.parametrize(
    ("outcomes", "missing"),
    [
        ([0] * 40, {"auc", "calibration"}),
        ([1] * 40, {"auc", "calibration"}),
        ([1] + [0] * 39, {"auc"}),
    ],
)
def test_a_figure_that_the_outcomes_do_not_give_is_left_out_with_why(outcomes, missing):
    taken, parts, kept = made()
    few = taken["outcome"].where(taken.index < 0)
    few[taken.index[taken["decision"] == "approve"][:40]] = np.array(outcomes, dtype=float)
    found = judge(taken.assign(outcome=few), parts, kept)
    assert set(found["left_out"]) == missing | {"errors of declining"}
    assert all(found[name] is None for name in missing)
    assert "needs" in found["left_out"]["auc"]
    assert found["cost"]["approvals"]["clients"] == 40
    assert [each.kind for each in findings(found, BOOK) if each.kind in missing] == []


@pytest.mark.parametrize("cut", [lambda rows: rows, selected], ids=["all outcomes", "selective"])
@pytest.mark.parametrize("rows", [400, 4000])
def test_a_model_that_is_as_it_was_does_not_alert(rows, cut):
    """40 windows each: a warning in some of a hundred, an alert in one of a thousand, so hardly two of them here."""
    seen = []
    for seed in range(40):
        taken, parts, kept = made(rows, seed, 2000)
        seen += [each.severity for each in findings(judge(cut(taken), parts, kept), BOOK)]
    assert seen.count("ALERT") <= 2  # one unlucky window is called in cost and in calibration
    assert len(seen) <= 5


@pytest.mark.parametrize("cut", [lambda rows: rows, selected], ids=["all outcomes", "selective"])
def test_more_defaults_than_said_are_called_in_cost_and_calibration(cut):
    taken, parts, kept = made(6000, shift=0.8)
    found = judge(cut(taken), parts, kept)
    ranked = {each.kind: each for each in findings(found, BOOK)}
    assert {kind: each.severity for kind, each in ranked.items()} == {"cost": "ALERT", "calibration": "ALERT"}
    cost = found["cost"]["approvals" if found["selective"] else "decisions"]
    assert ranked["cost"].value == pytest.approx(cost["realised"]["estimate"] / cost["expected"]["estimate"] - 1)
    assert cost["realised"]["estimate"] > cost["expected"]["high"]
    assert ranked["calibration"].value == pytest.approx(found["calibration"]["in_the_large"]["estimate"])
    assert "more defaults than the probabilities say" in ranked["calibration"].why


def test_fewer_defaults_than_said_are_miscalibrated_but_cheap():
    taken, parts, kept = made(8000, shift=-0.7)
    called = calls(selected(taken), parts, kept)
    assert called == {("ALERT", "calibration")}


def test_a_model_that_ranks_worse_is_called():
    """The same scores, dealt out anew among a part of the clients: the default rate stays, the ranking fades."""
    taken, parts, kept = made(8000)
    rng = np.random.default_rng(1)
    y = taken["outcome"].to_numpy().copy()
    some = np.flatnonzero(rng.random(len(y)) < 0.5)
    y[some] = y[rng.permutation(some)]
    assert ("ALERT", "discrimination") in calls(taken.assign(outcome=y), parts, kept)


def test_a_group_whose_good_clients_are_declined_more_often_is_called():
    taken, parts, kept = made(6000)
    women = (parts["sex"] == "f").to_numpy() & (np.random.default_rng(2).random(6000) < 0.4)
    taken.loc[women, "decision"] = "decline"
    found = findings(judge(taken, parts, kept), BOOK)
    unfair = [each for each in found if each.kind == "fairness"]
    assert {each.subject for each in unfair} >= {"sex f: false positive rate", "sex m: false positive rate"}
    assert all(each.value > each.limit for each in unfair)
    assert not [each for each in findings(judge(selected(taken), parts, kept), BOOK) if each.kind == "fairness"]


def test_tables_become_plain_values():
    table = pd.DataFrame({"a": [1, 2], "b": [np.nan, np.inf], "c": ["x", None], "d": [True, False]})
    assert records(table) == [{"a": 1, "b": None, "c": "x", "d": True}, {"a": 2, "b": None, "c": None, "d": False}]
    assert type(records(table)[0]["a"]) is int


def test_past_months_are_a_loop_over_months():
    rng = np.random.default_rng(3)
    y, p = draw(1200, rng)
    taken = scored(y, p, at=pd.Series([f"2026-0{1 + i % 4}-15T10:00:00Z" for i in range(1200)]))
    taken.loc[taken["at"].str.startswith("2026-04"), "outcome"] = np.nan
    taken.loc[::7, "outcome"] = np.nan
    taken.loc[::50, "at"] = None
    kept = validation(2000, rng)
    table = past(taken, COSTS, kept).set_index("period")
    assert table.index.tolist() == ["2026-01", "2026-02", "2026-03", "2026-04"]
    for month, row in table.iterrows():
        rows = taken[taken["at"].astype(str).str.startswith(month)]
        done = rows[rows["outcome"].notna()]
        assert (row["n"], row["matured"]) == (len(rows), len(done))
        if month == "2026-04":
            assert row[["expected", "low", "high", "realised"]].isna().all()
            continue
        guess = estimate(done, COSTS, kept).expected
        assert row[["expected", "low", "high"]].tolist() == pytest.approx([guess.estimate, guess.low, guess.high])
        assert row["realised"] == pytest.approx(losses(done["outcome"], done["decision"], COSTS).mean())


@pytest.mark.parametrize(("period", "names"), [("day", ["2026-01-30", "2026-02-01"]), ("year", ["2026"])])
def test_other_periods(period, names):
    rng = np.random.default_rng(4)
    taken = scored(*draw(40, rng), at=["2026-01-30T10:00:00Z", "2026-02-01T11:00:00Z"] * 20)
    assert past(taken, COSTS, validation(1000, rng), period)["period"].tolist() == names


def test_the_past_of_rows_without_a_moment_is_empty():
    rng = np.random.default_rng(5)
    taken, kept = scored(*draw(40, rng)), validation(1000, rng)
    assert past(taken, COSTS, kept).empty
    assert past(taken.assign(outcome=np.nan, at="2026-01-01T00:00:00Z"), COSTS, kept)["matured"].tolist() == [0]
    with pytest.raises(ValueError, match="period: must be one of day, month, year, is 'week'"):
        past(taken, COSTS, kept, "week")
