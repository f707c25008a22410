"""What a model was trained and validated on, kept with it for monitoring to compare with; compares nothing.

It lies beside the model: ``baseline.json``, bins and counts of all rows; ``baseline.parquet``, a seeded sample of rows;
``baseline_clients.parquet``, one salted hash a client.  Such a hash is a pseudonym, not anonymous: whoever has the
bundle can tell whether a client they can name is among its rows.  The files say nothing else about a named client.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from credit.data.cells import text
from credit.errors import ConfigError, DataError, ModelError
from credit.evaluation.checks import Booleans
from credit.evaluation.stability import Bins, Codes
from credit.portfolio import Portfolio
from credit.scoring.scorer import Scorer
from credit.training.dataset import Dataset

__all__ = ["FOLD", "OUTCOME", "SCORE", "Baseline"]

FORMAT = 1
META, SAMPLE, CLIENTS = "baseline.json", "baseline.parquet", "baseline_clients.parquet"
SCORE, FOLD, OUTCOME = "probability_of_default", "fold", "outcome"
#: Most rows of the sample, and most of them from validation.
ROWS, VALIDATION = 20_000, 10_000


@dataclass(frozen=True, eq=False)
class Baseline:
    """The population that a model knows.

    Parameters
    ----------
    synthetic : bool
        Whether it is made up; whatever is shown from it must say so.
    inputs : tuple of str
        The model's features.
    parts : tuple of str
        The portfolio's protected groups and segments.
    bins : dict of str to Bins
        Of every input and part, and of the score, `SCORE`.
    counts : dict of str to tuple of int
        By bin, of all train and validation rows; of the score, of the validation rows alone, as the model was fitted
        on the others.
    sample : DataFrame, at most 20,000 rows
        In key order, without the key: inputs, parts, `SCORE` (NaN of train rows), `FOLD`, `OUTCOME` (1 = default). All
        validation rows up to 10,000, then train rows.
    salt : str
        Of the hashes.
    clients : ndarray of uint64
        The hashes of train and validation clients, ascending.
    """

    synthetic: bool
    inputs: tuple[str, ...]
    parts: tuple[str, ...]
    bins: dict[str, Bins]
    counts: dict[str, tuple[int, ...]]
    sample: pd.DataFrame = field(repr=False)
    salt: str
    clients: npt.NDArray[np.uint64] = field(repr=False)

    @classmethod
    def make(cls, scorer: Scorer, portfolio: Portfolio, dataset: Dataset) -> "Baseline":
        """Sum up the rows that a model was trained and validated on.

        Raises
        ------
        ConfigError
            If a group or segment has the name of a feature.
        """
        inputs = tuple(scorer.contract)
        parts = tuple(group.name for group in (*portfolio.groups, *portfolio.segments))
        _apart(portfolio, inputs, parts)
        train, validation = (_rows(scorer, portfolio, dataset, fold) for fold in ("train", "validation"))
        bins, counts = {}, {}
        for name in (*inputs, *parts, SCORE):
            whole = validation[name] if name == SCORE else pd.concat([train[name], validation[name]])
            bins[name] = Bins.fit(whole)
            counts[name] = tuple(map(int, bins[name].counts(whole)))
        sample = _sample(train, validation, portfolio.training.seed).sort_values(portfolio.key, ignore_index=True)
        salt = hashlib.sha256(f"{portfolio.name} {dataset.fingerprint}".encode()).hexdigest()[:16]
        keys = pd.concat([train[portfolio.key], validation[portfolio.key]])
        clients = np.unique(_hashed(salt, keys))
        return cls(dataset.synthetic, inputs, parts, bins, counts, sample.drop(columns=portfolio.key), salt, clients)

    @property
    def validation(self) -> pd.DataFrame:
        """The validation rows of the sample: those that the model was not fitted on."""
        return self.sample[self.sample[FOLD] == "validation"].reset_index(drop=True)

    def codes(self, name: str, values: npt.ArrayLike) -> Codes:
        """Return the bin of each value of one input or part, or of the score.

        Raises
        ------
        DataError
            If numbers are expected, and a value is none.
        """
        try:
            return self.bins[name].codes(values)
        except DataError as error:
            raise DataError(f"column {name}: {error}") from error

    def trained_on(self, keys: Collection[Any]) -> Booleans:
        """Tell which clients are among the train and validation rows, shape (n,); ``7``, ``7.0``, ``"7"`` are one."""
        return np.isin(_hashed(self.salt, keys), self.clients)

    def save(self, folder: str | Path) -> Path:
        """Write the three files into a bundle; the same baseline gives the same bytes."""
        target = Path(folder)
        meta = {
            "format": FORMAT,
            "synthetic": self.synthetic,
            "inputs": list(self.inputs),
            "parts": list(self.parts),
            "salt": self.salt,
            "bins": {name: made.to_dict() for name, made in self.bins.items()},
            "counts": {name: list(counts) for name, counts in self.counts.items()},
        }
        self.sample.to_parquet(target / SAMPLE, index=False, compression="zstd")
        pd.DataFrame({"client": self.clients}).to_parquet(target / CLIENTS, index=False, compression="zstd")
        (target / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return target / META

    @classmethod
    def load(cls, folder: str | Path) -> "Baseline":
        """Read it back.

        Raises
        ------
        ModelError
            If it is missing, or not what `save` writes.
        """
        source = Path(folder)
        try:
            meta = json.loads((source / META).read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise ModelError(f"{source / META}: format {meta['format']}, this version reads {FORMAT}; train again.")
            made = _read(meta, pd.read_parquet(source / SAMPLE), pd.read_parquet(source / CLIENTS))
        except FileNotFoundError as error:
            raise ModelError(
                f"{error.filename or source}: this version was registered without what monitoring needs; train again."
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise ModelError(f"{source}: its baseline cannot be read ({error}); restore the bundle.") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{source / META}: not a baseline ({error!r}); restore the bundle, or train again."
            ) from error
        return made


def _apart(portfolio: Portfolio, inputs: Collection[str], parts: Iterable[str]) -> None:
    for name in parts:
        if name in inputs or name in (SCORE, FOLD, OUTCOME):
            raise ConfigError(
                f"portfolio '{portfolio.name}': group or segment {name!r} has the name of a feature or a result; "
                "choose another name, and train again."
            )
    if taken := [name for name in (SCORE, FOLD, OUTCOME) if name in inputs]:
        raise ConfigError(f"portfolio '{portfolio.name}': no feature may be called {taken[0]!r}; rename its column.")


def _rows(scorer: Scorer, portfolio: Portfolio, dataset: Dataset, fold: str) -> pd.DataFrame:
    """Return one fold: key, inputs as they are compared, parts, and what is known of the outcome."""
    frame = dataset.load(fold)
    kinds = {item.name: np.float64 if item.levels is None else "str" for item in scorer.inputs}
    rows = frame[[portfolio.key, *kinds]].astype(kinds)
    parts = dataset.groups(frame[portfolio.key], [*portfolio.groups, *portfolio.segments]).astype("str")
    known = pd.DataFrame(
        {
            SCORE: scorer.predict(frame) if fold == "validation" else np.nan,
            FOLD: pd.Series(fold, index=frame.index, dtype="str"),
            OUTCOME: frame[portfolio.target].astype(np.int8),
        },
        index=frame.index,
    )
    return pd.concat([rows, parts.set_index(frame.index), known], axis=1)


def _sample(train: pd.DataFrame, validation: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    kept = validation.iloc[np.sort(rng.permutation(len(validation))[:VALIDATION])]
    return pd.concat([kept, train.iloc[np.sort(rng.permutation(len(train))[: ROWS - len(kept)])]])


def _hashed(salt: str, keys: Iterable[Any]) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of SHA-256("salt:key") of each key; a whole number is one, whatever its type."""
    whole = (int(key) if isinstance(key, float | np.floating) and float(key).is_integer() else key for key in keys)
    digests = (hashlib.sha256(f"{salt}:{text(key)}".encode()).digest() for key in whole)
    return np.fromiter((int.from_bytes(digest[:8], "big") for digest in digests), np.uint64)


def _read(meta: Mapping[str, Any], sample: pd.DataFrame, clients: pd.DataFrame) -> Baseline:
    """Put the files' content together, and see that it fits."""
    inputs, parts = tuple(map(str, meta["inputs"])), tuple(map(str, meta["parts"]))
    names = (*inputs, *parts, SCORE)
    bins = {name: Bins.from_dict(meta["bins"][name]) for name in names}
    counts = {name: tuple(map(int, meta["counts"][name])) for name in names}
    if wrong := [name for name in names if len(counts[name]) != bins[name].size]:
        raise ValueError(f"{wrong[0]}: counts do not fit the bins")
    kinds = {name: np.float64 if bins[name].levels is None else "str" for name in names}
    ordered = sample[[*names, FOLD, OUTCOME]].astype(kinds)
    return Baseline(
        bool(meta["synthetic"]), inputs, parts, bins, counts, ordered, str(meta["salt"]), clients["client"].to_numpy()
    )
