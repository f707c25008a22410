"""The features of history in plain pandas, as kernels write them; knows nothing of credit.

The benchmark's peer, and in the tests a second opinion on every number.  One function a table: read it, clean it, add
row columns and masks, group the rows of each window by client.  Ratios to the request follow at the end.
"""

from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd

__all__ = ["TABLES", "features"]

CLIENT = "SK_ID_CURR"
MONTH = 365.25 / 12
CENTURY = 36_525
NOT_YET = 365_243
UNKNOWN = ("XNA", "XAP")
#: What is not among them is not known.
KINDS_OF_CREDIT = (
    *("Consumer credit", "Credit card", "Mortgage", "Car loan", "Microloan", "Loan for business development"),
    *("Loan for working capital replenishment", "Cash loan (non-earmarked)", "Real estate loan"),
    *("Loan for the purchase of equipment", "Loan for purchase of shares (margin lending)", "Interbank credit"),
    *("Mobile operator loan", "Another type of loan"),
)
KINDS_OF_GOODS = (
    *("Mobile", "Consumer Electronics", "Computers", "Audio/Video", "Furniture", "Photo / Cinema Equipment"),
    *("Construction Materials", "Clothing and Accessories", "Auto Accessories", "Jewelry", "Homewares"),
    *("Medical Supplies", "Vehicles", "Sport and Leisure", "Gardening", "Other", "Office Appliances", "Tourism"),
    *("Medicine", "Direct Sales", "Fitness", "Additional Service", "Education", "Weapon", "Insurance"),
    *("House Construction", "Animals"),
)
STATES_OF_LOANS = (
    *("Active", "Completed", "Signed", "Demand", "Returned to the store", "Approved", "Amortized debt", "Canceled"),
)
#: Name of a feature -> (column, how), or (column, "over", column).
Named = dict[str, tuple[str, ...]]


def features(folder: str | Path, tables: Collection[str] | None = None) -> pd.DataFrame:
    """Compute the features of history.

    Parameters
    ----------
    folder : str or Path
        Kaggle's files, as .parquet, .csv or .csv.gz.
    tables : collection of str, optional
        The history tables to read, of `TABLES`; by default those that are there.

    Returns
    -------
    DataFrame
        One row per client of application_train, by client, and a column per feature.
    """
    place = Path(folder)
    request = ["AMT_CREDIT", "AMT_ANNUITY", "AMT_INCOME_TOTAL", "DAYS_BIRTH"]
    application = read(place, "application_train", [CLIENT, *request]).set_index(CLIENT)
    wanted = [name for name in TABLES if (find(place, name) if tables is None else name in tables)]
    made = pd.concat([TABLES[name](place, application.index) for name in wanted], axis=1)
    return pd.concat([made, pd.DataFrame(ratios(made, application), index=made.index)], axis=1)


# Credits at other lenders


