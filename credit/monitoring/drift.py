"""Evidently's report of a window beside the rows the model was validated on; the only importer of Evidently.

Drift is told as effect sizes (Wasserstein distance of a number in standard deviations of the baseline, Jensen-Shannon
distance of a category, population stability index of the score), never as p-values: of many rows, each difference is
significant.  Evidently leaves missing numbers out of its distances; our own index, which the status goes by, does not.
"""

import html
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning

from credit.errors import DataError, ServiceError
from credit.governance.plain import plain
from credit.home import LOCK_SECONDS
from credit.monitoring.sides import Sides, compare, sampled
from credit.monitoring.window import Window
from credit.portfolio import Portfolio
from credit.scoring.baseline import OUTCOME, SCORE, Baseline

with warnings.catch_warnings():  # what Evidently 0.7 imports says of its own use of NumPy and Litestar
    warnings.simplefilter("ignore", DeprecationWarning)
    from evidently import BinaryClassification, DataDefinition, Dataset, Report
    from evidently.core.report import Snapshot
    from evidently.metrics import LogLoss, RocAuc
    from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel
    from evidently.ui.workspace import Project, Workspace
__all__ = ["LIMITS", "METHODS", "NAMES", "report"]

#: Kind of column to Evidently's method, and from where its distance is called drift; the score's is the portfolio's.
METHODS = {"number": "wasserstein", "category": "jensenshannon", "score": "psi"}
LIMITS = {"number": 0.1, "category": 0.1}
#: Files in the run's folder.
NAMES = {"report": "report.html", "json": "report.json"}
#: What the report says of itself.
ABOUT = """Drift is told as a distance: Wasserstein in standard deviations for numbers, Jensen-Shannon for categories,
where a missing value is a level, and the population stability index for the score. The status of the run does not go by
these, but by our own index, which counts missing numbers too, beside what chance alone reaches."""
#: Columns that are tried first, to see what one of them takes.
TRIED = 2
NOTE = "border:2px solid #7a4d00;background:#fdf2dc;color:#5c3a00;border-radius:6px;padding:.5rem .8rem;"
HEAD = "font:15px/1.5 system-ui,sans-serif;color:#1b2733;max-width:76rem;margin:1.2rem auto;padding:0 1rem;"


def report(
    baseline: Baseline,
    window: Window,
    names: Sequence[str],
    portfolio: Portfolio,
    folder: Path,
    *,
    workspace: Path | None = None,
    rows: int = 10_000,
    seed: int = 0,
    budget: float = 60.0,
) -> dict[str, Any]:
    """Write Evidently's report: drift of columns and score, a summary of the data, and quality once outcomes are known.

    Parameters
    ----------
    baseline : Baseline
        The report compares with its validation rows, which the model was not fitted on.
    window : Window
        The applicants to look at.
    names : sequence of str
        The model's inputs to report on, the most important first.
    portfolio : Portfolio
        Names columns in words, and says from where a drift of the score counts.
    folder : Path
        Takes `NAMES`; made where it is missing.
    workspace : Path, optional
        Evidently's own folder, where the run joins the portfolio's project, for ``evidently ui --workspace``.
    rows : int
        Most rows of each side; more are sampled with `seed`.
    budget : float
        Seconds that the report should take at most.  What a column takes is measured first; those that do not fit are
        left out, the least important first, but never all.

    Returns
    -------
    dict
        ``report`` and ``json`` (files), ``columns`` reported on, ``rows`` of each side, ``matured`` rows with an
        outcome, ``drifted`` columns by Evidently's measure, ``methods``, ``left_out`` (what to why), ``seconds``; with
        a workspace also ``workspace`` and ``project``.

    Raises
    ------
    DataError
        If no column and no score can be compared.
    """
    began = time.perf_counter()
    sides = compare(baseline, window, names, portfolio, rows=rows, seed=seed)
    if not sides.kinds:
        told = "; ".join(f"{name}: {why}" for name, why in sides.left_out.items())
        raise DataError(f"{window.source}: no column can be compared ({told}); take another window.")
    with _quiet():
        _afford(sides, portfolio, budget, began)
        run = _drift(sides, list(sides.kinds), portfolio, _when(window))
        quality = _quality(baseline, window, sides, rows, seed)
        told = _joined(run, quality) if quality else run
        page = told.get_html_str(as_iframe=False)
        figures = plain(told.dict())
    synthetic = window.synthetic or baseline.synthetic
    done = {
        "report": str(_write(folder / NAMES["report"], _headed(page, sides, window, portfolio, synthetic))),
        "json": str(_write(folder / NAMES["json"], json.dumps(figures, ensure_ascii=False, allow_nan=False))),
        "columns": sides.of("number", "category"),
        "rows": {"baseline": len(sides.before), "window": len(sides.now)},
        "matured": window.matured,
        "drifted": _drifted(figures, sides),
        "methods": METHODS,
        "left_out": sides.left_out,
    }
    if workspace:
        with _quiet():
            done |= _kept(told, workspace, portfolio)
    return done | {"seconds": round(time.perf_counter() - began, 2)}


