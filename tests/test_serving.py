"""The champion while a program runs: picked up, kept through trouble, never waited for."""

import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from serving_util import APPLICANT, champion, second_champion

from credit.errors import ModelError, ServiceError
from credit.governance import serving as module
from credit.governance.registry import Registry
from credit.governance.serving import Serving
from credit.home import Home


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    champion(made)
    return made


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A home with two versions, the second of them champion."""
    made = Home(tmp_path_factory.mktemp("two") / "home")
    champion(made)
    second_champion(made)
    return made


def number(serving):
    held = serving.current()
    return None if held is None else held[0].number


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_without_a_champion_there_is_none_and_nothing_is_made(tmp_path):
    serving = Serving("shop", Home(tmp_path / "none"))
    assert serving.identity is None
    assert serving.current() is None
    assert serving.trouble == ""
    assert not (tmp_path / "none").exists()


def test_the_champion_decides_and_says_which_version_it_is(home):
    serving = Serving("shop", home)
    version, decider = serving.current()
    decision = decider.decide(APPLICANT)
    assert (decision.identity.model, decision.identity.version) == ("credit-shop", version.number)
    assert decision.identity.digest == version.digest
    assert serving.identity == decision.identity


def test_a_new_champion_is_picked_up_and_a_rollback_too(two):
    registry, serving = Registry("shop", two), Serving("shop", two)
    assert number(serving) == 2
    registry.rollback(reason="a test wants it")
    assert number(serving) == 2, "only a look changes what is in use"
    assert serving.look()
    assert number(serving) == 1
    assert serving.current()[1].identity.version == 1
    registry.promote(2, reason="and back", force=True)
    assert serving.look()
    assert number(serving) == 2


def test_who_is_champion_is_seen_while_watching(two):
    registry, serving = Registry("shop", two), Serving("shop", two, every=0.05)
    with serving.watching():
        until(lambda: serving.identity is not None)
        registry.rollback(1, reason="a test wants it")
        until(lambda: number(serving) == 1)
        registry.promote(2, reason="and back", force=True)
        until(lambda: number(serving) == 2)


def test_a_first_champion_is_seen_while_watching(tmp_path):
    made = Home(tmp_path / "home")
    serving = Serving("shop", made, every=0.05)
    with serving.watching():
        assert serving.current() is None
        champion(made)
        until(lambda: number(serving) == 1)


def test_the_watch_ends_with_its_block(home):
    serving = Serving("shop", home, every=0.02)
    with serving.watching():
        until(lambda: serving.identity is not None)
    seen = []
    serving.registry.champion = lambda: seen.append(1)
    time.sleep(0.2)
    assert seen == []


@contextmanager
def damaged(registry, version):
    """Change a file of a registered bundle where the registry keeps it, and lose the checked copy."""
    uri = registry._tracking._client.get_model_version_download_uri(registry.model, str(version.number))
    file = Path(uri.removeprefix("file://")) / "data" / "bundle" / "reference.json"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"0", b"1", 1))
    shutil.rmtree(registry.home.workspace / "models" / version.digest, ignore_errors=True)
    try:
        yield
    finally:
        file.write_bytes(whole)


def test_a_damaged_bundle_is_not_used_and_the_old_model_stays(two, caplog):
    registry, serving = Registry("shop", two), Serving("shop", two)
    registry.rollback(1, reason="start with the first")
    assert number(serving) == 1
    with damaged(registry, registry.promote(2, reason="whose files are damaged then", force=True)):
        assert not serving.look()
        assert number(serving) == 1
        assert "not what was registered" in serving.trouble
        serving.look()
        assert caplog.text.count("not what was registered") == 1, "the same trouble is told once"
    assert serving.look()
    assert (number(serving), serving.trouble) == (2, "")


def test_no_model_at_all_for_a_damaged_bundle(home):
    serving = Serving("shop", home)
    with damaged(serving.registry, serving.registry.champion()):
        for _ in range(2):
            with pytest.raises(ModelError, match="not what was registered"):
                serving.current()
    assert serving.look()
    assert number(serving) == 1


def raised(error):
    raise error


def test_a_registry_that_fails_leaves_the_model_in_use(home, monkeypatch):
    serving = Serving("shop", home)
    assert number(serving) == 1
    monkeypatch.setattr(serving.registry, "champion", lambda: raised(ServiceError("the registry does not answer")))
    assert not serving.look()
    assert number(serving) == 1
    assert serving.trouble == "the registry does not answer"


def test_a_registry_at_fault_is_asked_less_and_less_often(home, monkeypatch):
    asked, waits = [], []

    class Clock(Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return len(waits) > 9

    def champion_of():
        asked.append(1)
        raise ServiceError("away")

    serving = Serving("shop", home, every=5.0)
    monkeypatch.setattr(serving.registry, "champion", champion_of)
    serving._watch(Clock())
    assert waits == [0.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0]
    assert len(asked) == 9


def test_nobody_waits_for_the_registry(home, monkeypatch):
    """A registry that takes its time holds up no decision: the model in use answers meanwhile."""
    serving, slow = Serving("shop", home), Event()
    assert number(serving) == 1
    monkeypatch.setattr(serving.registry, "champion", lambda: slow.wait(30) and None)
    looking = Thread(target=serving.look)
    looking.start()
    began = time.monotonic()
    assert number(serving) == 1
    assert serving.identity is not None
    assert time.monotonic() - began < 5
    slow.set()
    looking.join()
    assert serving.current() is None


def test_a_watch_that_breaks_says_so(home, monkeypatch):
    """What nobody foresaw ends the thread; then the model may be old, and that must be seen."""
    serving = Serving("shop", home)
    assert number(serving) == 1
    monkeypatch.setattr(serving.registry, "champion", lambda: raised(RuntimeError("unforeseen")))
    with pytest.raises(RuntimeError):
        serving._watch(Event())
    assert "RuntimeError" in serving.trouble
    assert number(serving) == 1


def test_the_first_question_opens_once(home, monkeypatch):
    """Many officers at eight o'clock: one opens the model, the others get it."""
    opened, serving = [], Serving("shop", home)
    original = module.open_version
    monkeypatch.setattr(module, "open_version", lambda *args: opened.append(1) or original(*args))
    found = []
    threads = [Thread(target=lambda: found.append(serving.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(decider) for _, decider in found}) == 1
    assert opened == [1]


def test_evidence_is_brought_once_and_is_whole(home):
    registry = Registry("shop", home)
    folder = registry.evidence(registry.champion())
    names = {path.name for path in folder.iterdir()}
    assert {"calibration.csv", "importance.csv", "policies.csv", "kpis.csv", "groups_sex.csv", "curve.png"} <= names
    registry._tracking.evidence = lambda *args: raised(AssertionError("it is here already"))
    assert registry.evidence(registry.champion()) == folder


def test_evidence_that_is_gone_is_one_clear_error(home, tmp_path):
    registry = Registry("shop", home)
    version = registry.champion()
    place = registry._tracking._client.get_run(version.run_id).info.artifact_uri.removeprefix("file://")
    shutil.move(place, tmp_path / "away")
    try:
        with pytest.raises(ModelError, match=r"its run .* (has lost its tables|cannot be read)"):
            registry.evidence(version)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(tmp_path / "away", place)
