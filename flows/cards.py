"""What a card shows: components from tables and figures that `credit` computed; computes nothing itself.

Figures are imported where they are drawn: the cards of most steps have none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
from metaflow.cards import Image, Markdown, ProgressBar, Table

if TYPE_CHECKING:  # a task must not import what it only names
    from credit.features import Feature
    from credit.governance.assessment import Assessment
    from credit.governance.verdict import Verdict
    from credit.portfolio import Portfolio
    from credit.training.choice import Choice
    from credit.training.dataset import Dataset
    from credit.training.search import Fitted
    from credit.training.selection import Selection

__all__ = [
    "candidate",
    "data",
    "evaluation",
    "figures",
    "grid",
    "kpis",
    "leaderboard",
    "picture",
    "progress",
    "scoring",
    "selection",
    "verdict",
]

Figure = Any


def data(card: Any, book: Portfolio, dataset: Dataset) -> None:
    """Show what was read, what the contract found, and how the rows were split."""
    _title(card, f"Data: {book.title.en}", dataset)
    sizes = pd.DataFrame(
        [
            {
                "fold": fold,
                "applicants": f"{size['rows']:,}",
                "defaults": f"{size['defaults']:,}",
                "default rate": f"{size['defaults'] / max(size['rows'], 1):.2%}",
            }
            for fold, size in dataset.sizes.items()
        ]
    )
    card.append(Markdown(f"Read from `{dataset.source}`. Licence: {book.licence}"))
    card.append(grid(sizes))
    card.append(Markdown(f"Data SHA-256 `{dataset.fingerprint[:16]}`, features `{dataset.digest[:16]}`."))
    card.append(Markdown("## What the contract found"))
    findings = pd.DataFrame(dataset.findings)
    if findings.empty:
        card.append(Markdown("Nothing: every row keeps every rule."))
    else:
        shown = findings[["table", "column", "rule", "count", "severity"]]
        card.append(grid(shown.assign(count=[f"{count:,}" for count in shown["count"]])))


def selection(card: Any, chosen: Selection | None, features: tuple[Feature, ...], dataset: Dataset) -> None:
    """Show which features were kept, and why the others were not."""
    card.clear()
    if chosen is None:
        _title(card, "No selection: no candidate reads selected features", dataset)
        return
    _title(card, f"Selection: {len(chosen.kept)} of {len(features)} features", dataset)
    words = {feature.name: feature.label.en for feature in features}
    card.append(Markdown(chosen.method))
    table = chosen.table
    other = table["represented_by"].where(table["represented_by"] != table["feature"], "")
    shown = {
        "feature": [f"{words[name]} ({name})" for name in table["feature"]],
        "kept": table["kept"].map({True: "yes", False: ""}),
        "gain": table["gain"].map("{:,.0f}".format),
        "from shuffled": table["null"].map("{:,.0f}".format),
        "represented by": other,
    }
    card.append(grid(pd.DataFrame(shown)))


def progress(card: Any, title: str) -> Callable[[int, int, str], None]:
    """Put a bar on a running task's card; return what moves it."""
    card.append(Markdown(f"# {title}"))
    bar = ProgressBar(max=100, label="progress")
    card.append(bar)

    def move(done: int, total: int, what: str) -> None:
        bar.update(round(100 * done / max(total, 1)), metadata=f"{done} of {total} {what}")
        card.refresh()

    return move


def candidate(
    card: Any, fitted: Fitted, validation: pd.DataFrame, y_prob: Any, dataset: Dataset, book: Portfolio
) -> None:
    """Show one candidate's search, stopping, calibration and cost by threshold."""
    from credit import plots
    from credit.evaluation.cost import cost_curve

    card.clear()
    _title(card, fitted.candidate.label.en, dataset)
    made_up = dataset.synthetic
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in fitted.calibration_losses.items())
    settings = ", ".join(f"{name} = {value:g}" for name, value in fitted.parameters.items()) or "none"
    folds = ", ".join(f"{auc:.4f}" for auc in fitted.fold_auc)
    card.append(
        Markdown(
            f"- Train rows: {fitted.rows:,}, in {fitted.seconds:.0f} s\n"
            f"- Settings chosen: {settings}\n"
            f"- AUC of each fold's unseen rows: {folds}\n"
            f"- Calibration: **{fitted.calibration.method}** (log loss out of fold: {losses})"
        )
    )
    if not fitted.halving.empty:
        picture(card, plots.halving_plot(_settings(fitted.halving), synthetic=made_up))
        picture(card, plots.stopping_plot(fitted.curve, fitted.parameters["n_estimators"], synthetic=made_up))
    theory = book.costs.threshold
    curve = cost_curve(validation[book.target], y_prob, book.costs)
    card.append(Markdown("## Cost by threshold, on validation"))
    picture(card, plots.cost_curve_plot(curve, theory, theory, synthetic=made_up))
    if not fitted.halving.empty:
        card.append(Markdown("## Rounds of the search"))
        card.append(grid(fitted.halving.round(4)))


