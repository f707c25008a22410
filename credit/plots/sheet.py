"""What all figures share: size, colours, headings, whiskers, the mark of synthetic data; draws no figure."""

from collections.abc import Sequence
from io import BytesIO
from textwrap import fill

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "NORMAL",
    "ORANGE",
    "SKY",
    "SMALL",
    "VERMILION",
    "blank",
    "lines",
    "name_axes",
    "percent",
    "to_png",
    "whiskers",
    "write",
]

BLUE, SKY, VERMILION, ORANGE = "#0072B2", "#56B4E9", "#D55E00", "#E69F00"
GREY, INK = "#8C8C8C", "#333333"
SMALL, NORMAL = 8.5, 9.5
HEADER = 0.62  # inches kept above the axes for title, subtitle and mark


def blank(title: str, subtitle: str, height: float, *, synthetic: bool, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure of `height` inches with its headings, and `columns` bare axes that share their rows."""
    layout = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 0.99 - HEADER / height))
    figure = Figure(figsize=(7.0, height), dpi=100, layout=layout, facecolor="white")
    figure.text(0.02, 1 - 0.08 / height, title, fontsize=12, fontweight="bold", color=INK, va="top")
    figure.text(0.02, 1 - 0.33 / height, subtitle, fontsize=NORMAL, color=INK, va="top")
    if synthetic:
        mark = figure.text(0.98, 1 - 0.11 / height, "SYNTHETIC DATA", ha="right", va="top", color=VERMILION)
        mark.set(fontsize=SMALL, fontweight="bold")
        mark.set_bbox({"facecolor": "white", "edgecolor": VERMILION, "boxstyle": "round,pad=0.3"})
    axes = list(figure.subplots(1, columns, sharey=columns > 1, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=SMALL, colors=INK)
        ax.grid(color="#E6E6E6", linewidth=0.8)
        ax.set_axisbelow(True)
    return figure, axes


def name_axes(ax: Axes, x: str = "", y: str = "") -> None:
    """Say what the axes show."""
    ax.set_xlabel(x, fontsize=NORMAL, color=INK)
    ax.set_ylabel(y, fontsize=NORMAL, color=INK)


def write(ax: Axes, text: str, at: tuple[float, float], shift: tuple[float, float], **style: str) -> None:
    """Write `text` beside the point `at`, shifted by so many typographic points."""
    style = {"color": INK, "va": "center"} | style
    ax.annotate(text, at, xytext=shift, textcoords="offset points", fontsize=SMALL, **style)  # type: ignore[arg-type]


def percent(values: pd.Series | Sequence[float]) -> PercentFormatter:
    """Return a percent format with a decimal only where the range is too narrow for whole ones."""
    return PercentFormatter(1.0, decimals=1 if float(np.nanmax(values)) < 0.05 else 0)


def whiskers(ax: Axes, table: pd.DataFrame, name: str, heights: npt.ArrayLike, *, colour: str, hollow: bool) -> None:
    """Draw NAME with NAME_low and NAME_high as horizontal whiskers."""
    reach = np.abs(table[[f"{name}_low", f"{name}_high"]].to_numpy().T - table[name].to_numpy())
    face = "white" if hollow else colour
    ax.errorbar(
        table[name],
        heights,
        xerr=reach,
        fmt="o",
        color=colour,
        mfc=face,
        markersize=6,
        capsize=3,
        linewidth=1.5,
    )


def lines(ax: Axes, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Name the rows of a horizontal chart from top to bottom and return their heights."""
    heights = np.arange(len(names))[::-1]
    ax.set_yticks(heights, [fill(name, 38) for name in names], fontsize=NORMAL)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.grid(visible=False, axis="y")
    return heights


def to_png(figure: Figure) -> bytes:
    """Return the figure as a PNG image, 700 pixels wide."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
