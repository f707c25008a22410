"""What the loop of monitoring and retraining saves, month by month, as a figure; computes no statistic."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from credit.plots.sheet import BLUE, GREY, INK, SMALL, VERMILION, blank, name_axes, write

__all__ = ["loop_plot"]


def loop_plot(table: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw the cost per applicant with and without the loop.

    Parameters
    ----------
    table : DataFrame, one row a month
        ``month``, ``drift``, ``status``, ``version`` that decided; ``cost_with`` and ``cost_without``, each with
        ``_low`` and ``_high``; ``cost_known``, had the true risks been known.
    """
    subtitle = "Of all who applied, the declined too; bars are 95% intervals. Lower is better."
    figure, (ax,) = blank("Cost per applicant, month by month", subtitle, 4.4, synthetic=synthetic)
    at = np.arange(len(table))
    for name, words, colour, style, shift in (
        ("cost_without", "the first model for ever", VERMILION, "--", 0.06),
        ("cost_with", "watched and trained anew", BLUE, "-", -0.06),
    ):
        middle = table[name].to_numpy(float)
        reach = np.abs(table[[f"{name}_low", f"{name}_high"]].to_numpy(float).T - middle)
        ax.errorbar(
            at + shift,
            middle,
            yerr=reach,
            color=colour,
            linestyle=style,
            marker="o",
            markersize=5,
            capsize=3,
            label=words,
        )
    ax.plot(at, table["cost_known"], color=GREY, linestyle=":", linewidth=1.4, label="had the true risks been known")
    ax.set_ylim(bottom=0, top=1.22 * float(table[["cost_with_high", "cost_without_high"]].max(axis=None)))
    _happenings(ax, table)
    ax.set_xticks(at, [f"{row.month}\n{row.status}" for row in table.itertuples()], fontsize=SMALL)
    name_axes(ax, "", "cost per applicant")
    figure.legend(fontsize=SMALL, frameon=False, loc="outside lower center", ncols=3)
    return figure


def _happenings(ax: Axes, table: pd.DataFrame) -> None:
    """Shade the months of drift, and mark those in which another version begins to decide."""
    top = ax.get_ylim()[1]
    drift = np.flatnonzero(table["drift"].to_numpy(bool))
    if drift.size:
        ax.axvspan(drift[0] - 0.5, drift[-1] + 0.5, color=GREY, alpha=0.12, linewidth=0)
        write(ax, "drift", (drift[0] - 0.5, top), (4, -8), color=INK)
    versions = table["version"].to_numpy()
    for place in np.flatnonzero(versions[1:] != versions[:-1]) + 1:
        ax.axvline(place - 0.5, color=BLUE, linewidth=1.2)
        write(ax, f"version {versions[place]}", (place - 0.5, top), (4, -20), color=BLUE)
