"""From a trained model to a registered version: keep, compare with the champion, gate, publish; fits nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from credit import features, portfolio
from credit.console import log, step
from credit.errors import DataError, ModelError
from credit.evaluation.metrics import Interval
from credit.governance import gate, release
from credit.governance.assessment import Assessment
from credit.governance.registry import Registry, Version
from credit.governance.release import Candidate, Data, Release
from credit.governance.verdict import Verdict
from credit.home import Home
from credit.portfolio import Portfolio
from credit.scoring.scorer import Scorer
from credit.training.choice import Choice
from credit.training.dataset import Dataset
from credit.training.search import Fitted

__all__ = ["Submission", "keep", "newest", "open_bundle", "submit"]

BOOK = "portfolio.toml"
SAMPLE = 100


@dataclass(frozen=True)
class Submission:
    """What became of a release."""

    verdict: Verdict
    version: Version


def keep(
    scorer: Scorer,
    fitted: Mapping[str, Fitted],
    choice: Choice,
    assessment: Assessment,
    dataset: Dataset,
    book: Portfolio,
    home: Home,
    run: str,
    figures: Mapping[str, bytes] | None = None,
) -> Path:
    """Write everything that registration needs into the workspace, before any server is spoken to.

    Parameters
    ----------
    scorer : Scorer
        The winner.
    fitted, choice, assessment, dataset, book
        The run that led to it.
    home : Home
        Where state lives.
    run : str
        Which run of which flow; names the folder.
    figures : mapping of str to bytes, optional
        Pictures by file name, to be registered with the model.

    Returns
    -------
    Path
        The release's folder, for `submit`.
    """
    folder = home.workspace / "releases" / run.replace("/", "-")
    with step("Keeping the trained model") as keeping:
        test = dataset.load("test")
        bundle = scorer.save(folder / "bundle")
        (bundle / BOOK).write_text(book.text, encoding="utf-8")
        decided = scorer.decide(test)
        truth = pd.DataFrame({"y_true": test[book.target], "y_prob": decided["probability_of_default"]})
        truth["decision"] = decided["decision"]
        names = list(scorer.contract)
        release.write(
            folder,
            portfolio=book.name,
            data=Data(dataset.source, dataset.fingerprint, dataset.rows, dataset.folds["test"]),
            truth=truth,
            groups=dataset.groups(test[book.key], book.key),
            auc_gap=assessment.auc_gap,
            sample=test[names].head(SAMPLE),
            predictions=decided.head(SAMPLE),
            params=_params(scorer, choice, book),
            metrics=_metrics(assessment, choice),
            tags={"metaflow_run": run, "synthetic": str(dataset.synthetic).lower()},
            candidates=[_candidate(name, each, choice) for name, each in fitted.items()],
            artifacts={**_tables(assessment, choice), **(figures or {})},
        )
        keeping.note = str(folder)
    return folder


def submit(folder: Path, home: Home, *, accept_new_contract: bool = False) -> Submission:
    """Gate a kept release against the champion of this moment, and register it either way.

    Parameters
    ----------
    folder : Path
        From `keep`.
    home : Home
        Where state lives.
    accept_new_contract : bool
        Promote although the champion cannot be scored on the release's test rows.

    Returns
    -------
    Submission
        The verdict, and the version as it stands.

    Raises
    ------
    ServiceError
        If MLflow does not answer; the release stays where it is.
    """
    kept = release.read(folder)
    book, registry = portfolio.load(kept.bundle / BOOK), Registry(kept.portfolio, home)
    with step("Gate: challenger against champion", len(kept.truth)) as gating:
        with registry.keeping(folder):
            champion = registry.champion()
            incumbent = _incumbent(registry, champion, kept) if champion else None
        verdict = gate.decide(
            _evidence(kept, book), incumbent, book.limits, book.costs, accept_new_contract=accept_new_contract
        )
        gating.note = verdict.outcome
    with step("Registering in MLflow") as registering:
        version = registry.publish(release.judge(kept, verdict))
        registering.note = f"version {version.number}"
    return Submission(verdict, version)


def open_bundle(folder: Path) -> tuple[Scorer, Portfolio]:
    """Load a bundle that the registry has checked: the scorer, and the portfolio it was trained under."""
    return Scorer.load(folder), portfolio.load(folder / BOOK)


def newest(home: Home) -> Path:
    """Return the release that was kept last.

    Raises
    ------
    DataError
        If none is kept.
    """
    kept = sorted((home.workspace / "releases").glob("*/release.json"), key=lambda path: path.stat().st_mtime)
    if not kept:
        raise DataError(f"{home.workspace / 'releases'}: no release is kept; run `python flows/training.py run`.")
    return kept[-1].parent


def _evidence(kept: Release, book: Portfolio) -> gate.Evidence:
    scorer = Scorer.load(kept.bundle)
    truth = kept.truth
    return gate.Evidence(
        "the challenger",
        release.digest(kept.bundle),
        scorer.contract,
        truth["y_true"].to_numpy(),
        truth["y_prob"].to_numpy(),
        truth["decision"].to_numpy(),
        kept.auc_gap,
        kept.groups,
        [group.name for group in book.groups if not group.judged],
    )


def _incumbent(registry: Registry, champion: Version, kept: Release) -> gate.Incumbent:
    """Score the champion on the challenger's test rows with its own features, if they still exist."""
    scorer, book = open_bundle(registry.load(champion))
    name, decisions = f"version {champion.number}", None
    try:
        features.select(book, scorer.contract)
        decisions = scorer.decide(features.load(kept.data.test))["decision"].to_numpy()
    except (DataError, ModelError) as error:
        log.info("  %s cannot be scored on these rows: %s", name, error)
    return gate.Incumbent(name, champion.digest, scorer.contract, decisions)


