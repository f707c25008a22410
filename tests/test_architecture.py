"""The rules of the house, read from the source of every module: who may import whom, and what none may do.

The wings are the story of an application from raw row to monitored decision.  It can be read, tested and
replaced wing by wing only while imports run one way.  A rule is kept only if a test fails where it is broken,
so every rule here is shown to catch a planted breach.
"""

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import credit

ROOT = Path(__file__).resolve().parent.parent
HOUSES = ("credit", "flows", "gradio_app", "benchmarks")

#: A wing imports only itself and those before it.
WINGS = (
    *("errors", "console", "cores", "home", "settings", "portfolio", "data", "features", "evaluation"),
    *("training", "scoring", "governance", "monitoring", "plots", "cli", "__main__"),
)
#: Figures are drawn from tables, never from a model or a registry.
PLOTTED = WINGS[: WINGS.index("evaluation") + 1]
#: What is cheap to import: nothing of HEAVY comes with it.
LIGHT = ("credit", "credit.errors", "credit.console", "credit.home", "credit.settings", "credit.portfolio")
HEAVY = (
    "numpy",
    "pandas",
    "sklearn",
    "scipy",
    "lightgbm",
    "mlflow",
    "matplotlib",
    "ibis",
    "duckdb",
    "shap",
    "pyarrow",
)

#: A library that only the places named may import, and benchmarks (as a peer to measure against).
OWNED = {
    "mlflow": ("credit/governance/tracking.py",),
    "shap": ("credit/scoring/explain.py",),
    "evidently": ("credit/monitoring/drift.py",),
    "lightgbm": ("credit/training/", "credit/scoring/"),
    "sklearn.experimental": ("credit/training/search.py",),
    "pyspark": ("credit/features/spark.py",),
}
#: The library knows no program that uses it, and unpickles nothing.
BANNED = {
    "metaflow",
    "gradio",
    "fastapi",
    "starlette",
    "uvicorn",
    "prometheus_client",
    "flows",
    "gradio_app",
    "benchmarks",
    "tests",
    "pickle",
    "cloudpickle",
    "dill",
    "shelve",
}

#: Where a dataset may be named.
NAMING = ("credit/portfolios/", "credit/features/", "credit/data/synthetic")
DATASETS = ("home_credit", "homecredit", "sk_id_", "taiwan", "lending_club", "german_credit")


def tree(path: str, source: str) -> ast.Module:
    return ast.parse(source, filename=path)


def module_of(path: str) -> str:
    return ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")


def imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import, inside functions too; `from a import b` gives `a.b`."""
    package = Path(path).parent.parts
    for node in ast.walk(tree(path, source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, *([node.module] if node.module else [])))
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from ((node.lineno, arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def breach_of_order(path: str, name: str) -> str | None:
    """Say why a module may not import `name`, by the order of houses and wings."""
    house, target = Path(path).parts[0], name.split(".")
    if house != "credit":
        other = [h for h in HOUSES if h not in ("credit", house) and within(name, h)]
        return f"{house} imports {other[0]}" if other else None
    if target[0] in BANNED:
        return f"credit imports {target[0]}"
    if target[0] != "credit" or path == "credit/__init__.py":
        return None
    wing = Path(path).with_suffix("").parts[1]
    if len(target) == 1 or target[1] not in WINGS:
        dunder = len(target) == 2 and target[1].startswith("__")
        return None if dunder else f"{wing} imports {name}, which is no wing"
    allowed = (*PLOTTED, "plots") if wing == "plots" else WINGS[: WINGS.index(wing) + 1]
    return None if target[1] in allowed else f"{wing} imports {target[1]}"


def breaches_of_imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield every import that the order or a library's ownership forbids."""
    for line, name in imports(path, source):
        if reason := breach_of_order(path, name):
            yield line, reason
        for library, places in OWNED.items():
            if within(name, library) and not path.startswith((*places, "benchmarks/")):
                yield line, f"{library} is imported outside {places[0]}"


