"""The end of a training run: a plain dict for machines, a page of text for people; computes nothing."""

from typing import Any

__all__ = ["gather", "show"]

RULE = "-" * 78


def gather(flow: Any, kpis: Any) -> dict[str, Any]:
    """Collect the run's outcome as plain values; what `TrainingFlow` keeps as `summary`.

    `kpis` are the headline figures as text, beside the numbers themselves.
    """
    board = flow.choice.leaderboard
    return {
        "portfolio": flow.book.name,
        "synthetic": flow.dataset.synthetic,
        "source": flow.dataset.source,
        "data_digest": flow.dataset.fingerprint,
        "rows": {fold: dict(size) for fold, size in flow.dataset.sizes.items()},
        "candidates": [
            {
                "name": row["candidate"],
                "reference": bool(row["reference"]),
                "features": len(flow.fitted[row["candidate"]].features),
                "cost": _interval(row, "cost"),
                "auc": _interval(row, "auc"),
                "threshold": float(row["threshold"]),
                "calibration": flow.fitted[row["candidate"]].calibration.method,
                "seconds": round(flow.fitted[row["candidate"]].seconds, 1),
            }
            for row in board.to_dict("records")
        ],
        "failed": dict(flow.failures),
        "winner": flow.choice.winner,
        "threshold": {
            "value": flow.choice.threshold,
            "rule": flow.choice.rule,
            "theory": flow.book.costs.threshold,
        },
        "test": {name: value.to_dict() for name, value in flow.assessment.metrics.items()}
        | {
            "auc_gap": flow.assessment.auc_gap.to_dict(),
            "policies": flow.assessment.policies.to_dict("records"),
            "confusion": flow.assessment.confusion.to_dict("records"),
            "references": flow.assessment.references.to_dict("records"),
        },
        "kpis": [
            {**numbers, "text": text["value"], "met": text["met"]}
            for numbers, text in zip(flow.assessment.kpis.to_dict("records"), kpis.to_dict("records"), strict=True)
        ],
        "verdict": flow.verdict.to_dict(),
        "version": flow.version,
        "release": str(flow.release),
        "monitoring": flow.monitoring,
    }


def show(summary: dict[str, Any], run: str) -> None:
    """Print the summary, and the commands that show more."""
    made_up = " on SYNTHETIC data" if summary["synthetic"] else ""
    rows = {fold: f"{size['rows']:,}" for fold, size in summary["rows"].items()}
    print(RULE)
    print(f"{summary['portfolio']}{made_up}: {', '.join(f'{fold} {count}' for fold, count in rows.items())}")
    print(f"\n{'validation':<24}{'features':<10}{'cost per applicant':<28}{'AUC':<28}calibration")
    for candidate in summary["candidates"]:
        role = " (reference)" if candidate["reference"] else " *" if candidate["name"] == summary["winner"] else ""
        figures = f"{_text(candidate['cost']):<28}{_text(candidate['auc']):<28}"
        print(f"{candidate['name'] + role:<24}{candidate['features']:<10}{figures}{candidate['calibration']}")
    for name, failure in summary["failed"].items():
        print(f"{name} failed: {failure}")
    threshold = summary["threshold"]
    print(f"\nthreshold {threshold['value']:.4f} ({threshold['rule']}; theory {threshold['theory']:.4f})")
    print(f"\n{'test, once' + made_up:<36}cost per applicant")
    for policy in summary["test"]["policies"]:
        cost = {"estimate": policy["cost"], "low": policy["cost_low"], "high": policy["cost_high"]}
        print(f"{policy['policy']:<36}{_text(cost)}")
    for other in summary["test"]["references"]:
        saved = {"estimate": other["saving"], "low": other["saving_low"], "high": other["saving_high"]}
        print(f"{'saved against ' + other['model']:<36}{_text(saved)}")
    for name in ("auc", "ks", "average_precision", "brier", "log_loss", "calibration_slope"):
        print(f"{name.replace('_', ' '):<36}{_text(summary['test'][name])}")
    print("\nheadline figures")
    for row in summary["kpis"]:
        print(f"{row['figure']:<44}{row['text']:<34}goal {row['goal']}: {row['met']}")
        if row["note"]:
            print(f"{'':<44}{row['note']}")
    print(f"\n{summary['verdict']['summary']}\nRegistered as version {summary['version']}.")
    print(RULE)
    print("See more:")
    print("  python flows/training.py card server              all cards in the browser")
    print(f"  python flows/training.py card view {run}/evaluate")
    print("  credit champion | credit versions                 what is in use, and what was tried")
    print("  credit score DATA --out FILE                      score raw applications with it")
    print("  python -m gradio_app                              decide on applicants in the browser, with reasons")


def _interval(row: dict[str, Any], name: str) -> dict[str, float]:
    return {"estimate": float(row[name]), "low": float(row[f"{name}_low"]), "high": float(row[f"{name}_high"])}


def _text(value: dict[str, float]) -> str:
    return f"{value['estimate']:.4f} ({value['low']:.4f} to {value['high']:.4f})"
