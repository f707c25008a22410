"""What the page shows and what it reads: untouched values stay bit for bit, and nobody's text becomes HTML."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seen import EVIL, Seen
from serving_util import APPLICANT, RISKY, champion

from credit import portfolio
from credit.errors import ContractError, DataError
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.governance.verdict import Outcome
from credit.home import Home
from credit.monitoring.findings import KINDS
from credit.scoring.explain import Effect, Explanation
from credit.scoring.whatif import Proposal, WhatIf
from gradio_app import charts, form, view
from gradio_app.gallery import GALLERY
from gradio_app.statement import statement
from gradio_app.texts import language, say, texts

LANGUAGES = ("en", "fr")
HOME_CREDIT = portfolio.load("home_credit")


@pytest.fixture(scope="module")
def decider(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("view") / "home")
    version = champion(home)
    return open_version(Registry("shop", home), version)


def shown_of(decider, application, number=7):
    return view.Shown(number, decider.decide(application), decider, application, {})


# ---- The form: raw -> field -> raw -------------------------------------------------------------------------------


def raw_values(column):
    """Whatever a file may hold in a column: good, bad, missing, a sentinel."""
    numbers = st.floats(-1e9, 1e9) | st.integers(-50_000, 400_000) | st.sampled_from([float("nan"), math.inf, "1e5"])
    known = st.sampled_from([None, "", *column.sentinels, *form.levels(column)])
    return known | numbers | st.text(max_size=8) | st.booleans()


@pytest.mark.parametrize("lang", LANGUAGES)
@given(data=st.data())
@settings(max_examples=40)
def test_untouched_fields_stay_the_very_objects(lang, data):
    """A decision on an existing client must equal the batch's bit for bit, whatever the field shows of a value."""
    columns = form.asked(HOME_CREDIT)
    chosen = data.draw(st.lists(st.sampled_from(columns), min_size=1, max_size=12, unique_by=lambda each: each.name))
    raw = {each.name: data.draw(raw_values(each)) for each in chosen} | {"elsewhere": object()}
    fields = {each.name: form.shown(each, raw[each.name], lang) for each in chosen}
    other = {
        name: form.reworded(form.reworded(text, lang, "en"), "en", lang) if form.kind(column) == "text" else text
        for (name, text), column in zip(fields.items(), chosen, strict=True)
        if column.type in ("number", "integer")
    }
    for entered in (fields, other):
        made = form.row(HOME_CREDIT, raw, entered, lang)
        assert made.keys() == raw.keys()
        assert all(made[name] is raw[name] for name in raw)


@given(raw=st.floats(-1e7, 1e7), before=st.sampled_from(LANGUAGES), after=st.sampled_from(LANGUAGES))
def test_the_other_language_says_the_same_number(raw, before, after):
    """Switching the language in mid-form must change no value."""
    column = HOME_CREDIT.columns["AMT_CREDIT"]
    text = form.reworded(form.shown(column, raw, before), before, after)
    assert form.row(HOME_CREDIT, {"AMT_CREDIT": raw}, {"AMT_CREDIT": text}, after)["AMT_CREDIT"] is raw
    assert text == form.shown(column, raw, after)


def test_an_age_shown_in_years_keeps_its_day_unless_it_is_edited():
    column = HOME_CREDIT.columns["DAYS_BIRTH"]
    raw = {"DAYS_BIRTH": -12016, "AMT_CREDIT": 1.0}
    assert form.shown(column, -12016, "fr") == "32,9"
    for same in ("32,9", " 32.9 ", "32,90"):
        assert form.row(HOME_CREDIT, raw, {"DAYS_BIRTH": same}, "fr")["DAYS_BIRTH"] == -12016
    edited = form.row(HOME_CREDIT, raw, {"DAYS_BIRTH": "33"}, "fr")
    assert edited == {"DAYS_BIRTH": -round(33 * 365.25), "AMT_CREDIT": 1.0}
    assert raw["DAYS_BIRTH"] == -12016


def test_a_sentinel_shows_as_nothing_and_stays():
    """No officer shall read that a pensioner has been employed for minus a thousand years."""
    column = HOME_CREDIT.columns["DAYS_EMPLOYED"]
    for raw in (365243, 365243.0, "365243"):
        assert form.shown(column, raw, "en") == ""
        assert form.row(HOME_CREDIT, {"DAYS_EMPLOYED": raw}, {"DAYS_EMPLOYED": ""}, "en")["DAYS_EMPLOYED"] is raw


