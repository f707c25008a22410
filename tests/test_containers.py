"""Dockerfile and compose.yaml, as far as that needs no container engine; `.ci/containers` does the rest."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from postgres_util import PASSWORD, USER, Server, server
from sqlalchemy.exc import OperationalError

from gradio_app.settings import Settings, _options, is_loopback

__all__ = ["server"]

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
FILES = [file for part in ("credit", "gradio_app", "flows") for file in (ROOT / part).rglob("*.py")]
CODE = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
#: Read by compose.yaml itself; the code never sees them.
COMPOSE_ONLY = {"CREDIT_IMAGE", "CREDIT_DATA"}


def instructions(name: str) -> list[str]:
    """Return what follows each `name` in the Dockerfile, its continued lines joined."""
    whole = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE))
    return re.findall(rf"(?m)^{name}\s+(.*)$", whole)


def ours() -> list[str]:
    return [name for name, service in SERVICES.items() if "build" in service]


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_than_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys()
    user = service.get("user") or instructions("USER")[-1]
    assert user.split(":")[0] not in ("0", "root")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_this_machine_alone(name):
    for port in SERVICES[name].get("ports", []):
        assert is_loopback(port.split(":")[0]), port


def test_three_services_and_their_ports():
    """What `docker compose up` starts, and where the README says that it is."""
    started = {name: service["ports"] for name, service in SERVICES.items() if "profiles" not in service}
    assert {name: re.search(r":-(\d+)}", *ports)[1] for name, ports in started.items()} == {
        "mlflow": "5005",
        "jupyter": "8888",
        "app": "7860",
    }
    others = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert others == {name: [name] for name in ("train", "monitor", "postgres")}


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_can_be_asked_whether_it_is_well(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == "service_healthy"
        assert "test" in SERVICES[other]["healthcheck"]
        assert how.get("required", True) is (other != "postgres"), "without its profile it is not there"


def test_what_is_kept_is_kept_in_named_volumes():
    mounted = [volume.split(":") for service in SERVICES.values() for volume in service["volumes"]]
    kept = {source for source, *_ in mounted if re.fullmatch(r"[a-z]+", source)}
    assert kept == COMPOSE["volumes"].keys()
    assert all(rest[-1] == "ro" for source, *rest in mounted if source not in kept), "the host's folders are only read"


def test_every_setting_that_is_passed_on_exists():
    passed = {name for service in SERVICES.values() for name in service["environment"]}
    passed |= set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    offered = set(re.findall(r"(?m)^#?([A-Z_]+)=", EXAMPLE))
    assert offered <= passed | {"COMPOSE_PROFILES"}, "a line of .env.example that nothing reads"
    passed |= set(re.findall(r"(CREDIT_\w+)=", DOCKERFILE))
    known = CODE + _options({}).format_help()  # an option's variable is made of its name
    assert {name for name in passed - COMPOSE_ONLY if name.startswith("CREDIT_") and name not in known} == set()


def test_no_secret_is_in_the_files_and_the_example_offers_no_password_that_would_do():
    for name in ("POSTGRES_PASSWORD", "MLFLOW_DB_PASSWORD", "LEDGER_DB_PASSWORD", "JUPYTER_TOKEN", "CREDIT_APP_USERS"):
        values = [service["environment"][name] for service in SERVICES.values() if name in service["environment"]]
        assert values == [None] * len(values), "it comes from the environment"
    assert all(line.startswith("#") for line in EXAMPLE.splitlines() if line), "the example alone changes nothing"


def test_the_app_in_the_image_starts_as_its_settings_say():
    declared = dict(re.findall(r"(CREDIT_\w+)=(\S+)", DOCKERFILE))
    settings = Settings.read([], declared)
    assert (settings.host, settings.port, settings.open) == ("0.0.0.0", int(instructions("EXPOSE")[0]), True)
    assert shlex.split(instructions("CMD")[-1].strip("[]").replace(",", " ")) == ["python", "-m", "gradio_app"]


def test_the_image_has_a_python_that_the_project_supports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.search(r"ARG PYTHON=(\S+)", DOCKERFILE)[1]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]


def test_the_builder_is_sent_what_is_copied_and_nothing_else():
    """Rows, state, secrets and history stay outside: what .dockerignore lets in is what COPY names."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert ignored[0] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert let_in == copied
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("name", ours())
def test_what_a_service_runs_is_in_the_image(name):
    """A command names a module, a flow or a console script that exists."""
    command = SERVICES[name].get("command", ["python", "-m", "gradio_app"])
    if command[0] == "python" and command[1].endswith(".py"):
        assert (ROOT / command[1]).is_file()
    else:
        assert command[0] in {"python", "mlflow", "sh"}


def test_each_store_in_postgresql_has_an_owner_who_cannot_reach_the_other(server: Server):
    """`create.sh` on a real server: MLflow, which has no login, must be no way to the ledger."""
    passwords = {"mlflow": "it's; one", "ledger": 'an"other'}
    environ = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGPASSWORD": PASSWORD, "POSTGRES_USER": USER}
    environ |= {"MLFLOW_DB_PASSWORD": passwords["mlflow"], "LEDGER_DB_PASSWORD": passwords["ledger"]}
    script = ["sh", str(ROOT / "docker" / "postgres" / "create.sh")]
    done = subprocess.run(script, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for owner, other in (("mlflow", "ledger"), ("ledger", "mlflow")):
        own = sa.URL.create("postgresql+psycopg", owner, passwords[owner], "127.0.0.1", server.port, owner)
        engine = sa.create_engine(own)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE mine (n integer)"))
        engine.dispose()
        stranger = sa.create_engine(own.set(database=other))
        with pytest.raises(OperationalError, match="permission denied for database"):
            stranger.connect()
        stranger.dispose()
