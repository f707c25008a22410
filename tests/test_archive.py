"""The archive of monitoring runs: what is kept is read back as it was, and no name leads out of it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit.errors import ConfigError, DataError
from credit.home import Home
from credit.monitoring import archive as module
from credit.monitoring.archive import Archive


@pytest.fixture
def archive(tmp_path):
    return Archive(Home(tmp_path / "home"), "shop")


def status(number=1, at="2026-11-01T00:00:00+00:00", **more):
    made = {"run": f"MonitoringFlow/{number}", "at": at, "portfolio": "shop", "status": "OK", "findings": []}
    return made | more


def test_an_empty_archive_is_empty_and_makes_no_folder(archive):
    assert (archive.runs(), archive.last(), archive.report("MonitoringFlow/1")) == ([], None, None)
    assert not archive.root.exists()


def test_what_is_kept_is_read_back(archive):
    """Python's own values as they are, NumPy's as Python's, NaN as null: JSON knows no NaN, and neither do browsers."""
    given_ = {"psi": np.float64(0.1), "rows": np.int64(3), "yes": np.True_, "gone": float("nan"), "title": "Prêt"}
    path = archive.keep(status(score=given_, past=[{"low": None}]))
    assert path == archive.folder("MonitoringFlow/1") / "status.json"
    told = archive.last()
    assert told["score"] == {"psi": 0.1, "rows": 3, "yes": True, "gone": None, "title": "Prêt"}
    assert told["format"] == 1
    assert told["past"] == [{"low": None}]


@given(st.lists(st.tuples(st.integers(1, 10**6), st.datetimes()), max_size=8, unique_by=lambda each: each[0]))
def test_runs_come_in_the_order_of_their_time(tmp_path_factory, drawn):
    archive = Archive(Home(tmp_path_factory.mktemp("runs")), "shop")
    for number, at in drawn:
        archive.keep(status(number, at.isoformat()))
    expected = [f"MonitoringFlow/{number}" for number, _ in sorted(drawn, key=lambda each: each[1].isoformat())]
    told = [each["run"] for each in archive.runs()]
    assert sorted(told) == sorted(expected)
    assert [each["at"] for each in archive.runs()] == sorted(at.isoformat() for _, at in drawn)
    assert [each["run"] for each in archive.runs(3)] == told[-3:]
    assert archive.runs(0) == []
    assert archive.last() == (archive.runs()[-1] if drawn else None)


def test_a_run_kept_again_replaces_itself(archive):
    archive.keep(status(status="WARN"))
    archive.keep(status(status="ALERT"))
    assert [each["status"] for each in archive.runs()] == ["ALERT"]


def test_portfolios_lie_apart(archive, tmp_path):
    archive.keep(status())
    assert Archive(Home(tmp_path / "home"), "other").runs() == []


def test_a_broken_write_leaves_the_earlier_status_and_no_litter(archive, monkeypatch):
    """A status is read while it is written, by the app: it is whole, or it is the one before."""
    path = archive.keep(status(status="WARN"))

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        archive.keep(status(status="ALERT"))
    assert archive.last()["status"] == "WARN"
    assert list(path.parent.iterdir()) == [path]


def test_a_run_at_work_is_not_there_yet(archive):
    folder = archive.folder("MonitoringFlow/2")
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>")
    archive.keep(status())
    assert [each["run"] for each in archive.runs()] == ["MonitoringFlow/1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ('{"run": "MonitoringFlow/1"', "is damaged"),
        ("\ufffe", "is damaged"),
        ("[]", "is no status"),
        ('{"run": "MonitoringFlow/1"}', "is no status"),
        (json.dumps(status() | {"format": 2}), "has format 2, this code reads 1"),
        (json.dumps(status()), "has format None"),
    ],
)
def test_a_damaged_status_is_named(archive, text, message):
    archive.keep(status(1))
    path = archive.keep(status(2))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as raised:
        archive.runs()
    assert str(path) in str(raised.value)


def test_bytes_that_are_no_text_are_damage(archive):
    path = archive.keep(status())
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is damaged"):
        archive.last()


@pytest.mark.parametrize(
    "run",
    [
        *("", "MonitoringFlow", "MonitoringFlow/", "/17", "../17", "MonitoringFlow/..", "a/b/c", "a/../../etc"),
        *("a-b/1", "MonitoringFlow/1\n", "MonitoringFlow/.hidden", "Flow/ü", "Flow/1 2", "Flow\\1/2"),
    ],
)
def test_no_name_leads_out_of_the_archive(archive, run):
    for work in (archive.folder, archive.report):
        with pytest.raises(ConfigError, match="FLOW/NUMBER"):
            work(run)


@given(st.text(max_size=12), st.text(max_size=12))
def test_two_runs_never_share_a_folder(one, two):
    archive, made = Archive(Home(module.Path("home")), "shop"), {}
    for run in (f"{one}/{two}", f"{two}/{one}", f"a{one}/1{two}", f"a{one}-/{two}"):
        try:
            folder = archive.folder(run)
        except ConfigError:
            continue
        assert folder.parent == archive.root
        assert made.setdefault(folder, run) == run


@pytest.mark.parametrize("name", ["run", "at", "portfolio", "status", "findings"])
def test_a_status_that_lacks_something_is_not_kept(archive, name):
    told = status()
    del told[name]
    with pytest.raises(DataError, match=name):
        archive.keep(told)
    assert archive.runs() == []


def test_another_portfolios_status_is_not_kept(archive):
    with pytest.raises(DataError, match="'other', not of 'shop'"):
        archive.keep(status(portfolio="other"))


def test_a_report_is_found_and_a_link_that_leads_elsewhere_is_not(archive, tmp_path):
    folder = archive.keep(status()).parent
    assert archive.report("MonitoringFlow/1") is None
    (folder / "report.html").write_text("<p>found</p>")
    assert archive.report("MonitoringFlow/1").read_text() == "<p>found</p>"
    secret = tmp_path / "secret.html"
    secret.write_text("secret")
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(secret)
    assert archive.report("MonitoringFlow/1") is None