@pytest.mark.parametrize(
    ("text", "lang", "value"),
    [
        ("1250", "en", 1250.0),
        ("1,250", "en", 1250.0),
        ("1,250", "fr", 1.25),
        ("1 250 000", "en", 1_250_000.0),
        ("1\u202f250\u00a0000,5", "fr", 1_250_000.5),
        ("1'250.5", "en", 1250.5),
        ("12,5", "en", 12.5),
        ("12.5", "fr", 12.5),
        ("1,250,000.75", "en", 1_250_000.75),
        ("\u22123", "en", -3.0),
        ("", "en", None),
        (None, "fr", None),
        ("abc", "en", "abc"),
        ("1.2.3", "fr", "1.2.3"),
        ("inf", "en", "inf"),
        ("1e999", "en", "1e999"),
    ],
)
def test_numbers_are_read_as_the_language_writes_them(text, lang, value):
    """What cannot be read stays as it is: the contract refuses it, in words, and nothing becomes missing in silence."""
    assert form.row(HOME_CREDIT, {"AMT_CREDIT": 7.0}, {"AMT_CREDIT": text}, lang) == {"AMT_CREDIT": value}


def test_every_feature_is_asked_for_once():
    for book in (HOME_CREDIT, portfolio.load("uci_taiwan")):
        names = [each.name for each in form.asked(book)]
        assert sorted(names) == sorted({each.name for each in book.features})


def test_a_blank_form_reads_as_its_defaults():
    for book in (HOME_CREDIT, portfolio.load("uci_taiwan")):
        raw = form.blank(book)
        fields = {each.name: form.shown(each, raw.get(each.name), "en") for each in form.asked(book)}
        assert {name for name, text in fields.items() if text} == raw.keys()
        assert form.row(book, raw, fields, "en") == raw


@given(entered=st.dictionaries(st.sampled_from(["kind", "amount", "score", "months", "phone"]), st.text(max_size=12)))
@settings(max_examples=20)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_any_form_gives_a_decision_or_words(decider, lang, entered):
    application = form.row(decider.portfolio, APPLICANT, entered, lang)
    try:
        decided = decider.decide(application)
    except DataError as error:
        told = Seen(view.faults(decider.portfolio, error, lang)).text
        columns = [each.column for each in getattr(error, "violations", ())]
        assert all(portfolio_label(decider, name, lang) in told for name in columns)
        assert "Traceback" not in told
    else:
        assert 0 <= decided.probability <= 1


def portfolio_label(decider, name, lang):
    return getattr(decider.portfolio.columns[name].label, lang)


def test_a_decision_from_the_form_equals_one_from_the_row(decider):
    fields = {each.name: form.shown(each, RISKY.get(each.name), "fr") for each in form.asked(decider.portfolio)}
    read = form.row(decider.portfolio, RISKY, fields, "fr")
    assert decider.decide(read) == decider.decide(RISKY)


# ---- Pictures ----------------------------------------------------------------------------------------------------


def test_the_distribution_holds_everyone_and_splits_at_the_threshold():
    scores = np.quantile(np.random.default_rng(0).beta(1, 12, 5000), np.linspace(0, 1, 101)).tolist()
    for threshold, probability in ((1 / 11, 0.03), (1 / 11, 0.6), (0.5, 0.02), (0.02, 1.0), (0.9, 0.0)):
        made = charts.distribution(scores, threshold, probability)
        width = made.upper / len(made.bars)
        assert max(bar.height for bar in made.bars) == pytest.approx(100)
        first = next((at for at, bar in enumerate(made.bars) if bar.declined), len(made.bars))
        assert first * width == pytest.approx(threshold)
        [own] = [at for at, bar in enumerate(made.bars) if bar.own]
        assert own * width - 1e-9 <= min(probability, made.upper) <= (own + 1) * width + 1e-9
        assert made.threshold == pytest.approx(100 * threshold / made.upper)
        share = np.interp([0, made.upper], scores, np.linspace(0, 1, 101))
        assert share[1] - share[0] >= 0.97


def test_the_waterfall_leads_from_start_to_end(decider):
    """Bars touch: each begins where the one before ends, features within their concept."""
    made = charts.waterfall(decider.decide(RISKY).explanation, view.labels(decider))
    explanation = made.explanation
    steps = [*made.steps, *([made.rest] if made.rest else [])]
    assert sum(step.log_odds for step in steps) == pytest.approx(explanation.raw - explanation.base)
    total = explanation.probability - explanation.base_probability
    assert sum(step.probability for step in steps) == pytest.approx(total)
    at = made.start
    for step in steps:
        at = follow(step, at)
    assert at == pytest.approx(made.end)
    assert all(step.left >= -1e-6 and step.left + step.width <= 100 + 1e-6 for step in steps)


