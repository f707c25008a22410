"""The credit bureau's side of a synthetic history: credits with other lenders and their months; knows no file.

A credit's state follows its age, its end and its debt follow its state; the months of a credit run from its first
to the application, closed after its end.
"""

from typing import Any

import numpy as np

from credit.data.synthetic_rows import MONTH, Array, Columns, Group, Rows, Text, hidden, within

__all__ = ["MOST_CREDITS", "balances", "credits_elsewhere"]

FIRST_ID = 5_000_000
MOST_CREDITS = 100  # of one client: ids of two clients never meet
OLDEST = 96  # months looked back on
KINDS = ("consumer", "card", "other")
STATES = tuple(f"{kind} {state}" for kind in KINDS for state in ("active", "closed"))
STATUS = ("0", "1", "2", "3", "4", "5", "C", "X")


def credits_elsewhere(rows: Rows, number: Array, client: Array) -> Columns:
    """Draw the table `bureau`.

    Parameters
    ----------
    rows : Rows
        One for each credit.
    number : array of int
        The credit's number among its client's.
    client : array of int
        The client's number in the whole book.
    """
    facts = rows.history["bureau"]
    kind = rows.text(facts["CREDIT_TYPE"])
    group = Group(np.select([kind.equals("Consumer credit"), kind.equals("Credit card")], [0, 1], 2), KINDS)
    days = np.round(rows.value(facts["DAYS_CREDIT"], rows.latent("recent_credit")))
    age = np.searchsorted(facts["age_edges"], days, side="right")
    likely = np.array([facts["active"][name] for name in KINDS])[group.codes, age]
    active = (rows.probability("active") > 1 - likely) | (days > -3)
    state = Group(2 * group.codes + ~active, STATES)
    sold = ~active & rows.chance(facts["sold"])
    ended = np.round(days + rows.value(facts["life"], group=group) * (-1 - days))
    columns: Columns = {
        "CREDIT_ACTIVE": Text(np.select([active, sold], [0, 2], 1).astype(np.int32), ("Active", "Closed", "Sold")),
        "CREDIT_CURRENCY": rows.text(facts["CREDIT_CURRENCY"]),
        "CREDIT_TYPE": kind,
        "DAYS_CREDIT": days,
        "CNT_CREDIT_PROLONG": rows.numbers(facts["CNT_CREDIT_PROLONG"]),
        "DAYS_ENDDATE_FACT": hidden(ended, active | sold),
    }
    columns |= _dates(rows, facts, (group, state), (days, age, ended, active))
    columns |= _amounts(rows, facts, state, active)
    columns["SK_ID_BUREAU"] = FIRST_ID + MOST_CREDITS * client + number
    return columns


def _dates(rows: Rows, facts: Any, groups: tuple[Group, Group], drawn: tuple[Array, Array, Array, Array]) -> Columns:
    """Planned end and last update: none before the credit, no update after the application."""
    (group, state), (days, age, ended, active) = groups, drawn
    z = rows.latent()
    terms = {f"{name} {place}": table for name in KINDS for place, table in enumerate(facts["term"][name])}
    place = np.searchsorted([3, 5], age, side="right")  # older, middle, recent
    term = rows.value(terms, z, Group(3 * group.codes + place, tuple(terms)))
    planned = np.where(active, days + term, ended + rows.value(facts["planned_after_end"], z, group))
    lately = rows.value(facts["update_active"], group=group)
    update = np.where(active, lately, ended * (1 - rows.value(facts["update_closed"], group=group)))
    gone = rows.chance(rows.share(facts["missing"]["DAYS_CREDIT_ENDDATE"], state))
    return {
        "DAYS_CREDIT_ENDDATE": hidden(np.round(np.maximum(planned, days)), gone),
        "DAYS_CREDIT_UPDATE": np.round(np.clip(update, days, 0)),
    }


