"""The notebook, executed from clean in a folder of its own: what it computes is held against what it leaves behind.

The script beside it is what one reviews; `jupytext --sync notebooks/credit_scoring.py` makes the notebook from it.
"""

import os
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from credit.governance.ledger import Ledger
from credit.governance.records import Records
from credit.governance.registry import Registry
from credit.governance.replay import replay
from credit.home import Home

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK, SCRIPT = (ROOT / "notebooks" / f"credit_scoring.{suffix}" for suffix in ("ipynb", "py"))
STEPS = (
    *("Question", "Data", "Contract", "Exploration", "Split", "Imputation and imbalance", "Candidates and search"),
    *("Cost and threshold", "Explanation", "Registration", "Drift", "Decision"),
)
PICTURES = 21
#: Before the notebook's first cell: warnings are errors, as in all tests, and whoever is asked outside is noted.
BEFORE = """
import socket as _socket
import sys as _sys
import warnings as _warnings

from _pytest.config import apply_warning_filters as _apply

_apply({filters!r}, [])
_asked = []


def _noted(event, given):
    if event == "socket.connect" and isinstance(given[1], tuple) and given[1][0] not in ("127.0.0.1", "::1"):
        _asked.append(given[1])


_sys.addaudithook(_noted)
print(_sys.executable)
"""
AFTER = "print('asked outside:', _asked)"


@dataclass(frozen=True)
class Ran:
    """The notebook with its outputs, and the folder that it ran in."""

    cells: list[NotebookNode]
    folder: Path

    @property
    def outputs(self) -> list[NotebookNode]:
        return [output for cell in self.cells for output in cell.get("outputs", [])]

    @property
    def printed(self) -> str:
        return "".join(output.text for output in self.outputs if output.output_type == "stream")

    @property
    def home(self) -> Home:
        return Home(self.folder / ".credit" / "notebook")


