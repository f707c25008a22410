"""One applicant's decision is the batch's, to the last bit; whatever is wrong is told in the officer's words."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import fitted, open_sales, sales, shop

from credit import features
from credit.errors import ContractError, CreditError, DataError
from credit.portfolio import Costs
from credit.scoring.decider import Decider, Identity
from credit.scoring.export import export
from credit.scoring.reference import Reference

COLUMNS = ("client", "kind", "town", "amount", "score", "months", "phone", "sex", "branch", "unpaid")


@cache
def decider(name: str = "native", review: float | None = None) -> Decider:
    book, known = shop(), features.definitions(shop())
    scorer = replace(export(fitted(name), book, known, 0.21, sales()), costs=Costs(10.0, 1.0, review))
    return Decider(
        scorer, book, Reference.make(scorer, known, sales(400, 2), True), Identity("credit-shop", 3, "ab" * 32)
    )


def applicants(rows: int = 60) -> list[dict[str, Any]]:
    """Raw applications that keep the contract."""
    frame = open_sales(rows).drop(columns=["branch"])
    frame.loc[frame["kind"] == "barter", "kind"] = "cash"
    frame["phone"] = frame["phone"].fillna(1.0)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


@pytest.mark.parametrize("review", [None, 0.4])
@pytest.mark.parametrize("name", ["native", "imputed", "weighted"])
def test_one_is_decided_as_in_the_batch(name, review):
    """The officer's answer and the night run's may not differ, in probability, decision, costs or band."""
    ready, asked = decider(name, review), applicants()
    table = pd.DataFrame(asked)
    batch = ready.decide_frame(table, threads=2)
    for at, application in enumerate(asked):
        made, row = ready.decide(application), batch.iloc[at]
        assert made.probability == row["probability_of_default"]
        assert (made.decision, made.band) == (row["decision"], row["band"])
        assert made.costs == {action: row[f"expected_cost_{action}"] for action in made.costs}
        assert made.explanation.probability == made.probability
        quick = ready.outcome(application)
        assert (quick.probability, quick.decision, quick.costs, quick.band) == (
            made.probability,
            made.decision,
            made.costs,
            made.band,
        )
    assert ("expected_cost_review" in batch) == (review is not None)


def test_the_decision_says_what_it_rests_on():
    ready, application = decider(), applicants()[4]
    made = ready.decide({**application, "client": f"{application['client']}.0"})
    assert made.client == str(application["client"])
    assert (made.portfolio, made.identity, made.synthetic) == ("shop", Identity("credit-shop", 3, "ab" * 32), True)
    assert made.threshold == 0.21
    assert 0 <= made.standing <= 1


def test_what_is_not_given_is_listed():
    """Left out, empty, NaN or a sentinel: in each case nothing is known."""
    made = decider().decide({"client": 1, "phone": 1, "kind": "", "amount": None, "score": float("nan"), "months": 999})
    assert made.missing == ("kind", "town", "amount", "score", "months")
    assert decider().decide({"client": 1, "phone": 1, "amount": 3.0, "town": "x"}).missing == (
        "kind",
        "score",
        "months",
    )


def test_the_feature_hash_is_of_names_meanings_and_bits():
    ready, application = decider(), applicants()[5]
    (row,) = ready.online.compute(ready.online.typed([application]))
    lines = []
    for item in ready.scorer.inputs:
        value = row[item.name]
        lines.append(f"{item.name} {item.digest} {'' if value is None else value if item.levels else value.hex()}\n")
    made = ready.decide(application)
    assert made.feature_hash == hashlib.sha256("".join(lines).encode()).hexdigest()
    nudged = {**application, "amount": float(np.nextafter(application["amount"] or 1.0, 1e9))}
    assert ready.decide(nudged).feature_hash != made.feature_hash
    zero = ready.decide({**application, "amount": 0.0}).feature_hash
    assert ready.decide({**application, "amount": -0.0}).feature_hash == zero


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": 7}, "Score: must be"),
        ({"amount": "a lot"}, "Amount: must be a number"),
        ({"kind": "barter"}, "Kind: "),
        ({"phone": None}, "Phone: is required"),
        ({"client": None}, "Client: is required"),
        ({"score": 7, "amount": [1]}, "Amount: must be a number"),
    ],
)
def test_a_wrong_field_is_told_in_the_officers_words(change, words):
    with pytest.raises(ContractError) as caught:
        decider().decide({**applicants()[0], **change})
    assert words in str(caught.value)
    assert {broken.column for broken in caught.value.violations} == set(change)
    assert "sale." not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [({"kind": "cash"}, "are not there"), ([1], "a row must be a mapping"), ("no", "a row must be a mapping")],
)
def test_features_that_are_not_there_are_named(row, message):
    with pytest.raises(DataError, match=message):
        decider().outcome(row)


def test_many_threads_decide_as_one():
    asked = applicants(24)
    alone = [decider().decide(application).to_dict() for application in asked]
    with ThreadPoolExecutor(6) as pool:
        assert [made.to_dict() for made in pool.map(decider().decide, asked)] == alone


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.dates(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    st.sampled_from(["cash", "\x00", "\ud800", "1e999", "0.5", 0.5, 999, -(2**70)]),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from(COLUMNS), st.text(max_size=3)), values, max_size=10), st.booleans())
def test_any_dictionary_gets_a_decision_or_one_clear_error(given_row, complete):
    application = {"client": 7, "phone": 1, **given_row} if complete else given_row
    told = ""
    try:
        made = decider().decide(application)
    except CreditError as error:
        told = str(error)
    else:
        assert 0 < made.probability < 1
    assert len(told) < 10_000
