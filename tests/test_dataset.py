"""From raw rows to folds on disk: nothing lost, nothing twice, addressed by content, and honest about its source."""

import dataclasses
import json
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from learning import HEAD, sales, shop

from credit.data import tables
from credit.errors import ConfigError, ContractError
from credit.portfolio import Split, load
from credit.training import dataset
from credit.training.dataset import embedded, prepare
from credit.training.split import FOLDS, assign


def source(folder: Path, frame: pd.DataFrame) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "sales.parquet", index=False)
    return folder


@pytest.fixture
def prepared(tmp_path):
    return prepare(shop(), source(tmp_path / "data", sales(400)), tmp_path / "workspace")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# The folds


def test_folds_are_disjoint_and_together_everything(prepared):
    """A client in two folds is tested on what was learned; a client in none is lost without a word."""
    parts = {fold: set(prepared.load(fold)["client"]) for fold in FOLDS}
    for one, other in combinations(FOLDS, 2):
        assert not parts[one] & parts[other]
    assert set().union(*parts.values()) == set(sales(400)["client"])
    assert prepared.rows == 400 == sum(map(len, parts.values()))


def test_each_client_is_in_the_fold_of_its_hash(prepared):
    for fold in FOLDS:
        assert set(assign(prepared.load(fold)["client"], shop().split)) == {fold}


def test_sizes_are_counted(prepared):
    raw = sales(400)
    where = assign(raw["client"], shop().split)
    for fold in FOLDS:
        held = raw[where == fold]
        assert prepared.sizes[fold] == {"rows": len(held), "defaults": int(held["unpaid"].sum())}


def test_values_arrive_as_they_were(prepared):
    """Against the raw rows, client by client: no join, sort or cast on the way may change one."""
    raw = sales(400).set_index("client").sort_index()
    loaded = pd.concat([prepared.load(fold) for fold in FOLDS]).set_index("client").sort_index()
    for name in ("kind", "town", "amount", "score", "months", "phone", "unpaid"):
        pd.testing.assert_series_equal(loaded[name], raw[name], check_dtype=False)


def test_a_fold_holds_key_target_and_features_only(prepared):
    """Protected groups lie in a file of their own, which no model is given; excluded columns lie nowhere."""
    for fold in FOLDS:
        assert set(prepared.load(fold)) == {"client", "unpaid", "kind", "town", "amount", "score", "months", "phone"}
    assert not {"sex", "branch", "seniority"} & set(prepared.load("train"))
    assert list(pd.read_parquet(prepared.audit)) == ["client", "sex", "seniority"]


def test_groups_follow_the_clients_asked_for(prepared):
    """Rates by group are wrong as soon as one row slips: in any order of keys, each gets its own groups."""
    raw = sales(400).set_index("client")
    keys = prepared.load("test")["client"].sample(frac=1, random_state=1)
    groups = prepared.groups(keys, shop().groups)
    months = raw.loc[keys, "months"]
    bands = ["" if pd.isna(m) else "under 12" if m < 12 else "12-60" if m < 60 else "60+" for m in months]
    assert groups["sex"].tolist() == raw.loc[keys, "sex"].tolist()
    assert groups["seniority"].fillna("").tolist() == bands


def test_the_contract_is_kept(tmp_path):
    """Sentinels arrive as missing, and are counted among the findings; an error stops everything before a file."""
    frame = sales(400)
    frame.loc[[3, 5], "months"] = 999
    found = prepare(shop(), source(tmp_path / "data", frame), tmp_path / "workspace")
    loaded = pd.concat([found.load(fold) for fold in FOLDS])
    assert loaded["months"].max() < 999
    (finding,) = [each for each in found.findings if each["column"] == "months"]
    assert (finding["rule"], finding["count"], finding["severity"]) == ("sentinel", 2, "null")
    with pytest.raises(ContractError, match="amount"):
        prepare(shop(), source(tmp_path / "bad", sales(400).assign(amount=-1.0)), tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_a_column_the_book_does_not_list_stays_out(tmp_path):
    """The target under another name is the classical leak: what the contract does not list does not get in."""
    frame = sales(400).assign(outcome=lambda rows: rows["unpaid"])
    found = prepare(shop(), source(tmp_path / "data", frame), tmp_path / "workspace")
    assert "outcome" not in found.load("train").columns
    assert [each["rule"] for each in found.findings if each["column"] == "outcome"] == ["unknown column"]


# Addressed by content


def test_the_same_content_has_the_same_address(tmp_path):
    """A second run must not build again, wherever the file lies and whatever it is called."""
    one = prepare(shop(), source(tmp_path / "data", sales(400)), tmp_path / "workspace")
    before = {name: (tmp_path / "workspace" / name).stat().st_mtime_ns for name in files(tmp_path / "workspace")}
    two = prepare(shop(), source(tmp_path / "copy", sales(400)) / "sales.parquet", tmp_path / "workspace")
    assert (one.digest, one.fingerprint, one.folds, one.audit) == (two.digest, two.fingerprint, two.folds, two.audit)
    assert files(tmp_path / "workspace") == set(before)
    for path in (one.audit, str(Path(one.folds["train"]).parents[1] / "features.parquet")):
        assert Path(path).stat().st_mtime_ns == before[str(Path(path).relative_to(tmp_path / "workspace"))]


def changed_cell(frame):
    return frame.assign(amount=frame["amount"].where(frame.index != 7, 1.0))


def test_a_changed_cell_has_another_address(tmp_path):
    one = prepare(shop(), source(tmp_path / "data", sales(400)), tmp_path / "workspace")
    two = prepare(shop(), source(tmp_path / "data", changed_cell(sales(400))), tmp_path / "workspace")
    assert one.digest != two.digest
    assert one.fingerprint != two.fingerprint
    assert not set(one.folds.values()) & set(two.folds.values())
    assert one.load("train").shape == two.load("train").shape  # the first one's files are still there


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("min = 0, max = 1, monotone", "min = 0, max = 2, monotone"),
        ("sentinels = [999]", "sentinels = [998]"),
        ('column = "months"\nedges = [12, 60]', 'column = "months"\nedges = [12, 61]'),
    ],
)
def test_another_contract_has_another_address(tmp_path, old, new):
    """Other sentinels or bands make other values of the same raw rows: the old files must not be taken for them."""
    assert old in HEAD
    data = source(tmp_path / "data", sales(400))
    one, two = (prepare(shop(head), data, tmp_path / "workspace") for head in (HEAD, HEAD.replace(old, new)))
    assert one.fingerprint == two.fingerprint
    assert one.digest != two.digest


