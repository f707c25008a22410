"""Features: each derived one recomputed in plain pandas from its words, and the dictionary that names them.

The rows are drawn from what a portfolio allows (edges, zeros, missing values and sentinels among them), not from any
book: a formula must hold for every row that the contract lets through.
"""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _
from learning import sales, shop

from credit import features
from credit.data import contract, tables
from credit.errors import ConfigError, ModelError
from credit.features import Feature, definitions, express, load, select
from credit.portfolio import Column, Label, Portfolio, available
from credit.portfolio import load as portfolio

BOOKS = available()


def drawn(book: Portfolio, rows: int = 240) -> pd.DataFrame:
    """Rows that keep a book's contract, of every kind that it allows."""
    rng = np.random.default_rng(11)
    frame = {column.name: draw(column, rows, rng) for column in book.columns.values() if column.role != "excluded"}
    frame[book.key] = rng.permutation(rows) + 1
    frame[book.target] = np.arange(rows) % 3 == 0
    return pd.DataFrame(frame).astype({book.target: int})


def draw(column: Column, rows: int, rng: np.random.Generator) -> pd.Series:
    if column.type == "category":
        values = pd.Series(rng.choice(column.levels or ("one", "two"), rows))
    elif column.type == "flag":
        values = pd.Series(rng.integers(0, 2, rows).astype(float))
    else:
        low, high = column.minimum or 0.0, 100.0 if column.maximum is None else column.maximum
        values = pd.Series(rng.uniform(low, min(high, low + 50_000), rows))
        values[rng.random(rows) < 0.15] = low
        values = values.round() if column.type == "integer" else values
    if column.missing:
        values[rng.random(rows) < 0.25] = None
        for sentinel in column.sentinels:
            values[rng.random(rows) < 0.1] = sentinel
    return values


