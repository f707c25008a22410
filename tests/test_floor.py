"""What chance alone reaches: against chi-squared where it is exact enough, against fresh draws, and against loops."""

import math

import numpy as np
import pytest
from scipy.stats import chi2

from credit.errors import DataError
from credit.evaluation.stability import Bins, index
from credit.monitoring import floor
from credit.monitoring.floor import floors


def uniform(rows: int, columns: int, bins: int, seed: int = 0):
    """Codes of independent columns whose bins are equally likely; the last two, missing and unseen, are empty."""
    return np.random.default_rng(seed).integers(0, bins, (rows, columns)), [bins + 2] * columns


@pytest.mark.parametrize(("columns", "bins"), [(1, 2), (1, 10), (8, 10)])
def test_independent_columns_have_a_closed_form(columns, bins):
    """(1/n + 1/m) times the quantile of chi-squared that the largest of k independent ones exceeds with 1 - level."""
    codes, sizes = uniform(8000, columns, bins)
    found = floors(codes, sizes, 4000, 8000, draws=2000, seed=1)
    expected = (1 / 4000 + 1 / 8000) * chi2.ppf(0.99 ** (1 / columns), bins - 1)
    assert found == pytest.approx(np.full(columns, expected), rel=0.12)


def test_columns_of_different_width_get_their_own_floor():
    """A flag must not hide behind what a column of forty levels does by chance: both are exceeded equally often."""
    narrow, wide = uniform(8000, 3, 2)[0], uniform(8000, 3, 40, 1)[0]
    found = floors(np.hstack([narrow, wide]), [4] * 3 + [42] * 3, 800, 8000, draws=2000, level=0.95)
    expected = (1 / 800 + 1 / 8000) * chi2.ppf(0.95 ** (1 / 6), [1, 1, 1, 39, 39, 39])
    assert found == pytest.approx(expected, rel=0.15)


def test_what_moves_together_is_one_chance():
    """A hundred copies of a column are exceeded whenever it is: no correction is due, unlike Bonferroni's."""
    codes, sizes = uniform(3000, 1, 10)
    alone = floors(codes, sizes, 300, 3000)
    assert floors(np.repeat(codes, 100, axis=1), sizes * 100, 300, 3000) == pytest.approx(np.full(100, alone[0]))


