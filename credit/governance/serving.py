"""The champion, opened and kept current while a program runs; promotes nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from credit import console
from credit.errors import CreditError
from credit.governance.registry import Registry, Version
from credit.home import Home
from credit.scoring.decider import Decider, Identity

__all__ = ["Serving", "open_version"]

#: A child of its own, so that a server can let this be heard and the steps of the library not.
log = console.log.getChild("serving")

#: A registry at fault is asked less and less often: each wait is this many times the last one, up to so many seconds.
PATIENCE, LONGEST = 2.0, 60.0


def open_version(registry: Registry, version: Version) -> Decider:
    """Open a registered version: its files are checked against the registry's hash before they are parsed."""
    return Decider.load(registry.load(version), version.model, version.number, version.digest)


class Serving:
    """One portfolio's champion.

    Parameters
    ----------
    portfolio : str
        The book's name.
    home : Home, optional
        Where state lives.
    every : float
        Seconds after which `watching` asks the registry again who is champion.

    Attributes
    ----------
    trouble : str
        What was wrong at the last look; empty where nothing was.

    Notes
    -----
    A new champion is opened beside the old one, which answers until the new one is ready.  A registry that does not
    answer, or a champion that does not open, leaves the model in use where it is.  No request waits for the registry
    while `watching`; without it, whoever wants to know of a new champion calls `look`.
    """

    def __init__(self, portfolio: str, home: Home | None = None, every: float = 5.0) -> None:
        self.registry = Registry(portfolio, home)
        self.every = every
        self.trouble = ""
        self._current: tuple[Version, Decider] | None = None
        self._fault: CreditError | None = None
        self._looked = False
        self._lock = Lock()

    def current(self) -> tuple[Version, Decider] | None:
        """Return the champion and its decider, or None where there is no champion; only the first call looks.

        Raises
        ------
        CreditError
            If none could be opened yet, because the registry or the bundle is at fault.
        """
        if not self._looked:
            with self._lock:
                if not self._looked:
                    self._look()
        current, fault = self._current, self._fault
        if current is None and fault is not None:
            raise type(fault)(str(fault)) from fault
        return current

    @property
    def identity(self) -> Identity | None:
        """Which model is in use, if there is one; never looks, and so never waits."""
        held = self._current
        return held[1].identity if held else None

    def look(self) -> bool:
        """Ask the registry who is champion, and open it if it is another one; tell whether that went well."""
        with self._lock:
            self._look()
            return self._fault is None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look every few seconds, in a thread of its own, until the end of the block."""
        ended = Event()
        watch = Thread(target=self._watch, args=(ended,), name="champion", daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()

    def _watch(self, ended: Event) -> None:
        wait = 0.0
        try:
            while not ended.wait(wait):
                well = self.look()
                wait = self.every if well else min(max(wait, self.every) * PATIENCE, max(LONGEST, self.every))
        except BaseException as error:
            self.trouble = f"the watch over the registry ended ({type(error).__name__}); start the program again."
            raise

    def _look(self) -> None:
        try:
            self._refresh(self.registry.champion())
        except CreditError as error:
            if str(error) != self.trouble:
                log.warning("champion: %s", error)
            self._fault, self.trouble = error, str(error)
        else:
            self._fault, self.trouble = None, ""
        self._looked = True

    def _refresh(self, version: Version | None) -> None:
        if version is None:
            self._current = None
            return
        used = self._current
        if used and (used[0].number, used[0].digest) == (version.number, version.digest):
            self._current = (version, used[1])  # its tags may have changed
            return
        decider = open_version(self.registry, version)
        _ = decider.online  # seconds of preparation, before anyone waits for it
        self._current = (version, decider)
        log.info("champion: %s is in use", version)
