"""What monitoring compares with: counted as a loop would, of the right rows, and damaged files are told."""

import hashlib
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from learning import fitted, sales, shop

from credit import features
from credit.errors import ConfigError, DataError, ModelError
from credit.evaluation.stability import Bins
from credit.scoring import baseline as module
from credit.scoring.baseline import CLIENTS, FOLD, META, OUTCOME, SAMPLE, SCORE, Baseline
from credit.scoring.export import export
from credit.training.dataset import prepare

SEGMENT = '\n[[segments]]\nname = "product"\ncolumn = "kind"\nen = "Nature"\nfr = "Nature"\n'
INPUTS = ("kind", "town", "amount", "score", "months", "phone")
PARTS = ("sex", "seniority", "product")


@pytest.fixture(scope="module")
def book():
    return shop(extra=SEGMENT)


@pytest.fixture(scope="module")
def scorer(book):
    return export(fitted("native"), book, features.definitions(book), 0.2, sales())


@pytest.fixture(scope="module")
def dataset(book, tmp_path_factory):
    folder = tmp_path_factory.mktemp("baseline")
    (folder / "data").mkdir()
    sales(900, 5).to_parquet(folder / "data" / "sales.parquet", index=False)
    return prepare(book, folder / "data", folder / "workspace")


@pytest.fixture(scope="module")
def baseline(scorer, book, dataset):
    return Baseline.make(scorer, book, dataset)


@pytest.fixture(scope="module")
def known(book, dataset):
    """Train and validation rows with their groups, put together here by the raw rows' own columns."""
    parts = [dataset.load(fold).assign(fold=fold) for fold in ("train", "validation")]
    rows = pd.concat(parts).sort_values("client", ignore_index=True)
    raw = sales(900, 5).set_index("client").loc[rows["client"]].reset_index(drop=True)
    months = raw["months"]
    band = np.where(months < 12, "under 12", np.where(months < 60, "12-60", "60+")).astype(object)
    band[months.isna()] = None
    return rows.assign(sex=raw["sex"], seniority=band, product=raw["kind"])


def test_counts_are_of_all_train_and_validation_rows(baseline, known):
    """Levels by counting words, numbers by counting between the edges; missing values too, and nothing of test."""
    assert set(baseline.bins) == set(baseline.counts) == {*INPUTS, *PARTS, SCORE}
    assert (baseline.inputs, baseline.parts) == (INPUTS, PARTS)
    for name in (*INPUTS, *PARTS):
        made, column = baseline.bins[name], known[name]
        if made.levels is not None:
            expected = [int((column == level).sum()) for level in made.levels]
        else:
            edges = [-np.inf, *made.edges, np.inf]
            expected = [int(((column >= low) & (column < high)).sum()) for low, high in pairwise(edges)]
        assert baseline.counts[name] == (*expected, int(column.isna().sum()), 0)
        assert made == Bins.fit(column)


def test_the_score_is_of_validation_rows_alone(baseline, scorer, dataset):
    """The model was fitted on train rows: its probabilities there are no measure of what it says of others."""
    p = scorer.predict(dataset.load("validation"))
    assert sum(baseline.counts[SCORE]) == len(p) == dataset.sizes["validation"]["rows"]
    assert baseline.bins[SCORE] == Bins.fit(p)
    assert np.isnan(baseline.sample.loc[baseline.sample[FOLD] == "train", SCORE]).all()
    assert baseline.validation[SCORE].tolist() == p.tolist()
    assert baseline.validation.index.tolist() == list(range(len(p)))


def test_a_small_book_is_its_own_sample(baseline, known):
    """Every value as it was, in key order: blocks of it are blocks of clients."""
    assert len(baseline.sample) == len(known)
    assert list(baseline.sample) == [*INPUTS, *PARTS, SCORE, FOLD, OUTCOME]
    for name in (*INPUTS, *PARTS, FOLD):
        pd.testing.assert_series_equal(baseline.sample[name], known[name], check_dtype=False)
    assert baseline.sample[OUTCOME].tolist() == known["unpaid"].tolist()


def test_a_large_book_is_sampled_validation_first(scorer, book, dataset, known, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 300)
    monkeypatch.setattr(module, "VALIDATION", 100)
    one, two = (Baseline.make(scorer, book, dataset) for _ in range(2))
    assert one.sample[FOLD].value_counts().to_dict() == {"train": 200, "validation": 100}
    pd.testing.assert_frame_equal(one.sample, two.sample)
    place = pd.Series(known.index, pd.MultiIndex.from_frame(known[["amount", "score"]].fillna(-1)))
    rows = place.loc[list(one.sample[["amount", "score"]].fillna(-1).itertuples(index=False, name=None))].to_numpy()
    assert (np.diff(rows) > 0).all()  # the order of keys, and nobody twice
    other = replace(book, training=replace(book.training, seed=book.training.seed + 1))
    assert not Baseline.make(scorer, other, dataset).sample.equals(one.sample)
    monkeypatch.setattr(module, "VALIDATION", 1000)
    every = Baseline.make(scorer, book, dataset)
    assert len(every.validation) == dataset.sizes["validation"]["rows"]
    assert len(every.sample) == 300


