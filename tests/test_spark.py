"""The same features on Spark as on DuckDB, to 1e-9: one definition, two engines; and the contract holds on both.

Sums are of integers, so only a formula's last bits may differ.  Needs PySpark and Java; CREDIT_REQUIRE_SPARK=1 makes
what is else skipped a failure.
"""

import json
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from learning import sales, shop
from lending import drawn, lender
from summaries import few
from test_history import features as summaries

from credit import features
from credit.data import contract, synthetic
from credit.errors import ConfigError, ContractError, DataError, ServiceError
from credit.features import scale
from credit.features.dictionary import derive
from credit.features.engine import DuckDB
from credit.portfolio import Portfolio, load

CLIENTS = 1_600
#: A machine that lives for minutes gains nothing from its second compiler; the first stops where its cache is full.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """One session for the module, on one core."""
    missing = [what for what, there in (("PySpark", find_spec("pyspark")), ("Java", shutil.which("java"))) if not there]
    if missing:
        reason = f"no {' and no '.join(missing)}: pip install 'credit[spark]', apt-get install default-jre-headless"
        (pytest.fail if os.environ.get("CREDIT_REQUIRE_SPARK") == "1" else pytest.skip)(reason)
    from credit.features.spark import DECIDED, LOCAL, started

    with pytest.MonkeyPatch.context() as patch:
        for name in DECIDED:
            patch.delenv(name, raising=False)
        patch.setitem(LOCAL, "spark.master", "local[1]")
        patch.setitem(LOCAL, "spark.sql.shuffle.partitions", "1")
        patch.setitem(LOCAL, "spark.sql.adaptive.enabled", "false")  # there is nothing to adapt to
        patch.setitem(LOCAL, "spark.driver.extraJavaOptions", QUICK)
        with started() as engine:
            yield engine


@pytest.fixture(scope="module")
def book() -> Portfolio:
    return lender()


@pytest.fixture
def data(tmp_path) -> Path:
    """A lender's three tables, a file each."""
    folder = tmp_path / "data"
    folder.mkdir()
    loans, months = drawn()
    sales(300).to_parquet(folder / "sales.parquet", index=False)
    loans.to_parquet(folder / "loans.parquet", index=False)
    months.drop_duplicates(["loan", "month"]).to_parquet(folder / "months.parquet", index=False)
    return folder


def parted(data: Path) -> Path:
    """Make the loans a folder of files, as Spark and others write them; the other tables stay."""
    target = data.with_name("parted")
    shutil.copytree(data, target)
    loans = pd.read_parquet(target / "loans.parquet")
    (target / "loans.parquet").unlink()
    (target / "loans.parquet").mkdir()
    for part, start in enumerate(range(0, len(loans), 1500)):
        loans[start : start + 1500].to_parquet(target / "loans.parquet" / f"part-{part}.parquet", index=False)
    return target


@pytest.fixture
def _summaries(monkeypatch) -> None:
    """Let the shop's features be every combinator over every window, and a ratio to the request."""
    ratio = derive("late_paid", ibis._.loan_total / ibis._.amount.nullif(0), "Paid", "Payé", "money", table="loan")
    monkeypatch.setattr("credit.features.dictionary._derived", lambda _book: (*summaries(), ratio))


def largest_difference(one: Path, other: Path) -> float:
    """Compare two feature sets cell by cell; give the largest relative difference of a number."""
    pd.testing.assert_frame_equal(*(features.load(out / "audit.parquet") for out in (one, other)), check_exact=True)
    left, right = (features.load(out / "features.parquet") for out in (one, other))
    pd.testing.assert_frame_equal(left, right, check_exact=False, rtol=1e-9, atol=0)  # names, types, NULLs too
    numbers = left.select_dtypes("number")
    scale_ = numbers.abs().clip(lower=np.finfo(float).tiny)
    return float(((numbers - right[numbers.columns]).abs() / scale_).max().max())


# The same numbers