# ---- Evidently ---------------------------------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what Evidently 0.7 says of its own use of NumPy and pandas, and keep it from telling anybody."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
        yield


def _drift(sides: Sides, names: Sequence[str], portfolio: Portfolio, when: datetime) -> Snapshot:
    """Compare the two sides in some columns."""
    columns = [sides.words[name] for name in names]
    score = [sides.words[name] for name in sides.of("score")]
    drift = DataDriftPreset(
        columns=columns,
        drift_share=1 / len(columns),  # so that one column is enough to say that there is drift
        num_method=METHODS["number"],
        num_threshold=LIMITS["number"],
        cat_method=METHODS["category"],
        cat_threshold=LIMITS["category"],
        per_column_method=dict.fromkeys(score, METHODS["score"]),
        per_column_threshold=dict.fromkeys(score, portfolio.monitoring.score_psi[0]),
    )
    before, now = (_rows(sides, frame) for frame in (sides.before, sides.now))
    return Report([drift, DataSummaryPreset(columns=columns)]).run(now, before, timestamp=when)


def _rows(sides: Sides, frame: pd.DataFrame) -> Dataset:
    """Hand the columns that can be compared to Evidently, under the names that people know."""
    kinds = DataDefinition(
        numerical_columns=[sides.words[name] for name in sides.of("number", "score")],
        categorical_columns=[sides.words[name] for name in sides.of("category")],
    )
    return Dataset.from_pandas(frame[list(sides.kinds)].rename(columns=sides.words), data_definition=kinds)


def _outcomes(frame: pd.DataFrame) -> Dataset:
    """Hand scores and outcomes to Evidently."""
    task = BinaryClassification(target=OUTCOME, prediction_probas=SCORE, prediction_labels=None, pos_label=1)
    kinds = DataDefinition(numerical_columns=[SCORE], categorical_columns=[OUTCOME], classification=[task])
    return Dataset.from_pandas(frame, data_definition=kinds)


def _afford(sides: Sides, portfolio: Portfolio, budget: float, began: float) -> None:
    """Leave out the columns that the time does not allow for, after having tried what one takes."""
    names = sides.of("number", "category")
    if len(names) <= TRIED:
        return
    start = time.perf_counter()
    _drift(sides, names[:TRIED], portfolio, datetime.now(UTC))
    each = (time.perf_counter() - start) / TRIED
    most = max(int((budget - (time.perf_counter() - began)) / each), 1)
    for name in names[most:]:
        del sides.kinds[name]
        sides.left_out[name] = f"beyond the {budget:g} s that the report may take"