def follow(step, at):
    """Check that a step begins at `at`, return where it ends; the same for its parts."""
    rises = step.probability > 0
    assert (step.left if rises else step.left + step.width) == pytest.approx(at, abs=1e-6)
    end = step.left + step.width if rises else step.left
    inner = at
    for part in step.parts:
        inner = follow(part, inner)
    assert not step.parts or inner == pytest.approx(end, abs=1e-6)
    return end


def test_many_concepts_are_gathered_in_the_last_step():
    effects = tuple(Effect(f"c{at}", 0.1, 0.01) for at in range(12))
    label = portfolio.Label("words", "mots")
    labels = {f"c{at}": (f"c{at}", label) for at in range(12)} | {
        f"feature c{at}": (f"c{at}", label) for at in range(12)
    }
    made = charts.waterfall(Explanation(0.0, 1.2, 0.1, 0.22, effects, effects), labels)
    assert (len(made.steps), len(made.rest.parts)) == (charts.ALONE, 12 - charts.ALONE)
    assert made.rest.log_odds == pytest.approx(0.1 * (12 - charts.ALONE))


# ---- Words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("application", [APPLICANT, RISKY])
def test_a_result_says_all_that_counts(decider, application, lang):
    shown = shown_of(decider, application)
    seen, decision = Seen(view.result(shown, lang)), shown.decision
    assert say(f"decision.{decision.decision}", lang) in seen.text
    for figure in (decision.probability, decision.threshold):
        assert f"{100 * figure:.1f}".rstrip("0").rstrip(".").replace(".", "," if lang == "fr" else ".") in seen.text
    assert say("decision.method", lang) in seen.text
    assert all(getattr(reason, lang) in seen.text for reason in decision.reasons)
    assert ("synthetic" in seen.text) == decision.synthetic
    assert "{" not in seen.text


def test_what_people_wrote_is_shown_not_run(decider):
    """A client's number, a level, a reason for an override: all of it comes from outside."""
    decision = replace(decider.decide(RISKY), client=EVIL, band=EVIL)
    shown = view.Shown(1, decision, decider, RISKY, {}).overridden("approve", EVIL)
    record = SimpleNamespace(
        id=1,
        at="2026-01-01T00:00:00",
        decision="decline",
        probability=0.5,
        version=EVIL,
        by=EVIL,
        overridden={"to": "approve", "by": EVIL, "reason": EVIL},
    )
    book = decider.portfolio
    with pytest.raises(ContractError) as violation:
        decider.decide(APPLICANT | {"kind": EVIL})
    rejected = pd.DataFrame([[1, EVIL, EVIL]], columns=["row", "field", "message"])
    batch = SimpleNamespace(scored=1, rejected=1, decisions={"approve": 1}, unused=(EVIL,))
    for html in (
        view.result(shown, "en"),
        view.earlier([record], "fr"),
        view.history(book, EVIL, {}, "en"),
        view.faults(book, violation.value, "fr"),
        view.faults(book, DataError(EVIL), "en"),
        view.batch(batch, rejected, "en", synthetic=True),
        view.sentence(EVIL, "en"),
    ):
        seen = Seen(html)
        assert "script" not in seen.tags
        assert EVIL in seen.text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_statement_names_the_principal_reasons(decider, lang):
    shown = replace(shown_of(decider, RISKY), final="decline")
    told = statement(shown, lang, datetime(2026, 11, 27, tzinfo=UTC))
    assert "2026-11-27" in told
    assert say("statement.principal", lang) in told
    assert all(getattr(reason, lang) in told for reason in shown.decision.reasons)
    assert say("statement.rights", lang) in told
    assert say("statement.unused", lang, names={"en": "sex", "fr": "sexe"}[lang]) in told
    assert ("synthetic" in told.lower()) == shown.decision.synthetic


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_statement_follows_the_decision_that_holds(decider, lang):
    """After an override the model's reasons are no longer the reasons of the decision."""
    shown = shown_of(decider, RISKY).overridden("decline", "false papers")
    told = statement(shown, lang)
    assert say("statement.officer", lang, reason="false papers") in told
    assert say("statement.principal", lang) not in told
    approved = statement(shown.overridden("approve", "known to us"), lang)
    assert say("statement.approve", lang) in approved
    plain = statement(shown_of(decider, APPLICANT), lang)
    assert say("statement.principal", lang) not in plain


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_proposal_is_told_in_the_officers_words(decider, lang):
    shown = shown_of(decider, RISKY)
    proposal = Proposal("amount", "Less", "Moins", {"amount": (1450.25, 900.0)}, 0.6, 0.5, 0.08, "approve")
    told = Seen(view.what_if(shown, WhatIf("decline", "approve", (proposal,), 9, "", ""), lang)).text
    assert ("900" in told, say("decision.approve", lang) in told) == (True, True)
    assert portfolio_label(decider, "amount", lang) in told
    nothing = Seen(view.what_if(shown, WhatIf("decline", "approve", (), 9, "no way", "aucun"), lang)).text
    assert ("aucun" if lang == "fr" else "no way") in nothing


