"""Whether a tag may be released, and what its release says; builds and publishes nothing.

python .ci/release.py check v1.2.3 --image ghcr.io/OWNER/REPO     lines NAME=VALUE for GITHUB_OUTPUT
python .ci/release.py notes v1.2.3                                the section of CHANGELOG.md
"""

import argparse
import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

TAG = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def text(root: Path, name: str) -> str:
    """Read a file of the repository."""
    return (root / name).read_text(encoding="utf-8")


def section(root: Path, version: str) -> tuple[str, str] | None:
    """Return the heading's date, and the text below it up to the next version; None where there is no such section."""
    found = re.search(
        rf"^## \[{re.escape(version)}\] - (\S+)\n(.*?)(?=^## |\Z)",
        text(root, "CHANGELOG.md"),
        flags=re.MULTILINE | re.DOTALL,
    )
    return (found[1], found[2].strip()) if found else None


def faults(root: Path, tag: str) -> list[str]:
    """Return everything that stands in the way of releasing the checkout under this tag."""
    if not TAG.fullmatch(tag):
        return [f"tag {tag}: must be vX.Y.Z without leading zeros; delete it and tag anew."]
    version = tag[1:]
    found = []
    declared = {"pyproject.toml": tomllib.loads(text(root, "pyproject.toml"))["project"]["version"]}
    own = re.search(r'^__version__ = "(.*)"$', text(root, "credit/__init__.py"), flags=re.MULTILINE)
    declared["credit/__init__.py"] = own[1] if own else None
    for place, says in declared.items():
        if says != version:
            found.append(f"{place}: the version is {says}, the tag says {version}; make them one, then tag again.")
    told = section(root, version)
    if told is None or not dated(told[0]):
        says = f"is dated {told[0]!r}" if told else "is not there"
        found.append(f"CHANGELOG.md: section [{version}] {says}; give it a heading `## [{version}] - YYYY-MM-DD`.")
    elif not told[1]:
        found.append(f"CHANGELOG.md: section [{version}] is empty; say what has changed.")
    return found


def dated(word: str) -> bool:
    """Whether a word is a day, written YYYY-MM-DD."""
    try:
        return date.fromisoformat(word).isoformat() == word
    except ValueError:
        return False


def newest(root: Path, tag: str) -> bool:
    """Whether no tag of the repository is of a later version, so that `latest` may move here."""
    asked = subprocess.run(["git", "tag", "--list", "v*"], cwd=root, capture_output=True, text=True, check=True)
    versions = [tuple(map(int, found.groups())) for each in asked.stdout.split() if (found := TAG.fullmatch(each))]
    return max(versions, default=()) <= tuple(map(int, tag[1:].split(".")))


def outputs(root: Path, tag: str, image: str) -> dict[str, str]:
    """Return what the jobs need: version, the image's name in lower case and its tags, whether it is the latest."""
    version, last = tag[1:], newest(root, tag)
    named = [version, version.rpartition(".")[0], *(["latest"] if last else [])]
    tags = ",".join(f"{image.lower()}:{each}" for each in named)
    return {"version": version, "image": image.lower(), "tags": tags, "latest": str(last).lower()}


def main() -> None:
    """Check, or print the notes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("check", "notes"))
    parser.add_argument("tag")
    parser.add_argument("--image", default="")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    asked = parser.parse_args()
    if found := faults(asked.root, asked.tag):
        sys.exit("\n".join(found))
    if asked.what == "notes":
        told = section(asked.root, asked.tag[1:])
        print(told[1] if told else "")
        return
    for name, value in outputs(asked.root, asked.tag, asked.image).items():
        print(f"{name}={value}")


if __name__ == "__main__":
    main()
