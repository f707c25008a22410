"""A portfolio file says the same to everyone, and a mistake in it is told before any work starts."""

import json
import pickle
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit.errors import ConfigError
from credit.portfolio import Column, Costs, Label, Limits, Portfolio, Split, Training, available, load, words

BOOK = """
name = "shop"
title = { en = "Shop", fr = "Boutique" }
source = "the till"
licence = "ours"
main = "loan"
key = "id"
target = "bad"

[concepts]
money = { en = "Money", fr = "Argent" }

[[groups]]
name = "gender"
column = "sex"
en = "Sex"
fr = "Sexe"

[tables.loan]
en = "Loans"
fr = "Prêts"
files = ["loans"]
key = ["id"]

[tables.loan.columns]
id = { en = "Number", fr = "Numéro", type = "integer", role = "key" }
bad = { en = "Default", fr = "Défaut", type = "flag", role = "target" }
sex = { en = "Sex", fr = "Sexe", type = "category", role = "protected", levels = ["f", "m"] }
income = { en = "Income", fr = "Revenu", type = "number", unit = "share", min = 0, max = 9, group = "money" }
"grade / old" = { en = "Grade", fr = "Note", type = "category", levels = ["A", "B"], sentinels = ["?"] }

[tables.history]
en = "History"
fr = "Historique"
files = ["history"]
parent = "loan"
parent_key = "id"
time = "days"
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def to_file(text: str) -> Path:
        file = tmp_path / "shop.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return to_file


def edited(*edits: tuple[str, str]) -> str:
    text = BOOK
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


# ---- What comes with the package -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=available())
def shipped(request: pytest.FixtureRequest) -> Portfolio:
    return load(request.param)


def test_there_are_two_books() -> None:
    """A second book that works by its file alone is the proof that no code knows the first."""
    assert set(available()) == {"home_credit", "uci_taiwan"}


def test_shipped_book_is_called_as_its_file(shipped: Portfolio) -> None:
    assert (shipped.folder / f"{shipped.name}.toml").is_file()
    assert load(str(shipped.folder / f"{shipped.name}.toml")) == shipped


def test_shipped_words_exist_in_both_languages_and_differ_by_column(shipped: Portfolio) -> None:
    """Two fields with one label cannot be told apart on a form, nor in the reasons of a decision."""
    columns = {table.name: table.columns.values() for table in shipped.tables.values()}
    labels = [column.label for table in columns.values() for column in table]
    labels += [*shipped.concepts.values(), shipped.title, *(table.label for table in shipped.tables.values())]
    assert all(label.en.strip() and label.fr.strip() for label in labels)
    for table in columns.values():
        for language in ("en", "fr"):
            words = [getattr(column.label, language) for column in table]
            assert len(set(words)) == len(words)


def test_shipped_features_are_neither_protected_nor_key_nor_target(shipped: Portfolio) -> None:
    roles = {column.name: column.role for column in shipped.columns.values()}
    assert {roles[feature.name] for feature in shipped.features} == {"feature"}
    assert {shipped.key, shipped.target}.isdisjoint(feature.name for feature in shipped.features)


def test_every_protected_column_and_age_is_audited(shipped: Portfolio) -> None:
    """What is kept from a model may still act through other columns: only an audit shows that."""
    protected = {column.name for column in shipped.columns.values() if column.role == "protected"}
    audited = {group.column for group in shipped.groups}
    assert protected < audited
    [age] = audited - protected
    assert shipped.columns[age].group == "age"
    bands = next(group for group in shipped.groups if group.column == age)
    years = [shipped.columns[age].minimum * bands.scale, shipped.columns[age].maximum * bands.scale]
    assert min(years) >= 17
    assert max(years) <= 111
    assert bands.edges == (25, 35, 45, 55, 65)


def test_every_concept_is_used(shipped: Portfolio) -> None:
    """By a column, or by what is derived from the columns."""
    from credit.features import definitions

    assert {feature.concept for feature in definitions(shipped)} == set(shipped.concepts)


def test_no_shipped_unit_is_left_to_fill_and_every_number_has_bounds(shipped: Portfolio) -> None:
    for column in (each for table in shipped.tables.values() for each in table.columns.values()):
        assert column.unit != "?"
        if column.type in ("number", "integer") and column.role not in ("key", "excluded"):
            assert column.minimum is not None
            assert column.maximum is not None
        if column.type == "category" and column.role != "excluded":
            assert column.levels


def test_costs_are_ten_to_one(shipped: Portfolio) -> None:
    """Refusing pays from p with 10 p = 1 - p, that is p = 1/11."""
    threshold = shipped.costs.threshold
    assert shipped.costs == Costs(10, 1, None)
    assert 10 * threshold == pytest.approx(1 - threshold)


# What an officer sees: nothing may be left to a name of the file, in either language.


def test_every_concept_has_a_reason_in_both_languages(shipped: Portfolio) -> None:
    """A refusal must be explained (12 CFR 1002.9): a title such as "Income" does not say what was wrong with it."""
    assert set(shipped.adverse) == set(shipped.concepts)
    for name, label in shipped.adverse.items():
        assert label.en.strip(), name
        assert label.fr.strip(), name
        assert label.en != label.fr
    for language in ("en", "fr"):
        assert len({getattr(label, language) for label in shipped.adverse.values()}) == len(shipped.adverse)


def test_every_level_has_words_and_they_differ(shipped: Portfolio) -> None:
    """Whoever chooses must see what is chosen; Y and N, Yes and No, are yes and no without being told."""
    for column in shipped.columns.values():
        if column.type != "category" or column.role not in ("feature", "protected"):
            continue
        for language in ("en", "fr"):
            choices = words.choices(shipped, column, language)
            assert {level for _, level in choices} == set(column.levels)
            assert len({word for word, _ in choices}) == len(choices), column.name
        for level in column.levels:
            told = shipped.words.get(f"{column.name}={level}") or shipped.words.get(level)
            assert told or level in ("Y", "N", "Yes", "No"), (column.name, level)


def test_every_feature_is_in_the_form_once(shipped: Portfolio) -> None:
    """A required one that is not asked for refuses every application; one asked for twice has two answers."""
    there = [name for section in shipped.form for name in section.columns]
    assert sorted(there) == sorted(feature.name for feature in shipped.features)


def test_what_must_be_answered_is_open(shipped: Portfolio) -> None:
    """A field that holds up the decision must not be hidden behind a click."""
    for section in shipped.form:
        columns = [shipped.columns[name] for name in section.columns]
        wanted = [each.name for each in columns if not each.missing and words.start(shipped, each.name) is None]
        assert section.open or not wanted, wanted


def test_questions_and_sections_differ(shipped: Portfolio) -> None:
    for language in ("en", "fr"):
        questions = [words.question(shipped, name, language) for part in shipped.form for name in part.columns]
        assert len(set(questions)) == len(questions)
        titles = [getattr(section.label, language) for section in shipped.form]
        assert len(set(titles)) == len(titles)


def test_questions_and_help_say_no_raw_unit_and_come_in_two_languages(shipped: Portfolio) -> None:
    for name, ask in shipped.asks.items():
        if words.unit(shipped.columns[name], "en") == "years":
            assert not re.search(r"days|jours", f"{ask.label.en} {ask.label.fr}"), name
        assert bool(ask.help_en) == bool(ask.help_fr), name
        assert all(not text or text.endswith(".") for text in (ask.help_en, ask.help_fr)), name


def test_no_first_value_decides_for_a_person(default_book: Portfolio) -> None:
    """Age, income, amounts, job, home: what is not asked must not be guessed."""
    given = {name for name, ask in default_book.asks.items() if ask.default is not None}
    groups = {default_book.columns[name].group for name in given}
    assert groups == {"region", "contact", "documents", "process"}
    assert not any("_NOT_" in name for name in given), "where somebody lives and works"
    assert "FLAG_EMP_PHONE" not in given, "whether there is an employer"


def test_bands_part_where_the_costs_do(default_book: Portfolio) -> None:
    """A band on both sides of the threshold would hold approved and declined applicants."""
    assert default_book.costs.threshold in [band.below for band in default_book.bands]


def test_actions_ask_nobody_to_borrow_more(default_book: Portfolio) -> None:
    for each in default_book.actions:
        falls = {name for name, exponent in each.scales.items() if exponent > 0}
        assert not falls or each.high == 1, each.name
    assert {name for each in default_book.actions for name in each.scales} == {
        column.name for column in default_book.features if column.actionable
    }


@pytest.fixture(scope="module")
def default_book() -> Portfolio:
    return load("home_credit")


def test_default_book_describes_the_whole_application(default_book: Portfolio) -> None:
    names = list(default_book.columns)
    assert len(names) == 122
    assert (names[:3], names[-1]) == (
        ["SK_ID_CURR", "TARGET", "NAME_CONTRACT_TYPE"],
        "AMT_REQ_CREDIT_BUREAU_YEAR",
    )
    assert len(default_book.columns["ORGANIZATION_TYPE"].levels) == 57
    assert {column.name for column in default_book.columns.values() if column.actionable} == {
        "AMT_CREDIT",
        "AMT_ANNUITY",
        "AMT_GOODS_PRICE",
    }


def test_what_gives_family_status_away_is_left_out(default_book: Portfolio) -> None:
    """Members less children is 2 for each couple and 1 for everyone else, in all real rows seen."""
    roles = {role: set() for role in ("protected", "excluded")}
    for column in default_book.columns.values():
        roles.get(column.role, set()).add(column.name)
    assert roles["protected"] == {"CODE_GENDER", "NAME_FAMILY_STATUS"}
    repeats = {name for name in roles["excluded"] if name.endswith(("_MODE", "_MEDI"))}
    assert roles["excluded"] - repeats == {"NAME_TYPE_SUITE", "CNT_FAM_MEMBERS"}
    assert {f"{name.rpartition('_')[0]}_AVG" for name in repeats} <= {each.name for each in default_book.features}


def test_no_day_lies_after_the_application(default_book: Portfolio) -> None:
    days = [column for column in default_book.columns.values() if column.unit == "days"]
    assert len(days) == 5
    assert all(column.maximum is not None and column.maximum <= 0 for column in days)
    assert default_book.columns["DAYS_EMPLOYED"].sentinels == (365243.0,)


def test_six_more_tables_hang_on_the_application(default_book: Portfolio) -> None:
    others = {table.name: table for table in default_book.tables.values() if table.name != default_book.main}
    assert {name: len(table.columns) for name, table in others.items()} == {
        "bureau": 17,
        "bureau_balance": 3,
        "previous_application": 37,
        "pos_cash_balance": 8,
        "credit_card_balance": 23,
        "installments_payments": 8,
    }
    assert all(table.parent_key and table.time for table in others.values())
    assert others["bureau_balance"].parent == "bureau"


def test_history_is_dated_keyed_and_silent_on_family_status(default_book: Portfolio) -> None:
    for table in default_book.tables.values():
        if table.name == default_book.main:
            continue
        keys = {column.name for column in table.columns.values() if column.role == "key"}
        assert keys == {*table.key, table.parent_key}
        assert {column.role for column in table.columns.values()} <= {"key", "feature", "excluded"}
        assert table.columns[str(table.time)].maximum == 0
        assert table.columns[str(table.time)].unit in ("days", "months")
    assert default_book.tables["previous_application"].columns["NAME_TYPE_SUITE"].role == "excluded"


# ---- Reading ---------------------------------------------------------------------------------------------


def test_a_file_says_what_it_says(write: Callable[[str], Path]) -> None:
    book = load(write(BOOK))
    assert (book.name, book.main, book.key, book.target) == ("shop", "loan", "id", "bad")
    assert list(book.columns) == ["id", "bad", "sex", "income", "grade / old"]
    assert [column.name for column in book.features] == ["income", "grade / old"]
    assert book.columns["income"] == Column(
        "income", "number", Label("Income", "Revenu"), "money", "share", minimum=0.0, maximum=9.0
    )
    assert book.columns["grade / old"].sentinels == ("?",)
    assert book.tables["history"].time == "days"


def test_what_a_file_leaves_out_has_the_documented_default(write: Callable[[str], Path]) -> None:
    book = load(write(BOOK))
    assert (book.costs, book.split, book.limits, book.training) == (Costs(), Split(), Limits(), Training())


def test_a_feature_without_a_concept_is_one_of_its_own(write: Callable[[str], Path]) -> None:
    book = load(write(BOOK))
    assert book.columns["grade / old"].group == "grade / old"
    assert book.concepts == {"money": Label("Money", "Argent"), "grade / old": Label("Grade", "Note")}
    assert book.columns["sex"].group == "", "what is no feature explains nothing"


def test_candidates_are_handed_on_as_they_are(write: Callable[[str], Path]) -> None:
    extra = '[training]\ncandidates = ["small"]\n[candidates.small]\ngrid = { num_leaves = [4, 8] }\n'
    book = load(write(BOOK + extra))
    assert book.training.candidates == ("small",)
    assert book.training.overrides == {"small": {"grid": {"num_leaves": [4, 8]}}}


def test_a_book_crosses_processes_and_stays_as_it_is() -> None:
    book = load("uci_taiwan")
    assert pickle.loads(pickle.dumps(book)) == book
    with pytest.raises(FrozenInstanceError):
        book.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["foo", "foo.toml", "../home_credit", "HOME_CREDIT", "", ".", "a\0b"])
def test_no_such_portfolio(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert "(known: home_credit, uci_taiwan) and no such file; give one of these names" in str(caught.value)


# ---- Mistakes --------------------------------------------------------------------------------------------

INCOME = next(line for line in BOOK.splitlines() if line.startswith("income"))
AT = "tables.loan.columns."


def column(**settings: Any) -> tuple[str, str]:
    """Replace the column "income" by one with these settings."""
    shown = {"en": "Income", "fr": "Revenu", "type": "number"} | settings
    return INCOME, "income = {" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in shown.items()) + "}"


def extra(text: str) -> tuple[str, str]:
    return "[concepts]", f"{text}\n[concepts]"


def asked(name: str, **settings: Any) -> tuple[str, str]:
    """Ask for a column, in the file's last table."""
    shown = {"en": "How much?", "fr": "Combien ?"} | settings
    entry = ", ".join(f"{key} = {json.dumps(value)}" for key, value in shown.items())
    return 'time = "days"', f'time = "days"\n[asks]\n{name} = {{ {entry} }}'


