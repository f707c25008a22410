"""Does a drafted portfolio, unedited, match plain LightGBM on a stranger's table?

python -m benchmarks.books FILE TARGET [FILE TARGET ...] --json

The peer is `LGBMClassifier` with its defaults and 100 trees on the same columns, out of fold on the same folds.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.model_selection import StratifiedKFold

from benchmarks.common import Goal, Result, arguments, show
from benchmarks.real_rows import rows
from credit import console, features, portfolio
from credit.data.draft import draft
from credit.evaluation.cost import compare, losses, mean_interval
from credit.evaluation.metrics import auc, auc_interval
from credit.training.candidates import candidates
from credit.training.search import fit

FOLDS, REPEATS = 5, 3


def measure(file: str, target: str, folder: Path) -> dict[str, Any]:
    """Draft, train out of fold and compare, over several sets of folds."""
    toml = folder / f"{Path(file).stem}.toml"
    toml.write_text(draft(file, target), encoding="utf-8")
    book = portfolio.load(toml)
    frame, defined = rows(book, [file]), features.definitions(book)
    candidate = candidates(book)[0]
    y, names = frame[book.target].to_numpy(), [feature.name for feature in defined]
    differences, ours, plain = [], np.zeros(len(frame)), np.zeros(len(frame))
    for repeat in range(REPEATS):
        for inside, outside in StratifiedKFold(FOLDS, shuffle=True, random_state=repeat).split(frame, y):
            ours[outside] = fit(candidate, frame.iloc[inside], book, defined).predict(frame.iloc[outside])
            plain[outside] = _plain(frame[names], y, inside, outside)
        differences.append(auc(y, ours) - auc(y, plain))
    spent = [losses(y, scores >= book.costs.threshold, book.costs) for scores in (ours, plain)]
    return {
        "rows": len(frame),
        "features": len(names),
        "auc": auc_interval(y, ours).to_dict(),
        "auc_plain": auc_interval(y, plain).to_dict(),
        "auc_difference": float(np.mean(differences)),
        "auc_difference_by_folds": differences,
        "cost": mean_interval(spent[0]).to_dict(),
        "cost_minus_plain": compare(*spent).difference.to_dict(),
    }


def _plain(X: pd.DataFrame, y: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    X = X.astype(dict.fromkeys(X.columns[X.dtypes == "str"], "category"))
    X.columns = [f"column_{at}" for at in range(X.shape[1])]
    model = LGBMClassifier(n_estimators=100, random_state=0, n_jobs=1, verbose=-1).fit(X.iloc[inside], y[inside])
    return model.predict_proba(X.iloc[outside])[:, 1]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("tables", nargs="+", help="FILE TARGET, as often as needed")
    options = parser.parse_args()
    console.quiet()
    console.configure()
    pairs = list(zip(options.tables[::2], options.tables[1::2], strict=True))
    with tempfile.TemporaryDirectory() as folder:
        figures = {Path(file).stem: measure(file, target, Path(folder)) for file, target in pairs}
    goals = [
        Goal(f"AUC against plain LightGBM, {name}", f["auc_difference"], -0.005, "higher")
        for name, f in figures.items()
    ]
    sizes = {name: figure["rows"] for name, figure in figures.items()}
    show(Result("books", sizes, REPEATS, figures, goals), options.json)


if __name__ == "__main__":
    main()
