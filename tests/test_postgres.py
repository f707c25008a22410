"""A book in PostgreSQL gives the same tables as its files, and each fault one error; see `postgres_util`."""

from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy
from postgres_util import PASSWORD, USER, Server, free_port, server
from seven_util import BOOK, seven, write

from credit.data.contract import check
from credit.data.tables import fingerprint, open_tables, present
from credit.errors import DataError, ServiceError

__all__ = ["server"]  # the fixture


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return seven()


@pytest.fixture(scope="module")
def loaded(server: Server, frames: dict[str, pd.DataFrame]) -> str:
    """Load the seven tables with types of the database's own; return its URL."""
    engine = sqlalchemy.create_engine(server.url(), poolclass=sqlalchemy.NullPool)
    for name, frame in frames.items():
        frame.to_sql(BOOK.tables[name].files[0], engine, index=False)
    return server.url()


def test_seven_tables_are_the_same_from_postgresql_and_from_files(
    loaded: str, frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    assert present(BOOK, loaded) == tuple(BOOK.tables)
    base = check(BOOK, open_tables(BOOK, loaded))
    file = check(BOOK, open_tables(BOOK, write(frames, tmp_path)))
    assert base.report == file.report
    for name, table in file.tables.items():
        one, two = table.to_pyarrow(), base.tables[name].to_pyarrow()
        order = [(column, "ascending") for column in one.column_names]
        assert one.schema == two.schema
        assert one.num_rows == len(frames[name])
        assert one.sort_by(order).equals(two.sort_by(order)), name


def test_the_fingerprint_is_of_the_rows_not_of_their_order(loaded: str, server: Server) -> None:
    before = fingerprint(BOOK, loaded, names=["application", "bureau"])
    engine = sqlalchemy.create_engine(server.url(), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:  # an update moves a row to the end of PostgreSQL's file
        connection.exec_driver_sql('UPDATE bureau SET "CREDIT_TYPE" = "CREDIT_TYPE" WHERE "SK_ID_BUREAU" < 5000009')
        moved = connection.exec_driver_sql('SELECT "SK_ID_BUREAU" FROM bureau LIMIT 1').scalar()
    assert moved == 5_000_009
    assert fingerprint(BOOK, loaded, names=["application", "bureau"]) == before


def test_a_wrong_password(server: Server) -> None:
    with pytest.raises(
        ServiceError, match=rf"{USER}:\*\*\*@127.*: the database cannot be read \(.*password auth"
    ) as caught:
        open_tables(BOOK, server.url(password="w0rse"))
    assert "w0rse" not in str(caught.value)


def test_nobody_listens(server: Server) -> None:
    with pytest.raises(ServiceError, match=r"the database cannot be read \(.*refused.*check its address") as caught:
        open_tables(BOOK, server.url(port=free_port()))
    assert PASSWORD not in str(caught.value)


def test_no_such_database(server: Server) -> None:
    with pytest.raises(ServiceError, match=r'"nowhere" does not exist'):
        open_tables(BOOK, server.url(name="nowhere"))


def test_no_such_table(server: Server) -> None:
    with pytest.raises(DataError, match=r"no table application_train, nor application \(there are: none\)"):
        open_tables(BOOK, server.url(name="template1"))
