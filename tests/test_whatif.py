"""The smallest change that changes a decision: against brute force, and every proposal against the decider itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from math import log
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import HEAD, fitted, learn, sales, shop

from credit import features
from credit.errors import ContractError
from credit.portfolio import Action, Costs, Label, Portfolio
from credit.scoring.changes import sayable
from credit.scoring.decider import Decider, Identity
from credit.scoring.export import export
from credit.scoring.reference import Reference
from credit.scoring.whatif import WhatIf, propose

Row = dict[str, Any]
Plausible = Mapping[str, tuple[float, float]]

SHOP = HEAD.replace("min = 0, monotone = 1 }", "min = 0, max = 100000, monotone = 1, actionable = true }").replace(
    "sentinels = [999] }", "sentinels = [999], max = 999, actionable = true }"
)
COLUMNS = ("client", "kind", "town", "amount", "score", "months", "phone", "sex")
#: How far beyond a proposal the goal must hold.
BEYOND = 1.02


@cache
def decider(name: str = "native", without: tuple[str, ...] = (), review: float | None = None) -> Decider:
    """A decider of the shop; `without` some features, and perhaps with a cost of reviews."""
    book = shop(SHOP)
    wanted = tuple(each for each in features.definitions(book) if each.name not in without)
    model = learn(name, sales(), book, wanted) if without else fitted(name)
    scorer = export(model, book, wanted, 0.2, sales())
    scorer = replace(scorer, costs=Costs(4.0, 1.0, review))
    return Decider(scorer, book, Reference.make(scorer, features.definitions(book), sales(400, 2), True), Identity())


@cache
def applicants(rows: int = 60, seed: int = 5) -> list[Row]:
    frame = sales(rows, seed)[list(COLUMNS)].astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


@cache
def deciding(word: str, one: Decider, limit: int = 8) -> list[Row]:
    """Applicants whom the decider decides so."""
    found = [row for row, each in zip(applicants(), batch(one, applicants())["decision"], strict=True) if each == word]
    assert len(found) >= limit
    return found[:limit]


def batch(one: Decider, rows: Sequence[Row]) -> pd.DataFrame:
    """Decide on rows as the batch does, which shares neither the search nor the path of a single applicant."""
    numbers = dict.fromkeys(("amount", "score", "months", "phone"), "float64")
    frame = pd.DataFrame(rows).assign(client=np.arange(len(rows))).astype(numbers)
    table = ibis.memtable(frame, schema={**dict.fromkeys(frame.columns, "string"), **numbers, "client": "int64"})
    made = features.express(one.portfolio, {"sale": table}, one.features).order_by("client").to_pandas()
    return one.scorer.decide(made)


def brute(one: Decider, rows: Sequence[Row], wanted: str) -> dict[tuple[int, str, bool], float]:
    """Try every value that people would say, further and further out: the first that holds, by row, column and side."""
    grid = [
        (at, name, value > row[name], value)
        for at, row in enumerate(rows)
        for name in ("amount", "months")
        for value in (ranged(one, row, name) if row[name] else [])
    ]
    decided = batch(one, [{**rows[at], name: value} for at, name, _up, value in grid])["decision"]
    ways: dict[tuple[int, str, bool], dict[float, bool]] = {}
    for (at, name, up, value), yes in zip(grid, decided == wanted, strict=True):
        ways.setdefault((at, name, up), {})[value] = yes
    found = {}
    for (at, name, up), own in ways.items():
        for value in sorted(own, reverse=not up):
            beyond = [yes for far, yes in own.items() if outward(value, far, up)]
            if own[value] and (wanted == "decline" or all(beyond)):
                found[at, name, up] = value
                break
    return found


def ranged(one: Decider, row: Row, name: str) -> list[float]:
    """What people would say instead of a column's value, as far as it is plausible; months of 999 are missing."""
    value = float(row[name])
    low, high = one.reference.plausible[name]
    found = sayable(value, max(value / 2, min(low, value)), min(value * 2, max(high, value)), whole=name == "months")
    return [each for each in found if name == "amount" or each != 999]


def outward(value: float, far: float, up: bool) -> bool:
    """Whether a value lies beyond another, seen from where one starts, but not far."""
    return 1 <= (far / value if up else value / far) <= BEYOND * (1 + 1e-9)


