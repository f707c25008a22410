"""What has moved: against the index of two samples, told feature by feature, and loud only beyond limit and chance."""

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from learning import sales
from moving import PARTS, baseline, decider, window

from credit.errors import DataError
from credit.evaluation.stability import population_stability_index
from credit.monitoring.shift import MISSING, UNSEEN, findings, importance, mixes, score_shift, shifts
from credit.portfolio import Monitoring
from credit.scoring.baseline import SCORE

LIMITS = Monitoring()


@pytest.fixture(scope="module")
def scorer():
    return decider().scorer


@pytest.fixture(scope="module")
def known(scorer):
    return baseline(scorer, sales(1500, 7), parts=PARTS)


def table(scorer, known, frame: pd.DataFrame) -> pd.DataFrame:
    return shifts(known, window(scorer, frame, PARTS), importance(scorer)).set_index("feature")


@pytest.mark.parametrize("candidate", ["native", "imputed"])
def test_importance_is_the_share_of_gain(candidate):
    """Summed over the trees' splits; a column that says "was missing" is part of what the feature tells."""
    scorer = decider(candidate).scorer
    names = [item.name for item in scorer.inputs]
    columns = names + [item.name for item in scorer.inputs if item.indicator]
    splits = scorer.booster.trees_to_dataframe().dropna(subset=["split_feature"])
    owner = [columns[scorer.booster.feature_name().index(name)] for name in splits["split_feature"]]
    expected = splits["split_gain"].groupby(owner).sum()
    found = importance(scorer)
    assert list(found) == names
    assert sum(found.values()) == pytest.approx(1)
    for name in names:
        assert found[name] == pytest.approx(expected.get(name, 0.0) / expected.sum(), rel=1e-5)


def test_a_model_without_a_split_finds_nothing_important(scorer):
    rng = np.random.default_rng(0)
    data = lgb.Dataset(rng.normal(size=(50, len(scorer.inputs))), rng.integers(0, 2, 50))
    stump = lgb.train({"min_data_in_leaf": 1000, "objective": "binary", "verbose": -1}, data, 1)
    assert set(importance(replace(scorer, model=stump.model_to_string())).values()) == {0.0}


def test_each_index_is_that_of_the_two_samples(scorer, known):
    """The baseline's rows are all there here, so the counts kept must say what the rows say."""
    rows = sales(700, 8)
    found = table(scorer, known, rows.assign(amount=rows["amount"] * 1.4))
    for name, row in found.iterrows():
        now = rows[name] * 1.4 if name == "amount" else rows[name]
        assert row["psi"] == pytest.approx(population_stability_index(known.sample[name], now))
        assert row["missing_before"] == pytest.approx(known.sample[name].isna().mean())
        assert row["missing_now"] == pytest.approx(now.isna().mean())
        assert row["unseen_now"] == 0
        assert 0 < row["floor"] < 0.2
    assert found["psi"].drop("amount").lt(found["floor"].drop("amount")).all()


def test_the_strongest_shift_of_what_matters_comes_first(scorer, known):
    """Ordered by index times importance: a feature that the model hardly reads comes after one that it lives on."""
    rows = sales(700, 8)
    found = table(scorer, known, rows.assign(amount=rows["amount"] * 2, phone=0.0))
    product = found["psi"] * found["importance"]
    assert product.tolist() == sorted(product, reverse=True)
    assert found.index[0] == "amount"
    assert found.loc["phone", "psi"] > found.loc["amount", "psi"]


def test_unseen_levels_and_new_missing_values_are_counted(scorer, known):
    rows = sales(700, 8)
    rows.loc[rows.index[:140], "town"] = [f"new {at % 3}" for at in range(140)]
    rows.loc[rows.index[:350], "score"] = np.nan
    found = table(scorer, known, rows)
    assert found.loc["town", "unseen_now"] == 0.2
    assert found.loc["score", "missing_now"] == pytest.approx(rows["score"].isna().mean())
    together = rows["town"].where(~rows["town"].str.startswith("new", na=False), "new")
    expected = population_stability_index(known.sample["town"], together)
    assert found.loc["town", "psi"] == pytest.approx(expected)
    whys = {each.subject: each.why for each in findings(found.reset_index(), quiet(), mixes_of(), LIMITS)}
    assert "20.0% with a level never seen" in whys["town"]
    assert f"missing {rows['score'].isna().mean():.1%} instead of" in whys["score"]