def bureau(folder: Path, clients: pd.Index) -> pd.DataFrame:
    """Take a credit that was last written after the application for opened, and no more."""
    text = ["CREDIT_ACTIVE", "CREDIT_CURRENCY", "CREDIT_TYPE"]
    days = ["DAYS_CREDIT", "DAYS_CREDIT_ENDDATE", "DAYS_ENDDATE_FACT", "DAYS_CREDIT_UPDATE", "CREDIT_DAY_OVERDUE"]
    amounts = [
        *("AMT_CREDIT_SUM", "AMT_CREDIT_SUM_DEBT", "AMT_CREDIT_SUM_LIMIT", "AMT_CREDIT_SUM_OVERDUE"),
        *("AMT_CREDIT_MAX_OVERDUE", "AMT_ANNUITY", "CNT_CREDIT_PROLONG"),
    ]
    rows = read(folder, "bureau", [CLIENT, *text, *days, *amounts])
    end, closed_on = rows["DAYS_CREDIT_ENDDATE"], rows["DAYS_ENDDATE_FACT"]
    end = end.where(end.between(-CENTURY, CENTURY))
    closed_on = closed_on.where(closed_on.between(-CENTURY, 0))
    limit = rows["AMT_CREDIT_SUM_LIMIT"].where(rows["AMT_CREDIT_SUM_LIMIT"].between(0, 1e10))
    updated = rows["DAYS_CREDIT_UPDATE"].where(rows["DAYS_CREDIT_UPDATE"].between(-50_000, 0))
    debt, credit = rows["AMT_CREDIT_SUM_DEBT"].clip(lower=0), rows["AMT_CREDIT_SUM"]
    kind, worst = rows["CREDIT_TYPE"], rows["AMT_CREDIT_MAX_OVERDUE"]

    known = updated.notna()
    active = known & (rows["CREDIT_ACTIVE"] == "Active")
    closed = known & (rows["CREDIT_ACTIVE"] == "Closed")
    ours = known & (rows["CREDIT_CURRENCY"] == "currency 1")
    running, card = active & ours, kind == "Credit card"
    named = kind.isin(KINDS_OF_CREDIT)
    both = debt.notna() & credit.notna()

    rows["active"] = active
    rows["active_flag"] = flag(active, known)
    rows["bad"] = known & rows["CREDIT_ACTIVE"].isin(["Sold", "Bad debt"])
    rows["opened_active"] = rows["DAYS_CREDIT"].where(active)
    rows["closed_on"] = closed_on.where(closed)
    rows["end_active"] = end.where(active)
    rows["overrun"] = flag(end < 0, active & end.notna())
    rows["early"] = (end - closed_on).where(closed)
    rows["term"] = (end - rows["DAYS_CREDIT"]).where(known)
    rows["updated"] = updated
    rows["updated_active"] = updated.where(active)
    rows["credit"] = credit.where(ours)
    rows["credit_running"] = credit.where(running)
    rows["debt"] = debt.where(running)
    rows["debt_both"], rows["credit_both"] = debt.where(ours & both), credit.where(ours & both)
    rows["debt_running"], rows["credit_of_debt"] = debt.where(running & both), credit.where(running & both)
    rows["debt_cards"], rows["credit_cards"] = debt.where(card & running & both), credit.where(card & running & both)
    rows["annuity"] = rows["AMT_ANNUITY"].where(running)
    rows["overdue"] = rows["AMT_CREDIT_SUM_OVERDUE"].where(ours)
    rows["worst"] = worst.where(ours)
    rows["worst_flag"] = flag(worst > 0, ours & worst.notna())
    rows["days_overdue"] = rows["CREDIT_DAY_OVERDUE"].where(known)
    rows["prolonged"] = rows["CNT_CREDIT_PROLONG"].where(known)
    rows["card"], rows["card_active"], rows["card_flag"] = card, card & active, flag(card, named)
    rows["limit"] = limit.where(running)
    rows["micro"], rows["car"] = kind == "Microloan", kind == "Car loan"
    rows["home"] = kind.isin(["Mortgage", "Real estate loan"])

    every: Named = {"bureau_count": ("DAYS_CREDIT", "count")}
    years: Named = {
        "bureau_active": ("active", "times"),
        "bureau_active_share": ("active_flag", "mean"),
        "bureau_credit": ("credit", "total"),
        "bureau_debt": ("debt", "total"),
        "bureau_debt_to_credit": ("debt_both", "over", "credit_both"),
        "bureau_debt_to_credit_active": ("debt_running", "over", "credit_of_debt"),
        "bureau_overdue_most": ("worst", "max"),
        "bureau_cards": ("card", "times"),
        "bureau_micro": ("micro", "times"),
    }
    once: Named = {
        "bureau_bad": ("bad", "times"),
        "bureau_newest": ("DAYS_CREDIT", "max"),
        "bureau_newest_active": ("opened_active", "max"),
        "bureau_oldest": ("DAYS_CREDIT", "min"),
        "bureau_age": ("DAYS_CREDIT", "mean"),
        "bureau_age_active": ("opened_active", "mean"),
        "bureau_last_closed": ("closed_on", "max"),
        "bureau_ends_last": ("end_active", "max"),
        "bureau_ends_mean": ("end_active", "mean"),
        "bureau_overrun": ("overrun", "mean"),
        "bureau_closed_early": ("early", "mean"),
        "bureau_term": ("term", "mean"),
        "bureau_updated": ("updated", "mean"),
        "bureau_updated_active": ("updated_active", "mean"),
        "bureau_credit_mean": ("credit", "mean"),
        "bureau_credit_most": ("credit", "max"),
        "bureau_credit_active": ("credit_running", "total"),
        "bureau_debt_most": ("debt", "max"),
        "bureau_annuity": ("annuity", "total"),
        "bureau_overdue": ("overdue", "total"),
        "bureau_overdue_mean": ("worst", "mean"),
        "bureau_overdue_share": ("worst_flag", "mean"),
        "bureau_days_overdue": ("days_overdue", "max"),
        "bureau_prolonged": ("prolonged", "total"),
        "bureau_cards_active": ("card_active", "times"),
        "bureau_cards_use": ("debt_cards", "over", "credit_cards"),
        "bureau_limit": ("limit", "total"),
        "bureau_mortgages": ("home", "times"),
        "bureau_cars": ("car", "times"),
        "bureau_cards_share": ("card_flag", "mean"),
    }
    ages = rows["DAYS_CREDIT"] / -MONTH
    return windows(rows, ages, clients, {(0,): once, (0, 24, 12): years, (0, 24, 12, 6, 3): every})


