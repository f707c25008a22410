"""How often does a what-if find a way, does it keep its promises, and what does it cost?

    python -m benchmarks.what_if --json                                   trains on a synthetic book first
    python -m benchmarks.what_if --bundle FOLDER --data FOLDER --json     a model that is there, on its own rows

The peer in time is one decision on the same client, and the changes tried scored one by one.  The peer in quality is a
brute force over factors a thousandth apart, which cares for no value that a person would say.
"""

import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import Goal, Result, arguments, show
from credit import console, cores, features, portfolio
from credit.data.clients import Clients
from credit.portfolio import DEFAULT, Action
from credit.scoring.changes import actions
from credit.scoring.decider import Decider, Identity
from credit.scoring.export import export
from credit.scoring.reference import Reference
from credit.scoring.whatif import Proposal, WhatIf
from credit.training.candidates import candidates
from credit.training.dataset import embedded, prepare
from credit.training.search import fit
from credit.training.selection import select

Row = Mapping[str, Any]
History = Mapping[str, Sequence[Row]]
#: Spacing of the brute force, and how far beyond a proposal the goal must hold, in logarithms of the factor.
FINE, FIRM = 0.001, log(1.02)
#: What rounding to a value that people say may cost: a step of 1%.
ROUNDING = 0.0105


def trained(clients: int, folder: Path) -> tuple[Decider, Path]:
    """Train the first candidate on a synthetic book, as the training flow does but without its rivals."""
    book = portfolio.load(DEFAULT)
    source = embedded(book, clients, folder)
    dataset = prepare(book, source, folder)
    train = dataset.load("train")
    kept = set(select(train, book, features.definitions(book), threads=cores.available()).kept)
    chosen = tuple(each for each in features.definitions(book) if each.name in kept)
    model = fit(candidates(book)[0], train, book, chosen, threads=cores.available())
    scorer = export(model, book, chosen, book.costs.threshold, train)
    reference = Reference.make(scorer, features.definitions(book), dataset.load("validation"), True)
    return Decider(scorer, book, reference, Identity()), source


def cases(decider: Decider, source: Path, decision: str, limit: int) -> Iterator[tuple[Row, History]]:
    """Find clients who are decided so, from the highest number down."""
    clients = Clients(decider.portfolio, source)
    for number in reversed(clients.numbers(limit=1_000_000)):
        if limit == 0:
            return
        application, history = clients.case(number)
        if decider.decide(application, history).decision == decision:
            limit -= 1
            yield application, history


def brute_force(decider: Decider, application: Row, history: History, action: Action) -> float | None:
    """Return the size of the smallest factor of an action that leads to an approval and holds, or None."""
    sides = [np.arange(FINE, log(action.high) + 1e-9, FINE), -np.arange(FINE, -log(action.low) + 1e-9, FINE)]
    found = [_nearest(decider, application, history, action, side) for side in sides if side.size]
    return min((size for size in found if size is not None), default=None)


def _nearest(
    decider: Decider, application: Row, history: History, action: Action, logs: "np.ndarray[Any, Any]"
) -> float | None:
    if any(application[name] is None for name in action.scales):
        return None
    columns = decider.portfolio.columns
    now = {name: float(application[name]) for name in action.scales}
    rows = [{**application, **{n: now[n] * exp(step * e) for n, e in action.scales.items()}} for step in logs]
    inside = [all((columns[n].minimum or 0) <= row[n] <= (columns[n].maximum or 9e99) for n in now) for row in rows]
    kept, sizes = [row for row, fits in zip(rows, inside, strict=True) if fits], np.abs(logs[inside])
    frame = decider.online.variants([application, *kept], history)
    fits = plausible(decider.reference, frame)[1:]
    reached = (decider.scorer.decide(frame)["decision"] == "approve").to_numpy()[1:][fits]
    sizes = sizes[fits]
    for size in sizes[reached]:
        if reached[(sizes >= size) & (sizes <= size + FIRM)].all():
            return float(size)
    return None


def plausible(reference: Reference, frame: pd.DataFrame) -> "np.ndarray[Any, Any]":
    """Say which rows are within the plausible ranges, widened to the first row."""
    fits = np.full(len(frame), True)
    for name in set(frame.columns) & reference.plausible.keys():
        low, high = reference.plausible[name]
        value = frame[name].astype(float)
        fits &= (value.isna() | value.between(min(low, value[0]), max(high, value[0]))).to_numpy()
    return fits


def keeps(decider: Decider, application: Row, history: History, proposal: Proposal) -> bool:
    """Whether a fresh decision on the changed application is, to the last bit, what was promised."""
    changed = {**application, **{name: to for name, (_, to) in proposal.changes.items()}}
    made = decider.decide(changed, history)
    return (made.decision, made.probability) == (proposal.decision, proposal.probability)


