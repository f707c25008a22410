"""The object that decides: the same as what was trained, bit for bit, on any row, before and after a file."""

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import LEARNERS, REFERENCES, fitted, learn, open_sales, sales, shop

from credit import features
from credit.errors import CreditError, DataError, ModelError
from credit.evaluation.cost import decide
from credit.portfolio import Costs
from credit.scoring import export as exporting
from credit.scoring.export import export
from credit.scoring.scorer import Scorer, _load_pyfunc
from credit.training.calibration import Calibration

THRESHOLD = 0.21
SHOP = ("kind", "town", "amount", "score", "months", "phone")


def exported(name):
    """A candidate as it is registered."""
    return export(fitted(name), shop(), features.definitions(shop()), THRESHOLD, sales())


def bits(array):
    return np.asarray(array, dtype=np.float64).tobytes()


# Equal to the pipeline


@pytest.mark.parametrize("name", LEARNERS)
def test_the_scorer_is_the_pipeline(name):
    """What was validated is scikit-learn's pipeline, what decides is ours: no bit may lie between them.

    Among the rows are unknown levels, and clients of whom nothing at all is known.
    """
    rows, scorer = open_sales(), exported(name)
    assert rows[["kind", "town", "amount", "score"]].isna().all(axis=1).any()
    pipeline, names = fitted(name).pipeline, list(fitted(name).features)
    np.testing.assert_array_equal(scorer.matrix(rows), pipeline[:-1].transform(rows[names]))
    assert bits(scorer.raw(rows)) == bits(fitted(name).raw(rows))
    assert bits(scorer.predict(rows)) == bits(fitted(name).predict(rows))


@pytest.mark.parametrize("name", LEARNERS)
def test_one_client_is_scored_as_the_batch(name):
    """The form scores one, the night run a book: both must say the same of the same client."""
    rows, scorer = open_sales(80), exported(name)
    single = np.concatenate([scorer.predict(rows.iloc[[at]]) for at in range(len(rows))])
    assert bits(single) == bits(scorer.predict(rows))


@pytest.mark.parametrize("name", LEARNERS)
def test_the_order_and_type_of_columns_do_not_matter(name):
    """A form, a CSV and a Parquet file give columns in their own order, and words in their own types."""
    rows, scorer = open_sales(), exported(name)
    expected = bits(scorer.predict(rows))
    text = ["kind", "town"]
    assert bits(scorer.predict(rows[rows.columns[::-1]].assign(extra=1))) == expected
    assert bits(scorer.predict(rows.astype(dict.fromkeys(text, object)))) == expected
    assert bits(scorer.predict(rows.astype(dict.fromkeys(text, "category")))) == expected
    assert bits(scorer.predict(rows.astype({"months": "Int64", "phone": "Float64"}))) == expected
    nothing = rows.assign(**dict.fromkeys(text))
    assert bits(scorer.predict(nothing.astype(dict.fromkeys(text, object)))) == bits(scorer.predict(nothing))


def mappings(rows):
    """Rows as a form or JSON has them: plain values, None where there is none."""
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


@pytest.mark.parametrize("name", LEARNERS)
def test_a_row_is_encoded_as_in_the_table(name):
    """The quick way for one row and the quick way for many are two codes; no bit may lie between them."""
    rows, scorer = open_sales(), exported(name)
    named = mappings(rows)
    ordered = [[row[item.name] for item in scorer.inputs] for row in named]
    table = scorer.matrix(rows)
    assert bits(scorer.matrix(named)) == bits(table)
    assert bits(scorer.matrix(ordered)) == bits(table)
    assert bits(scorer.predict(named)) == bits(scorer.predict(rows))
    assert bits(scorer.matrix([rows.iloc[3].to_dict()])) == bits(table[3:4])


