"""What an officer reads and enters is what the data hold: nothing is lost on the way, and nothing reads wrong."""

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import HEAD, shop

from credit.data.contract import check
from credit.data.files import ROW
from credit.data.report import REMEDIES, Violation
from credit.data.rules import promised
from credit.errors import ContractError
from credit.features import definitions
from credit.features.dictionary import Feature
from credit.portfolio import Ask, Column, Label, Portfolio, load, words
from credit.portfolio.book import Language

LANGUAGES: tuple[Language, ...] = ("en", "fr")
HARD, THIN = "\u00a0", "\u202f"

languages = st.sampled_from(LANGUAGES)


def days(low: float | None = -36525, high: float | None = 0, **more: Any) -> Column:
    return Column("since", "number", Label("Since", "Depuis"), unit="days", minimum=low, maximum=high, **more)


BIRTH = days(-36525, -6570)


# ---- Years and days ----------------------------------------------------------------------------------------------


@given(st.integers(-36525, 0))
def test_years_are_those_of_the_calendar(day: int) -> None:
    """Oracle: the dates themselves. A year is 365.25 days on average, so one tenth is the most it may be off."""
    today = date(2026, 11, 27)
    then = today + timedelta(days=day)
    whole = today.year - then.year - ((today.month, today.day) < (then.month, then.day))
    assert whole - 0.1 <= words.to_human(days(), day) <= whole + 1.1


@given(st.data())
def test_what_is_entered_is_what_is_shown(data: st.DataObject) -> None:
    """Any tenth of a year within the bounds comes back, as a whole day that the contract lets through."""
    low, high = sorted(data.draw(st.tuples(*[st.floats(-40000, 0).map(lambda each: round(each, 2))] * 2)))
    column = days(low, high)
    least, most = words.bounds(column)
    assert least is not None
    assert most is not None
    tenths = range(round(least * 10), round(most * 10) + 1)
    if not tenths or high - low < 2:
        return
    human = data.draw(st.sampled_from(tenths)) / 10
    raw = words.to_raw(column, human)
    assert raw == int(raw)
    assert low <= raw <= high
    assert words.to_human(column, raw) == human


def test_a_rounded_day_stays_within_bounds() -> None:
    """0.2 years are 73.05 days, and 0.1 years 36.525: the nearest whole day may lie just outside."""
    assert words.to_raw(days(high=-73.05), 0.2) == -74
    assert words.to_raw(days(low=-36.6), 0.1) == -36
    assert words.to_raw(days(), 0.1) == -37


def test_a_bound_of_whole_tenths_is_that_bound() -> None:
    """Noise in the last digit of a float must not move 18.0 to 18.1."""
    for tenths in range(1001):
        column = days(-36.525 * tenths, -36.525 * tenths)
        assert words.bounds(column) == (tenths / 10, tenths / 10)


def test_no_zero_has_a_sign() -> None:
    for day in (0.0, -0.0, 10.0, -10.0):
        assert str(words.to_human(days(), day)) == "0.0"


@given(st.floats(-36525, 0))
def test_bounds_hold_just_what_the_contract_holds(edge: float) -> None:
    """A tenth beyond a bound must be refused: else the form would promise what the contract breaks."""
    least, _ = words.bounds(days(high=edge))
    _, most = words.bounds(days(low=edge))
    assert least is not None
    assert most is not None
    assert -least * 365.25 <= edge + 1e-6
    assert -(least - 0.1) * 365.25 > edge - 1e-6
    assert -most * 365.25 >= edge - 1e-6
    assert -(most + 0.1) * 365.25 < edge + 1e-6


@given(st.integers(-36525, 0))
def test_what_was_not_touched_keeps_its_day(day: int) -> None:
    """A known client's date of birth must not move by rounding: the decision would no longer be reproducible."""
    column = days()
    assert words.to_raw(column, words.to_human(column, day), known=day) == day