def form(*names: str) -> tuple[str, str]:
    return extra(f'[[form]]\nen = "All"\nfr = "Tout"\ncolumns = {json.dumps(names)}')


def action(name: str, scales: str, low: float = 0.5, high: float = 1, times: int = 1) -> tuple[str, str]:
    entry = f'[[actions]]\nname = "{name}"\nen = "x"\nfr = "x"\nscales = {scales}\nlow = {low}\nhigh = {high}\n'
    return extra(entry * times)


def bands(*edges: tuple[str, float]) -> tuple[str, str]:
    entries = ", ".join(f'{{ name = "{name}", below = {below} }}' for name, below in edges)
    return 'licence = "ours"', f'licence = "ours"\nbands = [{entries}]'


#: Make the column "income" one that can be changed.
CAN = column(actionable=True)


MISTAKES = [
    # keys and types
    ([('name = "shop"', "")], "name: missing; give text."),
    ([('name = "shop"', "nam = 1")], "nam: no such key; did you mean 'name'?"),
    ([extra("[cost]\nreview = 1")], "cost: no such key; did you mean 'costs'?"),
    ([('title = { en = "Shop", fr = "Boutique" }', 'title = "Shop"')], "title: must be a table, not 'Shop'."),
    ([column(monoton=1)], f"{AT}income.monoton: no such key; did you mean 'monotone'?"),
    ([column(min="0")], f"{AT}income.min: must be a finite number, not '0'."),
    ([column(type="numeric")], f"{AT}income.type: must be one of 'number', 'integer', 'category', 'flag'"),
    ([column(unit="euro")], f"{AT}income.unit: must be one of 'currency'"),
    ([column(role="protectd")], "not 'protectd'; did you mean 'protected'?"),
    ([column(monotone=2)], f"{AT}income.monotone: must be one of -1, 0, 1, not 2."),
    ([column(missing="no")], f"{AT}income.missing: must be true or false, not 'no'."),
    (
        [column(on_range="ignore")],
        f"{AT}income.on_range: must be one of 'error', 'warn', 'null', not 'ignore'.",
    ),
    ([('fr = "Revenu", ', "")], f"{AT}income.fr: missing; give text."),
    # columns
    ([column(min=10, max=9)], f"{AT}income.min: must not exceed max, but 10 > 9."),
    ([column(levels=["a"])], f"{AT}income.levels: only for category, not for a number; leave it out."),
    ([column(type="category", min=0)], f"{AT}income.min: only for number or integer, not for a category"),
    ([column(type="flag", max=1)], f"{AT}income.max: only for number or integer, not for a flag"),
    ([column(type="category", monotone=1)], f"{AT}income.monotone: only for number or integer or flag"),
    (
        [column(type="category", sentinels=[9])],
        f"{AT}income.sentinels: must be texts for a category, not [9.0].",
    ),
    (
        [column(type="category", levels=["a", "a"])],
        f"{AT}income.levels: must differ, but are there twice: a.",
    ),
    (
        [column(type="category", levels=["a"], sentinels=["a"])],
        f"{AT}income.sentinels: must differ, also from the",
    ),
    ([column(sentinels=[9, 9.0])], f"{AT}income.sentinels: must differ"),
    ([column(role="excluded", actionable=True)], f"{AT}income.actionable: only for a feature"),
    (
        [column(role="protected", monotone=-1)],
        f"{AT}income.monotone: only for a feature, not for a column that is",
    ),
    (
        [column(group="monney")],
        f"{AT}income.group: must be one of the [concepts], not 'monney'; did you mean 'money'?",
    ),
    ([("income = {", '"in\\ncome" = {')], "a column's name must be printable text."),
    # roles
    (
        [('target = "bad"', 'target = "bda"')],
        "target: must be a column of table 'loan', not 'bda'; did you mean 'bad'?",
    ),
    ([('\nkey = "id"', '\nkey = "ID"')], "key: must be a column of table 'loan', not 'ID'"),
    (
        [('main = "loan"', 'main = "loans"')],
        "main: must be one of the tables, not 'loans'; did you mean 'loan'?",
    ),
    (
        [('key = ["id"]', 'key = ["sex"]')],
        "tables.loan.key: must be the portfolio's key, ['id'], not ['sex'].",
    ),
    ([('key = ["id"]', "key = []")], "tables.loan.key: must be the portfolio's key, ['id'], not []."),
    ([column(role="target")], f"{AT}income.role: the key is 'id' and the target 'bad'; choose another."),
    (
        [('type = "flag", role = "target"', 'type = "flag"')],
        f"{AT}bad.role: must be 'target', as the portfolio says",
    ),
    ([('type = "flag", role', 'type = "integer", role')], f"{AT}bad.type: a target is a flag"),
    ([('target = "bad"', 'target = "id"')], "target: must not be the key, 'id'."),
    (
        [column(role="excluded"), ('sentinels = ["?"]', 'role = "excluded"')],
        "tables.loan.columns: none is a feature",
    ),
    # tables
    ([('files = ["loans"]', "files = []")], "tables.loan.files: names no file; name one at least"),
    (
        [('files = ["loans"]', 'files = ["loans"]\ntime = "day"')],
        "tables.loan.time: must be a column of the table",
    ),
    (
        [('files = ["loans"]', 'files = ["loans"]\nparent = "loan"')],
        "tables.loan.parent: the main table has none",
    ),
    ([('parent = "loan"', "")], "tables.history.parent: missing; name the table the rows belong to"),
    ([('parent_key = "id"', "")], "tables.history.parent: missing; name the table the rows belong to"),
    (
        [('parent = "loan"', 'parent = "lone"')],
        "tables.history.parent: must lead to the main table 'loan', not 'lone'",
    ),
    (
        [('parent = "loan"', 'parent = "history"')],
        "tables.history.parent: must lead to the main table 'loan'",
    ),
    (
        [('files = ["history"]', 'files = ["history"]\ngenerated_key = true')],
        "generated_key: names one key column",
    ),
    # groups
    (
        [('column = "sex"', 'column = "sexe"')],
        "groups.1.column: must be a column of table 'loan', not 'sexe'; did you",
    ),
    (
        [('column = "sex"', 'column = "income"')],
        "groups.1.edges: 'income' is a number; give the edges of its bands.",
    ),
    (
        [('column = "sex"', 'column = "sex"\nedges = [1]')],
        "groups.1.edges: the levels of category 'sex' are the groups",
    ),
    (
        [('column = "sex"', 'column = "income"\nedges = [2, 1]')],
        "groups.1.edges: must increase, not [2.0, 1.0].",
    ),
    ([('column = "sex"', 'column = "income"\nedges = [1]\nscale = 0')], "groups.1.scale: must not be 0"),
    (
        [extra('[[groups]]\nname="gender"\ncolumn="sex"\nen="x"\nfr="x"')],
        "another group or segment is called 'gender' too",
    ),
    (
        [extra('[[segments]]\nname="gender"\ncolumn="sex"\nen="x"\nfr="x"')],
        "segments.1.name: another group or segment is called 'gender' too",
    ),
    (
        [extra('[[segments]]\nname="outcome"\ncolumn="sex"\nen="x"\nfr="x"')],
        "segments.1.name: 'outcome' is the name of a feature or a result; choose another name.",
    ),
    # numbers
    ([extra("[monitoring]\nwindow = 10")], "monitoring.window: must be 50 or more, not 10."),
    ([extra("[monitoring]\npsi = [0.3, 0.1]")], "monitoring.psi: must be where it warns and where it alerts"),
    ([extra("[monitoring]\nregression = -1")], "monitoring.regression: must be 0 or more, not -1.0."),
    ([extra("[split]\ntrain = 0.5")], "split: train, validation and test must sum to 1, not 0.9."),
    ([extra("[split]\ntrain = 0.8\ntest = 0.0")], "split.test: must be above 0 and below 1, not 0.0."),
    ([extra("[costs]\nfalse_negative = 0")], "costs.false_negative: must be above 0, not 0.0."),
    ([extra("[costs]\nfalse_positive = -1")], "costs.false_positive: must be above 0, not -1.0."),
    ([extra("[costs]\nreview = 0")], "costs.review: must be above 0, not 0.0."),
    (
        [extra("[limits]\nprobability_cheaper = 95")],
        "limits.probability_cheaper: must be from 0 to 1, not 95.0.",
    ),
    (
        [extra("[limits]\ncalibration_slope = [1.3, 0.7]")],
        "limits.calibration_slope: must be a lower and a higher",
    ),
    ([extra("[limits]\nmin_group = 0")], "limits.min_group: must be above 0, not 0."),
    ([extra("[training]\nfolds = 1")], "training.folds: must be 2 or more, not 1."),
    ([extra("[training]\nseed = -1")], "training.seed: must be from 0 to 2147483647, not -1."),
    ([extra("[training]\ncandidates = []")], "training.candidates: names no candidate; name one at least."),
    (
        [extra('[training]\ncandidates = ["a", "prior"]')],
        "training.candidates: must differ, references included",
    ),
    (
        [extra("[candidates.nativ]\nx = 1")],
        "candidates.nativ: is no candidate or reference of [training]; did you",
    ),
    ([extra("[candidates.native]\nx = 1979-05-27")], "candidates.native.x: must be text, a finite number"),
    # names that lead elsewhere
    ([('name = "shop"', 'name = "../shop"')], "name: must be letters, digits and _ and begin with a letter"),
    (
        [('name = "shop"', 'name = ""')],
        "name: must be letters, digits and _ and begin with a letter, not ''.",
    ),
    ([('main = "loan"', 'main = "loan"\nderived = "os.path"')], "derived: must be letters, digits and _"),
    (
        [('main = "loan"', 'main = "loan"\nsynthetic = "/etc/passwd"')],
        "synthetic: must be the plain name of a file",
    ),
    ([('files = ["loans"]', 'files = ["../loans"]')], "tables.loan.files: must be the plain name of a file"),
    ([('files = ["loans"]', 'files = [".."]')], "tables.loan.files: must be the plain name of a file"),
    (
        [('files = ["loans"]', 'files = ["a"]\nunlabelled = ["c:\\\\b"]')],
        "tables.loan.unlabelled: must be the plain",
    ),
    ([extra("[training]\ncandidates = ['x; rm']")], "training.candidates: must be letters, digits and _"),
    # what an officer sees
    (
        [extra('[adverse]\nmonney = { en = "x", fr = "x" }')],
        "adverse.monney: must be one of the [concepts], not",
    ),
    (
        [extra('[words]\nC = { en = "x", fr = "x" }')],
        "words.C: must be a level of a category, or COLUMN=level",
    ),
    ([extra('[words]\n"sex=x" = { en = "x", fr = "x" }')], "or COLUMN=level, not 'sex=x'; did you mean 'sex="),
    ([asked("incom")], "asks.incom: must be a column of table 'loan', not 'incom'; did you mean 'income'?"),
    ([asked("income", default=9.5)], "asks.income.default: must be between the column's min and max, 0.0 and 9.0"),
    ([asked("income", default=-1)], "asks.income.default: must be between the column's min and max"),
    ([asked("income", default="much")], "asks.income.default: must be a number, as in the raw column, not 'much'."),
    ([asked("income", default=1.5), column(type="integer")], "asks.income.default: must be a whole number"),
    ([asked("income", default=2), column(type="flag")], "asks.income.default: must be 0 or 1"),
    (
        [asked("sex", default="x")],
        "asks.sex.default: must be one of the levels of 'sex', as in",
    ),
    ([asked("sex", default=1)], "asks.sex.default: must be one of the levels of 'sex'"),
    ([form("income", "id")], "form.1.columns: must be features of table 'loan', not 'id'"),
    (
        [form("income", "incom")],
        "form.1.columns: must be features of table 'loan', not 'incom'; did you mean 'income'?",
    ),
    ([form("income", "income")], "form: asks for each column once, but twice for: income."),
    (
        [form("sex"), column(missing=False)],
        "form: must ask for every feature that may not be missing; add income.",
    ),
    (
        [action("cut", "{ income = 1 }")],
        "actions.1.scales.income: must be an actionable column of",
    ),
    (
        [action("cut", "{ income = 1 }"), column(type="category", actionable=True)],
        "actions.1.scales.income: must be an actionable column of numbers",
    ),
    ([action("cut", "{}"), CAN], "actions.1.scales: changes nothing; name a column and its exponent."),
    ([action("cut", "{ income = 0 }"), CAN], "actions.1.scales.income: must not be 0, which changes nothing"),
    ([action("a cut", "{ income = 1 }"), CAN], "actions.1.name: must be letters, digits and _"),
    (
        [action("cut", "{ income = 1 }", low=0), CAN],
        "actions.1.low: low and high must be factors around 1, not 0 and",
    ),
    ([action("cut", "{ income = 1 }", low=1.1), CAN], "actions.1.low: low and high must be factors around 1"),
    ([action("cut", "{ income = 1 }", high=0.9), CAN], "actions.1.low: low and high must be factors around 1"),
    ([action("cut", "{ income = 1 }", times=2), CAN], "actions: must differ in name, but are there twice: cut."),
    ([bands(("A", 0.5), ("B", 0.9))], "bands: below must increase from above 0 to 1, not [0.5, 0.9]."),
    ([bands(("A", 0.5), ("B", 0.5), ("C", 1))], "bands: below must increase from above 0 to 1"),
    ([bands(("A", 0), ("B", 1))], "bands: below must increase from above 0 to 1"),
    ([bands()], "bands: below must increase from above 0 to 1, not []."),
    ([bands(("A", 0.5), ("A", 1))], "bands: must differ in name, but are there twice: A."),
]


