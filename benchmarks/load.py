"""Ask an HTTP server from several clients at once, each on a connection of its own; a process by itself.

    python -m benchmarks.load ADDRESS BODIES CLIENTS REQUESTS

BODIES is a file with one JSON body a line.  Prints one JSON object: what each request took, and what went wrong.
"""

import http.client
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["load"]

TIMEOUT = 60.0
#: Requests of each client that are not timed.
WARM = 2


def load(address: str, bodies: list[bytes], clients: int, requests: int) -> dict[str, Any]:
    """Post `requests` bodies in all, from `clients` connections; seconds of each, and errors by kind."""
    share = [bodies[at::clients] or bodies for at in range(clients)]
    each = max(1, requests // clients)
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(lambda own: _client(address, own, each), share))
    wall = time.perf_counter() - began
    errors = sum((each for _, each in found), Counter[str]())
    return {"seconds": [one for times, _ in found for one in times], "errors": dict(errors), "wall": wall}


def _client(address: str, bodies: list[bytes], requests: int) -> tuple[list[float], Counter[str]]:
    url = urlsplit(address)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=TIMEOUT)
    seconds: list[float] = []
    errors: Counter[str] = Counter()
    for at in range(requests + WARM):
        began = time.perf_counter()
        try:
            connection.request("POST", url.path, bodies[at % len(bodies)], {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                errors[str(answer.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            errors[type(error).__name__] += 1
            connection.close()
        if at >= WARM:
            seconds.append(time.perf_counter() - began)
    connection.close()
    return seconds, errors


if __name__ == "__main__":
    target, file, clients, requests = sys.argv[1:]
    lines = Path(file).read_bytes().splitlines()
    sys.stdout.write(json.dumps(load(target, lines, int(clients), int(requests))) + "\n")
