"""One applicant at the counter has the features of the batch to the last bit, and the contract's errors."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis import _
from learning import sales
from lending import drawn, lender

from credit.data import contract
from credit.data.files import ROW
from credit.errors import ContractError, CreditError, DataError
from credit.features import Feature, definitions, express
from credit.features.aggregates import count, mean, most, ratio, share, total
from credit.features.dictionary import derive, over
from credit.features.online import Online

CLIENTS = 60
LOANS, MONTHS = drawn(CLIENTS, 500)
SALE = ("client", "kind", "town", "amount", "score", "months", "phone", "sex", "branch", "unpaid")
LOAN = ("loan", "client", "days", "paid", "due", "state")


def history() -> tuple[Feature, ...]:
    return (
        *over("paid", total(_.paid), "Paid", "Payé", "money", table="loan", windows=(0, 12)),
        *over("paid_mean", mean(_.paid), "Mean paid", "Payé moyen", "money", table="loan"),
        *over("open", count(_.state == "open"), "Open", "Ouverts", "money", table="loan", windows=(0, 3)),
        *over("paid_to_due", ratio(_.paid, _.due), "Paid to due", "Payé sur dû", "money", table="loan"),
        *over("late", share(_.late > 30), "Late", "Retard", "money", table="month", windows=(0, 12)),
        *over("worst", most(_.late), "Worst", "Pire", "money", table="month"),
        derive(
            "paid_to_amount", _.paid / _.amount.nullif(0), "Paid to amount", "Payé sur montant", "money", table="loan"
        ),
    )


@pytest.fixture(scope="module")
def raw() -> dict[str, pd.DataFrame]:
    book = sales(CLIENTS + 5).drop(columns=["unpaid", "branch"])
    book["client"] = np.arange(CLIENTS + 5)  # the last five have no history
    months = MONTHS.drop_duplicates(["loan", "month"])
    return {"sale": book, "loan": LOANS, "month": months}


@pytest.fixture(scope="module")
def every() -> tuple[Feature, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("credit.features.dictionary._derived", lambda _book: history())
        return definitions(lender())


@pytest.fixture(scope="module")
def online(every) -> Online:
    return Online(lender(), every)


@pytest.fixture(scope="module")
def batch(raw, every) -> pd.DataFrame:
    numbered = {name: ibis.memtable(frame.assign(**{ROW: np.arange(1, len(frame) + 1)})) for name, frame in raw.items()}
    checked = contract.check(lender(), numbered, labelled=False).tables
    return express(lender(), checked, every).to_pandas().set_index("client")


def case(raw: dict[str, pd.DataFrame], client: int) -> tuple[dict, dict]:
    loans = raw["loan"][raw["loan"]["client"] == client]
    months = raw["month"][raw["month"]["loan"].isin(loans["loan"])]
    application = raw["sale"][raw["sale"]["client"] == client].to_dict("records")[0]
    return application, {"loan": loans.to_dict("records"), "month": months.to_dict("records")}


@pytest.mark.parametrize("client", [*range(0, CLIENTS, 7), CLIENTS + 1])
def test_bit_for_bit_as_in_the_batch(raw, every, online, batch, client):
    made = online.features(*case(raw, client)).set_index("client")
    made.index = made.index.astype(int)
    for feature in every:
        one, other = made[feature.name].iloc[0], batch.loc[client, feature.name]
        assert (pd.isna(one) and pd.isna(other)) or one == other, feature.name


def test_nothing_stays_of_the_applicant_before(raw, online):
    """The next client must not inherit a history."""
    online.features(*case(raw, 0))
    application, _history = case(raw, 1)
    made = online.features(application).iloc[0]
    assert made["open"] == 0
    assert made[["paid", "paid_mean", "late", "worst", "paid_to_amount"]].isna().all()


def test_the_clients_own_key_may_be_left_out(raw, online):
    application, history = case(raw, 3)
    without = {"loan": [{k: v for k, v in row.items() if k != "client"} for row in history["loan"]]}
    whole = online.features(application, {"loan": history["loan"]})
    pd.testing.assert_frame_equal(online.features(application, without), whole)


def test_text_and_numbers_mean_the_same(raw, online):
    application, history = case(raw, 4)
    texts = {key: None if pd.isna(value) else str(value) for key, value in application.items()}
    pd.testing.assert_frame_equal(online.features(texts, history), online.features(application, history))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 7}, r"sale\.score: out of range \[0, 1\]"),
        ({"amount": "a lot"}, r"sale\.amount: not a number"),
        ({"kind": "barter"}, r"sale\.kind: unknown level"),
        ({"phone": None}, r"sale\.phone: missing value"),
        ({"client": None}, r"sale\.client: missing key"),
    ],
)
def test_a_broken_field_is_named(raw, online, change, message):
    application, history = case(raw, 2)
    with pytest.raises(ContractError, match=message):
        online.features({**application, **change}, history)


def test_a_future_row_is_refused(raw, online):
    application, history = case(raw, 2)
    with pytest.raises(ContractError, match=r"loan\.days: dated after the application"):
        online.features(application, {"loan": [{**history["loan"][0], "days": 3}]})


def test_a_key_that_is_there_twice_is_refused(raw, online):
    application, history = case(raw, 2)
    with pytest.raises(ContractError, match="duplicated key"):
        online.features(application, {"loan": history["loan"][:1] * 2})


def test_what_the_portfolio_does_not_know_is_refused(raw, online):
    """A name with a slip of the pen would count as missing, and be scored."""
    application, history = case(raw, 2)
    with pytest.raises(DataError, match=r"sale\.amont: no such column in the portfolio; 'amount' may be meant"):
        online.features({**application, "amont": 3})
    with pytest.raises(DataError, match=r"loans: no such table in portfolio 'shop'; 'loan' may be meant"):
        online.features(application, {"loans": history["loan"]})


# Several applications of one applicant, several applicants at once


def test_variants_are_the_applications_one_by_one(raw, online):
    """What-if asks for many at once; each must be as if asked alone, in order, whatever its neighbours."""
    application, history = case(raw, 5)
    asked = [{**application, "amount": amount} for amount in (300.0, 20.0, 500.0, 20.0, None)]
    together = online.variants(asked, history)
    alone = pd.concat([online.features(each, history) for each in asked], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone)
    assert together["paid_to_amount"].nunique() == 3


def test_no_variant_gives_no_row(raw, online):
    assert len(online.variants([], case(raw, 5)[1])) == 0


def test_a_broken_variant_is_refused(raw, online):
    application, history = case(raw, 5)
    with pytest.raises(ContractError, match=r"sale\.amount: out of range"):
        online.variants([application, {**application, "amount": -1}], history)


def test_threads_do_not_mix_applicants(raw, every):
    """The server asks from many threads; nobody may see another's history."""
    shared = Online(lender(), every, workers=2)
    clients = list(range(0, CLIENTS, 3)) * 3
    alone = {client: shared.features(*case(raw, client)) for client in set(clients)}
    with ThreadPoolExecutor(8) as pool:
        for client, made in zip(clients, pool.map(lambda c: shared.features(*case(raw, c)), clients), strict=True):
            pd.testing.assert_frame_equal(made, alone[client])


