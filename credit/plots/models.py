"""Tables about a model, its candidates and its decisions, drawn as figures; computes no statistic."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from credit.plots.sheet import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    ORANGE,
    SKY,
    SMALL,
    VERMILION,
    blank,
    lines,
    name_axes,
    percent,
    whiskers,
    write,
)

__all__ = [
    "beeswarm_plot",
    "book_plot",
    "calibration_plot",
    "confusion_plot",
    "cost_curve_plot",
    "group_plot",
    "halving_plot",
    "importance_plot",
    "leaderboard_plot",
    "policies_plot",
    "roc_plot",
    "score_plot",
    "stopping_plot",
]


def calibration_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw `metrics.calibration_table`: predicted against observed default rates, with their intervals."""
    subtitle = "Groups of about equal size; bars are 95% intervals. On the line, promise and outcome agree."
    figure, (ax,) = blank("Do the probabilities come true?", subtitle, 4.4, synthetic=synthetic)
    top = 1.05 * float(max(table["high"].max(), table["mean_predicted"].max()))
    ax.plot([0, top], [0, top], color=GREY, linestyle="--", linewidth=1.2, label="perfect calibration")
    reach = np.abs(table[["low", "high"]].to_numpy().T - table["observed"].to_numpy())
    ax.errorbar(
        table["mean_predicted"],
        table["observed"],
        yerr=reach,
        fmt="o",
        color=BLUE,
        capsize=3,
        label="groups of clients",
    )
    ax.set(xlim=(0, top), ylim=(0, top))
    ax.xaxis.set_major_formatter(percent([top]))
    ax.yaxis.set_major_formatter(percent([top]))
    name_axes(ax, "predicted probability of default (mean of the group)", "observed default rate")
    ax.legend(fontsize=SMALL, frameon=False, loc="upper left")
    return figure


def cost_curve_plot(curve: pd.DataFrame, chosen: float, theoretical: float, *, synthetic: bool = False) -> Figure:
    """Draw `cost.cost_curve` with the threshold in use, the one of theory, and the two trivial policies."""
    figure, (ax,) = blank(
        "What each threshold costs",
        "Lower is better. Grey: all clients treated alike.",
        4.2,
        synthetic=synthetic,
    )
    cuts = np.append(0.0, np.minimum(curve["threshold"], 1.0))
    right = min(1.0, max(3 * chosen, 3 * theoretical, float(np.quantile(cuts, 0.99))))
    costs = np.append(curve["cost"].iloc[0], curve["cost"])  # each holds down to the next lower cut
    ax.plot(cuts, costs, color=BLUE, linewidth=1.8, drawstyle="steps-pre")
    for threshold, name, colour, style in (
        (chosen, "in use", VERMILION, "-"),
        (theoretical, "theory", INK, "--"),
    ):
        place = min(int(np.searchsorted(curve["threshold"], threshold)), len(curve) - 1)
        text = f"{name}: threshold {threshold:.1%}, cost {curve['cost'].iloc[place]:.3f}"
        ax.axvline(threshold, color=colour, linestyle=style, linewidth=1.6, label=text)
    for row, name, style in ((-1, "approve all", ":"), (0, "refuse all", "-.")):
        cost = float(curve["cost"].iloc[row])
        ax.axhline(cost, color=GREY, linestyle=style, linewidth=1.4, label=f"{name}: cost {cost:.3f}")
    ax.set_xlim(0, right)
    ax.xaxis.set_major_formatter(percent([right]))
    name_axes(ax, "refuse where the probability of default is at least", "cost per applicant")
    figure.legend(fontsize=SMALL, frameon=False, loc="outside lower center", ncols=2)
    return figure


