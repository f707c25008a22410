"""Segments against groupby loops, and an account of where the cost comes from that adds up."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from learning import shop
from windows_util import COSTS, draw, scored, selected, validation, window

from credit.evaluation.decisions import losses
from credit.evaluation.fairness import MISSING
from credit.monitoring.money import estimate, excess, promised
from credit.monitoring.segments import _both, by_segment, findings
from credit.portfolio import Costs
from credit.scoring.baseline import OUTCOME, SCORE

CUT = COSTS.threshold
BOOK = shop()
LEVELS = {"sex": ["f", "m"], "town": ["a", "b", "c", "d"]}


def parts(rows, rng, **shares):
    return pd.DataFrame(
        {name: pd.Series(rng.choice(levels, rows, p=shares.get(name)), dtype="str") for name, levels in LEVELS.items()}
    )


def made(rows=4000, seed=0, held=6000, town=None, **how):
    """A window and the validation rows of a calibrated model, with two parts each."""
    rng = np.random.default_rng(seed)
    taken = scored(*draw(rows, rng, **how))
    kept = pd.concat([validation(held, rng), parts(held, rng)], axis=1)
    return taken, parts(rows, rng, **({"town": town} if town else {})), kept


def table(taken, groups, kept, least=100, costs=COSTS):
    return by_segment(window(taken, groups), SimpleNamespace(validation=kept), costs, least, threshold=CUT)


@pytest.mark.parametrize("costs", [COSTS, Costs(10.0, 1.0, 0.3)], ids=["two ways", "three ways"])
def test_each_level_is_a_loop_over_its_rows(costs):
    taken, groups, kept = made(1200, held=1500)
    taken["decision"] = scored(taken["outcome"], taken["probability"], costs)["decision"]
    taken.loc[::4, "outcome"] = np.nan
    groups.loc[::9, "town"] = np.nan
    found = table(taken, groups, kept, costs=costs)
    then = promised(kept, costs, CUT)
    whole, book = estimate(then, costs, kept).expected.estimate, excess(taken, costs, kept, CUT)
    assert len(found) == 2 + 5
    for row in found.to_dict("records"):
        here, there = (side[row["part"]].fillna(MISSING) == row["level"] for side in (groups, kept))
        assert (row["n"], row["n_before"], row["small"]) == (here.sum(), there.sum(), here.sum() < 100)
        assert (row["share_now"], row["share_before"]) == pytest.approx((here.mean(), there.mean()))
        assert row["mean_probability_now"] == pytest.approx(taken.loc[here, "probability"].mean())
        assert row["approval_now"] == pytest.approx((taken.loc[here, "decision"] != "decline").mean())
        guess = estimate(taken[here], costs, kept).expected
        assert [row[f"expected_cost_now{end}"] for end in ("", "_low", "_high")] == pytest.approx(
            [guess.estimate, guess.low, guess.high]
        )
        done = taken[here & taken["outcome"].notna()]
        lost = losses(done["outcome"], done["decision"], costs).mean()
        real = estimate(done, costs, kept)
        assert row["matured"] == len(done)
        guessed = real.expected.estimate
        assert [row["realised"], row["realised_expected"]] == pytest.approx([lost, guessed])
        assert [row["excess"], row["excess_error"]] == pytest.approx([lost / guessed - 1, real.error / guessed])
        assert row["excess_share"] == pytest.approx(len(done) / 1200 * (lost - real.expected.estimate) / whole)
        if not there.any():
            assert row["level"] == MISSING
            assert np.isnan([row["expected_cost_before"], row["mean_probability_before"], row["growth"]]).all()
            assert row["added"] == pytest.approx(here.mean() * (guess.estimate - whole))
            continue
        assert row["mean_probability_before"] == pytest.approx(kept.loc[there, SCORE].mean())
        assert row["approval_before"] == pytest.approx((then.loc[there, "decision"] != "decline").mean())
        before = estimate(then[there], costs, kept).expected
        assert [row[f"expected_cost_before{end}"] for end in ("", "_low", "_high")] == pytest.approx(
            [before.estimate, before.low, before.high]
        )
        assert row["growth"] == pytest.approx(guess.estimate / before.estimate - 1)
        assert row["apart"] == pytest.approx((1 + row["growth"]) / (1 + book.relative.estimate) - 1)
        assert row["apart_error"] > max(row["growth_error"], book.error)
        within = here.mean() * (guess.estimate - before.estimate)
        assert row["added"] == pytest.approx(within + (here.mean() - there.mean()) * (before.estimate - whole))


def test_what_levels_add_is_the_growth_of_the_book():
    """The account closes for every part, levels that are new and levels that are gone included."""
    taken, groups, kept = made(2000, mean=-2.3, town=[0.1, 0.2, 0.7, 0.0])
    groups.loc[:150, "town"] = "e"
    found, whole = table(taken, groups, kept), excess(taken, COSTS, kept, CUT)
    for part in LEVELS:
        rows = found[found["part"] == part]
        assert rows["added"].sum() == pytest.approx(whole.now - whole.promised)
        assert rows["added_share"].sum() == pytest.approx(whole.relative.estimate)
    gone = found[(found["part"] == "town") & (found["level"] == "d")].iloc[0]
    assert (gone["n"], gone["small"]) == (0, True)
    assert np.isnan([gone["expected_cost_now"], gone["realised"], gone["growth"]]).all()


def test_the_worst_come_first_and_the_small_ones_last():
    taken, groups, kept = made()
    risky = (groups["town"] == "b").to_numpy()
    taken.loc[risky, "probability"] = 0.09
    taken["decision"] = scored(taken["outcome"], taken["probability"])["decision"]
    groups.loc[:20, "town"] = "a hamlet"
    found = table(taken, groups, kept)
    assert (found["part"][0], found["level"][0]) == ("town", "b")
    assert found["level"].iloc[-1] == "a hamlet"
    judged = found[~found["small"]]
    assert judged["added"].is_monotonic_decreasing
    assert table(*made(), least=10**6)["small"].all()


def test_the_order_of_rows_changes_nothing():
    taken, groups, kept = made(900)
    order = np.random.default_rng(1).permutation(900)
    shuffled = table(taken.iloc[order].reset_index(drop=True), groups.iloc[order].reset_index(drop=True), kept)
    pd.testing.assert_frame_equal(table(taken, groups, kept), shuffled)


@pytest.mark.parametrize("names", [[], ["sex"]])
def test_only_parts_of_both_sides_are_compared(names):
    taken, groups, kept = made(400)
    found = table(taken, groups[names], kept)
    assert sorted(set(found["part"])) == names
    assert {"added", "growth", "small"} <= set(found.columns)
    assert findings(found, BOOK) == []


@pytest.mark.parametrize("rows", [500, 4000])
def test_a_book_that_has_not_changed_hardly_ever_calls(rows):
    """Six levels, expected and realised cost each, and approvals: 40 windows, next to nothing by chance."""
    seen = [each.severity for seed in range(40) for each in findings(table(*made(rows, seed, 3000)), BOOK)]
    assert seen.count("ALERT") <= 1
    assert len(seen) <= 4


def drifted(town, count=4000, to=0.09):
    """One town's clients have all become as risky as they can be and still be approved."""
    taken, groups, kept = made(count)
    taken.loc[(groups["town"] == town).to_numpy(), "probability"] = to
    rng = np.random.default_rng(9)
    fresh = scored((rng.random(count) < taken["probability"]).astype(float), taken["probability"])
    return fresh, groups, kept


