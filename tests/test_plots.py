"""Figures show the numbers they were given, in words: labels and marks are read back from the artists."""

import struct

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer, ErrorbarContainer

from credit import plots
from credit.evaluation import cost, fairness, metrics
from credit.plots import sheet
from credit.portfolio import Costs

COSTS, REVIEW = Costs(), Costs(review=0.6)
RNG = np.random.default_rng(1)
P = RNG.beta(1.2, 13, 2000)
Y = (RNG.random(2000) < P).astype(int)
GROUPS = pd.Series(RNG.choice(["Female", "Male", "Not given"], 2000, p=[0.6, 0.38, 0.02]))


LONG = ["Years between the last change of the phone and the application", "Share of income that the annuity takes"]


def leaderboard():
    table = pd.DataFrame({"name": ["imputed", "prior", "native"], "cost": [0.55, 0.8, 0.54]})
    table["cost_low"], table["cost_high"] = table["cost"] - 0.02, table["cost"] + 0.03
    return table.assign(reference=[False, True, False])


def halving():
    rows = [
        ("a", 0, 40, 0.60),
        ("b", 0, 40, 0.58),
        ("c", 0, 40, 0.61),
        ("a", 1, 120, 0.55),
        ("b", 1, 120, 0.56),
    ]
    return pd.DataFrame(rows, columns=["setting", "round", "resource", "cost"])


def importance():
    return pd.DataFrame({"feature": [f"Feature {i}" for i in range(18)] + LONG, "importance": np.arange(20) / 100})


def swarm():
    values = RNG.normal(size=(200, 3))
    shown = values.copy()
    shown[:50, 0] = np.nan
    return ["small", "large", "middle"], values * [0.1, 1.0, 0.4], shown


def bars():
    """A book of 100 bars of which the last 60 are empty."""
    share = np.append(np.linspace(0.045, 0.005, 40), np.zeros(60))
    return pd.DataFrame({"low": np.arange(100) / 100, "high": np.arange(1, 101) / 100, "share": share / share.sum()})


def found():
    """Recall and precision of refusing the riskiest, from the counts of every cut."""
    order = np.argsort(-P)
    hits = np.cumsum(Y[order])
    return pd.DataFrame({"recall": hits / Y.sum(), "precision": hits / np.arange(1, 2001)})


def steps():
    names = ["Scores from external sources", *(f"Concept {i}" for i in range(1, 12))]
    return pd.DataFrame({"name": names, "effect": [0.8, -0.4, 0.3, -0.2, 0.1, *[0.05] * 4, 0.02, 0.02, -0.01]})


FIGURES = {
    "beeswarm": lambda **k: plots.beeswarm_plot(*swarm(), **k),
    "book": lambda **k: plots.book_plot(bars(), 0.1, **k),
    "calibration": lambda **k: plots.calibration_plot(metrics.calibration_table(Y, P), **k),
    "confusion": lambda **k: plots.confusion_plot(cost.confusion(Y, P >= 0.1, COSTS), **k),
    "cost_curve": lambda **k: plots.cost_curve_plot(cost.cost_curve(Y, P, COSTS), 0.12, 1 / 11, **k),
    "groups": lambda **k: plots.group_plot(fairness.group_table(Y, P >= 0.1, P, GROUPS), "gender", **k),
    "halving": lambda **k: plots.halving_plot(halving(), **k),
    "importance": lambda **k: plots.importance_plot(importance(), **k),
    "leaderboard": lambda **k: plots.leaderboard_plot(leaderboard(), **k),
    "policies": lambda **k: plots.policies_plot(cost.policies(Y, P, 0.1, COSTS, repeats=50), **k),
    "precision_recall": lambda **k: plots.precision_recall_plot(found(), "0.2 (0.1 to 0.3)", 0.08, (0.6, 0.2), **k),
    "roc": lambda **k: plots.roc_plot(metrics.roc_table(Y, P), "0.75 (0.73 to 0.77)", **k),
    "score": lambda **k: plots.score_plot(metrics.score_table(Y, P), 0.1, **k),
    "waterfall": lambda **k: plots.waterfall_plot(steps(), (-2.5, 0.076), (-1.67, 0.158), **k),
}


