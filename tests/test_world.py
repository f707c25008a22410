"""A made-up world: everybody once, the same by seed, drift from its month on, outcomes as likely as they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from learning import shop

from credit.data import contract, synthetic
from credit.data.tables import open_tables
from credit.errors import ConfigError
from credit.features import definitions, express
from credit.features.online import Online
from credit.monitoring.world import World, _fate, write
from credit.portfolio import load

BOOK = load("home_credit")
PAST = tuple(name for name, table in BOOK.tables.items() if name != BOOK.main and table.columns)


def world(**options: object) -> World:
    given = {"drifts": ("score", "risk"), "since": 3, "seed": 5}
    return World.make(BOOK, 300, 4, 60, **given | options)


WORLD, CALM = world(), world(drifts=())


def test_everybody_is_there_once_and_keys_are_those_of_one_book() -> None:
    keys = [WORLD.training[BOOK.main][BOOK.key], *(month.tables[BOOK.main][BOOK.key] for month in WORLD.months)]
    assert [len(each) for each in keys] == [300, 60, 60, 60, 60]
    assert pd.concat(keys).is_unique


def test_only_the_training_book_tells_outcomes() -> None:
    assert BOOK.target in WORLD.training[BOOK.main]
    assert all(BOOK.target not in month.tables[BOOK.main] for month in WORLD.months)


def test_the_same_seed_makes_the_same_world_and_another_another() -> None:
    again, other = world(), world(seed=6)
    for month, same in zip(WORLD.months, again.months, strict=True):
        pd.testing.assert_frame_equal(month.tables[BOOK.main], same.tables[BOOK.main])
        np.testing.assert_array_equal(month.outcomes, same.outcomes)
    assert not WORLD.training[BOOK.main].equals(other.training[BOOK.main])


def test_drift_begins_in_its_month() -> None:
    """Before it nothing differs from a world without; from it on the clients are the same, and more of them fail."""
    for number, (month, calm) in enumerate(zip(WORLD.months, CALM.months, strict=True), start=1):
        rows, before = month.tables[BOOK.main], calm.tables[BOOK.main]
        assert rows.equals(before) == (number < 3)
        assert rows[BOOK.key].equals(before[BOOK.key])
        assert np.array_equal(month.probability, calm.probability) == (number < 3)
        assert (month.outcomes >= calm.outcomes).all()


def test_outcomes_without_drift_are_those_of_the_book() -> None:
    drawn = synthetic.generate(300 + 4 * 60 * 3, 5).application.set_index(BOOK.key)[BOOK.target]
    for month in CALM.months:
        np.testing.assert_array_equal(month.outcomes, drawn[month.tables[BOOK.main][BOOK.key]])


@pytest.mark.parametrize(("before", "now"), [(0.1, 0.4), (0.4, 0.1), (0.3, 0.3), (0.0, 0.5), (0.5, 1.0)])
def test_outcomes_are_as_likely_as_the_world_says(before: float, now: float) -> None:
    """Marginally each outcome has the new probability, and nobody changes against the direction of the risk."""
    n, rng = 40_000, np.random.default_rng(1)
    drawn, whole = (rng.random(n) < before).astype(int), np.ones(n)
    found = _fate(drawn, before * whole, now * whole, rng.random(n))
    assert abs(found.mean() - now) <= 4 * np.sqrt(now * (1 - now) / n)
    assert ((found >= drawn) if now >= before else (found <= drawn)).all()


def test_cases_are_what_the_online_path_takes_and_the_batch_reads(tmp_path: Path) -> None:
    """Features of a case, one at a time, are those of the same tables read as a book; a few of every table."""
    month = World.make(BOOK, 100, 1, 120, tables=PAST, seed=2).months[0]
    defined = definitions(BOOK)
    wanted = [each for name in (BOOK.main, *PAST) for each in [f for f in defined if f.table == name][:4]]
    assert {each.table for each in wanted} == {BOOK.main, *PAST}
    cases = month.cases(BOOK)
    assert [row[BOOK.key] for row, _ in cases] == month.tables[BOOK.main][BOOK.key].tolist()
    assert all(sum(len(past.get(name, [])) for _, past in cases) == len(month.tables[name]) for name in PAST)
    online = Online(BOOK, wanted, workers=1)
    single = pd.concat([online.features(*case) for case in cases[:40]], ignore_index=True)
    labelled = {**month.tables, BOOK.main: month.tables[BOOK.main].assign(**{BOOK.target: np.arange(120) % 2})}
    opened = open_tables(BOOK, write(BOOK, labelled, tmp_path / "raw", "a test"))
    whole = express(BOOK, contract.check(BOOK, opened).tables, wanted).to_pandas().set_index(BOOK.key)
    for each in wanted:
        other = whole.loc[single[BOOK.key], each.name].reset_index(drop=True)
        pd.testing.assert_series_equal(single[each.name], other, check_exact=True, check_dtype=False)


def test_the_marker_says_what_the_rows_are(tmp_path: Path) -> None:
    folder = write(BOOK, WORLD.training, tmp_path / "raw", "300 clients")
    assert (folder / synthetic.MARKER).read_text().splitlines() == [
        "Synthetic data: no row belongs to a real person.",
        "300 clients",
    ]


def test_a_book_without_facts_has_no_world() -> None:
    with pytest.raises(ConfigError, match="portfolio 'shop': no synthetic facts come with it"):
        World.make(shop(), 300, 1, 60)
