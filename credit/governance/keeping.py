"""What a training run leaves for registration, in the workspace, before any server is spoken to; fits nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from credit.console import step
from credit.evaluation.intervals import Interval
from credit.features import definitions
from credit.governance import release
from credit.governance.assessment import Assessment
from credit.governance.release import Candidate, Data
from credit.home import Home
from credit.portfolio import Portfolio
from credit.scoring.baseline import Baseline
from credit.scoring.decider import BOOK
from credit.scoring.reference import Reference
from credit.scoring.scorer import Scorer
from credit.training.choice import Choice
from credit.training.dataset import Dataset
from credit.training.search import Fitted

__all__ = ["keep"]

SAMPLE = 100


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
    tags: Mapping[str, str] | None = None,
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
    tags : mapping of str to str, optional
        What else the version is to be tagged with.

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
        defined = definitions(book, dataset.tables)
        Reference.make(scorer, defined, dataset.load("validation"), dataset.synthetic).save(bundle)
        Baseline.make(scorer, book, dataset).save(bundle)
        decided = scorer.decide(test)
        truth = pd.DataFrame({"y_true": test[book.target], "y_prob": decided["probability_of_default"]})
        truth["decision"] = decided["decision"]
        names = list(scorer.contract)
        release.write(
            folder,
            portfolio=book.name,
            data=Data(dataset.source, dataset.fingerprint, dataset.rows, dataset.folds["test"]),
            truth=truth,
            groups=dataset.groups(test[book.key], book.groups),
            auc_gap=assessment.auc_gap,
            sample=test[names].head(SAMPLE),
            predictions=decided.head(SAMPLE),
            params=_params(scorer, choice, book),
            metrics=_metrics(assessment, choice),
            tags={"metaflow_run": run, "synthetic": str(dataset.synthetic).lower(), **(tags or {})},
            candidates=[_candidate(name, each, choice) for name, each in fitted.items()],
            artifacts={**_tables(assessment, choice), **(figures or {})},
        )
        keeping.note = str(folder)
    return folder


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
