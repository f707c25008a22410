"""Credit scoring for thin files: raw tables in, a gated, registered and explained model out.

The package, from top to bottom, follows an application from raw row to monitored decision; imports run the same way.

    errors, settings, console, cores, home      what everything stands on
    portfolio/     one lender's book as data: tables, columns, costs, limits, words
    data/          raw rows in: read, held against the contract, or made up
    features/      tables to one row per applicant, as Ibis expressions
    evaluation/    numbers about probabilities; knows no model
    training/      labelled rows to a calibrated model
    scoring/       one applicant or a book to a decision, and what moved it
    governance/    who may be champion, and what was decided
    monitoring/    a model in use: what has shifted, what it costs, what to do about it
    plots/         tables to figures
    cli/, __main__ the command line

A notebook needs few names, and they load when first used:

>>> import credit
>>> book = credit.load_portfolio("home_credit")
>>> dataset = credit.prepare(book, "path/to/data", credit.Home.here().workspace)
>>> fitted = credit.fit(credit.candidates(book)[0], dataset.load("train"), book, credit.definitions(book))
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: Metaflow packs this package with a flow that runs elsewhere.
METAFLOW_PACKAGE_POLICY = "include"

_WHERE = {
    "Home": ("credit.home", "Home"),
    "Registry": ("credit.governance.registry", "Registry"),
    "Scorer": ("credit.scoring.scorer", "Scorer"),
    "assess": ("credit.governance.assessment", "assess"),
    "candidates": ("credit.training.candidates", "candidates"),
    "choose": ("credit.training.choice", "choose"),
    "contributions": ("credit.scoring.explain", "contributions"),
    "definitions": ("credit.features", "definitions"),
    "embedded": ("credit.training.dataset", "embedded"),
    "export": ("credit.scoring.export", "export"),
    "fit": ("credit.training.search", "fit"),
    "load_portfolio": ("credit.portfolio", "load"),
    "prepare": ("credit.training.dataset", "prepare"),
}
__all__ = sorted([*_WHERE, "METAFLOW_PACKAGE_POLICY", "__version__"])  # noqa: PLE0605 (a list all the same)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'credit' has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