# Against brute force


@pytest.mark.parametrize("name", ["native", "monotone"])
def test_no_smaller_change_leads_to_an_approval(name):
    """Each action's proposal is the nearest value that flips and holds; where there is none, none exists."""
    one, proposed = decider(name), 0
    rows = deciding("decline", one)
    expected = brute(one, rows, "approve")
    for at, row in enumerate(rows):
        made = one.what_if(row)
        assert (made.decision, made.goal) == ("decline", "approve")
        single = {each.action: each.changes for each in made.proposals if "+" not in each.action}
        for column in ("amount", "months"):
            both = [expected[at, column, up] for up in (False, True) if (at, column, up) in expected]
            nearest = min(both, key=lambda value: abs(log(value / row[column])), default=None)
            assert single.get(column) == (nearest and {column: (row[column], nearest)})
            proposed += nearest is not None
    assert proposed >= 3


def test_headroom_of_an_approval_is_the_first_value_that_loses_it():
    """An officer who lends less than that lends on an approval; both directions are told."""
    one = decider("monotone")
    rows = deciding("approve", one)
    expected, told = brute(one, rows, "decline"), {}
    for at, row in enumerate(rows):
        made = one.what_if(row)
        assert made.goal == "headroom"
        told |= {(at, each.action, each.factor > 1): each.changes[each.action][1] for each in made.proposals}
    assert told == expected
    assert len(told) >= 3


def test_two_together_are_nearly_the_smallest_of_all_pairs():
    """The coarse grid of pairs may miss the very smallest; it must not miss it by much."""

    def product_rule(rows: pd.DataFrame) -> pd.Series:
        return 0.4 - 0.25 * (np.log(1000 / rows["amount"]).clip(0, 0.6) + np.log(rows["months"] / 24).clip(0, 0.6))

    made = toy(product_rule, {"amount": 1000.0, "months": 24})
    [found] = made.proposals
    assert found.action == "amount+months"
    pairs = product(sayable(1000, 500, 2000), sayable(24, 12, 48, whole=True))
    grid = pd.DataFrame(list(pairs), columns=["amount", "months"])
    sizes = np.log(grid["amount"] / 1000).abs() + np.log(grid["months"] / 24).abs()
    smallest = sizes[product_rule(grid) < 0.2].min()
    assert smallest <= found.size <= 1.05 * smallest
    assert found.changes.keys() == {"amount", "months"}


# Against the decider

NUMBERS = {
    "amount": st.none() | st.floats(0, 3000).map(lambda value: round(value, 2)),
    "score": st.none() | st.floats(0, 1),
    "months": st.none() | st.integers(-5, 150) | st.just(999),
}


@settings(max_examples=20, deadline=None)
@given(st.fixed_dictionaries({**NUMBERS, "kind": st.sampled_from([None, "cash", "card", "loan"])}))
def test_every_proposal_keeps_its_promise(drawn):
    """Scored as an application of its own it has that decision and, to the last bit, that probability."""
    one, row = decider(), {"client": 7, "phone": 1, "town": "town a", **drawn}
    made = one.what_if(row)
    assert made.decision == one.decide(row).decision
    assert [each.size for each in made.proposals] == sorted(each.size for each in made.proposals)
    for each in made.proposals:
        changed = {**row, **{column: to for column, (_, to) in each.changes.items()}}
        again = one.decide(changed)
        assert (again.decision, again.probability.hex()) == (each.decision, each.probability.hex())
        assert (each.decision == "approve") == (made.goal == "approve")
        assert set(each.changes) <= set(each.action.split("+"))
        for column, (before, after) in each.changes.items():
            low, high = one.reference.plausible[column]
            assert before == row[column] != after
            assert min(low, before) <= after <= max(high, before)
            assert 0.5 <= after / before <= 2
        assert all(isinstance(each.changes[name][1], int) for name in each.changes if name == "months")


def test_many_at_once_score_as_one_by_one():
    """The search sees the very probabilities that a single application gets."""
    one = decider()
    rows = [
        {**applicants()[3], "amount": value, "months": months} for value in (10.0, 99.5, 700.0) for months in (1, 70)
    ]
    together = one._decide_all(rows, None)["probability_of_default"]
    assert [value.hex() for value in together] == [one.decide(row).probability.hex() for row in rows]


