"""The lender's own side of a synthetic history: earlier applications, loans by month, instalments; knows no file.

What an application asks follows its contract and its outcome.  An approved loan has a schedule, from which its
months and its instalments follow; nothing in them is dated after the present application.
"""

from typing import Any

import numpy as np

from credit.data.synthetic_rows import MONTH, SENTINEL, Array, Columns, Group, Rows, Text, hidden, within

__all__ = ["MOST_LOANS", "applications", "instalments", "loan_months"]

FIRST_ID = 1_000_000
MOST_LOANS = 100  # of one client: ids of two clients never meet
OLDEST = 96  # months looked back on
CARD = "Revolving loans"
PROFILE = ("NAME_PORTFOLIO", "NAME_PRODUCT_TYPE", "NAME_YIELD_GROUP", "PRODUCT_COMBINATION")
OUTCOMES = ("Approved", "Unused offer", "Canceled", "Refused")
LOAN_STATUS = ("Active", "Completed", "Signed")
MARKUP = 1.089091  # of the down payment's rate over its share of the price, in every row


def applications(rows: Rows, number: Array, client: Array) -> Columns:
    """Draw the table `previous_application`.

    Parameters
    ----------
    rows : Rows
        One for each application.
    number : array of int
        The application's number among its client's.
    client : array of int
        The client's number in the whole book.
    """
    facts = rows.history["previous_application"]
    kind = _kind(rows, facts, number)
    group = Group(kind.codes, kind.levels)
    outcome = _outcome(rows, facts, group, number)
    names = tuple(f"{one} {two}" for one in kind.levels for two in OUTCOMES)
    state = Group(len(OUTCOMES) * kind.codes + outcome.codes, names)
    days = np.round(rows.value(facts["DAYS_DECISION"], rows.latent("recent_previous"), state))
    columns: Columns = {
        "SK_ID_PREV": FIRST_ID + MOST_LOANS * client + number,
        "NAME_CONTRACT_TYPE": kind,
        "NAME_CONTRACT_STATUS": outcome,
        "DAYS_DECISION": days,
    }
    columns |= _words(rows, facts, state)
    columns |= _amounts(rows, facts, group, state, columns)
    return columns | _schedule(rows, facts, group, columns)


def _kind(rows: Rows, facts: Any, number: Array) -> Text:
    """Draw contracts: goods on credit or cash as the client's habit is, a card now and then, never first."""
    kind = rows.text(facts["NAME_CONTRACT_TYPE"], rows.latent("kind"))
    card = (number > 0) & rows.chance(facts["revolving"])
    return Text(np.where(card, len(kind.levels), kind.codes).astype(np.int32), (*kind.levels, CARD))


def _outcome(rows: Rows, facts: Any, kind: Group, number: Array) -> Text:
    """Draw outcomes: most clients were once approved, none has two cards."""
    refused = rows.probability("refused") > 1 - rows.share(facts["refused"], kind)
    other = rows.text(facts["not_refused"], rows.latent("refused"), kind)
    place = np.array([OUTCOMES.index(name) for name in other.levels])[other.codes]
    card = kind.codes == kind.names.index(CARD)
    granted = (number == 0) & rows.chance(facts["first_approved"])
    outcome = np.where(granted, 0, np.where(refused, OUTCOMES.index("Refused"), place))
    cards = np.flatnonzero(card & (outcome == 0))
    _, first = np.unique(rows.owner[cards], return_index=True)
    outcome[np.delete(cards, first)] = OUTCOMES.index("Canceled")
    return Text(outcome.astype(np.int32), OUTCOMES)


