"""What a fit learns, from which rows, and that it learns the same again.

Fits are small (`learning.py`): a few dozen trees on a few hundred rows show how a candidate behaves.
"""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from learning import LEARNERS, REFERENCES, entry, fitted, learn, sales, shop
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from credit import features
from credit.errors import ModelError
from credit.features import Feature
from credit.portfolio import Label
from credit.training import search
from credit.training.candidates import build, ordered
from credit.training.dataset import prepare
from credit.training.scorers import business_cost
from credit.training.search import raw_score

SEED = 7  # the book's


def numbers(one):
    """Every number that a fit has produced."""
    model = getattr(one.pipeline[-1], "booster_", None)
    return {
        "booster": model.model_to_string() if model else repr(one.pipeline[-1].__dict__),
        "calibration": one.calibration,
        "losses": one.calibration_losses,
        "parameters": one.parameters,
        "fold_auc": one.fold_auc,
        "out_of_fold": one.out_of_fold.tobytes(),
        "halving": one.halving.to_json(double_precision=15),
        "curve": one.curve.to_json(double_precision=15),
    }


def folds(frame, book):
    """The folds of train, by their definition."""
    split = StratifiedKFold(book.training.folds, shuffle=True, random_state=SEED)
    return list(split.split(frame, frame[book.target]))


# The same again


@pytest.mark.parametrize(("name", "threads"), [*zip(LEARNERS, (1, 2, 1, 2), strict=True)])
def test_the_same_seed_and_rows_give_the_same_model(name, threads):
    """An auditor who trains again, on a machine with more cores too, must get the file that is in use, bit for bit.

    The curve alone is a mean that threads add up in another order.
    """
    again = learn(name, sales(), shop(), threads=threads)
    one, two = numbers(fitted(name)), numbers(again)
    two["booster"] = two["booster"].replace(f"[num_threads: {threads}]", "[num_threads: 1]")
    del one["curve"], two["curve"]
    assert one == two
    np.testing.assert_allclose(again.curve, fitted(name).curve, rtol=1e-12)
    unseen = sales(300, seed=5)
    assert fitted(name).predict(unseen).tobytes() == again.predict(unseen).tobytes()


def test_another_seed_gives_another_model():
    """Else the test above would hold for a model that ignores its seed."""
    assert numbers(learn("native", sales(), shop(seed=8)))["booster"] != numbers(fitted("native"))["booster"]


def test_columns_that_are_no_features_are_not_read():
    """A protected group, the key or a left-over column must not change one bit, whatever it holds."""
    noisy = sales().assign(sex="f", branch=None, client=range(900), extra=np.arange(900) % 7)
    assert numbers(learn("native", noisy, shop())) == numbers(fitted("native"))


# Rows that were not seen


@pytest.mark.parametrize("name", ["native", "imputed", "scorecard"])
def test_validation_and_test_rows_change_no_fitted_number(tmp_path, name):
    """The proof against leakage: two books that agree on train and on nothing else give the same model.

    In the second book each value of each validation and test row, target and protected groups included, is another
    client's, or noise far from what train holds. Whatever is fitted before the split, a median or a list of levels,
    would differ.
    """
    book = shop()
    frames = [sales(1000, seed=2), other_rows(sales(1000, seed=2), book)]
    results = []
    for number, frame in enumerate(frames):
        (tmp_path / f"{number}").mkdir()
        frame.to_parquet(tmp_path / f"{number}" / "sales.parquet", index=False)
        results.append(prepare(book, tmp_path / f"{number}", tmp_path / "workspace"))
    one, two = results
    assert one.fingerprint != two.fingerprint
    for fold in ("validation", "test"):
        assert not one.load(fold).equals(two.load(fold))
    pd.testing.assert_frame_equal(one.load("train"), two.load("train"), check_exact=True)
    assert numbers(learn(name, one.load("train"), book)) == numbers(learn(name, two.load("train"), book))