def test_no_client_is_named(baseline, known, tmp_path):
    """The files go to whoever scores: no key is in them, and no hash is one of a bare key."""
    baseline.save(tmp_path)
    held = pd.read_parquet(tmp_path / SAMPLE)
    assert list(held) == [*INPUTS, *PARTS, SCORE, FOLD, OUTCOME]
    assert not set(pd.read_parquet(tmp_path / CLIENTS)["client"]) & set(known["client"])
    bare = {int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:8], "big") for key in known["client"]}
    assert bare.isdisjoint(baseline.clients.tolist())
    assert len(baseline.salt) == 16


def test_who_was_trained_on(baseline, dataset, known):
    """In any order and type, whoever is in a fold is told from whoever is not."""
    test = dataset.load("test")["client"]
    keys = pd.concat([known["client"], test]).sample(frac=1, random_state=0)
    expected = keys.isin(known["client"]).tolist()
    for given in (keys, keys.astype(float), keys.astype(str), keys.tolist()):
        assert baseline.trained_on(given).tolist() == expected
    assert baseline.trained_on([]).tolist() == []
    assert baseline.trained_on(["", None, np.nan, "1e3"]).tolist() == [False] * 4


def test_it_survives_its_files_and_they_are_always_the_same(baseline, scorer, book, dataset, tmp_path):
    """A bundle is addressed by its hash: the same training must give the same bytes."""
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
    baseline.save(tmp_path / "one")
    again = Baseline.load(tmp_path / "one")
    again.save(tmp_path / "two")
    Baseline.make(scorer, book, dataset).save(tmp_path / "three")
    for name in (META, SAMPLE, CLIENTS):
        first = (tmp_path / "one" / name).read_bytes()
        assert first == (tmp_path / "two" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()
    assert (again.bins, again.counts, again.synthetic) == (baseline.bins, baseline.counts, baseline.synthetic)
    pd.testing.assert_frame_equal(again.sample, baseline.sample)
    assert again.clients.tolist() == baseline.clients.tolist()


def test_the_model_scores_the_sample_as_it_scored_the_rows(baseline, scorer, tmp_path):
    """What a change of one feature costs is computed on the sample: kept values must be exact."""
    baseline.save(tmp_path)
    rows = Baseline.load(tmp_path).validation
    assert scorer.predict(rows).tolist() == rows[SCORE].tolist()


def test_a_column_that_is_never_known(scorer, book, dataset, tmp_path, monkeypatch):
    """A category and a number without one value are kept, and still have their types."""
    load = type(dataset).load
    monkeypatch.setattr(type(dataset), "load", lambda self, fold: load(self, fold).assign(town=None, months=np.nan))
    made = Baseline.make(scorer, book, dataset)
    made.save(tmp_path)
    again = Baseline.load(tmp_path)
    assert (again.bins["town"], again.bins["months"]) == (Bins(levels=()), Bins(edges=()))
    pd.testing.assert_frame_equal(again.sample, made.sample)
    assert again.counts["town"] == (len(made.sample), 0)


def test_a_value_that_is_no_number_is_told_with_its_column(baseline):
    with pytest.raises(DataError, match="column amount: not a number"):
        baseline.codes("amount", ["a lot"])


@pytest.mark.parametrize("name", ["amount", "fold"])
def test_names_that_would_be_two_columns(scorer, book, dataset, name):
    """The book's own rules know its columns; what is derived from them is known here."""
    first, *others = book.groups
    with pytest.raises(ConfigError, match=f"segment '{name}' has the name of a feature or a result"):
        Baseline.make(scorer, replace(book, groups=(replace(first, name=name), *others)), dataset)


def test_a_feature_called_as_a_result(scorer, book, dataset):
    inputs = (replace(scorer.inputs[0], name="outcome"), *scorer.inputs[1:])
    with pytest.raises(ConfigError, match="no feature may be called 'outcome'"):
        Baseline.make(replace(scorer, inputs=inputs), book, dataset)


def changed(**parts):
    return lambda text: json.dumps(json.loads(text) | parts).encode()


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (META, None, "registered without what monitoring needs; train again"),
        (SAMPLE, None, "registered without what monitoring needs; train again"),
        (CLIENTS, None, "registered without what monitoring needs; train again"),
        (META, lambda text: text[:50], "not a baseline"),
        (META, lambda text: b"[]", "not a baseline"),
        (META, changed(format=2), "format 2, this version reads 1"),
        (META, changed(counts={}), "not a baseline"),
        (META, changed(bins={name: {"edges": []} for name in (*INPUTS, *PARTS, SCORE)}), "do not fit the bins"),
        (SAMPLE, lambda text: text[:-40], "cannot be read"),
        (CLIENTS, lambda text: b"", "cannot be read"),
    ],
)
def test_damaged_files_are_told_in_one_message(baseline, tmp_path, name, damage, message):
    baseline.save(tmp_path)
    path = tmp_path / name
    damaged = damage and damage(path.read_bytes())
    path.unlink() if damaged is None else path.write_bytes(damaged)
    with pytest.raises(ModelError, match=message) as caught:
        Baseline.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