@pytest.mark.parametrize(("edits", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_each_mistake_is_named(edits: list[tuple[str, str]], message: str, write: Callable[[str], Path]) -> None:
    file = write(edited(*edits))
    with pytest.raises(ConfigError) as caught:
        load(file)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(str(file))
    assert any(message in line for line in lines), lines


def test_all_mistakes_are_told_at_once(write: Callable[[str], Path]) -> None:
    """Those of form and those of meaning, each with its own place: a file is mended once."""
    edits = [column(min=10, max=9), ('target = "bad"', 'target = "bda"'), extra("[costs]\nreview = 'x'")]
    with pytest.raises(ConfigError) as caught:
        load(write(edited(*edits, ('fr = "Boutique"', 'de = "Laden"'))))
    places = [line.split(": ")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert {"title.fr", "title.de", "costs.review", "target", f"{AT}income.min"} <= set(places)
    assert len(places) == len(set(places))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in pairs for place in ((*at, key), *places(inner, (*at, key)))]


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_anywhere_is_a_clear_error_or_nothing(data: st.DataObject, tmp_path: Path) -> None:
    """A file written by hand can hold anything: whatever it is, the user gets no traceback."""
    document = tomllib.loads(BOOK)
    where = data.draw(st.sampled_from(places(document)))
    inner: Any = document
    for key in where[:-1]:
        inner = inner[key]
    junk = data.draw(JUNK.filter(lambda value: value is not None))
    inner[where[-1]] = without_none(junk)
    file = tmp_path / "junk.toml"
    file.write_text(tomlkit.dumps(document), encoding="utf-8")
    try:
        load(file)
    except ConfigError as error:
        assert str(file) in str(error)  # noqa: PT017 - both outcomes are right


def without_none(value: Any) -> Any:
    """TOML has no null."""
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value if inner is not None] if isinstance(value, list) else value


# ---- Identity --------------------------------------------------------------------------------------------


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        order.shuffle(items)
        return {key: shuffled(inner, order) for key, inner in items}
    return value


@given(seed=st.integers(0, 2**32))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_digest_does_not_see_the_layout(seed: int, tmp_path: Path) -> None:
    """A model is bound to its book by this digest: moving a line must not orphan every registered model."""
    plain = tmp_path / "plain.toml"
    plain.write_text(BOOK, encoding="utf-8")
    other = tmp_path / str(seed) / "other.toml"
    other.parent.mkdir(exist_ok=True)
    mixed = shuffled(tomllib.loads(BOOK), random.Random(seed))
    text = tomlkit.dumps(mixed).replace("min = 0", "min = 0.0  # the same number")
    other.write_text(text, encoding="utf-8")
    assert load(other).digest == load(plain).digest
    assert load(other) == load(plain)


@pytest.mark.parametrize(
    "edit",
    [
        ('licence = "ours"', 'licence = "theirs"'),
        ("max = 9", "max = 9.5"),
        ('levels = ["A", "B"]', 'levels = ["B", "A"]'),
        ('levels = ["A", "B"]', 'levels = ["A,B"]'),
        ('fr = "Revenu"', 'fr = "Revenus"'),
        extra("[costs]\nfalse_negative = 9"),
        extra('[split]\nsalt = "credit-2"'),
        extra("[candidates.native]\ntrees = 5"),
    ],
)
def test_digest_sees_every_change_of_meaning(edit: tuple[str, str], write: Callable[[str], Path]) -> None:
    before = load(write(BOOK)).digest
    assert load(write(edited(edit))).digest != before


def test_digest_is_the_same_in_another_process() -> None:
    """Hashes of Python's own change from process to process; this one must not."""
    code = "from credit.portfolio import load; print(load('uci_taiwan').digest)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == load("uci_taiwan").digest


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
NUMBERS = st.floats(-1e12, 1e12).map(lambda value: round(value, 6))
COLUMN = st.fixed_dictionaries(
    {"en": NAMES, "fr": NAMES, "type": st.sampled_from(["number", "integer"])},
    optional={
        "unit": st.sampled_from(["currency", "days", "?", ""]),
        "missing": st.booleans(),
        "monotone": st.sampled_from([-1, 0, 1]),
        "on_range": st.sampled_from(["error", "warn", "null"]),
        "actionable": st.booleans(),
        "sentinels": st.lists(NUMBERS, max_size=3, unique=True),
        "group": st.just("money"),
    },
)
CATEGORY = st.fixed_dictionaries(
    {"en": NAMES, "fr": NAMES, "type": st.just("category")},
    optional={
        "levels": st.lists(NAMES, max_size=4, unique=True),
        "on_level": st.sampled_from(["error", "warn", "null"]),
    },
)


@given(
    columns=st.dictionaries(NAMES.filter(lambda name: name not in ("id", "bad", "sex", "money")), COLUMN | CATEGORY),
    bounds=st.tuples(NUMBERS, NUMBERS).map(sorted),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_written_is_read(columns: dict[str, dict[str, Any]], bounds: list[float], tmp_path: Path) -> None:
    """Names and levels are other people's: any printable text must survive the way through the file."""
    document = tomllib.loads(BOOK)
    document["tables"]["loan"]["columns"] |= columns
    document["tables"]["loan"]["columns"]["income"] |= {"min": bounds[0], "max": bounds[1]}
    file = tmp_path / "book.toml"
    file.write_text(tomlkit.dumps(document), encoding="utf-8")
    book = load(file)
    assert list(book.columns)[: len(document["tables"]["loan"]["columns"])] == list(
        document["tables"]["loan"]["columns"]
    )
    assert [book.columns["income"].minimum, book.columns["income"].maximum] == bounds
    for name, wanted in columns.items():
        read = {each.name: getattr(book.columns[name], each.name) for each in fields(Column)}
        read |= {"en": read["label"].en, "fr": read["label"].fr}
        for key, value in wanted.items():
            assert read[key] == (tuple(value) if isinstance(value, list) else value)
