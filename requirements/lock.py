"""Compile run.txt, image.txt and dev.txt from pyproject.toml, or say whether they still fit; knows no package by name.

    python requirements/lock.py              compile, keeping the versions already locked
    python requirements/lock.py --upgrade    compile with the newest versions that pyproject.toml allows
    python requirements/lock.py --check      compile nothing, fetch nothing; exit with 1 if they do not fit

`dev.txt` holds every extra, `run.txt` what running needs, `image.txt` what the container image adds to it: parts
of `dev.txt`, at the same versions.  All hold for every supported Python and platform, name no package index, and carry
a digest of their origin.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN, IMAGE, DEV = (Path(f"requirements/{name}.txt") for name in ("run", "image", "dev"))
#: What each file adds to the dependencies, as options of uv.
EXTRAS = {
    RUN: (),
    IMAGE: ("--extra", "notebook", "--extra", "postgres"),
    DEV: ("--all-extras",),
}
COMPILE = (
    *("uv", "pip", "compile", "pyproject.toml", "--group", "build"),
    *("--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet"),
    "--no-strip-extras",
)
HEADER = "# Compiled by `python requirements/lock.py` from the tables of pyproject.toml with this digest:\n# {}\n"


def digest(root: Path) -> str:
    """Return the SHA-256 of all that decides in pyproject.toml which packages are locked."""
    tables = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    names = ("requires-python", "dependencies", "optional-dependencies")
    decisive = [tables["project"].get(name) for name in names]
    decisive += [tables.get("dependency-groups"), tables.get("tool", {}).get("uv")]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def pins(text: str) -> set[str]:
    """Return every `name==version` of a compiled file."""
    found = re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?(==[^\s;]+)", text, flags=re.MULTILINE)
    return {name + version for name, version in found}


def faults(root: Path) -> list[str]:
    """Return what is wrong with the compiled files; needs no network."""
    texts = {path: (root / path).read_text(encoding="utf-8") for path in EXTRAS}
    found = []
    for path, text in texts.items():
        if not text.startswith(HEADER.format(digest(root))):
            found.append(f"{path}: not compiled from this pyproject.toml")
        if "://" in text:
            found.append(f"{path}: names an address; a lock must install from any index")
    for small, large in ((RUN, IMAGE), (IMAGE, DEV)):
        found += [f"{small}: {pin} is not in {large}" for pin in sorted(pins(texts[small]) - pins(texts[large]))]
    return found


def compile_one(path: Path, *options: str) -> None:
    """Let uv write `path` (relative to the repository), and put our header over it."""
    subprocess.run([*COMPILE, *options, "--output-file", str(path)], cwd=ROOT, check=True)
    compiled = (ROOT / path).read_text(encoding="utf-8")
    (ROOT / path).write_text(HEADER.format(digest(ROOT)) + twice(compiled), encoding="utf-8")


def twice(compiled: str) -> str:
    """Pin what is asked for with an extra also without it: to pip 23 these are two packages, both to be pinned."""
    block = r"^(?P<name>[a-z0-9._-]+)\[[^]]*\](?P<rest>==[^\n]*\\\n(?:    --hash=[^\n]*\n)+)"
    return re.sub(block, r"\g<name>\g<rest>\g<0>", compiled, flags=re.MULTILINE)


def main() -> None:
    """Compile unless told only to check, then check."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    if not arguments.check:
        compile_one(DEV, *EXTRAS[DEV], *(["--upgrade"] if arguments.upgrade else []))
        for part in (IMAGE, RUN):
            shutil.copyfile(ROOT / DEV, ROOT / part)  # uv keeps the versions of the file that it overwrites
            compile_one(part, *EXTRAS[part])
    if found := faults(ROOT):
        sys.exit("\n".join([*found, "Run `python requirements/lock.py` and commit what it writes."]))


if __name__ == "__main__":
    main()
