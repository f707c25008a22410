"""The registry on a real MLflow store: what it holds, who may be champion, what it refuses to load."""

import json
import logging
import shutil
from pathlib import Path

import filelock
import pandas as pd
import pytest
from mlflow import MlflowClient
from toy_registry import (
    PORTFOLIO,
    RULE,
    SAMPLE,
    assert_one_valid_champion,
    grown,
    home,
    judge,
    keep,
    make,
    moves,
    registry,
    stores,
)

from credit.errors import ConfigError, CreditError, ModelError, ServiceError
from credit.governance import release as releases
from credit.governance.registry import Registry
from credit.home import Home

__all__ = ["grown", "home", "registry", "stores"]  # fixtures


# Publishing


def test_nothing_is_made_before_the_first_call(tmp_path):
    Registry(PORTFOLIO, Home(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_the_first_model_becomes_champion_and_loads(registry, tmp_path):
    made = make(tmp_path / "release")
    version = registry.publish(made)
    assert (version.number, version.aliases, version.outcome) == (1, ("challenger", "champion"), "first")
    folder = registry.load()
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "model.txt": "a tree",
        "scorer.json": "{}",
    }
    assert version.digest == releases.digest(made.release.bundle)
    assert moves(registry) == [("promotion", None, 1)]


def test_what_mlflow_then_holds(registry, home, tmp_path):
    """One who only has MLflow's pages must find the whole story there."""
    made = make(tmp_path / "release")
    version = registry.publish(made)
    client = MlflowClient(home.tracking_uri, registry_uri=home.tracking_uri)
    entry = client.get_model_version(registry.model, "1")
    assert entry.description == made.verdict.markdown()
    expected = {"digest": version.digest, "data": "d" * 64, "verdict": "first", "metaflow_run_id": "42"}
    assert expected.items() <= entry.tags.items()
    run = client.get_run(version.run_id)
    assert (run.data.params, run.data.metrics, run.info.status) == ({"seed": "7"}, {"auc": 0.75}, "FINISHED")
    assert expected.items() <= run.data.tags.items()
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.digest == "d" * 36
    assert "income" in dataset.schema
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"plots", "policies.csv", "verdict.json"}
    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    (child,) = children
    assert (child.info.run_name, child.data.params, child.data.metrics) == (
        "native",
        {"leaves": "31"},
        {"cost": 0.5},
    )
    assert [file.path for file in client.list_artifacts(child.info.run_id)] == ["rounds.csv"]


def test_the_logged_model_has_a_signature_that_allows_missing_values(grown, stored):
    """A number never missing in the sample may be missing tomorrow: all are doubles, none an integer."""
    registry = grown(1)
    model = stored(registry, 1)
    text = (model / "MLmodel").read_text()
    assert "loader_module: credit.scoring.scorer" in text
    inputs = json.loads(text.split("inputs: '")[1].split("'\n")[0].replace("\n   ", ""))
    assert {column["name"]: column["type"] for column in inputs} == {
        "income": "double",
        "children": "double",
        "kind": "string",
        "city": "string",
    }
    assert (model / "input_example.json").is_file()
    assert not list(model.rglob("*.pkl"))


@pytest.mark.parametrize("outcome", ["refused", "same", "contract"])
def test_a_model_that_is_not_promoted_is_registered_all_the_same(outcome, grown, tmp_path):
    registry = grown(1)
    version = registry.publish(make(tmp_path / "r", "worse", outcome, registry.champion().digest))
    assert version.aliases == ("challenger",)
    assert registry.champion().number == 1
    assert moves(registry) == [("promotion", None, 1)]
    assert registry.history()[-1].payload["verdict"]["outcome"] == outcome


def test_a_better_model_takes_over(grown):
    registry = grown(2)
    assert [version.aliases for version in registry.versions()] == [(), ("challenger", "champion")]
    assert moves(registry) == [("promotion", None, 1), ("promotion", 1, 2)]


@pytest.mark.parametrize("against", [None, "f" * 64])
def test_a_verdict_against_another_champion_promotes_nobody(against, grown, tmp_path, caplog):
    """Two runs beat the same champion; the second was never compared with the first and may be worse."""
    registry = grown(1)
    with caplog.at_level(logging.WARNING, "credit"):
        version = registry.publish(make(tmp_path / "late", "late", "promoted" if against else "first", against))
    assert (version.is_champion, registry.champion().number) == (False, 1)
    assert version.tags["stale"]
    assert "not promoted: the champion has changed" in caplog.text


