"""Card accounts of a synthetic history, month by month: limit, balance, drawings, payments; knows no file."""

from typing import Any

import numpy as np
from scipy.special import ndtri

from credit.data.synthetic_rows import MONTH, Array, Columns, Group, Rows, Text, hidden, within

__all__ = ["card_months"]

OLDEST = 96  # months looked back on
STATUS = ("Active", "Completed")
SMOOTH = 8  # months between two knots of a card's use, which changes slowly


def card_months(rows: Rows, loans: Columns) -> tuple[Columns, Array]:
    """Draw the table `credit_card_balance`: each month of each card, from its decision to its end.

    Parameters
    ----------
    rows : Rows
        One for each earlier application.
    loans : dict of columns
        The applications, as `applications` gives them.

    Returns
    -------
    tuple
        Columns, and the client of each row.
    """
    facts = rows.history["credit_card_balance"]
    chosen = ~np.isnan(loans["DAYS_FIRST_DUE"]) & loans["NAME_CONTRACT_TYPE"].equals("Revolving loans")
    first = np.clip(np.floor(-loans["DAYS_DECISION"] / MONTH), 1, OLDEST)
    over = loans["DAYS_TERMINATION"] < 0
    final = np.where(over, np.clip(np.floor(-np.where(over, loans["DAYS_TERMINATION"], 0) / MONTH), 1, first), 1)
    size = np.where(chosen, first - final + 1, 0).astype(int)
    use = rows.probability("utilisation")
    rare = np.array(facts["never"])[np.searchsorted(facts["never_months"], size)]  # of old cards
    never = use < rare
    limit = np.round(rows.value(facts["limit"], rows.latent("previous_amount")) / 4500) * 4500
    closed = rows.chance(facts["closed"]) * rows.value(facts["closed_share"])
    late = rows.value(facts["late"])
    habit = ndtri(np.clip((use - rare) / (1 - rare), 1e-6, 1 - 1e-6))
    slow = _slow(rows, size)
    card, back = within(size)
    months = rows.on(rows.owner[card])
    allowed = np.where(back < np.round(closed * size)[card], 0, limit[card])
    z = np.sqrt(facts["shared"]) * habit[card] + np.sqrt(1 - facts["shared"]) * slow
    used = np.where(never[card], 0, months.value(facts["utilisation"], z))
    columns: Columns = {
        "SK_ID_PREV": loans["SK_ID_PREV"][card],
        "MONTHS_BALANCE": -(back + final[card]),
        "AMT_CREDIT_LIMIT_ACTUAL": allowed,
        "AMT_BALANCE": np.round(used * allowed, 2),
    }
    idle = Group(never[card].astype(int), ("used", "never"))
    columns |= _drawings(months, facts, columns, idle)
    columns |= _payments(months, facts, columns, idle)
    columns |= _state(months, facts, columns, late[card])
    due = (columns["AMT_BALANCE"] > 0) | (~never[card] & months.chance(facts["matured_idle"]))
    untold = months.chance(months.share(facts["missing"]["minimum"], idle))
    columns["CNT_INSTALMENT_MATURE_CUM"] = hidden(_matured(due, size), untold)
    return columns, months.owner


def _slow(rows: Rows, size: Array) -> Array:
    """Draw standard normal noise for each month that changes slowly within a card: between two knots on a line."""
    knots = size // SMOOTH + 2
    noise = rows.stream.standard_normal(int(knots.sum()))
    start = (np.cumsum(knots) - knots)[np.repeat(np.arange(len(size)), size)]
    _, back = within(size)
    left, part = start + back // SMOOTH, (back % SMOOTH) / SMOOTH
    return np.asarray(((1 - part) * noise[left] + part * noise[left + 1]) / np.sqrt((1 - part) ** 2 + part**2))


