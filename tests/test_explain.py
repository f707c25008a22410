"""What moves a score: Shapley values against their definition, SHAP's own explainer, and additivity."""

import json
import warnings
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from learning import LEARNERS, fitted, learn, open_sales, sales, shop

from credit import features
from credit.errors import ModelError
from credit.scoring.explain import contributions, importance
from credit.scoring.export import export
from credit.scoring.scorer import Scorer


@pytest.fixture(scope="module")
def explain():
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
def test_values_are_those_of_shap(name, explain):
    """The word "SHAP" is on the page: the package that bears it must agree."""
    scorer, rows = exported(name), open_sales()
    values, base = contributions(scorer, rows)
    found = explain(scorer, rows)
    np.testing.assert_allclose(values.to_numpy(), found.values, atol=1e-9)
    np.testing.assert_allclose(np.full(len(rows), base), found.base_values, atol=1e-9)


def test_an_indicator_counts_with_its_feature(explain):
    """That a score was missing is a fact about the score; people know of no column "score is missing"."""
    scorer, rows = exported("imputed"), open_sales()
    values, _ = contributions(scorer, rows)
    found = explain(scorer, rows)
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


@pytest.mark.parametrize("slip", [1e-3, -1.0])
def test_reasons_that_do_not_add_up_are_refused(monkeypatch, slip):
    """A score from one model explained by another: no client must be given such reasons."""
    raw = Scorer.raw
    monkeypatch.setattr(Scorer, "raw", lambda scorer, frame: raw(scorer, frame) + slip)
    with pytest.raises(ModelError, match="SHAP values: they do not add up to the raw score"):
        contributions(exported_before(), open_sales(10))


def exported_before():
    """Exported while raw scores were right: the export compares them itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("credit.scoring.export.np.array_equal", lambda *_: True)
        return exported("native")


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
