"""One block of synthetic applications: latent normals to columns, and to each client's true risk; knows no file.

A column is a measured quantile function of its own latent.  Columns that follow from others are computed from
them: the sentinel of the not employed, family members, the credit, the annuity, the building's three versions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["Draw", "application", "probability_of_default"]

Array = NDArray[Any]
Rows = dict[str, Array]
Levels = list[list[Any]]  # (level, share, ...) in the order of the latent; None is a missing level

#: Figures of the client's building, each as average, mode and median.
BUILDING = (
    *("APARTMENTS", "BASEMENTAREA", "YEARS_BEGINEXPLUATATION", "YEARS_BUILD", "COMMONAREA", "ELEVATORS", "ENTRANCES"),
    *("FLOORSMAX", "FLOORSMIN", "LANDAREA", "LIVINGAPARTMENTS", "LIVINGAREA"),
    *("NONLIVINGAPARTMENTS", "NONLIVINGAREA"),
)
BUILDING_ONCE = ("FONDKAPREMONT_MODE", "HOUSETYPE_MODE", "TOTALAREA_MODE", "WALLSMATERIAL_MODE", "EMERGENCYSTATE_MODE")
ENQUIRIES = tuple(f"AMT_REQ_CREDIT_BUREAU_{span}" for span in ("HOUR", "DAY", "WEEK", "MON", "QRT", "YEAR"))
MAIN_DOCUMENTS = (3, 5, 6, 8)  # at most one of these is given
OTHER_DOCUMENTS = (2, 4, 7, *range(9, 22))
#: Latents that nothing else depends on; all others are the copula's.
FREE = (
    *("default", "WEEKDAY_APPR_PROCESS_START", "FLAG_MOBIL", "FLAG_CONT_MOBILE", "EXT_SOURCE_2 missing"),
    *("AMT_GOODS_PRICE missing", "circle missing", "OBS_60 lower", "DEF_60 lower", "LIVE_REGION", "LIVE_CITY"),
    *(f"FLAG_DOCUMENT_{number}" for number in OTHER_DOCUMENTS),
    *("several entrances MODE", "several entrances MEDI"),
    *(f"{name}_{version}" for name in BUILDING for version in ("MODE", "MEDI")),
)


class Draw:
    """Latents of one block, and what the columns show of them.

    Parameters
    ----------
    facts : mapping
        The portfolio's measured facts, with the root of the copula's correlation matrix.
    stream : numpy.random.Generator
        Source of all randomness of the block.
    rows : int
        Clients in the block.

    Attributes
    ----------
    z : dict of arrays (rows,)
        The standard normal latents.
    seen : dict of arrays (rows,)
        The mean of a latent given its column: itself if continuous, its level's mean if not, 0 where hidden.
    """

    def __init__(self, facts: Mapping[str, Any], stream: np.random.Generator, rows: int) -> None:
        names, root = facts["copula"]["latents"], facts["copula"]["root"]
        noise = stream.standard_normal((len(names) + len(FREE), rows))
        self.facts = facts
        self.parts: Mapping[str, Any] = facts["parts"]
        self.columns: Mapping[str, Any] = facts["columns"]
        self.z: Rows = dict(zip(names, root @ noise[: len(names)], strict=True))
        self.z |= dict(zip(FREE, noise[len(names) :], strict=True))
        self.seen: Rows = {}
        self.employed = self.column("FLAG_EMP_PHONE") == 1

    def levels(self, latent: str, levels: Levels) -> Array:
        """Level of a latent, by measured shares."""
        return self.levels_within(latent, np.ones(len(self.z[latent]), dtype=bool), {True: levels})

    def levels_within(self, latent: str, group: Array, levels: Mapping[Any, Levels]) -> Array:
        """Level of a latent, by the shares measured in each group of clients."""
        values = means = np.zeros(0)
        for key, rows in levels.items():
            share = np.array([row[1] for row in rows])
            cuts = ndtri(np.minimum(np.cumsum(share)[:-1], 1))
            code = np.searchsorted(cuts, self.z[latent])
            text = any(isinstance(row[0], str) for row in rows)
            value = np.array([row[0] for row in rows], dtype=object if text else None)[code]
            density = np.exp(-0.5 * np.r_[-np.inf, cuts, np.inf] ** 2) / np.sqrt(2 * np.pi)
            mean = (-np.diff(density) / np.maximum(share, 1e-9))[code]
            values = np.where(group == key, value, values) if values.size else value
            means = np.where(group == key, mean, means) if means.size else mean
        self.seen[latent] = means
        return values

    def value(self, latent: str, quantiles: list[float], step: float, fine: bool = False) -> Array:
        """Value of a latent: measured quantiles, joined by lines on the normal scale, rounded to the column's step."""
        at = np.array(self.facts["fine_probabilities" if fine else "probabilities"])
        self.seen[latent] = self.z[latent]
        drawn = np.interp(self.z[latent], ndtri(np.clip(at, 1e-5, 1 - 1e-5)), quantiles)
        return np.asarray(np.round(np.round(drawn / step) * step, 6))

    def column(self, name: str) -> Array:
        """Draw a column that is nothing but a function of its latent."""
        fact = self.columns[name]
        if "levels" in fact:
            return self.levels(name, fact["levels"])
        return self.value(name, fact["quantiles"], fact["step"])

    def plain(self, *names: str) -> Rows:
        """Draw several such columns."""
        return {name: self.column(name) for name in names}

    def among(self, latent: str, share: float) -> Array:
        """Whether a latent is among the given share of highest ones."""
        return self.levels(latent, [[False, 1 - share], [True, share]])

    def of_employed(self, name: str, idle: Any) -> Array:
        """Draw a column that is `idle` for the not employed; its measured shares count them in."""
        without = 1 - self.employed_share
        levels = [
            [level, (share - without * (level == idle)) / (1 - without)]
            for level, share, *_ in self.columns[name]["levels"]
        ]
        some = [row for row in levels if row[1] > 0]
        return self.levels_within(name, self.employed, {True: some, False: [[idle, 1]]})

    @property
    def employed_share(self) -> float:
        """Share of clients with a job, as measured."""
        return float(dict(row[:2] for row in self.columns["FLAG_EMP_PHONE"]["levels"])[1])

    def hide(self, latent: str, gone: Array) -> None:
        """Where a column is missing or does not apply, its latent is not seen."""
        self.seen[latent] = np.where(gone, 0.0, self.seen[latent])


