"""What the workflows run: the tag's check, the build, the bill of materials, the settings' check and the summaries."""

import importlib.util
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from learning import learn, sales
from packaging.requirements import Requirement
from serving_util import book, champion
from test_watch import window
from workflow_util import ROOT, checkout, load, run, shell

from credit import __version__, features
from credit.governance.assessment import assess
from credit.governance.keeping import keep
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.governance.submission import submit
from credit.home import Home
from credit.monitoring import watch
from credit.scoring.baseline import Baseline
from credit.scoring.export import export
from credit.training.choice import choose
from credit.training.dataset import prepare

CHECK = shell("release.yml", "check", "Version and changelog")
TAG = f"v{__version__}"


def script(path: str) -> ModuleType:
    """Load a script that is in no package."""
    spec = importlib.util.spec_from_file_location(f"_{Path(path).stem}", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SUMMARY, SBOM = script(".ci/summary.py"), script(".ci/sbom.py")


@pytest.fixture(scope="module")
def tagged(tmp_path_factory) -> Path:
    folder = checkout(tmp_path_factory.mktemp("release"))
    for tag in ("v0.0.9", TAG, "vnext"):
        subprocess.run(["git", "tag", tag], cwd=folder, check=True)
    return folder


def checked(folder: Path, tag: str) -> tuple[int, str, dict[str, str]]:
    """Run the workflow's own step; return its exit code, what it said, and the outputs it left for other jobs."""
    outputs = folder / "outputs"
    outputs.write_text("", encoding="utf-8")
    named = {"GITHUB_REF_NAME": tag, "GITHUB_REPOSITORY": "Some-Lender/Credit", "GITHUB_OUTPUT": str(outputs)}
    done = run(CHECK, folder, **named)
    left = dict(line.split("=", 1) for line in outputs.read_text(encoding="utf-8").splitlines())
    return done.returncode, done.stdout + done.stderr, left


def test_the_right_tag_passes_and_names_the_image_in_lower_case(tagged: Path) -> None:
    code, said, left = checked(tagged, TAG)
    image = "ghcr.io/some-lender/credit"
    assert code == 0, said
    names = [TAG[1:], TAG[1:].rpartition(".")[0], "latest"]
    assert left == {
        "version": TAG[1:],
        "image": image,
        "tags": ",".join(f"{image}:{name}" for name in names),
        "latest": "true",
    }


def test_an_older_line_does_not_become_the_latest(tagged: Path) -> None:
    subprocess.run(["git", "tag", "v10.0.0"], cwd=tagged, check=True)
    try:
        _, _, left = checked(tagged, TAG)
    finally:
        subprocess.run(["git", "tag", "--delete", "v10.0.0"], cwd=tagged, check=True, capture_output=True)
    assert left["latest"] == "false"
    assert not left["tags"].endswith(":latest")


@pytest.mark.parametrize(("tag", "file", "old", "new", "says"), [
    ("v9.9.9", "README.md", "", "", "pyproject.toml: the version is"),
    ("v9.9.9", "README.md", "", "", "CHANGELOG.md: section [9.9.9] is not there"),
    ("v01.1.0", "README.md", "", "", "tag v01.1.0"),
    (TAG, "credit/__init__.py", f'"{__version__}"', '"0.0.1"', "credit/__init__.py: the version is 0.0.1"),
    (TAG, "pyproject.toml", f'version = "{__version__}"', 'version = "0.0.1"', "pyproject.toml: the version is 0.0.1"),
    (TAG, "CHANGELOG.md", "- 2026-11-27", "- unreleased", "is dated 'unreleased'"),
    (TAG, "CHANGELOG.md", "- 2026-11-27", "- 2026-02-30", "is dated '2026-02-30'"),
])  # fmt: skip
def test_a_tag_that_does_not_fit_is_refused_and_leaves_no_output(tagged: Path, tag, file, old, new, says) -> None:
    path = tagged / file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(old, new, 1) if old else before, encoding="utf-8")
    try:
        code, said, left = checked(tagged, tag)
    finally:
        path.write_text(before, encoding="utf-8")
    assert code == 1
    assert says in said
    assert left == {}


def test_only_a_commit_of_main_is_released(tagged: Path) -> None:
    step = shell("release.yml", "check", "The commit is on main")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "update-ref", "refs/remotes/origin/main", "HEAD"], cwd=tagged, check=True)
    assert run(step, tagged).returncode == 0
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "aside"], cwd=tagged, check=True)
    try:
        assert run(step, tagged).returncode == 1
    finally:
        subprocess.run([*git, "reset", "--quiet", "--hard", "HEAD~1"], cwd=tagged, check=True)


