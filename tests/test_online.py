"""One applicant at the counter has the features of the batch to the last bit, and the contract's errors."""

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _
from learning import sales
from lending import drawn, lender

from credit.data import contract
from credit.data.files import ROW
from credit.errors import ContractError, DataError
from credit.features import Feature, definitions, express
from credit.features.aggregates import count, mean, most, ratio, share, total
from credit.features.dictionary import derive, over
from credit.features.online import Online

CLIENTS = 60
LOANS, MONTHS = drawn(CLIENTS, 500)


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