def _drawings(months: Rows, facts: Any, drawn: Columns, idle: Group) -> Columns:
    """Draw what was taken from cash machines, paid in shops and other; the parts add up to the whole."""
    drew = months.chance(facts["drawn"]) & (drawn["AMT_BALANCE"] > 0)
    wanted = np.round(drawn["AMT_CREDIT_LIMIT_ACTUAL"] * months.value(facts["drawn_of_limit"]), 2)
    whole = drew * np.minimum(wanted, facts["most_drawn"])
    cash = np.round(whole * months.value(facts["atm_of_drawn"]) / 450) * 450
    cash = np.minimum(cash, whole)
    other = np.where(months.chance(facts["other"]), whole - cash, 0)
    times = {
        "ATM": np.where(cash > 0, months.numbers(facts["drawings_atm"]), 0),
        "OTHER": (other > 0).astype(float),
        "POS": np.where(whole - cash - other > 0, np.round(months.value(facts["drawings_pos"])), 0),
    }
    gone = months.chance(months.share(facts["missing"]["drawings"], idle))
    columns: Columns = {"AMT_DRAWINGS_CURRENT": whole, "CNT_DRAWINGS_CURRENT": sum(times.values())}
    for name, amount in (("ATM", cash), ("OTHER", other), ("POS", np.round(whole - cash - other, 2))):
        columns[f"AMT_DRAWINGS_{name}_CURRENT"] = hidden(amount, gone & ~drew)
        columns[f"CNT_DRAWINGS_{name}_CURRENT"] = hidden(times[name], gone & ~drew)
    return columns


def _payments(months: Rows, facts: Any, drawn: Columns, idle: Group) -> Columns:
    """Least and actual payments, and what is owed of the balance."""
    balance, limit = drawn["AMT_BALANCE"], drawn["AMT_CREDIT_LIMIT_ACTUAL"]
    paid = np.where(balance > 0, limit * months.value(facts["payment_of_limit"]), months.value(facts["payment_idle"]))
    paid = np.where((balance > 0) | (idle.codes == 0), np.round(paid, 3), 0)
    least = np.round(np.minimum(limit * months.value(facts["minimum_of_limit"]), balance), 3)
    counted = (balance > 0) | months.chance(facts["idle_counted"])
    return {
        "AMT_INST_MIN_REGULARITY": hidden(least, months.chance(months.share(facts["missing"]["minimum"], idle))),
        "AMT_PAYMENT_CURRENT": hidden(paid, months.chance(months.share(facts["missing"]["payment"], idle))),
        "AMT_PAYMENT_TOTAL_CURRENT": np.where(counted, paid, 0),
        "AMT_RECEIVABLE_PRINCIPAL": np.round(balance * months.value(facts["principal_of_balance"]), 3),
        "AMT_RECIVABLE": balance,
        "AMT_TOTAL_RECEIVABLE": balance,
    }


def _state(months: Rows, facts: Any, drawn: Columns, late: Array) -> Columns:
    """Draw arrears and status; a card without a balance may be completed."""
    overdue = months.chance(late) & (drawn["AMT_BALANCE"] > 0)
    dpd = np.where(overdue, np.round(months.value(facts["dpd"])), 0)
    done = (drawn["AMT_BALANCE"] == 0) & months.chance(facts["completed"])
    rare = [name for name, _ in facts["rare_status"]]
    cuts = np.cumsum([share for _, share in facts["rare_status"]])
    place = np.searchsorted(cuts, months.stream.random(months.size))
    status = np.where(place < len(rare), len(STATUS) + place, done)
    return {
        "NAME_CONTRACT_STATUS": Text(status.astype(np.int32), (*STATUS, *rare)),
        "SK_DPD": dpd,
        "SK_DPD_DEF": np.where(months.chance(facts["dpd_def"]), np.minimum(dpd, 1), 0),
    }


def _matured(due: Array, size: Array) -> Array:
    """Count the instalments so far; rows of a card run from its last month to its first."""
    total = np.r_[0, np.cumsum(due.astype(np.int64))]
    end = np.repeat(np.cumsum(size), size)
    return np.asarray(total[end] - total[:-1])
