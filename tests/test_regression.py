"""Champion against predecessor by brute force, where all outcomes are known, and as a ledger would show them."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from learning import fitted, sales, shop
from numpy.polynomial.hermite_e import hermegauss
from scipy.optimize import minimize
from scipy.special import expit
from windows_util import COSTS, scored, window

from credit import features
from credit.errors import DataError
from credit.evaluation.decisions import decide, losses
from credit.evaluation.intervals import compare
from credit.monitoring.regression import WORD, _learn, compare_versions, findings
from credit.portfolio import Costs
from credit.scoring.decider import Decider, Identity
from credit.scoring.export import export
from credit.scoring.reference import Reference

LIMIT = 0.02
BASE = -2.8


class Told:
    """A scorer that reads its probability from a column: what is tested is how two of them are compared."""

    contract, costs, threshold = {"told": "1"}, COSTS, COSTS.threshold

    def decide(self, frame, *, threads=1):
        return pd.DataFrame({"probability_of_default": frame["told"], "decision": decide(frame["told"], COSTS)})


def version(number):
    return SimpleNamespace(identity=Identity("credit-shop", number), scorer=Told())


def averaged(z, spread):
    """P(default) where a normal part of the log-odds with this standard deviation is not known."""
    points, weights = hermegauss(40)
    return (expit(z[:, None] + spread * points) * weights).sum(axis=1) / weights.sum()


def world(name, seed, rows):
    """Outcomes, and the probabilities of a champion and a predecessor, each calibrated unless it says otherwise."""
    rng = np.random.default_rng(seed)
    strong, weak = rng.normal(0, 1.2, rows), rng.normal(0, 0.8, rows)
    z = BASE + strong + weak
    y = (rng.random(rows) < expit(z)).astype(float)
    noise = rng.normal(0, 1, rows)
    by_strong, by_weak = averaged(BASE + strong, 0.8), averaged(BASE + weak, 1.2)
    told = {
        "better": (by_strong, by_weak),
        "better, sees both": (expit(z), by_strong),
        "better, declines more": (expit(z), expit(z - 0.8)),
        "better, declines more, makes errors": (expit(z + 0.9 * noise), expit(z - 1.0)),
        "worse": (by_weak, by_strong),
        "worse, sees half": (by_strong, expit(z)),
        "worse, too lenient": (expit(z - 1), expit(z)),
        "worse, too strict": (expit(z + 1), expit(z)),
        "worse, makes errors": (expit(z + 1.2 * noise), expit(z)),
    }
    return y, *told[name]


def seen(y, own, other, whose):
    """Leave those without an outcome whom the models in whose turn they came declined."""
    declined = {
        "champion": decide(own, COSTS) == "decline",
        "predecessor": decide(other, COSTS) == "decline",
        "nobody": np.zeros(len(y), dtype=bool),
    }
    declined["both in turn"] = np.where(np.arange(len(y)) % 2, declined["predecessor"], declined["champion"])
    return np.where(declined[whose], np.nan, y)


def judge(y, own, other, **options):
    told = window(scored(y, own), features=pd.DataFrame({"told": other}))
    return compare_versions(version(4), version(3), told, COSTS, LIMIT, **options)


def truth(y, own, other, rows):
    """What only a world with all outcomes knows."""
    return (losses(y, decide(own, COSTS), COSTS) - losses(y, decide(other, COSTS), COSTS))[rows].mean()


TURNS = ["nobody", "champion", "predecessor", "both in turn"]


@pytest.mark.parametrize("whose", TURNS)
@pytest.mark.parametrize(
    "name", ["better", "better, sees both", "better, declines more", "better, declines more, makes errors"]
)
def test_a_better_champion_is_never_rolled_back(name, whose):
    for seed in range(3):
        y, own, other = world(name, seed, 6000)
        assert truth(y, own, other, slice(None)) < 0
        assert not judge(seen(y, own, other, whose), own, other).proposed


def test_the_clients_with_an_outcome_alone_would_roll_back_a_better_champion():
    """The trap: it declines more, which is right, and of whom it declines nobody learns that it was."""
    trapped = 0
    for seed in range(6):
        y, own, other = world("better, declines more, makes errors", seed, 8000)
        found = judge(seen(y, own, other, "champion"), own, other)
        assert truth(y, own, other, slice(None)) < 0
        trapped += found.worse
        if found.worse:
            assert found.known.estimate > LIMIT > found.modelled.estimate
            assert [each.severity for each in findings(found)] == ["WARN"]
            assert "who has an outcome may be the cause" in found.why
        assert not found.proposed
    assert trapped >= 2


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        *(("worse", each) for each in TURNS if each != "predecessor"),
        *(("worse, sees half", each) for each in TURNS),
        *(("worse, makes errors", each) for each in TURNS),
        *(("worse, too lenient", each) for each in TURNS if each != "predecessor"),
        *(("worse, too strict", each) for each in TURNS if each != "champion"),
    ],
)
def test_a_worse_champion_is_rolled_back(name, whose):
    y, own, other = world(name, 5, 10_000)
    found = judge(seen(y, own, other, whose), own, other)
    assert truth(y, own, other, slice(None)) > LIMIT
    assert (found.worse, found.proposed) == (True, True)
    assert [(each.severity, each.kind, each.subject) for each in findings(found)] == [
        ("ALERT", "regression", "version 4 against 3")
    ]
    assert "go back to version 3" in found.why


@pytest.mark.parametrize(("name", "whose"), [("worse, too lenient", "predecessor"), ("worse, too strict", "champion")])
def test_where_no_outcome_tells_two_versions_apart_nothing_is_said(name, whose):
    """The stricter one decided who has an outcome: on all of those both say yes."""
    y, own, other = world(name, 1, 4000)
    found = judge(seen(y, own, other, whose), own, other)
    assert (found.known, found.filled, found.modelled, found.proposed) == (None, None, None, False)
    assert found.why == (
        "Version 4 is not compared with version 3: they treat 0 of the clients with an outcome differently, 30 are "
        "needed."
    )
    assert sum(cell["clients"] for cell in found.cells) > 100
    assert findings(found) == []


def test_the_figures_are_loops_over_clients():
    y, own, other = world("worse", 2, 3000)
    kept = seen(y, own, other, "both in turn")
    found = judge(kept, own, other)
    a, b = decide(own, COSTS), decide(other, COSTS)
    known, cells, filled, luck = [], {}, [], []
    for i in range(3000):
        if not np.isnan(kept[i]):
            known.append(losses([kept[i]], [a[i]], COSTS)[0] - losses([kept[i]], [b[i]], COSTS)[0])
            filled.append(known[-1])
            luck.append(0.0)
        elif a[i] != b[i]:
            bad, good = (losses([k], [a[i]], COSTS)[0] - losses([k], [b[i]], COSTS)[0] for k in (1, 0))
            filled.append(own[i] * bad + (1 - own[i]) * good)
            luck.append(own[i] * bad**2 + (1 - own[i]) * good**2 - filled[-1] ** 2)
        if a[i] != b[i]:
            cell = cells.setdefault((str(a[i]), str(b[i])), [0, 0, 0])
            cell[0] += 1
            cell[1] += not np.isnan(kept[i])
            cell[2] += kept[i] == 1
    assert found.known.estimate == pytest.approx(np.mean(known))
    assert found.filled.estimate == pytest.approx(np.mean(filled))
    error = ((np.var(filled) + np.mean(luck)) / len(filled)) ** 0.5
    assert found.filled.high - found.filled.low == pytest.approx(2 * 1.959964 * error)
    assert (found.applicants, found.matured) == (3000, len(known))
    assert found.filled_in == len(filled) - len(known)
    assert {
        (cell["champion"], cell["predecessor"]): [cell["clients"], cell["matured"], cell["defaults"]]
        for cell in found.cells
    } == cells
    rows = ~np.isnan(kept)
    first = compare(losses(kept[rows], a[rows], COSTS), losses(kept[rows], b[rows], COSTS)).difference
    assert found.known == first


def test_with_all_outcomes_there_is_nothing_to_replace():
    y, own, other = world("worse", 3, 3000)
    found = judge(y, own, other)
    assert found.filled_in == 0
    assert found.filled.estimate == found.modelled.estimate == pytest.approx(truth(y, own, other, slice(None)))
    assert [found.filled.low, found.filled.high] == pytest.approx([found.known.low, found.known.high], abs=0.004)


def test_the_champions_word_favours_it():
    """Whom it declines, it says would default too often; whom it approves, that they would not."""
    for whose in TURNS[1:]:
        y, own, other = world("worse", 4, 4000)
        kept = seen(y, own, other, whose)
        apart = decide(own, COSTS) != decide(other, COSTS)
        found = judge(kept, own, other)
        assert found.filled.estimate < truth(y, own, other, ~np.isnan(kept) | apart) - 0.05


def test_the_modelled_interval_covers_what_all_outcomes_would_show():
    """Where the log-odds of both say all there is to say, whoever decided who has an outcome."""
    hits = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        one, two = rng.normal(0, 1.0, 2500), rng.normal(0, 1.0, 2500)
        y = (rng.random(2500) < expit(BASE + 0.6 * one + 0.6 * two)).astype(float)
        own, other = expit(BASE + 1.2 * one), expit(BASE + 1.2 * two)
        kept = seen(y, own, other, TURNS[1 + seed % 3])
        rows = ~np.isnan(kept) | (decide(own, COSTS) != decide(other, COSTS))
        found = judge(kept, own, other).modelled
        hits += found.low <= truth(y, own, other, rows) <= found.high
    assert hits >= 133  # 95% of 150; fewer once in 1,000 repetitions


def test_what_is_learnt_is_the_top_of_its_posterior():
    rng = np.random.default_rng(6)
    X = np.column_stack([np.ones(400), rng.normal(-2, 1, 400), rng.normal(0, 1, 400)])
    y = rng.random(400) < expit(X @ [0.3, 0.8, 0.2])

    def loss(beta):
        p = expit(X @ beta)
        return -np.sum(np.where(y, np.log(p), np.log1p(-p))) + ((beta - WORD) ** 2).sum() / 2

    found, covariance = _learn(X, y)
    best = minimize(loss, WORD, method="BFGS", options={"gtol": 1e-8})
    assert found == pytest.approx(best.x, abs=1e-4)
    step, axes = 1e-4, np.eye(3)
    hessian = [
        [
            sum(i * j * loss(best.x + step * (i * u + j * v)) for i in (-1, 1) for j in (-1, 1)) / (4 * step**2)
            for u in axes
        ]
        for v in axes
    ]
    assert covariance == pytest.approx(np.linalg.inv(hessian), rel=1e-3)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_outcomes_that_say_little_leave_the_champions_word(outcome):
    """No default at all, and two versions that say the same: there is still one answer, near where it began."""
    X = np.column_stack([np.ones(3), [-1.0, -2.0, -3.0], np.zeros(3)])
    found, covariance = _learn(X, np.full(3, outcome == 1))
    assert np.abs(found - WORD).max() < 2
    assert found[2] == 0
    assert covariance[2, 2] == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda y: np.where(np.arange(len(y)) < 200, y, np.nan), "200 clients have an outcome, 300 are needed"),
        (lambda y: np.full(len(y), np.nan), "0 clients have an outcome, 300 are needed"),
    ],
)
def test_too_few_outcomes_say_nothing(change, why):
    y, own, other = world("worse", 1, 1000)
    found = judge(change(y), own, other)
    assert found.why == f"Version 4 is not compared with version 3: {why}."
    assert not found.proposed
    assert findings(found) == findings(None) == []
    json.dumps(found.to_dict(), allow_nan=False)


def test_equals_are_not_compared_to_death():
    y, own, _ = world("worse", 1, 1000)
    found = judge(y, own, own)
    assert found.cells == ()
    assert "they treat 0 of the clients with an outcome differently" in found.why


def test_a_difference_within_the_limit_is_no_reason():
    y, own, other = world("worse, sees half", 7, 8000)
    told = window(scored(y, own), features=pd.DataFrame({"told": other}))
    found = compare_versions(version(4), version(3), told, COSTS, limit=0.5)
    assert found.known.low > 0
    assert not found.worse
    assert "The first is not surely above 0 and beyond the limit of 0.5" in found.why
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_predecessor_that_reads_other_features_needs_them():
    y, own, other = world("worse", 1, 1000)
    told = window(scored(y, own), features=pd.DataFrame({"something": other}))
    found = compare_versions(version(4), version(3), told, COSTS, LIMIT)
    assert "version 3 reads 1 features that are not there, such as told" in found.why
    given = compare_versions(version(4), version(3), told, COSTS, LIMIT, features=pd.DataFrame({"told": other}))
    assert given == judge(y, own, other)


def test_reviews_cost_what_they_cost_today():
    y, own, other = world("worse", 1, 2000)
    champion = version(4)
    champion.scorer.costs = Costs(10.0, 1.0, 0.3)
    told = window(scored(y, own), features=pd.DataFrame({"told": other}))
    found = compare_versions(champion, version(3), told, Costs(10.0, 1.0, 0.3), LIMIT)
    a = losses(y, decide(own, champion.scorer.costs, Told.threshold), champion.scorer.costs)
    assert found.known.estimate == pytest.approx((a - losses(y, decide(other, COSTS), COSTS)).mean())
    with pytest.raises(DataError, match="review"):
        compare_versions(champion, version(3), told, COSTS, LIMIT)


def test_two_trained_models_are_compared_as_they_decide():
    """Nothing stands in for anything: two deciders of the shop's book, one of them far too lenient."""
    book, known = shop(), features.definitions(shop())
    rows = sales(1500, 3)

    def decider(name, number, cut):
        scorer = replace(export(fitted(name), book, known, cut, sales()), costs=COSTS)
        return Decider(
            scorer, book, Reference.make(scorer, known, sales(400, 2), True), Identity("credit-shop", number)
        )

    champion, before = decider("native", 2, 0.9), decider("imputed", 1, 0.1)
    decided = champion.decide_frame(rows[list(champion.scorer.contract)])
    told = window(
        scored(rows["unpaid"].astype(float), decided["probability_of_default"], threshold=0.9),
        features=rows[list(champion.scorer.contract)],
    )
    found = compare_versions(champion, before, told, COSTS, LIMIT)
    y = rows["unpaid"]
    a, b = (losses(y, each.decide_frame(rows)["decision"], COSTS) for each in (champion, before))
    assert found.known.estimate == pytest.approx((a - b).mean())
    assert (found.champion, found.predecessor, found.proposed) == (2, 1, True)
