"""Entries of configuration to pipelines: what an entry may say, what it changes, and what is refused."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from learning import LEARNERS, REFERENCES, entry, sales, shop
from lightgbm import LGBMClassifier
from sklearn.base import clone

from credit import features
from credit.errors import ConfigError
from credit.portfolio import available, load
from credit.training.candidates import Candidate, build, candidates, ordered


def with_entries(**entries):
    """The book with some [candidates.NAME] tables changed or added, all of them competing."""
    book = shop()
    training = book.training
    overrides = {**training.overrides, **entries}
    names = tuple(dict.fromkeys((*training.candidates, *(set(entries) - set(training.references)))))
    return replace(book, training=replace(training, overrides=overrides, candidates=names))


@pytest.mark.parametrize("name", available())
def test_every_shipped_portfolio_has_a_full_field(name):
    """At least four boosted candidates and two references, each with words in both languages, all buildable."""
    book = load(name)
    field = candidates(book)
    assert sum(not each.reference for each in field) >= 4
    assert {each.kind for each in field if each.reference} == {"prior", "scorecard"}
    assert len({each.label.en for each in field}) == len({each.label.fr for each in field}) == len(field)
    assert {each.missing for each in field} == {"native", "impute"}
    assert any(each.weighted for each in field)
    assert any(each.monotone for each in field)
    for each in field:
        clone(build(each, ordered(features.definitions(book)), threads=1, seed=1))


def test_references_come_last():
    """The flow fans out in this order: what cannot win must not be waited for first."""
    book = shop()
    mixed = replace(book, training=replace(book.training, candidates=("prior", "native"), references=("scorecard",)))
    assert [each.name for each in candidates(mixed)] == ["native", "prior", "scorecard"]
    assert [each.reference for each in candidates(book)] == [False] * 4 + [True] * 2


def test_only_restricts_the_field():
    assert [each.name for each in candidates(shop(), ("prior", "monotone"))] == ["monotone", "prior"]


def test_one_entry_is_a_new_candidate():
    """Adding a candidate is one table in the portfolio's file and its name in the list, and code nowhere."""
    named = '[training]\ncandidates = ["native", "imputed", "weighted", "monotone", "deep"]\n'
    book = shop(
        extra=named + '[candidates.deep]\nen = "Deep trees"\nmissing = "impute"\ngrid = { num_leaves = [63] }\n'
    )
    deep = entry(book, "deep")
    assert (deep.missing, deep.grid, deep.label.en, deep.reference) == (
        "impute",
        {"num_leaves": [63]},
        "Deep trees",
        False,
    )
    build(deep, wanted(), threads=1, seed=1)


def test_a_new_entry_builds_on_the_defaults():
    added = entry(with_entries(deep={"grid": {"num_leaves": [63]}, "parameters": {"lambda_l2": 3}}), "deep")
    shipped = entry(load("home_credit"), "native")
    assert added.grid == {"num_leaves": [63]}
    assert added.parameters == {**shipped.parameters, "lambda_l2": 3}
    assert (added.trees, added.label.en, added.label.fr) == (shipped.trees, "deep", "deep")


def test_an_override_changes_what_it_names_only():
    """Settings are merged, a grid is replaced: half of an old grid under a new one would be searched unseen."""
    plain, changed = (
        entry(with_entries(weighted=change), "weighted")
        for change in ({}, {"trees": 5, "parameters": {"lambda_l2": 3.5}, "grid": {"max_depth": [2, 3]}})
    )
    assert changed.parameters == {**plain.parameters, "lambda_l2": 3.5}
    assert changed.grid == {"max_depth": [2, 3]}
    assert changed.trees == 5
    same = {each.name for each in fields(Candidate)} - {"parameters", "grid", "trees"}
    assert {name: getattr(changed, name) for name in same} == {name: getattr(plain, name) for name in same}


def test_an_override_stays_in_its_portfolio():
    """Entries are read anew for each book: one lender's changes must not leak into another's run."""
    before = candidates(load("home_credit"))
    with_entries(native={"trees": 1})
    candidates(with_entries(native={"trees": 1}))
    assert candidates(load("home_credit")) == before


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"native": {"tree": 5}}, "candidates.native.tree: no such key; did you mean 'trees'?"),
        ({"native": {"trees": "many"}}, "candidates.native.trees: must be a whole number, not 'many'"),
        ({"native": {"trees": 0}}, "candidates.native.trees: must be 1 or more, not 0"),
        ({"native": {"search_trees": -1}}, "candidates.native.search_trees: must be 1 or more, not -1"),
        ({"native": {"kind": "lightgmb"}}, "candidates.native.kind: must be one of 'lightgbm', 'prior', 'scorecard'"),
        ({"native": {"missing": "imputed"}}, "did you mean 'impute'?"),
        ({"native": {"weighted": 1}}, "candidates.native.weighted: must be true or false, not 1"),
        ({"native": {"grid": {}}}, "candidates.native.grid: holds nothing to search; give at least one setting"),
        ({"native": {"grid": {"num_leaves": 7}}}, "candidates.native.grid.num_leaves: must be an array of the values"),
        ({"native": {"grid": {"num_leaves": []}}}, "candidates.native.grid.num_leaves: must be an array of the values"),
        ({"native": {"grid": {"num_leafs": [7]}}}, "grid.num_leafs: no such setting of the model; did you mean 'num_l"),
        (
            {"native": {"parameters": {"lamda_l2": 1}}},
            "parameters.lamda_l2: no such setting of the model; did you mean",
        ),
        ({"scorecard": {"parameters": {"c": 1}}}, "candidates.scorecard.parameters.c: no such setting of the model"),
        (
            {"prior": {"parameters": {"C": 1}}},
            "candidates.prior.parameters.C: no such setting of the model; known: none",
        ),
        ({"monotone": {"missing": "impute"}}, 'candidates.monotone.monotone: goes with missing = "native" only'),
        ({"imputed": {"monotone": True}}, 'candidates.imputed.monotone: goes with missing = "native" only'),
    ],
)
def test_what_an_entry_must_not_say(entries, message):
    """LightGBM passes over a misspelt setting without a word; an entry that changes nothing must not run."""
    with pytest.raises(ConfigError) as caught:
        candidates(with_entries(**entries))
    assert message in str(caught.value)
    assert "portfolio 'shop'" in str(caught.value)