def test_another_split_has_other_files(tmp_path):
    """Also where salts differ in signs that no file name can hold, or shares beyond the sixth digit."""
    data = source(tmp_path / "data", sales(400))
    splits = [Split(), Split("a/b"), Split("a_b"), Split(".."), Split("s" * 300), Split(train=0.6 + 1e-9)]
    found = [prepare(dataclasses.replace(shop(), split=split), data, tmp_path / "workspace") for split in splits]
    assert len({each.folds["train"] for each in found}) == len(splits)
    assert len({each.digest for each in found}) == 1
    for each, split in zip(found, splits, strict=True):
        assert set(assign(each.load("validation")["client"], split)) == {"validation"}
        assert Path(each.folds["train"]).resolve().is_relative_to(tmp_path / "workspace" / "features")


@pytest.mark.parametrize("dying", ["audit.parquet", "features.parquet", "validation.parquet"])
def test_a_write_that_dies_leaves_nothing(tmp_path, monkeypatch, dying):
    """A half file under a final name would be read by every later run of the same data."""
    import ibis.expr.types as ir

    def die(write):
        def half(self, path, *args, **options):
            write(self, path, *args, **options)
            if dying in Path(path).name:
                Path(path).write_bytes(Path(path).read_bytes()[:100])
                raise OSError(28, "No space left on device")

        return half

    data = source(tmp_path / "data", sales(400))
    whole = prepare(shop(), data, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", die(pd.DataFrame.to_parquet))
        patch.setattr(ir.Table, "to_parquet", die(ir.Table.to_parquet))
        with pytest.raises(OSError, match="No space left"):
            prepare(shop(), data, tmp_path / "workspace")
    left = files(tmp_path / "workspace")
    assert not any(dying in name for name in left)
    assert left < files(tmp_path / "whole")
    again = prepare(shop(), data, tmp_path / "workspace")
    assert files(tmp_path / "workspace") == files(tmp_path / "whole")
    for fold in FOLDS:
        pd.testing.assert_frame_equal(again.load(fold), whole.load(fold))


# What it says of itself


def test_synthetic_is_what_carries_the_marker(tmp_path):
    """Results on made-up rows must say so, and real ones must not: by the marker beside the file, not by a name."""
    for place, marker in (("synthetic", False), ("real", True)):
        data = source(tmp_path / place, sales(400))
        if marker:
            (data / "SYNTHETIC.txt").write_text("made up")
        for given in (data, data / "sales.parquet", str(data)):
            assert prepare(shop(), given, tmp_path / "workspace").synthetic is marker


def test_the_embedded_book_is_synthetic_and_made_once(tmp_path):
    book = load("home_credit")
    folder = embedded(book, 300, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert embedded(book, 300, tmp_path) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert embedded(book, 301, tmp_path) != folder
    reseeded = dataclasses.replace(book, training=dataclasses.replace(book.training, seed=8))
    assert embedded(reseeded, 300, tmp_path) != folder
    assert (folder / "SYNTHETIC.txt").exists()


def test_no_data_and_no_synthetic_book_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"portfolio 'shop': no data given, and no synthetic book.*give --data"):
        embedded(shop(), 100, tmp_path)


def test_a_password_is_not_shown(tmp_path, monkeypatch):
    """The source goes to cards, tags and logs."""
    data = source(tmp_path / "data", sales(400))
    for name in ("present", "open_tables", "fingerprint"):
        real = getattr(tables, name)
        monkeypatch.setattr(dataset.tables, name, lambda book, _url, real=real, **given: real(book, data, **given))
    url = "postgresql+psycopg://officer:s3cr%40t@db.example:5432/credit"
    found = prepare(shop(), url, tmp_path / "workspace")
    assert found.source == "postgresql+psycopg://officer:***@db.example:5432/credit"
    assert "s3cr" not in json.dumps(found.to_dict())
    assert found.synthetic is False


def test_plain_values_survive_json(prepared):
    """The record of a run is kept as JSON."""
    again = json.loads(json.dumps(prepared.to_dict(), allow_nan=False))
    assert dataset.Dataset(**again).sizes == prepared.sizes
    assert again["source"].endswith("data")