def texts(figure):
    """All words of a figure, in drawing order."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def errorbars(ax):
    """Centre, low and high of each horizontal whisker of `ax`."""
    found = []
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer):
            line, _, (bars,) = container
            for x, y, ends in zip(*line.get_data(), bars.get_segments(), strict=True):
                found.append((round(float(y), 6), x, ends[0][0], ends[1][0]))
    return sorted(found, reverse=True)


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_a_png_of_700_pixels_with_words_on_its_axes(name):
    figure = FIGURES[name]()
    png = plots.to_png(figure)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", png[16:20])[0] == 700
    assert figure.axes[0].get_xlabel() or figure.axes[0].get_ylabel() or name == "confusion"
    assert not any("_" in text for text in texts(figure))  # labels are words, not column names


@pytest.mark.parametrize("name", FIGURES)
def test_synthetic_data_say_so_and_real_data_do_not(name):
    assert "SYNTHETIC DATA" in texts(FIGURES[name](synthetic=True))
    assert "SYNTHETIC DATA" not in texts(FIGURES[name]())


@pytest.mark.parametrize("name", FIGURES)
def test_no_words_overlap_or_leave_the_figure(name):
    """Every pair of texts (but rotated ones) has disjoint boxes inside the figure's bounds."""
    figure = FIGURES[name](synthetic=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = []
    for text in figure.findobj(mpl.text.Text):
        box = text.get_window_extent(renderer)
        shown = text.get_visible() and text.get_text().strip() and text.get_rotation() == 0
        if shown and all(visible(ax, text) for ax in figure.axes):
            boxes.append((text.get_text(), box))
    assert boxes
    for i, (one, a) in enumerate(boxes):
        assert a.x0 >= -1, one
        assert a.x1 <= figure.bbox.width + 1, one
        for other, b in boxes[i + 1 :]:
            apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
            assert apart, (one, other)


def visible(ax, text):
    """Tick labels beyond the axis limits exist as artists but are not drawn."""
    for axis, (low, high), where in ((ax.xaxis, ax.get_xlim(), 0), (ax.yaxis, ax.get_ylim(), 1)):
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            if text in (tick.label1, tick.label2):
                return low - 1e-9 <= text.get_position()[where] <= high + 1e-9
    return True


def test_no_global_state_is_touched():
    before = dict(mpl.rcParams)
    FIGURES["calibration"]()
    assert dict(mpl.rcParams) == before


def test_calibration_shows_each_bin_with_its_interval():
    table = metrics.calibration_table(Y, P)
    (ax,) = plots.calibration_plot(table).axes
    (container,) = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    line, _, (bars,) = container
    np.testing.assert_allclose(line.get_xydata(), table[["mean_predicted", "observed"]])
    np.testing.assert_allclose([s[:, 1] for s in bars.get_segments()], table[["low", "high"]])


def test_cost_curve_names_both_thresholds_and_both_trivial_policies():
    curve = cost.cost_curve(Y, P, COSTS)
    figure = plots.cost_curve_plot(curve, 0.12, 1 / 11)
    words = texts(figure)
    assert f"in use: threshold 12.0%, cost {cost.cost_at(Y, P, 0.12, COSTS):.3f}" in words
    assert f"theory: threshold 9.1%, cost {cost.cost_at(Y, P, 1 / 11, COSTS):.3f}" in words
    assert f"approve all: cost {10 * Y.mean():.3f}" in words
    assert f"refuse all: cost {1 - Y.mean():.3f}" in words
    drawn = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(drawn[1:-1], curve[["threshold", "cost"]].iloc[:-1])
    np.testing.assert_allclose(drawn[[0, -1]], [(0, 1 - Y.mean()), (1, 10 * Y.mean())])


@pytest.mark.parametrize("costs", [COSTS, REVIEW])
def test_confusion_writes_counts_and_cost_into_their_cells(costs):
    table = cost.confusion(Y, cost.decide(P, costs), costs)
    figure = plots.confusion_plot(table)
    (ax,) = figure.axes
    words = {"approve": "approved", "review": "sent to review", "decline": "refused"}
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    for row in table.itertuples():
        x, y = ticks(ax.xaxis).index(words[row.decision]), ticks(ax.yaxis).index(row.outcome)
        inside = [text for (tx, ty), text in cells.items() if (round(tx), round(ty)) == (x, y)]
        assert inside == [f"{row.n:,} clients", f"{row.n / 2000:.1%} of all; cost {row.cost:,.0f}"]
    assert len(ax.texts) == 2 * len(table)


def test_leaderboard_puts_the_cheapest_on_top_and_references_below():
    (ax,) = plots.leaderboard_plot(leaderboard()).axes
    assert ticks(ax.yaxis) == ["native", "imputed", "prior (reference)"]
    expected = [(2, 0.54, 0.52, 0.57), (1, 0.55, 0.53, 0.58), (0, 0.8, 0.78, 0.83)]
    np.testing.assert_allclose(errorbars(ax), expected)
    assert [text.get_text() for text in ax.texts] == ["0.540", "0.550", "0.800"]


def test_policies_keep_their_order_and_values():
    table = cost.policies(Y, P, 0.1, COSTS, repeats=50)
    (ax,) = plots.policies_plot(table).axes
    assert ticks(ax.yaxis) == table["policy"].tolist()
    np.testing.assert_allclose([row[1:] for row in errorbars(ax)], table[["cost", "cost_low", "cost_high"]])


def test_scores_show_both_outcomes_and_the_threshold():
    table = metrics.score_table(Y, P)
    (ax,) = plots.score_plot(table, 0.1).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "repaid",
        "defaulted",
        "refused from 10.0%",
    ]
    for patch, name in zip(ax.patches, ["repaid", "defaulted"], strict=True):
        np.testing.assert_allclose(patch.get_data().values, table[name])


