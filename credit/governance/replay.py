"""Make a recorded decision again with the version that made it, and say what differs; records nothing."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from credit.errors import ConfigError, CreditError, ServiceError
from credit.governance.plain import plain
from credit.governance.recorded import Recorded
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.scoring.decider import Decision

__all__ = ["Replay", "replay"]


@dataclass(frozen=True)
class Replay:
    """What came of making a decision again.

    Parameters
    ----------
    number : int
        The decision's.
    same : bool
        Whether everything is the same, bit for bit.
    differences : tuple of str
        What is not, or why it cannot be made again; one sentence each.
    decision : Decision or None
        As it was made again.
    """

    number: int
    same: bool
    differences: tuple[str, ...]
    decision: Decision | None


def replay(records: Records, registry: Registry, number: int) -> Replay:
    """Make a decision again from its recorded rows, with the registered version that made it.

    Parameters
    ----------
    records : Records
        Where it is recorded.
    registry : Registry
        Where the version is; whether it is champion does not matter.
    number : int
        The decision's.

    Returns
    -------
    Replay
        The probability, expected costs and standing are compared bit for bit; decision, threshold, class of risk,
        reasons, missing columns and the features' hash as they are.

    Raises
    ------
    ConfigError
        If the registry is another portfolio's.
    DataError
        If there is no such decision, or its record was edited.
    ServiceError
        If the ledger or the registry does not answer.
    """
    recorded = records.find(number)
    if recorded.model and recorded.model != registry.model:
        raise ConfigError(
            f"decision {number}: was made by {recorded.model}, not by {registry.model}; open its registry."
        )
    if hindrance := _hindrance(recorded):
        return Replay(number, False, (hindrance,), None)
    try:
        decision = _again(recorded, registry)
    except ServiceError:
        raise
    except CreditError as error:
        return Replay(number, False, (f"it cannot be made again: {error}",), None)
    differences = tuple(_differences(recorded, decision))
    return Replay(number, not differences, differences, decision)


def _hindrance(recorded: Recorded) -> str:
    if recorded.erased:
        return (
            "it cannot be made again: its application was erased from the ledger; what is left is "
            f"{recorded.decision!r} at a probability of about {recorded.probability:.3f} by version {recorded.version}."
        )
    if not recorded.version:
        return "it cannot be made again: the model that made it was not registered."
    return ""


def _again(recorded: Recorded, registry: Registry) -> Decision:
    version = registry.version(recorded.version)
    if version.digest != recorded.digest:
        raise ConfigError(
            f"{version} is another model today (SHA-256 {version.digest[:12]}..., the decision was made by "
            f"{recorded.digest[:12]}...); restore the registry."
        )
    return open_version(registry, version).decide(recorded.application, recorded.history)


def _differences(recorded: Recorded, decision: Decision) -> Iterator[str]:
    was = {name: getattr(recorded, name) for name in ("probability", "decision", "threshold", "band")} | recorded.exact
    now = {name: plain(getattr(decision, name)) for name in was}
    yield from _compare("", was, now)
    reasons = [plain(asdict(reason)) for reason in decision.reasons]
    if len(reasons) != len(recorded.reasons):
        yield f"reasons: were {_codes(recorded.reasons)}, are {_codes(reasons)}."
        return
    for at, (old, new) in enumerate(zip(recorded.reasons, reasons, strict=True), start=1):
        yield from _compare(f"reason {at}, ", old, new)


def _compare(what: str, was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name, old in was.items():
        new = now.get(name)
        if isinstance(old, dict):
            yield from _compare(f"{what}{name} of ", old, new if isinstance(new, dict) else {})
        elif _exact(old) != _exact(new):
            yield f"{what}{name}: was {_exact(old)}, is {_exact(new)}."


def _exact(value: Any) -> Any:
    """Write a float bit for bit."""
    return f"{value!r} ({value.hex()})" if isinstance(value, float) else value


def _codes(reasons: list[dict[str, Any]]) -> str:
    return ", ".join(str(reason["code"]) for reason in reasons) or "none"