def test_a_segment_that_costs_more_is_called_and_no_other():
    taken, groups, kept = drifted("b")
    calls = findings(table(selected(taken), groups, kept), BOOK)
    assert [(each.severity, each.kind, each.subject) for each in calls] == [
        ("ALERT", "segment", "town b: expected cost")
    ]
    (row,) = table(taken, groups, kept).query("part == 'town' and level == 'b'").to_dict("records")
    assert calls[0].value == row["growth"] > calls[0].limit
    assert calls[0].weight == pytest.approx(row["added_share"])
    assert "town b: its" in calls[0].why


@pytest.mark.parametrize(
    ("own", "apart", "call"),
    [
        ("ALERT", "ALERT", "ALERT"),
        ("ALERT", "WARN", "WARN"),
        ("WARN", "ALERT", "WARN"),
        ("ALERT", None, None),
        (None, "ALERT", None),
    ],
)
def test_a_level_calls_as_loudly_as_both_its_growth_and_what_is_beyond_the_book(own, apart, call):
    one, other = (word and (word, 0.1, 0.02) for word in (own, apart))
    assert _both(one, other) == (call and (call, 0.1, 0.02))


def test_what_moves_the_whole_book_is_no_segments_finding():
    """All clients riskier, or all defaulting more: that is told once, by the book."""
    assert findings(table(*made(mean=-2.0)), BOOK) == []
    assert findings(table(*made(shift=1.0)), BOOK) == []