def test_publishing_twice_registers_once(registry, tmp_path):
    made = make(tmp_path / "release")
    registry.publish(made)
    before = registry.history()
    again = registry.publish(judge(releases.read(made.release.folder)))
    assert (again.number, again.is_champion) == (1, True)
    assert len(registry.versions()) == 1
    assert registry.history() == before


def test_publishing_again_never_undoes_a_rollback(grown, stores):
    """Someone finishes an old job after the model was taken out of service: it must stay out."""
    registry = grown(2)
    champion = registry.rollback(reason="complaints")
    version = registry.publish(judge(releases.read(stores / "r2"), "promoted", champion.digest))
    assert not version.is_champion
    assert registry.champion().number == 1


def test_publishing_the_champion_again_leaves_its_verdict_alone(grown, stores):
    """Judged anew it is "the same model again"; that it once deserved its place must not be overwritten."""
    registry = grown(2)
    before = registry.champion()
    assert registry.publish(judge(releases.read(stores / "r2"), "same", before.digest)) == before


def test_a_stale_verdict_can_be_renewed(grown, tmp_path):
    """What lost a race is compared with the winner, and may win then; it is one version all the time."""
    registry = grown(1)
    kept = keep(tmp_path / "late", "late")
    assert not registry.publish(judge(kept, "first")).is_champion
    assert not registry.publish(judge(kept, "refused", registry.champion().digest)).is_champion
    version = registry.publish(judge(kept, "promoted", registry.champion().digest))
    assert (version.number, version.is_champion, version.outcome) == (2, True, "promoted")
    assert "stale" not in version.tags
    verdicts = [event.payload["verdict"]["outcome"] for event in registry.history() if "verdict" in event.payload]
    assert verdicts == ["first", "first", "refused", "promoted"]


def test_long_verdicts_are_cut_to_what_mlflow_holds(registry, tmp_path):
    judged = judge(keep(tmp_path / "release"), rules=(RULE,) * 200)
    registry.publish(judged)
    assert registry._tracking._client.get_model_version(registry.model, "1").description == judged.verdict.summary


# Loading


@pytest.fixture
def stored(stores, tmp_path):
    """Give the folder of a version's registered files; they are shared by all tests, so put back at the end."""
    shutil.copytree(stores / "home" / "artifacts", tmp_path / "kept")

    def find(registry, number):
        uri = registry._tracking._client.get_model_version_download_uri(registry.model, str(number))
        return Path(uri.removeprefix("file://"))

    yield find
    shutil.rmtree(stores / "home" / "artifacts")
    shutil.copytree(tmp_path / "kept", stores / "home" / "artifacts")


TAMPER = {
    "changed": lambda bundle: (bundle / "model.txt").write_text("another tree"),
    "missing": lambda bundle: (bundle / "model.txt").unlink(),
    "added": lambda bundle: (bundle / "extra.pkl").write_bytes(b"\x80\x04"),
    "renamed": lambda bundle: (bundle / "model.txt").rename(bundle / "model2.txt"),
    "all gone": shutil.rmtree,
}


@pytest.mark.parametrize("how", TAMPER)
def test_tampered_files_are_refused_before_anyone_parses_them(how, grown, stored):
    registry = grown(1)
    shutil.rmtree(registry.home.workspace)
    TAMPER[how](stored(registry, 1) / "data" / "bundle")
    with pytest.raises(ModelError, match=r"version 1: its files (are not what was registered|cannot be read)"):
        registry.load()
    assert list((registry.home.workspace / "models").iterdir()) == []  # nothing unchecked lies where one may look


@pytest.mark.parametrize("how", TAMPER)
def test_a_tampered_model_never_becomes_champion(how, grown, stored):
    registry = grown(2)
    TAMPER[how](stored(registry, 1) / "data" / "bundle")
    with pytest.raises(ModelError):
        registry.rollback(reason="try")
    assert registry.champion().number == 2
    assert moves(registry)[-1] == ("promotion", 1, 2)


def test_a_tampered_copy_in_the_workspace_is_replaced(grown):
    registry = grown(1)
    (registry.load() / "model.txt").write_text("another tree")
    assert (registry.load() / "model.txt").read_text() == "model 1"


