"""The counter: recorded before it is handed out, the same for page and API, files in and files out."""

import csv
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from learning import open_sales, sales
from serving_util import APPLICANT, RISKY, book, champion, shop_file

from credit.errors import ConfigError, ContractError, DataError, ServiceError
from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.home import Home
from gradio_app import batches
from gradio_app.desk import Case, Desk, NoChampionError, TooManyError, open_desk
from gradio_app.faults import faults
from gradio_app.settings import Settings

BY = {"by": "anna", "channel": "page"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("desk") / "home")
    champion(made)
    return made


@pytest.fixture(scope="module")
def opened(home):
    """A desk whose model is open; tests share it, and what it has recorded."""
    desk = open_desk(Settings(home=home, portfolio=str(shop_file(home.root)), rows=400))
    desk.champion()
    return desk


@pytest.fixture
def desk(opened, tmp_path):
    """The same model with a ledger of its own, which is kept elsewhere and empty."""
    records = Records(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))
    return Desk(opened.serving, records, opened.book, rows=opened.rows)


def count(desk):
    return len(desk.records.ledger.events("decision"))


# One decision


def test_a_decision_is_on_record_before_it_is_handed_out(desk):
    number, decision = desk.decide(RISKY, **BY)
    found = desk.find(number)
    assert (found.by, found.channel, found.client) == ("anna", "page", "5002")
    assert (found.probability, found.decision) == (decision.probability, decision.decision)
    assert found.application == RISKY
    assert desk.earlier("5002") == [found]
    assert desk.earlier("5001") == []