def test_a_segment_that_hardly_matters_to_the_book_only_warns():
    """It costs twice as much, but a town of 1 in 40 clients cannot make the book dear."""
    taken, groups, kept = made(8000)
    hamlet = (groups["town"] == "b").to_numpy() & (np.random.default_rng(2).random(8000) < 0.9)
    groups.loc[hamlet, "town"] = "a"
    risky = (groups["town"] == "b").to_numpy()
    taken.loc[risky, "probability"] = 0.085
    taken = scored(np.nan, taken["probability"])
    calls = findings(table(taken, groups, kept), BOOK)
    assert [(each.severity, each.subject) for each in calls] == [("WARN", "town b: expected cost")]
    assert calls[0].weight < BOOK.monitoring.cost[0]


def test_small_segments_are_never_judged():
    taken, groups, kept = drifted("b")
    assert findings(table(taken, groups, kept, least=10_000), BOOK) == []
    few = replace(BOOK, monitoring=replace(BOOK.monitoring, min_segment=5000))
    assert not [each for each in findings(table(taken, groups, kept), few) if each.kind == "segment"]


def test_a_segment_that_defaults_more_than_its_scores_say_is_called():
    """Nothing has moved that can be seen without outcomes."""
    taken, groups, kept = made(8000)
    cursed = (groups["town"] == "c").to_numpy() & (np.random.default_rng(3).random(8000) < 0.15)
    taken.loc[cursed, "outcome"] = 1.0
    calls = findings(table(selected(taken), groups, kept), BOOK)
    assert [(each.severity, each.kind, each.subject) for each in calls] == [
        ("ALERT", "segment", "town c: realised cost")
    ]
    assert "with an outcome" in calls[0].why


def test_a_judged_group_that_is_approved_too_rarely_is_called():
    taken, groups, kept = made(3000)
    turned = (groups["sex"] == "m").to_numpy() & (np.random.default_rng(4).random(3000) < 0.4)
    taken.loc[turned, "decision"] = "decline"
    found = table(taken.assign(outcome=np.nan), groups, kept)
    unfair = [each for each in findings(found, BOOK) if each.kind == "fairness"]
    assert [(each.severity, each.subject) for each in unfair] == [("ALERT", "sex m: approval")]
    rates = found[found["part"] == "sex"].set_index("level")["approval_now"]
    assert unfair[0].value == pytest.approx(rates["m"] / rates["f"])
    shown = replace(BOOK, groups=tuple(replace(group, judged=False) for group in BOOK.groups))
    assert not [each for each in findings(found, shown) if each.kind == "fairness"]
    few = replace(BOOK, limits=replace(BOOK.limits, min_group=2000))
    assert not [each for each in findings(found, few) if each.kind == "fairness"]


def test_outcomes_of_validation_rows_are_not_mistaken_for_the_windows():
    taken, groups, kept = made(600)
    found = table(taken.assign(outcome=np.nan), groups, kept)
    assert (found["matured"] == 0).all()
    assert found[["realised", "realised_expected", "excess_share"]].isna().all().all()
    assert kept[OUTCOME].sum() > 0
