"""Windows: the ledger's rows become the very features that were decided on, and every bad input has one behaviour."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from learning import sales
from serving_util import champion, data

from credit.errors import ConfigError, CreditError
from credit.governance.ledger import Ledger
from credit.governance.outcomes import import_outcomes
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.retention import erase
from credit.governance.serving import open_version
from credit.home import Home
from credit.monitoring.window import (
    AGAIN,
    ERASED,
    INVALID,
    TRAINED,
    UNKNOWN,
    Window,
    from_features,
    from_ledger,
    from_tables,
)
from credit.scoring.baseline import Baseline

NEW = 50_000  # added to client numbers, so that nobody was trained on


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("window") / "home")
    version, registry = champion(home), Registry("shop", home)
    return SimpleNamespace(
        home=home, decider=open_version(registry, version), baseline=Baseline.load(registry.load(version))
    )


def fresh(rows: int = 400, seed: int = 5, **columns) -> pd.DataFrame:
    frame = sales(rows, seed)
    return frame.assign(client=frame["client"] + NEW, **columns)


def given(folder, frame: pd.DataFrame, labelled: bool = False) -> str:
    folder.mkdir(exist_ok=True, parents=True)
    frame.to_csv(folder / ("sales.csv" if labelled else "open_sales.csv"), index=False)
    return str(folder)


def features_of(model, frame: pd.DataFrame) -> pd.DataFrame:
    """What the model reads of raw rows; the shop's features are its columns, with the sentinel of `months` missing."""
    read = list(model.decider.scorer.contract)
    return frame[["client", *read]]


def decided(model, frame: pd.DataFrame, ledger: Ledger) -> list[int]:
    """Decide on raw rows one by one, as the page does."""
    raw = frame.drop(columns=["unpaid", "branch"]).astype(object)
    rows = raw.where(raw.notna(), None).to_dict("records")
    items = [(model.decider.decide(row), row, None) for row in rows]
    return Records(ledger).decide_many(items, by="anna", channel="page")


@pytest.fixture(scope="module")
def recorded(model, tmp_path_factory):
    frame = fresh(80, 9)
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")
    return SimpleNamespace(frame=frame, ledger=ledger, numbers=decided(model, frame, ledger))


def test_the_ledger_gives_back_what_was_decided_on(model, recorded):
    """Bit for bit the probabilities on record, and features equal to those of the raw rows: the oracle is the file."""
    window = from_ledger(model.decider, model.baseline, recorded.ledger, least=1)
    held = Records(recorded.ledger)
    assert window.scored["decision_id"].tolist() == recorded.numbers
    for at, number in enumerate(recorded.numbers):
        one = held.find(number)
        assert window.scored.loc[at, "probability"] == one.probability
        assert window.scored.loc[at, "decision"] == one.decision
        assert (window.scored.loc[at, "version"], window.scored.loc[at, "threshold"]) == (1, one.threshold)
    ordered = features_of(model, recorded.frame).drop(columns="client").reset_index(drop=True)
    pd.testing.assert_frame_equal(window.features[list(ordered)], ordered, check_dtype=False)
    assert window.parts["sex"].tolist() == recorded.frame["sex"].tolist()
    assert (len(window), window.matured, window.set_aside) == (len(recorded.frame), 0, {})


def test_file_and_ledger_and_features_agree(model, recorded, tmp_path):
    """Three ways in, one window: whoever monitors a file may rely on what was found in the ledger."""
    raw = from_tables(model.decider, model.baseline, given(tmp_path / "raw", recorded.frame), least=1)
    file = tmp_path / "features.parquet"
    features_of(model, recorded.frame).assign(sex=recorded.frame["sex"]).to_parquet(file)
    ready = from_features(model.decider, model.baseline, str(file), least=1)
    ledger = from_ledger(model.decider, model.baseline, recorded.ledger, least=1)
    by_client = recorded.frame["client"].rank().astype(int).to_numpy() - 1
    for window in (raw, ready):
        assert window.scored["probability"].to_numpy()[by_client].tolist() == ledger.scored["probability"].tolist()
        assert window.parts["sex"].to_numpy()[by_client].tolist() == ledger.parts["sex"].tolist()
    assert raw.parts["seniority"].isna().sum() == recorded.frame["months"].isna().sum()


