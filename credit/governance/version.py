"""One registered version: what its tags say, and how a judged release becomes tags; knows no registry."""

from collections.abc import Mapping
from dataclasses import dataclass

from credit.errors import ModelError
from credit.governance.release import Judged, digest
from credit.governance.verdict import Verdict

__all__ = ["CHALLENGER", "CHAMPION", "STALE", "Version", "tags", "verdict_tags"]

CHAMPION, CHALLENGER = "champion", "challenger"
#: Tag of a version whose verdict was overtaken by another promotion.
STALE = "stale"


@dataclass(frozen=True)
class Version:
    """One registered version.

    Parameters
    ----------
    model : str
        The registered model's name.
    number : int
        1, 2, 3, ...
    created : str
        UTC, ISO 8601.
    run_id : str
        The run that made it.
    aliases : tuple of str
        "champion", "challenger", or none.
    tags : dict of str to str
        What was registered with it; see `tags`.

    Raises
    ------
    ModelError
        If a tag that every version of ours carries is missing.
    """

    model: str
    number: int
    created: str
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if absent := {"digest", "verdict", "promote", "against", "release"} - self.tags.keys():
            raise ModelError(
                f"{self}: carries no tag {', '.join(sorted(absent))}; it was not registered by this project "
                "and is not used; delete it from the registry."
            )

    def __str__(self) -> str:
        return f"{self.model} version {self.number}"

    @property
    def digest(self) -> str:
        """SHA-256 of its bundle."""
        return self.tags["digest"]

    @property
    def outcome(self) -> str:
        """The gate's verdict; see `credit.governance.verdict.Outcome`."""
        return self.tags["verdict"]

    @property
    def is_champion(self) -> bool:
        """Whether it is the champion."""
        return CHAMPION in self.aliases

    def may_follow(self, champion: "Version | None") -> bool:
        """Whether its verdict promotes it, and was found against this champion."""
        return self.tags["promote"] == "yes" and self.tags["against"] == (champion.digest if champion else "")


def verdict_tags(verdict: Verdict) -> dict[str, str]:
    """Return what tells later whether a version may be promoted, and over whom."""
    return {
        "verdict": verdict.outcome,
        "against": verdict.champion or "",
        "promote": "yes" if verdict.promote else "no",  # last: it permits a promotion
    }


def tags(judged: Judged) -> dict[str, str]:
    """Return what a version is tagged with: the release's own tags, and what `Version` reads."""
    release = judged.release
    return dict(release.tags) | {
        "release": digest(release.folder),
        "digest": judged.verdict.challenger,
        "data": release.data.digest,
        "rows": str(release.data.rows),
        "source": release.data.source,
        **verdict_tags(judged.verdict),
    }
