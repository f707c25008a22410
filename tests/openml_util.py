"""A stand-in for OpenML on this machine: the JSON and the ARFF that scikit-learn's `fetch_openml` asks for."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import _openml


@dataclass
class OpenML:
    """What the server holds; `spoil` changes an answer's bytes on their way out, by path."""

    frame: pd.DataFrame
    number: int = 7
    spoil: Callable[[str, bytes], bytes | None] = field(default=lambda path, content: content)

    @property
    def arff(self) -> bytes:
        kinds = [f"@ATTRIBUTE {name} {_kind(self.frame[name])}" for name in self.frame]
        lines = [",".join(_quoted(value) for value in row) for row in self.frame.astype(str).itertuples(index=False)]
        return "\n".join(["@RELATION any", *kinds, "@DATA", *lines, ""]).encode()

    def answer(self, path: str, base: str) -> bytes | None:
        """Return what the server says to a path, or None for 404."""
        target = self.frame.columns[-1]
        description = {"id": str(self.number), "name": "any", "version": "1", "format": "ARFF", "status": "active"}
        description |= {"url": f"{base}/data/v1/download/1/any.arff", "description": "made for a test"}
        description |= {"md5_checksum": hashlib.md5(self.arff).hexdigest()}
        features = [
            {
                "index": str(at),
                "name": name,
                "data_type": "nominal" if _kind(self.frame[name]).startswith("{") else "numeric",
                "is_target": json.dumps(name == target),
                "is_ignore": "false",
                "is_row_identifier": "false",
                "number_of_missing_values": "0",
            }
            for at, name in enumerate(self.frame)
        ]
        answers: dict[str, Any] = {
            f"/api/v1/json/data/{self.number}": {"data_set_description": description},
            f"/api/v1/json/data/features/{self.number}": {"data_features": {"feature": features}},
            f"/api/v1/json/data/qualities/{self.number}": {"data_qualities": {"quality": []}},
        }
        content = self.arff if path == "/data/v1/download/1/any.arff" else json.dumps(answers.get(path)).encode()
        return None if content == b"null" else self.spoil(path, content)


@contextmanager
def serving(held: OpenML) -> Iterator[str]:
    """Serve on a free port of this machine, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = held.answer(self.path, base)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            """Keep the terminal clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield base
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def point(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    """Let scikit-learn ask there instead of at OpenML."""
    for name in ("_SEARCH_NAME", "_DATA_INFO", "_DATA_FEATURES", "_DATA_QUALITIES"):
        address = getattr(_openml, name).replace("https://www.openml.org", base)
        assert address.startswith(base)
        monkeypatch.setattr(_openml, name, address)


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_numeric_dtype(column):
        return "numeric"
    return "{" + ",".join(_quoted(level) for level in sorted(set(column))) + "}"


def _quoted(value: str) -> str:
    return f"'{value}'" if not value.replace(".", "").replace("-", "").isalnum() else value
