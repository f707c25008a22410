"""What Home Credit's six history tables say of an applicant: debts, payments, refusals, over several windows.

Each aggregate is one line, and a feature for each of its windows; ratios of history to the request follow at the end.
Which ideas pay follows what the public solutions of the competition found; formulas and words are ours.  Amounts in
another currency than the book's, and what was written after the application, are read by no feature.
"""

from functools import partial
from typing import Any

import ibis
from ibis import _

from credit.features.aggregates import count, least, mean, most, ratio, share, total
from credit.features.dictionary import WINDOWS, Feature, over
from credit.features.dictionary import derive as beside

__all__ = ["HISTORY"]

ALL, YEARS, RECENT = (0,), (0, 24, 12), (0, 12, 3)


def _over(numerator: Any, denominator: Any) -> Any:
    """Divide; missing where the denominator is zero or missing."""
    return numerator / denominator.nullif(0)


def _at_least_0(value: Any) -> Any:
    return (value > 0).ifelse(value, value * 0)


# Credits at other lenders.  A row last written after the application tells no more than that the credit was opened.
KNOWN = _.DAYS_CREDIT_UPDATE.notnull()
OURS = KNOWN & (_.CREDIT_CURRENCY == "currency 1")
ACTIVE, CLOSED = KNOWN & (_.CREDIT_ACTIVE == "Active"), KNOWN & (_.CREDIT_ACTIVE == "Closed")
RUNNING = ACTIVE & OURS
DEBT = _at_least_0(_.AMT_CREDIT_SUM_DEBT)
CARD = _.CREDIT_TYPE == "Credit card"
MICRO = _.CREDIT_TYPE == "Microloan"
HOME = _.CREDIT_TYPE.isin(("Mortgage", "Real estate loan"))
CAR = _.CREDIT_TYPE == "Car loan"
# Their months: 0 is on time, 1 to 5 are months late, C is closed, X is not known.
OWED = _.STATUS.isin(("0", "1", "2", "3", "4", "5"))
LATE = _.STATUS.isin(("1", "2", "3", "4", "5"))
MONTHS_LATE = OWED.ifelse(_.STATUS, None).cast("float64")
# Earlier applications
APPROVED, REFUSED = _.NAME_CONTRACT_STATUS == "Approved", _.NAME_CONTRACT_STATUS == "Refused"
CANCELLED = _.NAME_CONTRACT_STATUS == "Canceled"
CASH, REVOLVING = _.NAME_CONTRACT_TYPE == "Cash loans", _.NAME_CONTRACT_TYPE == "Revolving loans"
OPEN_ENDED = APPROVED & _.DAYS_TERMINATION.isnull()
# Balances and payments
USED = _at_least_0(_.AMT_BALANCE)
LIMIT = _.AMT_CREDIT_LIMIT_ACTUAL
DAYS_LATE = _at_least_0(_.DAYS_ENTRY_PAYMENT - _.DAYS_INSTALMENT)
DAYS_EARLY = _at_least_0(_.DAYS_INSTALMENT - _.DAYS_ENTRY_PAYMENT)
UNPAID = _at_least_0(_.AMT_INSTALMENT - ibis.coalesce(_.AMT_PAYMENT, 0.0))

TERM = _over(_.AMT_CREDIT, _.AMT_ANNUITY)

bureau, months = partial(over, table="bureau"), partial(over, table="bureau_balance")
earlier = partial(over, table="previous_application")
loans, card = partial(over, table="pos_cash_balance"), partial(over, table="credit_card_balance")
paid = partial(over, table="installments_payments")

