"""A small book, its rows, and fits of them that take a fraction of a second, for tests of what learns and scores."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from credit import features
from credit.features import Feature
from credit.portfolio import Portfolio, load
from credit.training import search
from credit.training.candidates import Candidate, candidates
from credit.training.search import Fitted

#: Every shipped candidate, made small: what is tested is how they behave, not how well they do.
SMALL = """trees = 24
search_trees = 9
search_rate = 0.2
grid = { num_leaves = [3, 5, 7] }

[candidates.NAME.parameters]
learning_rate = 0.2
feature_fraction = 0.8
bagging_fraction = 0.8
min_data_in_leaf = 20
lambda_l2 = 5.0
path_smooth = 0.0
"""
LEARNERS = ("native", "imputed", "weighted", "monotone")
REFERENCES = ("prior", "scorecard")

HEAD = """
name = "shop"
title = { en = "A shop's credits", fr = "Les crédits d'un magasin" }
source = "made up for a test"
licence = "none"
main = "sale"
key = "client"
target = "unpaid"

[concepts]
money = { en = "Money", fr = "Argent" }
person = { en = "Person", fr = "Personne" }

[[groups]]
name = "sex"
column = "sex"
en = "Sex"
fr = "Sexe"

[[groups]]
name = "seniority"
column = "months"
edges = [12, 60]
en = "Months as a client"
fr = "Mois comme client"

[tables.sale]
en = "Sales"
fr = "Ventes"
files = ["sales"]
unlabelled = ["open_sales"]
key = ["client"]

[tables.sale.columns]
client = { en = "Client", fr = "Client", type = "integer", role = "key", missing = false }
unpaid = { en = "Unpaid", fr = "Impayé", type = "flag", role = "target", missing = false }
kind = { en = "Kind", fr = "Nature", type = "category", group = "money", levels = ["cash", "card", "loan"] }
town = { en = "Town", fr = "Ville", type = "category", group = "person" }
amount = { en = "Amount", fr = "Montant", type = "number", group = "money", unit = "currency", min = 0, monotone = 1 }
score = { en = "Score", fr = "Score", type = "number", group = "person", min = 0, max = 1, monotone = -1 }
months = { en = "Months", fr = "Mois", type = "integer", group = "person", unit = "months", sentinels = [999] }
phone = { en = "Phone", fr = "Téléphone", type = "flag", group = "person", missing = false }
sex = { en = "Sex", fr = "Sexe", type = "category", role = "protected", levels = ["f", "m"] }
branch = { en = "Branch", fr = "Succursale", type = "category", role = "excluded" }
"""


def text(head: str = HEAD, extra: str = "") -> str:
    """The book's TOML; `extra` goes to its end."""
    tables = "".join(f"[candidates.{name}]\n{SMALL.replace('NAME', name)}\n" for name in LEARNERS)
    return f"{head}\n{tables}\n{extra}"


def shop(head: str = HEAD, extra: str = "", **training: Any) -> Portfolio:
    """Load the book; `training` changes its settings."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "shop.toml"
        file.write_text(text(head, extra), encoding="utf-8")
        book = load(file)
    return replace(book, training=replace(book.training, **training))


def sales(rows: int = 900, seed: int = 0) -> pd.DataFrame:
    """Raw rows in which amount, score and kind matter, and a fifth are unpaid; most columns miss values."""
    rng = np.random.default_rng(seed)
    amount, score = rng.gamma(2.0, 150.0, rows).round(2), rng.beta(2, 2, rows).round(4)
    kind = rng.choice(["cash", "card", "loan"], rows, p=[0.5, 0.3, 0.2])
    logit = -1.9 + 0.004 * (amount - 300) - 4.0 * (score - 0.5) + 0.9 * (kind == "loan")
    frame = pd.DataFrame(
        {
            "client": rng.permutation(rows) + 1000,
            "unpaid": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int),
            "kind": pd.Series(kind),
            "town": pd.Series(rng.choice([f"town {letter}" for letter in "abcdef"], rows)),
            "amount": amount,
            "score": score,
            "months": rng.integers(0, 120, rows).astype(float),
            "phone": rng.integers(0, 2, rows).astype(float),
            "sex": pd.Series(rng.choice(["f", "m"], rows)),
            "branch": pd.Series(rng.choice(["north", "south"], rows)),
        }
    )
    for name, share in {"kind": 0.1, "town": 0.05, "score": 0.3, "months": 0.1}.items():
        frame.loc[rng.random(rows) < share, name] = None
    return frame


def learn(
    name: str,
    train: pd.DataFrame,
    book: Portfolio,
    wanted: tuple[Feature, ...] | None = None,
    **options: Any,
) -> Fitted:
    """Fit one candidate on rows that have the features as columns."""
    return search.fit(entry(book, name), train, book, wanted or features.definitions(book), **options)


def entry(book: Portfolio, name: str) -> Candidate:
    """One candidate of the book, a reference too."""
    return next(each for each in candidates(book) if each.name == name)


@cache
def fitted(name: str) -> Fitted:
    """A candidate fitted on `sales()`; shared, so tests must not change it."""
    return learn(name, sales(), shop())


def open_sales(rows: int = 300, seed: int = 1) -> pd.DataFrame:
    """Rows that no model has seen, with unknown levels and rows that miss everything among them."""
    frame = sales(rows, seed).drop(columns=["unpaid"])
    frame.loc[::7, "town"] = "a town built yesterday"
    frame.loc[::11, "kind"] = "barter"
    frame.loc[::13, ["kind", "town", "amount", "score", "months", "phone"]] = None
    return frame