def bureau_balance(folder: Path, clients: pd.Index) -> pd.DataFrame:
    """Hand months up to the client; 0 is on time, 1 to 5 are months late, C is closed, X is not known."""
    rows = read(folder, "bureau_balance", ["SK_ID_BUREAU", "MONTHS_BALANCE", "STATUS"])
    owner = read(folder, "bureau", ["SK_ID_BUREAU", CLIENT]).set_index("SK_ID_BUREAU")[CLIENT]
    rows[CLIENT] = rows.pop("SK_ID_BUREAU").map(owner)
    status = rows.pop("STATUS")
    state = status.map({digit: float(digit) for digit in "012345"})
    owed, late = state.notna(), state > 0

    rows["owed"], rows["late"], rows["state"] = owed, late, state
    rows["late_flag"] = flag(late, owed)
    rows["closed_flag"] = (status == "C").astype(float)
    rows["late_month"] = rows["MONTHS_BALANCE"].where(late)

    every: Named = {
        "months_late_share": ("late_flag", "mean"),
        "months_late": ("late", "times"),
        "months_worst": ("state", "max"),
        "months_state": ("state", "mean"),
    }
    years: Named = {"months_count": ("owed", "times"), "months_closed_share": ("closed_flag", "mean")}
    once: Named = {"months_last_late": ("late_month", "max"), "months_first": ("MONTHS_BALANCE", "min")}
    ages = -rows["MONTHS_BALANCE"]
    return windows(rows, ages, clients, {(0,): once, (0, 24, 12): years, (0, 24, 12, 6, 3): every})


# Earlier applications