def test_what_was_touched_does_not() -> None:
    assert words.to_raw(BIRTH, 32.9, known=-12017.0) == -12017
    assert words.to_raw(BIRTH, 33.0, known=-12017.0) == -12053


@pytest.mark.parametrize("column", [days(-9, 9), days(0, None), days(None, None), replace(BIRTH, unit="months")])
@given(raw=st.floats(allow_nan=False))
def test_all_other_columns_stay_as_they_are(column: Column, raw: float) -> None:
    assert words.to_human(column, raw) == words.to_raw(column, raw) == raw
    assert words.bounds(column) == (column.minimum, column.maximum)


def test_a_date_has_years_for_a_unit() -> None:
    assert [words.unit(BIRTH, lang) for lang in LANGUAGES] == ["years", "ans"]
    assert [words.unit(days(-9, 9), lang) for lang in LANGUAGES] == ["days", "jours"]
    assert words.unit(replace(BIRTH, unit="currency"), "en") == ""


# ---- Numbers -----------------------------------------------------------------------------------------------------


@given(st.integers(-(10**15), 10**15), languages)
def test_a_number_is_grouped_by_thousands(whole: int, lang: Language) -> None:
    """Oracle: groups cut from the right by hand."""
    digits, groups = str(abs(whole)), []
    while digits:
        digits, group = digits[:-3], digits[-3:]
        groups.insert(0, group)
    sign = "-" if whole < 0 else ""
    assert words.number(whole, lang) == sign + (THIN if lang == "fr" else ",").join(groups)


@given(st.floats(-1e12, 1e12, allow_subnormal=False).filter(lambda each: each == 0 or abs(each) > 1e-8), languages)
def test_a_number_reads_back_to_what_it_shows(found: float, lang: Language) -> None:
    """To two decimals, and four digits below 1: no small score may read as 0."""
    text = words.number(found, lang)
    plain = text.replace(THIN, "").replace(",", ".") if lang == "fr" else text.replace(",", "")
    assert abs(Decimal(plain) - Decimal(found)) <= max(Decimal("0.00500001"), abs(Decimal(found)) / 10**12)
    assert not found or Decimal(plain) or abs(found) < 1e-12
    if 0 < abs(found) < 1:
        assert float(plain) == pytest.approx(found, rel=5.1e-4)
    assert text not in ("-0", "0,", "0.")
    assert not re.search(r"[.,]\d*0$", text) or abs(found) >= 1000


PERCENT = [(0.123, "12.3%", "12,3"), (1, "100%", "100"), (0.0004, "0%", "0"), (12.5, "1,250%", f"1{THIN}250")]


@pytest.mark.parametrize(("share", "en", "fr"), PERCENT)
def test_percent(share: float, en: str, fr: str) -> None:
    assert words.percent(share, "en") == en
    assert words.percent(share, "fr") == f"{fr}{THIN}%"


# ---- Values ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def book() -> Portfolio:
    return load("home_credit")