def test_the_decider_has_the_last_word():
    """What the single path does not confirm is not proposed, whatever the search has found."""
    found = toy(lambda rows: rows["amount"] / 1000, {"amount": 300.0}, confirm=lambda _row: (0.9, "decline"))
    assert found.proposals == ()
    assert found.note_en.startswith("None of ")


# Where nothing is found


def test_a_model_that_ignores_what_can_be_changed_gets_no_proposal():
    one = decider(without=("amount", "months"))
    made = one.what_if(deciding("decline", one)[0])
    assert made.proposals == ()
    assert made.tried > 50
    assert "The probability of default does not depend on them." in made.note_en
    assert "What decides are other facts" in made.note_en
    assert "La probabilité de défaut n'en dépend pas." in made.note_fr


def test_the_note_says_what_was_tried_and_what_was_not():
    one = decider()
    row = {**deciding("decline", one)[0], "amount": None, "months": 999, "score": 0.01, "kind": "loan"}
    made = one.what_if(row)
    assert (made.proposals, made.tried) == ((), 0)
    assert made.note_en == (
        "No change could be tried. Not tried: Amount (needs a value: Amount); Months (needs a value: Months)."
    )
    assert made.note_fr == (
        "Aucune modification n'a pu être essayée. "
        "Non essayé : Montant (il faut une valeur : Montant) ; Mois (il faut une valeur : Mois)."
    )


def test_the_note_gives_the_bounds_and_the_best_that_was_reached():
    made = toy(lambda rows: 0.5 + rows["amount"] / 10_000, {"amount": 1000.0})
    assert made.note_en == (
        "None of 200 plausible changes tried leads to an approval. Tried: Amount (Amount: 500 to 2,000). "
        "Not tried: Months (needs a value: Months). The lowest probability of default reached is 55%; now it is 60%. "
        "What decides are other facts, which this application cannot change."
    )


def test_a_book_that_names_nothing_says_so():
    made = toy(lambda rows: rows["amount"] * 0 + 0.5, {"amount": 1000.0}, book=shop())
    assert made.note_en == "The portfolio names nothing that can be changed in an application."


def test_a_broken_application_is_refused_as_everywhere():
    """One error about one value, not one for each change that would have been tried."""
    with pytest.raises(ContractError) as caught:
        decider().what_if({**applicants()[0], "score": 7})
    assert [(each.column, each.rows) for each in caught.value.violations] == [("score", (1,))]


# What a search has to watch


