"""What the page and the API both do: decide and record, explain, override, look up; knows neither HTTP nor Gradio."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import Literal, cast

from credit import cores, portfolio
from credit.errors import ConfigError, CreditError, DataError, ModelError, ServiceError
from credit.governance.ledger import Ledger
from credit.governance.records import Recorded, Records
from credit.governance.registry import Version
from credit.governance.serving import Serving
from credit.portfolio import Language, Portfolio
from credit.scoring.decider import Decider, Decision
from credit.scoring.whatif import WhatIf
from gradio_app import batches
from gradio_app.batches import Batch
from gradio_app.faults import rules
from gradio_app.lookup import Case, History, Lookup, Place, Row
from gradio_app.metrics import Metrics
from gradio_app.registered import Model, gather
from gradio_app.settings import Settings

__all__ = ["TRAIN", "Case", "Desk", "Model", "NoChampionError", "Outcome", "Place", "TooManyError", "open_desk"]

TRAIN = "python flows/training.py run"


class NoChampionError(ModelError):
    """There is no model to decide with yet."""


class TooManyError(CreditError):
    """A batch has more applicants than are taken at once."""


@dataclass(frozen=True)
class Outcome:
    """What came of one applicant of a batch: a recorded decision and its number, or what is wrong."""

    case: Case
    number: int | None = None
    decision: Decision | None = None
    fault: CreditError | None = None

    @property
    def application(self) -> Row:
        """The raw application."""
        return self.case.application


class Desk:
    """The counter at which decisions are made.

    Parameters
    ----------
    serving : Serving
        Who the champion is.
    records : Records
        Where decisions are written down: what could not be is not handed out.
    book : Portfolio
        The lender's book as it is today; a champion is used under the one that it was trained under.
    source : str
        Where existing clients are; empty for what the champion was trained on.
    rows : int
        Most applicants of one batch.
    metrics : Metrics, optional
        What is counted.
    """

    def __init__(
        self,
        serving: Serving,
        records: Records,
        book: Portfolio,
        source: str = "",
        rows: int = 1000,
        metrics: Metrics | None = None,
    ) -> None:
        self.serving, self.records, self.book, self.rows = serving, records, book, rows
        self.metrics = metrics or Metrics()
        self._lookup = Lookup(serving, source)
        self._free = BoundedSemaphore(cores.available())

    # The model

    def champion(self) -> tuple[Version, Decider]:
        """Return the model in use.

        Raises
        ------
        NoChampionError
            If there is none; the message says how to train one.
        CreditError
            If it cannot be opened.
        """
        held = self.serving.current()
        if held is None:
            name = "" if self.book.name == portfolio.DEFAULT else f" --portfolio {self.book.name}"
            raise NoChampionError(
                f"{self.serving.registry.model}: no model has been put into use yet; train one with "
                f"`{TRAIN}{name}`. It is picked up as soon as it is champion, without a restart."
            )
        return held

    def today(self) -> Portfolio:
        """Return the book that applications are read under: the champion's, or without one the lender's own."""
        held = self.serving.current()
        return held[1].portfolio if held else self.book

    def model(self) -> Model:
        """Return the model in use with the tables and figures of its training."""
        return gather(self.serving.registry, *self.champion())

    # Decisions

    def decide(
        self, application: Row, history: History | None = None, *, by: str, channel: str
    ) -> tuple[int, Decision]:
        """Decide on one applicant, write it down, and only then return it.

        Parameters
        ----------
        application, history
            As for `Decider.decide`.
        by : str
            Who asks.
        channel : str
            From where: "page", "api".

        Returns
        -------
        number : int
            Under which the ledger holds it.
        decision : Decision
            As recorded.

        Raises
        ------
        ContractError, DataError
            If the applicant's rows break the contract.
        ServiceError
            If the ledger does not take it: then there is no decision.
        """
        case, decider = Case(application, history), self.champion()[1]
        with self._judging():
            decision = decider.decide(case.application, case.history)
        with self._recording():
            number = self.records.decide(decision, case.application, case.history, by=by, channel=channel)
        self.metrics.decided(decision.decision, channel)
        return number, decision

    def decide_all(
        self, cases: Sequence[Case], *, by: str, channel: str, progress: Callable[[float], None] | None = None
    ) -> list[Outcome]:
        """Decide on many applicants with one model, and write all decisions down in one transaction.

        Parameters
        ----------
        cases : sequence of Case
            At most as many as `rows` allows.
        by, channel
            As for `decide`.
        progress : callable, optional
            Told the share that is done, from 0 to 1.

        Returns
        -------
        list of Outcome
            One each, in their order; a fault of one applicant does not touch the others.

        Raises
        ------
        TooManyError
            If there are more than `rows`.
        ServiceError
            If the ledger does not take them: then there is no decision.
        """
        self._count(len(cases))
        decider = self.champion()[1]
        twice = batches.repeated(decider.portfolio, [case.application for case in cases])
        outcomes = []
        for at, case in enumerate(cases, start=1):
            fault = twice.get(at - 1)
            outcomes.append(Outcome(case, fault=fault) if fault else self._attempted(decider, case))
            if progress and (at % 10 == 0 or at == len(cases)):
                progress(at / len(cases))
        return self._written(outcomes, by, channel)

    def what_if(self, application: Row, history: History | None = None) -> WhatIf:
        """Find the smallest changes that change the decision; no decision itself, so nothing is recorded."""
        case, decider = Case(application, history), self.champion()[1]
        with self._judging():
            return decider.what_if(case.application, case.history)

    def override(self, number: int, to: str, reason: str, *, by: str) -> int:
        """Set a decision aside, with a reason; see `Records.override`."""
        with self._recording():
            made = self.records.override(number, cast("Literal['approve', 'decline']", to), reason, by=by)
        self.metrics.overridden(to)
        return made

    def find(self, number: int) -> Recorded:
        """Return one recorded decision; see `Records.find`."""
        return self.records.find(number)

    def earlier(self, client: str, limit: int = 20) -> list[Recorded]:
        """Return a client's recorded decisions, the newest first."""
        return self.records.earlier(client, limit, portfolio=self.book.name)

    # Existing clients

    def place(self) -> Place:
        """Say where existing clients are looked up, if they can be."""
        return self._lookup.place()

    def numbers(self, prefix: str = "", limit: int = 20) -> list[str]:
        """Return numbers of existing clients that begin with `prefix`; none where clients cannot be looked up."""
        return self._lookup.numbers(prefix, limit)

    def case(self, key: str) -> Case:
        """Return an existing client's application and history; DataError if there is no such client."""
        return self._lookup.case(key)

    # Files

    def batch(
        self,
        path: str | Path,
        *,
        by: str,
        channel: str = "batch",
        history: str = "none",
        progress: Callable[[float], None] | None = None,
        lang: Language = "en",
    ) -> Batch:
        """Decide on a file of applications, and write the decisions and the rejected rows to files.

        Parameters
        ----------
        path : str or Path
            CSV or Parquet with the columns of the main table.
        by, channel, progress
            As for `decide_all`.
        history : {"none", "known"}
            Whether an applicant's rows in the other tables are looked up where existing clients are.
        lang : {"en", "fr"}
            The language of reasons and messages.

        Returns
        -------
        Batch
            Counts, and where the two files are; they are removed a day later.

        Raises
        ------
        CreditError
            As `decide_all`, and where the file cannot be read.
        """
        book = self.champion()[1].portfolio
        cases, unused = self.cases(path, history)
        outcomes = self.decide_all(cases, by=by, channel=channel, progress=progress)
        folder = self.serving.registry.home.workspace / "batches"
        return batches.write(book, outcomes, folder, Path(path).suffix.lower(), lang, unused)

    def cases(self, path: str | Path, history: str = "none") -> tuple[list[Case], tuple[str, ...]]:
        """Read a file of applications: a case for each row, and the columns that the portfolio does not know."""
        if history not in ("none", "known"):
            raise ConfigError(f"history {history!r}: is neither 'none' nor 'known'; choose one.")
        book = self.champion()[1].portfolio
        rows, unused = batches.read(book, path, self.rows)
        self._count(len(rows))
        known = self._lookup.history if history == "known" else lambda key: None
        return [Case(row, known(str(row[book.key]))) for row in rows], unused

    # Parts of the above

    def _count(self, rows: int) -> None:
        if rows > self.rows:
            raise TooManyError(
                f"batch: more than {self.rows:,} applicants, and so many are taken at once; give fewer, raise "
                "CREDIT_APP_ROWS, or score the whole book with `python flows/scoring.py run`."
            )

    def _attempted(self, decider: Decider, case: Case) -> Outcome:
        try:
            with self._judging():
                return Outcome(case, decision=decider.decide(case.application, case.history))
        except DataError as error:
            return Outcome(case, fault=error)

    def _written(self, outcomes: Sequence[Outcome], by: str, channel: str) -> list[Outcome]:
        """Record the decisions among the outcomes, all or none, and number them."""
        done = [(each.decision, each.case.application, each.case.history) for each in outcomes if each.decision]
        with self._recording():
            numbers = iter(self.records.decide_many(done, by=by, channel=channel) if done else ())
        for decision, _, _ in done:
            self.metrics.decided(decision.decision, channel)
        return [replace(each, number=next(numbers)) if each.decision else each for each in outcomes]

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Wait for a free core, as more threads than cores only hinder one another; count the rules that are broken."""
        try:
            with self._free:
                yield
        except DataError as error:
            for rule in rules(error):
                self.metrics.rejected(rule)
            raise

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Count what the ledger does not take."""
        try:
            yield
        except ServiceError:
            self.metrics.unrecorded()
            raise


def open_desk(settings: Settings, metrics: Metrics | None = None) -> Desk:
    """Open a desk as the settings say; nothing is contacted before the first question."""
    book = portfolio.load(settings.portfolio)
    serving = Serving(book.name, settings.home, settings.champion_seconds)
    records = Records(Ledger(settings.home.ledger_url))
    return Desk(serving, records, book, settings.data, settings.rows, metrics)
