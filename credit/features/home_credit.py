"""What Home Credit's application says between the lines: ratios, ages, counts, and the scores together.

Each feature is one line: a formula over one row of the application, words, a concept, and a direction where
the domain gives one.  Which ideas pay follows what the public solutions of the competition found; formulas and
words are ours.  Nothing here is fitted, and no protected or excluded column is read.
"""

from functools import reduce
from operator import add, mul
from typing import Any

import ibis
from ibis import _

from credit.features.dictionary import Feature, derive
from credit.features.home_credit_history import HISTORY

__all__ = ["DERIVED"]

SCORES = ("EXT_SOURCE_1", "EXT_SOURCE_2", "EXT_SOURCE_3")
MISMATCHES = (
    "REG_REGION_NOT_LIVE_REGION",
    "REG_REGION_NOT_WORK_REGION",
    "LIVE_REGION_NOT_WORK_REGION",
    "REG_CITY_NOT_LIVE_CITY",
    "REG_CITY_NOT_WORK_CITY",
    "LIVE_CITY_NOT_WORK_CITY",
)
CONTACTS = ("FLAG_EMP_PHONE", "FLAG_WORK_PHONE", "FLAG_CONT_MOBILE", "FLAG_PHONE", "FLAG_EMAIL")
ENQUIRIES = tuple(f"AMT_REQ_CREDIT_BUREAU_{span}" for span in ("HOUR", "DAY", "WEEK", "MON", "QRT", "YEAR"))
BUILDING = (
    "APARTMENTS_AVG",
    "LIVINGAREA_AVG",
    "FLOORSMAX_AVG",
    "ENTRANCES_AVG",
    "TOTALAREA_MODE",
    "YEARS_BUILD_AVG",
)
DOCUMENTS = tuple(f"FLAG_DOCUMENT_{number}" for number in range(2, 22))


def _over(numerator: Any, denominator: Any) -> Any:
    """Divide; missing where the denominator is zero or missing."""
    return numerator / denominator.nullif(0)


def _sum(names: tuple[str, ...]) -> Any:
    return reduce(add, [_[name] for name in names])


def _missing(names: tuple[str, ...]) -> Any:
    return reduce(add, [_[name].isnull().cast("float64") for name in names])


def _neutral(name: str) -> Any:
    """Take a score, with the middle of the scale where it is missing."""
    return ibis.coalesce(_[name], 0.5)


def _evidence(name: str) -> Any:
    """Take a score in log-odds, cut to [0.01, 0.99]; nothing where it is missing."""
    share = ibis.greatest(ibis.least(_neutral(name), 0.99), 0.01)
    return (share / (1 - share)).ln()


AGE = _.DAYS_BIRTH / -365.25
EMPLOYED = _.DAYS_EMPLOYED / -365.25
TERM = _over(_.AMT_CREDIT, _.AMT_ANNUITY)
SCORE_COUNT = 3 - _missing(SCORES)
SCORE_SUM = reduce(add, [ibis.coalesce(_[name], 0.0) for name in SCORES])
SCORE_MEAN = _over(SCORE_SUM, SCORE_COUNT)

