"""Replay: a recorded decision is made again bit for bit, whoever is champion now, or what differs is said."""

import re
import sqlite3
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from ledger_util import decision as feigned
from mlflow import MlflowClient
from serving_util import APPLICANT, RISKY, champion, second_champion

from credit.errors import ConfigError, DataError, ServiceError
from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.replay import replay
from credit.governance.retention import erase
from credit.governance.serving import open_version
from credit.home import Home


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    champion(made)
    return made


@pytest.fixture
def registry(home):
    return Registry("shop", home)


@pytest.fixture
def records(home):
    return Records(Ledger(home.ledger_url))


def record(records, registry, application=RISKY, **changes):
    """Decide with the champion, and record it; `changes` falsify what is recorded."""
    made = open_version(registry, registry.champion()).decide(application, None)
    return records.decide(replace(made, **changes), application, None, by="officer", channel="page"), made


def test_a_decision_is_made_again_bit_for_bit(records, registry):
    for application in (APPLICANT, RISKY):
        number, made = record(records, registry, application)
        again = replay(records, registry, number)
        assert again.same, again.differences
        assert again.differences == ()
        assert again.decision.probability.hex() == made.probability.hex()
        assert again.decision == made


def test_the_version_that_decided_is_used_whoever_is_champion_now(home, records, registry):
    """After a promotion, and after a rollback: each decision by its own version."""
    first, made = record(records, registry)
    second_champion(home)
    second, other = record(records, registry)
    assert made.probability != other.probability
    assert [replay(records, registry, number).same for number in (first, second)] == [True, True]
    registry.rollback(reason="the second refuses too many")
    assert registry.champion().number == made.identity.version
    assert [replay(records, registry, number).same for number in (first, second)] == [True, True]
    assert replay(records, registry, second).decision == other


def test_values_of_any_type_are_judged_again_as_they_were(records, registry):
    """A page gives text, a file NumPy's scalars, a database decimals: the ledger gives back what reads alike."""
    odd = {"client": "5001", "amount": Decimal("60.50"), "score": np.float32(0.1), "months": np.nan}
    odd |= {"phone": np.bool_(True), "kind": np.str_("loan"), "town": None}
    number, _ = record(records, registry, odd)
    assert replay(records, registry, number).same


FALSIFIED = {
    "probability": (0.1 + 0.2, r"probability: was 0\.30000000000000004 \(0x1\.3.*\), is 0\."),
    "decision": ("approve", "decision: was approve, is decline"),
    "threshold": (0.5, r"threshold: was 0\.5 "),
    "band": ("nobody's", "band: was nobody's, is "),
    "standing": (0.0, r"standing: was 0\.0 "),
    "costs": ({"approve": 1.0, "decline": 2.0}, r"costs of approve: was 1\.0 "),
    "feature_hash": ("0" * 64, "feature_hash: was 000"),
    "missing": (("town",), "missing: was .'town'., is "),
    "reasons": ((), "reasons: were none, are "),
}


@pytest.mark.parametrize("what", FALSIFIED)
def test_what_differs_is_said(what, records, registry):
    value, message = FALSIFIED[what]
    number, _ = record(records, registry, RISKY, **{what: value})
    again = replay(records, registry, number)
    assert not again.same
    assert any(re.match(message, text) for text in again.differences), again.differences


def test_a_last_bit_is_a_difference(records, registry):
    number, made = record(records, registry)
    other, _ = record(records, registry, RISKY, probability=np.nextafter(made.probability, 1.0).item())
    assert replay(records, registry, number).same
    assert [text.split(":")[0] for text in replay(records, registry, other).differences] == ["probability"]


def test_a_reason_in_other_words_is_a_difference(records, registry):
    _, made = record(records, registry)
    changed = (replace(made.reasons[0], en="Because."), *made.reasons[1:])
    number, _ = record(records, registry, RISKY, reasons=changed)
    [text] = replay(records, registry, number).differences
    assert text.startswith("reason 1, en: was Because., is ")


def test_an_erased_decision_says_so_and_what_is_left(records, registry):
    number, made = record(records, registry)
    erase(records.ledger, made.client, "asked for", portfolio="shop")
    again = replay(records, registry, number)
    assert (again.same, again.decision) == (False, None)
    assert "its application was erased" in again.differences[0]
    assert f"'{made.decision}' at a probability of about {made.probability:.3f}" in again.differences[0]


def test_a_version_that_is_gone_is_named(home, records, registry):
    number, made = record(records, registry)
    MlflowClient(home.tracking_uri, home.tracking_uri).delete_model_version("credit-shop", str(made.identity.version))
    again = replay(records, registry, number)
    assert (again.same, again.decision) == (False, None)
    assert "cannot be made again: credit-shop" in again.differences[0]


def test_another_model_under_the_same_number_is_not_used(records, registry):
    _, made = record(records, registry)
    number, _ = record(records, registry, RISKY, identity=replace(made.identity, digest="a" * 64))
    assert "is another model today" in replay(records, registry, number).differences[0]


def test_features_that_were_redefined_since_are_named(records, registry, monkeypatch):
    """The software moves on: a feature of the same name may mean something else."""
    number, _ = record(records, registry)
    monkeypatch.setattr("credit.features.dictionary.Feature.digest", property(lambda feature: "another"))
    again = replay(records, registry, number)
    assert again.decision is None
    assert "redefined" in again.differences[0]
    assert "version of the software that trained it" in again.differences[0]


def test_a_model_that_was_never_registered_cannot_decide_again(records, registry):
    made = feigned(identity=replace(feigned().identity, model="", version=0))
    number = records.decide(made, APPLICANT, None, by="x", channel="api")
    assert "not registered" in replay(records, registry, number).differences[0]


def test_faults_of_use_and_of_service_are_errors(records, registry, tmp_path):
    number, _ = record(records, registry)
    with pytest.raises(DataError, match="decision 99: not in the ledger"):
        replay(records, registry, 99)
    with pytest.raises(ConfigError, match="was made by credit-shop, not by credit-bank"):
        replay(records, Registry("bank", registry.home), number)
    closed = Registry("shop", Home(tmp_path / "other", tracking_uri="http://127.0.0.1:9"))
    with pytest.raises(ServiceError):
        replay(records, closed, number)


def test_an_edited_application_is_not_replayed(home, records, registry):
    number, _ = record(records, registry)
    with sqlite3.connect(home.ledger_url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TRIGGER no_update_personal")
        connection.execute("UPDATE personal SET content = x'00'")
    connection.close()
    with pytest.raises(DataError, match="not what was sealed"):
        replay(records, registry, number)


def test_a_date_is_kept_as_it_is_written(records, registry):
    """No column of this book is a date; a table of one is judged by its text."""
    number = records.decide(feigned(), {"when": date(2026, 1, 2)}, None, by="x", channel="api")
    assert records.find(number).application == {"when": "2026-01-02"}