def test_rows_of_another_client_count_for_nobody(raw, online):
    """A history that is not the applicant's own must not become theirs, as in the batch."""
    application, history = case(raw, 6)
    other = [{**row, "client": 7, "loan": row["loan"] + 10_000} for row in history["loan"]]
    mixed = online.features(application, {"loan": [*history["loan"], *other]})
    pd.testing.assert_frame_equal(mixed, online.features(application, {"loan": history["loan"]}))


def test_an_error_leaves_nothing_behind(raw, online):
    application, history = case(raw, 8)
    before = online.features(application, history)
    with pytest.raises(DataError, match="too large to be computed with"):
        online.features(application, {"loan": [{**history["loan"][0], "paid": 1e300}]})
    with pytest.raises(ContractError):
        online.features({**application, "amount": "much"}, history)
    pd.testing.assert_frame_equal(online.features(application, history), before)


# What the shortcut leaves to the contract


@pytest.mark.parametrize(
    ("column", "value", "same_as"),
    [
        ("amount", " 250 ", 250.0),
        ("amount", "+250", 250.0),
        ("amount", "2.5E2", 250.0),
        ("amount", Decimal("250.0"), 250.0),
        ("months", "999", None),
        ("months", 999.0, None),
        ("phone", "TRUE", 1.0),
        ("phone", True, 1.0),
        ("town", 5.0, "5"),
        ("town", "town\u00a0a", "town\u00a0a"),
        ("client", "009", 9),
        ("client", 9.0, 9),
    ],
)
def test_unusual_writing_means_the_same(raw, online, column, value, same_as):
    """The contract takes these; whichever way a value goes, it must come out the same."""
    application, history = case(raw, 9)
    plain = online.features({**application, column: same_as}, history)
    pd.testing.assert_frame_equal(online.features({**application, column: value}, history), plain)


