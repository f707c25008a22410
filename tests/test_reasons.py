"""Reasons for a refusal: true of the model, true of the applicant, in words, and naming nothing that was not used."""

import json
import re
from dataclasses import asdict, replace
from functools import cache

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import HEAD, fitted, open_sales, sales, shop
from lending import lender

from credit import features
from credit.portfolio import DEFAULT, Costs, Label, load
from credit.scoring.explain import attribute
from credit.scoring.export import export
from credit.scoring.reasons import CHECKED, MOST, PRINCIPAL, Reasoner, code
from credit.scoring.reference import Reference
from credit.scoring.scorer import Input, Scorer
from credit.scoring.telling import Teller
from credit.training.calibration import Calibration

COLUMNS = ("kind", "town", "amount", "score", "months", "phone")
#: What stands in no reason: protected and excluded columns, and the words of features that a model does not read.
BARRED = {"sex": ("Sex", "Sexe"), "branch": ("Branch", "Succursale")}


@cache
def reasoner(name="native", threshold=0.2):
    """Reasons of a fitted candidate, its reference made of rows that it has not seen."""
    scorer = export(fitted(name), shop(), features.definitions(shop()), threshold, sales())
    reference = Reference.make(scorer, features.definitions(shop()), sales(400, 5), synthetic=True)
    return Reasoner(scorer, shop(), features.definitions(shop()), reference)


def neutral(made, frame, concept):
    """Rows with one concept as with the typical approved applicant: at the level of data, not of the matrix."""
    changed = frame.copy()
    for name, feature in made.features.items():
        if feature.concept == concept:
            value = approved(made)[name]
            changed[name] = pd.Series([value] * len(frame), index=frame.index, dtype=frame[name].dtype)
    return changed


def approved(made):
    return made._teller.approved


# True of the model


@pytest.mark.parametrize("name", ["native", "imputed", "monotone"])
def test_each_reason_lowers_the_score_once_it_is_gone(name):
    """The least that a reason must do, checked through the scorer on data: had it not been so, there were less risk."""
    made, rows = reasoner(name), open_sales(80, 9)
    found = made.reasons(rows)
    raw = made.scorer.raw(rows)
    assert sum(len(each) for each in found) > 50
    for at, reasons in enumerate(found):
        for reason in reasons:
            one = rows.iloc[[at]]
            assert made.scorer.raw(neutral(made, one, reason.concept))[0] < raw[at]


def test_drops_are_those_of_the_scorer():
    """The quick way over the model's matrix against the slow one over data, missing indicators among the columns."""
    apart = [replace(each, concept=f"all of {each.name}") for each in features.definitions(shop())]
    known, rows = reasoner("imputed"), open_sales(30, 3)
    made = Reasoner(known.scorer, shop(), apart, Reference(True, (0.1,) * 101, approved(known), {}))
    whole = attribute(made.scorer, apart, rows)
    every = range(len(whole.concepts))
    names, months = list(whole.names), whole.concepts.index("all of months")
    assert made._columns[months].tolist() == [names.index("months"), len(names) + 1]  # the second of the indicators
    falls = made.drops(whole, [list(every)] * len(rows))
    for concept in every:
        slow = whole.raw - made.scorer.raw(neutral(made, rows, whole.concepts[concept]))
        np.testing.assert_array_equal([each[concept] for each in falls], slow)


def test_reasons_are_the_strongest_adverse_concepts():
    """By brute force from the two explanations: the applicant's, and the typical approved applicant's."""
    made, rows = reasoner(), open_sales(60, 4)
    whole = attribute(made.scorer, tuple(made.features.values()), rows)
    typical = made.typical.explanation(0)
    usual = {each.name: each.log_odds for each in typical.concepts}
    for at, reasons in enumerate(made.reasons(rows, whole)):
        explained = whole.explanation(at)
        far = {e.name: e.log_odds - usual[e.name] for e in explained.concepts if e.log_odds > 0}
        far = {name: size for name, size in far.items() if size > max(1e-9, PRINCIPAL * max(far.values()))}
        ranked = sorted(far, key=lambda name: -far[name])
        given_ = [reason.concept for reason in reasons]
        assert given_ == [name for name in ranked if name in given_]  # the net takes away, and changes no order
        assert [r.strength for r in reasons] == pytest.approx([far[name] for name in given_])
        assert len(reasons) <= MOST
        assert [r.probability for r in reasons] == pytest.approx([far[n] * whole.slope(at) for n in given_])


