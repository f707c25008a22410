"""Runs, versions and files at MLflow: its only importer, and of none of its loaders; has no rules."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Dataset, DatasetInput, Metric, Param
from mlflow.exceptions import MlflowException
from pandas.api.types import is_numeric_dtype

from credit.errors import ModelError, ServiceError
from credit.governance.ledger import actor
from credit.governance.release import Candidate, Judged, Release
from credit.governance.verdict import Verdict
from credit.governance.version import CHAMPION, STALE, Version, tags, verdict_tags
from credit.home import LOCK_SECONDS, Home, reach, shown

__all__ = ["MlflowException", "Tracking"]

LOADER = "credit.scoring.scorer"
#: What serving the model elsewhere needs beside `credit` itself.
REQUIREMENTS = ("lightgbm", "numpy", "pandas", "scikit-learn")
#: MLflow's client is patient for minutes; ours is not, unless the environment says so.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
ABSENT, EXISTS = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
#: What a server answers that is ill, and one that does not let us in; and what to do.
FAILED = {
    "INTERNAL_ERROR": "try again later",
    "TEMPORARILY_UNAVAILABLE": "try again later",
    "UNAUTHENTICATED": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    "PERMISSION_DENIED": "use an account with the rights to it",
}
DESCRIPTION = 5000  # characters that MLflow's column holds


class Tracking:
    """One registered model at one MLflow store; nothing is contacted before the first call.

    Parameters
    ----------
    model : str
        Name of the registered model and of its experiment.
    home : Home
        Says where the store is.
    """

    def __init__(self, model: str, home: Home) -> None:
        self.model, self.home = model, home

    @contextmanager
    def answering(self, remedy: str = "") -> Iterator[None]:
        """Turn a store that fails or does not answer into a ServiceError that ends in `remedy`."""
        try:
            yield
        except ServiceError as error:
            raise ServiceError(f"{error}{remedy}") from error
        except MlflowException as error:
            if error.error_code not in FAILED:
                raise
            told = f"{shown(self.home.tracking_uri)}: MLflow failed ({str(error)[:300]})"
            raise ServiceError(f"{told}; {FAILED[error.error_code]}.{remedy}") from error

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, in order."""
        return self._search(f"name='{self.model}'")

    def find(self, tag: str, value: str) -> int | None:
        """Return the first version that carries a tag of this value."""
        return min(self._search(f"name='{self.model}' and tag.{tag}='{value}'"), default=None)

    def version(self, number: int) -> Version:
        """Return a version; ModelError if there is none of this number."""
        try:
            found = self._client.get_model_version(self.model, str(number))
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
            known = ", ".join(map(str, self.numbers())) or "none"
            raise ModelError(f"{self.model} version {number}: no such version (known: {known}).") from error
        created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC).isoformat(timespec="seconds")
        aliases = tuple(sorted(found.aliases))
        return Version(self.model, number, created, found.run_id or "", aliases, dict(found.tags))

    def champion(self) -> Version | None:
        """Return the version that the alias points at, if it does."""
        if self._untouched:
            return None
        try:
            aliases = self._client.get_registered_model(self.model).aliases
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
            return None
        return self.version(int(aliases[CHAMPION])) if CHAMPION in aliases else None

    def point(self, alias: str, number: int) -> None:
        """Move an alias, in one atomic call."""
        self._client.set_registered_model_alias(self.model, alias, str(number))

    def tag(self, number: int, key: str, value: str) -> None:
        """Add a tag to a version."""
        self._client.set_model_version_tag(self.model, str(number), key, value)

    def download(self, version: Version, folder: str) -> Path:
        """Copy a version's bundle into `folder` without opening it; ModelError if it cannot be read."""
        uri = self._client.get_model_version_download_uri(self.model, str(version.number))
        source = f"{uri}/data/bundle"
        try:
            return Path(download_artifacts(source, dst_path=folder, tracking_uri=self.home.tracking_uri))
        except (MlflowException, OSError) as error:
            reach(self.home.tracking_uri, "the MLflow server")
            raise ModelError(
                f"{version}: its files cannot be read from {uri} ({error}); restore them, or roll back."
            ) from error

    def evidence(self, version: Version, folder: str) -> Path:
        """Copy the tables and figures of a version's run into `folder`; ModelError if they cannot be read."""
        try:
            found = Path(self._client.download_artifacts(version.run_id, "", folder))
        except (MlflowException, OSError) as error:
            reach(self.home.tracking_uri, "the MLflow server")
            raise ModelError(
                f"{version}: the tables and figures of its run {version.run_id} cannot be read ({error}); restore them."
            ) from error
        if not any(found.iterdir()):
            raise ModelError(f"{version}: its run {version.run_id} has lost its tables and figures; restore them.")
        return found

    def rejudge(self, number: int, verdict: Verdict) -> None:
        """Put a new verdict in the place of a version's old one; a kill half-way leaves one that promotes nobody."""
        self.tag(number, "promote", "no")
        self._client.delete_model_version_tag(self.model, str(number), STALE)
        self._client.update_model_version(self.model, str(number), _description(verdict))
        for key, value in verdict_tags(verdict).items():
            self.tag(number, key, value)

    def register(self, judged: Judged) -> int:
        """Log a release's run and candidates, then create its version with all tags in one call."""
        release, verdict = judged.release, judged.verdict
        experiment = self._experiment()
        run = self._run(experiment, verdict.challenger[:12], release, _run_tags(judged))
        self._log_files(run, release.folder / "artifacts")
        self._client.log_dict(run, verdict.to_dict(), "verdict.json")
        for candidate in release.candidates:
            child = self._run(experiment, candidate.name, candidate, {"mlflow.parentRunId": run})
            self._log_files(child, release.folder / "candidates" / candidate.name)
            self._client.set_terminated(child, "FINISHED")
        location, model_id = self._log_model(experiment, run, release)
        self._client.set_terminated(run, "FINISHED")
        self._create("registered_model", self.model)
        made = self._client.create_model_version(
            self.model,
            source=location,
            run_id=run,
            tags=tags(judged),
            description=_description(verdict),
            model_id=model_id,
        )
        return int(made.version)

    @cached_property
    def _client(self) -> MlflowClient:
        uri = self.home.tracking_uri
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        reach(uri, "the MLflow server")
        client = MlflowClient(uri, registry_uri=uri)
        if uri.startswith("sqlite:///"):  # the first touch makes the tables, which two must not do at once
            path = Path(uri.removeprefix("sqlite:///"))
            path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(f"{path}.lock", LOCK_SECONDS):
                client.search_experiments(max_results=1)
        return client

    @property
    def _untouched(self) -> bool:
        """Whether the store is a SQLite file yet to be made, which takes seconds, and to be read it need not be."""
        uri = self.home.tracking_uri
        return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()

    def _search(self, query: str) -> list[int]:
        if self._untouched:
            return []
        return sorted(int(version.version) for version in self._client.search_model_versions(query))

    def _create(self, what: str, name: str, **options: Any) -> None:
        """Create an experiment or a registered model, unless it is there."""
        try:
            getattr(self._client, f"create_{what}")(name, **options)
        except MlflowException as error:
            if error.error_code != EXISTS:
                raise

    def _experiment(self) -> str:
        server = self.home.tracking_uri.startswith("http")  # which then decides where files go
        folder = None if server else (self.home.artifacts / self.model).as_uri()
        self._create("experiment", self.model, artifact_location=folder)
        return str(self._client.get_experiment_by_name(self.model).experiment_id)

    def _run(self, experiment: str, name: str, of: Release | Candidate, labels: dict[str, str]) -> str:
        run = str(self._client.create_run(experiment, run_name=name, tags=labels).info.run_id)
        now = int(time.time() * 1000)
        metrics = [Metric(key, float(value), now, 0) for key, value in of.metrics.items()]
        self._client.log_batch(run, metrics, [Param(key, str(value)) for key, value in of.params.items()])
        return run

    def _log_files(self, run: str, folder: Path) -> None:
        if folder.is_dir() and any(folder.iterdir()):
            self._client.log_artifacts(run, str(folder))

    def _log_model(self, experiment: str, run: str, release: Release) -> tuple[str, str]:
        """Log the bundle as an MLflow model of our own loader; return its location and id."""
        import mlflow.pyfunc  # noqa: PLC0415 (slow, and who only loads a bundle does not need it)
        from mlflow.models import infer_signature  # noqa: PLC0415

        sample = _plain(release.sample)
        signature = infer_signature(sample, _plain(release.predictions))
        self._client.log_inputs(run, [DatasetInput(_dataset(release, signature.inputs))])
        made = self._client.create_logged_model(experiment, name=self.model, source_run_id=run)
        with tempfile.TemporaryDirectory() as folder:
            mlflow.pyfunc.save_model(
                path := Path(folder) / "model",
                loader_module=LOADER,
                data_path=str(release.bundle),
                signature=signature,
                input_example=sample,
                pip_requirements=[f"{name}=={installed(name)}" for name in REQUIREMENTS],
            )
            self._client.log_model_artifacts(made.model_id, str(path))
        self._client.finalize_logged_model(made.model_id, "READY")
        return str(made.artifact_location), str(made.model_id)


def _run_tags(judged: Judged) -> dict[str, str]:
    """Return a release's tags, and those by which MLflow's own pages show who ran which commit."""
    own = tags(judged)
    commit = {"mlflow.source.git.commit": own["git_commit"]} if "git_commit" in own else {}
    return own | commit | {"mlflow.user": actor()}


def _description(verdict: Verdict) -> str:
    text = verdict.markdown()
    return text if len(text) <= DESCRIPTION else verdict.summary


def _dataset(release: Release, schema: Any) -> Dataset:
    return Dataset(
        name=release.portfolio,
        digest=release.data.digest[:36],  # all that MLflow holds; the tag has it in full
        source_type="credit",
        source=json.dumps({"uri": release.data.source}),
        schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
        profile=json.dumps({"num_rows": release.data.rows}),
    )


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return numbers as float64, which may be missing in what is scored later, and all else as objects."""
    kinds = {name: float if is_numeric_dtype(kind) else object for name, kind in frame.dtypes.items()}
    return frame.astype(kinds)
