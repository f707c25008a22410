"""The object that is registered: features in, probability of default and decision out; knows no search.

A scorer is a folder of two readable files: ``model.txt``, LightGBM's own text format, and
``scorer.json``, everything around it (features, fill values, levels, calibration, threshold, costs).
Loading parses text and never unpickles.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from credit.errors import ModelError
from credit.evaluation.cost import decide
from credit.portfolio import Costs
from credit.scoring.encoding import Encoder, Features, Floats, Input
from credit.training.calibration import Calibration

__all__ = ["Input", "Scorer"]

FORMAT = 1
MODEL, META = "model.txt", "scorer.json"
#: Rows that are encoded at once, so that memory stays bounded.
CHUNK = 65_536


@dataclass(frozen=True)
class Scorer:
    """A calibrated model with its threshold.

    Parameters
    ----------
    inputs : tuple of Input
        In the model's column order.
    model : str
        LightGBM's text format.
    calibration : Calibration
        Raw score to probability of default.
    threshold : float
        Applicants at or above this probability are declined.
    costs : Costs
        The cost matrix behind the threshold.
    about : dict
        Portfolio, candidate, seed and the like; JSON values only.
    """

    inputs: tuple[Input, ...]
    model: str = field(repr=False)
    calibration: Calibration
    threshold: float
    costs: Costs
    about: dict[str, Any]

    @cached_property
    def booster(self) -> lgb.Booster:
        """The parsed model."""
        try:
            booster = lgb.Booster(model_str=self.model)
        except lgb.basic.LightGBMError as error:
            raise ModelError(f"{MODEL}: not a LightGBM model ({error}); restore the bundle or train again.") from error
        given, read = len(self.inputs) + sum(item.indicator for item in self.inputs), booster.num_feature()
        if given != read:
            raise ModelError(f"{META}: {given} columns, but {MODEL} reads {read}; restore the bundle or train again.")
        return booster

    @property
    def contract(self) -> dict[str, str]:
        """Feature names with what each meant at training time."""
        return {item.name: item.digest for item in self.inputs}

    @cached_property
    def encoder(self) -> Encoder:
        """What turns features into the model's columns."""
        return Encoder(self.inputs)

    def matrix(self, rows: Features) -> Floats:
        """Encode features as the model reads them.

        Parameters
        ----------
        rows : DataFrame, n rows, or sequence of n mappings or n sequences
            At least the scorer's features, in any order; a sequence holds them in the order of `inputs`.

        Returns
        -------
        ndarray, shape (n, inputs + indicators)
            Category codes, numbers, then missing indicators.

        Raises
        ------
        DataError
            If a feature is not there, or holds what is no number.
        """
        return self.encoder.frame(rows) if isinstance(rows, pd.DataFrame) else self.encoder.rows(rows)

    def raw(self, rows: Features, *, threads: int = 1) -> Floats:
        """Score rows in log-odds, before calibration; shape (n,).  The result does not depend on the threads."""
        parts = [self._raw(rows[at : at + CHUNK], threads) for at in range(0, max(len(rows), 1), CHUNK)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _raw(self, rows: Features, threads: int) -> Floats:
        if not len(rows):
            return np.empty(0)
        return np.asarray(self.booster.predict(self.matrix(rows), raw_score=True, num_threads=threads))

    def predict(self, rows: Features, *, threads: int = 1) -> Floats:
        """Estimate each row's calibrated probability of default; shape (n,)."""
        return self.calibration.apply(self.raw(rows, threads=threads))

    def decide(self, frame: pd.DataFrame, *, threads: int = 1) -> pd.DataFrame:
        """Score rows and decide.

        Parameters
        ----------
        frame : DataFrame, n rows
            At least the scorer's features.
        threads : int
            For LightGBM.

        Returns
        -------
        DataFrame, n rows
            ``probability_of_default`` and ``decision`` ("approve", "review" or "decline"), indexed
            as `frame`.
        """
        probability = self.predict(frame, threads=threads)
        decision = decide(probability, self.costs, self.threshold)
        return pd.DataFrame({"probability_of_default": probability, "decision": decision}, index=frame.index)

    def with_threshold(self, threshold: float) -> "Scorer":
        """Return the same model under another threshold."""
        return replace(self, threshold=threshold)

    def save(self, folder: str | Path) -> Path:
        """Write the two files into `folder`, made where it is missing."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        meta = {
            "format": FORMAT,
            "inputs": [asdict(item) for item in self.inputs],
            "calibration": self.calibration.to_dict(),
            "threshold": self.threshold,
            "costs": asdict(self.costs),
            "about": self.about,
            "model_sha256": hashlib.sha256(self.model.encode()).hexdigest(),
        }
        (target / MODEL).write_bytes(self.model.encode())
        (target / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return target

    @classmethod
    def load(cls, folder: str | Path) -> "Scorer":
        """Read a saved scorer.

        Parameters
        ----------
        folder : str or Path
            Where `save` wrote.

        Returns
        -------
        Scorer
            The same as was saved, bit for bit in what it predicts.

        Raises
        ------
        ModelError
            If a file is missing or is not what this version writes.
        """
        source = Path(folder)
        try:
            meta = json.loads((source / META).read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise ModelError(f"{source / META}: format {meta['format']}, this version reads {FORMAT}; train again.")
            model = (source / MODEL).read_bytes()
            if hashlib.sha256(model).hexdigest() != meta["model_sha256"]:  # LightGBM aborts on a damaged text
                raise ModelError(f"{source / MODEL}: not the model that {META} tells of; restore both, or train again.")
            return cls(
                tuple(Input(**_tuples(item)) for item in meta["inputs"]),
                model.decode(),
                Calibration(**_tuples(meta["calibration"])),
                float(meta["threshold"]),
                Costs(**meta["costs"]),
                meta["about"],
            )
        except OSError as error:
            raise ModelError(f"{source}: {error.strerror}: a scorer is {MODEL} and {META}; restore both.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{source / META}: not a scorer ({error!r}); restore the bundle or train again."
            ) from error


def _tuples(items: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in items.items()}


class PythonModel:
    """What MLflow serves: the same scorer behind its generic interface."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score features; `params` is MLflow's and has no meaning here."""
        del params
        return self.scorer.decide(model_input)


def _load_pyfunc(path: str) -> PythonModel:
    """Load for MLflow; the name is its `loader_module` protocol."""
    return PythonModel(Scorer.load(path))