#: Column or feature, raw value, English, French; "_" is a space that does not break, "'" the one between thousands.
VALUES = [
    ("DAYS_BIRTH", -12017, "32.9 years", "32,9_ans"),
    ("DAYS_BIRTH", "-12017.0", "32.9 years", "32,9_ans"),
    ("DAYS_EMPLOYED", -365.25, "1 year", "1_an"),
    ("DAYS_EMPLOYED", -600, "1.6 years", "1,6_an"),
    ("DAYS_EMPLOYED", 0, "0 years", "0_an"),
    ("DAYS_EMPLOYED", 365243, "not given", "non renseigné"),
    ("AMT_CREDIT", 1250000, "1,250,000", "1'250'000"),
    ("AMT_CREDIT", 1250000.5, "1,250,000.50", "1'250'000,50"),
    ("AMT_CREDIT", "abc", "abc", "abc"),
    ("AMT_CREDIT", float("nan"), "not given", "non renseigné"),
    ("CNT_CHILDREN", 2.0, "2", "2"),
    ("OWN_CAR_AGE", 12, "12 years", "12_ans"),
    ("HOUR_APPR_PROCESS_START", 9.0, "9 h", "9_h"),
    ("REGION_POPULATION_RELATIVE", 0.018801, "0.0188", "0,0188"),
    ("EXT_SOURCE_2", 0.56371, "0.5637", "0,5637"),
    ("FLAG_EMAIL", 1.0, "yes", "oui"),
    ("FLAG_EMAIL", False, "no", "non"),
    ("FLAG_EMAIL", "0", "no", "non"),
    ("FLAG_EMAIL", 7, "7", "7"),
    ("FLAG_OWN_CAR", "Y", "yes", "oui"),
    ("EMERGENCYSTATE_MODE", "No", "no", "non"),
    ("NAME_INCOME_TYPE", "State servant", "Civil servant", "Fonctionnaire"),
    ("NAME_INCOME_TYPE", "Sailor", "Sailor", "Sailor"),
    ("ORGANIZATION_TYPE", "XNA", "not given", "non renseigné"),
    ("ORGANIZATION_TYPE", None, "not given", "non renseigné"),
    ("ORGANIZATION_TYPE", "  ", "not given", "non renseigné"),
    ("credit_term", 20.684, "20.7 months", "20,7_mois"),
    ("annuity_to_income", 0.1704, "17%", "17 %"),
    ("credit_to_income", 3.5, "350%", "350 %"),
    ("bureau_debt", 245993.77, "245,994", "245'994"),
    ("bureau_newest", -120.4, "120 days ago", "il y a 120_jours"),
    ("bureau_newest", -1.0, "1 day ago", "il y a 1_jour"),
    ("bureau_oldest", -1200.0, "3.3 years ago", "il y a 3,3_ans"),
    ("bureau_ends_last", 400.0, "400 days", "400_jours"),
    ("months_last_late", -3.0, "3 months ago", "il y a 3_mois"),
    ("paid_days_late", 2.3333, "2.3 days", "2,3_jours"),
    ("bureau_closed_early", -30.0, "-30", "-30"),
    ("scores_product", 0.000432, "0.000432", "0,000432"),
    ("documents_count", None, "not given", "non renseigné"),
]


@pytest.mark.parametrize(("name", "raw", "en", "fr"), VALUES)
def test_a_value_in_words(name: str, raw: Any, en: str, fr: str, book: Portfolio) -> None:
    feature = next(each for each in definitions(book) if each.name == name)
    subjects: list[Column | Feature] = [feature, *([book.columns[name]] if name in book.columns else [])]
    french = fr.replace("_", HARD).replace("'", THIN).replace(" %", f"{THIN}%")
    for subject in subjects:
        assert [words.value(book, subject, raw, lang) for lang in LANGUAGES] == [en, french]


def test_the_same_level_means_another_thing_in_another_column() -> None:
    """In this book 1 is a man, a graduate, and married."""
    book = load("uci_taiwan")
    said = {name: words.value(book, book.columns[name], 1.0, "en") for name in ("SEX", "EDUCATION", "MARRIAGE")}
    assert said == {"SEX": "Man", "EDUCATION": "Graduate school", "MARRIAGE": "Married"}
    assert words.value(book, book.columns["PAY_0"], -1, "en") == "-1 month", "a code, and no date"


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.binary()


@given(st.data(), ANYTHING, languages)
def test_any_value_of_anything_has_words(data: st.DataObject, raw: Any, lang: Language) -> None:
    """What is shown beside a decision must never bring it down."""
    book = data.draw(st.sampled_from(BOOKS))
    tables = [column for table in book.tables.values() for column in table.columns.values()]
    subject = data.draw(st.sampled_from([*definitions(book), *tables]))
    assert words.value(book, subject, raw, lang)