@pytest.mark.parametrize("name", LEARNERS)
def test_threads_and_pieces_change_no_bit(name, monkeypatch):
    """A book is scored on as many cores as there are, in pieces that fit the memory."""
    rows, scorer = pd.concat([open_sales()] * 5, ignore_index=True), exported(name)
    expected = bits(scorer.predict(rows))
    assert bits(scorer.predict(rows, threads=2)) == expected
    assert bits(scorer.predict(rows, threads=3)) == expected
    monkeypatch.setattr("credit.scoring.scorer.CHUNK", 64)
    assert bits(scorer.predict(rows, threads=2)) == expected


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration(),
        Calibration("sigmoid", (1.0142651,), (-0.31,)),
        Calibration("isotonic", (-3.1, -1.7, -0.2, 0.4, 2.2), (0.001, 0.02, 0.09, 0.31, 0.7)),
    ],
)
def test_calibration_has_the_same_bits_for_one_as_for_many(calibration):
    """Vectorised code may take another way for long arrays than for short ones."""
    scores = np.random.default_rng(0).normal(0, 2, 2001)
    together = calibration.apply(scores)
    assert bits(np.concatenate([calibration.apply(scores[at : at + 1]) for at in range(len(scores))])) == bits(together)
    assert bits(np.concatenate([calibration.apply(part) for part in np.array_split(scores, 97)])) == bits(together)


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=3),
    st.lists(st.none(), max_size=2),
    st.sampled_from(["cash", "town a", "\x00", "\ud800", pd.NA, 10**400, {}, "1e5"]),
)
names = st.sampled_from(["kind", "town", "amount", "score", "months", "phone", "other"])
kinds = st.one_of(
    st.dictionaries(names, values),
    st.fixed_dictionaries(dict.fromkeys(SHOP, values)),
    st.lists(values, max_size=8),
    values,
)


@settings(max_examples=150, deadline=None)
@given(row=kinds)
def test_any_row_gets_a_score_or_one_clear_error(row):
    told = ""
    try:
        probability = float(exported_imputed().predict([row])[0])
    except CreditError as error:
        probability, told = 0.5, str(error)
    assert 0 < probability < 1
    assert len(told) < 1000


