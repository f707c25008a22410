"""How good is training on real labelled rows, beside the references, out of fold and over five splits?

No real rows come with the project: give them with --data (several files or folders are joined).

    python -m benchmarks.real_rows --data FOLDER FILE --json

Out of fold: a candidate is searched, stopped and calibrated anew inside the other folds, and scores the rows
that it has not seen.  Splits: the flow's own way (train, validation, one look at test) under five salts.
"""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedKFold

from benchmarks.common import Goal, Result, arguments, show
from credit import console, cores, features, portfolio
from credit.data import contract, tables
from credit.errors import ContractError
from credit.evaluation.cost import compare, losses, mean_interval
from credit.evaluation.metrics import auc_interval
from credit.portfolio import DEFAULT, Portfolio
from credit.training.candidates import candidates
from credit.training.choice import choose
from credit.training.search import fit
from credit.training.split import assign

FOLDS, FOLD_SEED, SALTS = 5, 7, 5


def rows(book: Portfolio, sources: list[str]) -> pd.DataFrame:
    """Read, check and turn into features each source; join them in the order given."""
    frames = []
    for source in sources:
        checked = contract.check(book, tables.open_tables(book, source))
        table = features.express(book, checked.tables, features.definitions(book, [book.main]))
        frames.append(table.to_pandas())
    joined = pd.concat(frames, ignore_index=True)
    if joined[book.key].duplicated().any():
        raise ContractError(f"--data: {joined[book.key].duplicated().sum()} clients come twice; give each file once.")
    return joined


def out_of_fold(book: Portfolio, frame: pd.DataFrame, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Score every row by models that have not seen it; calibrated probabilities by candidate."""
    y = frame[book.target].to_numpy()
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=FOLD_SEED).split(frame, y))
    tasks = list(product(candidates(book, names), folds))
    parts = Parallel(n_jobs=cores.available())(
        delayed(_predict)(book, frame.iloc[inside], frame.iloc[outside], candidate)
        for candidate, (inside, outside) in tasks
    )
    scores = {candidate.name: np.empty(len(frame)) for candidate in candidates(book, names)}
    for (candidate, (_, outside)), part in zip(tasks, parts, strict=True):
        scores[candidate.name][outside] = part
    return scores


def splits(book: Portfolio, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Train, choose and test once under each salt."""
    salted = [replace(book, split=replace(book.split, salt=f"credit-{number}")) for number in range(1, SALTS + 1)]
    field = candidates(book)
    tasks = list(product(salted, field))
    predicted = Parallel(n_jobs=cores.available())(delayed(_split)(each, frame, candidate) for each, candidate in tasks)
    outcomes = []
    for number, each in enumerate(salted):
        part = predicted[number * len(field) : (number + 1) * len(field)]
        outcomes.append(_judge(each, frame, dict(zip([c.name for c in field], part, strict=True))))
    return outcomes


def _predict(book: Portfolio, train: pd.DataFrame, test: pd.DataFrame, candidate: Any) -> np.ndarray:
    return fit(candidate, train, book, features.definitions(book, [book.main])).predict(test)


def _split(book: Portfolio, frame: pd.DataFrame, candidate: Any) -> dict[str, np.ndarray]:
    where = assign(frame[book.key], book.split)
    fitted = fit(candidate, frame[where == "train"], book, features.definitions(book, [book.main]))
    return {fold: fitted.predict(frame[where == fold]) for fold in ("validation", "test")}


def _judge(book: Portfolio, frame: pd.DataFrame, predicted: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    where = assign(frame[book.key], book.split)
    truth = {fold: frame.loc[where == fold, book.target].to_numpy() for fold in ("validation", "test")}
    references = frozenset(c.name for c in candidates(book) if c.reference)
    validation = {name: part["validation"] for name, part in predicted.items()}
    choice = choose(truth["validation"], validation, references, book.costs)
    limits = choice.leaderboard.set_index("candidate")["threshold"]
    y = truth["test"]
    spent = {name: losses(y, part["test"] >= limits[name], book.costs) for name, part in predicted.items()}
    return {
        "salt": book.split.salt,
        "test_rows": len(y),
        "winner": choice.winner,
        "threshold": {"value": choice.threshold, "rule": choice.rule},
        "auc": auc_interval(y, predicted[choice.winner]["test"]).to_dict(),
        "cost": mean_interval(spent[choice.winner]).to_dict(),
        "references": {
            name: {
                "auc": auc_interval(y, predicted[name]["test"]).to_dict(),
                "cost": mean_interval(spent[name]).to_dict(),
                "winner_minus_reference": compare(spent[choice.winner], spent[name]).difference.to_dict(),
            }
            for name in sorted(references)
        },
    }


def summary(book: Portfolio, y: np.ndarray, scores: dict[str, np.ndarray], peer: str) -> dict[str, Any]:
    """Measure each candidate's out-of-fold scores, and its cost against a peer's, paired."""
    spent = {name: losses(y, p >= book.costs.threshold, book.costs) for name, p in scores.items()}
    return {
        name: {
            "auc": auc_interval(y, p).to_dict(),
            "cost": mean_interval(spent[name]).to_dict(),
            f"cost_minus_{peer}": compare(spent[name], spent[peer]).difference.to_dict(),
        }
        for name, p in scores.items()
    }


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--data", nargs="+", required=True, help="labelled rows: files or folders")
    parser.add_argument("--portfolio", default=DEFAULT)
    parser.add_argument("--out-of-fold", default="native,monotone,scorecard", help="candidates scored out of fold")
    parser.add_argument("--goal-auc", type=float, default=0.7603, help="best published figure on these rows")
    parser.add_argument("--goal-cost", type=float, default=0.5264)
    options = parser.parse_args()
    console.quiet()
    console.configure()
    book = portfolio.load(options.portfolio)
    frame = rows(book, options.data)
    y = frame[book.target].to_numpy()
    names = tuple(options.out_of_fold.split(","))
    folded = summary(book, y, out_of_fold(book, frame, names), "scorecard")
    figures = {"out_of_fold": folded, "splits": splits(book, frame)}
    first = book.training.candidates[0]
    goals = [
        Goal(f"out-of-fold AUC of {first}", folded[first]["auc"]["estimate"], options.goal_auc, "higher"),
        Goal(f"out-of-fold cost of {first}", folded[first]["cost"]["estimate"], options.goal_cost, "lower"),
    ]
    sizes = {"rows": len(frame), "defaults": int(y.sum()), "folds": FOLDS, "salts": SALTS}
    show(Result("real_rows", sizes, 1, figures, goals), options.json)


if __name__ == "__main__":
    main()
