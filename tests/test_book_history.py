"""Applications and their history: in one folder, in two sources, or none at all; on disk as in memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ibis import _, memtable
from learning import learn, sales
from lending import drawn, lender

from credit import features
from credit.data import contract
from credit.data.clients import Clients
from credit.data.files import ROW
from credit.errors import DataError
from credit.features.aggregates import most, total
from credit.features.dictionary import over
from credit.scoring import book as books
from credit.scoring import plan as plans
from credit.scoring import shards
from credit.scoring.decider import Decider, Identity
from credit.scoring.export import export
from credit.scoring.reference import Reference

CLIENTS = 400
LOANS, MONTHS = drawn(CLIENTS, 1500)
MONTHS = MONTHS.drop_duplicates(["loan", "month"])
PAST = (
    *over("paid", total(_.paid), "Paid", "Payé", "money", table="loan", windows=(0, 12)),
    *over("worst", most(_.late), "Worst", "Pire", "money", table="month"),
)


def applications() -> pd.DataFrame:
    """Clients whose outcome depends on their history, so that a model reads it."""
    frame = sales(CLIENTS).assign(client=np.arange(CLIENTS))
    paid = LOANS.groupby("client")["paid"].sum().reindex(frame["client"]).fillna(0)
    return frame.assign(unpaid=((paid > paid.median()) ^ (frame["amount"] > 600)).astype(int).to_numpy())


@pytest.fixture(scope="module")
def decider() -> Decider:
    book = lender()
    raw = {"sale": applications(), "loan": LOANS, "month": MONTHS}
    numbered = {name: memtable(frame.assign(**{ROW: np.arange(1, len(frame) + 1)})) for name, frame in raw.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("credit.features.dictionary._derived", lambda _book: PAST)
        wanted = features.definitions(book)
        frame = features.express(book, contract.check(book, numbered).tables, wanted).to_pandas()
        scorer = export(learn("native", frame, book, wanted), book, wanted, 0.4, frame)
        return Decider(scorer, book, Reference.make(scorer, wanted, frame, True), Identity("lender", 1, "cd" * 32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All tables, CSV and Parquet mixed; the applications of some clients in a file beside."""
    place = tmp_path_factory.mktemp("lender")
    applications().to_csv(place / "sales.csv", index=False)
    LOANS.to_parquet(place / "loans.parquet")
    MONTHS.to_csv(place / "months.csv", index=False)
    applications().drop(columns="unpaid")[50:90].to_parquet(place / "some.parquet")
    return place


@pytest.fixture(scope="module")
def whole(decider, folder) -> pd.DataFrame:
    out = folder / "out" / "whole.parquet"
    books.score(decider, folder, out, labelled=True)
    return pd.read_parquet(out).set_index("client")


def test_the_model_reads_history(decider, whole) -> None:
    """Else the tests below would pass whatever became of it."""
    splits = decider.scorer.booster.feature_importance()
    past = {feature.name for feature in PAST}
    assert sum(splits[at] for at, item in enumerate(decider.scorer.inputs) if item.name in past) > 0


def test_history_from_elsewhere_decides_as_history_beside(decider, folder, whole) -> None:
    """An upload with the book's own history must not depend on where that lies."""
    scored = books.score(decider, folder / "some.parquet", folder / "out" / "some.parquet", history=folder)
    made = pd.read_parquet(scored.out).set_index("client")
    assert sorted(made.index) == list(range(50, 90))
    pd.testing.assert_frame_equal(made, whole.loc[made.index], check_exact=True)


def test_no_history_decides_as_an_applicant_without_any(decider, folder, whole) -> None:
    scored = books.score(decider, folder / "some.parquet", folder / "out" / "none.csv", history=books.NO_HISTORY)
    made = pd.read_csv(scored.out, float_precision="round_trip").set_index("client")
    rows = applications().set_index("client", drop=False).drop(columns=["unpaid", "branch"])
    for key in range(50, 90, 9):
        alone = decider.decide(rows.loc[key].to_dict())
        assert made.loc[key, "probability_of_default"] == alone.probability
    assert (made["probability_of_default"] != whole.loc[made.index, "probability_of_default"]).any()


def test_a_lone_file_is_refused_with_every_way_out(decider, folder) -> None:
    with pytest.raises(DataError, match=r"also reads loan, month; give the folder .*--history SOURCE.*--no-history"):
        books.score(decider, folder / "some.parquet", folder / "out" / "refused.csv")


def test_a_source_without_a_table_that_is_read_is_refused(decider, folder, tmp_path) -> None:
    applications().to_csv(tmp_path / "sales.csv", index=False)
    LOANS.to_parquet(tmp_path / "loans.parquet")
    with pytest.raises(DataError, match="has no table month, which the model reads"):
        books.score(decider, folder / "some.parquet", folder / "out" / "refused.csv", history=tmp_path)


@pytest.mark.parametrize("history", [None, books.NO_HISTORY])
def test_a_book_prepared_on_disk_is_decided_as_one_in_memory(decider, folder, tmp_path, history) -> None:
    source = folder if history is None else folder / "some.parquet"
    options = {"history": history, "labelled": history is None}
    books.score(decider, source, tmp_path / "memory.parquet", **options)
    made = books.prepare(decider, source, tmp_path / "features", **options)
    plan = plans.divide(decider, made.features, tmp_path / "parts", reasons=True)
    for shard in plan.shards:
        shards.score(plan, shard, decider, reasons=True)
    shards.join(plan, tmp_path)
    disk = pd.read_parquet(tmp_path / shards.DECISIONS).sort_values("client", ignore_index=True)
    pd.testing.assert_frame_equal(disk, pd.read_parquet(tmp_path / "memory.parquet")[disk.columns], check_exact=True)


def test_features_are_made_once_for_the_same_rows(decider, folder, tmp_path) -> None:
    """A run after a killed one must not pay for them again, and never take those of other rows."""
    source = tmp_path / "rows"
    source.mkdir()
    for name in ("sales.csv", "loans.parquet", "months.csv"):
        (source / name).write_bytes((folder / name).read_bytes())
    first = books.prepare(decider, source, tmp_path / "made", labelled=True)
    before = Path(first.features).stat().st_mtime_ns
    assert books.prepare(decider, source, tmp_path / "made", labelled=True) == first
    assert Path(first.features).stat().st_mtime_ns == before
    raw = applications().astype({"amount": object})
    raw.loc[0, "amount"] = "much"
    raw.to_csv(source / "sales.csv", index=False)
    second = books.prepare(decider, source, tmp_path / "made", labelled=True)
    assert second.fingerprint != first.fingerprint
    assert (first.rejected, second.rejected) == (0, 1)
    assert len(pd.read_parquet(second.rejects)) == 1
    assert len(pd.read_parquet(second.features)) == CLIENTS - 1


def test_the_history_of_many_is_that_of_each(folder) -> None:
    clients = Clients(lender(), folder)
    wanted = [3, 77, 200, 999]
    found = clients.history(wanted)
    for name in ("loan", "month"):
        one_by_one = [row for key in wanted[:3] for row in clients.case(str(key))[1][name]]
        many = found[name].to_pandas().drop(columns=ROW)
        assert len(many) == len(one_by_one) > 0
        key = list(many.columns)
        expected = pd.DataFrame(one_by_one)[key].astype(str).sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(many.astype(str).sort_values(key, ignore_index=True), expected)