def other_rows(frame, book):
    """The same clients, with noise in the place of each value of those in validation and test."""
    from credit.training.split import assign

    rng, held = np.random.default_rng(3), assign(frame["client"], book.split) != "train"
    noise = pd.DataFrame(
        {
            "unpaid": rng.integers(0, 2, len(frame)),
            "kind": rng.choice(["cash", "loan"], len(frame)),
            "town": [f"village {number}" for number in range(len(frame))],
            "amount": rng.uniform(1e5, 1e6, len(frame)),
            "score": rng.uniform(0.9, 1.0, len(frame)),
            "months": rng.integers(5000, 9000, len(frame)).astype(float),
            "phone": 1.0,
            "sex": "f",
            "branch": "south",
        }
    )
    changed = frame.copy()
    changed.loc[held, noise.columns] = noise[held]
    return changed


def refit(candidate, one, fold):
    """One fold's model made again from its own rows, with the trees of the final model as far as the fold has them."""
    book, train = shop(), sales()
    wanted = ordered(features.definitions(book))
    names = [feature.name for feature in wanted]
    inside, outside = folds(train, book)[fold - 1]
    grown = int((one.curve["fold"] == fold).sum())
    chosen = {**one.parameters, "n_estimators": min(one.parameters["n_estimators"], grown)}
    pipeline = build(candidate, wanted, threads=1, seed=SEED)
    pipeline.set_params(**{f"model__{key}": value for key, value in chosen.items()})
    pipeline.fit(train[names].iloc[inside], train["unpaid"].iloc[inside], model__categorical_feature=[0, 1])
    return outside, raw_score(pipeline, train[names].iloc[outside])


@pytest.mark.parametrize("name", LEARNERS)
def test_out_of_fold_scores_come_from_models_that_have_not_seen_the_row(name):
    """One fold refitted by hand on the other two. On rows that were seen, calibration would learn a fantasy."""
    one = fitted(name)
    outside, score = refit(entry(shop(), name), one, fold=2)
    np.testing.assert_array_equal(score, one.out_of_fold[outside])
    assert one.fold_auc[1] == pytest.approx(roc_auc_score(sales()["unpaid"].iloc[outside], score))


def test_a_fold_that_stopped_early_still_scores_with_the_common_number_of_trees(monkeypatch):
    """A fold cut at its own best tree would be scored by a model picked on the very rows that it scores."""
    monkeypatch.setattr(search, "PATIENCE", 6)
    candidate = replace(entry(shop(), "native"), trees=100, grid={"learning_rate": [0.4]})
    one = search.fit(candidate, sales(), shop(), features.definitions(shop()))
    best = one.curve.groupby("fold")["log_loss"].agg(lambda losses: losses.to_numpy().argmin() + 1)
    assert (one.curve.groupby("fold").size() == best + 6).all()
    assert best.min() < one.parameters["n_estimators"] < best.max()
    for fold in (1, 2, 3):
        outside, score = refit(candidate, one, fold)
        np.testing.assert_array_equal(score, one.out_of_fold[outside])


@pytest.mark.parametrize("name", REFERENCES)
def test_references_are_cross_fitted_too(name):
    book, train, one = shop(), sales(), fitted(name)
    names = list(one.features)
    for inside, outside in folds(train, book):
        pipeline = clone(one.pipeline).fit(train[names].iloc[inside], train["unpaid"].iloc[inside])
        np.testing.assert_array_equal(raw_score(pipeline, train[names].iloc[outside]), one.out_of_fold[outside])


def test_noise_teaches_nothing():
    """With targets drawn by lot the out-of-fold AUC must be that of lots; a leak between folds would lift it."""
    lots = sales(1500, seed=4)
    lots["unpaid"] = np.random.default_rng(0).permutation(lots["unpaid"])
    one = learn("native", lots, shop())
    deviation = np.sqrt(1501 / (12 * lots["unpaid"].sum() * (1500 - lots["unpaid"].sum())))
    assert abs(roc_auc_score(lots["unpaid"], one.out_of_fold) - 0.5) < 3.5 * deviation


# The search


def test_the_last_round_is_a_grid_search_by_hand():
    """With a grid too small to halve, halving is a plain grid search: each cost recomputed, the least one taken."""
    book = shop()
    candidate = replace(entry(book, "native"), grid={"num_leaves": [2, 7]})
    one = search.fit(candidate, sales(), book, features.definitions(book))
    train, wanted = sales(), ordered(features.definitions(book))
    names = [feature.name for feature in wanted]
    grown = {"model__n_estimators": candidate.search_trees, "model__learning_rate": candidate.search_rate}
    pipeline = build(candidate, wanted, threads=1, seed=SEED).set_params(**grown)
    plain = GridSearchCV(
        pipeline,
        {"model__num_leaves": [2, 7]},
        scoring=business_cost(book.costs),
        cv=StratifiedKFold(book.training.folds, shuffle=True, random_state=SEED),
        refit=False,
    ).fit(train[names], train["unpaid"], model__categorical_feature=[0, 1])
    np.testing.assert_allclose(one.halving["cost"], -plain.cv_results_["mean_test_score"])
    assert one.parameters["num_leaves"] == plain.best_params_["model__num_leaves"]


