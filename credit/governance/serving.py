"""The champion, opened and kept current while a program runs; promotes nobody."""

import time
from threading import Lock

from credit.console import log
from credit.errors import CreditError
from credit.governance.registry import Registry, Version
from credit.home import Home
from credit.scoring.decider import Decider

__all__ = ["Serving", "open_version"]


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
        Seconds after which the registry is asked again who is champion.

    Notes
    -----
    A new champion is opened beside the old one, which answers until the new one is ready.  A registry that does not
    answer, or a champion that does not open, leaves the model in use where it is; `trouble` says what is wrong.
    """

    def __init__(self, portfolio: str, home: Home | None = None, every: float = 5.0) -> None:
        self.registry = Registry(portfolio, home)
        self.every = every
        self.trouble = ""
        self._current: tuple[Version, Decider] | None = None
        self._asked = float("-inf")
        self._lock = Lock()

    def current(self) -> tuple[Version, Decider] | None:
        """Return the champion and its decider, or None where there is no champion yet.

        Raises
        ------
        CreditError
            If none could be opened yet, because the registry or the bundle is at fault.
        """
        if time.monotonic() - self._asked < self.every and self._current:
            return self._current
        if not self._lock.acquire(blocking=self._current is None):
            return self._current  # another thread is at it; the model in use answers meanwhile
        try:
            self._refresh()
        except CreditError as error:
            self.trouble = str(error)
            log.warning("champion: %s", error)
            if self._current is None:
                raise
        finally:
            self._lock.release()
        return self._current

    def _refresh(self) -> None:
        version = self.registry.champion()
        self._asked = time.monotonic()
        if version is None:
            self._current = None
        elif self._current is None or self._current[0].digest != version.digest:
            decider = open_version(self.registry, version)
            _ = decider.online  # seconds of preparation, before anyone waits for it
            self._current = (version, decider)
            log.info("champion: %s is in use", version)
        else:
            self._current = (version, self._current[1])
        self.trouble = ""