def test_a_kept_window_is_the_same(model, recorded, tmp_path):
    window = from_ledger(model.decider, model.baseline, recorded.ledger, least=1)
    again = Window.load(window.save(tmp_path / "rows"))
    for name in ("features", "parts", "scored"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(window, name), check_dtype=False)
    assert (again.source, again.set_aside, again.synthetic) == (window.source, window.set_aside, window.synthetic)


def test_overrides_outcomes_repeats_and_erasure(model, tmp_path):
    """What people decided counts, a client counts once with the newest decision, and who was erased stays out."""
    ledger, frame = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), fresh(30, 11)
    first = decided(model, frame, ledger)
    second = decided(model, frame.head(5).assign(amount=10.0), ledger)
    records = Records(ledger)
    changed = records.find(first[10])
    to = "decline" if changed.decision == "approve" else "approve"
    records.override(first[10], to, "he called", by="anna")
    today = datetime.now(UTC).date()
    (tmp_path / "outcomes.csv").write_text(f"decision,outcome,observed\n{first[11]},1,{today}\n")
    import_outcomes(ledger, tmp_path / "outcomes.csv")
    erase(ledger, str(frame["client"].iloc[12]), "asked for", portfolio="shop")
    window = from_ledger(model.decider, model.baseline, ledger, least=1)
    scored = window.scored.set_index("decision_id")
    assert window.set_aside == {AGAIN: 5, ERASED: 1}
    assert set(scored.index) == {*first[5:12], *first[13:], *second}
    assert scored.loc[first[10], "decision"] == to
    assert scored.loc[first[11], "outcome"] == 1.0
    assert window.matured == 1