# fmt: off
HISTORY: tuple[Feature, ...] = (
    # Credits at other lenders
    *bureau("bureau_count", count(_.DAYS_CREDIT.notnull()), "Credits at other lenders", "Crédits chez d'autres prêteurs", "bureau_history", unit="count", windows=WINDOWS),
    *bureau("bureau_active", count(ACTIVE), "Running credits at other lenders", "Crédits en cours chez d'autres prêteurs", "bureau_debt", unit="count", windows=YEARS, monotone=1),
    *bureau("bureau_active_share", share(ACTIVE, of=KNOWN), "Share of credits at other lenders that still run", "Part des crédits en cours chez d'autres prêteurs", "bureau_debt", unit="share", windows=YEARS, monotone=1),
    *bureau("bureau_bad", count(KNOWN & _.CREDIT_ACTIVE.isin(("Sold", "Bad debt"))), "Credits at other lenders sold or written off", "Crédits cédés ou passés en perte chez d'autres prêteurs", "bureau_arrears", unit="count", monotone=1),
    *bureau("bureau_newest", most(_.DAYS_CREDIT), "Newest credit at another lender", "Crédit le plus récent chez un autre prêteur", "bureau_history", unit="days"),
    *bureau("bureau_newest_active", most(_.DAYS_CREDIT, ACTIVE), "Newest running credit at another lender", "Crédit en cours le plus récent chez un autre prêteur", "bureau_debt", unit="days", monotone=1),
    *bureau("bureau_oldest", least(_.DAYS_CREDIT), "Oldest credit at another lender", "Crédit le plus ancien chez un autre prêteur", "bureau_history", unit="days", monotone=1),
    *bureau("bureau_age", mean(_.DAYS_CREDIT), "Mean age of credits at other lenders", "Ancienneté moyenne des crédits chez d'autres prêteurs", "bureau_history", unit="days", monotone=1),
    *bureau("bureau_age_active", mean(_.DAYS_CREDIT, ACTIVE), "Mean age of running credits at other lenders", "Ancienneté moyenne des crédits en cours chez d'autres prêteurs", "bureau_history", unit="days", monotone=1),
    *bureau("bureau_last_closed", most(_.DAYS_ENDDATE_FACT, CLOSED), "Credit at another lender closed last", "Dernier crédit soldé chez un autre prêteur", "bureau_history", unit="days"),
    *bureau("bureau_ends_last", most(_.DAYS_CREDIT_ENDDATE, ACTIVE), "Last agreed end of the running credits elsewhere", "Dernière fin prévue des crédits en cours ailleurs", "bureau_debt", unit="days"),
    *bureau("bureau_ends_mean", mean(_.DAYS_CREDIT_ENDDATE, ACTIVE), "Mean agreed end of the running credits elsewhere", "Fin prévue moyenne des crédits en cours ailleurs", "bureau_debt", unit="days"),
    *bureau("bureau_overrun", share(_.DAYS_CREDIT_ENDDATE < 0, of=ACTIVE & _.DAYS_CREDIT_ENDDATE.notnull()), "Share of running credits elsewhere past their agreed end", "Part des crédits en cours ailleurs au-delà de leur fin prévue", "bureau_arrears", unit="share", monotone=1),
    *bureau("bureau_closed_early", mean(_.DAYS_CREDIT_ENDDATE - _.DAYS_ENDDATE_FACT, CLOSED), "Days that credits elsewhere were closed before their agreed end", "Jours d'avance de clôture des crédits ailleurs", "bureau_history", unit="count"),
    *bureau("bureau_term", mean(_.DAYS_CREDIT_ENDDATE - _.DAYS_CREDIT, KNOWN), "Mean agreed term of credits elsewhere", "Durée prévue moyenne des crédits ailleurs", "bureau_history", unit="days"),
    *bureau("bureau_updated", mean(_.DAYS_CREDIT_UPDATE), "Mean age of the bureau's news", "Ancienneté moyenne des nouvelles du bureau", "bureau_history", unit="days"),
    *bureau("bureau_updated_active", mean(_.DAYS_CREDIT_UPDATE, ACTIVE), "Mean age of the bureau's news of running credits", "Ancienneté moyenne des nouvelles des crédits en cours", "bureau_history", unit="days"),
    *bureau("bureau_credit", total(_.AMT_CREDIT_SUM, OURS), "Credit taken at other lenders", "Crédit contracté chez d'autres prêteurs", "bureau_history", unit="currency", windows=YEARS),
    *bureau("bureau_credit_mean", mean(_.AMT_CREDIT_SUM, OURS), "Mean credit at other lenders", "Crédit moyen chez d'autres prêteurs", "bureau_history", unit="currency"),
    *bureau("bureau_credit_most", most(_.AMT_CREDIT_SUM, OURS), "Largest credit at another lender", "Plus gros crédit chez un autre prêteur", "bureau_history", unit="currency"),
    *bureau("bureau_credit_active", total(_.AMT_CREDIT_SUM, RUNNING), "Running credit at other lenders", "Crédit en cours chez d'autres prêteurs", "bureau_debt", unit="currency"),
    *bureau("bureau_debt", total(DEBT, RUNNING), "Debt at other lenders", "Dette chez d'autres prêteurs", "bureau_debt", unit="currency", windows=YEARS),
    *bureau("bureau_debt_most", most(DEBT, RUNNING), "Largest debt at another lender", "Plus grosse dette chez un autre prêteur", "bureau_debt", unit="currency"),
    *bureau("bureau_debt_to_credit", ratio(DEBT, _.AMT_CREDIT_SUM, OURS), "Debt over all credit at other lenders", "Dette sur l'ensemble du crédit chez d'autres prêteurs", "bureau_debt", unit="share", windows=YEARS, monotone=1),
    *bureau("bureau_debt_to_credit_active", ratio(DEBT, _.AMT_CREDIT_SUM, RUNNING), "Debt over running credit at other lenders", "Dette sur crédit en cours chez d'autres prêteurs", "bureau_debt", unit="share", windows=YEARS, monotone=1),
    *bureau("bureau_annuity", total(_.AMT_ANNUITY, RUNNING), "Annuities of running credits elsewhere", "Annuités des crédits en cours ailleurs", "bureau_debt", unit="currency"),
    *bureau("bureau_overdue", total(_.AMT_CREDIT_SUM_OVERDUE, OURS), "Amount overdue at other lenders", "Montant en retard chez d'autres prêteurs", "bureau_arrears", unit="currency", monotone=1),
    *bureau("bureau_overdue_most", most(_.AMT_CREDIT_MAX_OVERDUE, OURS), "Largest amount ever overdue elsewhere", "Plus grand montant jamais en retard ailleurs", "bureau_arrears", unit="currency", windows=YEARS, monotone=1),
    *bureau("bureau_overdue_mean", mean(_.AMT_CREDIT_MAX_OVERDUE, OURS), "Mean of the largest amounts overdue elsewhere", "Moyenne des plus grands montants en retard ailleurs", "bureau_arrears", unit="currency", monotone=1),
    *bureau("bureau_overdue_share", share(_.AMT_CREDIT_MAX_OVERDUE > 0, of=OURS & _.AMT_CREDIT_MAX_OVERDUE.notnull()), "Share of credits elsewhere ever overdue", "Part des crédits ailleurs ayant déjà été en retard", "bureau_arrears", unit="share", monotone=1),
    *bureau("bureau_days_overdue", most(_.CREDIT_DAY_OVERDUE, KNOWN), "Days overdue at another lender", "Jours de retard chez un autre prêteur", "bureau_arrears", unit="days", monotone=1),
    *bureau("bureau_prolonged", total(_.CNT_CREDIT_PROLONG, KNOWN), "Times that credits elsewhere were prolonged", "Prolongations des crédits ailleurs", "bureau_arrears", unit="count"),
    *bureau("bureau_cards", count(CARD), "Cards at other lenders", "Cartes chez d'autres prêteurs", "bureau_history", unit="count", windows=YEARS),
    *bureau("bureau_cards_active", count(CARD & ACTIVE), "Running cards at other lenders", "Cartes en cours chez d'autres prêteurs", "bureau_debt", unit="count"),
    *bureau("bureau_cards_use", ratio(DEBT, _.AMT_CREDIT_SUM, CARD & RUNNING), "Use of the cards at other lenders", "Utilisation des cartes chez d'autres prêteurs", "bureau_debt", unit="share", monotone=1),
    *bureau("bureau_limit", total(_.AMT_CREDIT_SUM_LIMIT, RUNNING), "Limits left on cards at other lenders", "Plafonds disponibles chez d'autres prêteurs", "bureau_debt", unit="currency"),
    *bureau("bureau_micro", count(MICRO), "Microloans", "Microcrédits", "bureau_history", unit="count", windows=YEARS, monotone=1),
    *bureau("bureau_mortgages", count(HOME), "Home loans at other lenders", "Crédits immobiliers chez d'autres prêteurs", "bureau_history", unit="count", monotone=-1),
    *bureau("bureau_cars", count(CAR), "Car loans at other lenders", "Crédits auto chez d'autres prêteurs", "bureau_history", unit="count", monotone=-1),
    *bureau("bureau_cards_share", share(CARD, of=_.CREDIT_TYPE.notnull()), "Share of cards among credits elsewhere", "Part des cartes parmi les crédits ailleurs", "bureau_history", unit="share"),
    # Their months
    *months("months_count", count(OWED), "Months of payments on credits elsewhere", "Mois de paiements sur des crédits ailleurs", "bureau_months", unit="count", windows=YEARS),
    *months("months_late_share", share(LATE, of=OWED), "Share of months late on credits elsewhere", "Part des mois de retard sur des crédits ailleurs", "bureau_months", unit="share", windows=WINDOWS, monotone=1),
    *months("months_late", count(LATE), "Months late on credits elsewhere", "Mois de retard sur des crédits ailleurs", "bureau_months", unit="count", windows=WINDOWS, monotone=1),
    *months("months_worst", most(MONTHS_LATE), "Worst state of a month on credits elsewhere", "Pire état d'un mois sur des crédits ailleurs", "bureau_months", unit="count", windows=WINDOWS, monotone=1),
    *months("months_state", mean(MONTHS_LATE), "Mean state of months on credits elsewhere", "État moyen des mois sur des crédits ailleurs", "bureau_months", unit="count", windows=WINDOWS, monotone=1),
    *months("months_closed_share", share(_.STATUS == "C"), "Share of months after closing of credits elsewhere", "Part des mois après clôture des crédits ailleurs", "bureau_months", unit="share", windows=YEARS),
    *months("months_last_late", most(_.MONTHS_BALANCE, LATE), "Last month late on credits elsewhere", "Dernier mois de retard sur des crédits ailleurs", "bureau_months", unit="months", monotone=1),
    *months("months_first", least(_.MONTHS_BALANCE), "First month known of credits elsewhere", "Premier mois connu de crédits ailleurs", "bureau_months", unit="months", monotone=1),
    # Earlier applications
    *earlier("earlier_count", count(_.DAYS_DECISION.notnull()), "Earlier applications", "Demandes antérieures", "earlier_applications", unit="count", windows=WINDOWS),
    *earlier("earlier_approved", count(APPROVED), "Earlier applications approved", "Demandes antérieures acceptées", "earlier_applications", unit="count", windows=YEARS),
    *earlier("earlier_refused", count(REFUSED), "Earlier applications refused", "Demandes antérieures refusées", "earlier_refusals", unit="count", windows=WINDOWS, monotone=1),
    *earlier("earlier_refused_share", share(REFUSED), "Share of earlier applications refused", "Part des demandes antérieures refusées", "earlier_refusals", unit="share", windows=WINDOWS, monotone=1),
    *earlier("earlier_approved_share", share(APPROVED), "Share of earlier applications approved", "Part des demandes antérieures acceptées", "earlier_refusals", unit="share", windows=YEARS, monotone=-1),
    *earlier("earlier_cancelled_share", share(CANCELLED), "Share of earlier applications cancelled", "Part des demandes antérieures annulées", "earlier_applications", unit="share", windows=YEARS),
    *earlier("earlier_last", most(_.DAYS_DECISION), "Last decision on an earlier application", "Dernière décision sur une demande antérieure", "earlier_applications", unit="days"),
    *earlier("earlier_first", least(_.DAYS_DECISION), "First decision on an earlier application", "Première décision sur une demande antérieure", "earlier_applications", unit="days", monotone=1),
    *earlier("earlier_last_approved", most(_.DAYS_DECISION, APPROVED), "Last earlier approval", "Dernière acceptation antérieure", "earlier_applications", unit="days"),
    *earlier("earlier_last_refused", most(_.DAYS_DECISION, REFUSED), "Last earlier refusal", "Dernier refus antérieur", "earlier_refusals", unit="days", monotone=1),
    *earlier("earlier_scored_out", count(REFUSED & _.CODE_REJECT_REASON.isin(("SCO", "SCOFR"))), "Earlier refusals for the score", "Refus antérieurs en raison du score", "earlier_refusals", unit="count", windows=YEARS, monotone=1),
    *earlier("earlier_over_limit", count(REFUSED & (_.CODE_REJECT_REASON == "LIMIT")), "Earlier refusals for the limit", "Refus antérieurs en raison du plafond", "earlier_refusals", unit="count", windows=YEARS, monotone=1),
    *earlier("earlier_hard_check", count(REFUSED & (_.CODE_REJECT_REASON == "HC")), "Earlier refusals for a policy rule", "Refus antérieurs par règle d'octroi", "earlier_refusals", unit="count", windows=YEARS, monotone=1),
    *earlier("earlier_asked_to_granted", ratio(_.AMT_APPLICATION, _.AMT_CREDIT, _.AMT_APPLICATION > 0), "Asked for over granted, earlier applications", "Demandé sur accordé, demandes antérieures", "earlier_terms", unit="share", windows=YEARS),
    *earlier("earlier_credit", mean(_.AMT_CREDIT, APPROVED), "Mean credit approved earlier", "Crédit moyen accepté antérieurement", "earlier_terms", unit="currency"),
    *earlier("earlier_credit_most", most(_.AMT_CREDIT, APPROVED), "Largest credit approved earlier", "Plus gros crédit accepté antérieurement", "earlier_terms", unit="currency"),
    *earlier("earlier_credit_refused", most(_.AMT_CREDIT, REFUSED), "Largest credit refused earlier", "Plus gros crédit refusé antérieurement", "earlier_refusals", unit="currency"),
    *earlier("earlier_annuity", mean(_.AMT_ANNUITY, APPROVED), "Mean annuity of credits approved earlier", "Annuité moyenne des crédits acceptés antérieurement", "earlier_terms", unit="currency"),
    *earlier("earlier_annuity_most", most(_.AMT_ANNUITY, APPROVED), "Largest annuity approved earlier", "Plus grosse annuité acceptée antérieurement", "earlier_terms", unit="currency"),
    *earlier("earlier_down_payment", mean(_.RATE_DOWN_PAYMENT, APPROVED), "Mean rate of down payments earlier", "Taux moyen d'apport antérieur", "earlier_terms", unit="share", windows=YEARS, monotone=-1),
    *earlier("earlier_down_payment_most", most(_.RATE_DOWN_PAYMENT), "Highest rate of a down payment earlier", "Taux d'apport antérieur le plus élevé", "earlier_terms", unit="share", monotone=-1),
    *earlier("earlier_term", mean(_.CNT_PAYMENT, APPROVED & (_.CNT_PAYMENT > 0)), "Mean term of credits approved earlier", "Durée moyenne des crédits acceptés antérieurement", "earlier_terms", unit="months", windows=YEARS),
    *earlier("earlier_term_all", mean(_.CNT_PAYMENT, _.CNT_PAYMENT > 0), "Mean term asked for earlier", "Durée moyenne demandée antérieurement", "earlier_terms", unit="months"),
    *earlier("earlier_goods", mean(_.AMT_GOODS_PRICE), "Mean price of goods earlier", "Prix moyen des biens antérieurs", "earlier_terms", unit="currency"),
    *earlier("earlier_interest", ratio(_.AMT_ANNUITY * _.CNT_PAYMENT, _.AMT_CREDIT, APPROVED & (_.CNT_PAYMENT > 0)), "Paid back over credit, approved earlier", "Remboursé sur crédit, acceptés antérieurement", "earlier_terms", unit="share", windows=YEARS, monotone=1),
    *earlier("earlier_high_interest", share(_.NAME_YIELD_GROUP == "high"), "Share of earlier applications at high interest", "Part des demandes antérieures à taux élevé", "earlier_terms", unit="share", windows=YEARS, monotone=1),
    *earlier("earlier_low_interest", share(_.NAME_YIELD_GROUP.isin(("low_normal", "low_action"))), "Share of earlier applications at low interest", "Part des demandes antérieures à taux bas", "earlier_terms", unit="share", windows=YEARS, monotone=-1),
    *earlier("earlier_cash_share", share(CASH), "Share of cash loans among earlier applications", "Part des prêts en espèces parmi les demandes antérieures", "earlier_applications", unit="share", windows=YEARS),
    *earlier("earlier_revolving_share", share(REVOLVING), "Share of cards among earlier applications", "Part des cartes parmi les demandes antérieures", "earlier_applications", unit="share"),
    *earlier("earlier_walk_in", share(_.NAME_PRODUCT_TYPE == "walk-in"), "Share of earlier applications asked for at the counter", "Part des demandes antérieures faites au guichet", "earlier_applications", unit="share", monotone=1),
    *earlier("earlier_new_client", share(_.NAME_CLIENT_TYPE == "New"), "Share of earlier applications as a new client", "Part des demandes antérieures en tant que nouveau client", "earlier_applications", unit="share"),
    *earlier("earlier_insured", share(_.NFLAG_INSURED_ON_APPROVAL == 1), "Share of earlier credits insured", "Part des crédits antérieurs assurés", "earlier_terms", unit="share"),
    *earlier("earlier_mobile", share(_.NAME_GOODS_CATEGORY == "Mobile"), "Share of phones among goods bought earlier", "Part des téléphones parmi les biens antérieurs", "earlier_applications", unit="share", monotone=1),
    *earlier("earlier_shop", mean(_.SELLERPLACE_AREA), "Mean size of the shops", "Surface moyenne des magasins", "earlier_applications"),
    *earlier("earlier_running", count(OPEN_ENDED), "Earlier credits not yet ended", "Crédits antérieurs non terminés", "earlier_debt", unit="count", windows=YEARS),
    *earlier("earlier_running_annuity", total(_.AMT_ANNUITY, OPEN_ENDED), "Annuities of earlier credits not yet ended", "Annuités des crédits antérieurs non terminés", "earlier_debt", unit="currency"),
    *earlier("earlier_running_credit", total(_.AMT_CREDIT, OPEN_ENDED), "Earlier credit not yet ended", "Crédit antérieur non terminé", "earlier_debt", unit="currency"),
    *earlier("earlier_ends_last", most(_.DAYS_LAST_DUE_1ST_VERSION, APPROVED), "Last agreed end of earlier credits", "Dernière fin prévue des crédits antérieurs", "earlier_debt", unit="days"),
    *earlier("earlier_ended_last", most(_.DAYS_TERMINATION, APPROVED), "Earlier credit ended last", "Dernier crédit antérieur terminé", "earlier_applications", unit="days"),
    *earlier("earlier_first_due", least(_.DAYS_FIRST_DUE, APPROVED), "First payment ever due", "Toute première échéance", "earlier_applications", unit="days", monotone=1),
    *earlier("earlier_ended_early", mean(_.DAYS_LAST_DUE_1ST_VERSION - _.DAYS_LAST_DUE, APPROVED), "Days that earlier credits ended before their agreed end", "Jours d'avance de fin des crédits antérieurs", "earlier_terms", unit="count"),
    # Monthly balances of earlier loans
    *loans("loans_months", count(_.MONTHS_BALANCE.notnull()), "Months of earlier loans", "Mois de crédits antérieurs", "loan_payments", unit="count", windows=YEARS),
    *loans("loans_late_share", share(_.SK_DPD > 0), "Share of months past due on earlier loans", "Part des mois de retard sur crédits antérieurs", "loan_payments", unit="share", windows=WINDOWS, monotone=1),
    *loans("loans_late_firm_share", share(_.SK_DPD_DEF > 0), "Share of months past due on earlier loans, small debts aside", "Part des mois de retard sur crédits antérieurs, hors petites dettes", "loan_payments", unit="share", windows=WINDOWS, monotone=1),
    *loans("loans_days_late", mean(_.SK_DPD), "Mean days past due on earlier loans", "Jours de retard moyens sur crédits antérieurs", "loan_payments", unit="days", windows=RECENT, monotone=1),
    *loans("loans_days_late_most", most(_.SK_DPD_DEF), "Most days past due on earlier loans, small debts aside", "Plus long retard sur crédits antérieurs, hors petites dettes", "loan_payments", unit="days", windows=RECENT, monotone=1),
    *loans("loans_last_late", most(_.MONTHS_BALANCE, _.SK_DPD_DEF > 0), "Last month past due on earlier loans", "Dernier mois de retard sur crédits antérieurs", "loan_payments", unit="months", monotone=1),
    *loans("loans_left", most(_.CNT_INSTALMENT_FUTURE), "Most instalments left to pay on an earlier loan", "Plus grand nombre d'échéances restantes sur un crédit antérieur", "earlier_debt", unit="count", windows=RECENT),
    *loans("loans_left_share", ratio(_.CNT_INSTALMENT_FUTURE, _.CNT_INSTALMENT), "Share of instalments left to pay on earlier loans", "Part des échéances restantes sur crédits antérieurs", "earlier_debt", unit="share", windows=WINDOWS, monotone=1),
    *loans("loans_term", mean(_.CNT_INSTALMENT), "Mean term of earlier loans", "Durée moyenne des crédits antérieurs", "earlier_terms", unit="months", windows=RECENT),
    *loans("loans_completed_share", share(_.NAME_CONTRACT_STATUS == "Completed"), "Share of months in which an earlier loan was completed", "Part des mois où un crédit antérieur fut soldé", "loan_payments", unit="share", windows=YEARS),
    *loans("loans_active", count(_.NAME_CONTRACT_STATUS == "Active"), "Months of running earlier loans", "Mois de crédits antérieurs en cours", "loan_payments", unit="count", windows=(12, 3)),
    *loans("loans_first", least(_.MONTHS_BALANCE), "First month of an earlier loan", "Premier mois d'un crédit antérieur", "loan_payments", unit="months", monotone=1),
    *loans("loans_newest", most(_.MONTHS_BALANCE), "Latest month of an earlier loan", "Dernier mois d'un crédit antérieur", "loan_payments", unit="months"),
    # Cards
    *card("card_months", count(_.MONTHS_BALANCE.notnull()), "Months with a card", "Mois avec une carte", "card_use", unit="count", windows=YEARS),
    *card("card_use", ratio(USED, LIMIT, LIMIT > 0), "Balance over limit of the card", "Solde sur plafond de la carte", "card_use", unit="share", windows=WINDOWS, monotone=1),
    *card("card_balance", mean(_.AMT_BALANCE), "Mean balance of the card", "Solde moyen de la carte", "card_use", unit="currency", windows=WINDOWS),
    *card("card_limit", most(LIMIT), "Highest limit of the card", "Plafond le plus élevé de la carte", "card_use", unit="currency", windows=RECENT),
    *card("card_drawn", mean(_.AMT_DRAWINGS_CURRENT), "Mean drawings in a month", "Tirages moyens par mois", "card_use", unit="currency", windows=RECENT),
    *card("card_cash_share", ratio(_.AMT_DRAWINGS_ATM_CURRENT, _.AMT_DRAWINGS_CURRENT), "Share of cash among drawings", "Part des retraits parmi les tirages", "card_use", unit="share", windows=RECENT, monotone=1),
    *card("card_cash_times", mean(_.CNT_DRAWINGS_ATM_CURRENT), "Cash drawings in a month", "Retraits par mois", "card_use", unit="count", windows=WINDOWS, monotone=1),
    *card("card_drawings", mean(_.CNT_DRAWINGS_CURRENT), "Drawings in a month", "Tirages par mois", "card_use", unit="count", windows=RECENT),
    *card("card_paid_to_due", ratio(_.AMT_PAYMENT_CURRENT, _.AMT_INST_MIN_REGULARITY), "Paid over least payment due on the card", "Payé sur minimum dû de la carte", "card_payments", unit="share", windows=RECENT, monotone=-1),
    *card("card_paid_to_balance", ratio(_.AMT_PAYMENT_TOTAL_CURRENT, USED), "Paid over balance of the card", "Payé sur solde de la carte", "card_payments", unit="share", windows=RECENT, monotone=-1),
    *card("card_late_share", share(_.SK_DPD > 0), "Share of months past due on the card", "Part des mois de retard sur la carte", "card_payments", unit="share", windows=RECENT, monotone=1),
    *card("card_days_late_most", most(_.SK_DPD_DEF), "Most days past due on the card, small debts aside", "Plus long retard sur la carte, hors petites dettes", "card_payments", unit="days", windows=RECENT, monotone=1),
    *card("card_paid_count", most(_.CNT_INSTALMENT_MATURE_CUM), "Instalments paid on the card", "Échéances payées sur la carte", "card_payments", unit="count"),
    # Instalments
    *paid("paid_count", count(_.DAYS_INSTALMENT.notnull()), "Instalments", "Échéances", "instalments", unit="count", windows=YEARS),
    *paid("paid_late_share", share(DAYS_LATE > 0, of=_.DAYS_ENTRY_PAYMENT.notnull()), "Share of instalments paid late", "Part des échéances payées en retard", "instalments", unit="share", windows=WINDOWS, monotone=1),
    *paid("paid_late_firm_share", share(DAYS_LATE > 7, of=_.DAYS_ENTRY_PAYMENT.notnull()), "Share of instalments paid over a week late", "Part des échéances payées avec plus d'une semaine de retard", "instalments", unit="share", windows=WINDOWS, monotone=1),
    *paid("paid_days_late", mean(DAYS_LATE), "Mean days that instalments were late", "Jours de retard moyens des échéances", "instalments", unit="days", windows=WINDOWS, monotone=1),
    *paid("paid_days_late_most", most(DAYS_LATE), "Most days that an instalment was late", "Plus long retard d'une échéance", "instalments", unit="days", windows=WINDOWS, monotone=1),
    *paid("paid_days_early", mean(DAYS_EARLY), "Mean days that instalments were early", "Jours d'avance moyens des échéances", "instalments", unit="days", windows=RECENT, monotone=-1),
    *paid("paid_to_due", ratio(_.AMT_PAYMENT, _.AMT_INSTALMENT), "Paid over due", "Payé sur dû", "instalments", unit="share", windows=WINDOWS, monotone=-1),
    *paid("paid_short_share", share(UNPAID > 1, of=_.AMT_INSTALMENT > 0), "Share of payments below the instalment", "Part des paiements inférieurs à l'échéance", "instalments", unit="share", windows=WINDOWS, monotone=1),
    *paid("paid_short", mean(UNPAID), "Mean amount that payments lack to the instalment", "Montant moyen manquant aux paiements", "instalments", unit="currency", windows=RECENT, monotone=1),
    *paid("paid_never_share", share(_.DAYS_ENTRY_PAYMENT.isnull(), of=_.DAYS_INSTALMENT.notnull()), "Share of instalments never paid", "Part des échéances jamais payées", "instalments", unit="share", windows=YEARS, monotone=1),
    *paid("paid_amount", mean(_.AMT_PAYMENT), "Mean payment", "Paiement moyen", "instalments", unit="currency", windows=RECENT),
    *paid("paid_amount_most", most(_.AMT_PAYMENT), "Largest payment", "Plus gros paiement", "instalments", unit="currency", windows=YEARS),
    *paid("paid_amount_least", least(_.AMT_PAYMENT), "Smallest payment", "Plus petit paiement", "instalments", unit="currency"),
    *paid("paid_version", most(_.NUM_INSTALMENT_VERSION), "Versions of a schedule", "Versions d'un échéancier", "instalments", unit="count", windows=YEARS),
    *paid("paid_last", most(_.DAYS_ENTRY_PAYMENT), "Last payment", "Dernier paiement", "instalments", unit="days"),
    *paid("paid_first", least(_.DAYS_INSTALMENT), "First instalment due", "Première échéance due", "instalments", unit="days", monotone=1),
    # History against the request, and against itself
    beside("bureau_debt_to_income", _over(_.bureau_debt, _.AMT_INCOME_TOTAL), "Debt elsewhere over annual income", "Dette ailleurs sur revenu annuel", "bureau_debt", table="bureau", unit="share", monotone=1),
    beside("bureau_debt_to_request", _over(_.bureau_debt, _.AMT_CREDIT), "Debt elsewhere over the credit asked for", "Dette ailleurs sur crédit demandé", "bureau_debt", table="bureau", unit="share", actionable=True),
    beside("bureau_annuity_to_income", _over(_.bureau_annuity, _.AMT_INCOME_TOTAL), "Annuities elsewhere over annual income", "Annuités ailleurs sur revenu annuel", "bureau_debt", table="bureau", unit="share", monotone=1),
    beside("bureau_credit_to_request", _over(_.bureau_credit_mean, _.AMT_CREDIT), "Mean credit elsewhere over the credit asked for", "Crédit moyen ailleurs sur crédit demandé", "bureau_history", table="bureau", unit="share", actionable=True),
    beside("bureau_recent_share", _over(_.bureau_count_12m, _.bureau_count), "Share of credits elsewhere opened in the last year", "Part des crédits ailleurs ouverts dans l'année", "bureau_history", table="bureau", unit="share", monotone=1),
    beside("bureau_oldest_to_age", _over(_.bureau_oldest, _.DAYS_BIRTH), "Share of life since the first credit elsewhere", "Part de la vie depuis le premier crédit ailleurs", "bureau_history", table="bureau", unit="share"),
    beside("bureau_overdue_to_income", _over(_.bureau_overdue_most, _.AMT_INCOME_TOTAL), "Largest amount overdue elsewhere over annual income", "Plus grand retard ailleurs sur revenu annuel", "bureau_arrears", table="bureau", unit="share", monotone=1),
    beside("earlier_credit_to_request", _over(_.earlier_credit, _.AMT_CREDIT), "Mean credit approved earlier over the credit asked for", "Crédit moyen accepté antérieurement sur crédit demandé", "earlier_terms", table="previous_application", unit="share", actionable=True),
    beside("earlier_annuity_to_request", _over(_.earlier_annuity_most, _.AMT_ANNUITY), "Largest annuity earlier over the annuity now", "Plus grosse annuité antérieure sur annuité actuelle", "earlier_terms", table="previous_application", unit="share", actionable=True),
    beside("earlier_term_to_request", _over(_.earlier_term, TERM), "Mean term earlier over the term asked for", "Durée moyenne antérieure sur durée demandée", "earlier_terms", table="previous_application", unit="share", actionable=True),
    beside("earlier_running_to_income", _over(_.earlier_running_annuity, _.AMT_INCOME_TOTAL), "Annuities of running earlier credits over annual income", "Annuités des crédits antérieurs en cours sur revenu annuel", "earlier_debt", table="previous_application", unit="share", monotone=1),
    beside("earlier_recent_share", _over(_.earlier_count_12m, _.earlier_count), "Share of earlier applications made in the last year", "Part des demandes antérieures faites dans l'année", "earlier_applications", table="previous_application", unit="share", monotone=1),
    beside("card_balance_to_income", _over(_.card_balance, _.AMT_INCOME_TOTAL), "Mean balance of the card over annual income", "Solde moyen de la carte sur revenu annuel", "card_use", table="credit_card_balance", unit="share"),
    beside("card_use_rising", _.card_use_3m - _.card_use, "Use of the card, last 3 months against all", "Utilisation de la carte, 3 derniers mois contre tous", "card_use", table="credit_card_balance", unit="share", monotone=1),
    beside("loans_late_rising", _.loans_late_share_12m - _.loans_late_share, "Months past due on earlier loans, last year against all", "Mois de retard sur crédits antérieurs, dernière année contre toutes", "loan_payments", table="pos_cash_balance", unit="share", monotone=1),
    beside("paid_late_rising", _.paid_late_share_12m - _.paid_late_share, "Instalments paid late, last year against all", "Échéances en retard, dernière année contre toutes", "instalments", table="installments_payments", unit="share", monotone=1),
    beside("paid_amount_to_request", _over(_.paid_amount, _.AMT_ANNUITY), "Mean payment over the annuity now", "Paiement moyen sur annuité actuelle", "instalments", table="installments_payments", unit="share", actionable=True),
)
# fmt: on