def committed() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def steps() -> dict[str, list[NotebookNode]]:
    """The cells of each step, by its heading."""
    found: dict[str, list[NotebookNode]] = {}
    heading = ""
    for cell in committed().cells:
        if cell.cell_type == "markdown" and (named := re.match(r"## (\d+\. .+)", cell.source)):
            heading = named[1]
        found.setdefault(heading, []).append(cell)
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Execute it as Jupyter does, with no home, no server and no settings."""
    folder, state = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("jupyter")
    filters = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["filterwarnings"]
    notebook = committed()
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BEFORE.format(filters=filters)))
    notebook.cells.append(nbformat.v4.new_code_cell(AFTER))
    with pytest.MonkeyPatch.context() as patch:
        own = [name for name in os.environ if name.startswith("CREDIT_NOTEBOOK_")]
        for name in ("CREDIT_HOME", "CREDIT_LEDGER_URL", "MLFLOW_TRACKING_URI", *own):
            patch.delenv(name, raising=False)
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(state / name.lower()))
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return Ran(notebook.cells, folder)


# ---- What it computes --------------------------------------------------------------------------------------------


def test_it_runs_in_this_python_and_asks_nobody_outside(ran: Ran) -> None:
    assert ran.printed.startswith(f"{sys.executable}\n")
    assert ran.printed.endswith("asked outside: []\n")


def test_the_champion_it_names_is_in_its_registry_and_nowhere_else(ran: Ran) -> None:
    champion = Registry("home_credit_notebook", ran.home).champion()
    assert champion is not None
    assert champion.number == 1
    assert "Champion: credit-home_credit_notebook version 1\n" in ran.printed
    assert re.search(r"Verdict: First model: the challenger becomes champion; it passes all \d+ rules\.", ran.printed)
    assert champion.tags["synthetic"] == "true"
    assert [path.name for path in (ran.folder / ".credit").iterdir()] == ["notebook"]  # the real registry is not there


def test_the_model_costs_less_than_treating_everyone_alike(ran: Ran) -> None:
    cost = re.search(r"Cost per SYNTHETIC applicant on test: (\S+) \((\S+) to (\S+)\)", ran.printed)
    saved = re.search(r"Saved against refusing all: (\S+)", ran.printed)
    assert cost
    assert saved
    estimate, low, high = map(float, cost.groups())
    assert low < estimate < high < 1
    assert float(saved[1]) > 0


def test_the_leak_that_it_makes_on_purpose_shows(ran: Ran) -> None:
    leaked, honest = (
        [float(each) for each in re.search(rf"chosen {where}: +(\S+) \((\S+) to (\S+)\)", ran.printed).groups()]
        for where in ("on all rows", "inside train")
    )
    assert leaked[1] > 0.5  # the interval of what noise cannot know
    assert honest[1] < 0.5 < honest[2]


def test_the_contract_names_every_fault_that_was_planted(ran: Ran) -> None:
    for column in ("TARGET", "AMT_CREDIT", "NAME_EDUCATION_TYPE", "DAYS_BIRTH", "SK_ID_CURR"):
        assert f"application.{column}: " in ran.printed


def test_monitoring_tells_the_quiet_month_from_the_other(ran: Ran) -> None:
    quiet, failing = re.findall(r"(?:a quiet month|a source fails): (\w+), \d+ SYNTHETIC applicants", ran.printed)
    assert quiet != "ALERT"
    assert failing == "ALERT"
    after = ran.printed[ran.printed.index("a source fails: ") :]
    assert re.search(r"ALERT: \w+ has moved \(index [\d.]+, chance reaches [\d.]+\), missing ", after)


def test_the_decision_that_it_wrote_down_can_be_replayed_by_anybody(ran: Ran) -> None:
    ledger, number = (
        Ledger(ran.home.ledger_url),
        int(re.search(r"Ledger: decision (\d+) written; whole", ran.printed)[1]),
    )
    assert ledger.verify() == []
    recorded = Records(ledger).find(number)
    assert (recorded.decision, recorded.channel, recorded.synthetic) == ("decline", "notebook", True)
    again = replay(Records(ledger), Registry("home_credit_notebook", ran.home), number)
    assert again.same, again.differences
    assert f"Replay of decision {number}: the same, bit for bit" in ran.printed
    assert f"recorded {recorded.probability.hex()}, made again {recorded.probability.hex()}" in ran.printed


def test_the_forged_copy_is_found_out(ran: Ran) -> None:
    assert re.search(r"Forged copy: event \d+: its content does not match its hash", ran.printed)


def test_the_refused_applicant_is_told_why_in_both_languages_and_what_would_help(ran: Ran) -> None:
    told = ran.printed[ran.printed.index("Principal reasons") : ran.printed.index("Ledger: decision")]
    assert (
        len(re.findall(r"^    en  \S", told, re.MULTILINE)) == len(re.findall(r"^    fr  \S", told, re.MULTILINE)) > 0
    )
    assert re.search(r"probability of default then \d+\.\d+%: approve", told)


def test_every_picture_is_there_with_words_for_those_who_cannot_see_it(ran: Ran) -> None:
    pictures = [output for output in ran.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == PICTURES
    assert all(output.metadata["image/png"]["alt"] for output in pictures)


def test_it_shows_no_warning_and_no_path_of_this_machine(ran: Ran) -> None:
    assert [output.text for output in ran.outputs if output.get("name") == "stderr"] == []
    shown = ran.printed.removeprefix(f"{sys.executable}\n") + "".join(
        str(output.data.get(kind, ""))
        for output in ran.outputs
        if "data" in output
        for kind in ("text/html", "text/plain")
    )
    assert "SYNTHETIC" in shown
    for place in (ran.folder, ROOT, Path.home(), Path(sys.prefix)):
        assert str(place) not in shown


# ---- What is committed -------------------------------------------------------------------------------------------


def test_the_twelve_steps_stand_in_their_order() -> None:
    assert list(steps()) == ["", *(f"{number}. {title}" for number, title in enumerate(STEPS, start=1))]


@pytest.mark.parametrize("number", range(1, 13))
def test_each_step_asks_says_why_warns_and_ends_with_something_to_try(number: int) -> None:
    cells = list(steps().values())[number]
    told = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert re.search(r"^\*\*.+\?\*\*$", told[0], re.MULTILINE)
    assert re.search(r"[Ww]hy (it matters|a hash)", "".join(told))
    assert "**A mistake to avoid.**" in "".join(told)
    assert "**Try it.**" in told[-1]
    assert any(cell.cell_type == "code" for cell in cells)


def test_the_notebook_is_the_script_beside_it() -> None:
    made, kept = jupytext.read(SCRIPT), committed()
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], "jupytext --sync notebooks/credit_scoring.py"


def test_it_is_committed_without_outputs_and_without_traces_of_a_machine() -> None:
    notebook = committed()
    assert set(notebook.metadata) == {"jupytext", "kernelspec"}
    assert set(notebook.metadata.kernelspec.values()) == {"Python 3 (ipykernel)", "python", "python3"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


def test_it_calls_the_library_and_does_not_do_its_work_again() -> None:
    """Models are fitted by hand in step 6 alone, where ways are compared; nothing looks at test but the assessment."""
    for heading, cells in steps().items():
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        others = r"\b(lightgbm|mlflow|shap|evidently|metaflow|gradio|flows|gradio_app|tests)\b"
        assert not re.search(rf"^\s*(import|from) .*{others}", code, re.MULTILINE), heading
        assert not re.search(r"load\(.test.\)", code), heading
        if not heading.startswith("6."):
            assert "sklearn" not in code, heading
            assert not re.search(r"(?<!credit)\.fit\(", code), heading
    whole = "\n".join(cell.source for cells in steps().values() for cell in cells)
    assert whole.index("console.quiet()") < whole.index("\nimport credit\n")