def _words(rows: Rows, facts: Any, state: Group) -> Columns:
    """Columns that depend on the contract and its outcome alone, or on the channel."""
    names = ("NAME_CASH_LOAN_PURPOSE", "NAME_PAYMENT_TYPE", "CODE_REJECT_REASON", "NAME_CLIENT_TYPE", "CHANNEL_TYPE")
    columns: Columns = {
        name: rows.text(facts[name], group=state) for name in (*names, "NAME_GOODS_CATEGORY", "NAME_TYPE_SUITE")
    }
    for name in ("WEEKDAY_APPR_PROCESS_START", "FLAG_LAST_APPL_PER_CONTRACT"):
        columns[name] = rows.text(facts[name])
    for name in ("HOUR_APPR_PROCESS_START", "NFLAG_LAST_APPL_IN_DAY"):
        columns[name] = rows.numbers(facts[name])
    channel = columns["CHANNEL_TYPE"]
    group = Group(channel.codes, channel.levels)
    columns["NAME_SELLER_INDUSTRY"] = rows.text(facts["NAME_SELLER_INDUSTRY"], group=group)
    columns["SELLERPLACE_AREA"] = np.round(rows.value(facts["SELLERPLACE_AREA"], group=group))
    profile = rows.text(facts["profile"], group=state)
    for place, name in enumerate(PROFILE):
        words = [level.split("|")[place] for level in profile.levels]
        known = [word for word in dict.fromkeys(words) if word]
        codes = np.array([known.index(word) if word else -1 for word in words], dtype=np.int32)
        columns[name] = Text(codes[profile.codes], tuple(known))
    return columns


def _amounts(rows: Rows, facts: Any, group: Group, state: Group, drawn: Columns) -> Columns:
    """Draw what is asked for and given; an application without a portfolio names no amount, but for goods in a shop."""
    revolving, consumer = (drawn["NAME_CONTRACT_TYPE"].equals(name) for name in (CARD, "Consumer loans"))
    void = drawn["NAME_PORTFOLIO"].equals("XNA")
    z = rows.latent("previous_amount")
    asked = np.round(rows.value(facts["AMT_APPLICATION"], z, state) / 4.5) * 4.5
    asked = np.where(void & ~consumer, 0, asked)
    limit = np.round(rows.value(facts["revolving_credit"], z) / 4500) * 4500 * ~void
    unasked = rows.chance(rows.share(facts["revolving_unasked"], state))
    asked = np.where(revolving, np.where(unasked, 0, limit), asked)
    given = np.round(asked * rows.value(facts["credit_to_application"], group=group) / 4.5) * 4.5
    given = np.where(revolving, limit, given)
    terms = rows.numbers(facts["CNT_PAYMENT"], 0.6 * z + 0.8 * rows.latent(), state)
    repaid = rows.value(facts["repaid_to_credit"], group=group)
    annuity = np.where(revolving, given / 20, given * repaid / np.maximum(terms, 1))
    rate = rows.value(facts["RATE_DOWN_PAYMENT"], group=group)
    undown = rows.chance(rows.share(facts["down_payment_missing"], state))
    interest = consumer & rows.chance(facts["interest"]["share"])
    z = rows.latent()
    return {
        "AMT_APPLICATION": asked,
        "AMT_CREDIT": given,
        "AMT_GOODS_PRICE": hidden(asked, asked == 0),
        "AMT_ANNUITY": hidden(np.round(annuity, 3), void),
        "CNT_PAYMENT": hidden(np.where(revolving, 0, terms), void),
        "RATE_DOWN_PAYMENT": hidden(np.round(rate, 6), undown),
        "AMT_DOWN_PAYMENT": hidden(np.round(given * rate / (MARKUP - rate), 2), undown),
        "RATE_INTEREST_PRIMARY": hidden(rows.value(facts["interest"]["RATE_INTEREST_PRIMARY"], z), ~interest),
        "RATE_INTEREST_PRIVILEGED": hidden(rows.value(facts["interest"]["RATE_INTEREST_PRIVILEGED"], z), ~interest),
    }