def previous_application(folder: Path, clients: pd.Index) -> pd.DataFrame:
    """Read 365243 days, XNA and XAP as missing, as well as what is dated after the application and cannot be."""
    text = [
        *("NAME_CONTRACT_STATUS", "NAME_CONTRACT_TYPE", "CODE_REJECT_REASON", "NAME_YIELD_GROUP"),
        *("NAME_PRODUCT_TYPE", "NAME_CLIENT_TYPE", "NAME_GOODS_CATEGORY"),
    ]
    past = ["DAYS_FIRST_DUE", "DAYS_LAST_DUE", "DAYS_TERMINATION"]
    days = ["DAYS_DECISION", "DAYS_LAST_DUE_1ST_VERSION", *past]
    amounts = ["AMT_APPLICATION", "AMT_CREDIT", "AMT_ANNUITY", "AMT_GOODS_PRICE"]
    others = ["RATE_DOWN_PAYMENT", "CNT_PAYMENT", "SELLERPLACE_AREA", "NFLAG_INSURED_ON_APPROVAL"]
    rows = read(folder, "previous_application", [CLIENT, *text, *days, *amounts, *others])
    for name in past:
        rows[name] = rows[name].where(rows[name].between(-CENTURY, 0))
    agreed = rows["DAYS_LAST_DUE_1ST_VERSION"].where(rows["DAYS_LAST_DUE_1ST_VERSION"] != NOT_YET)
    down = rows["RATE_DOWN_PAYMENT"].where(rows["RATE_DOWN_PAYMENT"].between(0, 1))
    goods, reason, rate = rows["NAME_GOODS_CATEGORY"], rows["CODE_REJECT_REASON"], rows["NAME_YIELD_GROUP"]
    credit, asked = rows["AMT_CREDIT"], rows["AMT_APPLICATION"]
    kind, term = rows["NAME_CONTRACT_TYPE"], rows["CNT_PAYMENT"].where(rows["CNT_PAYMENT"] > 0)

    approved, refused = (rows["NAME_CONTRACT_STATUS"] == status for status in ("Approved", "Refused"))
    running = approved & rows["DAYS_TERMINATION"].isna()
    paid_back = (rows["AMT_ANNUITY"] * term).where(approved)

    rows["approved"], rows["refused"] = approved, refused
    rows["approved_flag"], rows["refused_flag"] = approved.astype(float), refused.astype(float)
    rows["cancelled_flag"] = (rows["NAME_CONTRACT_STATUS"] == "Canceled").astype(float)
    rows["decided_approved"], rows["decided_refused"] = (rows["DAYS_DECISION"].where(at) for at in (approved, refused))
    rows["scored_out"] = refused & reason.isin(["SCO", "SCOFR"])
    rows["over_limit"], rows["hard_check"] = refused & (reason == "LIMIT"), refused & (reason == "HC")
    rows["asked"] = asked.where((asked > 0) & credit.notna())
    rows["granted"] = credit.where(rows["asked"].notna())
    rows["credit_approved"], rows["credit_refused"] = credit.where(approved), credit.where(refused)
    rows["annuity_approved"] = rows["AMT_ANNUITY"].where(approved)
    rows["down"], rows["down_approved"] = down, down.where(approved)
    rows["term_all"], rows["term_approved"] = term, term.where(approved)
    rows["paid_back"] = paid_back.where(credit.notna())
    rows["lent"] = credit.where(paid_back.notna())
    rows["high"] = flag(rate == "high", present(rate))
    rows["low"] = flag(rate.isin(["low_normal", "low_action"]), present(rate))
    rows["cash"] = flag(kind == "Cash loans", present(kind))
    rows["revolving"] = flag(kind == "Revolving loans", present(kind))
    rows["walk_in"] = flag(rows["NAME_PRODUCT_TYPE"] == "walk-in", present(rows["NAME_PRODUCT_TYPE"]))
    rows["new"] = flag(rows["NAME_CLIENT_TYPE"] == "New", present(rows["NAME_CLIENT_TYPE"]))
    rows["mobile"] = flag(goods == "Mobile", goods.isin(KINDS_OF_GOODS))
    rows["shop"] = rows["SELLERPLACE_AREA"].where(rows["SELLERPLACE_AREA"] != -1)
    rows["running"] = running
    rows["running_annuity"], rows["running_credit"] = rows["AMT_ANNUITY"].where(running), credit.where(running)
    rows["agreed"], rows["ended"] = agreed.where(approved), rows["DAYS_TERMINATION"].where(approved)
    rows["first_due"] = rows["DAYS_FIRST_DUE"].where(approved)
    rows["early"] = (agreed - rows["DAYS_LAST_DUE"]).where(approved)

    every: Named = {
        "earlier_count": ("DAYS_DECISION", "count"),
        "earlier_refused": ("refused", "times"),
        "earlier_refused_share": ("refused_flag", "mean"),
    }
    years: Named = {
        "earlier_approved": ("approved", "times"),
        "earlier_approved_share": ("approved_flag", "mean"),
        "earlier_cancelled_share": ("cancelled_flag", "mean"),
        "earlier_scored_out": ("scored_out", "times"),
        "earlier_over_limit": ("over_limit", "times"),
        "earlier_hard_check": ("hard_check", "times"),
        "earlier_asked_to_granted": ("asked", "over", "granted"),
        "earlier_down_payment": ("down_approved", "mean"),
        "earlier_term": ("term_approved", "mean"),
        "earlier_interest": ("paid_back", "over", "lent"),
        "earlier_high_interest": ("high", "mean"),
        "earlier_low_interest": ("low", "mean"),
        "earlier_cash_share": ("cash", "mean"),
        "earlier_running": ("running", "times"),
    }
    once: Named = {
        "earlier_last": ("DAYS_DECISION", "max"),
        "earlier_first": ("DAYS_DECISION", "min"),
        "earlier_last_approved": ("decided_approved", "max"),
        "earlier_last_refused": ("decided_refused", "max"),
        "earlier_credit": ("credit_approved", "mean"),
        "earlier_credit_most": ("credit_approved", "max"),
        "earlier_credit_refused": ("credit_refused", "max"),
        "earlier_annuity": ("annuity_approved", "mean"),
        "earlier_annuity_most": ("annuity_approved", "max"),
        "earlier_down_payment_most": ("down", "max"),
        "earlier_term_all": ("term_all", "mean"),
        "earlier_goods": ("AMT_GOODS_PRICE", "mean"),
        "earlier_revolving_share": ("revolving", "mean"),
        "earlier_walk_in": ("walk_in", "mean"),
        "earlier_new_client": ("new", "mean"),
        "earlier_insured": ("NFLAG_INSURED_ON_APPROVAL", "mean"),
        "earlier_mobile": ("mobile", "mean"),
        "earlier_shop": ("shop", "mean"),
        "earlier_running_annuity": ("running_annuity", "total"),
        "earlier_running_credit": ("running_credit", "total"),
        "earlier_ends_last": ("agreed", "max"),
        "earlier_ended_last": ("ended", "max"),
        "earlier_first_due": ("first_due", "min"),
        "earlier_ended_early": ("early", "mean"),
    }
    ages = rows["DAYS_DECISION"] / -MONTH
    return windows(rows, ages, clients, {(0,): once, (0, 24, 12): years, (0, 24, 12, 6, 3): every})


