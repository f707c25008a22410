"""Workflows as data, and their steps' own shell run here, in a folder of the test's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ROOT", "checkout", "jobs", "load", "run", "shell", "steps"]

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: What a release is made from.
RELEASED = (".ci", "credit", "gradio_app", "requirements", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml")


def load(name: str) -> dict[Any, Any]:
    """Read a workflow; YAML 1.1 takes the key `on` for true."""
    found = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in found.items()}


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    """Every job, with its workflow's file and its own name."""
    return [(file.name, name, job) for file in WORKFLOWS for name, job in load(file.name)["jobs"].items()]


def steps() -> list[tuple[str, str, dict[str, Any]]]:
    """Every step, with its workflow's file and its job's name."""
    return [(file, name, step) for file, name, job in jobs() for step in job.get("steps", [])]


def shell(workflow: str, job: str, name: str) -> str:
    """The shell of one step, by the step's name or id."""
    [found] = [step for step in load(workflow)["jobs"][job]["steps"] if name in (step.get("name"), step.get("id"))]
    return found["run"]


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step's shell as a runner does with `shell: bash`, with this Python first and no network to install from."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    offline = {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1", "UV_CACHE_DIR": str(folder / ".uv")}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **offline, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def checkout(folder: Path, dated: str = "2026-11-27") -> Path:
    """Copy what a release is made from into a repository of its own; its changelog dates the newest version."""
    for name in RELEASED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / name)
    changes = folder / "CHANGELOG.md"
    changes.write_text(changes.read_text(encoding="utf-8").replace("- unreleased", f"- {dated}"), encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet", "--initial-branch", "main"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run([*git, *words], cwd=folder, check=True, capture_output=True)
    return folder