def confusion_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw `decisions.confusion`: clients and cost in each cell of outcome by decision."""
    n, cost = int(table["n"].sum()), float(table["cost"].sum())
    subtitle = f"{n:,} clients; cost {cost:,.0f} in all, {cost / n:.3f} per applicant. Darker cells cost more."
    figure, (ax,) = blank("What became of the decisions", subtitle, 3.2, synthetic=synthetic)
    outcomes, decisions = table["outcome"].unique(), table["decision"].unique()
    grid = table.pivot_table(index="outcome", columns="decision", values=["n", "cost"])
    shares = grid["cost"].loc[outcomes, decisions].to_numpy() / max(cost, 1e-12)
    ax.imshow(shares, cmap="Oranges", vmin=0, vmax=1.6, aspect="auto")
    for i, outcome in enumerate(outcomes):
        for j, decision in enumerate(decisions):
            count, spent = grid["n"].loc[outcome, decision], grid["cost"].loc[outcome, decision]
            ax.text(j, i - 0.13, f"{count:,.0f} clients", fontsize=13, ha="center", va="center", color="black")
            text = f"{count / n:.1%} of all; cost {spent:,.0f}"
            ax.text(j, i + 0.2, text, fontsize=NORMAL, ha="center", va="center", color="black")
    words = {"approve": "approved", "review": "sent to review", "decline": "refused"}
    ax.set_xticks(range(len(decisions)), [words[name] for name in decisions], fontsize=NORMAL)
    ax.set_yticks(range(len(outcomes)), list(outcomes), fontsize=NORMAL)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return figure


def _cost_rows(
    table: pd.DataFrame,
    names: Sequence[str],
    hollow: npt.NDArray[np.bool_],
    headings: tuple[str, str],
    synthetic: bool,
) -> Figure:
    """Draw one row per way to decide: cost with its interval; the first row is the one in question."""
    figure, (ax,) = blank(*headings, 1.35 + 0.36 * len(table), synthetic=synthetic)
    heights = lines(ax, names)
    first = np.arange(len(table)) == 0
    for rows, colour, empty in (
        (first & ~hollow, VERMILION, False),
        (~first & ~hollow, BLUE, False),
        (hollow, GREY, True),
    ):
        if rows.any():
            whiskers(ax, table[rows], "cost", heights[rows], colour=colour, hollow=empty)
    for height, (cost, right) in zip(heights, table[["cost", "cost_high"]].to_numpy(), strict=True):
        write(ax, f"{cost:.3f}", (right, height), (6, 0))
    ax.margins(x=0.12)
    name_axes(ax, "cost per applicant (lower is better)")
    return figure


def leaderboard_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw candidates by cost, the cheapest on top.

    Parameters
    ----------
    table : DataFrame
        name, cost, cost_low, cost_high (95%), and reference: True for models that are never registered.
    """
    ordered = table.sort_values("cost", kind="stable")
    ordered = pd.concat([ordered[~ordered["reference"]], ordered[ordered["reference"]]])
    hollow = ordered["reference"].to_numpy(dtype=bool)
    names = list(ordered["name"] + np.where(hollow, " (reference)", ""))
    headings = ("Candidates on the validation rows", "95% intervals. Hollow: references, never registered.")
    return _cost_rows(ordered.reset_index(drop=True), names, hollow, headings, synthetic)