def test_the_applicant_who_is_the_typical_one_is_given_no_reason():
    made = reasoner()
    rows = pd.DataFrame({name: [value] for name, value in approved(made).items()})
    assert made.reasons(rows) == [()]


def test_what_was_planted_is_found():
    """In these rows a low score and a high amount make people default; both are said, with their values."""
    rows = sales(1, 3).assign(kind="loan", amount=1400.0, score=0.05)
    found = {reason.concept: reason for reason in reasoner().reasons(rows)[0]}
    assert found["money"].feature in {"amount", "kind"}
    assert (found["person"].feature, found["person"].value) == ("score", 0.05)
    assert "Score: 0.05 (usual among approved applicants: " in found["person"].en
    assert "Score\u00a0: 0,05 (valeur habituelle chez les demandeurs acceptés\u00a0: " in found["person"].fr


def test_one_applicant_gets_the_reasons_of_the_batch():
    made, rows = reasoner(), open_sales(25, 6)
    together = made.reasons(rows)
    assert [made.reasons(rows.iloc[[at]])[0] for at in range(len(rows))] == together


def test_where_nobody_is_approved_concepts_count_as_they_are():
    """No comparison is made up: none in the strength, none in the words."""
    made, rows = reasoner(threshold=1e-9), open_sales(40, 7)
    assert approved(made) == {}
    whole = attribute(made.scorer, tuple(made.features.values()), rows)
    found = made.reasons(rows, whole)
    for at, reasons in enumerate(found):
        effects = {each.name: each.log_odds for each in whole.explanation(at).concepts}
        assert [reason.strength for reason in reasons] == pytest.approx([effects[r.concept] for r in reasons])
        assert not any("approved" in reason.en or "acceptés" in reason.fr for reason in reasons)
    assert any(found)


def test_flat_calibration_still_gives_reasons():
    """On a step of an isotonic map probabilities tell nothing; a refusal must be given its reasons all the same."""
    sharp = reasoner()
    scorer = replace(sharp.scorer, calibration=Calibration("isotonic", (-50.0, 50.0), (0.1, 0.1)))
    reference = Reference(True, (0.1,) * 101, approved(sharp), {})
    flat, rows = Reasoner(scorer, shop(), features.definitions(shop()), reference), open_sales(30, 8)
    for one, other in zip(flat.reasons(rows), sharp.reasons(rows), strict=True):
        assert [replace(each, probability=0.0) for each in other] == list(one)


def test_codes_are_stable():
    """A code is kept in ledgers for years: it follows from the concept's id, and no two ids share one."""
    assert code("bureau_debt") == "BUREAU_DEBT"
    for name in ("home_credit", "uci_taiwan"):
        concepts = load(name).concepts
        assert len({code(each) for each in concepts}) == len(concepts)


def test_reasons_survive_json():
    """The ledger keeps them, the API sends them: what is missing is null, and nothing is a NaN."""
    for reasons in reasoner().reasons(open_sales(40)):
        for reason in reasons:
            assert json.loads(json.dumps(asdict(reason), allow_nan=False)) == asdict(reason)


# Any model of any book


@st.composite
def books(draw):
    """The shop's book, its columns in other concepts, with adverse words for some."""
    head = HEAD
    for name in COLUMNS:
        old = next(line for line in HEAD.splitlines() if line.startswith(f"{name} = "))
        group = draw(st.sampled_from(['group = "money"', 'group = "person"', ""]))
        head = head.replace(old, re.sub(r', group = "\w+"', f", {group}" if group else "", old))
    used = [each for each in ("money", "person") if f'group = "{each}"' in head]
    adverse = [each for each in used if draw(st.booleans())]
    lines = [f'{each} = {{ en = "Adverse {each}", fr = "Contraire {each}" }}' for each in adverse]
    return shop(head, "\n[adverse]\n" + "\n".join(lines) if lines else "")