def leaderboard(card: Any, choice: Choice, failures: dict[str, str], dataset: Dataset) -> None:
    """Show who won on validation, by how much, and with which threshold."""
    from credit import plots

    _title(card, f"Leaderboard: {choice.winner} wins on validation", dataset)
    board = choice.leaderboard
    picture(card, plots.leaderboard_plot(board.rename(columns={"candidate": "name"}), synthetic=dataset.synthetic))
    card.append(
        grid(
            pd.DataFrame(
                {
                    "candidate": board["candidate"] + board["reference"].map({True: " (reference)", False: ""}),
                    "cost": _ranges(board, "cost"),
                    "AUC": _ranges(board, "auc"),
                    "Brier": board["brier"].map("{:.4f}".format),
                    "cost at 0.5": board["cost_at_half"].map("{:.3f}".format),
                    "threshold": board["threshold"].map("{:.4f}".format) + " " + board["rule"],
                    "winner cheaper": board["probability_cheaper"].map("{:.2f}".format),
                }
            )
        )
    )
    gap = choice.gap
    card.append(
        Markdown(
            "## The threshold\n"
            f"Theory says {gap.theoretical:.4f}. The cheapest on validation: {gap.empirical:.4f} (95%). "
            f"Chosen on other rows, it changes the cost by {gap.comparison.difference:+.4f}. "
            f"In use: **{choice.threshold:.4f}**, the {choice.rule} one."
        )
    )
    for name, failure in failures.items():
        card.append(Markdown(f"**{name} failed:** {failure}"))


def evaluation(card: Any, assessment: Assessment, choice: Choice, dataset: Dataset, pictures: dict[str, bytes]) -> None:
    """Show the one look at the test rows."""
    _title(card, f"Evaluation on test: {choice.winner}", dataset)
    card.append(Markdown("## Headline figures"))
    card.append(grid(kpis(assessment.kpis)))
    card.append(Markdown("## Measures, with 95% intervals"))
    rows = [(name.replace("_", " "), f"{value:.4f}") for name, value in assessment.metrics.items()]
    card.append(grid(pd.DataFrame(rows, columns=["measure", "on test"])))
    for image in pictures.values():
        card.append(Image(image))
    if not assessment.references.empty:
        card.append(Markdown("## Against the references, on the same rows"))
        table = assessment.references
        shown = {name: _ranges(table, name) for name in ("auc", "cost", "saving")}
        card.append(grid(pd.DataFrame({"reference": table["model"], **shown})))


def figures(assessment: Assessment, choice: Choice, dataset: Dataset, book: Portfolio) -> dict[str, bytes]:
    """Draw the evaluation; pictures by file name."""
    from credit import plots

    made_up, at, theory = dataset.synthetic, choice.threshold, book.costs.threshold
    important = assessment.importance.assign(feature=assessment.importance["label"])
    drawn = {
        "policies": plots.policies_plot(assessment.policies, synthetic=made_up),
        "cost_curve": plots.cost_curve_plot(assessment.curve, at, theory, synthetic=made_up),
        "confusion": plots.confusion_plot(assessment.confusion, synthetic=made_up),
        "calibration": plots.calibration_plot(assessment.calibration, synthetic=made_up),
        "scores": plots.score_plot(assessment.scores, at, synthetic=made_up),
        "importance": plots.importance_plot(
            important.rename(columns={"mean_abs": "importance"})[["feature", "importance"]], synthetic=made_up
        ),
        "shap": _swarm(assessment, made_up),
        **{
            f"groups_{name}": plots.group_plot(table, name.replace("_", " "), synthetic=made_up)
            for name, table in assessment.groups.items()
        },
    }
    return {f"{name}.png": plots.to_png(figure) for name, figure in drawn.items()}


def verdict(card: Any, decided: Verdict, version: int | None, dataset: Dataset) -> None:
    """Show what the gate decided, rule by rule."""
    _title(card, "Verdict", dataset)
    card.append(Markdown(f"**{decided.summary}**"))
    if version is not None:
        card.append(Markdown(f"Registered as version {version}."))
    card.append(grid(decided.frame()))


