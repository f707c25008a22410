"""The model in use with the tables and figures of its training, for people to look at; decides nothing."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from credit.errors import CreditError
from credit.governance.registry import Registry, Version
from credit.scoring.decider import Decider

__all__ = ["Model", "gather"]


@dataclass(frozen=True)
class Model:
    """The champion.

    Parameters
    ----------
    version : Version
        Its number, verdict, aliases and tags.
    decider : Decider
        Its threshold, reference and portfolio.
    tables : dict of str to DataFrame
        By name: ``calibration``, ``importance``, ``policies``, ``kpis``, ``leaderboard``, ``groups_NAME``.
    figures : dict of str to Path
        By name: pictures of the same.
    note : str
        Why there are no tables and figures; empty where there are.
    """

    version: Version
    decider: Decider
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
    note: str = ""


def gather(registry: Registry, version: Version, decider: Decider) -> Model:
    """Bring the tables and figures of a version's training together; where that fails, say why."""
    try:
        folder = registry.evidence(version)
    except CreditError as error:
        return Model(version, decider, note=str(error))
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    figures = {path.stem: path for path in sorted(folder.glob("*.png"))}
    return Model(version, decider, tables, figures)
