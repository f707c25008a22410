"""Takes what Metaflow sends to an object store and to Kubernetes when a flow is deployed, and runs nothing of it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["Cluster", "cluster"]

FLOWS = Path(__file__).resolve().parents[1] / "flows"
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: here, cluster: {{server: "{address}"}}}}]
users: [{{name: nobody, user: {{}}}}]
contexts: [{{name: here, context: {{cluster: here, user: nobody}}}}]
"""
MISSING = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"}


class Taken(BaseHTTPRequestHandler):
    """Nothing is there yet; all that comes is taken."""

    protocol_version = "HTTP/1.1"
    server: "Door"

    def _reply(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self) -> None:
        if self.path.startswith("/apis/"):
            self._reply(404, json.dumps(MISSING).encode(), "application/json")
        else:
            self._reply(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/apis/"):
            self.server.objects[self.path.rpartition("/")[2].partition("?")[0]] = json.loads(body)
            self._reply(201, body, "application/json")
        else:
            self.server.files[self.path] = body
            self._reply(200, b"", "application/xml")

    do_HEAD = do_GET = do_DELETE = _missing  # noqa: N815 (so the library calls them)
    do_PUT = do_POST = _take  # noqa: N815

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


class Door(ThreadingHTTPServer):
    """Both services on one port."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taken)
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, dict] = {}


class Cluster:
    """Deploys a flow as one does for real, with addresses on this machine.

    `objects` holds what Kubernetes got, by plural; `files` what the object store got, by path.
    """

    def __init__(self, door: Door, folder: Path) -> None:
        self.door, self.folder = door, folder
        self.address = f"http://127.0.0.1:{door.server_port}"
        (folder / "kubeconfig").write_text(KUBECONFIG.format(address=self.address), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "METAFLOW_USER": "tests",
            "METAFLOW_HOME": str(self.folder),
            "CREDIT_HOME": str(self.folder / "home"),
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
            "METAFLOW_S3_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "eu-west-3",
            "METAFLOW_SERVICE_VERSION_CHECK": "false",
            "METAFLOW_KUBERNETES_NAMESPACE": "credit",
            "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "registry.example/credit:1",
            "METAFLOW_KUBERNETES_SECRETS": "credit",
            "METAFLOW_KUBERNETES_PERSISTENT_VOLUME_CLAIMS": '{"credit-home": "/credit"}',
            "METAFLOW_ARGO_EVENTS_EVENT": "metaflow-event",
            "METAFLOW_ARGO_EVENTS_EVENT_SOURCE": "argo-events-webhook",
            "METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT": "operate-workflow-sa",
            "METAFLOW_ARGO_EVENTS_WEBHOOK_URL": "http://argo-events.example/metaflow-event",
            "KUBECONFIG": str(self.folder / "kubeconfig"),
        }

    def create(self, flow: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``argo-workflows create``."""
        words = ["--datastore", "s3", "argo-workflows", "create", *options]
        return subprocess.run(
            [sys.executable, str(FLOWS / flow), *words],
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def compiled(self, flow: str, **environment: str) -> dict:
        """Return the workflow's JSON; nothing reaches Kubernetes."""
        done = self.create(flow, "--only-json", **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def deployed(self, flow: str, **environment: str) -> dict[str, dict]:
        """Deploy for good, and return what Kubernetes was sent, by plural."""
        self.door.objects.clear()
        done = self.create(flow, **environment)
        assert done.returncode == 0, done.stderr
        return dict(self.door.objects)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Open both services for as long as the block lasts."""
    with Door() as door:
        thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Cluster(door, folder)
        door.shutdown()
        thread.join()
