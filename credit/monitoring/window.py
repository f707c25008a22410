"""A window of applicants, from the ledger or a file -> rows that monitoring can compare; compares nothing.

Rows that must not be judged by are set aside and counted: clients that the model was trained or validated on, rows that
break the contract, decisions whose personal part was erased, and all but a client's newest decision.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from credit import features
from credit.console import step
from credit.data import contract
from credit.data.cells import text
from credit.data.files import File, stem
from credit.data.tables import open_tables
from credit.errors import DataError
from credit.features import Feature
from credit.governance.ledger import Ledger
from credit.governance.recorded import Recorded
from credit.monitoring import labels, recall
from credit.scoring import book as books
from credit.scoring.baseline import Baseline
from credit.scoring.decider import Decider
from credit.scoring.intake import Intake, check_columns, repeated

__all__ = ["AGAIN", "ERASED", "INVALID", "TRAINED", "UNKNOWN", "Window", "from_features", "from_ledger", "from_tables"]

AGAIN, ERASED = "decided again later", "erased"
INVALID, TRAINED = "break the contract", "trained or validated on"
UNKNOWN = "outcomes of unknown applicants"
#: What is noted of a row beside its features, and the prefix of its groups and segments; no column is called so.
NOTED = ("outcome", "decision", "threshold", "version", "at", "decision_id")
PART = "part of: "
#: Files of a kept window.
TABLES = ("features", "parts", "scored")


@dataclass(frozen=True)
class Window:
    """Applicants of one span of time; all tables have the same n rows, in the same order, and a fresh index.

    Parameters
    ----------
    source : str
        Where they are from, for people.
    start, end : str or None
        Moments of the first and the last decision (UTC), where they are known.
    features : DataFrame, n rows
        What the model reads.
    parts : DataFrame, n rows
        A column for each protected group and segment that is known of them.
    scored : DataFrame, n rows
        ``probability`` of default by the model that is watched; ``decision`` as it was taken, overrides included, or as
        this model takes it where none is on record; ``outcome`` 1.0, 0.0, or NaN while nobody knows; the ``threshold``
        in force; the ``version`` that decided; ``at``, when; ``decision_id``, its number in the ledger, or 0.
    set_aside : dict of str to int
        Why rows of the source are not here, and how many.
    synthetic : bool
        Whether they are made up.
    """

    source: str
    start: str | None
    end: str | None
    features: pd.DataFrame
    parts: pd.DataFrame
    scored: pd.DataFrame
    set_aside: dict[str, int]
    synthetic: bool

    def __len__(self) -> int:
        return len(self.scored)

    def save(self, folder: Path) -> Path:
        """Keep it for another process; it holds personal data."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            getattr(self, name).to_parquet(folder / f"{name}.parquet")
        about = {name: getattr(self, name) for name in ("source", "start", "end", "set_aside", "synthetic")}
        (folder / "window.json").write_text(json.dumps(about), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path) -> "Window":
        """Read it back."""
        about = json.loads((folder / "window.json").read_text(encoding="utf-8"))
        return cls(**about, **{name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES})

    @property
    def matured(self) -> int:
        """How many have an outcome."""
        return int(self.scored["outcome"].notna().sum())


def from_ledger(
    decider: Decider,
    baseline: Baseline,
    ledger: Ledger,
    *,
    since: str | None = None,
    until: str | None = None,
    last: int | None = None,
    least: int | None = None,
    also: Sequence[Feature] = (),
) -> Window:
    """Take the applicants that were decided on, with the raw rows that it was done with.

    Parameters
    ----------
    decider : Decider
        The model that is watched; it scores everybody anew, whichever version decided.
    baseline : Baseline
        Kept with it.
    ledger : Ledger
        Where the decisions are.
    since, until, last
        See `credit.monitoring.recall.decisions`.
    least : int, optional
        Fewest applicants; by default the portfolio's.
    also : sequence of Feature, optional
        What another model reads, to be computed too.

    Raises
    ------
    ConfigError
        If a bound cannot be read.
    DataError
        If too few are left; the message counts what was set aside.
    """
    aside: Counter[str] = Counter()
    source = f"the {ledger}"
    with step(f"Recalling decisions from {source}") as recalling:
        parts = list(
            _recalled(decider, baseline, ledger, _wanted(decider, also), aside, since=since, until=until, last=last)
        )
        rows = pd.concat(parts).sort_values("decision_id", ignore_index=True) if parts else pd.DataFrame()
        recalling.rows = len(rows)
    span = f" since {since}" * bool(since) + f" until {until}" * bool(until) + f", the last {last}" * bool(last)
    return _window(decider, rows, source + span, aside, decider.reference.synthetic, least)