def _schedule(rows: Rows, facts: Any, group: Group, drawn: Columns) -> Columns:
    """Due days of an approved loan; a plan may reach beyond the application, what happened may not."""
    days, card = drawn["DAYS_DECISION"], drawn["NAME_CONTRACT_TYPE"].equals(CARD)
    approved = drawn["NAME_CONTRACT_STATUS"].equals("Approved") & rows.chance(rows.share(facts["dated"], group))
    first = days + np.round(rows.value(facts["days_to_first_due"]))
    dated = approved & ~np.isnan(drawn["AMT_ANNUITY"]) & (card | (first < 0))
    terms = np.maximum(np.nan_to_num(drawn["CNT_PAYMENT"], nan=1.0), 1)
    place = np.searchsorted([12, 24], terms)  # a year, two years, longer
    length = Group(3 * group.codes + place, tuple(f"{name} {years}" for name in group.names for years in (1, 2, 3)))
    paid = np.maximum(np.round(terms * rows.value(facts["paid_share_of_term"], group=length)), 1)
    planned, last = first + 30 * (terms - 1), first + 30 * (paid - 1)
    closed = last + np.round(rows.value(facts["days_to_termination"]))
    facts = facts["card"]
    undrawn = card & rows.chance(facts["undrawn"])
    drawing = days + np.round(rows.value(facts["first_drawing"]))
    ended = rows.chance(facts["ended"]) & ~undrawn
    end = np.round(days + rows.value(facts["life"]) * (-1 - days))
    last = np.where(card, np.where(ended, end, SENTINEL), last)
    closed = np.where(card, np.where(rows.chance(facts["terminated"]), end + 5, SENTINEL), closed)
    found = {
        "DAYS_FIRST_DRAWING": np.where(card & ~undrawn & (drawing < 0), drawing, SENTINEL),
        "DAYS_FIRST_DUE": np.where(card, np.where(undrawn | (drawing > -60), SENTINEL, drawing + 55), first),
        "DAYS_LAST_DUE_1ST_VERSION": np.where(card, SENTINEL, planned),
        "DAYS_LAST_DUE": np.where(last < 0, last, SENTINEL),
        "DAYS_TERMINATION": np.where((closed < 0) & (last < 0), closed, SENTINEL),
    }
    insured = rows.chance(rows.share(rows.history["previous_application"]["NFLAG_INSURED_ON_APPROVAL"], group))
    found["NFLAG_INSURED_ON_APPROVAL"] = insured.astype(float)
    return {name: hidden(values, ~dated) for name, values in found.items()}


def _loans(loans: Columns) -> Array:
    """Which applications became loans with a schedule of instalments."""
    granted = loans["NAME_CONTRACT_TYPE"].equals("Cash loans", "Consumer loans")
    return np.asarray(granted & ~np.isnan(loans["DAYS_FIRST_DUE"]))