def scoring(card: Any, outcome: dict[str, Any]) -> None:
    """Show how a book came out: probabilities, decisions, classes of risk, rejected rows."""
    from credit import plots

    card.append(Markdown(f"# Scored: {outcome['title']}"))
    if outcome["synthetic"]:
        card.append(Markdown("**Synthetic**: the model or the rows are made up; no figure here is about real people."))
    scored, rejected = outcome["scored"], outcome["rejected"]
    card.append(
        Markdown(
            f"{scored:,} of {outcome['rows']:,} rows of `{outcome['source']}` scored with {outcome['model']} version "
            f"{outcome['version']}, {rejected:,} rejected. Mean probability of default: "
            f"**{outcome['mean_probability']:.2%}**. Event {outcome['event']} of the ledger."
        )
    )
    if scored:
        edges = [at / len(outcome["histogram"]) for at in range(len(outcome["histogram"]) + 1)]
        bars = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "share": outcome["histogram"]})
        bars["share"] /= scored
        picture(card, plots.book_plot(bars, outcome["threshold"], synthetic=outcome["synthetic"]))
    card.append(Markdown("## Decisions"))
    card.append(_shares(outcome["decisions"], "decision", scored))
    card.append(Markdown("## Classes of risk"))
    card.append(_shares(outcome["bands"], "class", scored))
    card.append(Markdown("## Rejected rows"))
    if not rejected:
        card.append(Markdown("None."))
    else:
        card.append(Markdown(f"Every line of them is in `{outcome['rejects_file']}`. A row may break several rules."))
        card.append(_shares(outcome["rules"], "rule", 0))
        names = ["file", "row", "key", "column", "rule", "value", "remedy"]
        card.append(grid(pd.DataFrame(outcome["examples"])[names].astype(object).fillna("")))
    if outcome["unknown_levels"]:
        card.append(Markdown("## Levels that the model does not know\nThe model takes them for missing."))
        card.append(_shares(outcome["unknown_levels"], "feature", scored))


def kpis(table: pd.DataFrame) -> pd.DataFrame:
    """Return the headline figures as text: figure, value with interval, goal, met, note."""
    met = {True: "yes", False: "NO", None: "open"}
    shares = table["figure"].str.contains("saving|imputation")
    values = [
        _percent(row) if share else f"{row.value:+.4f} ({row.low:+.4f} to {row.high:+.4f})"
        for row, share in zip(table.itertuples(), shares, strict=True)
    ]
    return pd.DataFrame(
        {
            "figure": table["figure"],
            "value": values,
            "goal": table["goal"],
            "met": [met[value] for value in table["met"]],
            "note": table["note"],
        }
    )


def _swarm(assessment: Assessment, made_up: bool) -> Figure:
    """Draw the SHAP values of some test rows."""
    from credit import plots

    words = assessment.importance.set_index("feature")["label"]
    rows = assessment.shap_rows.apply(pd.to_numeric, errors="coerce")
    names = [words[name] for name in assessment.shap]
    return plots.beeswarm_plot(names, assessment.shap.to_numpy(), rows.to_numpy(float), synthetic=made_up)


def _shares(counts: dict[str, int], what: str, whole: int) -> Table:
    """Return counts, and shares of a whole if there is one."""
    columns = {what: list(counts), "rows": [f"{count:,}" for count in counts.values()]}
    if whole:
        columns["share"] = [f"{count / whole:.2%}" for count in counts.values()]
    return grid(pd.DataFrame(columns))


def _percent(row: Any) -> str:
    if row.low == row.high:
        return f"{row.value:.1%}"
    return f"{row.value:.1%} ({row.low:.1%} to {row.high:.1%})"


def _title(card: Any, text: str, dataset: Dataset) -> None:
    card.append(Markdown(f"# {text}"))
    if dataset.synthetic:
        card.append(Markdown("**Synthetic data**: these applicants are made up; no figure here is about real people."))


def picture(card: Any, figure: Figure) -> None:
    """Put a figure on a card."""
    from credit import plots

    card.append(Image(plots.to_png(figure)))


def grid(frame: pd.DataFrame) -> Table:
    """Show a table, each cell as text."""
    return Table([[str(value) for value in row] for row in frame.to_numpy(object)], headers=list(frame.columns))


def _ranges(table: pd.DataFrame, name: str) -> list[str]:
    columns = [name, f"{name}_low", f"{name}_high"]
    return [f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in table[columns].to_numpy(float)]


def _settings(halving: pd.DataFrame) -> pd.DataFrame:
    """Name each setting of the search in one text."""
    names = [name for name in halving if name not in ("round", "trees", "cost")]
    setting = halving[names].apply(lambda row: ", ".join(f"{n} {row[n]:g}" for n in names), axis=1)
    return pd.DataFrame(
        {"setting": setting, "round": halving["round"], "resource": halving["trees"], "cost": halving["cost"]}
    )
