"""Tables drawn as figures; computes no statistic and knows no model.

Figures are `matplotlib.figure.Figure` objects without pyplot, so that nothing global is touched. They are 700
pixels wide, in the colours of Okabe & Ito, which colour-blind readers can tell apart. With `synthetic=True` a
figure says so itself, and keeps saying so when it is copied out of its page.

    sheet.py        what all share
    models.py       a model, its candidates, its decisions
    explained.py    one score taken apart, and what refusing finds
    monitoring.py   a model in use
    simulation.py   a made-up year of it
"""

from credit.plots.explained import precision_recall_plot, waterfall_plot
from credit.plots.models import (
    beeswarm_plot,
    book_plot,
    calibration_plot,
    confusion_plot,
    cost_curve_plot,
    group_plot,
    halving_plot,
    importance_plot,
    leaderboard_plot,
    policies_plot,
    roc_plot,
    score_plot,
    stopping_plot,
)
from credit.plots.monitoring import drift_cost_plot, months_plot, shift_plot
from credit.plots.sheet import to_png
from credit.plots.simulation import loop_plot

__all__ = [
    "beeswarm_plot",
    "book_plot",
    "calibration_plot",
    "confusion_plot",
    "cost_curve_plot",
    "drift_cost_plot",
    "group_plot",
    "halving_plot",
    "importance_plot",
    "leaderboard_plot",
    "loop_plot",
    "months_plot",
    "policies_plot",
    "precision_recall_plot",
    "roc_plot",
    "score_plot",
    "shift_plot",
    "stopping_plot",
    "to_png",
    "waterfall_plot",
]
