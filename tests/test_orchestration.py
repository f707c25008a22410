"""Both flows compile to what Argo Workflows and Argo Events take, and there an alert is an event.

Metaflow itself compiles and deploys; only the object store and the Kubernetes API it speaks to are ours.
"""

import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argo_util import FLOWS, Cluster, cluster
from receiver_util import receiving

CRON = "30 5 1 * *"
DEPLOYED = {
    "CREDIT_MONITORING_CRON": CRON,
    "CREDIT_MONITORING_TIMEZONE": "Europe/Paris",
    "CREDIT_RETRAIN": "on-alert",
    "CREDIT_TRAINING_DATA": "/credit/book",
}
STEPS = {
    "training.py": {"start", "select", "fit", "choose", "evaluate", "register", "end"},
    "monitoring.py": {"start", "drift", "money", "evidently", "judge", "act", "end"},
}
#: Metaflow 2.19 asks for the time in a way that Python 3.12 warns of.
PUBLISH = """
import json, warnings
warnings.filterwarnings("ignore", message="datetime.datetime.utcnow", category=DeprecationWarning)
import retraining
from credit.errors import CreditError
try:
    print(json.dumps(retraining.start("/credit/book", "home_credit", "MonitoringFlow/argo-17")))
except CreditError as error:
    print(json.dumps({"error": str(error), "code": error.exit_code}))
"""


@pytest.fixture(scope="module")
def argo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if importlib.util.find_spec("kubernetes") is None:
        reason = "the package `kubernetes` is missing; install credit[argo]"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with cluster(tmp_path_factory.mktemp("argo")) as opened:
        yield opened


@pytest.fixture(scope="module")
def compiled(argo: Cluster) -> dict[str, dict]:
    return {flow: argo.compiled(flow, **DEPLOYED) for flow in STEPS}


@pytest.fixture(scope="module")
def deployed(argo: Cluster) -> dict[str, dict[str, dict]]:
    return {flow: argo.deployed(flow, **DEPLOYED) for flow in STEPS}


def containers(workflow: dict) -> dict[str, dict]:
    """The container of each step."""
    return {each["name"]: each["container"] for each in workflow["spec"]["templates"] if "container" in each}


def parameters(workflow: dict) -> dict[str, object]:
    given = workflow["spec"]["arguments"]["parameters"]
    return {each["name"]: json.loads(each["value"]) for each in given}


def variables(container: dict) -> dict[str, object]:
    return {each["name"]: each.get("value") for each in container["env"]}


@pytest.mark.parametrize("flow", STEPS)
def test_a_flow_compiles_with_its_steps_image_resources_volume_and_secrets(compiled: dict, flow: str) -> None:
    workflow = compiled[flow]
    assert (workflow["apiVersion"], workflow["kind"]) == ("argoproj.io/v1alpha1", "WorkflowTemplate")
    assert workflow["metadata"]["namespace"] == "credit"
    found = containers(workflow)
    assert STEPS[flow] <= set(found)
    for step in STEPS[flow]:
        container = found[step]
        assert container["image"] == "registry.example/credit:1"
        assert float(container["resources"]["requests"]["cpu"]) == 1
        assert container["resources"]["requests"]["memory"].rstrip("M").removesuffix(".0") == "4096"
        assert "/credit" in {mount["mountPath"] for mount in container["volumeMounts"]}
        assert [source["secretRef"]["name"] for source in container["envFrom"]] == ["credit"]
        assert variables(container)["METAFLOW_ARGO_EVENTS_WEBHOOK_URL"] == "http://argo-events.example/metaflow-event"


@pytest.mark.parametrize("flow", STEPS)
def test_the_package_that_pods_unpack_holds_the_flow_and_the_library(argo: Cluster, compiled, flow: str) -> None:
    """A module left out is found only when a pod imports it."""
    [url] = {variables(each)["METAFLOW_CODE_URL"] for each in containers(compiled[flow]).values() if each["env"]}
    packed = argo.door.files["/" + str(url).removeprefix("s3://")]
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = {name.removeprefix(".mf_code/") for name in archive.getnames()}
    wanted = {path.relative_to(FLOWS).as_posix() for path in FLOWS.glob("*.py")}
    library = {path.relative_to(FLOWS.parent).as_posix() for path in (FLOWS.parent / "credit").rglob("*.py")}
    assert wanted | library | {"credit/portfolios/home_credit.toml"} <= names