def test_a_ledger_that_takes_nothing_hands_out_no_decision(opened, tmp_path):
    """A folder in the ledger's place: nothing can be written, so nothing may be decided."""
    (tmp_path / "ledger.db").mkdir()
    path = write(pd.DataFrame([APPLICANT]), tmp_path / "a.csv")
    desk = Desk(opened.serving, Records(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")), opened.book)
    for work in (
        lambda: desk.decide(APPLICANT, **BY),
        lambda: desk.decide_all([Case(APPLICANT)], **BY),
        lambda: desk.batch(path, by="anna"),
    ):
        with pytest.raises(ServiceError):
            work()
    assert b"credit_ledger_failures_total 3.0" in desk.metrics.text(None, trouble=False)
    assert b"credit_decisions_total{" not in desk.metrics.text(None, trouble=False)


def test_what_breaks_the_contract_is_not_recorded(desk):
    with pytest.raises(ContractError):
        desk.decide(APPLICANT | {"kind": "barter"}, **BY)
    assert count(desk) == 0
    assert b'credit_rejects_total{rule="unknown level"} 1.0' in desk.metrics.text(None, trouble=False)


def test_without_a_champion_it_says_how_to_train_one(tmp_path):
    desk = open_desk(Settings(home=Home(tmp_path / "none"), portfolio=str(shop_file(tmp_path))))
    for work in (
        lambda: desk.decide(APPLICANT, **BY),
        lambda: desk.what_if(APPLICANT),
        lambda: desk.batch("x.csv", by="anna"),
        desk.model,
    ):
        with pytest.raises(NoChampionError, match=r"python flows/training.py run --portfolio shop"):
            work()
    assert desk.today() == desk.book
    assert desk.place().source is None
    assert desk.numbers("1") == []


def test_an_override_is_recorded_with_its_reason(desk):
    number, decision = desk.decide(RISKY, **BY)
    desk.override(number, "approve", "payslip seen", by="bob")
    found = desk.find(number)
    assert (found.decision, found.overridden["to"], found.overridden["by"]) == (decision.decision, "approve", "bob")
    with pytest.raises(ConfigError, match="already"):
        desk.override(number, "approve", "again", by="bob")
    assert b'credit_overrides_total{to="approve"} 1.0' in desk.metrics.text(None, trouble=False)


def test_a_what_if_is_no_decision(desk):
    found = desk.what_if(RISKY)
    assert found.decision == "decline"
    assert count(desk) == 0


# Many


def test_many_are_decided_as_each_alone(desk):
    """And all that can be decided are, whatever is wrong with their neighbours."""
    cases = [Case(APPLICANT), Case(RISKY | {"client": 1, "amount": -5}), Case(RISKY), Case({"nonsense": 1})]
    told = []
    outcomes = desk.decide_all(cases, **BY, progress=told.append)
    assert [each.decision is not None for each in outcomes] == [True, False, True, False]
    assert [each.number is not None for each in outcomes] == [True, False, True, False]
    for outcome in (outcomes[0], outcomes[2]):
        _, alone = desk.decide(outcome.application, **BY)
        assert alone == outcome.decision
        assert desk.find(outcome.number).client == alone.client
    assert told[-1] == 1.0
    assert count(desk) == 4


def test_rows_with_the_same_key_are_all_rejected(desk):
    outcomes = desk.decide_all([Case(APPLICANT), Case(RISKY), Case(APPLICANT | {"client": "5001"})], **BY)
    assert [each.decision is not None for each in outcomes] == [False, True, False]
    assert "duplicated key" in str(outcomes[0].fault)


def test_too_many_are_refused_before_any_is_decided(desk):
    with pytest.raises(TooManyError, match="CREDIT_APP_ROWS"):
        desk.decide_all([Case(APPLICANT)] * 401, **BY)
    assert count(desk) == 0


# Existing clients


def test_existing_clients_are_those_of_the_champions_training(desk):
    known = sales(900, 0)
    place = desk.place()
    assert Path(place.source).name == "data"
    numbers = desk.numbers("10", limit=5)
    assert numbers == sorted((str(key) for key in known["client"] if str(key).startswith("10")), key=int)[:5]
    case = desk.case(numbers[0])
    row = known.set_index("client").loc[int(numbers[0])]
    assert float(case.application["amount"]) == row["amount"]
    assert "unpaid" not in case.application, "the outcome is not known on the day of the application"
    _, decision = desk.decide(case.application, case.history, **BY)
    assert decision.client == numbers[0]


def test_clients_that_cannot_be_looked_up_are_said_to_be(opened, monkeypatch):
    version, decider = opened.champion()
    gone = replace(version, tags={**version.tags, "source": "/no/such/folder"})
    monkeypatch.setattr(opened.serving, "_current", (gone, decider))
    place = opened.place()
    assert place.source is None
    assert "/no/such/folder" in place.note.en
    assert "--data" in place.note.fr
    assert opened.numbers("1") == []
    with pytest.raises(DataError, match="cannot be looked up"):
        opened.case("1000")


def test_other_data_can_be_named(opened, tmp_path):
    sales(20, 3).assign(client=range(70001, 70021)).to_csv(tmp_path / "sales.csv", index=False)
    desk = Desk(opened.serving, opened.records, opened.book, source=str(tmp_path))
    assert desk.numbers("7", limit=2) == ["70001", "70002"]
    assert desk.place().source == str(tmp_path)


# Files


def write(frame, path):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def read(path):
    """Read what was written, to the last bit."""
    return pd.read_csv(path, float_precision="round_trip") if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_is_decided_as_each_row_alone(desk, tmp_path, suffix):
    rows = open_sales(30).assign(client=range(9001, 9031), extra="x").drop(columns=["branch"])
    rows["phone"] = rows["phone"].fillna(0)
    path = write(rows, tmp_path / f"in{suffix}")
    made = desk.batch(path, by="anna")
    bad = int((rows["kind"] == "barter").sum())
    assert bad > 0
    assert (made.scored, made.rejected, made.unused) == (30 - bad, bad, ("extra",))
    assert sum(made.decisions.values()) == made.scored
    decided, rejected = read(made.out), read(made.rejects)
    assert list(rejected["row"]) == [at for at, kind in enumerate(rows["kind"], start=1) if kind == "barter"]
    assert set(rejected["rule"]) == {"unknown level"}
    assert "barter" in rejected["message"].iloc[0]
    for row in decided.to_dict("records"):
        found = desk.find(int(row["decision_id"]))
        assert (found.client, found.channel) == (str(row["client"]), "batch")
        assert found.probability == row["probability_of_default"]
        assert row["decision"] == found.decision
        case = rows[rows["client"] == int(row["client"])].iloc[0].drop("extra").to_dict()
        alone = desk.champion()[1].decide(case)
        assert np.float64(alone.probability) == np.float64(row["probability_of_default"]), "not a bit apart"


def test_a_file_that_cannot_be_read_is_one_clear_error(desk, tmp_path):
    write(open_sales(3).drop(columns=["client"]), tmp_path / "a.csv")
    with pytest.raises(DataError, match="has no column 'client'"):
        desk.batch(tmp_path / "a.csv", by="anna")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"neither .csv nor .parquet"):
        desk.batch(tmp_path / "a.xlsx", by="anna")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError):
        desk.batch(tmp_path / "b.parquet", by="anna")
    write(pd.concat([open_sales(300), open_sales(101)]), tmp_path / "c.csv")
    with pytest.raises(TooManyError, match="more than 400"):
        desk.batch(tmp_path / "c.csv", by="anna")
    with pytest.raises(ConfigError, match="neither 'none' nor 'known'"):
        desk.batch(tmp_path / "c.csv", by="anna", history="all")
    assert count(desk) == 0