BOOKS = (load("home_credit"), load("uci_taiwan"), shop())


# ---- Questions and answers ---------------------------------------------------------------------------------------


def test_a_question_is_the_ask_or_else_the_column_or_else_its_name(book: Portfolio) -> None:
    assert words.question(book, "DAYS_BIRTH", "en") == "Age"
    assert words.question(book, "TARGET", "fr") == "Difficultés de paiement"
    assert words.question(book, "NOBODY", "en") == "NOBODY"
    assert words.help_text(book, "DAYS_EMPLOYED", "en") == "Leave it empty for pensioners and for those without a job."
    assert words.help_text(book, "TARGET", "fr") == ""


@pytest.mark.parametrize("lang", LANGUAGES)
def test_long_lists_are_sorted_and_short_ones_keep_their_order(lang: Language, book: Portfolio) -> None:
    columns = book.columns
    weekdays = [level for _, level in words.choices(book, columns["WEEKDAY_APPR_PROCESS_START"], lang)]
    assert weekdays == list(columns["WEEKDAY_APPR_PROCESS_START"].levels)
    shown = [word for word, _ in words.choices(book, columns["ORGANIZATION_TYPE"], lang)]
    assert len(shown) == 57
    if lang == "fr":
        at = [shown.index(word) for word in ("Culture", "École", "École maternelle", "Électricité", "Hôtellerie")]
        assert at == sorted(at), "an accent is no letter of its own"


def test_choices_of_a_flag_and_of_what_has_none(book: Portfolio) -> None:
    assert words.choices(book, book.columns["FLAG_EMAIL"], "fr") == [("oui", "1"), ("non", "0")]
    assert words.choices(book, book.columns["AMT_CREDIT"], "fr") == []


def test_a_blank_form_starts_with_answers_that_can_be_chosen(book: Portfolio) -> None:
    for name in book.asks:
        column, start = book.columns[name], words.start(book, name)
        if column.type in ("category", "flag") and start is not None:
            assert start in [level for _, level in words.choices(book, column, "en")]
    assert words.start(book, "AMT_CREDIT") is None
    assert words.start(book, "TARGET") is None
    since = Ask("DAYS_BIRTH", Label("", ""), default=-12017)
    assert words.start(replace(book, asks={"DAYS_BIRTH": since}), "DAYS_BIRTH") == 32.9


@pytest.mark.parametrize("book", [replace(each, form=()) for each in BOOKS], ids=lambda each: each.name)
def test_a_form_that_is_made_asks_for_every_feature_once(book: Portfolio) -> None:
    made = words.sections(book)
    assert sorted(name for section in made for name in section.columns) == sorted(each.name for each in book.features)
    for section in made:
        wanted = any(not book.columns[name].missing for name in section.columns)
        assert section.open == wanted


def test_a_form_of_the_book_is_left_alone(book: Portfolio) -> None:
    assert words.sections(book) == book.form


@pytest.mark.parametrize("book", BOOKS, ids=lambda each: each.name)
def test_a_form_filled_in_keeps_the_contract(book: Portfolio) -> None:
    """First values, and where there are none any answer that the form offers: nothing more may be needed."""
    row = {}
    for name in (name for section in words.sections(book) for name in section.columns):
        column, answer = book.columns[name], words.start(book, name)
        levels = [level for _, level in words.choices(book, column, "fr")]
        if not column.missing and answer is None:
            answer = levels[-1] if levels else words.bounds(column)[0]
        if answer is not None:
            row[name] = str(answer) if levels else str(words.to_raw(column, float(answer)))
    text = {name: row.get(name) for name in promised(book.tables[book.main], False)} | {book.key: "1"}
    table = ibis.memtable([{ROW: 1, **text}], schema={ROW: "int64", **dict.fromkeys(text, "string")})
    report = check(book, {book.main: table}, labelled=False).report
    assert report.violations == ()


