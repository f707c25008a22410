"""What the steps of MonitoringFlow call: each loads, calls `credit`, and returns; computes nothing itself."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch import fail
from scoring_steps import decider, open_model

if TYPE_CHECKING:  # a task must not import what it only names
    from credit.governance.registry import Registry
    from credit.monitoring.archive import Archive
    from credit.monitoring.watch import Piece
    from credit.monitoring.window import Window
    from credit.portfolio import Monitoring
    from credit.scoring.baseline import Baseline
    from credit.scoring.decider import Decider

__all__ = [
    "act",
    "check",
    "clear",
    "fails",
    "judge",
    "limits",
    "moved",
    "open_model",
    "paid",
    "report",
    "show",
    "window",
]

RULE = "-" * 78
#: Decisions looked at where nobody says which, and days that estimates are held against outcomes.
LAST, DAYS = 5_000, 366
#: Features that Evidently reports on.
REPORTED = 20
#: The window's rows in a run's folder, and seconds for which those of a run that was broken off stay.
ROWS, RESUMABLE = "rows", 86_400.0
CHOICES = {
    "fail_on": ("never", "warn", "alert"),
    "retrain": ("never", "on-alert"),
    "rollback": ("propose", "on-regression"),
}


def check(flow: Any) -> None:
    """Refuse options that contradict each other, before any work."""
    from credit.errors import ConfigError
    from credit.monitoring import webhook

    for name, choices in CHOICES.items():
        if getattr(flow, name) not in choices:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} {getattr(flow, name)}: must be one of {', '.join(choices)}.")
    ledger = flow.since or flow.until or flow.last
    if sum(map(bool, (ledger, flow.current, flow.features))) > 1:
        raise ConfigError("--since, --until and --last, --current, --features: name one window; give one of the three.")
    if flow.retrain != "never" and not flow.training_data:
        raise ConfigError("--retrain on-alert: needs --training-data; the gate decides, but not what to learn from.")
    if flow.last < 0:
        raise ConfigError(f"--last {flow.last}: must be 1 or more.")
    if url := _address(flow):
        webhook.check(url)


def window(flow: Any, run: str) -> str:
    """Take the window's rows, and keep them for the next steps."""
    from credit.monitoring.window import from_features, from_ledger, from_tables

    opened, baseline = _open(flow.model)
    also = _also(flow, opened)
    if flow.current:
        history = "none" if flow.no_history else None
        told = {"history": history, "labelled": flow.labelled, "outcomes": flow.outcomes, "also": also}
        found = from_tables(opened, baseline, flow.current, **told)
    elif flow.features:
        found = from_features(opened, baseline, flow.features, outcomes=flow.outcomes)
    else:
        last = flow.last or (None if flow.since or flow.until else LAST)
        found = from_ledger(opened, baseline, _ledger(), since=flow.since, until=flow.until, last=last, also=also)
    archive = _archive(opened.portfolio.name)
    _sweep(archive)
    return str(found.save(archive.folder(run) / ROWS))


def moved(flow: Any) -> Piece:
    """Measure what has shifted, and what it costs."""
    from credit.monitoring import watch

    opened, baseline = _open(flow.model)
    return watch.moved(opened, baseline, _window(flow), flow.limits, flow.seed)


def paid(flow: Any) -> Piece:
    """Work out what the decisions cost, over past windows too, and hold the champion against its predecessor."""
    from datetime import UTC, datetime, timedelta

    from credit.monitoring import recall, watch

    opened, baseline = _open(flow.model)
    seen, limits = _window(flow), flow.limits
    start = (datetime.now(UTC) - timedelta(days=DAYS)).isoformat(timespec="microseconds")
    past = recall.taken(_ledger(), opened.portfolio.name, since=start)
    before, said = _predecessor(flow, opened)
    pieces = (
        watch.paid(opened, baseline, seen, limits, past),
        watch.compared(opened, before, seen, limits, said=said),
    )
    return watch.joined(*pieces)


def report(flow: Any) -> tuple[Piece, str]:
    """Let Evidently report; return what it found, and the page."""
    from credit.home import Home
    from credit.monitoring import shift
    from credit.monitoring.watch import Piece

    if not flow.report:
        return Piece({"evidently": None}), "<p>No report was asked for (--report false).</p>"
    from credit.monitoring import drift

    opened, baseline = _open(flow.model)
    importance = shift.importance(opened.scorer)
    names = sorted(importance, key=lambda name: (-importance[name], name))[:REPORTED]
    folder = Path(flow.window).parent
    options = {"workspace": Home.here().workspace / "evidently", "seed": flow.seed, "budget": float(flow.budget)}
    told = drift.report(baseline, _window(flow), names, opened.portfolio, folder, **options)
    return Piece({"evidently": told}), Path(told["report"]).read_text(encoding="utf-8")


def judge(flow: Any, pieces: Sequence[Piece]) -> dict[str, Any]:
    """Put the status together; keep it in the workspace and in the ledger."""
    from credit.governance.ledger import actor
    from credit.monitoring import watch

    opened, _ = _open(flow.model)
    run = Path(flow.window).parent.name.replace("-", "/", 1)
    status = watch.judged(opened, _window(flow), run, *pieces)
    _archive(opened.portfolio.name).keep(status)
    _ledger().append(watch.MONITORING, watch.entry(status), by=actor())
    return status