def from_tables(
    decider: Decider,
    baseline: Baseline,
    source: str,
    *,
    history: str | None = None,
    labelled: bool = False,
    outcomes: str | None = None,
    least: int | None = None,
    also: Sequence[Feature] = (),
) -> Window:
    """Take the applicants of raw tables.

    Parameters
    ----------
    decider, baseline, least, also
        As for `from_ledger`.
    source, history, labelled
        As for `credit.scoring.book.score`; the outcomes of labelled applications are used.
    outcomes : str, optional
        A file with the key and the target, for applications without an outcome.

    Raises
    ------
    CreditError
        If the source cannot be read, what is wrong with it is no single row's fault, or too few rows are left.
    """
    book = decider.portfolio
    valid = books.screened(decider, source, history, labelled)
    made = features.express(book, valid.tables, _wanted(decider, also)).to_pandas()
    groups = features.parts(book, valid.tables[book.main]).to_pandas()
    known = labels.read(book, outcomes) if outcomes else None
    if labelled and not outcomes:
        known = labels.of_table(book, open_tables(book, source, names=(book.main,))[book.main], source)
    aside = Counter({INVALID: int(valid.rejected["row"].nunique())})
    rows = _joined(decider, made, groups, known, aside)
    made_up = decider.reference.synthetic or books.is_synthetic(source)
    return _window(decider, _new(rows, baseline, aside), str(source), aside, made_up, least)


def from_features(
    decider: Decider, baseline: Baseline, source: str, *, outcomes: str | None = None, least: int | None = None
) -> Window:
    """Take applicants whose features are there: a Parquet or CSV file with the key and what the model reads.

    Columns called as the target, or as a group or segment of the portfolio, are used too.

    Parameters
    ----------
    decider, baseline, outcomes, least
        As for `from_tables`.
    source : str
        The file.

    Raises
    ------
    CreditError
        As for `from_tables`.
    """
    book, aside = decider.portfolio, Counter[str]()
    with step(f"Reading {source}") as reading, TemporaryDirectory(prefix="credit-") as scratch:
        table, judged = _judged(decider, Path(source), Path(scratch))
        reading.rows = len(table)
    aside[INVALID] = int(judged.rejected["row"].nunique())
    extra = [name for name in (book.key, *_parts(decider)) if name in table.column_names]
    known = labels.read(book, outcomes) if outcomes else None
    if book.target in table.column_names and not outcomes:
        known = labels.of_frame(book, table.select([book.key, book.target]).to_pandas(), source)
    rows = _joined(decider, judged.frame, _whole(table.select(extra).to_pandas(), book.key, judged.frame), known, aside)
    made_up = decider.reference.synthetic or books.is_synthetic(source)
    return _window(decider, _new(rows, baseline, aside), str(source), aside, made_up, least)


def _wanted(decider: Decider, also: Sequence[Feature]) -> tuple[Feature, ...]:
    return tuple({each.name: each for each in (*decider.features, *also)}.values())


def _recalled(
    decider: Decider, baseline: Baseline, ledger: Ledger, wanted: Sequence[Feature], aside: Counter[str], **span: Any
) -> Iterator[pd.DataFrame]:
    """Yield rows of decisions, chunk by chunk, the newest first."""
    seen: set[str] = set()
    for chunk in recall.decisions(ledger, decider.portfolio.name, **span):
        kept = []
        for each in chunk:
            again = each.client in seen
            if each.erased or again:
                aside[ERASED if each.erased else AGAIN] += 1
                continue
            kept.append(each)
            seen |= {each.client} - {""}
        fitted = baseline.trained_on([each.client for each in kept])
        aside[TRAINED] += int(fitted.sum())
        fresh = [each for each, known in zip(kept, fitted, strict=True) if not known]
        if fresh:
            yield _rows(decider, fresh, wanted, aside)


def _rows(decider: Decider, made: Sequence[Recorded], wanted: Sequence[Feature], aside: Counter[str]) -> pd.DataFrame:
    """Compute the features of decisions anew, from the rows they were made on."""
    book, connection = decider.portfolio, ibis.duckdb.connect(autoinstall_known_extensions=False)
    names = {book.main, *features.needed(book, wanted)}
    tables = {name: table for name, table in recall.raw(book, made).items() if name in names}
    for name, table in tables.items():
        connection.con.register(name, table)
    opened = {name: connection.table(name) for name in tables}
    valid = contract.screen(book, opened)
    aside[INVALID] += int(valid.rejected["row"].nunique())
    found = features.express(book, valid.tables, wanted).to_pandas()
    groups = features.parts(book, valid.tables[book.main]).to_pandas()
    connection.disconnect()
    rows = _joined(decider, found, groups, None, aside)
    told = pd.DataFrame([_told(each) for each in made]).set_index("decision_id")
    number = rows.pop(book.key).astype("int64")
    return rows.assign(decision_id=number, **{name: told.loc[number, name].to_numpy() for name in told})