@pytest.fixture(scope="module")
def built(tagged: Path) -> Path:
    """Run the workflow's own build, with the setuptools of this environment: there is no network to fetch it from."""
    step = shell("release.yml", "distributions", "Build")
    done = run(step, tagged, VERSION=__version__, UV_NO_BUILD_ISOLATION="1")
    assert done.returncode == 0, done.stderr
    return tagged / "dist"


def test_the_wheel_holds_both_packages_whole_and_runs(built: Path, tmp_path: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inside = set(opened.namelist())
        opened.extractall(tmp_path / "installed")
    wanted = {
        str(path.relative_to(ROOT))
        for package in ("credit", "gradio_app")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= inside
    assert {"credit/portfolios/home_credit.toml", "credit/training/candidates.toml", "credit/py.typed"} <= inside
    assert {"gradio_app/style.css", "gradio_app/page.js", "gradio_app/texts.toml"} <= inside
    ask = "import credit; print(credit.__file__, credit.load_portfolio('home_credit').name)"
    done = run(f'python -c "{ask}"', tmp_path, PYTHONPATH=str(tmp_path / "installed"))
    assert done.stdout.split() == [str(tmp_path / "installed" / "credit" / "__init__.py"), "home_credit"], done.stderr


def test_a_release_holds_sdist_bill_lock_and_notes(built: Path) -> None:
    names = {path.name for path in built.glob("credit-*")}
    ends = ("-py3-none-any.whl", ".tar.gz", ".cdx.json", ".requirements.txt")
    assert names == {f"credit-{__version__}{end}" for end in ends}
    with tarfile.open(built / f"credit-{__version__}.tar.gz") as opened:
        assert f"credit-{__version__}/credit/portfolios/home_credit.toml" in opened.getnames()
    notes = (built.parent / "notes.md").read_text(encoding="utf-8")
    assert notes.strip()
    assert notes.strip() in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not re.search(r"^## ", notes, flags=re.MULTILINE)  # one version's section, and no other's


def test_the_bill_of_materials_is_valid_and_says_what_the_lock_says(built: Path) -> None:
    text = (built / f"credit-{__version__}.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    lock = (built / f"credit-{__version__}.requirements.txt").read_text(encoding="utf-8")
    lines = re.findall(r"^([a-z0-9].*?) \\$", lock, flags=re.MULTILINE)
    locked = {(each.name, str(each.specifier).removeprefix("==")) for each in map(Requirement, lines)}
    assert {(each["name"], each["version"]) for each in bill["components"]} == locked
    assert bill["metadata"]["component"]["version"] == __version__
    wants = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    reached, open_ = set(), [bill["metadata"]["component"]["bom-ref"]]
    while open_:
        if (ref := open_.pop()) not in reached:
            reached.add(ref)
            open_ += wants[ref]
    assert {each["bom-ref"] for each in bill["components"]} < reached, "somebody asks for each"


def test_who_asks_for_a_package_and_where_is_read_from_the_lock() -> None:
    lock = "".join((
        "a[x]==1.0 ; python_version < '3.12' \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n    # via\n",
        "    #   b\n    #   credit (pyproject.toml)\n",
        "b==2 \\\n    --hash=sha256:02\n    # via a[x]\n",
    ))  # fmt: skip
    first, second = SBOM.pins(lock)
    assert (first.name, first.version, first.marker, first.asked_by) == (
        "a",
        "1.0",
        "python_version < '3.12'",
        {"b", ""},
    )
    assert (second.ref, second.asked_by) == ("pkg:pypi/b@2", {"a"})


def test_tools_come_at_the_locked_version_or_not_at_all(tmp_path: Path) -> None:
    command = f"bash {ROOT / '.ci' / 'tools'}"
    done = run(f"{command} pip-audit", tmp_path)  # both are here already: nothing is fetched
    assert done.returncode == 0, done.stderr
    done = run(f"{command} pip-audit-nightly", tmp_path)
    assert done.returncode == 2
    assert "pip-audit-nightly is not in requirements/dev.txt" in done.stderr


SET_UP = {"MLFLOW_TRACKING_URI": "https://mlflow.example", "CREDIT_LEDGER_URL": "postgresql+psycopg://u:p@db/ledger"}


@pytest.mark.parametrize(("changed", "missing"), [
    ({}, []),
    ({"MLFLOW_TRACKING_URI": ""}, ["MLFLOW_TRACKING_URI"]),
    ({"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, ["MLFLOW_TRACKING_URI"]),
    ({"CREDIT_LEDGER_URL": "sqlite:///ledger.db"}, ["CREDIT_LEDGER_URL"]),
    ({"CREDIT_LEDGER_URL": "mysql://u:p@db/ledger"}, ["CREDIT_LEDGER_URL"]),  # its driver is not in the lock
    ({"MLFLOW_TRACKING_URI": "", "CREDIT_LEDGER_URL": ""}, ["MLFLOW_TRACKING_URI", "CREDIT_LEDGER_URL"]),
    ({"DATA": "secret"}, ["CREDIT_TRAINING_DATA"]),
    ({"DATA": "secret", "CREDIT_TRAINING_DATA": "postgresql://db/rows"}, []),
    ({"DATA": "synthetic"}, []),
])  # fmt: skip
def test_a_workflow_that_cannot_work_says_what_to_set_before_it_does_anything(tmp_path, changed, missing) -> None:
    for workflow, job in (("train-and-register.yml", "train"), ("monitor.yml", "monitor")):
        given = load(workflow)["jobs"][job]["steps"]
        assert [step.get("name") for step in given][1] == "Settings"  # only the checkout comes before
        (tmp_path / workflow).mkdir()
        (tmp_path / workflow / ".ci").symlink_to(ROOT / ".ci")
        done = run(shell(workflow, job, "Settings"), tmp_path / workflow, **(SET_UP | changed))
        assert re.findall(r"::error title=(\w+) is not set up", done.stdout) == missing
        assert done.returncode == (1 if missing else 0)
        assert "p@db" not in done.stdout


@pytest.fixture(scope="module")
def summaries(tmp_path_factory) -> tuple[dict, dict]:
    """Train and gate for real, twice: the first model, and the same again, which is refused as it is no other."""
    monkey = pytest.MonkeyPatch()
    monkey.syspath_prepend(str(ROOT / "flows"))
    import cards
    from summary import gather

    home, lender = Home(tmp_path_factory.mktemp("summary")), book()
    sales(900, 0).to_csv(home.root / "sales.csv", index=False)
    dataset = prepare(lender, home.root / "sales.csv", home.workspace)
    defined = features.definitions(lender, dataset.tables)
    train, validation = dataset.load("train"), dataset.load("validation")
    fitted = {name: learn(name, train, lender, defined) for name in ("native", "prior")}
    predicted = {name: each.predict(validation) for name, each in fitted.items()}
    choice = choose(validation[lender.target], predicted, frozenset({"prior"}), lender.costs)
    scorer = export(fitted[choice.winner], lender, defined, choice.threshold, train)
    assessment = assess(scorer, fitted, choice, dataset, lender, defined)
    made = []
    for run_name in ("Test/1", "Test/2"):
        kept = keep(scorer, fitted, choice, assessment, dataset, lender, home, run_name)
        done = submit(kept, home)
        flow = SimpleNamespace(book=lender, dataset=dataset, choice=choice, fitted=fitted, assessment=assessment)
        flow.failures, flow.release, flow.monitoring = {"monotone": "no | <b>luck</b>"}, kept, ""
        flow.verdict, flow.version = done.verdict, done.version.number
        made.append(gather(flow, cards.kpis(assessment.kpis)))
        flow.dataset = replace(dataset, synthetic=True)
        made[-1]["made up"] = gather(flow, cards.kpis(assessment.kpis))
    monkey.undo()
    return made[0], made[1]


def page(kind: str, told: dict) -> str:
    return "\n".join(getattr(SUMMARY, kind)(told))


def test_the_verdict_names_version_rules_and_costs_with_intervals(summaries) -> None:
    first, again = summaries
    text = page("training", first)
    assert text.startswith("## shop: version 1 is the new champion")
    for rule in first["verdict"]["rules"]:
        assert f"| {rule['name']} |" in text
    cost = first["test"]["cost"]
    assert f"| model | {cost['estimate']:.4f} ({cost['low']:.4f} to {cost['high']:.4f}) |" in text
    assert "**FAIL**" not in text
    refused = page("training", again)
    assert refused.startswith("## shop: version 2 is not promoted")
    assert "**FAIL**" in refused
    assert again["verdict"]["summary"] in refused


def test_synthetic_data_are_called_so_loudly_and_others_are_not(summaries) -> None:
    first, _ = summaries
    assert "synthetic" not in page("training", first).lower()
    text = page("training", first["made up"])
    assert "SYNTHETIC data: nobody in them exists" in text
    assert all("(SYNTHETIC)" in line for line in text.splitlines() if line.startswith("### "))


def test_words_from_the_data_cannot_break_the_table_or_the_page(summaries) -> None:
    text = page("training", summaries[0])
    assert "no \\| &lt;b>luck&lt;/b>" in text
    widths = {line: len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({widths[line] for line in rows}) <= 1


def test_the_workflow_finds_the_run_that_it_started(summaries, tmp_path: Path) -> None:
    """A run that Metaflow itself keeps, read by the step's own shell."""
    first = {name: value for name, value in summaries[0].items() if name != "made up"}
    (tmp_path / "told.json").write_text(json.dumps(first), encoding="utf-8")
    (tmp_path / "flow.py").write_text(
        "import json\nfrom metaflow import FlowSpec, step\n"
        "class TrainingFlow(FlowSpec):\n"
        "    @step\n    def start(self):\n"
        "        self.summary = json.load(open('told.json'))\n        self.next(self.end)\n"
        "    @step\n    def end(self):\n        pass\n"
        "if __name__ == '__main__':\n    TrainingFlow()\n",
        encoding="utf-8",
    )
    (tmp_path / ".ci").symlink_to(ROOT / ".ci")
    start = "python flow.py run --run-id-file run-id.txt"
    assert run(f"{start} >/dev/null && {start} >/dev/null", tmp_path, METAFLOW_PYLINT="0").returncode == 0
    written = tmp_path / "summary of the job"
    done = run(shell("train-and-register.yml", "train", "Verdict"), tmp_path, GITHUB_STEP_SUMMARY=str(written))
    assert done.returncode == 0, done.stderr
    assert written.read_text(encoding="utf-8").rstrip() == page("training", first).rstrip()
    (tmp_path / "run-id.txt").write_text("17", encoding="utf-8")
    done = run(shell("train-and-register.yml", "train", "Verdict"), tmp_path, GITHUB_STEP_SUMMARY=str(written))
    assert done.returncode != 0  # a run that is not there is no verdict


@pytest.fixture(scope="module")
def statuses(tmp_path_factory) -> tuple[dict, dict]:
    """A real model watched over a window it knows, and over one where every amount has grown."""
    home = Home(tmp_path_factory.mktemp("watched") / "home")
    version, registry = champion(home), Registry("shop", home)
    model = SimpleNamespace(
        home=home, decider=open_version(registry, version), baseline=Baseline.load(registry.load(version))
    )
    known = sales(2000, 21)
    grown = known.assign(amount=known["amount"] * 2.5)

    def watched(frame, **more):
        return watch.watch(model.decider, model.baseline, window(model, frame, **more), run="Test/1")

    return watched(known, synthetic=True), watched(grown, outcomes=False)


def test_a_status_shows_costs_and_ranked_reasons(statuses, tmp_path: Path) -> None:
    _, loud = statuses
    (tmp_path / "status.json").write_text(json.dumps(loud), encoding="utf-8")
    (tmp_path / ".ci").symlink_to(ROOT / ".ci")
    written = tmp_path / "summary"
    done = run(shell("monitor.yml", "monitor", "Status"), tmp_path, GITHUB_STEP_SUMMARY=str(written))
    assert done.returncode == 0, done.stderr
    text = written.read_text(encoding="utf-8")
    assert text.startswith("## ALERT: A shop's credits, credit-shop version 1")
    ranked = re.findall(r"^\| (\d+) \| \**(ALERT|WARN)\** \| (\w+) \|", text, flags=re.MULTILINE)
    assert [int(rank) for rank, *_ in ranked] == list(range(1, len(loud["findings"]) + 1))
    assert [(severity, kind) for _, severity, kind in ranked] == [(f["severity"], f["kind"]) for f in loud["findings"]]
    expected = loud["money"]["expected"]
    assert f"{expected['estimate']:.4f} ({expected['low']:.4f} to {expected['high']:.4f})" in text
    assert "| realised |" not in text  # nobody's outcome is known
    assert "SYNTHETIC" not in text


def test_a_quiet_status_says_so_and_synthetic_ones_are_called_so(statuses) -> None:
    quiet, _ = statuses
    text = page("monitoring", quiet)
    assert ("Nothing is beyond its limit" in text) == (not quiet["findings"])
    assert "SYNTHETIC data" in text
    assert "| realised |" in text