def application(draw: Draw) -> Rows:
    """All columns of the application table but the key and the target."""
    parts = (_person, _work, _region, _loan, _scores, _building, _circle, _documents)
    return {name: values for part in parts for name, values in part(draw).items()}


def probability_of_default(draw: Draw, news: Array, spread: float) -> NDArray[np.float64]:
    """Compute each client's true probability of default: Phi(sqrt(1 + spread^2) (w'x + sum_k c_k x_a x_b - t) + news).

    x is what the columns show of the latents.  The news is normal and independent of them, so who knows the
    application alone, the weights w and the products c, knows the probability Phi(w'x + sum_k c_k x_a x_b - t).

    Parameters
    ----------
    draw : Draw
        The drawn applications.
    news : array (rows,)
        What the client's history tells beyond the application.
    spread : float
        Standard deviation of the news.
    """
    risk, seen = draw.facts["risk"], draw.seen
    score = np.zeros(len(draw.z["default"]))
    for name, weight in risk["weights"].items():
        score += weight * seen[name]
    for first, second, weight in risk["products"]:
        score += weight * seen[first] * seen[second]
    return np.asarray(ndtr(np.sqrt(1 + spread**2) * (score - risk["threshold"]) + news), dtype=np.float64)


def _missing(values: Array, gone: Array) -> Array:
    empty: Any = None if values.dtype == object else np.nan
    return np.where(gone, empty, values)


def _person(draw: Draw) -> Rows:
    rows = draw.plain(
        *("CODE_GENDER", "FLAG_OWN_CAR", "FLAG_OWN_REALTY", "NAME_EDUCATION_TYPE"),
        *("NAME_FAMILY_STATUS", "NAME_HOUSING_TYPE", "DAYS_BIRTH", "DAYS_REGISTRATION", "DAYS_ID_PUBLISH"),
        *("OWN_CAR_AGE", "FLAG_MOBIL", "FLAG_CONT_MOBILE", "FLAG_PHONE", "FLAG_EMAIL", "DAYS_LAST_PHONE_CHANGE"),
    )
    no_car = rows["FLAG_OWN_CAR"] == "N"
    rows["OWN_CAR_AGE"] = _missing(rows["OWN_CAR_AGE"], no_car)
    draw.hide("OWN_CAR_AGE", no_car)
    couple = np.isin(rows["NAME_FAMILY_STATUS"], ["Married", "Civil marriage"])
    children = draw.parts["CNT_CHILDREN"]
    within = {True: children["couple"], False: children["single"]}
    rows["CNT_CHILDREN"] = draw.levels_within("CNT_CHILDREN", couple, within)
    rows["CNT_FAM_MEMBERS"] = rows["CNT_CHILDREN"] + 1 + couple
    # Nobody is registered before birth, or has a passport before the age of 14.
    rows["DAYS_REGISTRATION"] = np.maximum(rows["DAYS_REGISTRATION"], rows["DAYS_BIRTH"])
    rows["DAYS_ID_PUBLISH"] = np.maximum(rows["DAYS_ID_PUBLISH"], rows["DAYS_BIRTH"] + 5114)
    return rows


