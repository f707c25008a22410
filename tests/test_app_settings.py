"""The app's settings: nothing weak, empty or ambiguous starts a server that others can reach."""

import subprocess
import sys
from pathlib import Path

import pytest

from credit.errors import ConfigError
from gradio_app.__main__ import main
from gradio_app.settings import Settings, is_loopback

ROOT = Path(__file__).resolve().parents[1]
USERS = "anna:correct-horse-9,bob:battery-staple-7"
TOKEN = "robot:Zk3-f8Qw7_xPl29sVb4nTy6u"


def read(*options, **environ):
    return Settings.read(options, environ)


def test_without_settings_it_serves_this_machine_alone():
    settings = read()
    assert (settings.host, settings.port, settings.guarded, settings.data) == ("127.0.0.1", 7860, False, "")
    assert (settings.users, settings.tokens, settings.hosts) == ({}, {}, ())


def test_options_come_before_the_environment():
    environ = {"CREDIT_APP_PORT": "1", "CREDIT_APP_HOST": "localhost", "CREDIT_APP_DATA": "here", "CREDIT_HOME": "h"}
    settings = read("--port", "0", "--portfolio", "other", **environ)
    assert (settings.host, settings.port, settings.portfolio, settings.data) == ("localhost", 0, "other", "here")
    assert settings.home.root == Path("h").absolute()


def test_people_and_machines():
    settings = read(CREDIT_APP_USERS=USERS, CREDIT_APP_TOKENS=TOKEN, CREDIT_APP_HOSTS="credit.example, Other")
    assert dict(settings.users) == {"anna": "correct-horse-9", "bob": "battery-staple-7"}
    assert dict(settings.tokens) == {"robot": TOKEN.partition(":")[2]}
    assert settings.hosts == ("credit.example", "other")
    assert "horse" not in repr(settings), "a password in a log is a password lost"
    assert TOKEN.partition(":")[2] not in repr(settings)


def test_a_file_of_secrets_may_hold_what_a_list_cannot(tmp_path):
    """A container's secret is a file; there a password may hold commas and colons."""
    file = tmp_path / "users"
    file.write_text("# who\nanna:a,b:c d-e,f g\n\n", encoding="utf-8")
    assert dict(read(CREDIT_APP_USERS_FILE=str(file)).users) == {"anna": "a,b:c d-e,f g"}


def test_numbers():
    settings = read(CREDIT_APP_ROWS="5", CREDIT_APP_RATE="0", CREDIT_APP_UPLOAD_MB="0.5", CREDIT_APP_QUEUE="")
    assert (settings.rows, settings.rate, settings.upload_mb, settings.queue) == (5, 0.0, 0.5, 64)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CREDIT_APP_USERS": ""}, "is set and names nobody"),
        ({"CREDIT_APP_USERS": " , "}, "is set and names nobody"),
        ({"CREDIT_APP_TOKENS": ""}, "is set and names nobody"),
        ({"CREDIT_APP_USERS": "anna"}, "entry 1 is not name:password"),
        ({"CREDIT_APP_USERS": f"{USERS},:correct-horse-9"}, "entry 3 is not name:password"),
        ({"CREDIT_APP_USERS": "an na:correct-horse-9"}, "entry 1 is not name:password"),
        ({"CREDIT_APP_USERS": "anna:"}, "the secret of 'anna' is weak"),
        ({"CREDIT_APP_USERS": "anna:short-one"}, "the secret of 'anna' is weak"),
        ({"CREDIT_APP_USERS": "anna:aaaaaaaaaaaaaaaa"}, "the secret of 'anna' is weak"),
        ({"CREDIT_APP_USERS": "anna:Anna-1234567"}, "the secret of 'anna' is weak"),
        ({"CREDIT_APP_TOKENS": "robot:correct-horse-9"}, "at least 24 characters"),
        ({"CREDIT_APP_USERS": f"{USERS},anna:another-secret-1"}, "'anna' is there twice"),
        ({"CREDIT_APP_USERS": f"{USERS},carl:correct-horse-9"}, "'carl' has another one's secret"),
        ({"CREDIT_APP_USERS": "robot:correct-horse-9", "CREDIT_APP_TOKENS": TOKEN}, "'robot' is a user too"),
        ({"CREDIT_APP_USERS": USERS, "CREDIT_APP_USERS_FILE": "f"}, "CREDIT_APP_USERS_FILE is set too"),
        ({"CREDIT_APP_USERS_FILE": "no-such-file"}, "No such file"),
        ({"CREDIT_APP_PORT": "http"}, "--port http: is no port"),
        ({"CREDIT_APP_PORT": "65536"}, "--port 65536: is no port"),
        ({"CREDIT_APP_ROWS": "many"}, "must be a whole number from 1 to 100000"),
        ({"CREDIT_APP_ROWS": "0"}, "must be a whole number"),
        ({"CREDIT_APP_RATE": "-1"}, "must be a number from 0"),
        ({"CREDIT_APP_RATE": "nan"}, "must be a number from 0"),
        ({"CREDIT_APP_OPEN": "true"}, "CREDIT_APP_OPEN=true: is neither yes nor no"),
        ({"CREDIT_APP_OPEN": "no", "CREDIT_APP_HOST": "0.0.0.0"}, "nobody would be asked for a password"),
    ],
)
def test_a_bad_setting_is_one_clear_error(environ, said):
    with pytest.raises(ConfigError) as caught:
        read(**environ)
    assert said in str(caught.value)
    for secret in ("correct-horse", "short-one", "another-secret", "aaaa", "1234567"):
        assert secret not in str(caught.value), "the message ends up in a log"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "credit.example", ""])
def test_other_machines_reach_it_only_with_passwords(host):
    with pytest.raises(ConfigError, match="nobody would be asked for a password"):
        Settings(host=host)
    assert Settings(host=host, users={"anna": "correct-horse-9"}).guarded
    assert Settings(host=host, tokens={"robot": "x" * 24}).guarded


def test_a_container_says_that_its_port_is_published_on_its_machine_alone():
    settings = read(CREDIT_APP_HOST="0.0.0.0", CREDIT_APP_OPEN="yes")
    assert settings.open
    assert not settings.guarded
    assert read(CREDIT_APP_HOST="0.0.0.0", CREDIT_APP_OPEN="yes", CREDIT_APP_USERS=USERS).guarded


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "LocalHost")),
        *((host, False) for host in ("0.0.0.0", "localhost.example", "127.0.0.1.example", "")),
    ],
)
def test_what_only_this_machine_can_reach(host, own):
    assert is_loopback(host) is own


def test_the_program_refuses_to_start(capsys):
    assert main(["--host", "0.0.0.0"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: --host 0.0.0.0: other machines could reach the app")
    assert "Traceback" not in told


def test_the_program_itself_refuses_to_start(tmp_path):
    """As a user runs it: another process, which must end and not listen."""
    command = [sys.executable, "-m", "gradio_app", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --host 0.0.0.0")