def _quality(baseline: Baseline, window: Window, sides: Sides, rows: int, seed: int) -> Snapshot | None:
    """Let Evidently judge the model where outcomes are known; where that is not possible, say why."""
    scored = window.scored.rename(columns={"probability": SCORE, "outcome": OUTCOME})
    judged = {"baseline": baseline.validation[[SCORE, OUTCOME]], "window": scored[[SCORE, OUTCOME]]}
    known = {side: sampled(frame.dropna(), rows, seed).astype({OUTCOME: int}) for side, frame in judged.items()}
    for side, frame in known.items():
        if frame[OUTCOME].nunique() < 2:
            found = f"{len(frame):,} known outcomes, all the same" if len(frame) else "no outcome is known yet"
            sides.left_out["classification quality"] = f"{found} in the {side}"
            return None
    threshold = float(window.scored["threshold"].mode().iloc[0])
    metrics: list[Any] = [ClassificationPreset(probas_threshold=threshold)]
    if any((frame[SCORE] >= threshold).nunique() < 2 for frame in known.values()):  # approved clients alone
        metrics = [RocAuc(), LogLoss(pr_table=True)]
        sides.left_out["precision, recall and what else needs both decisions"] = (
            f"all clients with a known outcome are on one side of the threshold of {threshold:.3f}"
        )
    before, now = (_outcomes(known[side]) for side in ("baseline", "window"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # of what is computed on the way, and not shown
        return Report(metrics).run(now, before)


def _joined(run: Snapshot, quality: Snapshot) -> Snapshot:
    """Put the judgement of the model, made on other rows, behind the rest, as one run."""
    whole, more = run.to_snapshot_model(), quality.to_snapshot_model()
    whole.widgets += more.widgets
    whole.tests_widgets += more.tests_widgets
    whole.metric_results.update(more.metric_results)
    whole.top_level_metrics += more.top_level_metrics
    return type(run).load_model(whole)


def _drifted(figures: dict[str, Any], sides: Sides) -> list[str]:
    """List the columns whose distance reaches its limit."""
    names = {words: name for name, words in sides.words.items()}
    drifts = [each["config"] | {"value": each["value"]} for each in figures["metrics"] if "column" in each["config"]]
    found = {
        names[each["column"]]
        for each in drifts
        if each["type"].endswith(":ValueDrift") and each["value"] >= each["threshold"]
    }
    return [name for name in sides.kinds if name in found]


def _kept(run: Snapshot, workspace: Path, portfolio: Portfolio) -> dict[str, str]:
    """Add the run to the portfolio's project, which is made at its first run."""
    workspace.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(workspace / ".lock", LOCK_SECONDS)
    try:
        with lock:
            held = Workspace(str(workspace))
            found = [each for each in held.list_projects() if each.name == portfolio.name]
            project = found[0] if found else _project(held, portfolio)
            held.add_run(project.id, run)
    except filelock.Timeout as error:
        raise ServiceError(
            f"{lock.lock_file}: another process has been writing to Evidently's workspace for {LOCK_SECONDS:g} s; "
            "wait for it or end it."
        ) from error
    return {"workspace": str(workspace), "project": str(project.id)}


def _project(workspace: Workspace, portfolio: Portfolio) -> Project:
    """Make the portfolio's project, with a dashboard over its runs."""
    project = workspace.create_project(portfolio.name, portfolio.title.en)
    share = PanelMetric(legend="columns", metric="DriftedColumnsCount", metric_labels={"value_type": "count"})
    rows = PanelMetric(legend="rows", metric="RowCount")
    project.dashboard.add_panel(line_plot_panel("Columns that drifted, as a share", [share]))
    project.dashboard.add_panel(line_plot_panel("Rows that were compared", [rows]))
    return project


# ---- Files -------------------------------------------------------------------------------------------------------


def _when(window: Window) -> datetime:
    """Date the run by its window, so that history is in the order of the windows."""
    moment = datetime.fromisoformat(window.end) if window.end else datetime.now(UTC)
    return moment.astimezone(UTC).replace(tzinfo=None)


def _headed(page: str, sides: Sides, window: Window, portfolio: Portfolio, synthetic: bool) -> str:
    """Say above Evidently's report what is compared with what, and what is not there."""
    when = f", {window.start[:10]} to {window.end[:10]}" if window.start and window.end else ""
    left = "".join(
        f"<li>{html.escape(sides.words.get(name, name))}: {html.escape(why)}</li>"
        for name, why in sides.left_out.items()
    )
    head = [
        f"<h1>{html.escape(portfolio.title.en)}: drift of a window</h1>",
        f"<p>Current: {len(sides.now):,} of {len(window):,} applicants from {html.escape(window.source)}{when}.</p>",
        f"<p>Reference: {len(sides.before):,} rows that the model was validated on.</p>",
        f"<p>{ABOUT}</p>",
        f"<p>Left out:</p><ul>{left}</ul>" if left else "",
    ]
    if synthetic:
        head.insert(1, f'<p style="{NOTE}"><strong>Synthetic data:</strong> the applicants are made up.</p>')
    title = f"<title>Drift: {html.escape(portfolio.title.en)}</title>"
    before, mark, after = page.partition("<body>")
    if not mark:
        raise ValueError("Evidently's report has no <body> to put a heading into; see credit.monitoring.drift.")
    shown = f'<header style="{HEAD}">{"".join(head)}</header>'
    return before.replace("<head>", f"<head>{title}", 1) + mark + shown + after


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
