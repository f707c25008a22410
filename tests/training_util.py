"""TrainingFlow for real, through Metaflow's own Runner, on a small book of the tests' own."""

import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from metaflow import Run, Runner, Step, Task

from credit.__main__ import main
from credit.home import Home

__all__ = ["BOOK", "FLOW", "Place", "Ran", "rows"]

ROOT = Path(__file__).resolve().parents[1]
FLOW = str(ROOT / "flows" / "training.py")
BOOK = """
name = "shop"
title = { en = "Shop loans", fr = "Crédits de magasin" }
source = "made up by a test"
licence = "none needed"
main = "loans"
key = "client"
target = "default"

[training]
candidates = ["native", "imputed", "weighted", "monotone", "selected", "broken"]
references = ["prior", "scorecard"]

[candidates.native]
grid = { num_leaves = [4, 8] }
search_trees = 30
trees = 60
[candidates.weighted]
grid = { num_leaves = [4, 8] }
search_trees = 30
trees = 60
[candidates.selected]
grid = { num_leaves = [4, 8] }
search_trees = 30
trees = 60
[candidates.broken]
grid = { num_leaves = [-1] }

[[groups]]
name = "sex"
column = "sex"
en = "Sex"
fr = "Sexe"

[tables.loans]
en = "Loans"
fr = "Crédits"
files = ["loans"]
key = ["client"]

[tables.loans.columns]
client = { en = "Client", fr = "Client", type = "integer", role = "key", missing = false }
default = { en = "Default", fr = "Défaut", type = "flag", role = "target", missing = false }
sex = { en = "Sex", fr = "Sexe", type = "category", role = "protected", levels = ["f", "m"] }
income = { en = "Income", fr = "Revenu", type = "number", unit = "currency", min = 0, monotone = -1 }
amount = { en = "Amount", fr = "Montant", type = "number", unit = "currency", min = 0, actionable = true }
years = { en = "Years in the job", fr = "Années d'emploi", type = "number", unit = "years", min = 0 }
job = { en = "Job", fr = "Métier", type = "category", levels = ["a", "b", "c"] }
"""


def rows(clients: int, seed: int) -> pd.DataFrame:
    """Loans whose risk falls with income, rises with the amount, and does not know the sex."""
    rng = np.random.default_rng(seed)
    income, amount = rng.lognormal(10, 0.5, clients), rng.lognormal(9, 0.7, clients)
    years = np.where(rng.random(clients) < 0.2, np.nan, rng.gamma(2, 3, clients))
    job = rng.choice(["a", "b", "c"], clients)
    raw = (
        -2.9
        - 2.0 * (np.log(income) - 10)
        + 1.4 * (np.log(amount) - 9)
        + 0.7 * (job == "c")
        - 0.05 * np.nan_to_num(years)
    )
    default = (rng.random(clients) < 1 / (1 + np.exp(-raw))).astype(int)
    return pd.DataFrame(
        {
            "client": np.arange(clients) + 1,
            "default": default,
            "sex": rng.choice(["f", "m"], clients),
            "income": income.round(2),
            "amount": amount.round(2),
            "years": years,
            "job": job,
        }
    )


@dataclass
class Ran:
    """How a run ended, and all that it said; Metaflow removes its own copy with the runner."""

    status: str
    run: Run
    said: str
    tasks: dict[str, str]  # a task of each step, while Metaflow's client still looks into this folder


def shown(step: Step, task: Task) -> bool:
    """Whether a task's card is looked at: of the candidates, the first one's."""
    return step.id != "fit" or ("candidate" in task and task["candidate"].data.name == "native")


class Place:
    """A folder with a book, its data, and a home of its own; runs flows and commands there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / ".credit")
        (folder / "shop.toml").write_text(BOOK, encoding="utf-8")
        rows(4_000, 0).to_csv(folder / "loans.csv", index=False)

    def environment(self, **more: str) -> dict[str, str]:
        return {"CREDIT_HOME": str(self.home.root), "METAFLOW_USER": "tests", "METAFLOW_HOME": str(self.folder), **more}

    def run(self, command: str = "run", environment: dict[str, str] | None = None, **options: object) -> Ran:
        runner = Runner(FLOW, show_output=False, env=self.environment(**(environment or {})), cwd=str(self.folder))
        defaults = {"portfolio": "shop.toml", "data": "loans.csv"} if command == "run" else {}
        with runner as running:
            done = getattr(running, command)(**{**defaults, **options})
            tasks = {step.id: task.pathspec.split("/", 1)[1] for step in done.run for task in step if shown(step, task)}
            return Ran(done.status, done.run, done.stdout + done.stderr, tasks)

    def credit(self, *words: str, code: int = 0, **environment: str) -> dict:
        """Run a command here, in this process: its imports are dear, and `score` shows that they work elsewhere."""
        out, said = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(said):
            patch.chdir(self.folder)
            for name, value in self.environment(**environment).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["credit", *words, "--json"])
            with pytest.raises(SystemExit) as ended:
                main()
        assert (ended.value.code or 0) == code, said.getvalue()
        return {"message": said.getvalue() + out.getvalue()} if code else json.loads(out.getvalue())

    def score(self, *words: str) -> dict:
        """Run `credit score` as a user does, in a process of its own."""
        command = [sys.executable, "-m", "credit", "score", *words, "--json"]
        environment = {**os.environ, **self.environment()}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