def test_a_books_bars_end_where_nobody_is_left_and_show_the_threshold():
    (ax,) = plots.book_plot(bars(), 0.1).axes
    assert ax.get_xlim() == (0, pytest.approx(0.41))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["threshold 10.0%"]
    np.testing.assert_allclose(ax.patches[0].get_data().values, bars()["share"][:41])
    (far,) = plots.book_plot(bars(), 0.6).axes
    assert far.get_xlim()[1] > 0.6


def test_roc_marks_the_ks_distance():
    figure = plots.roc_plot(metrics.roc_table(Y, P), "0.75 (0.73 to 0.77)")
    words = texts(figure)
    assert "Area under the curve (AUC) 0.75 (0.73 to 0.77)." in words
    assert f"largest distance (KS) {metrics.ks(Y, P):.3f}" in words


def test_precision_and_recall_are_drawn_with_the_threshold_in_use_and_refusing_at_random():
    figure = plots.precision_recall_plot(found(), "0.2 (0.1 to 0.3)", 0.08, (0.6, 0.2))
    (ax,) = figure.axes
    curve, chance, chosen = ax.lines
    np.testing.assert_allclose(curve.get_xydata(), found())
    assert set(chance.get_ydata()) == {0.08}
    np.testing.assert_allclose(chosen.get_xydata(), [(0.6, 0.2)])
    assert {"Average precision 0.2 (0.1 to 0.3).", "in use: 20.0% of the refused, 60.0% of the defaults"} <= set(
        texts(figure)
    )


