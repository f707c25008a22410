"""What every benchmark prints, and how it measures a process; knows no question."""

import argparse
import json
import os
import platform
import resource
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, Literal

import joblib

__all__ = ["Goal", "Result", "arguments", "machine", "peak_memory", "show"]

PACKAGES = ("lightgbm", "scikit-learn", "pandas", "numpy", "metaflow", "mlflow", "ibis-framework", "duckdb")


@dataclass(frozen=True)
class Goal:
    """A figure with what it should be."""

    name: str
    value: float
    goal: float
    better: Literal["lower", "higher"]

    @property
    def met(self) -> bool:
        """Whether the value is at least as good as the goal."""
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal


@dataclass
class Result:
    """One benchmark's outcome."""

    name: str
    sizes: dict[str, Any]
    repeats: int
    figures: dict[str, Any] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        goals = [{**asdict(goal), "met": goal.met} for goal in self.goals]
        return {
            "benchmark": self.name,
            "machine": machine(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "sizes": self.sizes,
            "repeats": self.repeats,
            "figures": self.figures,
            "goals": goals,
        }


def machine() -> dict[str, Any]:
    """Describe the machine in general terms."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": joblib.cpu_count(), "memory_gib": round(memory, 1), "system": platform.system()}


def peak_memory() -> float:
    """Return the largest memory that a finished child process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Make the parser that all benchmarks share."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def show(result: Result, as_json: bool) -> None:
    """Print a result, for machines or for people."""
    content = result.to_dict()
    if as_json:
        json.dump(content, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    for name, value in content["figures"].items():
        sys.stdout.write(f"{name}: {value}\n")
    for goal in content["goals"]:
        sign = "<=" if goal["better"] == "lower" else ">="
        outcome = "met" if goal["met"] else "MISSED"
        sys.stdout.write(f"{goal['name']}: {goal['value']:.4g} (goal {sign} {goal['goal']:g}): {outcome}\n")