@cache
def exported_imputed():
    return exported("imputed")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "cash"}, r"features: 5 that the model reads are not there \(town, amount"),
        ([1, 2], "features: a row must be a mapping, or hold 6 values in the model's order"),
        ("kind", "features: a row must be a mapping"),
        (dict.fromkeys(SHOP, None) | {"amount": "much"}, "feature amount: not a number"),
        (dict.fromkeys(SHOP, None) | {"score": [1]}, "feature score: not a number"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named(row, message):
    with pytest.raises(DataError, match=message):
        exported_imputed().predict([row])


def test_a_column_of_words_for_a_number_is_named():
    with pytest.raises(DataError, match="feature amount: not a number"):
        exported("native").predict(open_sales().assign(amount="much"))


def test_no_row_gives_no_score():
    assert exported("imputed").matrix(open_sales().head(0)).shape == (0, 8)


@pytest.mark.parametrize("name", LEARNERS)
def test_columns_that_are_always_empty(name):
    """A column that train never filled has no level and no median; it must be harmless, also when filled later."""
    empty = sales(300).assign(score=np.nan, town=pd.Series([None] * 300, dtype="str"))
    one = learn(name, empty, shop())
    scorer = export(one, shop(), features.definitions(shop()), THRESHOLD, empty)
    assert bits(scorer.raw(open_sales())) == bits(one.raw(open_sales()))


def test_a_column_that_first_misses_a_value_in_use():
    """Without a missing value in train there is no indicator and no level for it; the pipeline's answer counts."""
    whole = sales(400).fillna({"kind": "cash", "town": "town a", "score": 0.5, "months": 5.0})
    for name in ("native", "imputed"):
        one = learn(name, whole, shop())
        scorer = export(one, shop(), features.definitions(shop()), THRESHOLD, whole)
        assert not any(item.indicator for item in scorer.inputs)
        assert bits(scorer.raw(open_sales())) == bits(one.raw(open_sales()))


@pytest.mark.parametrize("kept", [("score", "amount"), ("kind",), ("town", "months")])
def test_books_of_one_kind_of_column(kept):
    """No categories, or no numbers: an empty block must not shift the other."""
    wanted = tuple(feature for feature in features.definitions(shop()) if feature.name in kept)
    for name in ("native", "imputed"):
        one = learn(name, sales(300), shop(), wanted)
        scorer = export(one, shop(), wanted, THRESHOLD, sales(300))
        assert bits(scorer.raw(open_sales())) == bits(one.raw(open_sales()))
        assert scorer.contract == {feature.name: feature.digest for feature in wanted}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_never_exported(name):
    with pytest.raises(ModelError, match=f"{name}: a reference is never registered"):
        exported(name)


def test_a_disagreement_stops_the_export(monkeypatch):
    """Should scikit-learn one day encode otherwise, nothing must be registered that was not validated."""
    original = exporting._numbers
    monkeypatch.setattr(exporting, "_numbers", lambda *args: [replace(item, fill=1e6) for item in original(*args)])
    with pytest.raises(ModelError, match="native: the exported scorer disagrees with its pipeline"):
        exported("native")


# Decisions


@pytest.mark.parametrize("review", [None, 1.0])
def test_decisions_follow_the_cost_rule(review):
    """One rule decides, in validation and in use."""
    rows = open_sales()
    scorer = replace(exported("native"), costs=Costs(10.0, 1.0, review))
    decided = scorer.decide(rows)
    assert decided["decision"].tolist() == decide(scorer.predict(rows), scorer.costs, THRESHOLD).tolist()
    assert bits(decided["probability_of_default"]) == bits(scorer.predict(rows))
    assert set(decided["decision"]) == {"approve", "decline"} | ({"review"} if review else set())
    assert decided.index.equals(rows.index)


def test_a_client_at_the_threshold_is_declined():
    rows = open_sales()
    scorer = exported("native")
    at = float(scorer.predict(rows)[3])
    assert scorer.with_threshold(at).decide(rows)["decision"].iloc[3] == "decline"
    assert scorer.with_threshold(float(np.nextafter(at, 1))).decide(rows)["decision"].iloc[3] == "approve"


def test_another_threshold_is_the_same_model():
    rows, scorer = open_sales(), exported("native")
    other = scorer.with_threshold(0.5)
    assert bits(other.predict(rows)) == bits(scorer.predict(rows))
    assert (scorer.threshold, other.threshold) == (THRESHOLD, 0.5)


def test_rows_keep_their_names():
    rows = open_sales(30).set_index("client", drop=False).sort_index()
    assert exported("native").decide(rows).index.equals(rows.index)


@pytest.mark.parametrize(
    ("dropped", "message"),
    [
        (["score"], r"features: 1 that the model reads are not there \(score\); build the features with the portfolio"),
        (
            ["kind", "town", "amount", "score", "months", "phone"],
            r"features: 6 that .* \(kind, town, amount, score, months\)",
        ),
    ],
)
def test_a_missing_feature_is_named(dropped, message):
    with pytest.raises(DataError, match=message):
        exported("native").decide(open_sales().drop(columns=dropped))


# Files


@pytest.mark.parametrize("name", LEARNERS)
def test_files_keep_every_bit(tmp_path, name):
    scorer, rows = exported(name), open_sales()
    again = Scorer.load(scorer.save(tmp_path / "deep" / "bundle"))
    assert again == scorer
    assert bits(again.predict(rows)) == bits(scorer.predict(rows))
    assert again.decide(rows).equals(scorer.decide(rows))


def test_saving_again_gives_the_same_files(tmp_path):
    """The registry's hash of a bundle must not depend on when it was written."""
    scorer = exported("imputed")
    one, two = scorer.save(tmp_path / "a"), Scorer.load(scorer.save(tmp_path / "b")).save(tmp_path / "c")
    for name in ("model.txt", "scorer.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert sorted(path.name for path in one.iterdir()) == ["model.txt", "scorer.json"]


def test_files_are_text_that_people_can_read(tmp_path):
    """No byte of a bundle can hold code: it is UTF-8, JSON with a known layout, and LightGBM's own text."""
    folder = exported("weighted").save(tmp_path)
    meta = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
    assert meta["threshold"] == THRESHOLD
    assert meta["about"]["portfolio"] == "shop"
    assert meta["about"]["portfolio_digest"] == shop().digest
    assert meta["calibration"]["method"] != "none"
    model = (folder / "model.txt").read_text(encoding="utf-8")
    assert model.startswith("tree\nversion=")
    assert meta["model_sha256"] == hashlib.sha256(model.encode()).hexdigest()


def test_loading_unpickles_nothing(tmp_path, monkeypatch):
    """Unpickling runs what a file says; a registry is a place where files come from others."""
    folder = exported("imputed").save(tmp_path)

    def refuse(*_args, **_options):
        raise AssertionError("a model was unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (joblib, "load"), (np, "load")):
        monkeypatch.setattr(module, name, refuse)
    assert Scorer.load(folder).decide(open_sales()).shape == (300, 2)
    assert _load_pyfunc(str(folder)).predict(open_sales()).shape == (300, 2)


def test_scoring_needs_no_scikit_learn_pipeline(tmp_path):
    """The service that scores loads text: a process that refuses unpickling and fitting must do."""
    folder = exported("imputed").save(tmp_path / "bundle")
    rows = open_sales(40)
    rows.to_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys, pandas as pd\n"
        "from credit.scoring.scorer import Scorer\n"
        f"p = Scorer.load(r'{folder}').predict(pd.read_parquet(r'{tmp_path / 'rows.parquet'}'))\n"
        "print(p.tobytes().hex())\n"
        "print('credit.training.search' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [bits(exported("imputed").predict(rows)).hex(), "False"]


def edit(change):
    """Change scorer.json by hand."""

    def apply(folder):
        meta = json.loads((folder / "scorer.json").read_text())
        change(meta)
        (folder / "scorer.json").write_text(json.dumps(meta))

    return apply


def cut(name, share):
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: int((folder / name).stat().st_size * share)]
    )


def spoil(old, new):
    return lambda folder: (folder / "model.txt").write_bytes((folder / "model.txt").read_bytes().replace(old, new, 1))


DAMAGE = {
    "no model": (lambda folder: (folder / "model.txt").unlink(), "No such file.*a scorer is model.txt and scorer.json"),
    "no description": (lambda folder: (folder / "scorer.json").unlink(), "No such file.*restore both"),
    "empty model": (cut("model.txt", 0), "model.txt: not the model that scorer.json"),
    "cut model": (cut("model.txt", 0.3), "model.txt: not the model that scorer.json"),
    "nearly whole model": (cut("model.txt", 0.99), "model.txt: not the model that scorer.json"),
    "another leaf": (spoil(b"leaf_value=", b"leaf_value=9"), "model.txt: not the model that scorer.json"),
    "another feature": (spoil(b"split_feature=", b"split_feature=99 "), "model.txt: not the model that scorer.json"),
    "binary model": (lambda folder: (folder / "model.txt").write_bytes(b"\x80\x04\xff"), "model.txt: not the model"),
    "cut description": (cut("scorer.json", 0.5), "scorer.json: not a scorer"),
    "empty description": (cut("scorer.json", 0), "scorer.json: not a scorer"),
    "binary description": (
        lambda folder: (folder / "scorer.json").write_bytes(b"\xff\xfe\x00"),
        "scorer.json: not a scorer",
    ),
    "a list": (lambda folder: (folder / "scorer.json").write_text("[]"), "scorer.json: not a scorer"),
    "of the future": (edit(lambda meta: meta.update(format=99)), "format 99, this version reads 1; train again"),
    "no threshold": (edit(lambda meta: meta.pop("threshold")), "scorer.json: not a scorer.*threshold"),
    "words for a threshold": (edit(lambda meta: meta.update(threshold="low")), "scorer.json: not a scorer"),
    "an unknown map": (
        edit(lambda meta: meta["calibration"].update(method="sigmoyd")),
        "scorer.json: not a scorer.*sigmoyd",
    ),
    "half a map": (edit(lambda meta: meta["calibration"].update(y=[])), "scorer.json: not a scorer"),
    "a stray cost": (edit(lambda meta: meta["costs"].update(tea=1)), "scorer.json: not a scorer.*tea"),
    "a stray input key": (
        edit(lambda meta: meta["inputs"][0].update(colour="red")),
        "scorer.json: not a scorer.*colour",
    ),
    "an input less": (
        edit(lambda meta: meta["inputs"].pop()),
        "scorer.json: 5 columns, but model.txt reads 6; restore",
    ),
    "an indicator more": (
        edit(lambda meta: meta["inputs"][-1].update(indicator=True)),
        "7 columns, but model.txt reads 6",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_is_refused(tmp_path, damage):
    """One clear error, before LightGBM sees the text: on damaged trees it aborts the process or reads on regardless."""
    harm, message = DAMAGE[damage]
    scorer = exported("weighted")
    folder = scorer.save(tmp_path / "bundle")
    harm(folder)
    with pytest.raises(ModelError, match=f"(?s){message}"):
        Scorer.load(folder).predict(open_sales(5))


def test_a_text_that_is_no_model_is_refused():
    with pytest.raises(ModelError, match=r"model\.txt: not a LightGBM model"):
        replace(exported("native"), model="a love letter").predict(open_sales(5))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="nowhere: No such file"):
        Scorer.load(tmp_path / "nowhere")