# Balances and payments


def pos_cash_balance(folder: Path, clients: pd.Index) -> pd.DataFrame:
    """Count months, not loans; a status that nobody knows is none."""
    numbers = ["MONTHS_BALANCE", "CNT_INSTALMENT", "CNT_INSTALMENT_FUTURE", "SK_DPD", "SK_DPD_DEF"]
    rows = read(folder, "POS_CASH_balance", [CLIENT, *numbers, "NAME_CONTRACT_STATUS"])
    status = rows.pop("NAME_CONTRACT_STATUS")
    both = rows["CNT_INSTALMENT"].notna() & rows["CNT_INSTALMENT_FUTURE"].notna()

    rows["late"] = flag(rows["SK_DPD"] > 0, rows["SK_DPD"].notna())
    rows["late_firm"] = flag(rows["SK_DPD_DEF"] > 0, rows["SK_DPD_DEF"].notna())
    rows["late_month"] = rows["MONTHS_BALANCE"].where(rows["SK_DPD_DEF"] > 0)
    rows["left"], rows["agreed"] = rows["CNT_INSTALMENT_FUTURE"].where(both), rows["CNT_INSTALMENT"].where(both)
    rows["active"] = status == "Active"
    rows["completed"] = flag(status == "Completed", status.isin(STATES_OF_LOANS))

    every: Named = {
        "loans_late_share": ("late", "mean"),
        "loans_late_firm_share": ("late_firm", "mean"),
        "loans_left_share": ("left", "over", "agreed"),
    }
    years: Named = {"loans_months": ("MONTHS_BALANCE", "count"), "loans_completed_share": ("completed", "mean")}
    recent: Named = {
        "loans_days_late": ("SK_DPD", "mean"),
        "loans_days_late_most": ("SK_DPD_DEF", "max"),
        "loans_left": ("CNT_INSTALMENT_FUTURE", "max"),
        "loans_term": ("CNT_INSTALMENT", "mean"),
    }
    once: Named = {
        "loans_last_late": ("late_month", "max"),
        "loans_first": ("MONTHS_BALANCE", "min"),
        "loans_newest": ("MONTHS_BALANCE", "max"),
    }
    spans = {
        (0,): once,
        (12, 3): {"loans_active": ("active", "times")},
        (0, 24, 12): years,
        (0, 12, 3): recent,
        (0, 24, 12, 6, 3): every,
    }
    return windows(rows, -rows["MONTHS_BALANCE"], clients, spans)