def test_all_mistakes_at_once():
    wrong = with_entries(native={"tree": 5}, weighted={"grid": {}}, monotone={"missing": "impute"})
    with pytest.raises(
        ConfigError, match=r"3 problems(?s:.)*native\.tree(?s:.)*weighted\.grid(?s:.)*monotone\.monotone"
    ):
        candidates(wrong)


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (("nativ",), "candidate 'nativ': no such entry; did you mean 'native'?"),
        (("xyz",), "candidate 'xyz': no such entry; known: application, imputed, monotone, native"),
        (("xyz",), "or add [candidates.xyz] to the portfolio file"),
        (("prior", "scorecard"), "only references are named; name at least one LightGBM candidate"),
    ],
)
def test_names_that_do_not_do(only, message):
    with pytest.raises(ConfigError) as caught:
        candidates(shop(), only)
    assert message in str(caught.value)


# The pipelines


def wanted():
    return ordered(features.definitions(shop()))


def test_categories_come_first():
    """LightGBM is told categories by place; a category taken for a number would be split by its code."""
    kinds = [feature.kind for feature in wanted()]
    assert kinds == sorted(kinds)
    assert kinds[0] == "category"
    assert sorted(each.name for each in wanted()) == sorted(each.name for each in features.definitions(shop()))


@pytest.mark.parametrize("name", [*LEARNERS, *REFERENCES])
def test_building_fits_nothing(name):
    pipeline = build(entry(shop(), name), wanted(), threads=1, seed=3)
    assert not hasattr(pipeline[-1], "classes_")
    first, *_, last = pipeline.named_steps
    assert (first, last) == ("prepare", "model")


@pytest.mark.parametrize("name", LEARNERS)
def test_threads_and_seed_reach_the_model(name):
    model = build(entry(shop(), name), wanted(), threads=2, seed=3)[-1]
    assert isinstance(model, LGBMClassifier)
    assert (model.n_jobs, model.random_state) == (2, 3)
    assert (model.class_weight == "balanced") == (name == "weighted")


def test_directions_stand_at_their_columns():
    model = build(entry(shop(), "monotone"), wanted(), threads=1, seed=3)[-1]
    held = dict(zip((each.name for each in wanted()), model.get_params()["monotone_constraints"], strict=True))
    assert held == {"kind": 0, "town": 0, "amount": 1, "score": -1, "months": 0, "phone": 0}


@pytest.mark.parametrize("name", ["native", "imputed"])
def test_codes_against_pandas(name):
    """Codes by hand: levels in sorted order, what was not seen missing; imputed, by median and a level of its own."""
    train, new = sales(200), sales(50, seed=1)
    new.loc[0, "town"] = "a town built yesterday"
    names = [each.name for each in wanted()]
    matrix = build(entry(shop(), name), wanted(), threads=1, seed=3)[:-1].fit(train[names]).transform(new[names])
    expected = {}
    for column in ("kind", "town"):
        seen, values = train[column], new[column]
        if name == "imputed":
            seen, values = seen.fillna("(missing)"), values.fillna("(missing)")
        levels = sorted(seen.dropna().unique())
        expected[column] = [levels.index(value) if value in levels else np.nan for value in values]
    for column in ("amount", "score", "months", "phone"):
        fill = train[column].median() if name == "imputed" else np.nan
        expected[column] = new[column].fillna(fill)
    if name == "imputed":
        expected |= {f"{column} missing": new[column].isna().astype(float) for column in ("score", "months")}
    np.testing.assert_array_equal(matrix, pd.DataFrame(expected).to_numpy(float))


def test_a_column_without_any_value_does_no_harm():
    train = sales(200).assign(score=np.nan, town=pd.Series([None] * 200, dtype="str"))
    names = [each.name for each in wanted()]
    for name in (*LEARNERS, *REFERENCES):
        pipeline = build(entry(shop(), name), wanted(), threads=1, seed=3)
        pipeline.fit(train[names], train["unpaid"])
        assert np.isfinite(pipeline.predict_proba(train[names])).all()
