"""What the steps of ScoringFlow call: each loads, calls `credit`, and returns plain values; computes nothing itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a task must not import what it only names
    from credit.scoring.decider import Decider
    from credit.scoring.plan import Plan
    from credit.scoring.shards import Done

__all__ = ["add", "clear", "decider", "divide", "features", "join", "open_model", "record", "show", "summary"]

RULE = "-" * 78
#: In the output's folder, for as long as the run takes.
PARTS = "parts"
ACTIONS = ("approve", "review", "decline")


def open_model(portfolio: str, version: int) -> dict[str, Any]:
    """Find the champion, or a version by number; the whole run uses that one, whoever is promoted meanwhile."""
    from credit.errors import ModelError
    from credit.governance.registry import Registry
    from credit.portfolio import load

    registry = Registry(load(portfolio).name)
    found = registry.version(version) if version else registry.champion()
    if found is None:
        raise ModelError(f"{registry.model}: has no champion; train one, promote a version, or give --version.")
    bundle = str(registry.load(found))
    return {"bundle": bundle, "model": found.model, "version": found.number, "digest": found.digest}


def decider(model: dict[str, Any]) -> Decider:
    """Open the model, if its files are still those that were registered."""
    from credit.errors import ModelError
    from credit.governance.release import digest
    from credit.scoring.decider import Decider

    bundle = Path(model["bundle"])
    if not bundle.is_dir() or digest(bundle) != model["digest"]:
        raise ModelError(f"{bundle}: not what was registered any more; remove the folder, and run again.")
    return Decider.load(bundle, model["model"], model["version"], model["digest"])


def features(flow: Any, opened: Decider) -> dict[str, Any]:
    """Return where the features are; of raw rows, make them first."""
    from dataclasses import asdict

    from credit.errors import ConfigError
    from credit.scoring import book

    if bool(flow.data) == bool(flow.features):
        raise ConfigError("--data and --features: give one of the two, raw tables or features that are there.")
    if flow.features:
        return {"features": flow.features, "rejects": None, "rejected": 0, "fingerprint": None}
    history = book.NO_HISTORY if flow.no_history else None
    place = Path(flow.out) / PARTS / "features"
    made = book.prepare(opened, flow.data, place, history=history, labelled=flow.labelled, memory=flow.memory)
    return asdict(made)


def divide(flow: Any, opened: Decider) -> Plan:
    """Look at the features, and divide their rows."""
    from credit.scoring import plan

    folder = Path(flow.out) / PARTS
    rows = flow.prepared["features"]
    return plan.divide(opened, rows, folder, flow.shard_rows, reasons=flow.reasons, memory=flow.memory)


def add(flow: Any, inputs: Iterable[Any]) -> Done:
    """Count all shards together, and the raw rows that never became features."""
    from credit.scoring.shards import Done, lost

    total, rejected = Done(), _raw_rejects(flow)
    if rejected is not None:
        total.add(lost(rejected, decider(flow.model).portfolio.key, shown(flow.data)))
    for task in inputs:
        total.add(task.done)
    return total


def join(flow: Any) -> dict[str, str]:
    """Write the two files."""
    from credit.scoring import shards

    return shards.join(flow.plan, flow.out, _raw_rejects(flow))


def _raw_rejects(flow: Any) -> Any:
    """Read the lines of raw rows that broke the contract, if raw rows were given."""
    import pandas as pd

    place = flow.prepared["rejects"]
    return pd.read_parquet(place).assign(file=shown(flow.data)) if place else None


def summary(flow: Any) -> dict[str, Any]:
    """Collect the run's outcome as plain values; what `ScoringFlow` keeps as `summary`."""
    from credit.scoring import book

    opened = decider(flow.model)
    source = flow.data or flow.features
    total = flow.total
    return {
        "portfolio": opened.portfolio.name,
        "title": opened.portfolio.title.en,
        "synthetic": opened.reference.synthetic or book.is_synthetic(source),
        "source": shown(source),
        "model": flow.model["model"],
        "version": flow.model["version"],
        "digest": flow.model["digest"],
        "threshold": opened.scorer.threshold,
        "rows": flow.plan.rows + flow.prepared["rejected"],
        "scored": total.scored,
        "rejected": total.rejected,
        "mean_probability": total.total / max(total.scored, 1),
        "decisions": {name: total.decisions[name] for name in ACTIONS if name in total.decisions},
        "bands": {band.name: total.bands[band.name] for band in opened.portfolio.bands},
        "rules": dict(total.rules),
        "examples": total.examples,
        "unknown_levels": dict(total.unknown),
        "histogram": total.histogram,
        "shards": len(flow.plan.shards),
        "input_sha256": flow.prepared["fingerprint"] or flow.plan.fingerprint,
        "features_sha256": flow.plan.fingerprint,
        **flow.files,
    }


def shown(source: str) -> str:
    """Write a source without its password."""
    from credit.data import database

    return str(database.Database(source)) if "://" in source else source


def record(outcome: dict[str, Any]) -> int:
    """Write one event for the run into the ledger: ten million chained rows would be of no use to anyone."""
    from credit.governance.ledger import Ledger, actor
    from credit.governance.records import Records
    from credit.home import Home

    kept = {name: value for name, value in outcome.items() if name not in ("examples", "histogram", "title")}
    return Records(Ledger(Home.here().ledger_url)).book(kept, by=actor())


def clear(flow: Any) -> None:
    """Remove the parts; without the plan, whose module would bring all that scores."""
    shutil.rmtree(Path(flow.out) / PARTS, ignore_errors=True)


def show(outcome: dict[str, Any], run: str) -> None:
    """Print the summary, and where to see more."""
    made_up = " (SYNTHETIC)" if outcome["synthetic"] else ""
    print(RULE)
    print(f"{outcome['portfolio']}{made_up}, {outcome['model']} version {outcome['version']}")
    print(f"{outcome['scored']:,} of {outcome['rows']:,} rows scored, {outcome['rejected']:,} rejected")
    for what in ("decisions", "bands", "rules", "unknown_levels"):
        counts = ", ".join(f"{name} {count:,}" for name, count in outcome[what].items())
        print(f"{what.replace('_', ' '):<18}{counts or 'none'}")
    print(f"{'decisions file':<18}{outcome['decisions_file']}\n{'rejected rows':<18}{outcome['rejects_file']}")
    print(f"{'ledger':<18}event {outcome['event']}")
    print(RULE)
    print(f"See the card: python flows/scoring.py card view {run}/join")
