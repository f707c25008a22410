"""Fixtures that all tests share: a private home, no telemetry, and a browser that reaches nothing outside."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, Page, Route, sync_playwright

from credit import console

console.quiet()
os.environ.update(MPLBACKEND="Agg", METAFLOW_USER="tests", OMP_WAIT_POLICY="passive")
os.environ.update(
    OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"
)  # workers share the cores; threads would queue for them
for setting in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "METAFLOW_PROFILE", "CREDIT_HOME"):
    os.environ.pop(setting, None)

#: Examples are drawn from a fixed seed: a test that passes passes again, on any machine.
settings.register_profile("credit", deadline=None, derandomize=True, database=None)
settings.load_profile("credit")

#: Switches off what a browser does of its own accord, and resolves no name but this machine's.
BROWSER_OPTIONS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
LOCAL = ("about:", "blob:", "data:", "file:", "http://127.0.0.1:", "http://localhost:", "ws://127.0.0.1:")
#: Metaflow's card template asks for this font and does without it; nothing else is forgiven.
FORGIVEN = ("https://fonts.googleapis.com/", "https://fonts.gstatic.com/")


#: Files that take longest; a worker that began one of them last would be waited for.
FIRST = (
    "test_spark.py",
    "test_page.py",
    "test_monitoring_flow.py",
    "test_docs_run.py",
    "test_flows.py",
    "test_scoring_flow.py",
    "test_simulate.py",
    "test_flows_history.py",
    "test_notebook.py",
    "test_contract.py",
    "test_features_build.py",
    "test_registry_faults.py",
    "test_server_process.py",
    "test_architecture.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; pytest-xdist hands them out in this order (--no-loadscope-reorder)."""
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


@pytest.fixture(scope="session", autouse=True)
def _shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures wider than one test write below pytest's folder, never below the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDIT_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def credit_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a CREDIT_HOME of its own; the folder is not made, as for a user's first run."""
    home = tmp_path / "credit-home"
    monkeypatch.setenv("CREDIT_HOME", str(home))
    return home


def find_chromium() -> str | None:
    """Return the browser named by CREDIT_CHROMIUM, else the first installed one, else None."""
    names = (os.environ.get("CREDIT_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, filter(None, names))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a headless Chromium for one module (not for the session: its event loop would outlive it)."""
    executable = find_chromium()
    if executable is None:
        reason = "no Chromium or Chrome found; install Debian's `chromium` or set CREDIT_CHROMIUM to one"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=list(BROWSER_OPTIONS))
        yield started
        started.close()


@contextmanager
def guarded_page(browser: Browser) -> Iterator[Page]:
    """Yield a fresh page; stop each request that leaves this machine, raise at the end if there was one."""
    outside: list[str] = []

    def stop(route: Route) -> None:
        outside.append(route.request.url)
        route.abort()

    context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
    context.route(lambda url: not url.startswith(LOCAL), stop)
    yield context.new_page()
    context.close()
    assert [url for url in outside if not url.startswith(FORGIVEN)] == []


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """Yield a page to see what users see; fails the test if it asked for anything outside this machine."""
    with guarded_page(browser) as page:
        yield page