def policies_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw `cost.policies`: the model against simpler ways to decide."""
    headings = ("The model against simpler policies", "Cost on the same clients, with 95% intervals.")
    return _cost_rows(table, list(table["policy"]), np.zeros(len(table), dtype=bool), headings, synthetic)


def score_plot(table: pd.DataFrame, threshold: float, *, synthetic: bool = False) -> Figure:
    """Draw `metrics.score_table`: where the two outcomes lie on the scale of probabilities."""
    subtitle = "Share of each outcome's clients; the further apart, the better the model tells them."
    figure, (ax,) = blank("Probabilities by outcome", subtitle, 3.8, synthetic=synthetic)
    edges = np.append(table["low"], table["high"].iloc[-1])
    ax.stairs(table["repaid"], edges, fill=True, color=SKY, alpha=0.6, label="repaid")
    ax.stairs(table["defaulted"], edges, color=VERMILION, linewidth=1.8, label="defaulted")
    ax.axvline(threshold, color=INK, linestyle="--", linewidth=1.4, label=f"refused from {threshold:.1%}")
    ax.set_xlim(0, edges[-1])
    ax.xaxis.set_major_formatter(percent([edges[-1]]))
    ax.yaxis.set_major_formatter(percent([table[["repaid", "defaulted"]].to_numpy().max()]))
    name_axes(ax, "probability of default", "share of the outcome's clients")
    ax.legend(fontsize=NORMAL, frameon=False, loc="upper right")
    return figure


def book_plot(table: pd.DataFrame, threshold: float, *, synthetic: bool = False) -> Figure:
    """Draw how a book's probabilities are distributed.

    Parameters
    ----------
    table : DataFrame
        low, high, share: bars from one probability of default to the next, and the share of applicants in each.
    threshold : float
        From where applicants are declined.
    """
    subtitle = "Share of all applicants scored; those right of the line are not approved."
    figure, (ax,) = blank("Probabilities of default in the book", subtitle, 3.6, synthetic=synthetic)
    shown = table[: int(np.flatnonzero(table["share"] > 0).max(initial=0)) + 2]
    ax.stairs(shown["share"], np.append(shown["low"], shown["high"].iloc[-1]), fill=True, color=BLUE)
    ax.axvline(threshold, color=VERMILION, linestyle="--", linewidth=1.4, label=f"threshold {threshold:.1%}")
    ax.set_xlim(0, max(shown["high"].iloc[-1], min(1.0, 1.1 * threshold)))
    ax.xaxis.set_major_formatter(percent([shown["high"].iloc[-1]]))
    ax.yaxis.set_major_formatter(percent(shown["share"]))
    name_axes(ax, "probability of default", "share of applicants")
    ax.legend(fontsize=NORMAL, frameon=False, loc="upper right")
    return figure


def roc_plot(table: pd.DataFrame, auc: str, *, synthetic: bool = False) -> Figure:
    """Draw `metrics.roc_table` with the KS distance.

    Parameters
    ----------
    auc : str
        The area with its interval, in words: `f"{auc_interval(y_true, y_prob):.3f}"`.
    """
    gap = (table["true_positive_rate"] - table["false_positive_rate"]).to_numpy()
    best = table.iloc[int(np.abs(gap).argmax())]
    figure, (ax,) = blank("How well the model ranks", f"Area under the curve (AUC) {auc}.", 4.6, synthetic=synthetic)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="no information")
    ax.plot(table["false_positive_rate"], table["true_positive_rate"], color=BLUE, linewidth=1.8, label="model")
    x, low, high = best["false_positive_rate"], best["false_positive_rate"], best["true_positive_rate"]
    ax.plot(
        [x, x],
        [low, high],
        color=VERMILION,
        linewidth=1.8,
        label=f"largest distance (KS) {abs(high - low):.3f}",
    )
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    name_axes(ax, "good clients refused", "defaults refused")
    ax.legend(fontsize=SMALL, frameon=False, loc="lower right")
    return figure


def importance_plot(table: pd.DataFrame, top: int = 15, *, synthetic: bool = False) -> Figure:
    """Draw the features that move the model's log-odds most.

    Parameters
    ----------
    table : DataFrame
        feature (a human label), importance (mean of |SHAP value|, in log-odds).
    """
    largest = table.nlargest(top, "importance")
    subtitle = f"Mean absolute SHAP value, the {len(largest)} largest of {len(table)} features."
    figure, (ax,) = blank("What the model looks at", subtitle, 1.4 + 0.32 * len(largest), synthetic=synthetic)
    bars = ax.barh(lines(ax, list(largest["feature"])), largest["importance"], color=BLUE, height=0.65)
    ax.bar_label(bars, fmt="%.3f", padding=3, fontsize=SMALL, color=INK)
    ax.margins(x=0.12)
    name_axes(ax, "mean shift of the log-odds of default, up or down")
    return figure


def beeswarm_plot(
    features: Sequence[str],
    shap_values: npt.NDArray[np.float64],
    feature_values: npt.NDArray[np.float64],
    top: int = 12,
    *,
    synthetic: bool = False,
) -> Figure:
    """Draw each client's SHAP values, the features with the largest mean on top.

    Parameters
    ----------
    features : sequence of str, length k
        Human labels.
    shap_values : array of shape (n, k)
        In log-odds. A thousand rows show all there is to see.
    feature_values : array of shape (n, k)
        Numbers that colour the points by their rank in the column; NaN stays grey.
    """
    if not shap_values.shape == feature_values.shape == (len(shap_values), len(features)):
        raise ValueError(
            f"shap_values and feature_values: must have shape (n, {len(features)}), have {shap_values.shape} "
            f"and {feature_values.shape}."
        )
    order = np.argsort(-np.abs(shap_values).mean(axis=0), kind="stable")[:top]
    subtitle = "One point per client; right of 0 raises the risk. Grey: value missing."
    figure, (ax,) = blank("How the features move the risk", subtitle, 1.6 + 0.36 * len(order), synthetic=synthetic)
    for height, column in zip(lines(ax, [features[i] for i in order]), order, strict=True):
        x, colour = shap_values[:, column], pd.Series(feature_values[:, column]).rank(pct=True).to_numpy()
        y = height + 0.33 * _jitter(x)
        known = ~np.isnan(colour)
        points = ax.scatter(x[known], y[known], s=5, c=colour[known], cmap="viridis", vmin=0, vmax=1, linewidths=0)
        ax.scatter(x[~known], y[~known], s=5, color=GREY, linewidths=0)
    ax.axvline(0, color=INK, linewidth=1)
    bar = figure.colorbar(points, ax=ax, ticks=[0, 1], aspect=30, pad=0.02)
    bar.ax.set_yticklabels(["low", "high"], fontsize=SMALL)
    bar.set_label("value of the feature", fontsize=SMALL, color=INK)
    bar.outline.set_visible(False)
    name_axes(ax, "shift of the log-odds of default")
    return figure


def _jitter(x: npt.NDArray[np.float64], bins: int = 60) -> npt.NDArray[np.float64]:
    """Return heights in [-1, 1] that spread crowded points: alternating, by count, within each bin of x."""
    cell = np.digitize(x, np.linspace(x.min(), x.max(), bins))
    rank = pd.Series(x).groupby(cell).cumcount().to_numpy()
    size = np.bincount(cell)
    side = np.where(rank % 2 == 0, 1, -1) * ((rank + 1) // 2)
    return np.asarray(side / max(size.max() / 2, 4))


def halving_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw the rounds of a halving search: fewer settings and more resources in each.

    Parameters
    ----------
    table : DataFrame
        setting (identifies one setting across rounds), round (from 0), resource (such as trees), cost.
    """
    last = table[table["round"] == table["round"].max()]
    winner = last.loc[last["cost"].idxmin()]
    figure, (ax,) = blank(
        "The search, round by round",
        f"{table['setting'].nunique()} settings, {len(last)} left in the last round; lower is better.",
        3.8,
        synthetic=synthetic,
    )
    for setting, rows in table.groupby("setting", sort=False):
        best = setting == winner["setting"]
        (line,) = ax.plot(rows["resource"], rows["cost"], color=GREY, marker="o", markersize=4, linewidth=1.0)
        if best:
            line.set(color=VERMILION, markersize=6, linewidth=2.2, zorder=3)
    chosen = (float(winner["resource"]), float(winner["cost"]))
    write(ax, f"chosen: {chosen[1]:.3f}", chosen, (0, -9), color=VERMILION, ha="right", va="top")
    resources = table.drop_duplicates("round")[["resource", "round"]]
    counts = table.groupby("round")["setting"].nunique()
    ax.set_xscale("log")
    ax.set_xticks(
        resources["resource"].to_numpy(),
        [f"{row.resource:,g} trees\n{counts[row.round]} settings" for row in resources.itertuples()],
    )
    ax.minorticks_off()
    ax.margins(y=0.15)
    name_axes(ax, "", "cost per applicant (cross-validated)")
    return figure


