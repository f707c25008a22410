"""Tables about a model in use, drawn as figures; computes no statistic and knows no model."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from credit.plots.sheet import BLUE, GREY, INK, SKY, SMALL, VERMILION, blank, lines, name_axes

__all__ = ["drift_cost_plot", "months_plot", "shift_plot"]


def shift_plot(table: pd.DataFrame, limits: Sequence[float], *, shown: int = 15, synthetic: bool = False) -> Figure:
    """Draw the most shifted features.

    Parameters
    ----------
    table : DataFrame
        ``feature``, ``psi`` and ``floor``, one row a feature.
    limits : (float, float)
        Where it warns and where it alerts.
    shown : int
        How many features, those with the largest index.
    """
    largest = table.nlargest(shown, "psi")
    subtitle = "Population stability index against the rows the model was trained and validated on."
    figure, (ax,) = blank("What has shifted", subtitle, 1.6 + 0.3 * len(largest), synthetic=synthetic)
    heights = lines(ax, [str(name) for name in largest["feature"]])
    beyond = (largest["psi"] > limits[0]) & (largest["psi"] > largest["floor"])
    ax.barh(heights, largest["psi"], height=0.6, color=np.where(beyond, VERMILION, SKY))
    ax.plot(largest["floor"], heights, "|", color=INK, markersize=11, label="what chance alone reaches")
    for limit, word, style in zip(limits, ("warns", "alerts"), (":", "--"), strict=True):
        ax.axvline(limit, color=GREY, linestyle=style, linewidth=1.4, label=f"{word} from {limit:g}")
    ax.set_xlim(0, 1.1 * max(float(largest["psi"].max()), limits[1]))
    name_axes(ax, "population stability index")
    figure.legend(fontsize=SMALL, frameon=False, loc="outside lower center", ncols=3)
    return figure


def drift_cost_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw ``cost`` with ``low`` and ``high`` of each shifted ``feature``: what its shift adds per applicant."""
    subtitle = "Expected cost per applicant now, less what it would be had this feature alone not shifted."
    figure, (ax,) = blank("What each shift costs", subtitle, 1.5 + 0.34 * len(table), synthetic=synthetic)
    heights = lines(ax, [str(name) for name in table["feature"]])
    reach = np.abs(table[["low", "high"]].to_numpy(float).T - table["cost"].to_numpy(float))
    ax.barh(heights, table["cost"], height=0.6, color=np.where(table["cost"] > 0, VERMILION, SKY))
    ax.errorbar(table["cost"], heights, xerr=reach, fmt="none", color=INK, capsize=3, linewidth=1.2)
    ax.axvline(0, color=INK, linewidth=1)
    name_axes(ax, "cost per applicant")
    return figure


def months_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw the estimate against what came of it: ``period``, ``expected`` with ``low`` and ``high``, ``realised``."""
    subtitle = "Per applicant with an outcome; the band is where 95% of realised costs should lie."
    figure, (ax,) = blank("Estimated and realised cost", subtitle, 3.6, synthetic=synthetic)
    at = np.arange(len(table))
    columns = {name: table[name].to_numpy(float) for name in ("expected", "low", "high", "realised")}
    ax.fill_between(at, columns["low"], columns["high"], color=SKY, alpha=0.35, linewidth=0)
    ax.plot(at, columns["expected"], color=BLUE, marker="o", markersize=4, label="estimated without outcomes")
    ax.plot(at, columns["realised"], color=VERMILION, marker="D", markersize=4, linestyle="--", label="realised")
    ax.set_xticks(at, [str(name) for name in table["period"]], rotation=30, ha="right")
    ax.set_ylim(bottom=0)
    name_axes(ax, "", "cost per applicant")
    ax.legend(fontsize=SMALL, frameon=False)
    return figure
