"""A trained model with all that its verdict and its registration need, as one folder; knows no registry.

    release.json          portfolio, data, parameters, metrics, tags, the bundle's hash; written last
    bundle/               the model's own files
    truth.parquet         outcome, probability and decision of each test row; groups.parquet: their protected groups
    sample.parquet        feature rows, some values missing: the input example
    predictions.parquet   what the model says about them
    artifacts/            plots and tables of the run
    candidates/NAME/      the same for each candidate

Training writes it into the workspace before it speaks to any server, so that nothing is lost when that fails.
"""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from credit.errors import ModelError
from credit.evaluation.intervals import Interval
from credit.governance.verdict import Verdict

__all__ = ["Candidate", "Data", "Judged", "Release", "digest", "judge", "read", "write"]

FILE = "release.json"
#: A file's content: bytes, text, or the path of a file to copy.
Content = bytes | str | Path


@dataclass(frozen=True)
class Data:
    """The rows that the model was trained on.

    Parameters
    ----------
    source : str
        Where they came from.
    digest : str
        SHA-256 of their content.
    rows : int
        How many.
    test : str
        File of the test rows' features, on which a champion can be scored for comparison.
    """

    source: str
    digest: str
    rows: int
    test: str


@dataclass(frozen=True)
class Candidate:
    """One candidate of the competition, for a nested run.

    Parameters
    ----------
    name : str
        The candidate.
    params : dict
        What it was trained with; flat.
    metrics : dict of str to float
        What it achieved.
    artifacts : dict of str to bytes, str or Path
        Files by name; empty when read back, as they then lie in the release's folder.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    artifacts: Mapping[str, Content] = field(default_factory=dict)


@dataclass(frozen=True)
class Release:
    """A release folder, read.

    Parameters
    ----------
    folder : Path
        Where it lies.
    portfolio : str
        Whose model it is.
    data : Data
        What it was trained on.
    auc_gap : Interval or None
        AUC in cross-validation minus AUC on test.
    params, metrics, tags : dict
        Of the run; flat.
    candidates : tuple of Candidate
        All that competed.
    """

    folder: Path
    portfolio: str
    data: Data
    auc_gap: Interval | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    candidates: tuple[Candidate, ...]

    @property
    def bundle(self) -> Path:
        """The model's files."""
        return self.folder / "bundle"

    @property
    def truth(self) -> pd.DataFrame:
        """``y_true``, ``y_prob`` and ``decision`` of each test row."""
        return pd.read_parquet(self.folder / "truth.parquet")

    @property
    def groups(self) -> pd.DataFrame:
        """Protected groups of the same rows, one column for each attribute."""
        return pd.read_parquet(self.folder / "groups.parquet")

    @property
    def sample(self) -> pd.DataFrame:
        """Feature rows as an input example."""
        return pd.read_parquet(self.folder / "sample.parquet")

    @property
    def predictions(self) -> pd.DataFrame:
        """What the model says about `sample`."""
        return pd.read_parquet(self.folder / "predictions.parquet")


@dataclass(frozen=True)
class Judged:
    """A release and the gate's verdict on it; made by `judge`."""

    release: Release
    verdict: Verdict


def write(
    folder: str | Path,
    *,
    portfolio: str,
    data: Data,
    truth: pd.DataFrame,
    groups: pd.DataFrame,
    auc_gap: Interval | None,
    sample: pd.DataFrame,
    predictions: pd.DataFrame,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    candidates: Sequence[Candidate] = (),
    artifacts: Mapping[str, Content] | None = None,
) -> Release:
    """Complete a folder that holds a bundle to a release; the module's and `Release`'s text name the parts.

    Parameters
    ----------
    folder : str or Path
        Holds ``bundle/``.
    artifacts : dict of str to bytes, str or Path
        Files of the run, by name.

    Returns
    -------
    Release
        As `read` returns it.
    """
    target = Path(folder)
    _fill(target / "artifacts", artifacts or {})
    for candidate in candidates:
        _fill(target / "candidates" / candidate.name, candidate.artifacts)
    for name, frame in {"truth": truth, "groups": groups, "sample": sample, "predictions": predictions}.items():
        frame.to_parquet(target / f"{name}.parquet")
    meta = {
        "portfolio": portfolio,
        "bundle": digest(target / "bundle"),
        "data": asdict(data),
        "auc_gap": auc_gap and auc_gap.to_dict(),
        "params": dict(params),
        "metrics": dict(metrics),
        "tags": _commit() | dict(tags),
        "candidates": [{"name": c.name, "params": dict(c.params), "metrics": dict(c.metrics)} for c in candidates],
    }
    (target / FILE).write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8")
    return read(target)


def read(folder: str | Path) -> Release:
    """Read a release folder.

    Raises
    ------
    ModelError
        If it is none, or its bundle is not the one that was kept.
    """
    source = Path(folder)
    try:
        meta = json.loads((source / FILE).read_text(encoding="utf-8"))
        release = Release(
            source,
            meta["portfolio"],
            Data(**meta["data"]),
            meta["auc_gap"] and Interval(**meta["auc_gap"]),
            meta["params"],
            meta["metrics"],
            meta["tags"],
            tuple(Candidate(**candidate) for candidate in meta["candidates"]),
        )
        kept = meta["bundle"]
    except OSError as error:
        raise ModelError(f"{source}: {error.strerror}: no release; give a folder that training kept.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{source / FILE}: not a release ({error!r}); train again.") from error
    if digest(release.bundle) != kept:
        raise ModelError(f"{release.bundle}: not the files that training kept; restore them or train again.")
    return release


def judge(release: Release, verdict: Verdict) -> Judged:
    """Join a release with the verdict on it; ModelError if that is about another bundle."""
    if verdict.challenger != digest(release.bundle):
        raise ModelError(f"{release.bundle}: not the files that the gate judged; run `credit register` again.")
    return Judged(release, verdict)


def digest(folder: Path) -> str:
    """Return the SHA-256 over a folder's files, each as "its own SHA-256, its relative path", in order."""
    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in _files(folder)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def _fill(folder: Path, contents: Mapping[str, Content]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw.read_bytes() if isinstance(raw, Path) else raw)


def _commit() -> dict[str, str]:
    """Return the commit of this source tree, marked where files differ; nothing outside a repository."""
    command = ["git", "describe", "--always", "--dirty=+modified", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git here, or no repository
        return {}
    return {"git_commit": done.stdout.strip()}
