"""What moves a score: Shapley values against their definition, SHAP's own explainer, and additivity."""

import json
import warnings
from dataclasses import replace
from itertools import combinations
from math import factorial

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from learning import LEARNERS, fitted, learn, open_sales, sales, shop

from credit import features
from credit.errors import ModelError
from credit.scoring.explain import attribute, contributions, explain, importance
from credit.scoring.export import export
from credit.scoring.scorer import Scorer
from credit.training.calibration import Calibration


@pytest.fixture(scope="module")
def oracle():
    """SHAP's own explainer of a booster; importing it trips a notice of matplotlib's that is no concern of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap
    return lambda scorer, rows: shap.TreeExplainer(scorer.booster)(scorer.matrix(rows))


def exported(name, wanted=None):
    one = fitted(name) if wanted is None else learn(name, sales(), shop(), wanted)
    return export(one, shop(), wanted or features.definitions(shop()), 0.2, sales())


def expectation(node, row, known):
    """Mean output of a tree where only `known` columns are told: unknown splits weigh both ways by their rows."""
    if "leaf_index" in node or "split_index" not in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        value, default = row[node["split_feature"]], node["default_left"]
        if node["decision_type"] == "==":
            goes_left = not np.isnan(value) and str(int(value)) in node["threshold"].split("||")
        elif np.isnan(value):
            goes_left = default if node["missing_type"] == "NaN" else node["threshold"] >= 0
        else:
            goes_left = value <= node["threshold"]
        return expectation(left if goes_left else right, row, known)
    weights = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    return np.average([expectation(child, row, known) for child in (left, right)], weights=weights)


def shapley(trees, row, columns):
    """The definition (Shapley 1953): a column's mean gain over all orders in which the columns can be told."""

    def value(known):
        return sum(expectation(tree["tree_structure"], row, known) for tree in trees)

    values = np.zeros(columns)
    for column in range(columns):
        others = [other for other in range(columns) if other != column]
        for size in range(columns):
            weight = factorial(size) * factorial(columns - size - 1) / factorial(columns)
            for known in combinations(others, size):
                values[column] += weight * (value({*known, column}) - value(set(known)))
    return values, value(set())


@pytest.mark.parametrize("name", ["native", "monotone"])
def test_values_are_those_of_the_definition(name):
    """All coalitions of the columns, one by one, from the trees as LightGBM dumps them."""
    wanted = tuple(each for each in features.definitions(shop()) if each.name in ("kind", "amount", "score", "months"))
    scorer, rows = exported(name, wanted), open_sales(14)
    trees = scorer.booster.dump_model()["tree_info"]
    values, base = contributions(scorer, rows)
    for at, row in enumerate(scorer.matrix(rows)):
        expected, start = shapley(trees, row, len(wanted))
        np.testing.assert_allclose(values.to_numpy()[at], expected, atol=1e-9)
        assert base == pytest.approx(start, abs=1e-9)


@pytest.mark.parametrize("name", ["native", "weighted", "monotone"])
def test_values_are_those_of_shap(name, oracle):
    """The word "SHAP" is on the page: the package that bears it must agree."""
    scorer, rows = exported(name), open_sales()
    values, base = contributions(scorer, rows)
    found = oracle(scorer, rows)
    np.testing.assert_allclose(values.to_numpy(), found.values, atol=1e-9)
    np.testing.assert_allclose(np.full(len(rows), base), found.base_values, atol=1e-9)


def test_an_indicator_counts_with_its_feature(oracle):
    """That a score was missing is a fact about the score; people know of no column "score is missing"."""
    scorer, rows = exported("imputed"), open_sales()
    values, _ = contributions(scorer, rows)
    found = oracle(scorer, rows)
    inputs = [item.name for item in scorer.inputs]
    flagged = [item.name for item in scorer.inputs if item.indicator]
    assert list(values) == inputs
    assert flagged == ["score", "months"]
    for at, name in enumerate(inputs):
        expected = found[:, at].values  # noqa: PD011 (an Explanation is no frame)
        if name in flagged:
            expected = expected + found[:, len(inputs) + flagged.index(name)].values  # noqa: PD011
        np.testing.assert_allclose(values[name], expected, atol=1e-9)


@pytest.mark.parametrize("name", LEARNERS)
def test_base_and_values_add_up_to_the_score(name):
    """A reason must be a part of the decision: what is shown sums to what was decided on, for every client."""
    scorer, rows = exported(name), open_sales()
    values, base = contributions(scorer, rows)
    assert np.abs(base + values.sum(axis=1).to_numpy() - scorer.raw(rows)).max() < 1e-9
    assert values.index.equals(rows.index)


def test_one_client_is_explained_as_the_batch():
    scorer, rows = exported("imputed"), open_sales(20).set_index("client", drop=False)
    values, base = contributions(scorer, rows)
    alone, same = contributions(scorer, rows.iloc[[7]])
    assert same == base
    pd.testing.assert_frame_equal(alone, values.iloc[[7]], check_exact=True)


def test_explaining_survives_the_files(tmp_path):
    scorer, rows = exported("monotone"), open_sales(30)
    again = Scorer.load(scorer.save(tmp_path))
    pd.testing.assert_frame_equal(contributions(again, rows)[0], contributions(scorer, rows)[0], check_exact=True)