def credit_card_balance(folder: Path, clients: pd.Index) -> pd.DataFrame:
    """Take drawings and payments below 0 as missing; a balance below 0 is the client's money, not debt."""
    flows = [
        *("AMT_DRAWINGS_ATM_CURRENT", "AMT_DRAWINGS_CURRENT", "AMT_INST_MIN_REGULARITY"),
        *("AMT_PAYMENT_CURRENT", "AMT_PAYMENT_TOTAL_CURRENT"),
    ]
    numbers = ["MONTHS_BALANCE", "AMT_BALANCE", "AMT_CREDIT_LIMIT_ACTUAL", "SK_DPD", "SK_DPD_DEF"]
    counts = ["CNT_DRAWINGS_ATM_CURRENT", "CNT_DRAWINGS_CURRENT", "CNT_INSTALMENT_MATURE_CUM"]
    rows = read(folder, "credit_card_balance", [CLIENT, *numbers, *counts, *flows])
    for name in flows:
        rows[name] = rows[name].where(rows[name].between(0, 1e8))
    drawn, cash, due, paid, paid_in_all = (
        rows["AMT_DRAWINGS_CURRENT"],
        rows["AMT_DRAWINGS_ATM_CURRENT"],
        rows["AMT_INST_MIN_REGULARITY"],
        rows["AMT_PAYMENT_CURRENT"],
        rows["AMT_PAYMENT_TOTAL_CURRENT"],
    )
    used, limit = rows["AMT_BALANCE"].clip(lower=0), rows["AMT_CREDIT_LIMIT_ACTUAL"]

    rows["used"], rows["of_limit"] = used.where(limit > 0), limit.where((limit > 0) & used.notna())
    rows["cash"], rows["of_drawn"] = cash.where(drawn.notna()), drawn.where(cash.notna())
    rows["paid"], rows["of_due"] = paid.where(due.notna()), due.where(paid.notna())
    rows["paid_in_all"], rows["of_used"] = paid_in_all.where(used.notna()), used.where(paid_in_all.notna())
    rows["late"] = flag(rows["SK_DPD"] > 0, rows["SK_DPD"].notna())

    every: Named = {
        "card_use": ("used", "over", "of_limit"),
        "card_balance": ("AMT_BALANCE", "mean"),
        "card_cash_times": ("CNT_DRAWINGS_ATM_CURRENT", "mean"),
    }
    years: Named = {"card_months": ("MONTHS_BALANCE", "count")}
    recent: Named = {
        "card_limit": ("AMT_CREDIT_LIMIT_ACTUAL", "max"),
        "card_drawn": ("AMT_DRAWINGS_CURRENT", "mean"),
        "card_cash_share": ("cash", "over", "of_drawn"),
        "card_drawings": ("CNT_DRAWINGS_CURRENT", "mean"),
        "card_paid_to_due": ("paid", "over", "of_due"),
        "card_paid_to_balance": ("paid_in_all", "over", "of_used"),
        "card_late_share": ("late", "mean"),
        "card_days_late_most": ("SK_DPD_DEF", "max"),
    }
    once: Named = {"card_paid_count": ("CNT_INSTALMENT_MATURE_CUM", "max")}
    spans = {(0,): once, (0, 24, 12): years, (0, 12, 3): recent, (0, 24, 12, 6, 3): every}
    return windows(rows, -rows["MONTHS_BALANCE"], clients, spans)


