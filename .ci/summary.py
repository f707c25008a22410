"""What a run of a flow found, in Markdown for a workflow's summary; judges nothing.

python .ci/summary.py training RUN_ID_FILE      what `flows/training.py run --run-id-file` wrote, in the same folder
python .ci/summary.py monitoring STATUS_FILE    what `flows/monitoring.py run --out` wrote
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metaflow import Run, namespace

from credit.governance.verdict import Verdict

SYNTHETIC = (
    "> [!WARNING]\n> **SYNTHETIC data: nobody in them exists. No figure here says anything about real applicants.**\n"
)
COSTS = {"promised": "on validation rows", "expected": "of these decisions", "realised": "of what has matured"}


def training(summary: Mapping[str, Any]) -> Iterator[str]:
    """Write what `TrainingFlow` keeps as `summary`."""
    verdict, version = Verdict.from_dict(summary["verdict"]), summary["version"]
    done = f"version {version} is the new champion" if verdict.promote else f"version {version} is not promoted"
    yield f"## {plain(summary['portfolio'])}: {done}\n"
    if summary["synthetic"]:
        yield SYNTHETIC
    rows = ", ".join(f"{fold} {size['rows']:,}" for fold, size in summary["rows"].items())
    yield f"{plain(verdict.summary)} Winner: {plain(summary['winner'])}; rows: {rows}.\n"
    yield from table(
        ("rule", "figure", "limit", "outcome", "reason"),
        (
            (rule.name, rule.shown, rule.limit, bold(rule.mark, rule.passed is False), rule.text)
            for rule in verdict.rules
        ),
    )
    made_up = " (SYNTHETIC)" if summary["synthetic"] else ""
    yield f"### Cost per applicant on test{made_up}\n"
    policies = ((row["policy"], interval(row, "cost"), interval(row, "saving")) for row in summary["test"]["policies"])
    yield from table(("policy", "cost", "saved by the model"), policies)
    yield f"### Candidates on validation{made_up}\n"
    yield from table(
        ("candidate", "features", "cost", "AUC", "calibration"),
        (
            (
                each["name"] + (" (reference)" if each["reference"] else ""),
                str(each["features"]),
                interval(each["cost"]),
                interval(each["auc"]),
                each["calibration"],
            )
            for each in summary["candidates"]
        ),
    )
    for name, failure in summary["failed"].items():
        yield f"- {plain(name)} failed: {plain(failure)}"


def monitoring(status: Mapping[str, Any]) -> Iterator[str]:
    """Write what `MonitoringFlow` keeps as `status`."""
    seen, made_up = status["window"], " (SYNTHETIC)" if status["synthetic"] else ""
    model = f"{plain(status['model'])} version {status['version']}"
    yield f"## {status['status']}: {plain(status['title']['en'])}, {model}\n"
    if status["synthetic"]:
        yield SYNTHETIC
    span = f", {seen['start'][:10]} to {seen['end'][:10]}" if seen["start"] else ""
    matured = f"{seen['matured']:,} with an outcome"
    yield f"{seen['applicants']:,} applicants from {plain(seen['source'])}{span}; {matured}.\n"
    if status["findings"]:
        rows = ((each["severity"], each["kind"], each["subject"], each["why"]) for each in status["findings"])
        ranked = ((str(rank), bold(row[0], row[0] == "ALERT"), *row[1:]) for rank, row in enumerate(rows, start=1))
        yield from table(("", "severity", "kind", "subject", "reason"), ranked)
    else:
        yield "Nothing is beyond its limit and beyond chance.\n"
    yield f"### Cost per applicant{made_up}\n"
    money = ((name, of, interval(status["money"][name])) for name, of in COSTS.items() if status["money"][name])
    yield from table(("cost", "of", "95% interval"), money)
    if (found := status["regression"]) is not None:
        yield f"Champion against predecessor: {plain(found['why'])}\n"
    if (back := status["actions"]["rollback"]) is not None:
        yield f"**{'Rolled back' if back['performed'] else 'A rollback is proposed'} to version {back['to']}.**\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Write a table."""
    head = tuple(head)
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(plain(cell) for cell in row)} |"
    yield ""


def interval(values: Mapping[str, Any], name: str = "") -> str:
    """Write an estimate with its interval, from three keys of their own or from three that begin with `name`."""
    keys = (name, f"{name}_low", f"{name}_high") if name else ("estimate", "low", "high")
    estimate, low, high = (values[key] for key in keys)
    return f"{estimate:.4f} ({low:.4f} to {high:.4f})"


def bold(word: str, loud: bool) -> str:
    """Make a word bold where it matters."""
    return f"**{word}**" if loud else word


def plain(text: object) -> str:
    """Keep a text from being read as a cell's end or as HTML: levels and names come from data."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def kept(file: Path) -> dict[str, Any]:
    """Return the summary of a training run of this folder."""
    namespace(None)
    found: dict[str, Any] = Run(f"TrainingFlow/{file.read_text(encoding='utf-8').strip()}").data.summary
    return found


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("training", "monitoring"))
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    if asked.what == "training":
        print("\n".join(training(kept(asked.file))))
    else:
        print("\n".join(monitoring(json.loads(asked.file.read_text(encoding="utf-8")))))


if __name__ == "__main__":
    main()
