"""Training anew, in one process: what TrainingFlow does, on the training book and the outcomes that have matured since.

A client stays in the fold that the hash of the client id gives, whichever book they come from; of a client who
applied more than once, the newest decision with an outcome counts.  Who was declined has no outcome and teaches
nothing, but for those approved to learn.  The gate decides what becomes of the new model.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from credit import cores
from credit.console import log, step
from credit.data.cells import text
from credit.errors import DataError
from credit.features import definitions
from credit.governance.assessment import assess
from credit.governance.keeping import keep
from credit.governance.ledger import Ledger
from credit.governance.submission import Submission, submit
from credit.home import Home
from credit.monitoring import recall
from credit.monitoring.world import of_clients
from credit.portfolio import Portfolio
from credit.scoring.export import export
from credit.training.candidates import Candidate, candidates, competing, read_by
from credit.training.choice import choose
from credit.training.dataset import prepare
from credit.training.search import fit
from credit.training.selection import select

__all__ = ["extended", "matured", "train"]

Tables = Mapping[str, pd.DataFrame]


def train(
    book: Portfolio, source: str | Path, home: Home, run: str, *, only: tuple[str, ...] = (), threads: int | None = None
) -> Submission:
    """Prepare, select, fit, choose, assess, export, keep and submit, as the flow does; nothing runs side by side.

    Parameters
    ----------
    book : Portfolio
        The book.
    source : str or Path
        What `credit.data.tables.open_tables` reads.
    home : Home
        Where state lives.
    run : str
        Which run of what this is; names the release.
    only : tuple of str
        Candidates and references that compete; by default the portfolio's.
    threads : int, optional
        For LightGBM; by default all cores.  The models do not depend on it.

    Returns
    -------
    Submission
        The verdict, and the version, champion or not.

    Raises
    ------
    CreditError
        As the steps do.
    """
    dataset = prepare(book, source, home.workspace)
    field = competing(candidates(book, only), book, dataset.tables)
    defined = definitions(book, dataset.tables)
    learning, validation = dataset.load("train"), dataset.load("validation")
    threads = threads or cores.available()
    selection = None
    if any(each.features == "selected" for each in field):
        selection = select(learning, book, defined, threads=threads)
    fitted = {}
    for each in field:
        with step(f"Fitting {each.name}", len(learning)):
            read = read_by(each, defined, book, selection)
            fitted[each.name] = fit(each, learning, book, read, threads=threads)
    predicted = {name: each.predict(validation) for name, each in fitted.items()}
    choice = choose(validation[book.target], predicted, _references(field), book.costs)
    scorer = export(fitted[choice.winner], book, defined, choice.threshold, learning)
    assessment = assess(scorer, fitted, choice, dataset, book, defined)
    done = submit(keep(scorer, fitted, choice, assessment, dataset, book, home, run), home)
    log.info("%s: version %d, %s", run, done.version.number, done.verdict.summary)
    return done


def _references(field: Collection[Candidate]) -> frozenset[str]:
    return frozenset(each.name for each in field if each.reference)


def matured(ledger: Ledger, book: Portfolio, tables: Collection[str]) -> dict[str, pd.DataFrame]:
    """Take the decisions whose outcome is known, with the raw rows that they were made on.

    Parameters
    ----------
    ledger : Ledger
        Holds them.
    book : Portfolio
        Of which book.
    tables : collection of str
        Its tables to take; the main one is always taken.

    Returns
    -------
    dict of str to DataFrame
        By table; the main one with the outcome as its target.  Whoever was erased, or gave no client number, is
        not here.
    """
    rows: dict[str, list[dict[str, Any]]] = {book.main: [], **{name: [] for name in tables}}
    seen: set[str] = set()
    for chunk in recall.decisions(ledger, book.name):
        for each in chunk:
            if each.outcome is None or each.erased or not each.client or each.client in seen:
                continue
            seen.add(each.client)
            rows[book.main].append({**each.application, book.target: each.outcome})
            for name in rows.keys() - {book.main}:
                rows[name] += each.history.get(name, [])
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def extended(book: Portfolio, training: Tables, new: Tables, *, most: int | None = None) -> dict[str, pd.DataFrame]:
    """Put matured decisions to the training book, and forget the oldest clients beyond so many.

    Parameters
    ----------
    book : Portfolio
        It names the key.
    training, new : mapping of str to DataFrame
        Tables by name, the main ones with outcomes; `new` as `matured` gives it, the newest first.
    most : int, optional
        Most clients to keep, the newest; those of the training book are the oldest, its last rows the newest of them.
        What has changed is drowned by what was, if nothing is ever forgotten.

    Returns
    -------
    dict of str to DataFrame
        The tables of `training`, with all rows of the clients that are kept.

    Raises
    ------
    DataError
        If a client is in both.
    """
    known = set(training[book.main][book.key].map(text))
    if twice := [key for key in new[book.main].get(book.key, []) if text(key) in known]:
        raise DataError(f"client {twice[0]}: is in the training book too ({len(twice)} such); leave them out of one.")
    whole = {name: pd.concat([frame, new[name][::-1]], ignore_index=True) for name, frame in training.items()}
    return whole if most is None else of_clients(book, whole, whole[book.main][book.key].iloc[-most:])
