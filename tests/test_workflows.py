"""What no linter sees in the workflows: what they name is there, and no job may or does more than it needs."""

import json
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from workflow_util import ROOT, WORKFLOWS, jobs, load, run, shell, steps

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Each commit was seen in several independent places under its release.  A new one is confirmed before it is added.
CONFIRMED = {
    "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8": "v5.0.0",
    "actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c": "v6.0.0",
    "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02": "v4.6.2",
    "docker/build-push-action@263435318d21b8e681c14492fe198d362a7d2c83": "v6.18.0",
}
#: What a right to write is for: a job that does not do it may not have it.
WRITES = {
    "actions": r"gh workflow run ",
    "attestations": r"actions/attest-build-provenance@",
    "contents": r"git push |gh release create ",
    "id-token": r"actions/attest-build-provenance@",
    "packages": r"docker login ghcr\.io",
    "pull-requests": r"gh pr create ",
}
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in WORKFLOWS}
EACH_JOB = pytest.mark.parametrize(
    ("workflow", "name", "job"), [pytest.param(*each, id=f"{each[0]}:{each[1]}") for each in jobs()]
)


def holds(condition: str, **known: str) -> bool:
    """Evaluate a job's condition as GitHub does: what is not known is an empty text."""
    words = condition.replace("||", " or ").replace("&&", " and ")
    named = re.sub(r"\b(github|vars)\.(\w+)", lambda found: repr(known.get(found[2], "")), words)
    return bool(eval(named, {"__builtins__": {}}))


@EACH_JOB
def test_a_job_ends_in_time_and_has_its_own_rights(workflow: str, name: str, job: dict) -> None:
    assert load(workflow)["permissions"] == {}, "a job that says nothing must get nothing"
    assert job["permissions"], "say what the job may"
    if "uses" not in job:  # a called workflow has its own
        assert 0 < job["timeout-minutes"] <= 180


@EACH_JOB
def test_a_right_to_write_is_used(workflow: str, name: str, job: dict) -> None:
    done = json.dumps(job)
    for scope, right in job["permissions"].items():
        assert right in {"read", "write"}
        if right == "write":
            assert re.search(WRITES[scope], done), f"{scope}: write is for nothing in this job"
    for scope, needing in WRITES.items():
        if re.search(needing, done):
            assert job["permissions"].get(scope) == "write", f"{scope}: write is needed"


def test_actions_are_at_confirmed_commits_or_excepted_with_a_reason() -> None:
    excepted = yaml.safe_load((ROOT / ".github" / "zizmor.yml").read_text(encoding="utf-8"))
    policies = excepted["rules"]["unpinned-uses"]["config"]["policies"]
    for workflow, text in TEXTS.items():
        for action, comment in re.findall(r"^ *(?:- )?uses: (\S+)(?: # (\S+))?$", text, flags=re.MULTILINE):
            if action.startswith("./"):
                assert (ROOT / action).is_file()
            elif re.search(r"@[0-9a-f]{40}$", action):
                assert CONFIRMED.get(action) == comment, f"{workflow}: {action} is not confirmed as {comment}"
            else:
                owner, _, release = action.partition("@")
                assert policies.get(owner) == "ref-pin", f"{workflow}: {action} has no exception"
                assert re.fullmatch(r"v\d+\.\d+\.\d+", release)
    assert policies["*"] == "hash-pin"


def test_nothing_that_somebody_else_writes_reaches_a_shell_or_keeps_a_credential() -> None:
    for workflow, job, step in steps():
        assert "${{" not in step.get("run", ""), f"{workflow}, {job}: pass it through the environment"
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    for workflow, text in TEXTS.items():
        started = set(load(workflow)["on"])
        assert not started & {"pull_request_target", "workflow_run", "issue_comment"}
        if "pull_request" in started:
            assert "secrets" not in text


def test_a_failing_part_of_a_pipe_fails_its_step() -> None:
    assert all(load(file)["defaults"]["run"]["shell"] == "bash" for file in TEXTS)