@pytest.mark.parametrize("slip", [1e-3, -1.0, np.nan])
def test_reasons_that_do_not_add_up_are_refused(monkeypatch, slip):
    """A score from one model explained by another: no client must be given such reasons."""
    scorer, predict = exported("native"), lgb.Booster.predict

    def slipped(booster, rows, **options):
        return predict(booster, rows, **options) + (slip if options.get("raw_score") else 0.0)

    monkeypatch.setattr(lgb.Booster, "predict", slipped)
    with pytest.raises(ModelError, match="SHAP values: they do not add up to the raw score"):
        contributions(scorer, open_sales(10))
    with pytest.raises(ModelError, match="SHAP values: they do not add up to the raw score"):
        explain(scorer, features.definitions(shop()), open_sales(10))


def test_importance_is_the_mean_absolute_contribution():
    values = pd.DataFrame({"a": [0.1, -0.1], "b": [-2.0, 0.0], "c": [0.5, 1.5], "d": [0.0, 0.0]})
    ranked = importance(values)
    assert ranked.to_dict() == {"b": 1.0, "c": 1.0, "a": 0.1, "d": 0.0}
    assert list(ranked.index) == ["b", "c", "a", "d"]  # of equals the first stays first


def test_importance_finds_what_was_planted():
    """Score and amount make the outcome of these rows, town and phone do not."""
    values, _ = contributions(exported("native"), open_sales())
    ranked = importance(values)
    assert set(ranked.index[:2]) == {"score", "amount"}
    assert ranked.is_monotonic_decreasing
    assert json.loads(ranked.to_json()).keys() == set(values)


# By concept, and in probability


@pytest.mark.parametrize("name", LEARNERS)
def test_concepts_gather_features_and_both_add_up(name):
    """What the page shows of a score, in either unit and at either level, is the whole score and nothing else."""
    scorer, rows, book = exported(name), open_sales(60), features.definitions(shop())
    concept = {each.name: each.concept for each in book}
    for made, p, raw in zip(explain(scorer, book, rows), scorer.predict(rows), scorer.raw(rows), strict=True):
        assert (made.probability, made.raw) == (p, raw)  # bit for bit what was decided on
        for effects in (made.concepts, made.features):
            assert sum(each.log_odds for each in effects) == pytest.approx(made.raw - made.base, abs=1e-9)
            assert sum(each.probability for each in effects) == pytest.approx(p - made.base_probability, abs=1e-9)
            sizes = [abs(each.log_odds) for each in effects]
            assert sizes == sorted(sizes, reverse=True)
            assert all(np.sign(each.log_odds) == np.sign(each.probability) for each in effects)
        for each in made.concepts:
            parts = [part.log_odds for part in made.features if concept[part.name] == each.name]
            assert each.log_odds == pytest.approx(sum(parts), abs=1e-12)


def test_the_scale_of_probability_is_that_of_aumann_and_shapley():
    """Each effect in probability is its path integral along the straight way from base to score: by quadrature."""
    scorer, rows = exported("weighted"), open_sales(8)
    scorer = replace(scorer, calibration=Calibration("sigmoid", (0.8,), (-0.4,)))
    steps = (np.arange(20_000) + 0.5) / 20_000
    for made in explain(scorer, features.definitions(shop()), rows):
        p = scorer.calibration.apply(made.base + steps * (made.raw - made.base))
        slope = float((0.8 * p * (1 - p)).mean())
        for each in made.concepts:
            assert each.probability == pytest.approx(each.log_odds * slope, rel=1e-6)


def test_flat_calibration_leaves_ranks_and_takes_the_size():
    """On one step of an isotonic map the probability tells nobody apart; who speaks against whom is still known."""
    scorer, rows, book = exported("native"), open_sales(40), features.definitions(shop())
    flat = replace(scorer, calibration=Calibration("isotonic", (-50.0, 50.0), (0.1, 0.1)))
    for made, usual in zip(explain(flat, book, rows), explain(scorer, book, rows), strict=True):
        assert [each.name for each in made.concepts] == [each.name for each in usual.concepts]
        assert {each.probability for each in made.concepts} == {0.0}
        assert made.probability == made.base_probability == 0.1


def test_a_score_at_the_base_has_the_slope_there():
    """Nothing lies between base and score; effects that cancel out still have a size in probability."""
    scorer, rows, book = exported("native"), open_sales(1), features.definitions(shop())
    made = attribute(scorer, book, rows)
    at_base = replace(made, raw=np.array([made.base]), calibration=Calibration())
    p = float(at_base.calibration.apply([made.base])[0])
    assert at_base.slope(0) == pytest.approx(p * (1 - p), rel=1e-6)
    nearly = replace(at_base, raw=np.array([made.base + 1e-5]))
    assert nearly.slope(0) == pytest.approx(at_base.slope(0), rel=1e-4)


def test_importance_by_concept():
    scorer, rows, book = exported("native"), open_sales(50), features.definitions(shop())
    made = attribute(scorer, book, rows)
    ranked = importance(pd.DataFrame(made.by_concept, columns=list(made.concepts)))
    assert set(ranked.index) == {each.concept for each in book}
    assert ranked.is_monotonic_decreasing


def test_no_rows_are_explained_as_none():
    assert explain(exported("native"), features.definitions(shop()), open_sales(3).head(0)) == []