@cache
def typed(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with sentinels missing, by hand; and their features, the way that training takes."""
    book = portfolio(name)
    raw = drawn(book)
    with TemporaryDirectory() as folder:
        raw.to_parquet(Path(folder) / f"{book.tables[book.main].files[0]}.parquet")
        checked = contract.check(book, tables.open_tables(book, folder)).tables
        built = express(book, checked, application(book)).order_by(book.key).to_pandas()
    for column in book.columns.values():
        if column.name in raw:
            raw[column.name] = raw[column.name].where(~raw[column.name].isin(column.sentinels))
    return raw.sort_values(book.key, ignore_index=True), built


def application(book: Portfolio) -> tuple[Feature, ...]:
    """The features of the main table alone."""
    return definitions(book, [book.main])


def per(numerator, denominator):
    """A share; missing where there is nothing to divide by."""
    return numerator / denominator.mask(denominator == 0)


def home_credit(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Each derived feature in words of pandas, written from its label and not from its formula."""
    credit, annuity, goods = rows.AMT_CREDIT, rows.AMT_ANNUITY, rows.AMT_GOODS_PRICE
    income, age, job = rows.AMT_INCOME_TOTAL, rows.DAYS_BIRTH.abs() / 365.25, rows.DAYS_EMPLOYED.abs() / 365.25
    scores = rows[["EXT_SOURCE_1", "EXT_SOURCE_2", "EXT_SOURCE_3"]]
    clipped = scores.fillna(0.5).clip(0.01, 0.99)
    documents = [name for name in rows if name.startswith("FLAG_DOCUMENT_")]
    contacts = ["FLAG_EMP_PHONE", "FLAG_WORK_PHONE", "FLAG_CONT_MOBILE", "FLAG_PHONE", "FLAG_EMAIL"]
    building = [
        "APARTMENTS_AVG",
        "LIVINGAREA_AVG",
        "FLOORSMAX_AVG",
        "ENTRANCES_AVG",
        "TOTALAREA_MODE",
        "YEARS_BUILD_AVG",
    ]
    whole = {"skipna": False}
    return {
        "credit_term": per(credit, annuity),
        "credit_to_goods": per(credit, goods),
        "credit_minus_goods": credit - goods,
        "credit_to_income": per(credit, income),
        "annuity_to_income": per(annuity, income),
        "goods_to_income": per(goods, income),
        "annuity_to_age": per(annuity, age),
        "credit_to_age": per(credit, age),
        "age_at_end": age + per(credit, annuity) / 12,
        "income_after_annuity": income - annuity,
        "income_per_head": income / (1 + rows.CNT_CHILDREN),
        "income_to_age": per(income, age),
        "income_to_employment": income / (1 + job),
        "employed_share": per(job, age),
        "age_at_employment": age - job,
        "registration_share": per(rows.DAYS_REGISTRATION.abs() / 365.25, age),
        "papers_share": per(rows.DAYS_ID_PUBLISH.abs() / 365.25, age),
        "age_at_papers": age - rows.DAYS_ID_PUBLISH.abs() / 365.25,
        "phone_share": per(rows.DAYS_LAST_PHONE_CHANGE.abs() / 365.25, age),
        "car_age_share": per(rows.OWN_CAR_AGE, age),
        "car_age_to_employment": rows.OWN_CAR_AGE / (1 + job),
        "scores_mean": scores.mean(axis=1),
        "scores_least": scores.min(axis=1),
        "scores_greatest": scores.max(axis=1),
        "scores_spread": scores.max(axis=1) - scores.min(axis=1),
        "scores_missing": scores.isna().sum(axis=1),
        "scores_product": scores.fillna(0.5).prod(axis=1),
        "scores_evidence": (np.log(clipped) - np.log1p(-clipped)).sum(axis=1),
        "scores_1_2": scores.EXT_SOURCE_1 * scores.EXT_SOURCE_2,
        "scores_1_3": scores.EXT_SOURCE_1 * scores.EXT_SOURCE_3,
        "scores_2_3": scores.EXT_SOURCE_2 * scores.EXT_SOURCE_3,
        "scores_by_age": scores.mean(axis=1) * age,
        "term_to_scores": per(credit, annuity) / (scores.mean(axis=1) + 0.1),
        "documents_count": rows[documents].sum(axis=1, **whole),
        "contacts_count": rows[contacts].sum(axis=1, **whole),
        "mismatches_count": rows.filter(like="_NOT_").sum(axis=1, **whole),
        "enquiries_count": rows.filter(like="AMT_REQ_CREDIT_BUREAU_").sum(axis=1, **whole),
        "building_missing": rows[building].isna().sum(axis=1),
        "circle_default_share": per(rows.DEF_30_CNT_SOCIAL_CIRCLE, rows.OBS_30_CNT_SOCIAL_CIRCLE),
    }


ORACLES = {"home_credit": home_credit}


def derived(book: Portfolio) -> list[str]:
    return [feature.name for feature in application(book) if feature.name not in book.columns]


@pytest.mark.parametrize("name", BOOKS)
def test_every_derived_feature_has_an_oracle(name):
    """A formula without a second opinion is a number that nobody has checked."""
    rows, _built = typed(name)
    assert derived(portfolio(name)) == list(ORACLES[name](rows) if name in ORACLES else [])


@pytest.mark.parametrize("feature", derived(portfolio("home_credit")))
def test_formulas_against_pandas(feature):
    rows, built = typed("home_credit")
    expected = home_credit(rows)[feature].astype(float)
    np.testing.assert_allclose(built[feature], expected, rtol=1e-9, atol=1e-12)
    assert built[feature].min() < built[feature].max()  # the rows try it


@pytest.mark.parametrize("name", BOOKS)
def test_columns_pass_as_they_are(name):
    rows, built = typed(name)
    book = portfolio(name)
    assert list(built) == [book.key, book.target, *(feature.name for feature in application(book))]
    for column in book.features:
        pd.testing.assert_series_equal(built[column.name], rows[column.name], check_dtype=False)


@pytest.mark.parametrize("name", BOOKS)
def test_no_feature_is_infinite_or_a_sentinel(name):
    """Infinity breaks medians and means; 365243 days of employment break everything else."""
    book = portfolio(name)
    _rows, built = typed(name)
    numeric = built.select_dtypes("number")
    assert not np.isinf(numeric.to_numpy(float)).any()
    for column in book.features:
        assert not built[column.name].isin(column.sentinels).any()
    if name == "home_credit":
        assert built["DAYS_EMPLOYED"].max() <= 0
        assert built.loc[built["DAYS_EMPLOYED"].isna(), ["employed_share", "age_at_employment"]].isna().all(axis=None)


def test_division_by_zero_is_missing():
    """Also where a formula forgets it: neither infinity nor "not a number" leaves this wing."""
    ratio = Feature("ratio", _.amount / _.phone, Label("r", "r"), "money", "sale")
    log = Feature("log", (_.amount - _.amount).cast("float64") / 0.0, Label("l", "l"), "money", "sale")
    frame = pd.DataFrame({"client": [1, 2, 3], "amount": [5.0, 0.0, 6.0], "phone": [0.0, 0.0, 3.0]})
    built = express(shop(), {"sale": ibis.memtable(frame)}, (ratio, log)).order_by("client").to_pandas()
    np.testing.assert_array_equal(built["ratio"], [np.nan, np.nan, 2.0])
    assert built["log"].isna().all()


@pytest.mark.parametrize("name", BOOKS)
def test_a_client_is_described_by_their_own_row(name):
    """Nothing is fitted: a client scored alone tomorrow must have the features of the batch of today."""
    book = portfolio(name)
    rows, built = typed(name)
    some = rows.iloc[[5, 120, 7]]
    alone = express(book, {book.main: ibis.memtable(some)}, application(book)).to_pandas().set_index(book.key)
    together = built.set_index(book.key).loc[some[book.key]]
    for feature in application(book):
        left, right = alone.loc[together.index, feature.name], together[feature.name]
        assert left.equals(right.astype(left.dtype)), feature.name


def test_unlabelled_rows_have_the_same_features_and_no_target():
    book = shop()
    rows = ibis.memtable(sales(50).drop(columns="unpaid"))
    made = express(book, {book.main: rows}, definitions(book))
    assert list(made.columns) == ["client", *(f.name for f in definitions(book))]


# The dictionary


@pytest.mark.parametrize("name", BOOKS)
def test_no_closed_column_is_read(name):
    """Target, key, protected and excluded columns stand in no formula, under whatever name the feature goes."""
    book = portfolio(name)
    closed = {column.name for column in book.columns.values() if column.role != "feature"}
    assert {book.key, book.target} <= closed
    assert any(column.role == "protected" for column in book.columns.values())
    for feature in application(book):
        text = repr(feature.formula)
        read = {one or two for one, two in re.findall(r"_\.([A-Za-z_]\w*)|_\['([^']+)'\]", text)}
        assert read
        assert read <= set(book.columns) - closed, feature.name
        assert not set(re.findall(r"\w+", text)) & closed


@pytest.mark.parametrize("name", BOOKS)
def test_every_feature_has_words_and_a_known_concept(name):
    """A reason that a client cannot read is no reason; a feature without a concept would have none."""
    book = portfolio(name)
    for feature in definitions(book):
        assert feature.label.en.strip()
        assert feature.label.fr.strip()
        assert feature.concept in book.concepts, feature.name
        assert feature.monotone in (-1, 0, 1)
        assert feature.table in book.tables
        assert feature.kind in ("number", "category")
        assert feature.monotone == 0 or feature.kind == "number"
    names = [feature.name for feature in definitions(book)]
    words = [feature.label.en for feature in definitions(book)]
    assert len(names) == len(set(names)) == len(set(words))


def example() -> Feature:
    return Feature("kind", _.kind, Label("Kind", "Nature"), "money", "sale", "category", levels=("a", "b"))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "kinds"},
        {"formula": _.kind.upper()},
        {"formula": _.town},
        {"table": "other"},
        {"kind": "number"},
        {"levels": ("a", "c")},
        {"levels": ("b", "a")},
        {"levels": ("a",)},
    ],
)
def test_another_meaning_has_another_digest(change):
    """A model must refuse a feature that is no longer what it was trained on."""
    assert replace(example(), **change).digest != example().digest


