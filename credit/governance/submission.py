"""From a kept release to a registered version: compare with the champion, gate, publish; fits nothing."""

from dataclasses import dataclass
from pathlib import Path

from credit import features, portfolio
from credit.console import log, step
from credit.errors import DataError, ModelError
from credit.governance import gate, release
from credit.governance.registry import Registry, Version
from credit.governance.release import Release
from credit.governance.verdict import Verdict
from credit.home import Home
from credit.portfolio import Portfolio
from credit.scoring.decider import BOOK
from credit.scoring.scorer import Scorer

__all__ = ["Submission", "newest", "open_bundle", "submit"]


@dataclass(frozen=True)
class Submission:
    """What became of a release."""

    verdict: Verdict
    version: Version


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
