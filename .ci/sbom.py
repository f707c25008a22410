"""The wheel's locked dependencies as a CycloneDX 1.6 bill of materials; reads two files, asks no server.

    python .ci/sbom.py > credit.cdx.json

It holds what requirements/run.txt locks for every supported Python and platform, each with the condition under which it
is installed, and who asks for it.
"""

import json
import re
import sys
import tomllib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^\s;]+)(\s*;\s*(?P<marker>[^\\]*?))?\s*(\\|$)")
ASKED = re.compile(r"^    # (?:via |  )(?P<name>[a-z0-9._-]+)(\[[^]]*\])?(?P<own> \(.*\))?$")
NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's for addresses


@dataclass
class Pin:
    """One locked version."""

    name: str
    version: str
    marker: str
    asked_by: set[str]

    @property
    def purl(self) -> str:
        """Its package URL, which names it here too."""
        return f"pkg:pypi/{self.name}@{self.version}"

    @property
    def ref(self) -> str:
        """What tells it from other pins of the same version under other conditions."""
        return self.purl + (f"#{self.marker}" if self.marker else "")


def pins(lock: str) -> list[Pin]:
    """Read a compiled requirements file; a package that is asked for with an extra too counts once."""
    found: dict[str, Pin] = {}
    current: Pin | None = None
    for line in lock.splitlines():
        if start := PIN.match(line):
            pin = Pin(start["name"], start["version"], (start["marker"] or "").strip(), set())
            current = found.setdefault(pin.ref, pin)
        elif current and (asked := ASKED.match(line)):
            current.asked_by.add("" if asked["own"] else asked["name"])
    return list(found.values())


def bill(project: dict[str, Any], lock: str) -> dict[str, Any]:
    """Put the bill of materials together; the same lock gives the same bill."""
    name, version = project["name"], project["version"]
    root, locked = f"pkg:pypi/{name}@{version}", pins(lock)
    wants: dict[str, list[str]] = {root: [], **{pin.ref: [] for pin in locked}}
    refs: dict[str, list[str]] = {"": [root]}
    for pin in locked:
        refs.setdefault(pin.name, []).append(pin.ref)
    for pin in locked:
        for who in pin.asked_by:
            for ref in refs[who]:
                wants[ref].append(pin.ref)
    about = {"type": "application", "bom-ref": root, "name": name, "version": version, "purl": root}
    about |= {"description": project["description"], "licenses": [{"license": {"id": project["license"]}}]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, root + lock)}",
        "version": 1,
        "metadata": {"component": about},
        "components": [_component(pin) for pin in locked],
        "dependencies": [{"ref": ref, "dependsOn": sorted(set(wanted))} for ref, wanted in wants.items()],
    }


def _component(pin: Pin) -> dict[str, Any]:
    told = {"type": "library", "bom-ref": pin.ref, "name": pin.name, "version": pin.version, "purl": pin.purl}
    if pin.marker:
        told["properties"] = [{"name": "python:marker", "value": pin.marker}]
    return told


def main() -> None:
    """Print it."""
    root = Path(__file__).resolve().parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (root / "requirements" / "run.txt").read_text(encoding="utf-8")
    json.dump(bill(project, lock), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
