"""Existing clients: where they are, which numbers there are, and one client's rows; decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from credit.data.clients import Clients
from credit.errors import DataError
from credit.governance.serving import Serving
from credit.portfolio import Label

__all__ = ["Case", "History", "Lookup", "Place", "Row"]

Row = Mapping[str, Any]
History = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Case:
    """One applicant: the raw application, and rows of the other tables."""

    application: Row
    history: History | None = None


@dataclass(frozen=True)
class Place:
    """Where existing clients are looked up; `source` is None where they cannot be, and the note says why."""

    source: str | None
    note: Label


class Lookup:
    """The clients of the champion's training data, or of others that were named.

    Parameters
    ----------
    serving : Serving
        Who the champion is, and under which portfolio rows are read.
    source : str
        Where clients are; empty for what the champion was trained on.
    """

    def __init__(self, serving: Serving, source: str) -> None:
        self.serving, self.source = serving, source
        self._opened: tuple[tuple[str, str], Clients] | None = None

    def place(self) -> Place:
        """Say where existing clients are looked up, if they can be."""
        if self.source:
            return Place(self.source, Label(self.source, self.source))
        held = self.serving.current()
        known = held[0].tags.get("source", "") if held else ""
        if known and "://" not in known and Path(known).exists():
            return Place(known, Label(known, known))
        return Place(
            None,
            Label(
                f"The data that the model was trained on ({known or 'unknown'}) are not here: existing clients cannot "
                "be looked up. Start the app with --data FOLDER to name data that are.",
                f"Les données d'apprentissage du modèle ({known or 'inconnues'}) ne sont pas ici : les clients "
                "existants ne peuvent être retrouvés. Démarrez l'application avec --data DOSSIER.",
            ),
        )

    def numbers(self, prefix: str = "", limit: int = 20) -> list[str]:
        """Return client numbers that begin with `prefix`; none where clients cannot be looked up."""
        clients = self._clients()
        return clients.numbers(prefix, limit) if clients else []

    def case(self, key: str) -> Case:
        """Return a client's application and history; DataError if there is no such client."""
        return Case(*self._here(f"client {key!r}: ").case(key))

    def history(self, key: str) -> History | None:
        """Return a client's history; None if there is no such client, DataError where none can be looked up."""
        clients = self._here("history: ")
        return clients.case(key)[1] if key in clients.numbers(key, 1) else None

    def _here(self, what: str) -> Clients:
        clients = self._clients()
        if clients is None:
            raise DataError(f"{what}{self.place().note.en}")
        return clients

    def _clients(self) -> Clients | None:
        """Return the clients, opened once for each portfolio and source."""
        source, held = self.place().source, self.serving.current()
        if source is None or held is None:
            return None
        book, opened = held[1].portfolio, self._opened
        if opened is None or opened[0] != (book.digest, source):
            self._opened = opened = ((book.digest, source), Clients(book, source))
        return opened[1]