def act(flow: Any, run: str) -> dict[str, Any]:
    """Do what was asked for where the status calls for it, and keep what became of each; training comes last."""
    status = flow.status
    archive = _archive(status["portfolio"])
    for name, action in (("rollback", _roll_back), ("webhook", _tell), ("retraining", _retrain)):
        status = {**status, "actions": {**status["actions"], name: action(flow, status, run)}}
        place = archive.keep(status)
    if flow.out:
        shutil.copyfile(place, flow.out)
    return status


def clear(flow: Any) -> None:
    """Remove the window's rows: they are personal data, and in the ledger or with whoever gave them."""
    shutil.rmtree(flow.window)


def show(status: dict[str, Any], run: str) -> None:
    """Print the status."""
    from credit.monitoring.words import page

    print(RULE)
    print(page(status))
    print(RULE)
    print("See more:")
    print(f"  python flows/monitoring.py card view {run}/judge")
    print("  python flows/monitoring.py card server            all cards in the browser")
    print("  python -m gradio_app                              the monitoring tab")


def fails(flow: Any) -> None:
    """Make the exit code 1 where the status is as bad as --fail-on says."""
    bad = {"never": (), "warn": ("WARN", "ALERT"), "alert": ("ALERT",)}[flow.fail_on]
    if flow.status["status"] in bad:
        fail(f"--fail-on {flow.fail_on}: the status is {flow.status['status']}.")


def _roll_back(flow: Any, status: dict[str, Any], run: str) -> dict[str, Any] | None:
    """Propose a rollback in the ledger where the champion is worse; perform it where that was asked for."""
    from credit.errors import ModelError

    found = status["regression"]
    if not found or not found.get("proposed"):
        return None
    registry = _registry(flow)
    champion = registry.champion()
    if champion is None or champion.number != status["version"]:
        raise ModelError(f"{registry.model}: the champion has changed since {run} began; monitor the new one.")
    reason = f"{found['why']} ({run})"
    told = {"to": found["predecessor"], "reason": reason, "performed": flow.rollback == "on-regression"}
    told["event"] = registry.propose(found["predecessor"], reason=reason, run=run)
    if told["performed"]:
        registry.rollback(found["predecessor"], reason=reason)
    return told


def _retrain(flow: Any, status: dict[str, Any], run: str) -> dict[str, Any] | None:
    if not _retrains(flow, status):
        return None
    import retraining

    return retraining.start(flow.training_data, flow.portfolio, run)


def _retrains(flow: Any, status: dict[str, Any]) -> bool:
    return bool(flow.retrain == "on-alert" and status["status"] == "ALERT")


def _tell(flow: Any, status: dict[str, Any], run: str) -> dict[str, Any] | None:
    """Tell the webhook the entry of the ledger, and what is done about it; nothing of a person."""
    from credit.monitoring import watch, webhook

    url = _address(flow)
    if not url:
        return None
    about = {name: status[name] for name in ("at", "synthetic")}
    about["rollback"] = status["actions"]["rollback"]
    about["retraining"] = _retrains(flow, status)
    message = {**watch.entry(status), **about, "run": run}
    return webhook.notify(url, message, token=os.environ.get("CREDIT_WEBHOOK_TOKEN", ""))


def _address(flow: Any) -> str:
    return flow.webhook or os.environ.get("CREDIT_WEBHOOK_URL", "")


def _also(flow: Any, opened: Decider) -> Any:
    """Name what the predecessor reads, so that it can be compared on the same applicants."""
    before, _ = _predecessor(flow, opened)
    return before.features if before else ()


def _predecessor(flow: Any, opened: Decider) -> tuple[Decider | None, str]:
    """Open the champion before the one that is watched; say why where there is none to compare with."""
    from credit.errors import CreditError, ServiceError
    from credit.governance.serving import open_version

    registry = _registry(flow)
    champion = registry.champion()
    if champion is None or champion.number != opened.identity.version:
        return None, f"version {opened.identity.version} is not the champion"
    before = registry.predecessor()
    if before is None:
        return None, "there was no champion before"
    try:
        return open_version(registry, before), ""
    except ServiceError:
        raise
    except CreditError as error:
        return None, f"version {before.number} cannot be opened: {error}"


def _open(model: dict[str, Any]) -> tuple[Decider, Baseline]:
    from credit.scoring.baseline import Baseline

    return decider(model), Baseline.load(model["bundle"])


def _window(flow: Any) -> Window:
    from credit.monitoring.window import Window

    return Window.load(Path(flow.window))


def limits(flow: Any) -> Monitoring:
    """Return today's limits: they may change without a new model."""
    from credit.portfolio import load

    return load(flow.portfolio).monitoring


def _ledger() -> Any:
    from credit.governance.ledger import Ledger
    from credit.home import Home

    return Ledger(Home.here().ledger_url)


def _registry(flow: Any) -> Registry:
    from credit.governance.registry import Registry
    from credit.portfolio import load

    return Registry(load(flow.portfolio).name)


def _archive(portfolio: str) -> Archive:
    from credit.home import Home
    from credit.monitoring.archive import Archive

    return Archive(Home.here(), portfolio)


def _sweep(archive: Archive) -> None:
    """Remove what runs that were broken off have left of their windows, once nobody can mean to resume them."""
    for rows in archive.root.glob(f"*/{ROWS}"):
        if time.time() - rows.stat().st_mtime > RESUMABLE:
            shutil.rmtree(rows)