def test_every_feature_of_the_seven_tables_is_the_same(spark, tmp_path):
    home_credit = load("home_credit")
    synthetic.write(tmp_path / "data", CLIENTS, 3)
    here = scale.make(home_credit, tmp_path / "data", tmp_path / "duckdb", DuckDB())
    there = scale.make(home_credit, tmp_path / "data", tmp_path / "spark", spark)
    assert there.features == here.features
    assert set(there.tables) == set(home_credit.tables)
    assert there.rows == CLIENTS
    assert largest_difference(tmp_path / "duckdb", tmp_path / "spark") < 1e-9


@pytest.mark.usefixtures("_summaries")
def test_every_combinator_and_window_is_the_same(spark, book, data, tmp_path):
    scale.make(book, data, tmp_path / "duckdb", DuckDB())
    made = scale.make(book, parted(data), tmp_path / "spark", spark)
    assert made.tables == ("sale", "loan", "month")
    assert largest_difference(tmp_path / "duckdb", tmp_path / "spark") < 1e-9


def test_tables_that_are_not_given_are_left_out(spark, book, data, tmp_path):
    (data / "loans.parquet").unlink()
    made = scale.make(book, data, tmp_path / "out", spark)
    assert made.tables == ("sale",)  # nor the months, whose loans are not there


def test_values_mean_the_same_however_they_are_stored(spark, tmp_path):
    """Text, whole and broken floats, NaN: Spark writes, matches and tests them in ways of its own."""
    data = tmp_path / "data"
    data.mkdir()
    frame = sales(300).assign(client=lambda rows: 10_000_000.0 + rows["client"], town="5.00", kind="card")
    frame.loc[:99, "town"] = "12345678.0"
    frame["months"] = frame["months"].astype("string")
    frame.to_parquet(data / "sales.parquet", index=False)
    for engine, name in ((DuckDB(), "duckdb"), (spark, "spark")):
        scale.make(shop(), data, tmp_path / name, engine)
    assert largest_difference(tmp_path / "duckdb", tmp_path / "spark") == 0
    found = pd.read_parquet(tmp_path / "spark" / "features.parquet")
    assert set(found["town"]) == {"5", "12345678"}
    assert found["client"].min() > 10_000_000


# Once per content


def test_the_same_rows_are_not_built_again_whatever_their_order_and_files(spark, book, data, tmp_path, monkeypatch):
    monkeypatch.setattr("credit.features.dictionary._derived", few)
    first = scale.make(book, data, tmp_path / "out", spark)
    months = pd.read_parquet(data / "months.parquet")
    months.sample(frac=1, random_state=1).to_parquet(data / "months.parquet", index=False)
    written = (tmp_path / "out" / "features.parquet" / "_SUCCESS").stat().st_mtime_ns
    assert scale.make(book, data, tmp_path / "out", spark) == scale.Made(**first.to_dict() | {"unchanged": True})
    assert (tmp_path / "out" / "features.parquet" / "_SUCCESS").stat().st_mtime_ns == written
    months.loc[0, "late"] += 1
    months.to_parquet(data / "months.parquet", index=False)
    changed = scale.make(book, data, tmp_path / "out", spark)
    assert not changed.unchanged
    assert changed.digest != first.digest


def test_a_value_that_moves_to_another_column_is_another_content(spark, tmp_path):
    """A hash that passes over missing values would take both for the same."""
    prints = []
    for swapped in (False, True):
        frame = sales(50).assign(score=0.5, months=np.nan)
        if swapped:
            frame = frame.assign(score=np.nan, months=0.5)
        frame.to_parquet(tmp_path / "sales.parquet", index=False)
        prints.append(spark.fingerprint(shop(), tmp_path, labelled=True, names=["sale"]))
    assert prints[0] != prints[1]


