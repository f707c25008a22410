"""One client's rows are those of the batch: looked up by number, in every kind of source, whoever else asks."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learning import open_sales, sales, shop
from seven_util import BOOK, CLIENTS, seven, write
from tables_util import book, rows

from credit.data import contract, tables
from credit.data.clients import Clients
from credit.errors import CreditError, DataError
from credit.features import definitions, express
from credit.features.online import Online

KINDS = ("csv", "parquet", "db")


#: Some features of every table; all of them would take a minute to compile.
SOME = [feature for feature in definitions(BOOK) if not feature.aggregate][::40] + [
    feature for feature in definitions(BOOK) if feature.aggregate
][::24]


@cache
def online() -> Online:
    return Online(BOOK, SOME)


@pytest.fixture(scope="module", params=KINDS)
def source(request, tmp_path_factory) -> Path:
    return write(seven(), tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def clients(source) -> Clients:
    return Clients(BOOK, source)


def test_a_case_has_the_features_of_the_batch_bit_for_bit(source, clients) -> None:
    """The counter reads a client out of the book that the night run scores: both must decide on the same numbers."""
    checked = contract.check(BOOK, tables.open_tables(BOOK, source)).tables
    batch = express(BOOK, checked, SOME).to_pandas().set_index(BOOK.key)
    assert {feature.table for feature in SOME} == set(BOOK.tables)
    for key in batch.index[::22]:
        one = online().features(*clients.case(str(key))).iloc[0]
        for feature in SOME:
            here, there = one[feature.name], batch.loc[key, feature.name]
            assert (pd.isna(here) and pd.isna(there)) or here == there, (key, feature.name)


def test_a_case_holds_every_row_of_the_client_and_nobody_elses(clients) -> None:
    frames = seven()
    application, history = clients.case("100007")
    assert str(application[BOOK.key]) == "100007"
    assert BOOK.target not in application
    assert set(history) == set(frames) - {BOOK.main}
    loans = frames["bureau"][frames["bureau"][BOOK.key] == 100_007]["SK_ID_BUREAU"]
    months = frames["bureau_balance"][frames["bureau_balance"]["SK_ID_BUREAU"].isin(loans)]
    assert len(months) > 0
    assert [int(row["SK_ID_BUREAU"]) for row in history["bureau_balance"]] == months["SK_ID_BUREAU"].tolist()
    for name in ("bureau", "previous_application", "installments_payments"):
        assert {str(row[BOOK.key]) for row in history[name]} == {"100007"}
        assert len(history[name]) == (frames[name][BOOK.key] == 100_007).sum()
    hidden = {column for row in history["bureau"] for column in row if column.startswith("__")}
    assert hidden == set()


def test_numbers_begin_as_asked_the_lowest_first(clients) -> None:
    every = [str(100_001 + at) for at in range(CLIENTS)]
    assert clients.numbers(limit=1000) == every
    assert clients.numbers("10001", limit=4) == ["100010", "100011", "100012", "100013"]
    assert clients.numbers("  100110 ") == ["100110"]
    assert clients.numbers("9") == []
    assert len(clients.numbers()) == 20


@pytest.mark.parametrize("key", ["99", "", "100001 OR 1=1", "1' OR '1'='1", "\u0661\u0660", "100001.5", "9" * 40, "-1"])
def test_an_unknown_client_is_one_clear_error(clients, key: str) -> None:
    with pytest.raises(DataError, match=r"no such client in .*; give a number that is there"):
        clients.case(key)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=12))
def test_any_text_is_answered(clients, text: str) -> None:
    """What an officer types goes into a query: never a traceback, and never somebody else."""
    found = clients.numbers(text)
    assert all(number.startswith(text.strip()) for number in found)
    try:
        application, _history = clients.case(text)
    except CreditError:
        return
    assert str(application[BOOK.key]) == str(int(text))


def test_threads_may_ask_at_once(source) -> None:
    """The app answers several officers from one object, the first question among them."""
    keys = [str(100_001 + at % CLIENTS) for at in range(48)]
    alone = Clients(BOOK, source)
    expected = [alone.case(key) for key in keys[:12]]
    shared = Clients(BOOK, source)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shared.case, keys))
    assert repr(found[:12]) == repr(expected)
    assert [str(application[BOOK.key]) for application, _history in found] == keys


def test_nothing_is_opened_before_the_first_question(tmp_path: Path) -> None:
    waiting = Clients(shop(), tmp_path / "later")
    with pytest.raises(DataError, match="nothing is there"):
        waiting.numbers()
    (tmp_path / "later").mkdir()
    sales(50).to_csv(tmp_path / "later" / "sales.csv", index=False)
    assert len(waiting.numbers()) == 20


def test_clients_with_an_outcome_come_first_and_the_others_where_there_are_none(tmp_path: Path) -> None:
    open_sales(40).assign(client=range(40)).to_csv(tmp_path / "open_sales.csv", index=False)
    assert Clients(shop(), tmp_path).numbers(limit=1) == ["0"]
    sales(50).to_csv(tmp_path / "sales.csv", index=False)
    assert Clients(shop(), tmp_path).numbers(limit=1) == ["1000"]


def test_a_number_used_twice_is_refused(tmp_path: Path) -> None:
    frame = sales(50)
    frame.loc[3, "client"] = frame.loc[4, "client"]
    frame.to_parquet(tmp_path / "sales.parquet")
    with pytest.raises(DataError, match="2 applications have this number; keep one of them"):
        Clients(shop(), tmp_path).case(str(frame.loc[3, "client"]))


@pytest.mark.parametrize("keys", [["007", "A7", "b'c"], ["10.0", "11.0", "12"]])
def test_keys_are_told_and_found_as_the_contract_writes_them(tmp_path: Path, keys: list[str]) -> None:
    small = book(tmp_path, id='type = "category", role = "key", missing = false')
    frame = rows(120).head(3).astype({"id": object})
    frame["id"] = keys
    frame.to_csv(tmp_path / "applications.csv", index=False)
    clients = Clients(small, tmp_path / "applications.csv")
    assert clients.numbers() == [key.removesuffix(".0") for key in keys]
    for key in clients.numbers():
        application, history = clients.case(key)
        assert str(application["id"]).removesuffix(".0") == key
        assert history == {}


def test_a_source_that_goes_away_is_told(tmp_path: Path) -> None:
    sales(50).to_parquet(tmp_path / "sales.parquet")
    clients = Clients(shop(), tmp_path)
    assert clients.numbers("1000") == ["1000"]
    (tmp_path / "sales.parquet").unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        clients.case("1000")