def test_columns_that_stand_alone_share_a_section() -> None:
    """A drafted book has a concept for each column: a form of a hundred sections would be none."""
    alone = shop(re.sub(r', group = "\w+"', "", HEAD))
    assert [section.label.en for section in words.sections(alone)] == ["Sales"]


# ---- Faults ------------------------------------------------------------------------------------------------------


def found(table: str, column: str, rule: str, *values: str, severity: Any = "error") -> Violation:
    return Violation(table, column, rule, len(values), tuple(range(3, 3 + len(values))), values, severity, "mend")


MAIN = "application"
FAULTS = [
    (
        found(MAIN, "DAYS_BIRTH", "out of range", "-4383"),
        "Age: must be from 18 to 100 years; 12 years was given.",
        "Âge_: la valeur doit être comprise entre 18 et 100_ans_; valeur donnée_: 12_ans.",
    ),
    (
        found(MAIN, "DAYS_BIRTH", "out of range", "-6569"),
        "Age: must be from 18 to 100 years; 17.985 years was given.",
        "Âge_: la valeur doit être comprise entre 18 et 100_ans_; valeur donnée_: 17,985_ans.",
    ),
    (
        found(MAIN, "AMT_INCOME_TOTAL", "missing value", "(empty)"),
        "Annual income: is required; please fill it in.",
        "Revenu annuel_: réponse obligatoire_; veuillez compléter.",
    ),
    (
        found(MAIN, "AMT_CREDIT", "out of range", "30000000"),
        "Amount of the credit: must be from 1 to 20,000,000; 30,000,000 was given.",
        "Montant du crédit_: la valeur doit être comprise entre 1 et 20'000'000_; valeur donnée_: 30'000'000.",
    ),
    (
        found(MAIN, "AMT_CREDIT", "not a number", "abc"),
        "Amount of the credit: must be a number; 'abc' was given.",
        "Montant du crédit_: la valeur doit être un nombre_; valeur donnée_: «_abc_».",
    ),
    (
        found(MAIN, "CNT_CHILDREN", "not an integer", "2.5", "2.5", "1.5"),
        "Number of children: must be a whole number; 2.5, 1.5 was given.",
        "Nombre d'enfants_: la valeur doit être un nombre entier_; valeur donnée_: 2,5_; 1,5.",
    ),
    (
        found(MAIN, "FLAG_OWN_CAR", "unknown level", "maybe"),
        "Owns a car: 'maybe' is not known; choose one of no, yes.",
        "Possède une voiture_: «_maybe_»_: valeur inconnue_; choisissez parmi_: non, oui.",
    ),
    (
        found(MAIN, "OCCUPATION_TYPE", "unknown level", "Sailor", severity="null"),
        (
            "Occupation: 'Sailor' is not known; choose one of Accountant, Cleaning staff, Computing staff, "
            "Core staff, Driver, Estate agent, Highly skilled technician, Human resources staff and 10 more. It counts "
            "as not given."
        ),
        None,
    ),
    (
        found("bureau", "DAYS_CREDIT", "dated after the application", "183"),
        (
            "Credits at other lenders, row 3: Credit applied for, in days before the application: must not lie after "
            "the day of the application; 183 was given."
        ),
        None,
    ),
    (
        found("bureau_balance", "SK_ID_BUREAU, MONTHS_BALANCE", "duplicated key", "7, -1", "7, -1"),
        (
            "Monthly status of credits at other lenders, rows 3, 4: Credit number at the bureau, Month, counted from "
            "the application: must occur only once; '7, -1' was given."
        ),
        None,
    ),
    (found("bureau", "", "no rows"), "Credits at other lenders: there is no row.", None),
    (found("bureau", "NEW", "unknown column"), "Credits at other lenders: NEW: is not used.", None),
    (found("nowhere", "x", "missing column"), "nowhere: x: the column is missing; please add it.", None),
]


