"""The race of imputers: what is timed is what is meant, and time runs forward."""

import numpy as np
import pandas as pd
import pytest

from credit.training import imputation
from credit.training.imputation import Race, race


def holes(rows=200):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd"))
    frame.loc[rng.random(rows) < 0.3, "a"] = np.nan
    frame.loc[rng.random(rows) < 0.1, "b"] = np.nan
    frame["c"] = np.nan
    return frame.assign(words=pd.Series(["x", None] * (rows // 2)))


def test_a_race_has_times():
    """Column c has no value to impute from, d misses none, words are no numbers: two columns race."""
    result = race(holes(), rows=120, repeats=2)
    assert (result.rows, result.columns) == (120, 2)
    assert result.simple > 0
    assert result.neighbours > 0


def test_medians_of_interleaved_timings(monkeypatch):
    """A machine that stumbles once must not decide the race: the median, of both in turns, does not see it."""
    times = iter([1.0, 10.0, 90.0, 20.0, 2.0, 900.0])  # simple, neighbours, simple, ...
    monkeypatch.setattr(imputation, "_seconds", lambda work: next(times))
    result = race(holes(), rows=50, repeats=3)
    assert (result.simple, result.neighbours) == (2.0, 20.0)
    assert result.faster == pytest.approx(0.9)


def test_both_imputers_leave_no_hole(monkeypatch):
    """What is timed must be the whole work: fit, and every hole filled."""
    done = []
    monkeypatch.setattr(imputation, "_seconds", lambda work: done.append(work()) or 1.0)
    race(holes(), rows=100, repeats=1)
    simple, neighbours = done
    assert simple.shape == (100, 4)  # two columns and their indicators
    assert neighbours.shape == (100, 2)
    assert not np.isnan(simple).any()
    assert not np.isnan(neighbours).any()


@pytest.mark.parametrize("frame", [holes()[["d"]], holes()[["d", "words"]], holes()[["c"]], holes().head(0)])
def test_no_hole_no_race(frame):
    assert race(frame, rows=50) is None


def test_faster_is_the_share_of_time_saved():
    assert Race(1, 1, simple=3.0, neighbours=4.0).faster == pytest.approx(0.25)
