"""Are reasons true of the model: exact, faithful, in order, stable, and as quick as LightGBM's own contributions?

    python -m benchmarks.reasons --json
    python -m benchmarks.reasons --sample FOLDER --json      real relational rows beside the synthetic book
    python -m benchmarks.reasons --champion --json           the registered champion on new synthetic clients

A light model is fitted on train rows, the typical approved applicant made of validation rows; explained are clients of
neither.  How reasons are chosen was settled on other clients (synthetic seed 7; of a sample's unlabelled clients those
whose hash is even), so what is reported here was not tuned on.  Faithful: with a concept as with the typical approved
applicant, set in the data and scored anew, the raw score is lower.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.common import Goal, Result, arguments, show
from credit import console, cores, features, portfolio
from credit.data import contract, synthetic, tables
from credit.errors import ConfigError
from credit.features import Feature
from credit.governance.registry import Registry
from credit.governance.serving import open_version
from credit.portfolio import DEFAULT, Portfolio
from credit.scoring.explain import attribute
from credit.scoring.export import export
from credit.scoring.reasons import MOST, Reasoner
from credit.scoring.reference import Reference
from credit.scoring.scorer import Scorer
from credit.training.candidates import candidates, read_by
from credit.training.search import fit
from credit.training.selection import select
from credit.training.split import assign

CLIENTS, SEED, EXPLAINED = 20_000, 11, 1_000
LIGHT = {"num_leaves": [6], "feature_fraction": [0.2]}
NOISE, DRAWS = 0.01, 5
BATCH, REPEATS = 10_000, 5


@dataclass(frozen=True)
class Case:
    """A model, and clients that it has not seen."""

    book: Portfolio
    scorer: Scorer
    features: tuple[Feature, ...]
    reference: Reference
    clients: pd.DataFrame

    @property
    def reasoner(self) -> Reasoner:
        """Reasons of the model."""
        return Reasoner(self.scorer, self.book, self.features, self.reference)


# What is explained


def rows(book: Portfolio, folder: str | Path, labelled: bool = True) -> pd.DataFrame:
    """Build every feature that a folder's tables allow."""
    names = tables.present(book, folder, labelled=labelled)
    opened = tables.open_tables(book, folder, names=names, labelled=labelled)
    checked = contract.check(book, opened, labelled=labelled)
    return features.express(book, checked.tables, features.definitions(book, names)).to_pandas()


def trained(book: Portfolio, frame: pd.DataFrame, clients: pd.DataFrame | None, made_up: bool) -> Case:
    """Fit a light model of the selected features on train rows; explain `clients`, or the test fold."""
    every = tuple(each for each in features.definitions(book) if each.name in frame.columns)
    fold = assign(frame[book.key], book.split)
    train, validation, test = (frame[fold == name].reset_index(drop=True) for name in ("train", "validation", "test"))
    candidate = replace(candidates(book, ("selected",))[0], grid=LIGHT)
    selection = select(train, book, every, threads=cores.available())
    wanted = read_by(candidate, every, book, selection)
    fitted = fit(candidate, train, book, wanted, threads=cores.available())
    scorer = export(fitted, book, wanted, book.costs.threshold, train)
    reference = Reference.make(scorer, wanted, validation, made_up)
    return Case(book, scorer, wanted, reference, test if clients is None else clients)