def asked(decider: Decider, application: Row, history: History) -> dict[str, Any]:
    """Ask one client what would change the decision, and hold the answer to its promise."""
    began = time.perf_counter()
    decider.decide(application, history)
    decided = time.perf_counter()
    found = decider.what_if(application, history)
    done = time.perf_counter()
    kept = [keeps(decider, application, history, each) for each in found.proposals]
    return {"found": found, "kept": kept, "one": decided - began, "all": done - decided}


def measure(decider: Decider, source: Path, options: Namespace) -> Result:
    """Ask declined and approved clients, and compare some of the declined with brute force."""
    rows: dict[str, list[dict[str, Any]]] = {"decline": [], "approve": []}
    compared: list[dict[str, float | None]] = []
    left = {True: options.brute, False: options.brute}
    for application, history in cases(decider, source, "decline", options.clients):
        made = asked(decider, application, history)
        rows["decline"].append(made)
        ours = min((each.size for each in made["found"].proposals if "+" not in each.action), default=None)
        if left[ours is None]:
            left[ours is None] -= 1
            compared.append(_compared(decider, application, history, ours))
    for application, history in cases(decider, source, "approve", options.clients // 4):
        rows["approve"].append(asked(decider, application, history))
    ratios = [each["ratio"] for each in compared if each["ratio"]]
    figures: dict[str, Any] = {"synthetic": decider.reference.synthetic}
    figures |= {"clients": {decision: _summary(own) for decision, own in rows.items()}}
    figures |= {"size_over_brute_force": float(np.median(ratios)) if ratios else None, "brute_force": compared}
    sizes = {"declined": len(rows["decline"]), "approved": len(rows["approve"]), "brute_force": len(compared)}
    return Result("what_if", sizes, 1, figures, _goals([*rows["decline"], *rows["approve"]], compared))


def _goals(every: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, float | None]]) -> list[Goal]:
    kept = [one for each in every for one in each["kept"]]
    one, whole = (float(np.median([each[name] for each in every])) for name in ("one", "all"))
    tried = float(np.median([each["found"].tried for each in every]))
    pairs = [(each["ours"], each["brute"]) for each in compared if each["brute"] is not None]
    missed = float(np.mean([ours is None for ours, _best in pairs])) if pairs else 0.0
    excess = max((ours - best for ours, best in pairs if ours is not None and best is not None), default=0.0)
    return [
        Goal("share of proposals that keep their promise", float(np.mean(kept)) if kept else 0.0, 1.0, "higher"),
        Goal("scoring the changes one by one over the what-if, time", tried * one / whole, 10.0, "higher"),
        Goal("what-if, median seconds", whole, 2.0, "lower"),
        Goal("share of what brute force finds that is missed", missed, 0.05, "lower"),
        Goal("largest excess of size over brute force, in logarithms", excess, ROUNDING, "lower"),
    ]


def _compared(decider: Decider, application: Row, history: History, ours: float | None) -> dict[str, float | None]:
    found = [brute_force(decider, application, history, each) for each in actions(decider.portfolio)]
    best = min((size for size in found if size is not None), default=None)
    return {"ours": ours, "brute": best, "ratio": ours / best if ours and best else None}


def _summary(own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: list[WhatIf] = [each["found"] for each in own]
    sizes = [each.proposals[0].size for each in found if each.proposals]
    one, whole = ([each[name] for each in own] for name in ("one", "all"))
    return {
        "share_with_a_proposal": float(np.mean([bool(each.proposals) for each in found])),
        "share_by_two_actions": float(np.mean([any("+" in p.action for p in each.proposals) for each in found])),
        "median_size": float(np.median(sizes)) if sizes else None,
        "median_tried": float(np.median([each.tried for each in found])),
        "decision_seconds": {"median": float(np.median(one)), "p95": float(np.quantile(one, 0.95))},
        "what_if_seconds": {"median": float(np.median(whole)), "p95": float(np.quantile(whole, 0.95))},
        "what_if_over_decision": float(np.median(whole) / np.median(one)),
    }


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--bundle", type=Path, help="a registered model's folder")
    parser.add_argument("--data", type=Path, help="the rows that its clients are taken from")
    parser.add_argument("--clients", type=int, default=200, help="declined ones; a quarter as many approved")
    parser.add_argument(
        "--brute", type=int, default=20, help="of them with a proposal, and as many without, compared with brute force"
    )
    parser.add_argument("--book", type=int, default=10_000, help="clients of the synthetic book to train on")
    options = parser.parse_args()
    if (options.bundle is None) != (options.data is None):
        sys.exit("--bundle and --data go together: a model, and its clients")
    console.quiet()
    with tempfile.TemporaryDirectory() as folder:
        given = (Decider.load(options.bundle), options.data) if options.bundle else None
        decider, source = given or trained(options.book, Path(folder))
        show(measure(decider, source, options), options.json)


if __name__ == "__main__":
    main()