def test_applications_without_a_number_do_not_hide_each_other(model, tmp_path):
    """Two blank forms are two applicants, not one who applied twice."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    row = {"kind": "cash", "town": "town a", "amount": 60.5, "score": 0.9, "months": 3, "phone": 1}
    items = [(model.decider.decide(row | {"client": number}), row, None) for number in (1, 2)]
    blank = [(replace(decision, client=""), raw, history) for decision, raw, history in items]
    Records(ledger).decide_many(blank, by="anna", channel="api")
    assert len(from_ledger(model.decider, model.baseline, ledger, least=1)) == 2


@pytest.mark.parametrize(
    ("span", "kept"),
    [
        ({"last": 3}, slice(-3, None)),
        ({"since": "2020-01-01"}, slice(None)),
        ({"since": "2020-01-01", "until": "2999-12-31", "last": 500}, slice(None)),
    ],
)
def test_bounds_choose_decisions(model, recorded, span, kept):
    window = from_ledger(model.decider, model.baseline, recorded.ledger, least=1, **span)
    assert window.scored["decision_id"].tolist() == recorded.numbers[kept]


def test_a_day_is_a_whole_day(model, recorded):
    """The day of the decisions is in both bounds; the day before is not."""
    [day] = {vars(event)["at"][:10] for event in recorded.ledger.events("decision")}
    assert len(from_ledger(model.decider, model.baseline, recorded.ledger, since=day, until=day, least=1)) == 80
    with pytest.raises(CreditError, match="0 applicants to look at"):
        from_ledger(model.decider, model.baseline, recorded.ledger, until="2020-01-01", least=1)


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ({"since": "yesterday-ish"}, "--since yesterday-ish: no date; write YYYY-MM-DD"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "nothing lies between"),
        ({"last": 0}, "--last 0: must be 1 or more"),
    ],
)
def test_bounds_that_are_none(model, recorded, span, said):
    with pytest.raises(ConfigError, match=said):
        from_ledger(model.decider, model.baseline, recorded.ledger, **span)


def without(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.drop(columns=column)


def retyped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(amount=["much" if at % 2 else value for at, value in enumerate(frame["amount"])])


#: What is given, and either what the error says or what is set aside; `labelled` and outcomes come with it.
BAD = {
    "empty": (lambda f: f.head(0), {}, "a header but no rows"),
    "too few": (
        lambda f: f.head(20),
        {},
        r"20 applicants to look at, at least 300 are needed \(\[monitoring\] window\)",
    ),
    "a column missing": (lambda f: without(f, "amount"), {}, "'?amount'?: missing column|amount"),
    "the key missing": (lambda f: without(f, "client"), {}, "client"),
    "retyped, half of the rows": (retyped, {}, "200 applicants to look at, .*set aside: 200 break the contract"),
    "duplicated ids": (lambda f: pd.concat([f, f.head(30)]), {}, {INVALID: 60}),
    "all clients trained on": (lambda f: sales(900, 0), {}, "trained or validated on"),
    "an all-missing column": (lambda f: f.assign(score=None), {}, {}),
    "a constant column": (lambda f: f.assign(amount=10.0), {}, {}),
    "an outcome that is none": (
        lambda f: f.assign(unpaid=[2, *f["unpaid"][1:]]),
        {"labelled": True},
        "row 1, column unpaid",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_has_one_clear_behaviour(model, tmp_path, case):
    change, options, expected = BAD[case]
    source = given(tmp_path / "raw", change(fresh()), **options)
    if isinstance(expected, str):
        with pytest.raises(CreditError, match=expected):
            from_tables(model.decider, model.baseline, source, **options)
    else:
        assert from_tables(model.decider, model.baseline, source, **options).set_aside == expected


#: The same for rows of features.
BAD_FEATURES = {
    "a feature missing": (lambda f: without(f, "amount"), "1 features that the model reads are not there .amount."),
    "the key missing": (lambda f: without(f, "client"), "has no column 'client'"),
    "retyped": (retyped, "set aside: 200 break the contract"),
    "duplicated ids": (lambda f: pd.concat([f, f.head(30)]), {INVALID: 60}),
    "all-missing": (lambda f: f.assign(score=np.nan), {}),
    "constant": (lambda f: f.assign(amount=10.0), {}),
}


@pytest.mark.parametrize("case", BAD_FEATURES)
def test_bad_features_have_one_clear_behaviour(model, tmp_path, case):
    change, expected = BAD_FEATURES[case]
    file = tmp_path / "features.csv"
    change(features_of(model, fresh())).to_csv(file, index=False)
    if isinstance(expected, str):
        with pytest.raises(CreditError, match=expected):
            from_features(model.decider, model.baseline, str(file))
    else:
        assert from_features(model.decider, model.baseline, str(file)).set_aside == expected


def test_clients_the_model_knows_are_set_aside(model, tmp_path):
    """Scores of clients that it was fitted on flatter it: of the book it was trained on, the test clients are left."""
    trained = sales(900, 0)
    known = model.baseline.trained_on(trained["client"])
    source = given(tmp_path / "raw", pd.concat([trained, fresh()]))
    window = from_tables(model.decider, model.baseline, source)
    assert 0.75 < known.mean() < 0.85
    assert window.set_aside == {TRAINED: int(known.sum())}
    assert len(window) == 400 + int((~known).sum())


def test_outcomes_from_the_table_or_a_file_of_their_own(model, tmp_path):
    frame = fresh()
    inside = from_tables(model.decider, model.baseline, given(tmp_path / "in", frame, labelled=True), labelled=True)
    known = frame[["client", "unpaid"]].sample(150, random_state=1)
    strangers = pd.DataFrame({"client": [1, 2, 3], "unpaid": [0, 1, 0]})
    pd.concat([known, strangers]).to_csv(tmp_path / "outcomes.csv", index=False)
    source = given(tmp_path / "out", frame)
    beside = from_tables(model.decider, model.baseline, source, outcomes=str(tmp_path / "outcomes.csv"))
    expected = frame.sort_values("client")["unpaid"].to_numpy(float)
    assert inside.scored["outcome"].tolist() == expected.tolist()
    found = beside.scored["outcome"].to_numpy()
    late = frame.sort_values("client")["client"].isin(known["client"]).to_numpy()
    assert np.array_equal(np.isnan(found), ~late)
    assert found[late].tolist() == expected[late].tolist()
    assert beside.set_aside == {UNKNOWN: 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("client,unpaid\n1,0\n1,1\n", "client '1' has more than one outcome"),
        ("client,unpaid\n1,maybe\n", "row 1, column unpaid: 'maybe' is neither 0 nor 1"),
        ("client,paid\n1,0\n", "no column unpaid; outcomes are client and unpaid"),
    ],
)
def test_files_of_outcomes_that_are_none(model, tmp_path, text, said):
    (tmp_path / "outcomes.csv").write_text(text)
    source = given(tmp_path / "raw", fresh())
    with pytest.raises(CreditError, match=said):
        from_tables(model.decider, model.baseline, source, outcomes=str(tmp_path / "outcomes.csv"))


def test_the_champions_own_rows_are_no_window(model):
    """The mistake that is easiest to make: to monitor a model on the book it learned from."""
    with pytest.raises(CreditError, match=r"set aside: .* trained or validated on"):
        from_tables(model.decider, model.baseline, str(data(model.home)), labelled=True)