def test_monitoring_shows_days_on_which_something_was_decided():
    days = pd.DataFrame(
        {
            "day": ["2026-11-25", "2026-11-26", "2026-11-27"],
            "decisions": [4, 0, 2],
            "approved": [0.75, None, 0.5],
            "probability": [0.08, None, 0.1],
            "overrides": [0, 0, 1],
        }
    )
    told = Seen(view.monitoring(days, 30, "en")).text
    assert "2026-11-26" not in told
    assert told.index("2026-11-27") < told.index("2026-11-25")
    assert "75%" in told
    assert say("monitoring.none", "fr") in Seen(view.monitoring(days.assign(decisions=0, overrides=0), 30, "fr")).text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_header_says_how_to_train_where_there_is_no_model(lang):
    told = Seen(view.header(lang, None)).text
    assert "python flows/training.py run" in told
    assert say("page.none_title", lang) in told


#: By section: names that code puts together.
ACTIONS = {"approve", "review", "decline"}
BUILT = {
    "page": set(),
    "applicant": {"from_to", "at_least", "at_most"},
    "decision": ACTIONS | {"below", "above", "between"},
    "whatif": set(),
    "override": {"no_reason", "no_choice", "no_decision", "same"},
    "earlier": set(),
    "statement": ACTIONS,
    "batch": {"history_none", "history_known", "results", "rejects", "row", "field", "message"},
    "model": {*GALLERY.values(), *(f"outcome_{each.replace(' ', '_')}" for each in get_args(Outcome))},
    "monitoring": set(),
    "watching": {
        *("OK", "WARN", "ALERT", "means_OK", "means_WARN", "means_ALERT"),
        *(f"{part}_{kind}" for kind in KINDS for part in ("kind", "says")),
        *(name for key in texts() if (name := key.partition(".")[2]).startswith(("about_", "trend_", "line_"))),
        *("figure", "now", "before", "feature", "index", "chance", "weight", "missing", "unseen", "cost_of_drift"),
        *("part", "level", "applicants", "share", "approval", "cost", "period", "known", "expected", "realised"),
        *("window", "status", "watched", "ran", "report"),
    },
}


def test_every_text_is_there_in_both_languages_and_is_used():
    """A text that no code names is dead; one that is missing would be found by an officer."""
    folder = Path(view.__file__).parent
    sources = [*folder.glob("*.py"), *folder.glob("templates/*.html")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for key, text in texts().items():
        assert set(text) == {"en", "fr"}
        assert set(re.findall(r"{(\w+)}", text["en"])) == set(re.findall(r"{(\w+)}", text["fr"])), key
        section, _, name = key.partition(".")
        assert f'"{key}"' in code or f"'{key}'" in code or name in BUILT[section], key
    for key in re.findall(r"""\b(?:t|text|say|notice)\(["']([a-z_]+\.[a-z_]*[a-z])["']""", code):
        assert key in texts(), key


@pytest.mark.parametrize(
    ("asked", "lang"), [("fr", "fr"), ("fr-CA", "fr"), ("FR", "fr"), ("en", "en"), ("", "en"), (None, "en")]
)
def test_a_language_is_asked_for_by_its_code(asked, lang):
    assert language(asked) == lang


@pytest.mark.parametrize(("probability", "places"), [(0.044, 1), (0.0914672, 2), (0.0909049, 3), (0.09091, 4)])
def test_a_probability_is_never_shown_as_the_threshold_that_it_misses(probability, places):
    """ "9.1%, at or above the threshold of 9.1%" explains nothing to the person in front of the officer."""
    assert view._places(probability, 1 / 11) == places