def _work(draw: Draw) -> Rows:
    """Give the not employed a sentinel for the days employed; no organisation, occupation or phone at work."""
    kinds: dict[bool, Levels] = {True: [], False: []}
    for level, share, *_ in draw.columns["NAME_INCOME_TYPE"]["levels"]:
        kinds[level not in {"Pensioner", "Unemployed"}].append([level, share])
    shares = {key: sum(share for _, share in rows) for key, rows in kinds.items()}
    within = {key: [[level, share / shares[key]] for level, share in rows] for key, rows in kinds.items()}
    since = np.maximum(draw.column("DAYS_EMPLOYED"), draw.column("DAYS_BIRTH") + 6545)  # from the age of 18, about
    draw.hide("DAYS_EMPLOYED", ~draw.employed)
    return {
        "FLAG_EMP_PHONE": draw.employed.astype(np.int64),
        "NAME_INCOME_TYPE": draw.levels_within("NAME_INCOME_TYPE", draw.employed, within),
        "DAYS_EMPLOYED": np.where(draw.employed, since, draw.columns["DAYS_EMPLOYED"]["sentinel"]),
        "ORGANIZATION_TYPE": draw.of_employed("ORGANIZATION_TYPE", "XNA"),
        "OCCUPATION_TYPE": draw.of_employed("OCCUPATION_TYPE", None),
        "FLAG_WORK_PHONE": draw.of_employed("FLAG_WORK_PHONE", 0),
    }


def _region(draw: Draw) -> Rows:
    """Give a region one population and one rating; the rating with the city differs in some of them."""
    rows = draw.plain(
        *("REGION_RATING_CLIENT", "HOUR_APPR_PROCESS_START", "WEEKDAY_APPR_PROCESS_START"),
        *("REG_REGION_NOT_LIVE_REGION", "REG_CITY_NOT_LIVE_CITY"),
    )
    for name in ("REGION_POPULATION_RELATIVE", "REGION_RATING_CLIENT_W_CITY"):
        within = {int(rating): levels for rating, levels in draw.parts[name].items()}
        rows[name] = draw.levels_within(name, rows["REGION_RATING_CLIENT"], within)
    for place in ("REGION", "CITY"):
        moved = rows[f"REG_{place}_NOT_LIVE_{place}"]
        travels = draw.of_employed(f"REG_{place}_NOT_WORK_{place}", 0)
        third = draw.among(f"LIVE_{place}", draw.parts[f"LIVE_{place}_NOT_WORK_{place}_given_both"])
        rows[f"REG_{place}_NOT_WORK_{place}"] = travels
        # Two places that equal a third are equal; all three may differ.
        rows[f"LIVE_{place}_NOT_WORK_{place}"] = np.where(moved == travels, moved & third, 1) & draw.employed
    return rows


def _loan(draw: Draw) -> Rows:
    """Credit from the goods' price, annuity from the credit; a revolving loan is its limit, repaid by a twentieth."""
    contract, cash = draw.column("NAME_CONTRACT_TYPE"), draw.parts["cash"]
    is_cash = contract == "Cash loans"
    limit = draw.value("AMT_GOODS_PRICE", draw.parts["revolving"]["AMT_GOODS_PRICE"], 4500, fine=True)
    goods = np.where(is_cash, draw.value("AMT_GOODS_PRICE", cash["AMT_GOODS_PRICE"], 4500, fine=True), limit)
    ratio = {name: draw.value(name, cash[name], 1e-3) for name in ("AMT_CREDIT_TO_GOODS", "AMT_CREDIT_TO_ANNUITY")}
    for name in ratio:
        draw.hide(name, ~is_cash)
    credit = np.where(is_cash, np.round(goods * ratio["AMT_CREDIT_TO_GOODS"] / 4.5) * 4.5, goods)
    unpriced = draw.among("AMT_GOODS_PRICE missing", draw.parts["AMT_GOODS_PRICE_missing_given_revolving"])
    return {
        "NAME_CONTRACT_TYPE": contract,
        "NAME_TYPE_SUITE": draw.column("NAME_TYPE_SUITE"),
        "AMT_INCOME_TOTAL": draw.value("AMT_INCOME_TOTAL", draw.parts["AMT_INCOME_TOTAL"], 4500, fine=True),
        "AMT_CREDIT": credit,
        "AMT_ANNUITY": np.round(credit / np.where(is_cash, ratio["AMT_CREDIT_TO_ANNUITY"], 20) / 4.5) * 4.5,
        "AMT_GOODS_PRICE": _missing(goods, unpriced & ~is_cash),
    }