@st.composite
def models(draw):
    """A book and a scorer of some of its features, fitted to noise in a blink."""
    book = draw(books())
    defined = {each.name: each for each in features.definitions(book)}
    names = sorted(draw(st.sets(st.sampled_from(COLUMNS), min_size=2)), key=lambda each: defined[each].kind == "number")
    rows = sales(250, draw(st.integers(0, 50)))
    levels = {n: tuple(sorted(rows[n].dropna().unique())) for n in names if defined[n].kind == "category"}
    fills = {n: draw(st.sampled_from([None, 7.0])) for n in names if n not in levels}
    inputs = tuple(
        Input(n, defined[n].digest, levels.get(n), fills.get(n), indicator=fills.get(n) is not None) for n in names
    )
    width = len(inputs) + sum(each.indicator for each in inputs)
    blank = Scorer(inputs, "", Calibration(), 0.2, Costs(), {})
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    X = blank.matrix(rows)
    y = rng.random(len(rows)) < 1 / (1 + np.exp(1 - np.nan_to_num(X) @ rng.normal(0, 1, width) / 50))
    settings_ = {"objective": "binary", "num_leaves": 5, "min_data_in_leaf": 10, "verbose": -1, "num_threads": 1}
    booster = lgb.train(settings_, lgb.Dataset(X, y.astype(int)), 6)
    maps = (Calibration(), Calibration("sigmoid", (0.7,), (-0.2,)), Calibration("isotonic", (-2.0, 0.0), (0.2, 0.6)))
    scorer = replace(blank, model=booster.model_to_string(), calibration=draw(st.sampled_from(maps)))
    return book, replace(scorer, threshold=draw(st.sampled_from([1e-9, 0.3, 0.6]))), names


@settings(max_examples=60)
@given(models(), st.integers(0, 50))
def test_any_model_of_any_book(model, seed):
    """Whatever is read, grouped, filled or calibrated: reasons name features of the model alone, in both languages."""
    book, scorer, names = model
    defined = features.definitions(book)
    reference = Reference.make(scorer, defined, sales(120, seed + 100), synthetic=True)
    made, rows = Reasoner(scorer, book, defined, reference), open_sales(15, seed)
    whole = attribute(scorer, defined, rows)
    left_out = BARRED | {n: (book.columns[n].label.en, book.columns[n].label.fr) for n in COLUMNS if n not in names}
    labels = {n: book.columns[n].label for n in names}
    for at, reasons in enumerate(made.reasons(rows, whole)):
        explained = whole.explanation(at)
        assert sum(e.log_odds for e in explained.concepts) == pytest.approx(explained.raw - explained.base, abs=1e-9)
        flat = whole.slope(at) == 0
        assert all(np.sign(e.probability) == (0 if flat else np.sign(e.log_odds)) for e in explained.concepts)
        assert len({reason.code for reason in reasons}) == len(reasons) <= MOST
        for reason in reasons:
            assert reason.feature in scorer.contract
            if reference.approved:
                one = rows.iloc[[at]]
                assert scorer.raw(neutral(made, one, reason.concept))[0] < whole.raw[at]
            assert reason.strength > 0
            assert reason.probability > 0 or flat
            assert reason.concept in {each.concept for each in defined if each.name in names}
            for text, lang in ((reason.en, "en"), (reason.fr, "fr")):
                head, _, facts = text.partition(" \u2013 ")
                words = [
                    each.replace("\u00a0:", ":").partition(":")[0] for each in facts.replace("\u00a0;", ";").split("; ")
                ]
                assert {each.split(" (")[0] for each in words} <= {getattr(label, lang) for label in labels.values()}
                assert head in _heads(book, reason.concept, lang)
                for barred in left_out.values():
                    assert f"{barred[lang == 'fr']}:" not in text.replace("\u00a0", "")
            if labels[reason.feature].en != labels[reason.feature].fr:
                assert reason.en != reason.fr


def _heads(book, concept, lang):
    return {getattr(each[concept], lang) for each in (book.concepts, book.adverse) if concept in each}


# True of the applicant


@pytest.fixture(scope="module")
def lending():
    """A book with history: features of the application and of its loans."""
    book = replace(lender(), adverse={"money": Label("Too much money", "Trop d'argent")})
    loans = replace(
        features.definitions(book)[0], name="lent", label=Label("Lent", "Prêté"), table="loan", concept="money"
    )
    known = {each.name: each for each in features.definitions(book)} | {"lent": replace(loans, kind="number", unit="")}
    return book, known


def told(lending, strengths, values, approved, concept="money"):
    teller = Teller(*lending, approved)
    facts = teller.facts(strengths, values.__getitem__)
    return teller.say(concept, facts, "en"), teller.say(concept, facts, "fr")