@pytest.mark.parametrize(("broken", "en", "fr"), FAULTS)
def test_a_fault_in_the_officers_words(broken: Violation, en: str, fr: str | None, book: Portfolio) -> None:
    assert words.fault(book, broken, "en") == en
    if fr is not None:
        assert words.fault(book, broken, "fr") == fr.replace("_", HARD).replace("'000", f"{THIN}000")


def test_one_bound_alone(book: Portfolio) -> None:
    said = {}
    for low, high in ((1.0, None), (None, 9.0)):
        income = replace(book.columns["AMT_INCOME_TOTAL"], minimum=low, maximum=high)
        main = replace(book.tables[MAIN], columns=book.columns | {income.name: income})
        other = replace(book, tables=book.tables | {MAIN: main})
        said[low] = [words.fault(other, found(MAIN, income.name, "out of range", "0"), lang) for lang in LANGUAGES]
    assert [text.split("; ")[0] for text in (said[1.0][0], said[None][0])] == [
        "Annual income: must be at least 1",
        "Annual income: must be at most 9",
    ]
    assert "au moins 1" in said[1.0][1]
    assert "au plus 9" in said[None][1]


def test_every_rule_of_the_contract_has_words() -> None:
    assert set(words.RULES) == set(REMEDIES)
    for rule, label in words.RULES.items():
        assert label.en != label.fr, rule
        assert label.en.strip(), rule


@given(st.data(), st.sampled_from(sorted(REMEDIES)), st.lists(st.text(max_size=8), max_size=3), languages)
def test_any_fault_is_one_sentence(data: st.DataObject, rule: str, values: list[str], lang: Language) -> None:
    """Whatever column breaks whatever rule: the officer reads a sentence, and never the name of a column."""
    book = BOOKS[0]
    table = data.draw(st.sampled_from(sorted(book.tables)))
    column = data.draw(st.sampled_from(sorted(book.tables[table].columns)))
    severity = data.draw(st.sampled_from(["error", "warn", "null"]))
    text = words.fault(book, found(table, column, rule, *values, severity=severity), lang)
    assert text.endswith(".")
    assert "{}" not in text.replace("".join(values), "")
    assert column not in text.replace("".join(values), "")


def test_what_the_contract_finds_is_said() -> None:
    """The real contract on real mistakes: each has its sentence."""
    book = shop()
    row = {"client": "1", "kind": "barter", "town": "x", "amount": "-3", "score": "high", "months": "1.5", "phone": "2"}
    rows = ibis.memtable([{ROW: 1, **row}, {ROW: 2, **row, "phone": None}])
    with pytest.raises(ContractError) as caught:
        check(book, {"sale": rows}, labelled=False)
    said = [words.fault(book, each, "en") for each in caught.value.violations]
    assert set(said) == {
        "Client: must occur only once; 1 was given.",
        "Kind: 'barter' is not known; choose one of cash, card, loan.",
        "Amount: must be at least 0; -3 was given.",
        "Score: must be a number; 'high' was given.",
        "Months: must be a whole number; 1.5 months was given.",
        "Phone: must be yes (1) or no (0); 2 was given.",
        "Phone: is required; please fill it in.",
        "Sex: the column is missing; please add it.",
    }


def test_words_can_be_sent_as_json(book: Portfolio) -> None:
    """The API answers with them, and a space that does not break must survive."""
    text = words.value(book, book.columns["AMT_CREDIT"], 1250000, "fr")
    assert json.loads(json.dumps(text)) == text


@pytest.mark.parametrize("raw", ["nan", "inf", "-inf", float("inf")])
@pytest.mark.parametrize("unit", ["currency", "years", "share"])
def test_what_is_no_finite_number_has_words_too(raw: Any, unit: str) -> None:
    """Text that Python reads as a number that is none must not stop the page; the contract judges it."""
    column = Column("x", "number", Label("x", "x"), unit=unit)
    assert words.value(load("home_credit"), column, raw, "en")