def loan_months(rows: Rows, loans: Columns) -> tuple[Columns, Array]:
    """Draw the table `POS_CASH_balance`: each month of each loan, from its decision to its end.

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
    facts = rows.history["POS_CASH_balance"]
    chosen = _loans(loans)
    first = np.minimum(np.floor(-np.nan_to_num(loans["DAYS_DECISION"]) / MONTH), OLDEST)
    over = loans["DAYS_TERMINATION"] < 0
    final = np.where(over, np.clip(np.floor(-np.where(over, loans["DAYS_TERMINATION"], 0) / MONTH), 1, first), 1)
    late = rows.value(facts["late"], rows.latent("late"))
    stuck = (late > 0) & rows.chance(facts["stuck"])
    unpaid = rows.value(facts["dpd_stuck"])  # days at the end of a loan that stopped being paid
    signed = rows.chance(facts["signed"])
    loan, back = within(np.where(chosen, np.maximum(first - final + 1, 0), 0).astype(int))
    months = rows.on(rows.owner[loan])
    since = first[loan] - final[loan] - back  # months since the first
    terms = loans["CNT_PAYMENT"][loan]
    done = over[loan] & (back == 0)
    future = np.where(done, 0, np.maximum(terms - since, 0))
    dpd = np.where(months.chance(late[loan]), np.round(months.value(facts["dpd"])), 0)
    tail = np.minimum(unpaid[loan] - np.round(MONTH * back), np.round(MONTH * since))
    dpd = np.where(stuck[loan], np.maximum(tail, 0), dpd)
    status = np.where(done, 1, np.where((since == 0) & signed[loan], 2, 0))
    rare = [name for name, _ in facts["rare_status"]]
    cuts = np.cumsum([share for _, share in facts["rare_status"]])
    place = np.searchsorted(cuts, months.stream.random(months.size))
    status = np.where((place < len(rare)) & ~done, len(LOAN_STATUS) + place, status)
    gone = months.chance(facts["missing"])
    columns: Columns = {
        "SK_ID_PREV": loans["SK_ID_PREV"][loan],
        "MONTHS_BALANCE": -(back + final[loan]),
        "CNT_INSTALMENT": hidden(np.where(done, np.clip(since, 1, terms), terms), gone),
        "CNT_INSTALMENT_FUTURE": hidden(future, gone),
        "NAME_CONTRACT_STATUS": Text(status.astype(np.int32), (*LOAN_STATUS, *rare)),
        "SK_DPD": dpd,
        "SK_DPD_DEF": np.where(months.chance(facts["dpd_def"]), dpd, 0),
    }
    return columns, months.owner


def instalments(rows: Rows, loans: Columns) -> tuple[Columns, Array]:
    """Draw the table `installments_payments`: what fell due before the application, and how it was paid.

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
    facts = rows.history["installments_payments"]
    chosen, card = _loans(loans), loans["NAME_CONTRACT_TYPE"].equals(CARD)
    first, last = loans["DAYS_FIRST_DUE"], loans["DAYS_LAST_DUE"]
    begun = chosen | (card & (first < 0))
    start = np.where(begun, first, 0)
    stop = np.where(begun & (last < 0), last, -1)
    step = np.where(card, facts["card_step"], 30.0)  # days: cards are paid more often
    size = np.where(begun, np.floor(np.maximum(stop - start, 0) / step) + 1, 0)
    size = np.where(card, size, np.minimum(size, np.nan_to_num(loans["CNT_PAYMENT"])))
    early = (last < 0) & (last < loans["DAYS_LAST_DUE_1ST_VERSION"])
    manner = rows.latent("late")
    loan, number = within(np.minimum(size, facts["most"]).astype(int))
    due_rows = rows.on(rows.owner[loan])
    split = due_rows.chance(np.where(card[loan], 0, facts["split"]))
    share = due_rows.value(facts["split_share"])
    of, part = within(1 + split.astype(int))
    paid = rows.on(due_rows.owner[of])
    loan, number, split, share = loan[of], number[of], split[of], share[of]
    credit, due = card[loan], np.minimum(start[loan] + np.round(step[loan] * number), -1)
    z = np.sqrt(facts["shared"]) * manner[loan] + np.sqrt(1 - facts["shared"]) * paid.latent()
    group = Group(credit.astype(int), ("loan", "card"))
    entry = due + np.round(paid.value({"loan": facts["late_loan"], "card": facts["late_card"]}, z, group))
    final = early[loan] & (number == size[loan] - 1) & ~credit
    terms = loans["CNT_PAYMENT"][loan]
    whole = np.where(final, 0.75 * np.maximum(terms - number, 1), 1) * loans["AMT_ANNUITY"][loan]
    owed = np.round(np.where(credit, paid.value(facts["AMT_INSTALMENT_card"]), whole), 3)
    amount = owed * np.where(split, np.where(part == 0, share, 1 - share), 1)
    amount *= np.where(credit & paid.chance(facts["partial_card"]), share, 1)
    unpaid = paid.chance(facts["unpaid"])
    columns: Columns = {
        "SK_ID_PREV": loans["SK_ID_PREV"][loan],
        "NUM_INSTALMENT_VERSION": np.where(credit, 0, np.where(final, 2, paid.numbers(facts["version"]))),
        "NUM_INSTALMENT_NUMBER": 1 + number,
        "DAYS_INSTALMENT": due,
        "DAYS_ENTRY_PAYMENT": hidden(np.clip(entry, facts["first_entry"], -1), unpaid),
        "AMT_INSTALMENT": owed,
        "AMT_PAYMENT": hidden(np.round(amount, 3), unpaid),
    }
    return columns, paid.owner