def test_the_schedule_of_monitoring_is_the_environments(compiled: dict, deployed: dict) -> None:
    notes = compiled["monitoring.py"]["metadata"]["annotations"]
    assert json.loads(notes["metaflow/cron"]) == {"schedule": CRON, "tz": "Europe/Paris"}
    schedule = deployed["monitoring.py"]["cronworkflows"]["spec"]
    assert (schedule["schedule"], schedule["timezone"], schedule["suspend"]) == (CRON, "Europe/Paris", False)
    assert schedule["workflowSpec"]["workflowTemplateRef"]["name"] == "monitoringflow"


def test_a_scheduled_run_has_the_parameters_of_its_deployment(compiled: dict) -> None:
    given = parameters(compiled["monitoring.py"])
    assert (given["retrain"], given["training-data"]) == ("on-alert", "/credit/book")
    assert (given["portfolio"], given["rollback"], given["since"]) == ("home_credit", "propose", None)


def test_training_waits_for_an_alert_and_takes_from_it_what_to_train_on(compiled: dict, deployed: dict) -> None:
    notes = compiled["training.py"]["metadata"]["annotations"]
    assert json.loads(notes["metaflow/triggers"]) == [{"name": "credit_alert", "type": "event"}]
    assert "metaflow/cron" not in notes
    sensor = deployed["training.py"]["sensors"]
    [dependency] = sensor["spec"]["dependencies"]
    assert (dependency["eventName"], dependency["eventSourceName"]) == ("metaflow-event", "argo-events-webhook")
    assert dependency["filters"]["exprs"][0]["expr"] == "name == 'credit_alert'"
    [trigger] = sensor["spec"]["triggers"]
    started = trigger["template"]["k8s"]
    assert started["source"]["resource"]["spec"]["workflowTemplateRef"]["name"] == "trainingflow"
    taken = {each["dest"] for each in started["parameters"] if each["src"]["dataTemplate"]}
    assert taken == {f"spec.arguments.parameters.#(name={name}).value" for name in ("data", "portfolio", "monitoring")}


def test_monitoring_waits_for_no_event_and_training_runs_on_no_schedule(deployed: dict) -> None:
    assert set(deployed["monitoring.py"]) == {"workflowtemplates", "cronworkflows"}
    assert set(deployed["training.py"]) == {"workflowtemplates", "sensors"}


def test_a_timetable_that_is_none_is_refused(argo: Cluster) -> None:
    done = argo.create("monitoring.py", "--only-json", CREDIT_MONITORING_CRON="daily")
    assert done.returncode != 0
    assert "CREDIT_MONITORING_CRON='daily': must have five fields" in done.stderr
    assert "Traceback" not in done.stderr


def published(folder: Path, **environment: str) -> dict:
    """Ask for a training as a step on Argo Workflows does."""
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(FLOWS), "METAFLOW_HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / ".metaflow").exists(), "no training was started here"
    return json.loads(done.stdout.splitlines()[-1])


ARGO = {"ARGO_WORKFLOW_TEMPLATE": "monitoringflow"}


def test_on_argo_an_alert_is_published_with_what_the_sensor_reads(tmp_path: Path) -> None:
    with receiving(200) as server:
        told = published(tmp_path, METAFLOW_ARGO_EVENTS_WEBHOOK_URL=server.address + "/metaflow-event", **ARGO)
        [(path, _, body)] = server.asked
    sent = json.loads(body)
    assert (told.pop("event"), told.pop("id")) == ("credit_alert", sent["payload"]["id"])
    assert set(told) == {"run", "version", "verdict", "why", "promoted", "champion"}
    assert set(told.values()) == {None}, "nothing is known of a training that nobody waited for"
    assert (path, sent["name"], sent["payload"]["name"]) == ("/metaflow-event", "credit_alert", "credit_alert")
    assert sent["payload"]["data"] == "/credit/book"
    assert sent["payload"]["portfolio"] == "home_credit"
    assert sent["payload"]["monitoring"] == "MonitoringFlow/argo-17"


def test_an_event_that_nobody_takes_is_an_error_and_no_silence(tmp_path: Path) -> None:
    with receiving(500) as server:
        told = published(tmp_path, METAFLOW_ARGO_EVENTS_WEBHOOK_URL=server.address, **ARGO)
    assert told["code"] == 3
    assert "Unable to publish Argo Event (credit_alert)" in told["error"]


def test_no_address_for_events_is_said(tmp_path: Path) -> None:
    told = published(tmp_path, **ARGO)
    assert told["code"] == 2
    assert "METAFLOW_ARGO_EVENTS_WEBHOOK_URL: not set" in told["error"]