def _params(scorer: Scorer, choice: Choice, book: Portfolio) -> dict[str, Any]:
    return {
        "candidate": choice.winner,
        "threshold": choice.threshold,
        "threshold_rule": choice.rule,
        "calibration": scorer.calibration.method,
        "features": len(scorer.inputs),
        "seed": book.training.seed,
        "cost_false_negative": book.costs.false_negative,
        "cost_false_positive": book.costs.false_positive,
        **{f"model_{name}": value for name, value in scorer.about["parameters"].items()},
    }


def _metrics(assessment: Assessment, choice: Choice) -> dict[str, float]:
    values = {f"test_{name}": value for name, value in assessment.metrics.items()}
    values["auc_gap"] = assessment.auc_gap
    flat: dict[str, float] = {}
    for name, value in values.items():
        flat |= _ends(name, value)
    board = choice.leaderboard.set_index("candidate").loc[choice.winner]
    return flat | {"validation_cost": float(board["cost"]), "validation_auc": float(board["auc"])}


def _ends(name: str, value: Interval) -> dict[str, float]:
    return {name: value.estimate, f"{name}_low": value.low, f"{name}_high": value.high}


def _candidate(name: str, fitted: Fitted, choice: Choice) -> Candidate:
    board = choice.leaderboard.set_index("candidate").loc[name]
    measured = ("cost", "cost_low", "cost_high", "auc", "auc_low", "auc_high", "brier", "log_loss", "threshold")
    metrics = {f"validation_{key}": float(board[key]) for key in measured}
    metrics |= {"seconds": fitted.seconds, "cv_auc": sum(fitted.fold_auc) / len(fitted.fold_auc)}
    params = {"kind": fitted.candidate.kind, "calibration": fitted.calibration.method, **fitted.parameters}
    tables = {} if fitted.halving.empty else {"halving.csv": fitted.halving.to_csv(index=False)}
    return Candidate(name, params, metrics, tables)


def _tables(assessment: Assessment, choice: Choice) -> dict[str, str]:
    tables = {
        "leaderboard": choice.leaderboard,
        "policies": assessment.policies,
        "calibration": assessment.calibration,
        "importance": assessment.importance,
        "kpis": assessment.kpis,
        **{f"groups_{name}": table for name, table in assessment.groups.items()},
    }
    return {f"{name}.csv": table.to_csv(index=False) for name, table in tables.items()}