@pytest.mark.parametrize(
    ("change", "feature", "columns"),
    [
        ({"score": np.nan}, "score", {"all_missing_now": True, "constant_now": False, "missing_now": 1.0}),
        ({"town": None}, "town", {"all_missing_now": True, "constant_now": False, "missing_now": 1.0}),
        ({"amount": 55.0}, "amount", {"all_missing_now": False, "constant_now": True}),
        ({"kind": "cash"}, "kind", {"all_missing_now": False, "constant_now": True}),
        ({"town": "elsewhere"}, "town", {"all_missing_now": False, "constant_now": True, "unseen_now": 1.0}),
        ({}, "phone", {"all_missing_now": False, "constant_now": False}),
    ],
)
def test_columns_that_say_nothing_any_more(scorer, known, change, feature, columns):
    found = table(scorer, known, sales(400, 9).assign(**change)).loc[feature]
    assert {name: found[name] for name in columns} == columns


def test_a_rare_flag_without_a_case_is_no_fault(scorer):
    """1 row in 500 has another value: a window of 300 often has none, one of 5,000 never."""
    rows = sales(2000, 7)
    rows["phone"] = (np.arange(2000) % 500 == 0).astype(float)
    known = baseline(scorer, rows)
    for size, stuck in ((300, False), (5000, True)):
        assert table_of(scorer, known, sales(size, 9).assign(phone=0.0)).loc["phone", "constant_now"] == stuck
    held = baseline(scorer, rows.assign(phone=1.0))
    assert not table_of(scorer, held, sales(300, 9).assign(phone=1.0)).loc["phone", "constant_now"]


def table_of(scorer, known, frame):
    return shifts(known, window(scorer, frame), importance(scorer)).set_index("feature")


def test_the_score_is_held_against_validation_rows(scorer, known):
    rows = sales(700, 8)
    seen = window(scorer, rows.assign(amount=rows["amount"] * 3))
    found = score_shift(known, seen)
    p = scorer.predict(rows.assign(amount=rows["amount"] * 3))
    before = known.validation[SCORE]
    assert len(before) == 500
    assert found["psi"] == pytest.approx(population_stability_index(before, p))
    assert (found["mean_before"], found["mean_now"]) == pytest.approx((before.mean(), p.mean()))
    quantiles = found["quantiles"]
    for share, was, became in zip(quantiles["share"], quantiles["before"], quantiles["now"], strict=True):
        assert (was, became) == pytest.approx((np.quantile(before, share), np.quantile(p, share)))
    assert found["psi"] > found["floor"] > score_shift(known, window(scorer, sales(700, 8)))["psi"]


def test_the_mix_of_clients(scorer, known):
    """Shares by counting, of levels that the book never had too; what is missing is a level."""
    rows = sales(600, 8)
    rows["sex"] = ["f"] * 480 + ["m"] * 90 + [None] * 20 + ["x"] * 10
    found = mixes(known, window(scorer, rows, PARTS)).set_index(["part", "level"])
    before = known.sample["sex"].value_counts(normalize=True)
    for level, share in (("f", 0.8), ("m", 0.15), (MISSING, 1 / 30), (UNSEEN, 1 / 60)):
        assert found.loc[("sex", level), "share_now"] == pytest.approx(share)
        assert found.loc[("sex", level), "share_before"] == pytest.approx(before.get(level, 0.0))
    assert found.loc[("sex", "f"), "psi"] == pytest.approx(population_stability_index(known.sample["sex"], rows["sex"]))
    assert found.loc["sex"]["psi"].nunique() == found.loc["sex"]["floor"].nunique() == 1
    assert (found.loc["branch"]["psi"] < found.loc["branch"]["floor"]).all()
    assert MISSING not in found.loc["branch"].index  # neither side has it


@pytest.mark.parametrize("parts", [(), ("sex",)])
def test_parts_that_a_window_does_not_tell_are_left_out(scorer, known, parts):
    found = mixes(known, window(scorer, sales(100, 8), parts))
    assert set(found["part"]) == set(parts)
    assert list(found) == ["part", "psi", "floor", "level", "share_before", "share_now"]


def test_windows_of_the_same_population_call_for_nothing(scorer, known):
    """Small ones too, where the index of no shift is often beyond the limit: that is what the floor is for."""
    loud = 0
    for seed in range(20):
        seen = window(scorer, sales(80, 100 + seed), PARTS)
        moved = shifts(known, seen, importance(scorer))
        loud += bool(findings(moved, score_shift(known, seen), mixes(known, seen), LIMITS))
    assert loud <= 3  # 1 of 100 in each of three families: 0.6 expected
    assert moved["psi"].max() > LIMITS.psi[0]


# Findings, from tables made by hand


def features_of(**changes) -> pd.DataFrame:
    row = {"feature": "income", "psi": 0.05, "floor": 0.02, "missing_before": 0.1, "missing_now": 0.1}
    row |= {"unseen_now": 0.0, "importance": 0.2, "constant_now": False, "all_missing_now": False}
    return pd.DataFrame([row | changes])


