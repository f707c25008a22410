"""The synthetic book against the facts it was made from, and against its own known truth."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from scipy.stats import chi2
from sklearn.metrics import roc_auc_score

from credit import portfolio
from credit.data import contract, synthetic, tables
from credit.data.synthetic import MAIN, TABLES, Synthetic, generate, rows_written, write
from credit.data.synthetic_application import Draw
from credit.errors import ConfigError, CreditError, DataError

FACTS: dict[str, Any] = json.loads(
    (resources.files("credit.portfolios") / "home_credit_profile.json").read_text(encoding="utf-8")
)
COLUMNS = FACTS["columns"]
STRONGEST = FACTS["spearman"]["columns"]
TEXT = [name for name, fact in COLUMNS.items() if fact["type"] == "str"]
NUMBERS = [name for name, fact in COLUMNS.items() if "quantiles" in fact]
COUNTS = [name for name, fact in COLUMNS.items() if "levels" in fact and fact["type"] != "str"]
PROFILE_QUANTILES = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)


@pytest.fixture(scope="module")
def book() -> Synthetic:
    return generate(60_000, seed=7)


@pytest.fixture(scope="module")
def table(book: Synthetic) -> pd.DataFrame:
    """The application table with the sentinel made missing, as a reader of the contract sees it."""
    days = book.application["DAYS_EMPLOYED"]
    return book.application.assign(DAYS_EMPLOYED=days.where(days != COLUMNS["DAYS_EMPLOYED"]["sentinel"]))


def distance(values: pd.Series, quantiles: dict[float, float]) -> float:
    """How far, in probability, the measured quantiles are from being quantiles of the values (ties allowed)."""
    x = values.dropna().to_numpy()
    return max(max((x < q).mean() - p, p - (x <= q).mean(), 0) for p, q in quantiles.items())


# Schema


def test_kaggles_columns_order_and_types(table: pd.DataFrame, book: Synthetic) -> None:
    assert list(book.application) == FACTS["order"]
    assert len(FACTS["order"]) == 122
    types = {"SK_ID_CURR": "int64", "TARGET": "int64"} | {name: fact["type"] for name, fact in COLUMNS.items()}
    assert book.application.dtypes.astype(str).to_dict() == types


def test_ids_are_unique_and_tell_nothing(book: Synthetic) -> None:
    ids = book.application["SK_ID_CURR"]
    assert ids.is_unique
    assert ids.min() == 100_002
    # Clients are independent draws, so the order says nothing: three standard errors of an AUC of 0.5.
    defaults = book.application["TARGET"].sum()
    error = np.sqrt((len(ids) + 1) / (12 * defaults * (len(ids) - defaults)))
    assert abs(roc_auc_score(book.application["TARGET"], ids) - 0.5) < 3 * error


# Marginals


@pytest.mark.parametrize("name", NUMBERS)
def test_quantiles(table: pd.DataFrame, name: str) -> None:
    measured = dict(zip(FACTS["probabilities"], COLUMNS[name]["quantiles"], strict=True))
    inner = {p: measured[p] for p in PROFILE_QUANTILES if 0 < p < 1}
    assert distance(table[name], inner) < 0.03
    # No value is invented beyond the measured ones; amounts may exceed them as products of two draws.
    if not name.startswith("AMT_"):
        assert table[name].min() >= measured[0] - 1e-6
        assert table[name].max() <= measured[1] + 1e-6


@pytest.mark.parametrize("name", [*TEXT, *COUNTS])
def test_shares_of_levels(table: pd.DataFrame, name: str) -> None:
    measured = {level: share for level, share, *_ in COLUMNS[name]["levels"] if level is not None}
    found = table[name].dropna().value_counts(normalize=True)
    if name in TEXT:
        assert set(found.index) <= set(measured)
    expected = pd.Series(measured) / sum(measured.values())
    assert 0.5 * found.reindex(expected.index, fill_value=0).sub(expected).abs().sum() < 0.015


def test_missing_shares(table: pd.DataFrame) -> None:
    measured = {name: fact["missing"] for name, fact in COLUMNS.items() if name != "DAYS_EMPLOYED"}
    deviation = table[list(measured)].isna().mean() - pd.Series(measured)
    assert deviation.abs().max() < 0.01


@pytest.mark.parametrize(
    ("ratio", "above", "below"),
    [
        ("credit_to_annuity", "AMT_CREDIT", "AMT_ANNUITY"),
        ("credit_to_income", "AMT_CREDIT", "AMT_INCOME_TOTAL"),
        ("annuity_to_income", "AMT_ANNUITY", "AMT_INCOME_TOTAL"),
        ("goods_to_credit", "AMT_GOODS_PRICE", "AMT_CREDIT"),
    ],
)
def test_ratios_of_amounts(table: pd.DataFrame, ratio: str, above: str, below: str) -> None:
    measured = {int(key[1:]) / 100: value for key, value in FACTS["joint"][ratio].items()}
    inner = {p: q for p, q in measured.items() if 0 < p < 1}
    assert distance((table[above] / table[below]).round(5), inner) < 0.03


# Dependence


def test_rank_correlations_of_the_strongest_columns(table: pd.DataFrame) -> None:
    found = table[STRONGEST].corr(method="spearman").to_numpy()
    # Days employed exist for the employed only, so their correlation with being employed is undefined.
    deviation = np.abs(np.nan_to_num(found - np.array(FACTS["spearman"]["matrix"])))
    assert deviation.max() < 0.05
    assert deviation[np.triu_indices(len(STRONGEST), 1)].mean() < 0.015


def test_external_scores_are_missing_in_measured_patterns(table: pd.DataFrame) -> None:
    gone = table[["EXT_SOURCE_1", "EXT_SOURCE_2", "EXT_SOURCE_3"]].isna()
    found = np.bincount(gone.to_numpy() @ [4, 2, 1], minlength=8) / len(gone)
    for pattern, share in FACTS["joint"]["ext_source_missing_pattern"].items():
        assert found[int(pattern, base=2)] == pytest.approx(share, abs=0.01)


def test_building_is_missing_together(table: pd.DataFrame) -> None:
    building = [name for name in table if name.endswith(("_AVG", "_MEDI"))]
    share = table[building].isna().all(axis=1).mean()
    assert share == pytest.approx(FACTS["joint"]["building_block_missing_together"], abs=0.01)
    for name in building:
        assert table[name].isna().equals(table[name.rpartition("_")[0] + "_MODE"].isna())


def test_versions_of_the_building_are_almost_equal(table: pd.DataFrame) -> None:
    for name, measured in FACTS["parts"]["versions"].items():
        for version, correlation in measured.items():
            found = table[f"{name}_AVG"].corr(table[f"{name}_{version}"], method="spearman")
            assert found == pytest.approx(correlation, abs=0.05)


def test_what_follows_from_other_columns(book: Synthetic) -> None:
    """Links that hold in every row of the real table hold in every synthetic one."""
    t = book.application
    idle = t["DAYS_EMPLOYED"] == 365243
    assert idle.equals(t["ORGANIZATION_TYPE"] == "XNA")
    assert idle.equals(t["FLAG_EMP_PHONE"] == 0)
    assert idle.equals(t["NAME_INCOME_TYPE"].isin(["Pensioner", "Unemployed"]))
    assert t.loc[idle, "OCCUPATION_TYPE"].isna().all()
    assert (t.loc[~idle, "DAYS_EMPLOYED"] >= t.loc[~idle, "DAYS_BIRTH"]).all()
    assert (t["DAYS_REGISTRATION"] >= t["DAYS_BIRTH"]).all()
    assert t["OWN_CAR_AGE"].isna().equals(t["FLAG_OWN_CAR"] == "N")
    couple = t["NAME_FAMILY_STATUS"].isin(["Married", "Civil marriage"])
    assert (t["CNT_FAM_MEMBERS"] == t["CNT_CHILDREN"] + 1 + couple).all()
    assert not (t["AMT_GOODS_PRICE"] > t["AMT_CREDIT"]).any()
    assert (t["DEF_30_CNT_SOCIAL_CIRCLE"].fillna(0) <= t["OBS_30_CNT_SOCIAL_CIRCLE"].fillna(0)).all()
    assert (t["DEF_60_CNT_SOCIAL_CIRCLE"].fillna(0) <= t["DEF_30_CNT_SOCIAL_CIRCLE"].fillna(0)).all()
    assert t.loc[t["AMT_REQ_CREDIT_BUREAU_YEAR"].isna(), "EXT_SOURCE_3"].isna().all()
    ratings = t.groupby("REGION_POPULATION_RELATIVE")["REGION_RATING_CLIENT"].agg(["min", "max"])
    assert (ratings["min"] == ratings["max"]).all()
    assert t.filter(regex="^FLAG_DOCUMENT_[3568]$").sum(axis=1).max() == 1
    places = t[["REG_CITY_NOT_LIVE_CITY", "REG_CITY_NOT_WORK_CITY", "LIVE_CITY_NOT_WORK_CITY"]]
    assert not (places[~idle].sum(axis=1) == 1).any()  # equality of places is transitive


# Risk


def test_default_rate(table: pd.DataFrame) -> None:
    rate = FACTS["default_rate"]
    assert rate == pytest.approx(0.08, abs=0.001)
    assert abs(table["TARGET"].mean() - rate) < 3.5 * np.sqrt(rate * (1 - rate) / len(table))


@pytest.mark.parametrize("name", STRONGEST)
def test_univariate_auc(table: pd.DataFrame, name: str) -> None:
    known = table[name].notna()
    found = roc_auc_score(table.loc[known, "TARGET"], table.loc[known, name])
    assert found == pytest.approx(FACTS["auc"][name], abs=0.02)


@pytest.mark.parametrize("name", ["EXT_SOURCE_2", "EXT_SOURCE_3"])
def test_default_rate_by_decile_of_an_external_score(table: pd.DataFrame, name: str) -> None:
    known = table[table[name].notna()]
    found = known.groupby(pd.qcut(known[name], 10, labels=False))["TARGET"].mean()
    np.testing.assert_allclose(found, FACTS["joint"][f"default_rate_by_{name}_decile"], atol=0.018)


@pytest.mark.parametrize(
    "name", ["CODE_GENDER", "NAME_EDUCATION_TYPE", "NAME_INCOME_TYPE", "OCCUPATION_TYPE", "ORGANIZATION_TYPE"]
)
def test_default_rate_by_level(table: pd.DataFrame, name: str) -> None:
    for level, share, rate in COLUMNS[name]["levels"]:
        if share > 0.02:
            rows = table[name].isna() if level is None else table[name] == level
            assert table.loc[rows, "TARGET"].mean() == pytest.approx(rate, abs=0.03), level


def test_truth_is_calibrated(book: Synthetic) -> None:
    """Outcomes are Bernoulli draws of the truth: in each decile the counts differ by binomial error only."""
    y, p = book.application["TARGET"].to_numpy(), book.probability
    decile = pd.qcut(p, 10, labels=False)
    z = [(y[decile == k] - p[decile == k]).sum() / np.sqrt((p * (1 - p))[decile == k].sum()) for k in range(10)]
    assert sum(value**2 for value in z) < chi2.ppf(0.999, 10)
    assert 0 < p.min() < p.max() < 1


def test_boosting_finds_real_rows_auc_and_the_truth_bounds_it(book: Synthetic) -> None:
    """On 30,000 real rows LightGBM reaches about 0.75; no model beats the true probability."""
    x = book.application.drop(columns=["SK_ID_CURR", "TARGET"]).astype(dict.fromkeys(TEXT, "category"))
    y, test = book.application["TARGET"], np.arange(len(x)) >= 40_000
    model = LGBMClassifier(
        n_estimators=150, learning_rate=0.06, num_leaves=12, colsample_bytree=0.3, n_jobs=1, verbose=-1
    )
    score = model.fit(x[~test], y[~test]).predict_proba(x[test])[:, 1]
    found, best = roc_auc_score(y[test], score), roc_auc_score(y[test], book.probability[test])
    assert 0.73 < found < 0.78
    assert found < best < 0.88  # the truth knows the histories, too


def test_risk_sees_no_more_than_the_columns_show() -> None:
    """What is seen of a latent is its mean given the column, so E[seen] = 0 and E[seen z] = E[seen^2]."""
    draw = Draw(synthetic._default(), np.random.default_rng(0), 40_000)
    draw.plain("NAME_EDUCATION_TYPE", "HOUR_APPR_PROCESS_START")
    for name in ("NAME_EDUCATION_TYPE", "HOUR_APPR_PROCESS_START", "FLAG_EMP_PHONE"):
        seen, z = draw.seen[name], draw.z[name]
        assert seen.mean() == pytest.approx(0, abs=0.02)
        assert (seen * z).mean() == pytest.approx((seen**2).mean(), abs=0.02)


# Seeds and sizes


def test_same_seed_same_rows_whatever_the_size(book: Synthetic) -> None:
    few = generate(25_000, seed=7)  # one block and a part of the next
    pd.testing.assert_frame_equal(few.application, book.application.head(25_000))
    np.testing.assert_array_equal(few.probability, book.probability[:25_000])


def test_another_seed_other_rows() -> None:
    one, other = generate(100, seed=1), generate(100, seed=2)
    assert not one.application["EXT_SOURCE_2"].equals(other.application["EXT_SOURCE_2"])


def test_blocks_are_independent(book: Synthetic) -> None:
    one, other = book.application["DAYS_BIRTH"][:20_000], book.application["DAYS_BIRTH"][20_000:40_000]
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


# Files


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_written_is_what_was_generated(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "BLOCK", 400)  # several blocks, the last one part
    table, marker = write(tmp_path / "book", 1_000, seed=3, format=ending, tables=[MAIN])
    assert table == tmp_path / "book" / f"application_train.{ending}"
    read = pd.read_parquet(table) if ending == "parquet" else pd.read_csv(table, keep_default_na=False, na_values=[""])
    expected = generate(1_000, seed=3).application
    # A column that is empty throughout, and a number column of whole values, lose their type in text.
    pd.testing.assert_frame_equal(read, expected, check_dtype=ending == "parquet")
    assert "seed: 3" in marker.read_text()
    assert "clients: 1000" in marker.read_text()
    assert sorted(path.name for path in table.parent.iterdir()) == [marker.name, table.name]


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # Ibis 12's own call of DuckDB 2
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_book_keeps_the_contract(tmp_path: Path, ending: str) -> None:
    """In no table is anything refused, and nothing is set missing but sentinels."""
    write(tmp_path, 5_000, format=ending)
    home_credit = portfolio.load("home_credit")
    found = contract.check(home_credit, tables.open_tables(home_credit, tmp_path)).report.violations
    assert {violation.rule for violation in found} == {"sentinel"}
    assert {"DAYS_EMPLOYED", "ORGANIZATION_TYPE", "DAYS_LAST_DUE"} <= {violation.column for violation in found}


def test_an_earlier_book_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path, 100, format="csv")
    write(tmp_path, 200, format="parquet", tables=[MAIN])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SYNTHETIC.txt", "application_train.parquet"]


def test_writing_the_same_book_again_never_takes_it_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs at once may make the same book: one reads it while the other writes it again."""
    *files, _ = write(tmp_path, 100)
    sizes = {file: len(pd.read_parquet(file)) for file in files}
    whole = synthetic._block

    def looks(*args: Any) -> Any:
        assert {file: len(pd.read_parquet(file)) for file in files} == sizes
        assert rows_written(tmp_path) == {file.stem: size for file, size in sizes.items()}
        return whole(*args)

    monkeypatch.setattr(synthetic, "_block", looks)
    write(tmp_path, 100)