def test_all_that_is_wrong_is_told_at_once(raw, online):
    """Over all tables, whichever of them the shortcut could judge."""
    application, history = case(raw, 10)
    loans = [{**row, "days": "soon"} for row in history["loan"]]
    with pytest.raises(ContractError) as caught:
        online.features({**application, "score": 2, "kind": "x"}, {"loan": loans})
    found = {(broken.table, broken.column, broken.rule) for broken in caught.value.violations}
    assert found >= {
        ("sale", "score", "out of range"),
        ("sale", "kind", "unknown level"),
        ("loan", "days", "not a number"),
    }


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"cash", ("cash",), {1, 2}])
@pytest.mark.parametrize("column", ["kind", "town", "amount", "phone"])
def test_what_is_no_single_value_names_its_field(raw, online, column, value):
    """Also where any text would do: a list is no town."""
    application, _history = case(raw, 11)
    with pytest.raises(ContractError, match=rf"sale\.{column}: "):
        online.features({**application, column: value})


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([], "history: list is no mapping of table to rows"),
        ({"loan": {}}, "loan: dict is no list of rows"),
        ({"loan": "rows"}, "loan: str is no list of rows"),
        ({"loan": [7]}, "loan: int is no mapping of column to value"),
        ({"loan": [{"lone": 1}]}, r"loan\.lone: no such column in the portfolio; 'loan' may be meant"),
        ({"sale": []}, "sale: no such table"),
        ({3: []}, "3: no such table"),
        ({"\ud800": []}, "no such table"),
    ],
)
def test_what_is_no_history_is_refused(raw, online, history, message):
    """A second application must not slip in as history either."""
    with pytest.raises(DataError, match=message):
        online.features(case(raw, 2)[0], history)


keys = st.one_of(
    st.sampled_from([*SALE, "", "amont", "\x00", "\ud800"]),
    st.text(max_size=4),
    st.integers(),
    st.none(),
    st.booleans(),
)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.dates(),
    st.sampled_from(["cash", "\x00", "\ud800", "NaN", "1e999", "0", "1", "huge", -(2**63), 1e300, -0.0]),
).map(lambda value: 10**5000 if isinstance(value, str) and value == "huge" else value)
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2), max_leaves=4
)
applications = st.one_of(
    anything,
    st.dictionaries(keys, anything, max_size=6),
    st.dictionaries(st.sampled_from(SALE), anything, max_size=9).map(lambda row: {"client": 1, "phone": 1, **row}),
)
rows = st.one_of(
    anything, st.lists(st.one_of(anything, st.dictionaries(st.sampled_from(LOAN), anything, max_size=6)), max_size=3)
)
histories = st.one_of(
    anything, st.dictionaries(st.one_of(keys, st.sampled_from(["loan", "month", "sale"])), rows, max_size=3)
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(application=applications, history=histories)
def test_anything_gets_an_answer_or_one_clear_error(online, application, history):
    """Whoever sends what: never a traceback."""
    told = ""
    try:
        made = len(online.features(application, history))
    except CreditError as error:
        made, told = 0, str(error)
    assert made == 1 or 0 < len(told) < 10_000