def test_the_cheapest_setting_of_the_last_round_is_taken():
    one = fitted("native")
    table = one.halving
    assert table["trees"].max() <= entry(shop(), "native").search_trees
    assert (table.groupby("round").size().diff().dropna() < 0).all()
    assert (table.groupby("round")["trees"].first().diff().dropna() > 0).all()
    last = table[table["round"] == table["round"].max()]
    assert one.parameters["num_leaves"] == last.loc[last["cost"].idxmin(), "num_leaves"]
    assert one.pipeline[-1].get_params()["num_leaves"] == one.parameters["num_leaves"]


@pytest.mark.parametrize(
    ("name", "values"), [("lambda_l2", [10_000, 0.5]), ("extra_trees", [True]), ("max_depth", [3])]
)
def test_a_setting_keeps_its_value_and_type(name, values):
    """A whole number and a half in one list: read as whole numbers, 0.5 would be trained and reported as 0."""
    candidate = replace(entry(shop(), "native"), grid={name: values}, trees=5)
    one = search.fit(candidate, sales(400), shop(), features.definitions(shop()))
    assert one.parameters[name] is values[-1]
    assert one.pipeline[-1].get_params()[name] is values[-1]


def test_trees_are_the_mean_of_the_folds():
    """Each fold stops where its unseen rows say; the curve is that evidence."""
    one = fitted("native")
    best = one.curve.loc[one.curve.groupby("fold")["log_loss"].idxmin(), "trees"]
    assert one.parameters["n_estimators"] == max(1, round(best.mean()))
    assert one.pipeline[-1].booster_.num_trees() == one.parameters["n_estimators"]
    assert sorted(one.curve["fold"].unique()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("grid", "trees"),
    [
        ({"num_leaves": [3]}, 9),
        ({"num_leaves": [3, 5]}, 9),
        ({"num_leaves": [3, 5, 7], "max_depth": [2, 3]}, 9),
        ({"num_leaves": [2, 3, 4, 5, 6, 7, 8]}, 9),
        ({"num_leaves": [2, 3, 4, 5, 6, 7, 8, 9, 10]}, 4),  # too few trees for a third round
        ({"num_leaves": [2, 3, 4]}, 2),
    ],
)
def test_progress_rises_to_its_total(grid, trees):
    """A bar that ends at 80%, or at 120%, tells the person who waits that something broke."""
    seen = []
    candidate = replace(entry(shop(), "native"), grid=grid, search_trees=trees, trees=5)
    one = tuple(each for each in features.definitions(shop()) if each.name == "score")
    search.fit(candidate, sales(200), shop(), one, report=lambda *call: seen.append(call))
    whats = [what for what, _ in itertools.groupby(seen, key=lambda call: call[2])]
    assert len(whats) == len(set(whats)) == 2
    for what in whats:
        done = [call[:2] for call in seen if call[2] == what]
        total = done[0][1]
        assert done == [(count, total) for count in range(1, total + 1)]


def test_references_report_too():
    seen = []
    learn("prior", sales(200), shop(), report=lambda *call: seen.append(call[:2]))
    assert seen == [(1, 3), (2, 3), (3, 3)]


# What each candidate promises


@pytest.mark.parametrize("name", [*LEARNERS, "scorecard"])
def test_every_candidate_learns(name):
    """The planted signal has an AUC of about 0.78: whoever cannot see it is broken."""
    unseen = sales(1500, seed=6)
    assert roc_auc_score(unseen["unpaid"], fitted(name).predict(unseen)) > 0.70


def test_the_prior_knows_the_default_rate_only():
    unseen = sales(200, seed=6)
    assert np.ptp(fitted("prior").predict(unseen)) == 0
    assert fitted("prior").predict(unseen)[0] == pytest.approx(sales()["unpaid"].mean(), abs=1e-3)