def _told(each: Recorded) -> dict[str, Any]:
    return {
        "decision_id": each.id,
        "decision": each.overridden["to"] if each.overridden else each.decision,
        "outcome": np.nan if each.outcome is None else float(each.outcome),
        "threshold": each.threshold,
        "version": each.version,
        "at": each.at,
    }


def _judged(decider: Decider, file: Path, scratch: Path) -> tuple[pa.Table, Any]:
    """Read a file of features, and let the batch's own rules judge its rows."""
    if stem(file) is None:
        raise DataError(f"{file}: features are read from CSV or Parquet; give a file of one of these kinds.")
    place = File(file).parquet(scratch / "features.parquet")
    try:
        table = pq.read_table(place)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file}: not a Parquet file, or a damaged one ({error}); write it again.") from error
    check_columns(decider.portfolio, decider.scorer, file, table.schema)
    twice = repeated(decider.portfolio, [place], scratch, "1GB")
    return table, Intake(decider.portfolio, decider.scorer, table.schema, twice).judge(table, 1)


def _parts(decider: Decider) -> list[str]:
    return [group.name for group in (*decider.portfolio.groups, *decider.portfolio.segments)]


def _whole(groups: pd.DataFrame, key: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the groups of valid rows, whose keys are there once."""
    named = groups.assign(**{key: groups[key].map(text)}).drop_duplicates(key)
    return named[named[key].isin(frame[key].map(text))]


def _joined(
    decider: Decider, made: pd.DataFrame, groups: pd.DataFrame, known: pd.Series | None, aside: Counter[str]
) -> pd.DataFrame:
    """Put features, groups and outcomes of the same applicants side by side, in key order."""
    key = decider.portfolio.key
    made = made.sort_values(key, ignore_index=True)
    name = made[key].map(text)
    found = groups.assign(**{key: groups[key].map(text)}).set_index(key).reindex(name)
    rows = made.drop(columns=decider.portfolio.target, errors="ignore")
    for part in _parts(decider):
        if part in found:
            rows[PART + part] = found[part].astype(object).where(found[part].notna(), None).to_numpy()
    if known is not None:
        rows["outcome"] = known.reindex(name).to_numpy(dtype=float)
        aside[UNKNOWN] += int((~known.index.isin(set(name))).sum())
    return rows


def _new(rows: pd.DataFrame, baseline: Baseline, aside: Counter[str]) -> pd.DataFrame:
    """Leave out the clients that the model knows already; their first column is the key."""
    fitted = baseline.trained_on(rows.iloc[:, 0].map(text).tolist())
    aside[TRAINED] += int(fitted.sum())
    return rows[~fitted].iloc[:, 1:].reset_index(drop=True)


def _window(
    decider: Decider, rows: pd.DataFrame, source: str, aside: Counter[str], synthetic: bool, least: int | None
) -> Window:
    left = {why: count for why, count in aside.items() if count}
    least = decider.portfolio.monitoring.window if least is None else least
    if len(rows) < max(least, 1):
        others = ", ".join(f"{count:,} {why}" for why, count in left.items())
        raise DataError(
            f"{source}: {len(rows):,} applicants to look at, at least {least:,} are needed ([monitoring] window)"
            f"{f'; set aside: {others}' if others else ''}; take a longer window."
        )
    read = rows[[name for name in rows if not name.startswith(PART) and name not in NOTED]]
    decided = decider.decide_frame(read)
    usual: dict[str, Any] = {
        "outcome": np.nan,
        "threshold": decider.scorer.threshold,
        "version": decider.identity.version,
    }
    usual |= {"at": None, "decision_id": 0, "decision": decided["decision"].astype(str)}
    scored = pd.DataFrame({"probability": decided["probability_of_default"]})
    for name, value in usual.items():
        scored[name] = rows.get(name, value)
    parts = rows[[name for name in rows if name.startswith(PART)]].rename(columns=lambda name: name.removeprefix(PART))
    at = scored["at"].dropna()
    span = (str(at.min()), str(at.max())) if len(at) else (None, None)
    return Window(source, span[0], span[1], read, parts, scored, left, synthetic)