def quiet(**changes) -> dict:
    return {"psi": 0.0, "floor": 0.01, "mean_before": 0.08, "mean_now": 0.08} | changes


def mixes_of(psi: float = 0.0, floor: float = 0.01) -> pd.DataFrame:
    rows = [("sex", psi, floor, "f", 0.6, 0.7), ("sex", psi, floor, "m", 0.4, 0.25)]
    return pd.DataFrame(rows, columns=["part", "psi", "floor", "level", "share_before", "share_now"])


@pytest.mark.parametrize(
    ("features", "score", "mix", "expected"),
    [
        ({}, {}, {}, []),
        ({"psi": 0.1}, {}, {}, []),
        ({"psi": 0.11}, {}, {}, [("WARN", "feature", "income", 0.1)]),
        ({"psi": 0.26}, {}, {}, [("ALERT", "feature", "income", 0.25)]),
        ({"psi": 0.26, "importance": 0.009}, {}, {}, [("WARN", "feature", "income", 0.1)]),
        ({"psi": 0.26, "importance": 0.01}, {}, {}, [("ALERT", "feature", "income", 0.25)]),
        ({"psi": 0.26, "floor": 0.26}, {}, {}, []),
        ({"psi": 0.3, "floor": 0.27}, {}, {}, [("ALERT", "feature", "income", 0.25)]),
        ({}, {"psi": 0.2}, {}, [("WARN", "score", SCORE, 0.1)]),
        ({}, {"psi": 0.3}, {}, [("ALERT", "score", SCORE, 0.25)]),
        ({}, {"psi": 0.3, "floor": 0.4}, {}, []),
        ({}, {}, {"psi": 0.2}, [("WARN", "segment", "sex", 0.1)]),
        ({}, {}, {"psi": 0.3}, [("ALERT", "segment", "sex", 0.25)]),
        ({}, {}, {"psi": 0.3, "floor": 0.5}, []),
        ({"all_missing_now": True}, {}, {}, [("ALERT", "data", "income", 0.1)]),
        ({"all_missing_now": True, "importance": 0.0}, {}, {}, [("WARN", "data", "income", 0.1)]),
        ({"constant_now": True}, {}, {}, [("ALERT", "data", "income", 1.0)]),
    ],
)
def test_what_calls_and_how_loudly(features, score, mix, expected):
    """Beyond the limit and beyond chance, both strictly; what the model hardly reads never alerts."""
    found = findings(features_of(**features), quiet(**score), mixes_of(**mix), LIMITS)
    assert [(each.severity, each.kind, each.subject, each.limit) for each in found] == expected


def test_reasons_say_what_and_how_much():
    told = findings(features_of(psi=0.31, missing_now=0.5), quiet(psi=0.3, mean_now=0.12), mixes_of(0.3), LIMITS)
    whys = {each.kind: each.why for each in told}
    assert whys == {
        "score": "The score has moved (index 0.30, chance reaches 0.01): its mean was 8.0% and is 12.0%.",
        "feature": "income has moved (index 0.31, chance reaches 0.02), missing 50.0% instead of 10.0%; "
        "it has 20.0% of the model's gain.",
        "segment": "The mix of sex has moved (index 0.30, chance reaches 0.01), m the most: 40.0% before, 25.0% now.",
    }
    weights = {each.kind: each.weight for each in told}
    assert weights == {"score": 0.3, "feature": pytest.approx(0.31 * 0.2), "segment": 0.3}


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns=["amount", "town"]), r"a test: 2 features .* not there \(town, amount\)"),
        (lambda frame: frame.assign(amount="a lot"), "column amount: not a number where numbers were"),
    ],
)
def test_a_window_that_does_not_fit_is_told(scorer, known, change, message):
    seen = window(scorer, sales(100, 8))
    with pytest.raises(DataError, match=message):
        shifts(known, replace(seen, features=change(seen.features)), importance(scorer))


def test_a_baseline_that_is_too_small_is_told(scorer):
    known = baseline(scorer, sales(30, 7))
    with pytest.raises(DataError, match="noise floor: the baseline has 10 rows"):
        score_shift(known, window(scorer, sales(100, 8)))


def test_the_seed_decides_the_floor_and_nothing_else(scorer, known):
    seen = window(scorer, sales(300, 8))
    one, two = (shifts(known, seen, importance(scorer), seed=seed) for seed in (1, 2))
    assert not one["floor"].equals(two["floor"])
    pd.testing.assert_frame_equal(one.drop(columns="floor"), two.drop(columns="floor"))
    pd.testing.assert_frame_equal(one, shifts(known, seen, importance(scorer), seed=1))