def test_tests_and_audit_run_on_every_python_that_is_promised() -> None:
    listed = [each.rsplit(" ", 1)[1] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    assert listed == [f"3.{minor}" for minor in range(int(low), int(high))]
    for name in ("test", "audit"):
        assert load("ci.yml")["jobs"][name]["strategy"]["matrix"]["python"] == listed
    named = {step["with"]["python-version"] for *_, step in steps() if "python-version" in step.get("with", {})}
    assert named - {"${{ matrix.python }}"} <= set(listed)


def test_a_schedule_audits_and_does_not_test_what_has_not_changed() -> None:
    conditions = {name: job.get("if", "1 == 1") for name, job in load("ci.yml")["jobs"].items()}
    assert [name for name, condition in conditions.items() if holds(condition, event_name="schedule")] == ["audit"]
    assert all(holds(condition, event_name="push") for condition in conditions.values())


def test_monitoring_is_skipped_where_nothing_is_set_up_but_not_in_silence_when_asked_for() -> None:
    condition = load("monitor.yml")["jobs"]["monitor"]["if"]
    assert not holds(condition, event_name="schedule")
    assert holds(condition, event_name="schedule", MLFLOW_TRACKING_URI="https://mlflow.example")
    assert holds(condition, event_name="workflow_dispatch")


def test_what_a_workflow_names_is_there() -> None:
    for workflow, job, step in steps():
        for path in re.findall(r"(?<![\w./])(?:\.ci|flows|requirements|docker|docs)/[\w./-]+", step.get("run", "")):
            assert (ROOT / path).exists(), f"{workflow}, {job}: {path} is not there"
    for name in re.findall(r"gh workflow run (\S+)", "".join(TEXTS.values())):
        assert "workflow_dispatch" in load(name)["on"]


def test_each_artifact_that_is_fetched_was_kept_by_a_job_before() -> None:
    for workflow, name, job in jobs():
        for wanted in re.findall(r"gh run download \S+ --name (\S+)", json.dumps(job)):
            kept = [
                other
                for file, other, step in steps()
                if file == workflow and "upload-artifact" in step.get("uses", "") and step["with"]["name"] == wanted
            ]
            assert set(kept) & before(load(workflow)["jobs"], name), f"{workflow}, {name}: {wanted}"
            assert job["permissions"]["actions"] in {"read", "write"}


def before(all_jobs: dict, name: str) -> set[str]:
    """The jobs that a job waits for, and those they wait for."""
    needs = all_jobs[name].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(before(all_jobs, each) for each in direct))


def test_the_parts_of_the_ci_script_that_workflows_ask_for_exist() -> None:
    parts = re.findall(r"bash \.ci/run(?: (\w+))?$", TEXTS["ci.yml"], flags=re.MULTILINE)
    assert sorted(parts) == ["lint", "test"], "together they are all of it"
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^ *all \| lint \| test\) ;;$", script, flags=re.MULTILINE)
    done = subprocess.run(["bash", ".ci/run", "sleep"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sleep" in done.stderr


@pytest.mark.parametrize(("flow", "workflow", "step"), [
    ("training", "train-and-register.yml", "Train"),
    ("monitoring", "monitor.yml", "Monitor"),
])  # fmt: skip
def test_a_flow_takes_the_options_that_its_workflow_gives(tmp_path, flow: str, workflow: str, step: str) -> None:
    [job] = load(workflow)["jobs"]
    given = set(re.findall(r"--[a-z][a-z-]+", shell(workflow, job, step)))
    command = [sys.executable, str(ROOT / "flows" / f"{flow}.py"), "run", "--help"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "--portfolio" in given
    assert given <= set(re.findall(r"--[a-z][a-z-]+", told))


@pytest.mark.parametrize(("flow", "workflow", "step", "given", "said"), [
    ("training", "train-and-register.yml", "Train", {"DATA": "no such.csv", "ACCEPT": "false"}, "no such.csv"),
    ("training", "train-and-register.yml", "Train",
     {"DATA": "secret", "CREDIT_TRAINING_DATA": "sqlite:///gone.db", "ACCEPT": "true"}, "gone.db"),
    ("monitoring", "monitor.yml", "Monitor", {"SINCE": "2026-13-01", "UNTIL": ""}, "champion"),
])  # fmt: skip
def test_a_step_hands_what_was_asked_for_to_the_flow(tmp_path, flow, workflow, step, given, said) -> None:
    """Its own shell starts the real flow, which stops at the first thing that is not there, and names it."""
    (tmp_path / "flows").symlink_to(ROOT / "flows")
    [job] = load(workflow)["jobs"]
    done = run(shell(workflow, job, step), tmp_path, CREDIT_HOME="state", PORTFOLIO="home_credit", **given)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_audit_reads_every_package_of_the_lock(tmp_path) -> None:
    """The step's own command, without the question to the server: nothing is asked of a network."""
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    [command] = [
        step["run"] for step in load("ci.yml")["jobs"]["audit"]["steps"] if "pip-audit -" in step.get("run", "")
    ]
    assert "--strict" in command, "a package that cannot be audited must not pass"
    done = run(f"{command} --dry-run", tmp_path)
    assert done.returncode == 0, done.stderr
    locked = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    names = set(re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==", locked, flags=re.MULTILINE))
    read = int(re.search(r"would have audited (\d+) packages", done.stderr + done.stdout)[1])
    assert 0.9 * len(names) < read <= len(names)  # some are for other platforms


def test_dependabot_watches_what_is_pinned_and_leaves_the_lock_alone() -> None:
    watched = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    wanted = {"github-actions"}
    for ecosystem, file in (("docker", "Dockerfile"), ("docker-compose", "compose.yaml")):
        if "@sha256:" in (ROOT / file).read_text(encoding="utf-8"):
            wanted.add(ecosystem)  # a digest does not move by itself; tags do
    assert {each["package-ecosystem"] for each in watched} == wanted


def test_whoever_sets_a_repository_up_is_told_of_every_variable_secret_and_environment() -> None:
    used = set(re.findall(r"\b(?:vars|secrets)\.(\w+)", "".join(TEXTS.values())))
    used |= {job["environment"] for *_, job in jobs() if "environment" in job}
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "MLFLOW_TRACKING_URI" in used
    assert [name for name in sorted(used) if f"`{name}`" not in told] == []