def _amounts(rows: Rows, facts: Any, state: Group, active: Array) -> Columns:
    """Sum, debt, limit, annuity and arrears; a debt is no more than the sum of the credit."""
    z = rows.latent("credit_amount")
    total = np.round(rows.value(facts["AMT_CREDIT_SUM"], z, state) / 4.5) * 4.5
    annuity = rows.value(facts["AMT_ANNUITY"], np.sqrt(0.5) * (z + rows.latent()), state)
    found: dict[str, Array] = {
        "AMT_CREDIT_SUM_DEBT": np.round(total * rows.value(facts["debt_of_sum"], rows.latent("debt"), state), 2),
        "AMT_CREDIT_SUM_LIMIT": np.round(total * rows.value(facts["limit_of_sum"], group=state), 2),
        "AMT_ANNUITY": np.round(annuity / 4.5) * 4.5,
        "AMT_CREDIT_MAX_OVERDUE": np.round(rows.value(facts["AMT_CREDIT_MAX_OVERDUE"], rows.latent("late"), state), 2),
    }
    for name, values in found.items():  # a bureau that tells a figure tells it of most credits of a client
        together = "unknown" if name in {"AMT_ANNUITY", "AMT_CREDIT_MAX_OVERDUE"} else ""
        gone = rows.probability(together) < rows.share(facts["missing"][name], state)
        found[name] = hidden(values, gone)
    overdue = active & (rows.probability("late") > 1 - facts["overdue"]["share"])
    z = rows.latent()
    return found | {
        "AMT_CREDIT_SUM": total,
        "CREDIT_DAY_OVERDUE": np.where(overdue, np.round(rows.value(facts["overdue"]["days"], z)), 0),
        "AMT_CREDIT_SUM_OVERDUE": np.where(overdue, np.round(total * rows.value(facts["overdue"]["of_sum"], z), 2), 0),
    }


def balances(rows: Rows, credit: Columns, covered: Array) -> tuple[Columns, Array]:
    """Draw the table `bureau_balance`: the months of the credits of covered clients.

    Parameters
    ----------
    rows : Rows
        One for each credit.
    credit : dict of columns
        The credits, as `credits_elsewhere` gives them.
    covered : array of bool
        Whether the bureau tells the months of a credit.

    Returns
    -------
    tuple
        Columns, and the client of each row.
    """
    facts = rows.history["bureau_balance"]
    days, ended, state = credit["DAYS_CREDIT"], credit["DAYS_ENDDATE_FACT"], credit["CREDIT_ACTIVE"]
    first = np.minimum(np.floor(-days / MONTH), OLDEST)
    last = np.minimum(np.floor(rows.value(facts["months_to_last"])), first)
    unknown = rows.value(facts["unknown"])
    late = rows.value(facts["late"], rows.latent("late"))
    silent = rows.chance(facts["closed_unknown"])
    credit_of, back = within(np.where(covered, first - last + 1, 0).astype(int))
    months = rows.on(rows.owner[credit_of])
    balance = back + last[credit_of]  # months before the application
    closed = balance * MONTH < -np.nan_to_num(ended, nan=1e9)[credit_of]
    u = months.stream.random(months.size, dtype=np.float32)
    status = np.where(months.chance(facts["early_closed"]), 6, 0)
    status = np.where(months.chance(late[credit_of]), _late_status(facts, u), status)
    status = np.where(months.chance(unknown[credit_of]), 7, status)
    status = np.where(closed, np.where(silent, 7, 6)[credit_of], status)
    status = np.where((state.codes == 2)[credit_of] & (balance < last[credit_of] + 6), 5, status)
    columns: Columns = {
        "SK_ID_BUREAU": credit["SK_ID_BUREAU"][credit_of],
        "MONTHS_BALANCE": -balance,
        "STATUS": Text(status.astype(np.int32), STATUS),
    }
    return columns, months.owner


def _late_status(facts: Any, u: Array) -> Array:
    cuts = np.cumsum([share for _, share in facts["late_status"]])[:-1]
    return 1 + np.searchsorted(cuts, u)