def made_up(clients: int) -> Case:
    """Take the synthetic book."""
    book = portfolio.load(DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        synthetic.write(folder, clients, SEED)
        return trained(book, rows(book, folder), None, made_up=True)


def real(folder: str) -> Case:
    """Take a sample: labelled clients to fit on, unlabelled ones to explain, those with an odd hash alone."""
    book = portfolio.load(DEFAULT)
    clients = rows(book, folder, labelled=False)
    hashes = [int(hashlib.sha256(f"h{key}".encode()).hexdigest(), 16) for key in clients[book.key]]
    reported = clients[np.array(hashes, dtype=object) % 2 == 1].reset_index(drop=True)
    return trained(book, rows(book, folder), reported, made_up=False)


def champion(clients: int) -> Case:
    """Take the registered champion, and synthetic clients of another seed than any book is trained on by default."""
    registry = Registry(DEFAULT)
    version = registry.champion()
    if version is None:
        raise ConfigError("--champion: there is none; train one first: python flows/training.py run.")
    opened = open_version(registry, version)
    with tempfile.TemporaryDirectory() as folder:
        synthetic.write(folder, clients, SEED)
        frame = rows(opened.portfolio, folder)
    return Case(opened.portfolio, opened.scorer, opened.features, opened.reference, frame)


# What is asked


def additivity(case: Case, frame: pd.DataFrame) -> float:
    """Return the largest distance between base and values, by concept as by feature, and the raw score."""
    made = attribute(case.scorer, case.features, frame)
    raw = case.scorer.raw(frame)
    sums = (made.base + part.sum(axis=1) - raw for part in (made.by_feature, made.by_concept))
    return float(max(np.abs(each).max() for each in sums))


def falls(case: Case, frame: pd.DataFrame) -> pd.DataFrame:
    """Set each concept's features to the typical approved applicant's, in the data; return how the score falls."""
    raw, found = case.scorer.raw(frame), {}
    for concept in dict.fromkeys(each.concept for each in case.features):
        changed = frame.copy()
        for each in case.features:
            if each.concept == concept:
                kind, usual = frame[each.name].dtype, case.reference.approved[each.name]
                kind = "float64" if kind.kind in "iub" else kind
                changed[each.name] = pd.Series([usual] * len(frame), index=frame.index, dtype=kind)
        found[concept] = raw - case.scorer.raw(changed)
    return pd.DataFrame(found)


def fidelity(case: Case, frame: pd.DataFrame) -> dict[str, Any]:
    """Measure the reasons as they are chosen, as they are given after the scorer's word, and plain SHAP beside them."""
    reasoner = case.reasoner
    whole = attribute(case.scorer, case.features, frame)
    strengths = reasoner.strengths(whole)
    principal = [reasoner.candidates(each) for each in strengths]
    given = reasoner.held(whole, principal)
    plain = [[at for at in np.argsort(-each, kind="stable")[:MOST] if each[at] > 0] for each in whole.by_concept]
    fall = falls(case, frame)[list(whole.concepts)].to_numpy()
    chosen = [each[:MOST] for each in principal]
    acted = [set(before) != set(after) for before, after in zip(chosen, given, strict=True)]
    removed = sum(len(set(before) - set(after)) for before, after in zip(chosen, given, strict=True))
    return {
        "clients": len(frame),
        "chosen": _faithful(chosen, strengths, fall),
        "given": _faithful(given, strengths, fall),
        "plain_shap": _faithful(plain, whole.by_concept, fall),
        "net": {
            "clients": float(np.mean(acted)),
            "reasons": removed / max(sum(map(len, chosen)), 1),
            "clients_without_a_reason": int(sum(not each for each in given)),
        },
    }


def _faithful(chosen: list[list[int]], strengths: np.ndarray, fall: np.ndarray) -> dict[str, float]:
    pairs, ordered, ranks, strong, fell = [], [], [], [], []
    lower = [[bool(fall[at, each] > 0) for each in concepts] for at, concepts in enumerate(chosen)]
    for at, concepts in enumerate(chosen):
        down = fall[at, concepts]
        pairs += [bool(down[i] >= down[j]) for i in range(len(down)) for j in range(i + 1, len(down))]
        ordered.append(bool((np.diff(down) <= 0).all()))
        if len(down) >= 3:
            ranks.append(spearmanr(strengths[at, concepts], down).statistic)
        strong += strengths[at, concepts].tolist()
        fell += down.tolist()
    return {
        "reasons_a_client": float(np.mean([len(each) for each in chosen])),
        "reasons_that_lower": float(np.mean([each for client in lower for each in client])),
        "clients_whose_reasons_all_lower": float(np.mean([all(each) for each in lower])),
        "top_reasons_that_lower": float(np.mean([each[0] for each in lower if each])),
        "pairs_in_order": float(np.mean(pairs)),
        "clients_in_order": float(np.mean(ordered)),
        "rank_correlation_within_clients": float(np.mean(ranks)),
        "rank_correlation_over_all": float(spearmanr(strong, fell).statistic),
    }


def stability(case: Case, frame: pd.DataFrame) -> dict[str, float]:
    """Move every number by a hundredth of its interquartile range, up or down by chance; compare the reasons."""
    numbers = [each.name for each in case.features if each.kind == "number"]
    held = frame[numbers].astype("float64")
    step = NOISE * (held.quantile(0.75) - held.quantile(0.25))
    rng, before = np.random.default_rng(SEED), _chosen(case, frame)
    top, kept, shared = [], [], []
    for _ in range(DRAWS):
        signs = rng.choice([-1.0, 1.0], size=held.shape)
        after = _chosen(case, frame.assign(**(held + signs * step.to_numpy())))
        top += [one[:1] == two[:1] for one, two in zip(before, after, strict=True)]
        kept += [set(one) == set(two) for one, two in zip(before, after, strict=True)]
        shared += [len({*one} & {*two}) / max(len({*one, *two}), 1) for one, two in zip(before, after, strict=True)]
    return {"same_top": float(np.mean(top)), "same_set": float(np.mean(kept)), "shared": float(np.mean(shared))}


def _chosen(case: Case, frame: pd.DataFrame) -> list[list[int]]:
    reasoner = case.reasoner
    whole = attribute(case.scorer, case.features, frame)
    return reasoner.held(whole, [reasoner.candidates(each) for each in reasoner.strengths(whole)])


def speed(case: Case) -> dict[str, float]:
    """Time batches and single rows beside LightGBM's own contributions on the encoded matrix."""
    many = pd.concat([case.clients] * (BATCH // len(case.clients) + 1), ignore_index=True).head(BATCH)
    one, reasoner = case.clients.head(1), case.reasoner
    matrix, row = case.scorer.matrix(many), case.scorer.matrix(one)

    def peer(X: np.ndarray) -> Callable[[], Any]:
        return lambda: case.scorer.booster.predict(X, pred_contrib=True, num_threads=1)

    attribution = attribute(case.scorer, case.features, one)
    single = {
        "encode": lambda: case.scorer.matrix(one),
        "pred_contrib": peer(row),
        "attribution": lambda: attribute(case.scorer, case.features, one),
        "explanation_object": lambda: attribution.explanation(0),
        "reasons_in_words": lambda: reasoner.reasons(one, attribution),
    }
    batch = {"pred_contrib": peer(matrix), "attribution": lambda: attribute(case.scorer, case.features, many)}
    spent = pd.DataFrame([{name: _median(work, 1) for name, work in batch.items()} for _ in range(REPEATS)])
    return {
        **{f"one_{name}_ms": 1000 * _median(work, 40 * REPEATS) for name, work in single.items()},
        **{f"batch_{name}_rows_a_second": len(many) / float(spent[name].median()) for name in batch},
        "batch_attribution_over_pred_contrib": float((spent["attribution"] / spent["pred_contrib"]).median()),
    }


def _median(work: Callable[[], Any], repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return float(np.median(spent))


def measure(case: Case, name: str) -> tuple[dict[str, Any], list[Goal]]:
    """Ask everything of one case."""
    frame = case.clients.head(EXPLAINED).reset_index(drop=True)
    decided = case.scorer.decide(case.clients)["decision"].to_numpy()
    refused = case.clients[decided != "approve"].head(EXPLAINED).reset_index(drop=True)
    found = {
        "features": len(case.features),
        "concepts": len({each.concept for each in case.features}),
        "refused": float((decided != "approve").mean()),
        "calibration": case.scorer.calibration.method,
        "additivity": max(additivity(case, frame), additivity(case, refused)),
        "fidelity": {"any": fidelity(case, frame), "refused": fidelity(case, refused)},
        "stability": {"any": stability(case, frame), "refused": stability(case, refused)},
        "speed": speed(case),
    }
    return found, _goals(found, name)


def _goals(found: dict[str, Any], name: str) -> list[Goal]:
    goals = [
        Goal(f"{name}: largest error of base and values against the raw score", found["additivity"], 1e-6, "lower")
    ]
    for group, measured in found["fidelity"].items():
        for stage in ("chosen", "given"):
            what = f"{name}: {group} clients whose reasons all lower the score, as {stage}"
            goals.append(Goal(what, measured[stage]["clients_whose_reasons_all_lower"], 0.99, "higher"))
    left = found["fidelity"]["refused"]["net"]["clients_without_a_reason"]
    ratio = found["speed"]["batch_attribution_over_pred_contrib"]
    return [
        *goals,
        Goal(f"{name}: refused clients without a reason", left, 0, "lower"),
        Goal(f"{name}: time of attribution over pred_contrib, {BATCH:,} rows", ratio, 1.25, "lower"),
    ]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS, help="of the synthetic book")
    parser.add_argument("--sample", help="a folder of real relational rows, labelled and unlabelled")
    parser.add_argument("--champion", action="store_true", help="the registered champion instead of a light fit")
    parser.add_argument("--only-sample", action="store_true", help="leave the synthetic book out")
    options = parser.parse_args()
    if options.only_sample and not options.sample:
        parser.error("--only-sample: name the sample with --sample FOLDER")
    console.quiet()
    figures: dict[str, Any] = {"noise": f"{NOISE:.0%} of the interquartile range, {DRAWS} draws"}
    goals: list[Goal] = []
    if not options.only_sample:
        case = champion(EXPLAINED * 5) if options.champion else made_up(options.clients)
        figures["synthetic"], goals = measure(case, "synthetic")
    if options.sample:
        figures["real"], more = measure(real(options.sample), "real")
        goals += more
    sizes = {"clients": options.clients, "explained": EXPLAINED, "batch": BATCH}
    show(Result("reasons", sizes, REPEATS, figures, goals), options.json)


if __name__ == "__main__":
    main()