def test_loading_reads_nothing_but_the_bundle(grown, stored):
    """MLflow's own files say how to unpickle: they are not even opened."""
    registry = grown(1)
    shutil.rmtree(registry.home.workspace)
    (stored(registry, 1) / "MLmodel").write_text("!!python/object/apply:os.system ['false']")
    assert (registry.load() / "model.txt").read_text() == "model 1"


def test_there_is_nothing_to_load_without_a_champion(registry):
    assert registry.champion() is None
    assert registry.versions() == []
    with pytest.raises(ModelError, match="has no champion"):
        registry.load()


def test_a_version_that_others_registered_is_not_trusted(grown, tmp_path):
    registry = grown(1)
    client = registry._tracking._client
    client.create_model_version(registry.model, source=(tmp_path / "x").as_uri())
    client.set_registered_model_alias(registry.model, "champion", "2")
    with pytest.raises(ModelError, match="version 2: carries no tag against, digest"):
        registry.load()


# Moving the champion by hand


def test_rollback_goes_back_step_by_step(grown):
    registry = grown(3)
    assert registry.rollback(reason="first doubt").number == 2
    assert registry.rollback(reason="second doubt").number == 1
    with pytest.raises(ModelError, match="no champion before"):
        registry.rollback(reason="third doubt")
    assert moves(registry)[-2:] == [("rollback", 3, 2), ("rollback", 2, 1)]


def test_a_rollback_says_who_when_from_where_and_why(grown, monkeypatch):
    registry = grown(2)
    monkeypatch.setenv("CREDIT_USER", "risk officer")
    registry.rollback(reason="  complaints  ")
    event = registry.history()[-1]
    assert (event.kind, event.actor) == ("rollback", "risk officer")
    assert event.payload == {
        "model": "credit-toy",
        "from": 2,
        "to": 1,
        "digest": registry.champion().digest,
        "reason": "complaints",
        "forced": False,
    }


def test_after_a_rollback_the_next_one_promoted_is_the_one_gone_back_from(grown, tmp_path):
    registry = grown(3)
    registry.rollback(1, reason="all wrong")
    registry.publish(make(tmp_path / "r4", "model 4", "promoted", registry.champion().digest))
    assert registry.champion().number == 4
    assert registry.rollback(reason="again").number == 1


BY_HAND = [
    # version, options, the error and its message; or the champion that follows
    ({"number": 1, "reason": "why"}, 1),
    ({"number": 2, "reason": "why"}, (ModelError, "version 2: is the champion already")),
    (
        {"number": 3, "reason": "why"},
        (ModelError, r"version 3: was never champion, and its verdict \(refused\)"),
    ),
    ({"number": 3, "reason": "why", "force": True}, 3),
    (
        {"number": 4, "reason": "why"},
        (ModelError, r"version 4: was never champion, and its verdict \(promoted\)"),
    ),
    ({"number": 9, "reason": "why"}, (ModelError, r"version 9: no such version \(known: 1, 2, 3, 4\)")),
    ({"number": 0, "reason": "why"}, (ModelError, r"version 0: no such version")),
    ({"number": 1, "reason": ""}, (ConfigError, "--reason: is empty")),
    ({"number": 1, "reason": " \n"}, (ConfigError, "--reason: is empty")),
]


@pytest.fixture(scope="module")
def four(stores, tmp_path_factory):
    """Champions 1 and 2, a refused version 3, and a version 4 with a verdict against another champion."""
    root = tmp_path_factory.mktemp("four")
    shutil.copytree(stores / "2", root / "home")
    registry = Registry(PORTFOLIO, Home(root / "home"))
    registry.publish(make(root / "r3", "model 3", "refused", registry.champion().digest))
    registry.publish(make(root / "r4", "model 4", "promoted", "f" * 64))
    return root / "home"


@pytest.mark.parametrize(("call", "expected"), BY_HAND)
@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_moving_by_hand(verb, call, expected, four, tmp_path):
    registry = Registry(PORTFOLIO, Home(shutil.copytree(four, tmp_path / "home")))
    if isinstance(expected, int):
        assert getattr(registry, verb)(**call).is_champion
        assert_one_valid_champion(registry, expected)
        assert moves(registry)[-1] == ({"promote": "promotion"}.get(verb, verb), 2, expected)
        assert registry.history()[-1].payload["forced"] is call.get("force", False)
        return
    before = registry.history()
    with pytest.raises(expected[0], match=expected[1]):
        getattr(registry, verb)(**call)
    assert registry.champion().number == 2
    assert registry.history() == before


