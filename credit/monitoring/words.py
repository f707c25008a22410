"""A status as a page of text for the terminal; measures nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["page"]

#: Findings and shifted features that are shown.
SHOWN = 10


def page(status: Mapping[str, Any]) -> str:
    """Write a status, of the form that `credit.monitoring.watch.judged` returns, for people."""
    return "\n".join(_lines(status))


def _lines(status: Mapping[str, Any]) -> Iterator[str]:
    seen, made_up = status["window"], " (SYNTHETIC)" if status["synthetic"] else ""
    yield f"{status['status']}: {status['title']['en']}{made_up}, {status['model']} version {status['version']}"
    span = f", {seen['start'][:10]} to {seen['end'][:10]}" if seen["start"] else ""
    yield f"{seen['applicants']:,} applicants from {seen['source']}{span}; {seen['matured']:,} with an outcome"
    for why, count in seen["set_aside"].items():
        yield f"  set aside: {count:,} {why}"
    yield ""
    yield from _money(status["money"])
    score = status["score"]
    yield (
        f"{'probability of default':<24}mean {score['mean_now']:.2%}, was {score['mean_before']:.2%}; "
        f"PSI {score['psi']:.3f} (chance reaches {score['floor']:.3f})"
    )
    yield ""
    if not status["findings"]:
        yield "Nothing is beyond its limit and beyond chance."
    for each in status["findings"][:SHOWN]:
        yield f"{each['severity']:<6}{each['kind']}: {each['why']}"
    if len(status["findings"]) > SHOWN:
        yield f"... and {len(status['findings']) - SHOWN} more"
    yield from _drift(status["money"]["drift"])
    if (found := status["regression"]) is not None:
        yield ""
        yield f"champion against predecessor: {found['why']}"
    yield from _actions(status["actions"])


def _money(money: Mapping[str, Any]) -> Iterator[str]:
    words = {"promised": "on validation rows", "expected": "of these decisions", "realised": "of what has matured"}
    for name, what in words.items():
        if (cost := money[name]) is not None:
            of = f" ({cost['of']})" if cost.get("of") else ""
            ends = f"{cost['estimate']:.3f} ({cost['low']:.3f} to {cost['high']:.3f})"
            yield f"{f'cost {name}':<24}{ends} per applicant, {what}{of}"


def _drift(costs: list[dict[str, Any]]) -> Iterator[str]:
    if costs:
        yield ""
        yield "what each shift adds to the expected cost per applicant, all else unchanged"
    for row in costs:
        yield f"  {row['feature']:<40}{row['cost']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"


def _actions(actions: Mapping[str, Any]) -> Iterator[str]:
    if done := actions["rollback"]:
        word = "rolled back" if done["performed"] else "a rollback is proposed"
        yield f"{word} to version {done['to']}: event {done['event']} of the ledger"
    if done := actions["retraining"]:
        asked = f"training is asked for by the event {done.get('event')} ({done.get('id')})"
        yield asked if done["run"] is None else f"trained anew: {done['run']}, version {done['version']}, {done['why']}"
    if done := actions["webhook"]:
        said = "told" if done["delivered"] else f"not told ({done['error']})"
        yield f"webhook: {said}, {done['attempts']} attempts"