def breaches_of_handling(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield every handler that could hide a fault nobody thought of; to tidy up and raise again is fine."""
    broad = {"Exception", "BaseException"}
    for node in ast.walk(tree(path, source)):
        if isinstance(node, ast.ExceptHandler):
            caught = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else broad
            if node.type and isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
                continue
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = {arg.id for arg in node.args if isinstance(arg, ast.Name)}
        else:
            continue
        if caught & broad:
            yield node.lineno, "catches everything"


def docstrings(parsed: ast.Module) -> set[int]:
    """Return the identities of the constants that are docstrings: prose may name what code may not."""
    owners = [
        n for n in ast.walk(parsed) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    first = [owner.body[0] for owner in owners if owner.body]
    return {id(node.value) for node in first if isinstance(node, ast.Expr)}


def words(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, word) of every string and identifier that is code."""
    parsed = tree(path, source)
    prose = docstrings(parsed)
    for node in ast.walk(parsed):
        match node:
            case ast.Constant(value=str(value)) if id(node) not in prose:
                yield node.lineno, value
            case ast.Name(id=value) | ast.Attribute(attr=value) | ast.arg(arg=value) | ast.keyword(arg=str(value)):
                yield node.lineno, value
            case ast.FunctionDef(name=value) | ast.ClassDef(name=value):
                yield node.lineno, value
            case ast.alias(name=value):
                yield node.lineno, value


@cache
def columns() -> set[str]:
    """Return the columns of the package's own portfolios that cannot be taken for plain words."""
    found: set[str] = set()
    for path in (ROOT / "credit/portfolios").glob("*.toml"):
        for table in tomllib.loads(path.read_text(encoding="utf-8")).get("tables", {}).values():
            found |= {name for name in table.get("columns", {}) if "_" in name and name != name.lower()}
    return found


def breaches_of_generality(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield every word of a dataset where a new book would then need new code; one default may be named."""
    if path.startswith(("benchmarks/", *NAMING)):
        return
    known, default = columns(), path.startswith("credit/portfolio")
    for line, word in words(path, source):
        if default and word == "home_credit":
            default = False
        elif any(dataset in word.lower() for dataset in DATASETS) or word in known:
            yield line, f"names a dataset: {word[:60]!r}"


def breaches_of_docstring(path: str, source: str) -> Iterator[tuple[int, str]]:
    if not ast.get_docstring(tree(path, source)):
        yield 1, "has no docstring"


RULES = (breaches_of_imports, breaches_of_handling, breaches_of_generality, breaches_of_docstring)


def breaches(path: str, source: str) -> list[str]:
    """Return every breach of every rule by one file, `path` being relative to the repository."""
    found = [f"{path}:{line}: {what}" for rule in RULES for line, what in rule(path, source)]
    return list(dict.fromkeys(found))


FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for house in HOUSES
    for path in sorted((ROOT / house).rglob("*.py"))
}


@pytest.mark.parametrize("path", FILES)
def test_module_keeps_the_rules(path: str) -> None:
    assert breaches(path, FILES[path]) == []


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("credit/data/x.py", "import credit.training.search", "data imports training"),
        ("credit/data/x.py", "from credit import training", "data imports training"),
        ("credit/data/x.py", "from ..training import search", "data imports training"),
        ("credit/data/x.py", "def f():\n    from credit.governance import gate", "data imports governance"),
        (
            "credit/data/x.py",
            "if TYPE_CHECKING:\n    from credit.scoring import scorer",
            "data imports scoring",
        ),
        ("credit/data/x.py", "importlib.import_module('credit.scoring')", "data imports scoring"),
        ("credit/data/__init__.py", "from .. import training", "data imports training"),
        ("credit/training/x.py", "from credit.scoring.scorer import Scorer", "training imports scoring"),
        ("credit/errors.py", "from .console import log", "errors imports console"),
        ("credit/plots/x.py", "from credit.training import search", "plots imports training"),
        ("credit/governance/x.py", "from credit import plots", "governance imports plots"),
        ("credit/data/x.py", "import credit", "no wing"),
        ("credit/data/x.py", "from credit import Portfolio", "no wing"),
        ("credit/training/x.py", "import metaflow.cards", "credit imports metaflow"),
        ("credit/cli.py", "from gradio import Blocks", "credit imports gradio"),
        ("credit/cli.py", "import flows.training", "credit imports flows"),
        ("credit/governance/x.py", "import pickle", "credit imports pickle"),
        ("credit/governance/gate.py", "import mlflow", "mlflow is imported outside"),
        ("flows/training.py", "import mlflow.pyfunc", "mlflow is imported outside"),
        ("credit/plots/x.py", "import shap", "shap is imported outside"),
        ("credit/monitoring/status.py", "from evidently import Report", "evidently is imported outside"),
        ("credit/evaluation/x.py", "import lightgbm as lgb", "lightgbm is imported outside"),
        (
            "credit/training/x.py",
            "from sklearn.experimental import enable_halving_search_cv",
            "is imported outside",
        ),
        ("flows/training.py", "import gradio_app.view", "flows imports gradio_app"),
        ("gradio_app/view.py", "from flows import cards", "gradio_app imports flows"),
        ("benchmarks/x.py", "def f():\n    import flows.training", "benchmarks imports flows"),
        ("credit/data/x.py", "try:\n    f()\nexcept:\n    raise", "catches everything"),
        (
            "flows/x.py",
            "try:\n    f()\nexcept (ValueError, Exception) as e:\n    log(e)",
            "catches everything",
        ),
        ("flows/x.py", "try:\n    f()\nexcept Exception as e:\n    raise X from e", "catches everything"),
        ("credit/data/x.py", "with contextlib.suppress(Exception):\n    f()", "catches everything"),
        ("credit/data/x.py", "key = 'SK_ID_CURR'", "names a dataset"),
        ("credit/data/x.py", "url = f'{home}/uci_taiwan.toml'", "names a dataset"),
        ("credit/cli.py", "home_credit = 1", "names a dataset"),
        ("credit/cli.py", "def load_home_credit(): ...", "names a dataset"),
        ("credit/cli.py", "frame.DAYS_EMPLOYED", "names a dataset"),
        ("credit/portfolio/x.py", "DEFAULT = 'home_credit'\nOTHER = 'home_credit'", "names a dataset"),
    ],
)
def test_planted_breach_is_caught(path: str, code: str, reason: str) -> None:
    [found] = breaches(path, f'"""Doc."""\n{code}\n')
    assert reason in found


def test_missing_docstring_is_caught() -> None:
    assert breaches("flows/x.py", "x = 1\n") == ["flows/x.py:1: has no docstring"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("credit/governance/tracking.py", "import mlflow\nfrom credit.scoring.scorer import Scorer"),
        ("credit/data/x.py", "from credit import __version__, errors\nfrom .tables import open_tables"),
        ("credit/plots/x.py", "from credit.evaluation import cost"),
        ("credit/cli.py", "from credit import plots\nfrom credit.governance import registry"),
        ("benchmarks/x.py", "import shap\nfrom credit.data import synthetic\nname = 'home_credit'"),
        ("flows/x.py", "from cards import table\nfrom credit.training import search"),
        ("credit/portfolio/__init__.py", "DEFAULT = 'home_credit'"),
        ("credit/features/x.py", "DAYS_EMPLOYED = 'SK_ID_CURR'"),
        ("credit/data/x.py", "def f():\n    '''Unlike home_credit.'''"),
        ("credit/data/x.py", "try:\n    f()\nexcept BaseException:\n    undo()\n    raise"),
        ("credit/data/x.py", "try:\n    f()\nexcept ValueError as error:\n    raise DataError from error"),
    ],
)
def test_honest_code_is_left_alone(path: str, code: str) -> None:
    assert breaches(path, f'"""Doc."""\n{code}\n') == []


def test_no_circle_of_modules() -> None:
    """A circle within a wing passes the order of wings, and breaks when someone imports its other end."""
    modules = {module_of(path): path for path in FILES}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = {name for _, name in imports(path, FILES[path])}
        targets = {name if name in modules else name.rpartition(".")[0] for name in names}
        graph[module] = {t for t in targets if t in modules and t != module and not within(module, t)}
    assert list(TopologicalSorter(graph).static_order())


WATCH = """
import importlib, json, os, sys

seen, roots = [], tuple(json.loads(sys.argv[2]))
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def watch(event, args):
    if event.startswith("socket.") and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        seen.append(f"{event} {args[1:]}")
    elif event in ("os.mkdir", "os.rename", "os.remove") or (event == "open" and (args[2] or 0) & writing):
        if isinstance(args[0], str) and os.path.abspath(args[0]).startswith(roots):
            seen.append(f"{event} {args[0]}")

environment = dict(os.environ)
sys.addaudithook(watch)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps({"seen": seen, "modules": sorted(sys.modules), "same": dict(os.environ) == environment}))
"""


def watched_import(names: list[str], folder: Path, script: str = WATCH) -> dict[str, object]:
    """Import modules in a fresh process in an empty folder; say what they touched on the way."""
    roots = json.dumps([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, json.dumps(names), roots],
        cwd=folder,
        env={**os.environ, "CREDIT_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", LIGHT)
def test_light_module_stays_light(name: str, tmp_path: Path) -> None:
    """The command line must answer at once, and a notebook must be able to import without consequences."""
    result = watched_import([name], tmp_path)
    assert result["seen"] == []
    assert result["same"], "the environment was changed"
    assert [heavy for heavy in HEAVY if heavy in result["modules"]] == []


def test_importing_everything_touches_nothing(tmp_path: Path) -> None:
    """No folder is made, no server contacted, on import: state begins when someone asks for it."""
    names = [module_of(path) for path in FILES if path.startswith("credit/") and not path.endswith("__main__.py")]
    assert watched_import(names, tmp_path)["seen"] == []


@pytest.mark.parametrize(
    "deed",
    ["open('x', 'w')", "os.mkdir('x')", "__import__('socket').create_connection(('127.0.0.1', 9))"],
)
def test_the_watch_sees(deed: str, tmp_path: Path) -> None:
    """The guard above can fail: here a module's import writes a file, makes a folder, opens a connection."""
    source = tmp_path / "library"
    source.mkdir()
    cleanup = "(os.path.isfile('x') and os.remove('x'), os.path.isdir('x') and os.rmdir('x'))"
    (source / "guilty.py").write_text(f"import os\ntry:\n    {deed}\nexcept OSError:\n    pass\n{cleanup}\n")
    folder = tmp_path / "empty"
    folder.mkdir()
    script = f"import sys; sys.path.insert(0, {str(source)!r})\n{WATCH}"
    assert watched_import(["guilty"], folder, script)["seen"] != []


def test_public_names_exist_and_are_sorted() -> None:
    """What the package shows is a promise to notebooks; a name that is not there breaks `import *`."""
    names = credit.__all__
    assert sorted(set(names)) == list(names)
    assert [name for name in names if not hasattr(credit, name)] == []
    assert set(names) <= set(dir(credit))
