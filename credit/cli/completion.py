"""What the shell offers where a value is typed; imports nothing heavy, for every press of the key starts Python."""

import json

from credit import portfolio

__all__ = ["books", "drifts", "portfolios"]


def portfolios() -> list[str]:
    """Name the portfolios that come with the package; where none fits, the shell offers files."""
    return list(portfolio.available())


def books() -> list[tuple[str, str]]:
    """Name the open books that can be fetched, with their titles."""
    catalogue = json.loads((portfolio.FOLDER / "sources.json").read_text(encoding="utf-8"))
    return [(name, facts.get("title", "")) for name, facts in catalogue.items() if not facts.get("steps")]


def drifts() -> list[str]:
    """Name what can change in a simulation; a test holds it to `credit.data.synthetic_drift`."""
    return ["risk", "income", "score", "younger", "none"]