def _scores(draw: Draw) -> Rows:
    """External scores and the credit bureau's enquiries; a client without enquiries has no third score either."""
    rows = draw.plain("EXT_SOURCE_1", "EXT_SOURCE_2", "EXT_SOURCE_3", *ENQUIRIES)
    for name in reversed(rows):  # the third score last: what is seen of its latent is whether it is missing
        source = "EXT_SOURCE_3" if name in ENQUIRIES else name
        gone = draw.among(f"{source} missing", draw.columns[name]["missing"])
        rows[name] = _missing(rows[name], gone)
        draw.hide(name, gone)
    return rows


def _building(draw: Draw) -> Rows:
    """Average, mode and median part only in buildings of several entrances; figures are missing together."""
    rows = draw.plain(*(f"{name}_AVG" for name in BUILDING), *BUILDING_ONCE)
    for version, share in draw.parts["several_entrances"].items():
        several = draw.among(f"several entrances {version}", share)
        for name in BUILDING:
            rho = 1 - (1 - draw.parts["versions"][name][version]) / share
            mixed = rho * draw.z[f"{name}_AVG"] + np.sqrt(1 - rho**2) * draw.z[f"{name}_{version}"]
            draw.z[f"{name}_{version}"] = np.where(several, mixed, draw.z[f"{name}_AVG"])
            rows[f"{name}_{version}"] = draw.column(f"{name}_{version}")
    least = draw.columns["EMERGENCYSTATE_MODE"]["missing"]  # where this one is missing, all are
    unknown = draw.among("EMERGENCYSTATE_MODE missing", least)
    rows["EMERGENCYSTATE_MODE"] = _missing(rows["EMERGENCYSTATE_MODE"], unknown)
    draw.hide("EMERGENCYSTATE_MODE", unknown)
    for source in (*(f"{name}_AVG" for name in BUILDING), *BUILDING_ONCE[:-1]):
        also = draw.among(f"{source} missing", (draw.columns[source]["missing"] - least) / (1 - least))
        draw.hide(f"{source} missing", unknown)
        draw.hide(source, unknown | also)
        for name in (source, source.replace("_AVG", "_MODE"), source.replace("_AVG", "_MEDI")):
            rows[name] = _missing(rows[name], unknown | also)
    return rows


def _circle(draw: Draw) -> Rows:
    """Acquaintances observed and in default: no more in default than observed, no more in 60 days than in 30."""
    seen = draw.column("OBS_30_CNT_SOCIAL_CIRCLE")
    failed = np.minimum(draw.levels("DEF_30_CNT_SOCIAL_CIRCLE", draw.parts["DEF_30_given_OBS_30"]), seen)
    gone = draw.among("circle missing", draw.columns["OBS_30_CNT_SOCIAL_CIRCLE"]["missing"])
    draw.hide("OBS_30_CNT_SOCIAL_CIRCLE", gone)
    draw.hide("DEF_30_CNT_SOCIAL_CIRCLE", gone | (seen == 0))
    fewer = {name: draw.among(f"{name} lower", draw.parts[f"{name}_lower"]) for name in ("OBS_60", "DEF_60")}
    counts = {"OBS_30": seen, "DEF_30": failed, "OBS_60": np.maximum(seen - fewer["OBS_60"], 0)}
    counts["DEF_60"] = np.minimum(np.maximum(failed - fewer["DEF_60"], 0), counts["OBS_60"])
    return {f"{name}_CNT_SOCIAL_CIRCLE": _missing(values, gone) for name, values in counts.items()}


def _documents(draw: Draw) -> Rows:
    """One main document or none, another mix for the not employed; the rare others at random."""
    mix = draw.parts["DOCUMENT"]
    main = draw.levels_within("DOCUMENT", draw.employed, {True: mix["employed"], False: mix["other"]})
    rows = {f"FLAG_DOCUMENT_{number}": (main == number).astype(np.int64) for number in MAIN_DOCUMENTS}
    return rows | draw.plain(*(f"FLAG_DOCUMENT_{number}" for number in OTHER_DOCUMENTS))
