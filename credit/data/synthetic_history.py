"""The history tables of synthetic clients: their latents, what they add to the risk, and a chunk's six tables.

A client's history latents load on latents of the application; the rest is news.  Part of the news enters the true
risk, so history tells of a default what the application cannot.  Knows no file.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from credit.data import synthetic_bureau, synthetic_cards, synthetic_loans
from credit.data.synthetic_rows import Array, Rows, to_table, within

__all__ = ["TABLES", "Past", "history"]

#: The tables of history, each after the one it hangs on.
TABLES = (
    *("bureau", "bureau_balance", "previous_application"),
    *("POS_CASH_balance", "credit_card_balance", "installments_payments"),
)
OF_LOANS = {
    "POS_CASH_balance": synthetic_loans.loan_months,
    "credit_card_balance": synthetic_cards.card_months,
    "installments_payments": synthetic_loans.instalments,
}
FIRST_ID = 100_002  # of a client
FREE = ("covered", "unknown")  # latents of how much the bureau tells: they depend on nothing


class Past:
    """The history latents of a block of clients.

    Parameters
    ----------
    facts : mapping
        The portfolio's measured facts.
    stream : numpy.random.Generator
        Source of the news.
    z : mapping of str to array (rows,)
        The standard normal latents of the applications.

    Attributes
    ----------
    z : dict of arrays (rows,)
        The standard normal latents of the histories.
    news : array (rows,)
        What the histories add to the score of the risk; its variance is `spread` squared.
    """

    def __init__(self, facts: Mapping[str, Any], stream: np.random.Generator, z: Mapping[str, Array]) -> None:
        latents, root = facts["history"]["latents"], facts["history"]["root"]
        clients = len(z["default"])
        noise = root @ stream.standard_normal((len(latents), clients))
        weights = np.array([fact["risk"] for fact in latents.values()])
        self.z: dict[str, Array] = dict(zip(FREE, stream.standard_normal((len(FREE), clients)), strict=True))
        for fact, (name, news) in zip(latents.values(), zip(latents, noise, strict=True), strict=True):
            known = sum((weight * z[source] for source, weight in fact["application"].items()), np.zeros(clients))
            self.z[name] = known + fact["news"] * news
        self.news = weights @ noise
        self.spread = float(np.sqrt(weights @ root @ root.T @ weights))


def history(
    history: Mapping[str, Any],
    streams: Mapping[str, np.random.Generator],
    latents: Mapping[str, Array],
    first: int,
    clients: int,
    tables: Collection[str] = TABLES,
) -> dict[str, pa.Table]:
    """Draw the history tables of one chunk of clients.

    Parameters
    ----------
    history : mapping
        The measured facts of all history tables.
    streams : mapping of str to numpy.random.Generator
        One for each table of `TABLES`: a table's rows do not depend on which others are drawn.
    latents : mapping of str to array (chunk,)
        The clients' latents, `Past.z` cut to the chunk.
    first : int
        The first client's number in the book.
    clients : int
        How many of the chunk's clients to keep: all are drawn.
    tables : collection of str
        Which tables to draw.

    Returns
    -------
    dict of str to pyarrow.Table
        Kaggle's columns in Kaggle's order and types, without the client's id where Kaggle has none.
    """
    found: dict[str, pa.Table] = {}

    def keep(name: str, columns: dict[str, Any], owner: Array) -> None:
        columns["SK_ID_CURR"] = FIRST_ID + first + owner
        found[name] = to_table(columns, history["columns"][name], int(np.searchsorted(owner, clients)))

    def parents(name: str, latent: str, draw: Any) -> tuple[dict[str, Any], Array]:
        rows = Rows(history, streams[name], np.arange(len(latents[latent])), latents)
        owner, number = within(rows.numbers(history["counts"][name], latents[latent]).astype(int))
        return draw(rows.on(owner), number, first + owner), owner

    if {"bureau", "bureau_balance"} & set(tables):
        credit, owner = parents("bureau", "credits", synthetic_bureau.credits_elsewhere)
        if "bureau" in tables:
            keep("bureau", credit, owner)
        if "bureau_balance" in tables:
            covered = latents["covered"][owner] < history["bureau_balance"]["covered"]
            rows = Rows(history, streams["bureau_balance"], owner, latents)
            keep("bureau_balance", *synthetic_bureau.balances(rows, credit, covered))
    if {"previous_application", *OF_LOANS} & set(tables):
        loans, owner = parents("previous_application", "previous", synthetic_loans.applications)
        if "previous_application" in tables:
            keep("previous_application", loans, owner)
        for name, draw in OF_LOANS.items():
            if name in tables:
                keep(name, *draw(Rows(history, streams[name], owner, latents), loans))
    return found