def test_a_file_with_no_valid_row_still_gives_two_files(desk, tmp_path):
    made = desk.batch(write(open_sales(2).assign(kind="barter"), tmp_path / "a.csv"), by="anna", lang="fr")
    assert (made.scored, made.rejected, made.version) == (0, 2, "")
    assert list(pd.read_csv(made.out).columns)[:2] == ["decision_id", "client"]
    assert "valeur inconnue" in pd.read_csv(made.rejects)["message"].iloc[0]


def test_a_spreadsheet_sees_no_formula(desk, tmp_path):
    """Opened in a spreadsheet, a cell that begins with = is run: what a file says must not become a command."""
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"]
    rows = pd.DataFrame([{**APPLICANT, "client": at, "kind": text} for at, text in enumerate(evil, start=1)])
    made = desk.batch(write(rows, tmp_path / "a.csv"), by="anna")
    with made.rejects.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert sum(cell.startswith("'") for cell in cells) >= len(evil)
    for cell in cells:
        assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
        assert not cell.startswith("-") or cell.replace(".", "").lstrip("-").isdigit(), cell


def test_files_with_peoples_data_do_not_stay(desk, tmp_path):
    path = write(open_sales(2).assign(kind="cash", phone=1.0), tmp_path / "a.csv")
    old = desk.batch(path, by="anna").out.parent
    past = time.time() - batches.KEPT - 60
    os.utime(old, (past, past))
    new = desk.batch(path, by="anna").out.parent
    assert not old.exists()
    assert new.exists()


def test_history_of_existing_clients_is_looked_up(desk, tmp_path):
    """The shop has no history: the question is put all the same, and a stranger is no fault."""
    path = write(pd.DataFrame([APPLICANT, {**RISKY, "client": int(desk.numbers("1", 1)[0])}]), tmp_path / "a.csv")
    cases, _ = desk.cases(path, "known")
    assert [case.history for case in cases] == [None, {}]
    assert [case.history for case in desk.cases(path, "none")[0]] == [None, None]


# What people see of the model, and of faults


def test_the_model_is_shown_with_its_evidence(desk):
    model = desk.model()
    assert (model.version.number, model.version.outcome, model.note) == (1, "first", "")
    assert {"calibration", "importance", "policies", "kpis", "leaderboard", "groups_sex"} <= model.tables.keys()
    assert len(model.tables["importance"]) == 6
    assert model.figures["curve"].read_bytes().startswith(b"\x89PNG")


def test_a_fault_speaks_the_officers_language():
    desk_book = book()
    error = DataError("no such column")
    assert [each.message for each in faults(desk_book, error, "fr")] == ["no such column"]


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_every_fault_names_its_field(desk, lang):
    with pytest.raises(ContractError) as caught:
        desk.decide({"client": "x", "kind": "y", "amount": -1, "score": 2}, **BY)
    found = faults(desk.book, caught.value, lang)
    assert {each.column for each in found} == {"client", "kind", "amount", "score", "phone"}
    labels = {name: getattr(column.label, lang) for name, column in desk.book.columns.items()}
    assert all(each.field == labels[each.column] and each.message.startswith(each.field) for each in found)
