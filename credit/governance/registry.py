"""Registered models: publish, promote, roll back, load; knows the rules of succession and nothing of MLflow.

A version is one bundle. Its hash and the gate's verdict are tags, set in the very call that creates it. The
alias `challenger` follows the newest version; `champion` moves last, in one call, after the bundle was read
back and checked: whoever kills the process leaves the old champion or the new one, never none. The ledger
says who moved it, when, from where and why; a move that a kill kept out of it is recorded by the next writer.
Writers on one machine take turns under a file lock.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from credit.console import log
from credit.errors import ConfigError, ModelError, ServiceError
from credit.governance.ledger import Event, Ledger
from credit.governance.release import Judged, digest
from credit.governance.succession import PROPOSAL, REGISTRATION, VERDICT, Succession
from credit.governance.tracking import Tracking
from credit.governance.version import CHALLENGER, CHAMPION, STALE, Version, tags, verdict_tags
from credit.home import LOCK_SECONDS, Home

__all__ = ["Registry", "Version"]


class Registry:
    """One portfolio's registered model.

    Parameters
    ----------
    portfolio : str
        Its name; the model is called ``credit-NAME``.
    home : Home, optional
        Where state lives; default: as the environment says.
    """

    def __init__(self, portfolio: str, home: Home | None = None) -> None:
        self.model = f"credit-{portfolio}"
        self.home = home or Home.here()
        self._tracking = Tracking(self.model, self.home)
        self._succession = Succession(Ledger(self.home.ledger_url), self.model)

    def publish(self, judged: Judged) -> Version:
        """Register a release, and make it champion where its verdict says so.

        Repeating it, after a kill or a server's failure, finishes what is missing and registers nothing twice; a
        new verdict takes the place of the old one, but what was champion once is not promoted again. A verdict
        holds against the champion that it was found against: if another run has promoted since, the version is
        registered, tagged "stale" and not promoted.

        Parameters
        ----------
        judged : Judged
            From `credit.governance.release.judge`.

        Returns
        -------
        Version
            As it stands after the call; see its `is_champion`.

        Raises
        ------
        ServiceError
            If the server does not answer; the message says where the model is kept and how to go on.
        """
        verdict = judged.verdict
        with self._writing(_kept_at(judged.release.folder)):
            number = self._tracking.find("release", tags(judged)["release"]) or self._tracking.register(judged)
            self._tracking.point(CHALLENGER, max(self._tracking.numbers()))
            if not self._succession.reigned(number):
                self._take_down(self._tracking.version(number), judged)
                if verdict.promote:
                    self._promote(self._tracking.version(number), verdict.summary)
            return self._tracking.version(number)

    @contextmanager
    def keeping(self, folder: Path) -> Iterator[None]:
        """Let a ServiceError say that the trained model is kept in a release's `folder`, and how to go on."""
        with self._tracking.answering(_kept_at(folder)):
            yield

    def promote(self, number: int, *, reason: str, force: bool = False) -> Version:
        """Make a version champion by hand.

        Parameters
        ----------
        number : int
            The version.
        reason : str
            Why; recorded.
        force : bool
            Even if it was never champion and no verdict promotes it over the present one.

        Raises
        ------
        ConfigError
            If there is no reason.
        ModelError
            If the version is unknown, champion already, not allowed, or its files were changed.
        """
        with self._writing():
            return self._by_hand("promotion", number, reason, force)

    def rollback(self, number: int | None = None, *, reason: str, force: bool = False) -> Version:
        """Make an earlier champion champion again.

        Parameters
        ----------
        number : int, optional
            The version; default: the champion before the present one. Repeated, that goes back step by step.
        reason, force
            As in `promote`.

        Raises
        ------
        ConfigError, ModelError
            As in `promote`; also where there was no champion before.
        """
        with self._writing():
            if number is None:
                number = self._succession.previous(self._tracking.champion(), self._tracking.numbers())
            if number is None:
                raise ModelError(f"{self.model}: there was no champion before the present one; name a version.")
            return self._by_hand("rollback", number, reason, force)

    def propose(self, number: int, *, reason: str, **evidence: Any) -> int:
        """Record that a rollback to a version is proposed; who may, decides.

        Parameters
        ----------
        number : int
            The version that should be champion again.
        reason : str
            Why.
        **evidence
            JSON values.

        Returns
        -------
        int
            The event's id.

        Raises
        ------
        ConfigError
            If there is no reason.
        ModelError
            If the version is unknown, or champion already.
        """
        with self._writing():
            champion, version = self._checked(number, reason)
            before = champion.number if champion else None
            return self._succession.record(PROPOSAL, before, version, reason.strip(), **evidence)

    def predecessor(self) -> Version | None:
        """Return the champion before the present one, if there was one that still exists."""
        with self._tracking.answering():
            number = self._succession.previous(self._tracking.champion(), self._tracking.numbers())
            return None if number is None else self._tracking.version(number)

    def champion(self) -> Version | None:
        """Return the champion, if there is one."""
        with self._tracking.answering():
            return self._tracking.champion()

    def version(self, number: int) -> Version:
        """Return one version; ModelError if there is none of this number."""
        with self._tracking.answering():
            return self._tracking.version(number)

    def versions(self) -> list[Version]:
        """Return all versions, the oldest first."""
        with self._tracking.answering():
            return [self._tracking.version(number) for number in self._tracking.numbers()]

    def history(self) -> list[Event]:
        """Return the ledger's events about this model: registrations and moves of the champion."""
        return self._succession.events()

    def load(self, version: Version | None = None) -> Path:
        """Bring a version's bundle here, and check it before anyone parses it.

        Parameters
        ----------
        version : Version, optional
            Default: the champion.

        Returns
        -------
        Path
            Folder of the bundle, in the workspace, its content equal to the hash that the registry holds.

        Raises
        ------
        ModelError
            If there is no champion, or files are missing, changed or added.
        """
        version = version or self.champion()
        if version is None:
            raise ModelError(f"{self.model}: has no champion; train one, or promote a version.")
        kept = self._kept(version)
        if kept.is_dir() and digest(kept) == version.digest:
            return kept
        with self._tracking.answering():
            return self._fetch(version)

    def evidence(self, version: Version) -> Path:
        """Bring the tables and figures of a version's run here, once.

        Parameters
        ----------
        version : Version
            Any version.

        Returns
        -------
        Path
            A folder in the workspace; they are for people to look at, and no hash vouches for them.

        Raises
        ------
        ModelError
            If they cannot be read.
        """
        kept = self.home.workspace / "evidence" / version.digest
        if not kept.is_dir():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with self._tracking.answering(), tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                found = self._tracking.evidence(version, tempfile.mkdtemp(dir=folder))
                with suppress(FileExistsError):  # another process brought them meanwhile
                    found.rename(kept)
        return kept

    @contextmanager
    def _writing(self, remedy: str = "") -> Iterator[None]:
        self.home.root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.home.root / "registry.lock", LOCK_SECONDS)
        try:
            with lock, self._tracking.answering(remedy):
                self._succession.reconcile(self._tracking.champion())
                yield
        except filelock.Timeout as error:
            raise ServiceError(
                f"{lock.lock_file}: another process has been writing to the registry for {LOCK_SECONDS:g} s; "
                f"wait for it or end it.{remedy}"
            ) from error

    def _take_down(self, version: Version, judged: Judged) -> None:
        """Record a registration, or a verdict that differs from the one on record."""
        told = {"verdict": judged.verdict.to_dict()}
        if not self._succession.registered(version.number):
            self._succession.record(REGISTRATION, None, version, judged.verdict.summary, **told)
        if not verdict_tags(judged.verdict).items() <= version.tags.items():
            self._tracking.rejudge(version.number, judged.verdict)
            self._succession.record(VERDICT, None, version, judged.verdict.summary, **told)

    def _promote(self, version: Version, reason: str) -> None:
        if version.may_follow(self._tracking.champion()):
            self._move("promotion", version, reason)
            return
        why = "the champion has changed since its verdict"
        self._tracking.tag(version.number, STALE, why)
        log.warning("%s: registered, not promoted: %s; `credit register` compares it anew.", version, why)

    def _by_hand(self, kind: str, number: int, reason: str, force: bool) -> Version:
        champion, version = self._checked(number, reason)
        if not (force or version.may_follow(champion) or self._succession.reigned(number)):
            raise ModelError(
                f"{version}: was never champion, and its verdict ({version.outcome}) does not promote it "
                "over the present one; choose another version, or insist with --force."
            )
        self._move(kind, version, reason.strip(), forced=force)
        return self._tracking.version(number)

    def _checked(self, number: int, reason: str) -> tuple[Version | None, Version]:
        if not reason.strip():
            raise ConfigError("--reason: is empty; say why, it goes into the ledger.")
        version, champion = self._tracking.version(number), self._tracking.champion()
        if champion and champion.number == number:
            raise ModelError(f"{version}: is the champion already.")
        return champion, version

    def _move(self, kind: str, version: Version, reason: str, **more: Any) -> None:
        self._fetch(version)  # never a champion that does not load
        before = self._tracking.champion()
        self._tracking.point(CHAMPION, version.number)
        self._succession.record(kind, before.number if before else None, version, reason, **more)

    def _kept(self, version: Version) -> Path:
        return self.home.workspace / "models" / version.digest

    def _fetch(self, version: Version) -> Path:
        """Download a bundle, check it, and only then put it where `load` looks."""
        kept = self._kept(version)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            bundle = self._tracking.download(version, folder)
            if (found := digest(bundle)) != version.digest:
                raise ModelError(
                    f"{version}: its files are not what was registered (SHA-256 {found[:12]}..., registered "
                    f"{version.digest[:12]}...) and were not opened; restore them, or roll back."
                )
            shutil.rmtree(kept, ignore_errors=True)
            bundle.rename(kept)
        return kept


def _kept_at(folder: Path) -> str:
    return f" The trained model is kept: `credit register {folder}` finishes the job."
