"""`credit` without its seconds of imports: a process that has them forks for each command that a shim sends it.

`Warm(folder)` puts a program `credit` into `folder`; a shell that finds it there runs commands as the console script
does, in its own folder, environment and streams.  Nothing of one command is left for the next.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["Warm"]

SHIM = """#!{python} -SsE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    socket.send_fds(line, [b"."], [0, 1, 2])
    line.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode())
    line.shutdown(socket.SHUT_WR)
    sys.exit(int(line.recv(16) or b"70"))
"""


class Warm:
    """The process and its shim, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, str(folder / "line")

    def __enter__(self) -> "Warm":
        self.folder.mkdir(parents=True, exist_ok=True)
        shim = self.folder / "credit"
        shim.write_text(SHIM.format(python=sys.executable, address=self.address), encoding="utf-8")
        shim.chmod(0o755)
        self.process = subprocess.Popen([sys.executable, __file__, self.address])
        for _ in range(1200):
            if Path(self.address).exists():
                return self
            assert self.process.poll() is None, "it ended at once"
            time.sleep(0.1)
        raise AssertionError("it does not listen after two minutes")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def serve(address: str) -> None:
    """Import what commands need, then fork for each that comes."""
    from credit import console

    console.quiet()

    import credit.data.contract
    import credit.data.tables
    import credit.governance.registry
    import credit.governance.submission
    import credit.scoring.book  # noqa: F401
    from credit.__main__ import main

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address + ".new")
        door.listen(8)
        Path(address + ".new").rename(address)
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                door.close()
                os._exit(_run(line, main))
            line.close()


def _run(line: socket.socket, main: object) -> int:
    """Become the command, in its folder, environment and streams."""
    _, streams, _, _ = socket.recv_fds(line, 1, 3)
    told = b"".join(iter(lambda: line.recv(65536), b""))
    words, folder, environ = json.loads(told)
    for at, stream in enumerate(streams):
        os.dup2(stream, at)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["credit", *words]
    code = 70
    try:
        main()  # type: ignore[operator]
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        line.sendall(str(code).encode())
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
