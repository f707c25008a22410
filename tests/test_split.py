"""The fold of a client: a function of the client's number and the salt, and of nothing else."""

import hashlib
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2_contingency

from credit.portfolio import Split
from credit.training.split import FOLDS, assign

keys = st.lists(st.one_of(st.integers(-(2**40), 2**62), st.text(max_size=12)), max_size=40)
#: Weights of the three folds, made shares; none is empty.
splits = st.builds(
    lambda salt, weights: Split(salt, *(weight / sum(weights) for weight in weights)),
    st.text(max_size=10),
    st.tuples(*[st.integers(1, 20)] * 3),
)


def oracle(key: object, split: Split) -> str:
    """The definition, in whole numbers of 2**-64 and without numpy."""
    digest = hashlib.sha256(f"{split.salt}:{key}".encode("utf-8", "surrogatepass")).hexdigest()
    place = int(digest[:16], 16) / 16**16
    if place < split.train:
        return "train"
    return "validation" if place < split.train + split.validation else "test"


@given(keys, splits)
def test_each_client_goes_where_the_hash_says(clients, split):
    """An auditor must be able to recompute a fold with a hash function and nothing of ours."""
    assert assign(clients, split).tolist() == [oracle(key, split) for key in clients]


def test_the_folds_never_change():
    """Written down once: a release that dealt clients anew would test a champion on rows it was trained on."""
    assert hashlib.sha256("".join(assign(range(5000), Split())).encode()).hexdigest()[:12] == "527a628df7cf"


@given(keys, keys, splits, st.randoms(use_true_random=False))
def test_rows_added_or_reordered_move_nobody(clients, others, split, random):
    """Next month's book holds this month's clients: their folds must stay."""
    before = dict(zip(clients, assign(clients, split), strict=True))
    mixed = [*clients, *others]
    random.shuffle(mixed)
    after = dict(zip(mixed, assign(mixed, split), strict=True))
    assert {key: after[key] for key in before} == before


@given(st.integers(-(2**52), 2**52), splits)
def test_a_number_is_one_client_however_it_is_written(number, split):
    """CSV gives text, Parquet an integer, a column that once missed a value a float."""
    ways = [number, float(number), str(number), np.int64(number), np.float64(number)]
    assert len({assign([way], split)[0] for way in ways}) == 1


def test_columns_of_any_type_agree():
    numbers = pd.Series(range(1000, 1400))
    folds = [assign(numbers.astype(kind), Split()).tolist() for kind in ("int64", "float64", "Int64", "str", object)]
    assert all(left == right for left, right in pairwise(folds))


def test_everyone_is_in_one_fold():
    where = assign(range(3000), Split())
    assert set(where) == set(FOLDS)
    assert sum((where == fold).sum() for fold in FOLDS) == 3000
    assert assign([], Split()).shape == (0,)


@settings(max_examples=30)
@given(splits, st.integers(0, 2**40))
def test_shares_are_those_asked_for(split, start):
    """A fair hash fills a fold as a binomial does; 1e-9 on either side is not reached by chance."""
    where = assign(range(start, start + 4000), split)
    for fold in FOLDS:
        low, high = binom.interval(1 - 2e-9, 4000, getattr(split, fold))
        assert low <= (where == fold).sum() <= high


@pytest.mark.parametrize(("one", "other"), [("credit-1", "credit-2"), ("a", "b"), ("1", "11"), ("", " ")])
def test_salts_deal_independently(one, other):
    """Five salts are five repetitions of an experiment only if one split says nothing of the next."""
    clients = range(20_000)
    table = pd.crosstab(assign(clients, Split(one)), assign(clients, Split(other)))
    assert chi2_contingency(table).pvalue > 1e-4


def test_the_fold_says_nothing_of_the_key():
    """Ids are given out in time order: early and late clients must be dealt alike."""
    clients = np.arange(20_000)
    table = pd.crosstab(assign(clients, Split()), clients // 2000)
    assert chi2_contingency(table).pvalue > 1e-4