# fmt: off
APPLICATION: tuple[Feature, ...] = (
    # The request
    derive("credit_term", TERM, "Credit over annuity", "Crédit sur annuité", "credit_request", unit="months", actionable=True),
    derive("credit_to_goods", _over(_.AMT_CREDIT, _.AMT_GOODS_PRICE), "Credit over price of the goods", "Crédit sur prix du bien", "credit_request", unit="share", monotone=1, actionable=True),
    derive("credit_minus_goods", _.AMT_CREDIT - _.AMT_GOODS_PRICE, "Credit beyond the price of the goods", "Crédit au-delà du prix du bien", "credit_request", unit="currency", actionable=True),
    derive("credit_to_income", _over(_.AMT_CREDIT, _.AMT_INCOME_TOTAL), "Credit over annual income", "Crédit sur revenu annuel", "credit_request", unit="share", actionable=True),
    derive("annuity_to_income", _over(_.AMT_ANNUITY, _.AMT_INCOME_TOTAL), "Annuity over annual income", "Annuité sur revenu annuel", "credit_request", unit="share", actionable=True),
    derive("goods_to_income", _over(_.AMT_GOODS_PRICE, _.AMT_INCOME_TOTAL), "Price of the goods over annual income", "Prix du bien sur revenu annuel", "credit_request", unit="share", actionable=True),
    derive("annuity_to_age", _over(_.AMT_ANNUITY, AGE), "Annuity per year of age", "Annuité par année d'âge", "credit_request", unit="currency", actionable=True),
    derive("credit_to_age", _over(_.AMT_CREDIT, AGE), "Credit per year of age", "Crédit par année d'âge", "credit_request", unit="currency", actionable=True),
    derive("age_at_end", AGE + TERM / 12, "Age when the credit ends", "Âge à la fin du crédit", "credit_request", unit="years", actionable=True),
    # Income
    derive("income_after_annuity", _.AMT_INCOME_TOTAL - _.AMT_ANNUITY, "Income left after the annuity", "Revenu après l'annuité", "income", unit="currency", actionable=True),
    derive("income_per_head", _over(_.AMT_INCOME_TOTAL, _.CNT_CHILDREN + 1), "Income for each of applicant and children", "Revenu par tête (demandeur et enfants)", "income", unit="currency"),
    derive("income_to_age", _over(_.AMT_INCOME_TOTAL, AGE), "Income per year of age", "Revenu par année d'âge", "income", unit="currency"),
    derive("income_to_employment", _over(_.AMT_INCOME_TOTAL, EMPLOYED + 1), "Income per year in the job", "Revenu par année d'emploi", "income", unit="currency"),
    # Employment, papers, phone, car against age
    derive("employed_share", _over(EMPLOYED, AGE), "Share of life in the present job", "Part de la vie dans l'emploi actuel", "employment", unit="share", monotone=-1),
    derive("age_at_employment", AGE - EMPLOYED, "Age when the present job began", "Âge au début de l'emploi actuel", "employment", unit="years"),
    derive("registration_share", _over(_.DAYS_REGISTRATION, _.DAYS_BIRTH), "Share of life since the registration changed", "Part de la vie depuis le changement d'inscription", "stability", unit="share"),
    derive("papers_share", _over(_.DAYS_ID_PUBLISH, _.DAYS_BIRTH), "Share of life since the papers changed", "Part de la vie depuis le changement de papiers", "stability", unit="share"),
    derive("age_at_papers", AGE + _.DAYS_ID_PUBLISH / 365.25, "Age when the papers changed", "Âge au changement de papiers", "stability", unit="years"),
    derive("phone_share", _over(_.DAYS_LAST_PHONE_CHANGE, _.DAYS_BIRTH), "Share of life since the phone changed", "Part de la vie depuis le changement de téléphone", "stability", unit="share"),
    derive("car_age_share", _over(_.OWN_CAR_AGE, AGE), "Age of the car over age", "Âge de la voiture sur l'âge", "car", unit="share"),
    derive("car_age_to_employment", _over(_.OWN_CAR_AGE, EMPLOYED + 1), "Age of the car over years in the job", "Âge de la voiture sur l'ancienneté d'emploi", "car", unit="share"),
    # The external scores together
    derive("scores_mean", SCORE_MEAN, "Mean of the external scores", "Moyenne des scores externes", "external_scores", unit="score", monotone=-1),
    derive("scores_least", ibis.least(*[_[name] for name in SCORES]), "Lowest external score", "Score externe le plus bas", "external_scores", unit="score", monotone=-1),
    derive("scores_greatest", ibis.greatest(*[_[name] for name in SCORES]), "Highest external score", "Score externe le plus élevé", "external_scores", unit="score", monotone=-1),
    derive("scores_spread", ibis.greatest(*[_[name] for name in SCORES]) - ibis.least(*[_[name] for name in SCORES]), "Spread of the external scores", "Écart entre les scores externes", "external_scores", unit="score"),
    derive("scores_missing", _missing(SCORES), "External scores that are missing", "Scores externes manquants", "external_scores", unit="count"),
    derive("scores_product", reduce(mul, [_neutral(name) for name in SCORES]), "Product of the external scores", "Produit des scores externes", "external_scores", unit="score", monotone=-1),
    derive("scores_evidence", reduce(add, [_evidence(name) for name in SCORES]), "External scores taken together", "Scores externes pris ensemble", "external_scores", monotone=-1),
    derive("scores_1_2", _.EXT_SOURCE_1 * _.EXT_SOURCE_2, "External scores 1 and 2", "Scores externes 1 et 2", "external_scores", unit="score", monotone=-1),
    derive("scores_1_3", _.EXT_SOURCE_1 * _.EXT_SOURCE_3, "External scores 1 and 3", "Scores externes 1 et 3", "external_scores", unit="score", monotone=-1),
    derive("scores_2_3", _.EXT_SOURCE_2 * _.EXT_SOURCE_3, "External scores 2 and 3", "Scores externes 2 et 3", "external_scores", unit="score", monotone=-1),
    derive("scores_by_age", SCORE_MEAN * AGE, "External scores weighted by age", "Scores externes pondérés par l'âge", "external_scores"),
    derive("term_to_scores", _over(TERM, SCORE_MEAN + 0.1), "Term of the credit against the external scores", "Durée du crédit rapportée aux scores externes", "external_scores", actionable=True),
    # Counts
    derive("documents_count", _sum(DOCUMENTS), "Documents handed in", "Documents remis", "documents", unit="count"),
    derive("contacts_count", _sum(CONTACTS), "Ways to be reached", "Moyens de contact", "contact", unit="count"),
    derive("mismatches_count", _sum(MISMATCHES), "Addresses that differ", "Adresses qui diffèrent", "region", unit="count"),
    derive("enquiries_count", _sum(ENQUIRIES), "Enquiries at the credit bureau", "Consultations du bureau de crédit", "bureau_enquiries", unit="count"),
    derive("building_missing", _missing(BUILDING), "Facts about the building that are missing", "Données manquantes sur l'immeuble", "building", unit="count"),
    derive("circle_default_share", _over(_.DEF_30_CNT_SOCIAL_CIRCLE, _.OBS_30_CNT_SOCIAL_CIRCLE), "Share of acquaintances in arrears", "Part de l'entourage en retard de paiement", "social_circle", unit="share"),
)
# fmt: on

DERIVED = (*APPLICATION, *HISTORY)
