"""Python, the packages and their compiled parts, held to what this package's own metadata ask for."""

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from credit import __version__
from credit.cli.checks import FAULT, NOTE, OK, WARNING, Finding, guarded

__all__ = ["findings"]

LOCKED = "pip install --require-hashes -r requirements/run.txt"
#: Modules whose import loads a shared library, the most often incomplete one first.
COMPILED = ("lightgbm", "numpy", "scipy", "sklearn", "pandas", "pyarrow", "duckdb", "matplotlib")
OPENMP = "install the OpenMP runtime (Debian: apt-get install libgomp1; macOS: brew install libomp)"
#: What an optional extra is good for; the others are for people who develop.
EXTRAS = {
    "argo": "flows on Argo Workflows",
    "notebook": "the notebook",
    "postgres": "the ledger on PostgreSQL",
    "spark": "features on Spark",
}


def findings() -> Iterator[Finding]:
    """Look at the interpreter, the packages, what is compiled, and the extras."""
    try:
        own = distribution("credit")
    except PackageNotFoundError:
        remedy = "pip install --no-deps --no-build-isolation -e . in the checkout"
        yield Finding("python", WARNING, "credit is not installed: nothing says which versions it needs", remedy)
    else:
        yield from _python(own)
        yield from _packages(own)
        yield from _extras(own)
    for module in COMPILED:
        yield from guarded(module, lambda module=module: _import(module), remedy=_remedy(module))  # type: ignore[misc]


def _python(own: Distribution) -> Iterator[Finding]:
    wanted = own.metadata["Requires-Python"] or ""
    found = ".".join(map(str, sys.version_info[:3]))
    fits = SpecifierSet(wanted).contains(found, prereleases=True)
    remedy = "" if fits else f"make an environment with a Python {wanted}"
    yield Finding("python", OK if fits else FAULT, f"{found}, wanted {wanted}", remedy)
    if own.version != __version__:
        told = f"the installed metadata are those of {own.version}, the code is {__version__}"
        yield Finding("credit", WARNING, told, "pip install --no-deps --no-build-isolation -e . in the checkout")


def _packages(own: Distribution) -> Iterator[Finding]:
    needed = [each for each in map(Requirement, own.requires or ()) if _applies(each, "")]
    odd = [finding for finding in map(_package, needed) if finding]
    yield from odd
    if not odd:
        yield Finding("packages", OK, f"all {len(needed)} are within the bounds of credit {own.version}")


def _package(needed: Requirement) -> Finding | None:
    """Return what is wrong with a package, if anything is."""
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        return Finding(needed.name, FAULT, f"is not installed, wanted {needed.specifier or 'any version'}", LOCKED)
    if needed.specifier.contains(found, prereleases=True):
        return None
    return Finding(needed.name, WARNING, f"{found} is installed, wanted {needed.specifier}", LOCKED)


def _extras(own: Distribution) -> Iterator[Finding]:
    for extra, purpose in EXTRAS.items():
        needed = [each for each in map(Requirement, own.requires or ()) if _applies(each, extra, only=True)]
        odd = [f"{finding.name} {finding.told}" for finding in map(_package, needed) if finding]
        if odd:
            names = " ".join(f"'{each.name}{each.specifier}'" for each in needed)
            yield Finding(
                f"extra {extra}", NOTE, f"{'; '.join(odd)}; only needed for {purpose}", f"pip install {names}"
            )
        elif needed:
            yield Finding(f"extra {extra}", OK, f"installed, for {purpose}")


def _applies(needed: Requirement, extra: str, *, only: bool = False) -> bool:
    """Whether a requirement is one of an extra; without one, of the package itself."""
    if needed.marker is None:
        return not only
    try:
        return needed.marker.evaluate({"extra": extra}) and not (only and needed.marker.evaluate({"extra": ""}))
    except UndefinedEnvironmentName:
        return False


def _import(module: str) -> Iterator[Finding]:
    import_module(module)
    if module == COMPILED[0]:
        yield Finding(module, OK, "loads, and with it the OpenMP runtime")


def _remedy(module: str) -> str:
    return OPENMP if module == COMPILED[0] else LOCKED
