"""One score taken apart, and what refusing finds: tables drawn as figures; computes no statistic and knows no model."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from credit.plots.sheet import (
    BLUE,
    GREY,
    SKY,
    SMALL,
    VERMILION,
    blank,
    lines,
    name_axes,
    write,
)

__all__ = ["precision_recall_plot", "waterfall_plot"]


def precision_recall_plot(
    table: pd.DataFrame, average_precision: str, rate: float, chosen: tuple[float, float], *, synthetic: bool = False
) -> Figure:
    """Draw how many of the refused would have defaulted, against how many of the defaults are refused.

    Parameters
    ----------
    table : DataFrame
        recall (share of defaults refused) and precision (share of the refused who default), by rising recall.
    average_precision : str
        The average precision with its interval, in words.
    rate : float
        The default rate: the precision of refusing at random.
    chosen : (float, float)
        Recall and precision at the threshold in use.
    """
    subtitle = f"Average precision {average_precision}."
    figure, (ax,) = blank("How many of those refused would have defaulted", subtitle, 4.2, synthetic=synthetic)
    ax.plot(table["recall"], table["precision"], color=BLUE, linewidth=1.8, drawstyle="steps-pre", label="model")
    ax.axhline(rate, color=GREY, linestyle="--", linewidth=1.2, label=f"refusing at random {rate:.1%}")
    recall, precision = chosen
    text = f"in use: {precision:.1%} of the refused, {recall:.1%} of the defaults"
    ax.plot(recall, precision, "o", color=VERMILION, markersize=8, label=text)
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    name_axes(ax, "defaults refused (recall)", "of the refused, would default (precision)")
    ax.legend(fontsize=SMALL, frameon=False, loc="upper right")
    return figure


def waterfall_plot(
    table: pd.DataFrame,
    base: tuple[float, float],
    score: tuple[float, float],
    top: int = 9,
    *,
    synthetic: bool = False,
) -> Figure:
    """Draw one applicant's SHAP values as steps from the average score to the applicant's.

    Parameters
    ----------
    table : DataFrame
        name (in words) and effect (log-odds), the strongest first; together they lead from base to score.
    base, score : (float, float)
        Where the steps begin and where they end: log-odds, and the probability of default that they stand for.
    top : int
        Steps drawn alone; what is weaker is one step more.
    """
    rest = table[top:]
    shown = table[:top][["name", "effect"]]
    if len(rest):
        told = pd.DataFrame({"name": [f"{len(rest)} weaker ones together"], "effect": [rest["effect"].sum()]})
        shown = pd.concat([shown, told], ignore_index=True)
    subtitle = f"From the average, {base[1]:.1%}, to this applicant, {score[1]:.1%}; steps in log-odds."
    figure, (ax,) = blank("How one score comes about", subtitle, 1.7 + 0.34 * len(shown), synthetic=synthetic)
    heights = lines(ax, list(shown["name"]))
    effects = shown["effect"].to_numpy(float)
    ends = base[0] + np.cumsum(effects)
    ax.barh(heights, effects, left=ends - effects, height=0.6, color=np.where(effects > 0, VERMILION, SKY))
    for height, end, effect in zip(heights, ends, effects, strict=True):
        side = {"ha": "left"} if effect > 0 else {"ha": "right"}
        write(ax, f"{effect:+.2f}", (end, height), (4 if effect > 0 else -4, 0), **side)
    for (value, _), style, word in ((base, ":", "average"), (score, "-", "this applicant")):
        ax.axvline(value, color=GREY, linestyle=style, linewidth=1.2, zorder=0.5, label=f"{word}: {value:+.2f}")
    ax.use_sticky_edges = False  # else the axis would end where the first bar begins
    ax.margins(x=0.15)
    name_axes(ax, "log-odds of default before calibration: right is riskier")
    figure.legend(fontsize=SMALL, frameon=False, loc="outside lower center", ncols=2)
    return figure