def test_a_killed_write_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = synthetic._block, []

    def dies(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(synthetic, "BLOCK", 200)
    monkeypatch.setattr(synthetic, "_block", dies)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 1_000)
    assert [path.name for path in tmp_path.iterdir()] == ["SYNTHETIC.txt"]  # which tells of no rows
    assert rows_written(tmp_path) == {}
    monkeypatch.setattr(synthetic, "_block", whole)
    write(tmp_path, 1_000)  # and the next run mends it
    assert {path.name for path in tmp_path.iterdir()} == {"SYNTHETIC.txt", *(f"{name}.parquet" for name in TABLES)}
    assert rows_written(tmp_path)[MAIN] == 1_000


def test_a_write_killed_while_files_are_named_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, named = Path.replace, []

    def dies(path: Path, target: Path) -> Path:
        named.append(target)
        if len(named) == 4:  # the marker, two tables, and no more
            raise KeyboardInterrupt
        return name(path, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 200)
    assert rows_written(tmp_path) == {}
    assert not (tmp_path / "application_train.parquet").exists()  # it is named last
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"clients": 99}, ConfigError, "clients = 99: a synthetic book has 100 to 10,000,000 clients"),
        ({"clients": 10_000_001}, ConfigError, "clients = 10000001"),
        ({"seed": -1}, ConfigError, "seed = -1: a seed is 0 or more"),
        ({"format": "xlsx"}, ConfigError, "format 'xlsx': not a format of a synthetic book; give one of parquet, csv"),
        ({"facts": Path("nowhere.json")}, ConfigError, "nowhere.json: not a file of facts"),
        (
            {"tables": ["bureau", "loans"]},
            ConfigError,
            "table 'loans': a synthetic book has the tables application_tra",
        ),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], kind: type[CreditError], message: str) -> None:
    out = tmp_path / "book"
    with pytest.raises(kind, match=message.replace("(", r"\(")):
        write(out, **({"clients": 100} | arguments))
    assert not out.exists()  # nothing is made before the arguments are known to be good


def test_foreign_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds notes.txt, a synthetic book replaces only an earlier one"):
        write(tmp_path, 100)
    (tmp_path / "notes.txt").rename(tmp_path / "application_train.csv")
    with pytest.raises(DataError, match=r"holds application_train.csv without the marker"):
        write(tmp_path, 100)
    assert (tmp_path / "application_train.csv").read_text() == "mine"
    with pytest.raises(DataError, match="is a file, a book is written into a folder"):
        write(tmp_path / "application_train.csv", 100)
