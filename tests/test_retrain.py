"""Training anew: on the training book and what has matured since, by the flow's own steps."""

from datetime import UTC, datetime
from pathlib import Path

import lending
import pandas as pd
import pytest
from learning import sales
from ledger_util import APPLICATION, HISTORY, decided
from serving_util import book, champion, data

from credit.errors import ConfigError, DataError
from credit.governance.ledger import Ledger
from credit.governance.outcomes import import_outcomes
from credit.governance.registry import Registry
from credit.governance.retention import erase
from credit.governance.submission import open_bundle
from credit.home import Home
from credit.monitoring.retrain import extended, matured, train
from credit.monitoring.world import of_clients
from credit.training.dataset import prepare
from credit.training.split import assign

TODAY = datetime.now(UTC).date().isoformat()
PICKED = """
[training]
candidates = ["picked", "native", "imputed", "weighted", "monotone"]

[candidates.picked]
en = "few features"
features = "selected"
trees = 24
search_trees = 9
search_rate = 0.2
grid = { num_leaves = [3, 5, 7] }

[candidates.picked.parameters]
min_data_in_leaf = 20
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def known(ledger: Ledger, folder: Path, outcomes: dict[int, int]) -> None:
    rows = [{"decision": number, "outcome": outcome, "observed": TODAY} for number, outcome in outcomes.items()]
    file = folder / "outcomes.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    assert import_outcomes(ledger, file).rejected == 0


# What has matured


def test_the_newest_known_outcome_of_each_client_counts(ledger: Ledger, tmp_path: Path) -> None:
    first, second, third, again, open_ = decided(ledger, "1", "2", "3", "1", "1")
    nobody = decided(ledger, "")[0]
    known(ledger, tmp_path, {first: 0, second: 1, third: 0, again: 1, nobody: 1})
    erase(ledger, "3", "asked for it", portfolio="shop")
    found = matured(ledger, book(), ["loans"])
    assert list(found) == ["sale", "loans"]
    rows = found["sale"].sort_values("client", ignore_index=True)
    expected = pd.DataFrame([APPLICATION | {"client": key, "unpaid": 1} for key in ("1", "2")])
    pd.testing.assert_frame_equal(rows, expected, check_like=True)
    assert found["loans"].to_dict("records") == HISTORY["loans"] * 2
    assert open_ > again  # a decision nobody knows the outcome of does not hide an older one


def test_nothing_has_matured(ledger: Ledger) -> None:
    decided(ledger, "1")
    assert matured(ledger, book(), [])["sale"].empty


def test_other_books_are_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    known(ledger, tmp_path, {decided(ledger, "1", portfolio="another")[0]: 1})
    assert matured(ledger, book(), [])["sale"].empty


# The longer book


def test_rows_are_put_together_and_none_is_changed() -> None:
    """In the order of time: what has matured comes the newest first, and goes last."""
    rows = sales(60)
    old, new = {"sale": rows[:40]}, {"sale": rows[:39:-1]}
    pd.testing.assert_frame_equal(extended(book(), old, new)["sale"], rows)


@pytest.mark.parametrize("most", [10, 20, 50, 60, 100])
def test_the_oldest_clients_are_forgotten_with_their_history(most: int) -> None:
    lender = lending.lender()
    loans, months = lending.drawn(clients=60, loans=200)
    rows = sales(60).assign(client=range(60))
    tables = {"sale": rows, "loan": loans, "month": months}
    old = {name: of_clients(lender, tables, rows["client"][:40])[name] for name in tables}
    new = {name: of_clients(lender, tables, rows["client"][40:])[name][::-1] for name in tables}
    found = extended(lender, old, new, most=most)
    kept = set(range(max(60 - most, 0), 60))
    assert found["sale"]["client"].tolist() == sorted(kept)
    assert set(found["loan"]["loan"]) == set(loans["loan"][loans["client"].isin(kept)])
    theirs = months["loan"].isin(found["loan"]["loan"])
    assert len(found["month"]) == theirs.sum()


def test_without_new_rows_the_book_stays() -> None:
    pd.testing.assert_frame_equal(extended(book(), {"sale": sales(40)}, {"sale": pd.DataFrame()})["sale"], sales(40))


def test_a_client_in_both_is_refused() -> None:
    rows = sales(60)
    twice = rows[:1].assign(client=rows["client"][:1].astype(str))
    with pytest.raises(DataError, match=rf"client {rows['client'][0]}: is in the training book too \(1 such\)"):
        extended(book(), {"sale": rows}, {"sale": twice})


def test_clients_stay_in_their_folds(tmp_path: Path) -> None:
    """Yesterday's champion was never trained on whom today's test holds, wherever the rows came from."""
    rows = sales(900)
    lender = book()
    folds = {}
    for name, tables in {
        "old": {"sale": rows[:600]},
        "new": extended(lender, {"sale": rows[:600]}, {"sale": rows[600:]}),
    }.items():
        (tmp_path / name).mkdir()
        tables["sale"].to_csv(tmp_path / name / "sales.csv", index=False)
        dataset = prepare(lender, tmp_path / name, tmp_path / "work")
        folds[name] = {key: fold for fold in dataset.folds for key in dataset.load(fold)["client"]}
    assert len(folds["new"]) == 900
    assert folds["old"].items() <= folds["new"].items()
    assert folds["new"] == dict(zip(rows["client"], assign(rows["client"], lender.split), strict=True))


# The training


def test_it_makes_the_model_that_the_same_steps_make(tmp_path: Path) -> None:
    """Bit for bit the champion that other tests make step by step; made again, the gate finds it the same."""
    home = Home(tmp_path / "home")
    version = champion(home)
    other = Home(tmp_path / "other")
    done = train(book(), data(home), other, "Retrain/1", only=("native", "prior"), threads=1)
    assert done.verdict.outcome == "first"
    assert done.version.is_champion
    assert done.version.digest == version.digest
    assert done.version.tags["metaflow_run"] == "Retrain/1"
    again = train(book(), data(home), other, "Retrain/2", only=("native", "prior"), threads=1)
    assert (again.verdict.outcome, again.version.is_champion) == ("same", False)


def test_who_reads_selected_features_has_them_selected(tmp_path: Path) -> None:
    lender = book(PICKED)
    home = Home(tmp_path / "home")
    sales(900).to_csv(tmp_path / "sales.csv", index=False)
    done = train(lender, tmp_path / "sales.csv", home, "Retrain/1", only=("picked",), threads=1)
    scorer, _ = open_bundle(Registry("shop", home).load(done.version))
    assert {"amount", "score"} <= set(scorer.contract) < {"amount", "score", "kind", "town", "months", "phone"}


def test_an_unknown_candidate_is_refused_before_anything_is_registered(tmp_path: Path) -> None:
    sales(900).to_csv(tmp_path / "sales.csv", index=False)
    home = Home(tmp_path / "home")
    with pytest.raises(ConfigError, match="candidate 'natif': no such entry"):
        train(book(), tmp_path / "sales.csv", home, "Retrain/1", only=("natif",))
    assert not (home.root / "mlflow.db").exists()