def installments_payments(folder: Path, clients: pd.Index) -> pd.DataFrame:
    """Take each row as it is: a payment, or an instalment that none was made for."""
    amounts = ["AMT_INSTALMENT", "AMT_PAYMENT"]
    columns = [CLIENT, "NUM_INSTALMENT_VERSION", "DAYS_INSTALMENT", "DAYS_ENTRY_PAYMENT", *amounts]
    rows = read(folder, "installments_payments", columns)
    paid, due = rows["AMT_PAYMENT"], rows["AMT_INSTALMENT"]
    late = rows["DAYS_ENTRY_PAYMENT"] - rows["DAYS_INSTALMENT"]
    short = (due - paid.fillna(0)).clip(lower=0)

    rows["days_late"], rows["days_early"] = late.clip(lower=0), (-late).clip(lower=0)
    rows["late"], rows["late_firm"] = flag(late > 0, late.notna()), flag(late > 7, late.notna())
    rows["never"] = rows["DAYS_ENTRY_PAYMENT"].isna().astype(float)
    rows["paid"], rows["due"] = paid.where(due.notna()), due.where(paid.notna())
    rows["short"], rows["short_flag"] = short, flag(short > 1, due > 0)

    every: Named = {
        "paid_late_share": ("late", "mean"),
        "paid_late_firm_share": ("late_firm", "mean"),
        "paid_days_late": ("days_late", "mean"),
        "paid_days_late_most": ("days_late", "max"),
        "paid_to_due": ("paid", "over", "due"),
        "paid_short_share": ("short_flag", "mean"),
    }
    years: Named = {
        "paid_count": ("DAYS_INSTALMENT", "count"),
        "paid_never_share": ("never", "mean"),
        "paid_amount_most": ("AMT_PAYMENT", "max"),
        "paid_version": ("NUM_INSTALMENT_VERSION", "max"),
    }
    recent: Named = {
        "paid_days_early": ("days_early", "mean"),
        "paid_short": ("short", "mean"),
        "paid_amount": ("AMT_PAYMENT", "mean"),
    }
    once: Named = {
        "paid_amount_least": ("AMT_PAYMENT", "min"),
        "paid_last": ("DAYS_ENTRY_PAYMENT", "max"),
        "paid_first": ("DAYS_INSTALMENT", "min"),
    }
    spans = {(0,): once, (0, 24, 12): years, (0, 12, 3): recent, (0, 24, 12, 6, 3): every}
    return windows(rows, rows["DAYS_INSTALMENT"] / -MONTH, clients, spans)


# History against the request, and against itself


def ratios(made: pd.DataFrame, application: pd.DataFrame) -> dict[str, pd.Series]:
    """Divide by what the client asks for and earns; only where the tables were given."""
    income, annuity = application["AMT_INCOME_TOTAL"], application["AMT_ANNUITY"]
    credit, born = application["AMT_CREDIT"], application["DAYS_BIRTH"]
    term = per(credit, annuity)
    found: dict[str, pd.Series] = {}
    if "bureau_count" in made:
        found |= {
            "bureau_debt_to_income": per(made["bureau_debt"], income),
            "bureau_debt_to_request": per(made["bureau_debt"], credit),
            "bureau_annuity_to_income": per(made["bureau_annuity"], income),
            "bureau_credit_to_request": per(made["bureau_credit_mean"], credit),
            "bureau_recent_share": per(made["bureau_count_12m"], made["bureau_count"]),
            "bureau_oldest_to_age": per(made["bureau_oldest"], born),
            "bureau_overdue_to_income": per(made["bureau_overdue_most"], income),
        }
    if "earlier_count" in made:
        found |= {
            "earlier_credit_to_request": per(made["earlier_credit"], credit),
            "earlier_annuity_to_request": per(made["earlier_annuity_most"], annuity),
            "earlier_term_to_request": per(made["earlier_term"], term),
            "earlier_running_to_income": per(made["earlier_running_annuity"], income),
            "earlier_recent_share": per(made["earlier_count_12m"], made["earlier_count"]),
        }
    if "card_months" in made:
        found["card_balance_to_income"] = per(made["card_balance"], income)
        found["card_use_rising"] = made["card_use_3m"] - made["card_use"]
    if "loans_months" in made:
        found["loans_late_rising"] = made["loans_late_share_12m"] - made["loans_late_share"]
    if "paid_count" in made:
        found["paid_late_rising"] = made["paid_late_share_12m"] - made["paid_late_share"]
        found["paid_amount_to_request"] = per(made["paid_amount"], annuity)
    return found