def table(rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Dependent columns of every kind: normal, a spike with missing values, a rare flag, levels with a long tail."""
    z = rng.normal(size=(rows, 4)) + 0.7 * rng.normal(size=(rows, 1))
    return {
        "normal": z[:, 0],
        "other": z[:, 0] + 0.1 * z[:, 1],
        "spike": np.where(rng.random(rows) < 0.2, np.nan, np.maximum(np.round(z[:, 1]), 0)),
        "flag": (z[:, 2] > 2.4).astype(float),
        "level": np.char.add("level ", np.minimum(np.exp(1.2 * z[:, 3]).astype(int), 20).astype(str)),
    }


def test_fresh_windows_seldom_exceed_any_floor():
    """Family-wise, by drawing baseline and window anew from one population: the level is kept, and not by far."""
    rng, over = np.random.default_rng(2), {0.99: 0, 0.9: 0}
    for trial in range(150):
        before, now = table(2400, rng), table(400, rng)
        bins = {name: Bins.fit(values) for name, values in before.items()}
        codes = np.column_stack([bins[name].codes(values) for name, values in before.items()])
        sizes = [made.size for made in bins.values()]
        psi = [index(made.counts(before[name]), made.counts(now[name])) for name, made in bins.items()]
        for level in over:
            over[level] += bool((psi > floors(codes, sizes, 400, 2400, level=level, seed=trial)).any())
    assert over[0.99] <= 6  # 1.5 are expected; more than 6 in 1 of 1,000 such tests
    assert 4 <= over[0.9] <= 28  # 15 are expected


def loop(codes, size, inside):
    """The index of some rows against the others, row by row; levels that only they have are one."""
    before, now = np.zeros(size), np.zeros(size)
    for row, code in enumerate(codes):
        if row not in inside:
            before[code] += 1
    for row in inside:
        code = codes[row]
        now[size - 1 if before[code] == 0 and code < size - 2 else code] += 1
    total = 0.0
    for e, a in zip(before, now, strict=True):
        if e or a:
            was, became = max(e, 0.5) / before.sum(), max(a, 0.5) / now.sum()
            total += (became - was) * math.log(became / was)
    return total


def test_windows_are_counted_as_a_loop_counts_them():
    rng = np.random.default_rng(3)
    codes = np.column_stack([rng.integers(0, 5, 60), rng.integers(0, 30, 60), rng.integers(0, 4, 60)])
    sizes, drawn = [7, 32, 4], floor._random(60, 17, 6, 0)
    assert drawn.sum(axis=0).tolist() == [17] * 6
    assert len({tuple(each) for each in drawn.T}) == 6
    found = floor._indices(codes, sizes, drawn)
    for window in range(6):
        inside = set(np.flatnonzero(drawn[:, window]))
        for column in range(3):
            assert found[window, column] == pytest.approx(loop(codes[:, column], sizes[column], inside))


@pytest.mark.parametrize(("n", "taken"), [(30, 30), (200, 50)])
def test_no_floor_is_below_what_a_block_reaches(n, taken):
    """Neighbours are alike here: what is usual among them is no alarm, however rare it is among rows at random."""
    codes = np.sort(uniform(100, 1, 4)[0], axis=0)
    blocks = [loop(codes[:, 0], 6, set(range(start, start + taken))) for start in range(0, 100 - taken + 1, taken)]
    there, here = 1 / n + 1 / 5000, 1 / taken + 1 / (100 - taken)
    assert floors(codes, [6], n, 5000) == pytest.approx(max(blocks) * there / here)
    shuffled = np.random.default_rng(0).permutation(codes)
    assert floors(shuffled, [6], n, 5000)[0] < max(blocks) * there / here / 2


def test_the_longer_the_window_the_lower_the_floor():
    codes, sizes = uniform(2000, 4, 10)
    found = np.array([floors(codes, sizes, n, 20_000) for n in (25, 50, 100, 200, 400, 800, 1600, 20_000, 10**6)])
    assert (np.diff(found, axis=0) < 0).all()


def test_beyond_half_of_the_rows_it_follows_the_formula():
    """Halves are drawn whatever the window; its size and the baseline's enter as (1/n + 1/m), column by column."""
    codes, sizes = uniform(1000, 2, 10)
    one, two = floors(codes, sizes, 500, 1000), floors(codes, sizes, 4000, [8000, 2000])
    assert two / one == pytest.approx(np.array([1 / 4000 + 1 / 8000, 1 / 4000 + 1 / 2000]) / (1 / 500 + 1 / 1000))


def test_a_column_that_never_varies_has_no_chance():
    codes = np.column_stack([np.zeros(100, int), uniform(100, 1, 3)[0]])
    found = floors(codes, [3, 5], 40, 100)
    assert found[0] == 0
    assert found[1] == floors(codes[:, 1:], [5], 40, 100)[0]


def test_the_seed_is_all_the_chance_there_is():
    codes, sizes = uniform(500, 3, 10)
    assert floors(codes, sizes, 100, 500, seed=1).tolist() == floors(codes, sizes, 100, 500, seed=1).tolist()
    assert floors(codes, sizes, 100, 500, seed=1).tolist() != floors(codes, sizes, 100, 500, seed=2).tolist()


@pytest.mark.parametrize(
    ("rows", "options", "error", "message"),
    [
        (19, {}, DataError, "the baseline has 19 rows, at least 20"),
        (50, {"n": 0}, ValueError, "n: must be a whole number"),
        (50, {"draws": 0}, ValueError, "draws: must be a whole number"),
    ],
)
def test_wrong_use_is_named(rows, options, error, message):
    codes, sizes = uniform(rows, 1, 3)
    with pytest.raises(error, match=message):
        floors(codes, sizes, **{"n": 10, "m": 100} | options)