BOTH = (
    "Too much money \u2013 Amount: 900 (usual among approved applicants: 300); "
    "Lent: 9 (usual among approved applicants: 5)"
)
USUAL = {"amount": 300.0, "kind": "cash", "lent": 5.0, "phone": 1.0, "score": 0.5, "months": 60.0}


@pytest.mark.parametrize(
    ("strengths", "values", "english"),
    [
        # A direction that the book declares, and a value on its side: adverse words.
        (
            {"amount": 1.0},
            {"amount": 900.0},
            "Too much money \u2013 Amount: 900 (usual among approved applicants: 300)",
        ),
        # A value on the other side speaks against nobody by itself: neither the words nor the comparison are given.
        ({"amount": 1.0}, {"amount": 100.0}, "Money \u2013 Amount: 100"),
        # The same as with approved applicants.
        ({"amount": 1.0}, {"amount": 300.0}, "Money \u2013 Amount: 300"),
        ({"amount": 1.0}, {"amount": 300.0000001}, "Money \u2013 Amount: 300"),
        # A missing value is said to be missing, and no adverse words are made of it.
        ({"amount": 1.0}, {"amount": None}, "Money \u2013 Amount: not given (usual among approved applicants: 300)"),
        # What history does not tell was not withheld.
        ({"lent": 1.0}, {"lent": None}, "Money \u2013 Lent: none on record (usual among approved applicants: 5)"),
        # A number without a declared direction: the words claim none.
        ({"lent": 1.0}, {"lent": 9.0}, "Money \u2013 Lent: 9 (usual among approved applicants: 5)"),
        # A category that is not the usual one.
        ({"kind": 1.0}, {"kind": "loan"}, "Too much money \u2013 Kind: loan (usual among approved applicants: cash)"),
        # Columns come before what is computed, if they are worth it; what tells nothing is passed over.
        (
            {"lent": 1.0, "amount": 0.9},
            {"lent": 9.0, "amount": 900.0},
            BOTH,
        ),
        (
            {"kind": 1.0, "amount": 0.9},
            {"kind": "cash", "amount": 900.0},
            "Too much money \u2013 Amount: 900 (usual among approved applicants: 300)",
        ),
        (
            {"lent": 1.0, "amount": 0.2},
            {"lent": 9.0, "amount": 900.0},
            "Money \u2013 Lent: 9 (usual among approved applicants: 5)",
        ),
        (
            {"kind": 1.0, "amount": 0.2},
            {"kind": "cash", "amount": 900.0},
            "Too much money \u2013 Amount: 900 (usual among approved applicants: 300)",
        ),
    ],
)
def test_words_say_what_is_so(lending, strengths, values, english):
    assert told(lending, strengths, values, USUAL)[0] == english


def test_french(lending):
    values = {"lent": 9.5, "amount": 1250.0}
    assert told(lending, {"amount": 1.0, "lent": 0.9}, values, USUAL)[1] == (
        "Trop d'argent \u2013 Montant\u00a0: 1\u202f250 (valeur habituelle chez les demandeurs acceptés\u00a0: 300)"
        "\u00a0; Prêté\u00a0: 9,5 (valeur habituelle chez les demandeurs acceptés\u00a0: 5)"
    )


def test_the_default_book_has_words_for_every_concept():
    """A concept without adverse words would be stated by its name alone."""
    book = load(DEFAULT)
    concepts = {each.concept for each in features.definitions(book)}
    assert concepts <= set(book.adverse)
    for label in book.adverse.values():
        assert label.en
        assert label.fr
        assert label.en != label.fr


def test_small_noise_keeps_the_top_reason():
    """A reason that turns with an amount's last digit could be defended to nobody; the benchmark measures more."""
    made, rows = reasoner("monotone"), sales(200, 11).drop(columns="unpaid")
    before = made.reasons(rows)
    noisy = rows.assign(amount=rows["amount"] * 1.001, score=rows["score"] * 0.999)
    pairs = [(a[0].code, b[0].code) for a, b in zip(before, made.reasons(noisy), strict=True) if a and b]
    assert np.mean([a == b for a, b in pairs]) > 0.95
    assert len(pairs) > 150


def test_at_most_so_many_concepts_are_checked():
    """The net's cost for one applicant has a bound, whatever the book's number of concepts."""
    strengths = np.linspace(1.0, 2.0, 40)
    assert reasoner().candidates(strengths) == list(range(39, 39 - CHECKED, -1))
    assert reasoner().candidates(np.zeros(5)) == []