def toy(
    rule: Callable[[pd.DataFrame], "pd.Series[float]"],
    row: Row,
    plausible: Plausible | None = None,
    book: Portfolio | None = None,
    confirm: Callable[[Row], tuple[float, str]] | None = None,
) -> WhatIf:
    """Search under a rule that is a formula: approve below 0.2, review below 0.25, else decline."""

    def decide(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        frame = pd.DataFrame(rows)
        p = rule(frame)
        words = np.select([p < 0.2, p < 0.25], ["approve", "review"], "decline")
        return frame.assign(probability_of_default=p, decision=words)

    def single(changed: Mapping[str, Any]) -> tuple[float, str]:
        return tuple(decide([changed])[["probability_of_default", "decision"]].iloc[0])  # type: ignore[return-value]

    return propose(book or shop(SHOP), row, decide, plausible or {}, confirm or single)  # type: ignore[arg-type]


def away(rows: pd.DataFrame) -> "pd.Series[float]":
    """Approve only below half of 1600, and on an island that is as wide as one value."""
    return 0.5 - 0.4 * ((rows["amount"] <= 800) | (rows["amount"] == 900))


def test_an_island_is_passed_over():
    """A single value between refusals is a whim of the model, not advice."""
    [found] = toy(away, {"amount": 1000.0}).proposals
    assert found.changes == {"amount": (1000.0, 800.0)}


def test_headroom_counts_the_island():
    """Who says how much more can be lent must not lend into a hole."""
    made = toy(lambda rows: 0.7 - away(rows), {"amount": 1000.0})
    assert [each.changes["amount"][1] for each in made.proposals] == [900.0]


def test_what_may_only_shrink_is_looked_at_for_how_far_it_may_grow():
    """Nobody is refused into borrowing more; but an officer asks how much more could be lent."""
    less = Action("less", Label("Less", "Moins"), {"amount": 1.0}, 0.5, 1.0)
    book = replace(shop(SHOP), actions=(less,))
    [found] = toy(lambda rows: rows["amount"] / 10_000, {"amount": 1500.0}, book=book).proposals
    assert (found.changes, found.decision) == ({"amount": (1500.0, 2000.0)}, "review")
    more = toy(lambda rows: 0.3 - (rows["amount"] - 1500) / 1000, {"amount": 1500.0}, book=book)
    assert (more.decision, more.proposals) == ("decline", ())
    assert "Less (Amount: 750 to 1,490)" in more.note_en


def test_the_nearer_direction_counts():
    made = toy(lambda rows: 0.5 - 0.4 * ((rows["amount"] < 700) | (rows["amount"] > 1300)), {"amount": 1000.0})
    assert [each.changes["amount"][1] for each in made.proposals] == [1310.0]


def test_plausible_values_only():
    """A range on a feature that follows from the change holds too, here twice the amount."""

    def rule(rows: pd.DataFrame) -> "pd.Series[float]":
        rows["twice"] = 2 * rows["amount"]
        return rows["amount"] / 5000

    assert toy(rule, {"amount": 1500.0}).proposals[0].changes["amount"][1] == 995.0
    assert toy(rule, {"amount": 1500.0}, {"twice": (2000.0, 9e9)}).goal == "review"
    assert toy(rule, {"amount": 1500.0}, {"twice": (1990.0, 9e9)}).proposals[0].changes["amount"][1] == 995.0


def test_who_is_outside_already_may_only_come_nearer():
    """Ranges must not lock in the applicant whom they do not cover."""
    found = toy(lambda rows: 0.3005 - rows["amount"] / 5000, {"amount": 400.0}, {"amount": (600.0, 900.0)})
    assert found.proposals[0].changes["amount"][1] == 505.0
    assert "400" not in found.note_en
    worse = toy(lambda rows: rows["amount"] / 1000, {"amount": 300.0}, {"amount": (600.0, 900.0)})
    assert worse.proposals == ()
    assert "(Amount: 302 to 600)" in worse.note_en


def test_a_feature_that_is_not_known_forbids_nothing():
    made = toy(lambda rows: rows["amount"] / 5000, {"amount": 1500.0, "months": None}, {"months": (1.0, 2.0)})
    assert len(made.proposals) == 1


def test_an_action_scales_its_columns_together():
    """As with an amount and its instalment at the same term; other columns stay."""
    both = Action("request", Label("Request", "Demande"), {"amount": 1.0, "months": -1.0}, 0.5, 1.5)
    book = replace(shop(SHOP), actions=(both,))
    [found] = toy(
        lambda rows: rows["amount"] / rows["months"] / 20, {"amount": 900.0, "months": 180}, book=book
    ).proposals
    assert found.changes == {"amount": (900.0, 800.0), "months": (180, 202)}
    assert (found.label_en, found.label_fr) == ("Request", "Demande")
    assert found.factor == pytest.approx(800 / 900)
    assert found.size == pytest.approx(log(900 / 800))


def test_a_refused_applicant_is_led_to_a_review_where_no_approval_is_in_reach():
    made = toy(lambda rows: (rows["amount"] / 4000).clip(0.22), {"amount": 1200.0})
    assert (made.decision, made.goal) == ("decline", "review")
    assert made.proposals[0].decision == "review"
    assert made.note_en.startswith("None of ")
    assert "; the smallest that lead to a review; each was scored again as a whole." in made.note_en


def test_reviews_are_led_to_approval():
    one = decider(review=0.15)
    row = deciding("review", one, 1)[0]
    made = one.what_if(row)
    assert (made.decision, made.goal) == ("review", "approve")
    assert all(each.decision == "approve" for each in made.proposals)


def test_the_result_goes_into_json():
    one = decider()
    made = one.what_if(deciding("decline", one)[0])
    assert json.loads(json.dumps(made.to_dict()))["decision"] == "decline"
