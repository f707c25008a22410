"""Rates by group against a loop, and an audit that is proven able to fail by planting a bias."""

import math

import numpy as np
import pandas as pd
import pytest

from credit.errors import DataError
from credit.evaluation.fairness import MISSING, group_table
from credit.evaluation.intervals import newcombe, ratio, wilson

RATES = ("default_rate", "approval_rate", "false_positive_rate", "false_negative_rate")


def simulate(n, seed, bias=0.0):
    """Two groups of equal risk; the probabilities of group B are raised by `bias` on the log-odds."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["A", "B"], n, p=[0.6, 0.4])
    z = rng.normal(-2.4, 1.0, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    p = 1 / (1 + np.exp(-(z + bias * (group == "B"))))
    return y, p >= 1 / 11, p, pd.Series(group)


def excludes_zero(row, name):
    return row[f"{name}_gap_low"] > 0 or row[f"{name}_gap_high"] < 0


def test_rates_agree_with_a_loop():
    """In words: of good clients those refused, of defaulters those approved, of all those approved."""
    y, refused, p, groups = simulate(900, 1, bias=0.5)
    table = group_table(y, refused, p, groups).set_index("group")
    for name, row in table.iterrows():
        members = [(y[i], refused[i], p[i]) for i in range(900) if groups[i] == name]
        good = [no for default, no, _ in members if not default]
        bad = [no for default, no, _ in members if default]
        assert (row["n"], row["defaults"]) == (len(members), len(bad))
        assert row["default_rate"] == pytest.approx(len(bad) / len(members))
        assert row["approval_rate"] == pytest.approx(sum(not no for _, no, _ in members) / len(members))
        assert row["false_positive_rate"] == pytest.approx(sum(good) / len(good))
        assert row["false_negative_rate"] == pytest.approx(sum(not no for no in bad) / len(bad))
        assert row["mean_predicted"] == pytest.approx(np.mean([chance for *_, chance in members]))
        low, high = wilson(sum(good), len(good))
        assert row["false_positive_rate_low"] == pytest.approx(float(low))
        assert row["false_positive_rate_high"] == pytest.approx(float(high))


def test_gaps_are_to_all_others_with_newcombes_interval():
    y, refused, p, groups = simulate(600, 2)
    groups[:150] = "C"
    row = group_table(y, refused, p, groups).set_index("group").loc["C"]
    inside, good = (groups == "C").to_numpy(), y == 0
    gap = newcombe(
        np.sum(refused & good & inside),
        np.sum(good & inside),
        np.sum(refused & good & ~inside),
        np.sum(good & ~inside),
    )
    found = [row[f"false_positive_rate_gap{end}"] for end in ("", "_low", "_high")]
    assert found == pytest.approx([gap.estimate, gap.low, gap.high])


def test_gaps_of_two_groups_are_each_others_opposite():
    table = group_table(*simulate(800, 3))
    for rate in RATES:
        a, b = table[f"{rate}_gap"]
        assert a == pytest.approx(-b)
        assert table[f"{rate}_gap"][0] == pytest.approx(table[rate][0] - table[rate][1])
        assert table[f"{rate}_gap_low"][0] == pytest.approx(-table[f"{rate}_gap_high"][1])


def test_the_audit_can_fail():
    """Two groups of equal risk, one scored higher by 0.6 log-odds: every figure must point at it."""
    fair = group_table(*simulate(6000, 4)).set_index("group").loc["B"]
    biased = group_table(*simulate(6000, 4, bias=0.6)).set_index("group").loc["B"]
    for rate in ("approval_rate", "false_positive_rate", "false_negative_rate"):
        assert not excludes_zero(fair, rate)
        assert excludes_zero(biased, rate)
    assert biased["approval_rate_gap"] < 0 < biased["false_positive_rate_gap"]  # fewer approved, more good refused
    assert biased["approval_ratio_high"] < 1
    assert fair["approval_ratio_high"] >= 1
    # Calibration points at it too: the group defaults less than it was said to.
    assert biased["default_rate_high"] < biased["mean_predicted"]
    assert fair["default_rate_low"] < fair["mean_predicted"] < fair["default_rate_high"]


def test_the_audit_rarely_fails_a_fair_model():
    """95% intervals of 200 fair books: of each gap about 5% may exclude 0, by chance alone."""
    alarms = np.zeros(3)
    for seed in range(200):
        row = group_table(*simulate(800, 100 + seed)).iloc[0]
        alarms += [excludes_zero(row, rate) for rate in RATES[1:]]
    assert (alarms <= 23).all()  # more happens once in 10,000 runs at 5%


def test_the_four_fifths_rule_counts_approvals():
    """Refusals 4% and 8%: approvals of 96% and 92% pass the rule; a ratio of refusals, 0.5, would fail it."""
    groups = np.repeat(["A", "B"], 500)
    refused = np.r_[np.arange(500) < 20, np.arange(500) < 40]
    y, p = np.tile([0, 1], 500), np.full(1000, 0.1)
    row = group_table(y, refused, p, groups).set_index("group").loc["B"]
    expected = ratio(460, 500, 480, 500)
    assert row["approval_ratio"] == pytest.approx(0.92 / 0.96)
    assert [row["approval_ratio_low"], row["approval_ratio_high"]] == pytest.approx([expected.low, expected.high])


def test_the_other_way_round_the_rule_fails_where_a_ratio_of_refusals_would_pass():
    """Approvals 20% and 10%: half as many approved, although refusals, 80% and 90%, look alike."""
    groups = np.repeat(["A", "B"], 500)
    refused = np.r_[np.arange(500) >= 100, np.arange(500) >= 50]
    table = group_table(np.tile([0, 1], 500), refused, np.full(1000, 0.1), groups).set_index("group")
    assert table["approval_ratio"].to_dict() == {"A": 1.0, "B": pytest.approx(0.5)}
    assert table.loc["B", "approval_ratio_high"] < 0.8
    assert table["reference"].to_dict() == {"A": True, "B": False}


def test_small_groups_are_flagged_and_never_the_yardstick():
    """Five clients all approved must not make every other group look badly treated."""
    y, refused, p, groups = simulate(1000, 5)
    groups[:5], refused[:5] = "tiny", False
    table = group_table(y, refused, p, groups, min_size=100).set_index("group")
    assert table["small"].to_dict() == {"A": False, "B": False, "tiny": True}
    assert table.loc["tiny", "approval_rate"] == 1
    assert not table.loc["tiny", "reference"]
    assert table["approval_ratio"].drop("tiny").max() == 1


def test_missing_groups_are_a_group():
    y, refused, p, groups = simulate(400, 6)
    groups[:120] = None
    table = group_table(y, refused, p, groups)
    assert table["group"].tolist() == ["A", "B", MISSING]
    assert table["n"].sum() == 400
    assert table["n"].iloc[-1] == 120


def test_ordered_groups_keep_their_order_and_unused_ones_stay_out():
    y, refused, p, _ = simulate(400, 7)
    bands = pd.cut(
        np.linspace(20, 59, 400),
        [20, 30, 40, 60, 80],
        labels=["young", "middle", "older", "old"],
        right=False,
    )
    assert group_table(y, refused, p, pd.Series(bands))["group"].tolist() == ["young", "middle", "older"]


def test_row_order_changes_nothing():
    y, refused, p, groups = simulate(500, 8)
    order = np.random.default_rng(0).permutation(500)
    shuffled = group_table(y[order], refused[order], p[order], groups[order])
    pd.testing.assert_frame_equal(group_table(y, refused, p, groups), shuffled)


def test_rates_without_rows_are_unknown_not_zero():
    """A group without defaulters has no false negative rate; a single group has no others to differ from."""
    table = group_table([0, 0, 1, 0], [True, False, False, False], [0.1] * 4, ["A", "A", "B", "B"], min_size=1)
    row = table.set_index("group").loc["A"]
    assert math.isnan(row["false_negative_rate"])
    assert (row["false_negative_rate_low"], row["false_negative_rate_high"]) == (0, 1)
    assert (row["false_negative_rate_gap_low"], row["false_negative_rate_gap_high"]) == (-1, 1)
    alone = group_table([0, 1], [True, False], [0.1, 0.2], ["A", "A"], min_size=1).iloc[0]
    assert math.isnan(alone["approval_rate_gap"])
    assert alone["approval_ratio"] == 1


def test_ratios_without_a_yardstick_are_unknown():
    small = group_table([0, 1], [True, False], [0.1, 0.2], ["A", "B"])
    refused = group_table([0, 1], [True, True], [0.1, 0.2], ["A", "B"], min_size=1)
    for table in (small, refused):
        assert table["approval_ratio"].isna().all()
        assert (table["approval_ratio_high"] == math.inf).all()
    assert not small["reference"].any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], [0.1, 0.9], [0.1, 0.9], ["a", "b"]), ValueError, "decline: must be booleans, is float64"),
        (([0, 1], [True], [0.1, 0.9], ["a", "b"]), ValueError, "decline: must have 2 rows"),
        (([0, 1], [True, False], [0.1, 0.9], ["a"]), ValueError, "groups: must have 2 rows"),
        (([0, 1], [True, False], [0.1, 1.9], ["a", "b"]), ValueError, "y_prob: must lie in"),
        (([0, 5], [True, False], [0.1, 0.9], ["a", "b"]), ValueError, "y_true: must be 0"),
        (([0, 1], [True, False], [0.1, 0.9], ["a", "b"], 0), ValueError, "min_size: must be a whole number"),
        (([], [], [], []), DataError, "y_true: has no rows"),
    ],
)
def test_wrong_inputs_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        group_table(*arguments)