def test_a_waterfall_leads_from_the_average_to_the_applicant_step_by_step():
    figure = plots.waterfall_plot(steps(), (-2.5, 0.076), (-1.67, 0.158), top=9)
    (ax,) = figure.axes
    (bars,) = [c for c in ax.containers if isinstance(c, BarContainer)]
    assert ticks(ax.yaxis)[-1] == "3 weaker ones together"  # nothing is left out
    left = [bar.get_x() for bar in bars]
    reached = [bar.get_x() + bar.get_width() for bar in bars]
    np.testing.assert_allclose(left, [-2.5, *reached[:-1]])
    np.testing.assert_allclose(reached[-1], -2.5 + steps()["effect"].sum())
    assert [text.get_text() for text in ax.texts][:2] == ["+0.80", "-0.40"]
    assert [line.get_xdata()[0] for line in ax.lines] == [-2.5, -1.67]
    raising = [bar.get_facecolor() == mpl.colors.to_rgba(sheet.VERMILION) for bar in bars]
    assert raising == [bar.get_width() > 0 for bar in bars]
    assert ticks(plots.waterfall_plot(steps()[:3], (-2.5, 0.076), (-1.8, 0.14)).axes[0].yaxis) == [*steps()["name"][:3]]


def test_importance_shows_the_largest_with_their_values():
    figure = plots.importance_plot(importance(), top=3)
    (ax,) = figure.axes
    (bars,) = [c for c in ax.containers if isinstance(c, BarContainer)]
    assert ticks(ax.yaxis) == [LONG[1], "Years between the last change of the\nphone and the application", "Feature 17"]
    assert [bar.get_width() for bar in bars] == [0.19, 0.18, 0.17]
    assert [text.get_text() for text in ax.texts] == ["0.190", "0.180", "0.170"]
    assert "Mean absolute SHAP value, the 3 largest of 20 features." in texts(figure)


def test_beeswarm_shows_every_client_once_in_each_row():
    names, values, shown = swarm()
    ax = plots.beeswarm_plot(names, values, shown).axes[0]
    assert ticks(ax.yaxis) == ["large", "middle", "small"]
    for height, column in ((2, 1), (1, 2), (0, 0)):
        points = np.vstack([c.get_offsets() for c in ax.collections])
        row = points[np.abs(points[:, 1] - height) < 0.5]
        np.testing.assert_allclose(np.sort(row[:, 0]), np.sort(values[:, column]))
    assert sum(len(c.get_offsets()) for c in ax.collections if c.get_array() is None) == 50  # grey: missing
    with pytest.raises(ValueError, match="must have shape"):
        plots.beeswarm_plot(names, values, shown[:, :2])


def test_halving_draws_one_line_per_setting_and_marks_the_winner():
    figure = plots.halving_plot(halving())
    (ax,) = figure.axes
    assert len(ax.lines) == 3
    assert ticks(ax.xaxis) == ["40 trees\n3 settings", "120 trees\n2 settings"]
    assert "chosen: 0.550" in texts(figure)
    (bold,) = [line for line in ax.lines if line.get_color() == sheet.VERMILION]
    np.testing.assert_allclose(bold.get_xydata(), [(40, 0.6), (120, 0.55)])
    assert "3 settings, 2 left in the last round; lower is better." in texts(figure)


def test_groups_show_three_rates_and_hollow_marks_for_small_groups():
    table = fairness.group_table(Y, P >= 0.1, P, GROUPS)
    figure = plots.group_plot(table, "gender")
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "approved",
        "good clients refused",
        "defaulters approved",
    ]
    assert ticks(figure.axes[0].yaxis) == [f"{row.group} ({row.n:,})" for row in table.itertuples()]
    for ax, rate in zip(figure.axes, ["approval_rate", "false_positive_rate", "false_negative_rate"], strict=True):
        expected = table[[rate, f"{rate}_low", f"{rate}_high"]]
        np.testing.assert_allclose([row[1:] for row in errorbars(ax)], expected)
        hollow = [c for c in ax.containers if c[0].get_markerfacecolor() == "white"]
        assert sum(len(c[0].get_xdata()) for c in hollow) == table["small"].sum() == 1
        assert [text.get_text() for text in ax.texts] == [f"{value:.1%}" for value in table[rate]]