def stopping_plot(table: pd.DataFrame, trees: int, *, synthetic: bool = False) -> Figure:
    """Draw early stopping: the log loss of rows that each fold has not seen, by number of trees.

    Parameters
    ----------
    table : DataFrame
        fold, trees, log_loss.
    trees : int
        The number that was chosen.
    """
    subtitle = "Log loss of unseen rows, one line a fold; lower is better."
    figure, (ax,) = blank("How many trees help", subtitle, 3.6, synthetic=synthetic)
    for _, rows in table.groupby("fold"):
        ax.plot(rows["trees"], rows["log_loss"], color=SKY, linewidth=1.4)
    ax.axvline(trees, color=VERMILION, linestyle="--", linewidth=1.4, label=f"chosen: {trees:,} trees")
    ax.legend(fontsize=NORMAL, frameon=False, loc="upper right")
    name_axes(ax, "trees", "log loss")
    return figure


def group_plot(table: pd.DataFrame, attribute: str, *, synthetic: bool = False) -> Figure:
    """Draw `fairness.group_table`: approvals and both kinds of error by group.

    Parameters
    ----------
    attribute : str
        The protected attribute, in words.
    """
    subtitle = "95% intervals. Hollow: too few clients to judge."
    figure, axes = blank(f"Decisions by {attribute}", subtitle, 1.6 + 0.4 * len(table), synthetic=synthetic, columns=3)
    heights = lines(axes[0], [f"{row.group} ({row.n:,})" for row in table.itertuples()])
    small = table["small"].to_numpy(dtype=bool)
    for ax, (rate, words, colour) in zip(
        axes,
        (
            ("approval_rate", "approved", BLUE),
            ("false_positive_rate", "good clients refused", VERMILION),
            ("false_negative_rate", "defaulters approved", ORANGE),
        ),
        strict=True,
    ):
        for rows in (small, ~small):
            if rows.any():
                whiskers(ax, table[rows], rate, heights[rows], colour=colour, hollow=bool(small[rows].all()))
        for height, value in zip(heights, table[rate], strict=True):
            write(ax, f"{value:.1%}", (value, height), (0, 6), ha="center", va="bottom")
        ax.grid(visible=False, axis="y")
        ax.margins(x=0.15)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        name_axes(ax, words)
    return figure
