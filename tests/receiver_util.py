"""A receiver of messages on this machine: answers as it is told to, and keeps what it was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Receiver", "receiving"]


class Receiver(ThreadingHTTPServer):
    """Answers with one status after the other, the last for ever; keeps what it was asked."""

    daemon_threads = True

    def __init__(self, statuses: list[int], headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.statuses, self.extra = statuses, headers
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses[min(len(self.server.asked), len(self.server.statuses) - 1)]
        self.server.asked.append((self.path, dict(self.headers), body))
        self.send_response(status)
        for name, value in self.server.extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(*statuses: int, **headers: str) -> Iterator[Receiver]:
    """Run a receiver for as long as the block lasts."""
    with Receiver(list(statuses), {name.replace("_", "-"): value for name, value in headers.items()}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