@pytest.mark.parametrize(
    "change",
    [
        {"label": Label("Sort", "Sorte")},
        {"concept": "person"},
        {"unit": "share"},
        {"monotone": 1},
        {"actionable": True},
        {"formula": _.kind},
    ],
)
def test_other_words_have_the_same_digest(change):
    """Mending a translation must not make every model in use unusable."""
    assert replace(example(), **change).digest == example().digest


@pytest.mark.parametrize("name", BOOKS)
def test_digests_are_the_same_in_every_process(name):
    """No address of an object may slip into a formula's text, and no two features may look alike."""
    texts = [repr(feature.formula) for feature in definitions(portfolio(name))]
    assert not any("0x" in text or "object at" in text or "lambda" in text for text in texts)
    assert len(set(texts)) == len(texts)
    digests = [feature.digest for feature in definitions(portfolio(name))]
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in digests)
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_.a / 2, _.a / 3),
        (ibis.least(_.a, _.b), ibis.greatest(_.a, _.b)),
        (ibis.coalesce(_.a, 0.5), ibis.coalesce(_.a, 0.25)),
        (_.a.cast("float64"), _.a.cast("int64")),
        (_.a.nullif(0), _.a.nullif(1)),
        (ibis.cases((_.a > 1, 2)), ibis.cases((_.a > 1, 3))),
    ],
)
def test_the_text_of_a_formula_tells_it_apart(one, other):
    """The digest rests on ibis writing out all of a deferred formula."""
    assert repr(one) != repr(other)