def test_a_deleted_champion_leaves_none_and_is_recorded(grown):
    """MLflow drops the alias with the version: nobody guesses a champion, and the ledger learns of it."""
    registry = grown(3)
    registry._tracking._client.delete_model_version(registry.model, "3")
    assert registry.champion() is None
    with pytest.raises(ModelError, match="has no champion"):
        registry.load()
    assert registry.rollback(reason="version 3 was deleted").number == 2
    assert moves(registry)[-2:] == [("reconciliation", 3, None), ("rollback", None, 2)]


def test_rollback_passes_over_deleted_versions(grown):
    registry = grown(3)
    registry._tracking._client.delete_model_version(registry.model, "2")
    assert registry.rollback(reason="doubt").number == 1


def test_a_move_by_another_tool_is_recorded_by_the_next_writer(grown, tmp_path):
    registry = grown(2)
    registry._tracking.point("champion", 1)
    registry.publish(make(tmp_path / "r3", "model 3", "refused", registry.champion().digest))
    assert moves(registry)[-1] == ("reconciliation", 2, 1)


def test_two_portfolios_in_one_store_do_not_meet(grown):
    registry = grown(1)
    other = Registry("other", registry.home)
    assert (other.champion(), other.versions(), other.history()) == (None, [], [])


def test_a_writer_waits_for_another_no_longer_than_allowed(registry, home, tmp_path, monkeypatch):
    monkeypatch.setattr("credit.governance.registry.LOCK_SECONDS", 0.2)

    with filelock.FileLock(home.root / "registry.lock"):
        with pytest.raises(ServiceError, match="another process has been writing"):
            registry.publish(make(tmp_path / "release"))
        assert registry.champion() is None  # readers do not wait


# Release folders


def test_a_release_survives_its_folder(tmp_path):
    made = keep(tmp_path / "release")
    back = releases.read(made.folder)
    assert back == made
    assert (back.tags["metaflow_run_id"], back.auc_gap.high, back.data.test) == ("42", 0.03, "test.parquet")
    pd.testing.assert_frame_equal(back.sample, SAMPLE)
    assert list(back.truth["decision"]) == ["approve", "decline"]
    assert back.groups["age"].isna().tolist() == [False, True]
    assert (made.folder / "candidates" / "native" / "rounds.csv").read_text() == "a,b\n1,2\n"
    assert releases.read(keep(tmp_path / "other", auc_gap=None).folder).auc_gap is None


BROKEN = {
    "no folder": (shutil.rmtree, "no release"),
    "no release.json": (lambda folder: (folder / "release.json").unlink(), "no release"),
    "not JSON": (lambda folder: (folder / "release.json").write_text("{"), "not a release"),
    "a part missing": (lambda folder: (folder / "release.json").write_text("{}"), "not a release"),
    "another model": (lambda folder: (folder / "bundle" / "model.txt").write_text("x"), "not the files that training"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_release_is_refused(how, tmp_path):
    made = keep(tmp_path / "release")
    spoil, message = BROKEN[how]
    spoil(made.folder)
    with pytest.raises(CreditError, match=message):
        releases.read(made.folder)


def test_a_verdict_on_another_model_is_refused(tmp_path):
    verdict = make(tmp_path / "one", "one").verdict
    with pytest.raises(ModelError, match="not the files that the gate judged"):
        releases.judge(keep(tmp_path / "two", "two"), verdict)


def test_the_digest_sees_names_and_contents_and_nothing_else(tmp_path):
    """Oracle: two folders have one digest if and only if they hold the same files."""
    folders = []
    for name, files in {
        "a": {"x": "1", "y": "2"},
        "b": {"y": "2", "x": "1"},
        "swapped": {"x": "2", "y": "1"},
        "nested": {"d/x": "1", "y": "2"},
        "joined": {"x": "12"},
    }.items():
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        folders.append(releases.digest(tmp_path / name))
    assert folders[0] == folders[1]
    assert len(set(folders)) == 4
