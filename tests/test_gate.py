"""The gate as a truth table: every rule alone can stop a challenger, and nothing else does."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from credit.evaluation.cost import decide as decide_rows
from credit.evaluation.metrics import Interval
from credit.governance import gate
from credit.governance.gate import Evidence, Incumbent
from credit.governance.verdict import Verdict
from credit.portfolio import Costs, Limits

COSTS, LIMITS = Costs(), Limits()
N = 4000
GOOD_GAP = Interval(0.003, -0.02, 0.026)


def simulate(seed=1):
    """Applicants whose true probability of default is known: perfect and poor models can be made."""
    rng = np.random.default_rng(seed)
    p = expit(rng.normal(-2.9, 1.3, N))
    y = (rng.random(N) < p).astype(int)
    groups = pd.DataFrame({"gender": rng.choice(["F", "M"], N), "age": rng.choice(["young", "old"], N)})
    return y, p, groups


Y, P, GROUPS = simulate()


def evidence(p=P, *, y=Y, groups=GROUPS, decisions=None, **changes):
    words = decide_rows(p, COSTS) if decisions is None else decisions
    made = Evidence("the challenger", "c" * 64, {"a": "1"}, y, p, words, GOOD_GAP, groups)
    return replace(made, **changes)


def poor(strength=1.5, seed=2):
    """Decide by the truth plus noise; of an incumbent only the decisions matter."""
    noisy = expit(logit(P) + np.random.default_rng(seed).normal(0, strength, N))
    return Incumbent("version 3", "i" * 64, {"a": "1"}, decide_rows(noisy, COSTS))


def failures(verdict):
    return [rule.name for rule in verdict.failed]


def test_a_better_challenger_within_all_limits_is_promoted():
    verdict = gate.decide(evidence(), poor(), LIMITS, COSTS)
    assert (verdict.outcome, verdict.promote, failures(verdict)) == ("promoted", True, [])
    assert verdict.challenger == "c" * 64
    assert verdict.champion == "i" * 64


def test_the_first_model_is_judged_by_floor_and_limits_alone():
    verdict = gate.decide(evidence(), None, LIMITS, COSTS)
    assert (verdict.outcome, verdict.promote, verdict.champion) == ("first", True, None)
    assert not {"cheaper than the champion", "feature contract"} & {rule.name for rule in verdict.rules}


def test_every_verdict_lists_every_rule_whether_it_failed_or_not():
    """A validator must see what was looked at, not only what went wrong."""
    names = {
        "different from the champion",
        "feature contract",
        "cheaper than the champion",
        "cheaper than approving all",
        "cheaper than refusing all",
        "calibration slope",
        "calibration in the large",
        "AUC gap",
        *(f"{rate} by {who}" for who in GROUPS for rate in ("false positive rate", "false negative rate")),
        *(f"approval ratio by {who}" for who in GROUPS),
    }
    for verdict in (
        gate.decide(evidence(), poor(), LIMITS, COSTS),
        gate.decide(evidence(np.full(N, 0.3)), poor(), LIMITS, COSTS),
    ):
        assert {rule.name for rule in verdict.rules} == names
        assert len(verdict.rules) == len(names)


def narrow(p, slope, shift):
    """Stretch and shift the log-odds, keeping every decision: only the calibration is spoiled."""
    return expit(slope * logit(p) + shift)


SAME_DECISIONS = {"decisions": decide_rows(P, COSTS)}
UNFAIR = np.where(GROUPS["gender"] == "M", "decline", decide_rows(P, COSTS))
ONE_RULE = {
    "cheaper than the champion": ({}, {"probability_cheaper": 1.01}),
    "calibration slope": (
        {"p": expit(2.0 * (logit(P) + 2.2) - 2.2), **SAME_DECISIONS},
        {"calibration_in_the_large": 9.0},
    ),
    "calibration in the large": ({"p": narrow(P, 1.0, -0.6), **SAME_DECISIONS}, {}),
    "AUC gap": ({"auc_gap": Interval(0.05, 0.021, 0.08)}, {}),
}


@pytest.mark.parametrize("name", ONE_RULE)
def test_each_rule_alone_stops_the_challenger(name):
    changes, limits = ONE_RULE[name]
    verdict = gate.decide(evidence(**changes), poor(), replace(LIMITS, **limits), COSTS)
    assert (verdict.outcome, verdict.promote, failures(verdict)) == ("refused", False, [name])
    assert name in verdict.summary
    assert "version 3 stays champion" in verdict.summary


@pytest.mark.parametrize("with_champion", [True, False])
def test_a_model_that_treats_all_alike_fails_the_floor(with_champion):
    """Approving everyone costs exactly what the policy "approve all" costs: there is no saving."""
    alike = evidence(decisions=np.full(N, "approve"))
    verdict = gate.decide(alike, poor() if with_champion else None, LIMITS, COSTS)
    assert "cheaper than approving all" in failures(verdict)
    assert not verdict.promote


def test_the_floor_needs_the_whole_interval():
    """A handful of rows is cheaper by luck: the estimate alone must not pass."""
    y, p = np.array([1] * 2 + [0] * 40), np.array([0.2] + [0.01] * 41)
    p = p + np.linspace(0, 0.001, p.size)
    verdict = gate.decide(evidence(p, y=y, groups=pd.DataFrame()), None, LIMITS, COSTS)
    rule = next(rule for rule in verdict.rules if rule.name == "cheaper than approving all")
    assert rule.figure < 0 < rule.high + 1e-12
    assert rule.passed is False


@pytest.mark.parametrize(
    ("gap", "passed"),
    [
        (Interval(0.03, 0.01, 0.05), True),  # over the limit, but the interval reaches below it
        (Interval(0.03, 0.0201, 0.04), False),
        (Interval(-0.03, -0.04, -0.0201), False),  # better on test than in training is as suspicious
        (Interval(0.0, -0.01, 0.01), True),
        (None, None),
    ],
)
def test_auc_gap_fails_only_where_the_interval_excludes_the_limit(gap, passed):
    verdict = gate.decide(evidence(auc_gap=gap), None, LIMITS, COSTS)
    assert next(rule for rule in verdict.rules if rule.name == "AUC gap").passed is passed


@pytest.mark.parametrize("edge", [0.95, 0.9500001])
def test_probability_cheaper_includes_its_limit(edge, monkeypatch):
    original = gate.compare

    def fixed(*args, **options):
        return replace(original(*args, **options), probability_cheaper=0.95)

    monkeypatch.setattr(gate, "compare", fixed)
    verdict = gate.decide(evidence(), poor(), replace(LIMITS, probability_cheaper=edge), COSTS)
    assert verdict.promote is (edge <= 0.95)


def test_the_paired_probability_agrees_with_a_brute_force_bootstrap():
    """Oracle: resample applicants, price both models on the same resample, count the wins."""
    incumbent = poor()
    verdict = gate.decide(evidence(), incumbent, LIMITS, COSTS)
    ours = np.where(Y == 1, 10.0 * (decide_rows(P, COSTS) != "decline"), decide_rows(P, COSTS) == "decline")
    theirs = np.where(Y == 1, 10.0 * (incumbent.decisions != "decline"), incumbent.decisions == "decline")
    rng = np.random.default_rng(5)
    wins = np.mean([(ours - theirs)[rng.integers(N, size=N)].sum() < 0 for _ in range(2000)])
    rule = next(rule for rule in verdict.rules if rule.name == "cheaper than the champion")
    assert rule.figure == pytest.approx(wins, abs=0.02)


def test_the_same_files_again_are_not_promoted():
    same = replace(poor(), digest="c" * 64)
    verdict = gate.decide(evidence(), same, LIMITS, COSTS)
    assert verdict.outcome == "same"
    assert verdict.summary.startswith("Same model again: version 3 stays champion")


def test_the_same_decisions_on_all_rows_are_the_same_model():
    """Other files, yet no applicant would notice: there is nothing to gain, and the verdict says so."""
    same = replace(poor(), decisions=decide_rows(P, COSTS))
    verdict = gate.decide(evidence(), same, LIMITS, COSTS)
    assert verdict.outcome == "same"
    assert f"decides as version 3 on all {N:,} test rows" in verdict.summary


NEW = {"contract": {"a": "2", "b": "1"}}


@pytest.mark.parametrize(
    ("changes", "scored", "accept", "outcome"),
    [
        (NEW, True, False, "promoted"),  # the champion was scored on its own features: an ordinary comparison
        (NEW, False, False, "contract"),
        (NEW, False, True, "new contract"),
        (
            NEW | {"auc_gap": Interval(0.1, 0.08, 0.12)},
            False,
            True,
            "refused",
        ),  # the limits hold all the same
        (NEW | {"auc_gap": Interval(0.1, 0.08, 0.12)}, False, False, "refused"),
        ({}, False, False, "contract"),
    ],
)
def test_a_changed_feature_contract(changes, scored, accept, outcome):
    incumbent = poor() if scored else replace(poor(), decisions=None)
    verdict = gate.decide(evidence(**changes), incumbent, LIMITS, COSTS, accept_new_contract=accept)
    assert verdict.outcome == outcome
    assert verdict.promote is (outcome in {"promoted", "new contract"})
    assert ("--accept-new-contract" in verdict.summary) is (outcome == "contract")
    if changes == NEW:
        rule = next(rule for rule in verdict.rules if rule.name == "feature contract")
        assert "1 added, 1 redefined" in rule.text


def test_planted_unfairness_is_found():
    """Proof that the audit can fail: refusing every man must break his rates and the four-fifths rule."""
    verdict = gate.decide(evidence(decisions=UNFAIR), None, LIMITS, COSTS)
    for rule in ("false positive rate", "false negative rate", "approval ratio"):
        assert f"{rule} by gender" in failures(verdict)
        assert f"{rule} by age" not in failures(verdict)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.35])
def test_only_unfairness_beyond_the_limit_fails(share):
    """Refusing a share of good men at random widens the gap in false positives by about that share."""
    rng = np.random.default_rng(3)
    hit = (GROUPS["gender"] == "M") & (rng.random(N) < share)
    verdict = gate.decide(evidence(decisions=np.where(hit, "decline", decide_rows(P, COSTS))), None, LIMITS, COSTS)
    assert ("false positive rate by gender" in failures(verdict)) is (share == 0.35)


def test_four_fifths_is_judged_on_approvals():
    """0.75 of 80% refused against 60% refused is no breach of the rule; 20% against 40% approved is."""
    ones = np.arange(N) % 10
    refused = np.where(GROUPS["age"] == "young", ones < 8, ones < 6)
    verdict = gate.decide(evidence(decisions=np.where(refused, "decline", "approve")), None, LIMITS, COSTS)
    rule = next(rule for rule in verdict.rules if rule.name == "approval ratio by age")
    rates = (~refused)[GROUPS["age"] == "young"].mean(), (~refused)[GROUPS["age"] == "old"].mean()
    assert rule.figure == pytest.approx(rates[0] / rates[1])
    assert rule.passed is False


def test_a_small_group_is_reported_and_not_judged():
    """Fifty applicants all refused: a scandal or chance, which the rows cannot tell; it must be seen."""
    groups = GROUPS.assign(gender=np.where(np.arange(N) < 50, "X", GROUPS["gender"]))
    decisions = np.where(np.arange(N) < 50, "decline", decide_rows(P, COSTS))
    verdict = gate.decide(evidence(groups=groups, decisions=decisions), None, LIMITS, COSTS)
    rules = [rule for rule in verdict.rules if rule.name.endswith("by gender")]
    assert all(rule.passed for rule in rules)
    assert all("Fewer than 100, not judged: X (n = 50)" in rule.text for rule in rules)
    strict = gate.decide(evidence(groups=groups, decisions=decisions), None, replace(LIMITS, min_group=50), COSTS)
    assert "approval ratio by gender" in failures(strict)


def test_an_attribute_with_small_groups_only_stops_nobody():
    groups = pd.DataFrame({"region": np.arange(N) // 50})
    verdict = gate.decide(evidence(groups=groups), None, LIMITS, COSTS)
    rules = [rule for rule in verdict.rules if rule.name.endswith("by region")]
    assert [rule.passed for rule in rules] == [None, None, None]
    assert verdict.promote


def test_unknown_membership_is_a_group_of_its_own():
    """Else a lender could hide a group by not asking."""
    hidden = GROUPS.assign(gender=GROUPS["gender"].where(GROUPS["gender"] == "F"))
    verdict = gate.decide(evidence(decisions=UNFAIR, groups=hidden), None, LIMITS, COSTS)
    assert "approval ratio by gender" in failures(verdict)


def test_a_constant_score_fails_with_its_reason_instead_of_an_exception():
    verdict = gate.decide(evidence(np.full(N, 0.05)), None, LIMITS, COSTS)
    rule = next(rule for rule in verdict.rules if rule.name == "calibration slope")
    assert (rule.passed, rule.figure) == (False, None)
    assert "all equal" in rule.text


def test_costs_with_review_price_the_third_decision():
    """Both sides are priced with today's costs, the review among them."""
    costs = replace(COSTS, review=0.05)
    words = decide_rows(P, costs)
    assert "review" in words
    verdict = gate.decide(evidence(decisions=words), poor(), LIMITS, costs)
    by_hand = np.select([words == "approve", words == "decline"], [10.0 * Y, 1.0 * (1 - Y)], 0.05).mean() - np.mean(
        10.0 * Y
    )
    rule = next(rule for rule in verdict.rules if rule.name == "cheaper than approving all")
    assert rule.figure == pytest.approx(by_hand)


@pytest.mark.parametrize("incumbent", [None, poor(), replace(poor(), decisions=None)])
@pytest.mark.parametrize("p", [P, np.full(N, 0.05)])
def test_a_verdict_survives_json(incumbent, p):
    verdict = gate.decide(evidence(p), incumbent, LIMITS, COSTS)
    text = json.dumps(verdict.to_dict(), allow_nan=False)
    assert Verdict.from_dict(json.loads(text)) == verdict


def test_the_same_evidence_gives_the_same_verdict():
    assert gate.decide(evidence(), poor(), LIMITS, COSTS) == gate.decide(evidence(), poor(), LIMITS, COSTS)


def test_texts_name_every_rule_with_figure_and_limit():
    verdict = gate.decide(evidence(), poor(), LIMITS, COSTS)
    for text in (verdict.table(), verdict.markdown()):
        assert text.startswith(verdict.summary)
        assert all(rule.name in text and rule.limit in text and rule.shown in text for rule in verdict.rules)
    assert list(verdict.frame().columns) == ["rule", "figure", "limit", "outcome", "reason"]


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="like the other inputs"):
        gate.decide(evidence(), replace(poor(), decisions=poor().decisions[1:]), LIMITS, COSTS)