def test_a_monotone_candidate_keeps_its_directions():
    """Declared to lower the risk, a better score must never raise it, whoever the client is: on a grid, for all."""
    one, clients = fitted("monotone"), sales(60, seed=6)
    for name, grid, sign in (("amount", np.linspace(0, 1500, 40), 1), ("score", np.linspace(0, 1, 40), -1)):
        curves = np.array([one.predict(clients.assign(**{name: value})) for value in grid])
        assert (sign * np.diff(curves, axis=0) >= 0).all()
        assert np.ptp(curves, axis=0).max() > 0.05
    free = np.array([fitted("native").predict(clients.assign(amount=value)) for value in np.linspace(0, 1500, 40)])
    assert (np.diff(free, axis=0) < 0).any()  # nothing else in the data makes a model monotone


def test_a_weighted_candidate_is_brought_back_to_scale():
    """Equal class weights raise every score; what is handed on must be a probability all the same."""
    one, unseen = fitted("weighted"), sales(3000, seed=6)
    rate, deviation = unseen["unpaid"].mean(), np.sqrt(0.25 / 3000)
    assert expit(one.raw(unseen)).mean() > rate + 0.15
    assert one.predict(unseen).mean() == pytest.approx(rate, abs=3 * deviation)
    assert one.calibration.method != "none"


@pytest.mark.parametrize("name", ["native", "imputed", "monotone", "scorecard"])
def test_the_others_are_on_scale(name):
    unseen = sales(3000, seed=6)
    assert fitted(name).predict(unseen).mean() == pytest.approx(unseen["unpaid"].mean(), abs=0.03)


def test_a_fit_tells_what_it_did():
    one = fitted("native")
    assert one.rows == len(one.out_of_fold) == 900
    assert one.seconds > 0
    assert one.features == ("kind", "town", "amount", "score", "months", "phone")
    assert len(one.fold_auc) == shop().training.folds
    assert set(one.calibration_losses) == {"none", "sigmoid", "isotonic"}
    assert (one.parameters.keys() - {"n_estimators"}) == entry(shop(), "native").grid.keys()


# Too little


@pytest.mark.parametrize("few", [0, 1, 5])
@pytest.mark.parametrize("rarer", [0, 1])
def test_too_few_of_an_outcome_is_an_error(few, rarer):
    """With fewer than two in a fold there is nothing to rank, and scikit-learn would say so in its own words."""
    train = sales(120).assign(unpaid=1 - rarer)
    train.loc[: few - 1, "unpaid"] = rarer
    message = rf"native: train holds {few} rows of the rarer outcome, 3 folds need 6; bring more rows, or lower \[tr"
    with pytest.raises(ModelError, match=message):
        learn("native", train, shop())


# Canaries


def extra(name):
    """A feature beside the book's own."""
    from ibis import _

    return Feature(name, _[name], Label(name, name), "person", "sale")


def test_a_copy_of_the_target_would_be_noticed():
    """If a target copy got in, the fold AUC would be 1: no number of a run may look like that unnoticed."""
    train = sales().assign(copy=lambda frame: frame["unpaid"] * 1.0)
    one = learn("native", train, shop(), (*features.definitions(shop()), extra("copy")))
    assert min(one.fold_auc) > 0.999


@pytest.mark.parametrize("role", ["target", "key", "protected", "excluded"])
def test_a_column_with_a_role_cannot_be_a_feature(role):
    """The way in is the contract's role, and these four are closed: there is no list to forget a name in."""
    book = shop()
    closed = {name for name, column in book.columns.items() if column.role == role}
    assert closed
    assert not closed & {feature.name for feature in features.definitions(book)}
    assert not closed & set(fitted("native").features)


def test_an_id_as_feature_gains_nothing():
    """Numbers without meaning, unique to each client, must not lift the AUC of clients never seen."""
    rng = np.random.default_rng(1)
    train, unseen = sales(), sales(4000, seed=6)
    train["number"], unseen["number"] = rng.permutation(900) * 1.0, rng.permutation(4000) * 1.0
    with_id = learn("native", train, shop(), (*features.definitions(shop()), extra("number")))
    gain = roc_auc_score(unseen["unpaid"], with_id.predict(unseen)) - roc_auc_score(
        unseen["unpaid"], fitted("native").predict(unseen)
    )
    assert gain < 0.01
