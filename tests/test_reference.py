"""What applicants are compared with: summed up as numpy would, kept in a file that cannot be damaged unnoticed."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from learning import HEAD, fitted, sales, shop

from credit import features
from credit.errors import ModelError
from credit.scoring.export import export
from credit.scoring.reference import FILE, Reference


@pytest.fixture(scope="module")
def scorer():
    return export(fitted("native"), shop(), features.definitions(shop()), 0.2, sales())


@pytest.fixture(scope="module")
def rows():
    return sales(500, 4)


@pytest.fixture(scope="module")
def reference(scorer, rows):
    return Reference.make(scorer, features.definitions(shop()), rows, synthetic=False)


def test_the_typical_approved_applicant(scorer, rows, reference):
    """Feature by feature, by numpy and by counting; of approved rows alone."""
    approved = rows[scorer.predict(rows) < 0.2]
    assert 100 < len(approved) < len(rows)
    assert set(reference.approved) == set(scorer.contract)
    for name in ("amount", "score", "months", "phone"):
        assert reference.approved[name] == np.nanmedian(approved[name].to_numpy(float))
    for name in ("kind", "town"):
        levels = approved[name].dropna().tolist()
        assert levels.count(reference.approved[name]) == max(levels.count(each) for each in set(levels))


@pytest.mark.parametrize(("share", "usual"), [(0.4, 5.0), (0.5, None), (0.9, None), (1.0, None)])
def test_what_most_do_not_have_is_usually_missing(scorer, rows, share, usual):
    """From half of them on, "missing" is what approved applicants usually have."""
    held = rows.assign(months=5.0)
    held.loc[held.index[: round(share * len(held))], "months"] = np.nan
    everyone = scorer.with_threshold(1.0)
    assert Reference.make(everyone, features.definitions(shop()), held, synthetic=True).approved["months"] == usual


def test_nothing_protected_is_kept(scorer, rows, reference):
    """The file lies beside the model and is shown: no attribute that may not decide is in it."""
    assert {"sex", "branch", "unpaid", "client"}.isdisjoint(reference.approved)
    assert {"sex", "branch", "unpaid", "client"}.isdisjoint(reference.plausible)


def test_where_nobody_is_approved_nothing_is_usual(scorer, rows):
    nobody = Reference.make(scorer.with_threshold(1e-12), features.definitions(shop()), rows, synthetic=True)
    assert nobody.approved == {}
    assert len(nobody.scores) == 101


def test_standing_is_the_share_below(scorer, rows, reference):
    """Against counting, to the percent that percentiles can tell."""
    p = scorer.predict(rows)
    for probability in np.quantile(p, [0.03, 0.2, 0.5, 0.77, 0.99]):
        assert reference.standing(float(probability)) == pytest.approx((p < probability).mean(), abs=0.012)
    assert reference.standing(0.0) == 0.0
    assert reference.standing(1.0) == 1.0
    assert list(reference.scores) == sorted(reference.scores)


def test_plausible_ranges_are_of_actionable_numbers(scorer, rows):
    head = HEAD.replace("min = 0, monotone = 1 }", "min = 0, monotone = 1, actionable = true }")
    made = Reference.make(scorer, features.definitions(shop(head)), rows, synthetic=True)
    assert made.plausible == {"amount": tuple(np.quantile(rows["amount"], [0.01, 0.99]))}


def test_it_survives_its_file(tmp_path, reference):
    reference.save(tmp_path)
    assert Reference.load(tmp_path) == reference


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: None, "restore the bundle"),
        (lambda text: text[:40], "not a reference"),
        (lambda text: "[]", "not a reference"),
        (
            lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "scores"}),
            "'scores'",
        ),
        (lambda text: json.dumps(json.loads(text) | {"plausible": {"amount": [1.0]}}), "not a reference"),
        (lambda text: json.dumps(json.loads(text) | {"scores": ["high"]}), "not a reference"),
    ],
)
def test_a_damaged_file_is_told_in_one_message(tmp_path, reference, damage, message):
    path = reference.save(tmp_path)
    damaged = damage(path.read_text(encoding="utf-8"))
    path.unlink() if damaged is None else path.write_text(damaged, encoding="utf-8")
    with pytest.raises(ModelError, match=message) as caught:
        Reference.load(tmp_path)
    assert FILE in str(caught.value)


def test_missing_of_every_kind_counts_as_missing(scorer, rows):
    """Frames from files, databases and forms write "missing" in their own ways."""
    same = rows.assign(kind=rows["kind"].astype("category"), months=rows["months"].astype("Float64"))
    defined = features.definitions(shop())
    assert Reference.make(scorer, defined, same, synthetic=True) == Reference.make(
        scorer, defined, rows, synthetic=True
    )
    none = rows.assign(months=pd.Series(np.nan, index=rows.index))
    made = Reference.make(scorer.with_threshold(1.0), defined, none, synthetic=True)
    assert made.approved["months"] is None
    assert replace(made, synthetic=False) != made