# Tools


def windows(
    rows: pd.DataFrame, ages: pd.Series, clients: pd.Index, spans: dict[tuple[int, ...], Named]
) -> pd.DataFrame:
    """Group the rows of each span of months by client, one span after the other; 0 is all of history."""
    made = []
    for months in (0, 24, 12, 6, 3):
        named = {name: how for span, chosen in spans.items() if months in span for name, how in chosen.items()}
        columns = {column for how in named.values() for column in (how[0], *how[2:])}
        recent = rows if not months else rows.loc[ages <= months, [CLIENT, *sorted(columns)]]
        made.append(grouped(recent, clients, named).add_suffix(f"_{months}m" if months else ""))
    return pd.concat(made, axis=1)


def grouped(rows: pd.DataFrame, clients: pd.Index, named: Named) -> pd.DataFrame:
    """Reduce the rows of each client; who has none has nothing, but counts of 0."""
    by = rows.groupby(CLIENT)
    made = {}
    for name, (column, how, *other) in named.items():
        if how == "over":
            made[name] = per(by[column].sum(min_count=1), by[other[0]].sum(min_count=1))
        elif how == "total":
            made[name] = by[column].sum(min_count=1)
        else:
            made[name] = by[column].agg("sum" if how == "times" else how)
    counts = dict.fromkeys([name for name, (_column, how, *_other) in named.items() if how in ("count", "times")], 0)
    return pd.DataFrame(made).reindex(clients).fillna(counts)


def flag(condition: pd.Series, among: pd.Series) -> pd.Series:
    """1 where it holds, 0 where not, missing outside: the mean is a share."""
    return condition.astype(float).where(among)


def present(words: pd.Series) -> pd.Series:
    """Whether something is said; "not available" and "not applicable" are not."""
    return words.notna() & ~words.isin(UNKNOWN)


def per(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    """Divide; missing where there is nothing to divide by."""
    return numerator / denominator.where(denominator != 0)


def find(folder: Path, name: str) -> Path | None:
    """Find the file of a table."""
    name = "POS_CASH_balance" if name == "pos_cash_balance" else name
    files = (folder / f"{name}{ending}" for ending in (".parquet", ".csv", ".csv.gz"))
    return next((file for file in files if file.exists()), None)


def read(folder: Path, name: str, columns: list[str]) -> pd.DataFrame:
    """Read some columns of a table; text stays text, though it be digits."""
    file = find(folder, name)
    if file is None:
        raise FileNotFoundError(f"{folder}: no {name}.parquet, .csv or .csv.gz there; give a folder that holds it.")
    if file.suffix == ".parquet":
        return pd.read_parquet(file, columns=columns)
    return pd.read_csv(file, usecols=columns, dtype={"STATUS": "str"}, float_precision="round_trip")


#: The history tables, in the order of their features.
TABLES: dict[str, Callable[[Path, pd.Index], pd.DataFrame]] = {
    made.__name__: made
    for made in (
        bureau,
        bureau_balance,
        previous_application,
        pos_cash_balance,
        credit_card_balance,
        installments_payments,
    )
}