def test_contract_of_a_model_is_kept():
    book = shop()
    meant = {feature.name: feature.digest for feature in definitions(book)}
    wanted = {"score": meant["score"], "kind": meant["kind"]}
    assert [feature.name for feature in select(book, wanted)] == ["kind", "score"]
    assert select(book, {}) == ()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"shoe_size": "0"}, "shoe_size gone"),
        ({"score": "0"}, "score redefined"),
        ({"shoe_size": "0", "hat": "1", "score": "0"}, "shoe_size, hat gone; score redefined"),
    ],
)
def test_a_contract_that_cannot_be_kept(wanted, message):
    with pytest.raises(ModelError, match=rf"no longer exist.*\({message}\); score with the version .* or train again"):
        select(shop(), wanted)


@pytest.mark.parametrize("name", ["no_such_module", "os.path", "../build", ""])
def test_a_module_that_is_not_there(name):
    """Only this package is looked in, so that a portfolio's file cannot have any other code run."""
    with pytest.raises(ConfigError, match=r"no module credit\.features.*leave the key out"):
        definitions(replace(shop(), derived=name))


def test_a_module_without_features():
    with pytest.raises(ConfigError, match=r"credit\.features\.build has no DERIVED"):
        definitions(replace(shop(), derived="build"))


def test_two_features_of_one_name():
    book = portfolio("home_credit")
    taken = Column("credit_term", "number", Label("Term", "Durée"), "credit_request")
    main = replace(book.tables[book.main], columns=book.columns | {"credit_term": taken})
    with pytest.raises(ConfigError, match="two features are called credit_term"):
        definitions(replace(book, tables=book.tables | {book.main: main}))


# The files


def test_load_reads_what_is_asked_for(tmp_path):
    """A page that explains one client must not read three hundred thousand."""
    table = ibis.memtable(sales(80))
    built = features.build(shop(), {"sale": table}, tmp_path, "fingerprint")
    everything = load(built.features)
    assert built.rows == len(everything) == 80
    assert everything["client"].is_monotonic_increasing
    few = load(built.features, ["client", "score"], ("client", [1003, 1001, 5]))
    pd.testing.assert_frame_equal(
        few, everything.loc[everything["client"].isin([1001, 1003]), ["client", "score"]].reset_index(drop=True)
    )
    assert load(built.audit)["client"].tolist() == everything["client"].tolist()
