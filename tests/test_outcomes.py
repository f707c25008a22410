"""Outcomes: every valid row is recorded once, every other one is refused with its reason, nothing is lost between."""

import csv
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from ledger_util import decided, past

from credit.errors import ConfigError, DataError
from credit.governance import outcomes
from credit.governance.ledger import Ledger
from credit.governance.outcomes import import_outcomes
from credit.governance.records import Records

TODAY = datetime.now(UTC).date()


@pytest.fixture
def ledger(tmp_path):
    """Decisions 1 to 6, ten days old, and a note as event 7."""
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with past(10):
        decided(made, *"abcdef")
    made.append("note", {})
    return made


@pytest.fixture
def file(tmp_path):
    return tmp_path / "may.csv"


def write(file, *rows):
    file.write_text("\n".join(["decision,outcome,observed", *(",".join(map(str, row)) for row in rows)]) + "\n")
    return file


def refused(file):
    with file.with_name(f"{file.stem}.rejected.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_outcomes_are_joined_to_their_decisions(ledger, file):
    made = import_outcomes(ledger, write(file, (1, 0, TODAY), (3, 1, TODAY)), by="ana")
    assert (made.added, made.known, made.corrected, made.rejected) == (2, 0, 0, 0)
    records = Records(ledger)
    assert [records.find(number).outcome for number in range(1, 7)] == [0, None, 1, None, None, None]
    first = ledger.events("outcome")[0]
    assert first.payload == {"about": 1, "outcome": 0, "observed": TODAY.isoformat()}
    assert first.actor == "ana"
    assert refused(file) == []
    assert ledger.verify() == []


BAD = [
    (("", 1, TODAY), "decision '' is no number of a decision"),
    (("x", 1, TODAY), "decision 'x' is no number"),
    ((-1, 1, TODAY), "decision '-1' is no number"),
    (("1.5", 1, TODAY), "decision '1.5' is no number"),
    (("٣", 1, TODAY), "is no number"),
    ((0, 1, TODAY), "decision '0' is no number"),
    ((9999999999, 1, TODAY), "is no number"),
    ((99, 1, TODAY), "decision 99 is not in the ledger"),
    ((7, 1, TODAY), "decision 7 is not in the ledger"),
    ((1, "", TODAY), "outcome '' is neither 0 nor 1"),
    ((1, 2, TODAY), "outcome '2' is neither 0 nor 1"),
    ((1, "yes", TODAY), "outcome 'yes' is neither"),
    ((1, 1, ""), "observed '' is no date"),
    ((1, 1, "03/05/2026"), "observed '03/05/2026' is no date"),
    ((1, 1, "2026-02-30"), "observed '2026-02-30' is no date"),
    ((1, 1, TODAY + timedelta(days=2)), "is in the future"),
    ((1, 1, TODAY - timedelta(days=12)), "is before the decision of"),
]


def test_every_bad_row_is_refused_with_its_reason_and_every_other_kept(ledger, file):
    rows = [row for row, _ in BAD]
    made = import_outcomes(ledger, write(file, (2, 1, TODAY), *rows, (3, 0, TODAY)))
    assert (made.added, made.rejected) == (2, len(BAD))
    found = refused(file)
    assert [int(row["row"]) for row in found] == list(range(2, len(BAD) + 2))
    for row, (_, reason) in zip(found, BAD, strict=True):
        assert reason in row["reason"]


def test_importing_a_file_twice_changes_nothing(ledger, file):
    write(file, (1, 0, TODAY), (2, 1, TODAY), (2, 1, TODAY), ("x", 1, TODAY))
    first = import_outcomes(ledger, file)
    head = ledger.head
    second = import_outcomes(ledger, file)
    assert (first.added, first.known, first.rejected) == (2, 1, 1)
    assert (second.added, second.known, second.rejected) == (0, 3, 1)
    assert ledger.head == head


def test_a_contradiction_is_refused_and_names_what_is_recorded(ledger, file):
    earlier = TODAY - timedelta(days=3)
    import_outcomes(ledger, write(file, (1, 0, earlier)))
    made = import_outcomes(ledger, write(file, (1, 1, TODAY), (2, 1, TODAY), (2, 0, TODAY)))
    assert (made.added, made.rejected) == (1, 2)
    reasons = [row["reason"] for row in refused(file)]
    assert f"outcome 0, observed {earlier}, is recorded already for decision 1" in reasons[0]
    assert f"outcome 1, observed {TODAY}, is recorded already for decision 2" in reasons[1]
    assert Records(ledger).find(1).outcome == 0


def test_a_correction_is_an_event_of_its_own_and_stands(ledger, file):
    import_outcomes(ledger, write(file, (1, 0, TODAY)))
    write(file, (1, 1, TODAY), (2, 1, TODAY))
    made = import_outcomes(ledger, file, correct="the servicer's file of May was wrong", by="ana")
    assert (made.added, made.corrected, made.rejected) == (1, 1, 0)
    [event] = ledger.events("correction")
    assert event.payload["was"] == {"outcome": 0, "observed": TODAY.isoformat()}
    assert event.payload["reason"] == "the servicer's file of May was wrong"
    assert Records(ledger).find(1).outcome == 1
    again = import_outcomes(ledger, file, correct="the servicer's file of May was wrong")
    assert (again.added, again.corrected, again.known) == (0, 0, 2)
    with pytest.raises(ConfigError, match="correct: is empty"):
        import_outcomes(ledger, file, correct=" ")


PARQUET = [
    {"decision": [1, 2], "outcome": [0, 1], "observed": [TODAY, TODAY]},
    {"decision": [1.0, 2.0], "outcome": [0.0, 1.0], "observed": pd.to_datetime([TODAY, TODAY])},
    {"decision": ["1", "2"], "outcome": [False, True], "observed": [str(TODAY), f" {TODAY}"]},
    {"decision": np.array([1, 2], "int32"), "outcome": np.array([0, 1], "int8"), "observed": [TODAY] * 2, "x": [0, 0]},
]


@pytest.mark.parametrize("columns", PARQUET)
def test_parquet_of_any_types_says_the_same(columns, ledger, tmp_path):
    file = tmp_path / "may.parquet"
    pd.DataFrame(columns).to_parquet(file)
    assert import_outcomes(ledger, file).rejected == 0
    assert [event.payload for event in ledger.events("outcome")] == [
        {"about": about, "outcome": outcome, "observed": TODAY.isoformat()} for about, outcome in ((1, 0), (2, 1))
    ]


def test_missing_values_in_parquet_are_refused_like_empty_cells(ledger, tmp_path):
    file = tmp_path / "may.parquet"
    pd.DataFrame({"decision": [1, None], "outcome": [None, 1.0], "observed": [date(2026, 1, 1), None]}).to_parquet(file)
    assert import_outcomes(ledger, file).rejected == 2


def test_rows_span_transactions(ledger, file, monkeypatch):
    """A file of any length is taken in pieces; what repeats or contradicts itself across them is still seen."""
    monkeypatch.setattr(outcomes, "BATCH", 2)
    made = import_outcomes(
        ledger, write(file, (1, 0, TODAY), (2, 1, TODAY), (1, 0, TODAY), ("x", 0, TODAY), (2, 0, TODAY))
    )
    assert (made.added, made.known, made.rejected) == (2, 1, 2)
    assert [row["row"] for row in refused(file)] == ["4", "5"]


def test_cells_that_a_spreadsheet_would_run_are_made_harmless(ledger, file):
    import_outcomes(ledger, write(file, ("=1+1", "@x", "+3")))
    [row] = refused(file)
    assert (row["decision"], row["outcome"], row["observed"]) == ("'=1+1", "'@x", "'+3")


def test_rejects_can_go_elsewhere(ledger, file, tmp_path):
    made = import_outcomes(ledger, write(file, ("x", 1, TODAY)), rejects=tmp_path / "bad.csv")
    assert made.rejects == str(tmp_path / "bad.csv")
    assert "no number" in (tmp_path / "bad.csv").read_text()


FILES = [
    ("may.csv", "decision,outcome\n1,1\n", r"may.csv: no column observed; an outcome is decision, outcome, observed"),
    ("may.csv", "", "the file is empty"),
    ("may.csv", "decision,outcome,observed\n1,1\n", "line 2 has 2 fields"),
    ("may.xlsx", "x", "may.xlsx: outcomes are read from CSV or Parquet"),
    ("may.parquet", "no parquet", "may.parquet: not a Parquet file"),
    (None, "", "nowhere.csv"),
]


@pytest.mark.parametrize(("name", "text", "message"), FILES)
def test_a_file_that_cannot_be_read_is_one_clear_error(name, text, message, ledger, tmp_path):
    file = tmp_path / (name or "nowhere.csv")
    if name:
        file.write_text(text)
    with pytest.raises(DataError, match=message):
        import_outcomes(ledger, file)
    assert ledger.events("outcome") == []


def test_rejects_that_cannot_be_written_say_that_the_rest_is_recorded(ledger, file, tmp_path):
    with pytest.raises(DataError, match="the valid outcomes are recorded"):
        import_outcomes(ledger, write(file, (1, 1, TODAY)), rejects=tmp_path / "no" / "bad.csv")
    assert Records(ledger).find(1).outcome == 1