def test_a_set_without_its_manifest_is_no_set(spark, tmp_path):
    """As a killed build leaves it: files of features, or halves of them, and nothing that says they are whole."""
    sales(300).to_parquet(tmp_path / "sales.parquet", index=False)
    out = tmp_path / "out"
    made = scale.make(shop(), tmp_path, out, spark)
    assert json.loads(spark.read_text(f"{out}/features.json"))["digest"] == made.digest
    spark.clear(f"{out}/features.json")
    assert spark.read_text(f"{out}/features.json") is None
    for part in (out / "features.parquet").glob("part-*"):
        part.write_bytes(part.read_bytes()[:100])
    assert scale.make(shop(), tmp_path, out, spark) == made
    assert len(pd.read_parquet(out / "features.parquet")) == 300


# The contract


def findings(engine: Any, book: Portfolio, data: Path) -> pd.DataFrame:
    names = engine.present(book, data, labelled=True)
    try:
        return contract.check(book, engine.open_tables(book, data, labelled=True, names=names)).report.frame()
    except ContractError as error:
        return pd.DataFrame([vars(violation) for violation in error.violations])


def test_the_contract_finds_the_same_on_both(spark, book, data):
    """Rows are named by the same numbers, counted through the files of a folder; every kind of rule is broken."""
    broken = sales(300)
    broken.loc[4, "amount"] = -1.0
    broken.loc[5, "kind"] = "cheque"
    broken.loc[7, "client"] = broken.loc[6, "client"]
    broken.loc[8, "phone"] = 3.0
    broken.loc[9, "score"] = np.inf
    broken.to_parquet(data / "sales.parquet", index=False)
    loans = pd.read_parquet(data / "loans.parquet")
    loans.loc[[10, 3000], "days"] = 3.0  # after the sale, in the first file and in the last
    loans.to_parquet(data / "loans.parquet", index=False)
    months = pd.read_parquet(data / "months.parquet")
    pd.concat([months, *[months[:3]] * 6]).to_parquet(data / "months.parquet", index=False)  # duplicated keys
    here, there = findings(DuckDB(), book, data), findings(spark, book, parted(data))
    assert {"duplicated key", "dated after the application", "unknown level"} <= set(here["rule"])
    there["values"] = [tuple("inf" if word == "Infinity" else word for word in words) for words in there["values"]]
    pd.testing.assert_frame_equal(there, here)


def test_features_are_not_built_of_rows_that_break_the_contract(spark, tmp_path):
    sales(300).assign(amount=-1.0).to_parquet(tmp_path / "sales.parquet", index=False)
    with pytest.raises(ContractError, match=r"sale\.amount: out of range"):
        scale.make(shop(), tmp_path, tmp_path / "out", spark)
    assert not (tmp_path / "out").exists()


# What cannot be done


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("{folder}/nothing", DataError, "Spark finds no .*nothing/sales.parquet"),
        ("s3a://bucket/book", ServiceError, "S3AFileSystem not found"),
        ("nowhere://host/book", ServiceError, "No FileSystem for scheme"),
        ("{folder}", DataError, "Spark fails"),
    ],
    ids=["nothing there", "no driver", "no such scheme", "no Parquet"],
)
def test_what_spark_cannot_read_is_one_clear_error(spark, tmp_path, source, kind, message):
    (tmp_path / "sales.parquet").write_text("client,unpaid")
    with pytest.raises(kind, match=message) as caught:
        scale.make(shop(), source.format(folder=tmp_path), tmp_path / "out", spark)
    assert "\n" not in str(caught.value)


def test_an_output_that_spark_cannot_write_is_said_before_the_work(spark, tmp_path):
    sales(300).to_parquet(tmp_path / "sales.parquet", index=False)
    with pytest.raises(ServiceError, match=r"nowhere://host/out/.*No FileSystem"):
        scale.make(shop(), tmp_path, "nowhere://host/out", spark)


def test_a_session_that_exists_is_used_and_left_running(spark):
    from credit.features.spark import started

    with started() as engine:
        assert engine.session is spark.session
    assert spark.session.range(3).count() == 3
    with pytest.raises(ConfigError, match="set up by who started its session"), started(10**9):
        pass
