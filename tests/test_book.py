"""Files of applications and of features: every valid row is decided as one alone is, every other one is told why."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from book_util import decider
from hypothesis import given
from hypothesis import strategies as st
from learning import HEAD, open_sales, sales, shop, text

from credit.errors import ConfigError, DataError
from credit.scoring import book as books
from credit.scoring import plan as plans
from credit.scoring import shards
from credit.scoring.answers import Answers
from credit.scoring.decider import Decider
from credit.scoring.intake import Intake
from credit.scoring.sheets import neutral

KEY = "client"
FEATURES = ["kind", "town", "amount", "score", "months", "phone"]


def prepared(rows: int = 300, seed: int = 1) -> pd.DataFrame:
    """Features of a book, as a file of them holds them; levels that no model knows among them."""
    frame = open_sales(rows, seed)[[KEY, *FEATURES]].fillna({"phone": 1.0})
    return frame.assign(amount=frame["amount"].fillna(1.0))


def run(source: Path, folder: Path, rows: int = 100, reasons: bool = False) -> tuple[plans.Plan, shards.Done]:
    """Divide, score and join, as the flow does."""
    made = plans.divide(decider(), source, folder / "parts", rows, reasons=reasons)
    total = shards.Done()
    for shard in made.shards:
        total.add(shards.score(made, shard, decider(), reasons=reasons))
    shards.join(made, folder)
    return made, total


def results(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    rejected = pd.read_csv(folder / shards.REJECTS, dtype=str, keep_default_na=False)
    return pd.read_parquet(folder / shards.DECISIONS), rejected


# Raw applications, in memory


def test_a_file_is_decided_as_each_applicant_alone(tmp_path: Path) -> None:
    """The batch tab and the counter must agree to the last bit, in costs, class and reasons too."""
    raw = open_sales(60).fillna({"phone": 1.0}).assign(kind="cash")
    raw.to_csv(tmp_path / "raw.csv", index=False)
    scored = books.score(decider(), tmp_path / "raw.csv", tmp_path / "out.parquet")
    made = pd.read_parquet(tmp_path / "out.parquet")
    assert (scored.scored, scored.rejected, scored.reasons) == (60, 0, "words")
    assert made[KEY].is_monotonic_increasing
    by_key = raw.set_index(KEY)
    for row in made.to_dict("records")[::7]:
        one = decider().decide({KEY: row[KEY], **by_key.loc[row[KEY]].drop("branch").to_dict()})
        assert row["probability_of_default"] == one.probability
        assert (row["decision"], row["band"]) == (one.decision, one.band)
        assert row["model_version"] == "credit-shop/3"
        assert [row["expected_cost_approve"], row["expected_cost_decline"]] == list(one.costs.values())


def test_reasons_are_told_to_those_who_are_not_approved_alone(tmp_path: Path) -> None:
    raw = sales(200, 5).drop(columns="unpaid")
    raw.to_parquet(tmp_path / "raw.parquet")
    found = {}
    for language in ("en", "fr"):
        books.score(decider(), tmp_path / "raw.parquet", tmp_path / f"{language}.csv", language=language)
        found[language] = pd.read_csv(tmp_path / f"{language}.csv")
    refused = found["en"]["decision"] != "approve"
    assert 10 < refused.sum() < 190
    assert found["en"].loc[refused, "reason_1"].notna().mean() > 0.9
    assert found["en"].loc[~refused, "reason_1"].isna().all()
    assert set(found["en"]["reason_1"].dropna()) <= {"MONEY", "PERSON"}
    words = [found[language]["reason_1_words"].dropna().iloc[0] for language in ("en", "fr")]
    assert words[0] != words[1]


def test_many_refusals_get_codes_and_the_same_ones(tmp_path: Path, monkeypatch) -> None:
    """Words for a large file would take hours; what they say in codes must not depend on that."""
    sales(80, 5).drop(columns="unpaid").to_parquet(tmp_path / "raw.parquet")
    books.score(decider(), tmp_path / "raw.parquet", tmp_path / "words.parquet")
    monkeypatch.setattr(books, "WORDED", 3)
    assert books.score(decider(), tmp_path / "raw.parquet", tmp_path / "codes.parquet").reasons == "codes"
    words, codes = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("words", "codes"))
    assert [name for name in words if name not in codes] == [f"reason_{at}_words" for at in (1, 2, 3, 4)]
    pd.testing.assert_frame_equal(words[codes.columns], codes)


def test_rejected_rows_are_told_and_the_others_kept(tmp_path: Path) -> None:
    raw = sales(50).drop(columns="unpaid").astype({"amount": object})
    raw.loc[3, "amount"] = "=HYPERLINK(1)"
    raw.loc[4, "kind"] = "barter"
    raw.loc[6, "client"] = raw.loc[7, "client"]
    raw.to_csv(tmp_path / "raw.csv", index=False)
    said = []
    report = lambda done, total, what: said.append((done, total, what))  # noqa: E731
    scored = books.score(decider(), tmp_path / "raw.csv", tmp_path / "out.csv", report=report)
    assert (scored.scored, scored.rejected) == (46, 4)
    assert sum(scored.decisions.values()) == 46
    assert said == [(46, 46, "applications")]
    rejected = pd.read_csv(scored.rejects)
    assert rejected.set_index("row")["rule"].to_dict() == {
        4: "not a number",
        5: "unknown level",
        7: "duplicated key",
        8: "duplicated key",
    }
    assert rejected.set_index("row").loc[4, "value"] == "'=HYPERLINK(1)"
    assert rejected["remedy"].notna().all()


@pytest.mark.parametrize("out", ["out.xlsx", "out"])
def test_another_suffix_is_refused(tmp_path: Path, out: str) -> None:
    with pytest.raises(ConfigError, match=r"neither \.csv nor \.parquet"):
        books.score(decider(), tmp_path, tmp_path / out)


def test_those_with_outcomes_are_scored_where_that_is_asked(tmp_path: Path) -> None:
    sales(40).to_csv(tmp_path / "sales.csv", index=False)
    sales(20, 3).drop(columns="unpaid").to_csv(tmp_path / "open_sales.csv", index=False)
    assert books.score(decider(), tmp_path, tmp_path / "a.csv").scored == 20
    assert books.score(decider(), tmp_path, tmp_path / "b.csv", labelled=True).scored == 40


# Cells that a spreadsheet would run


@given(words=st.text(max_size=8))
def test_no_text_begins_a_formula_and_none_is_lost(words: str) -> None:
    cell = neutral(pd.DataFrame({"a": [words]}, dtype=object)).iloc[0, 0]
    assert cell in (words, f"'{words}")
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("bad", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=1\n"])
def test_cells_and_headers_are_neutral_and_numbers_stay_numbers(bad: str) -> None:
    frame = pd.DataFrame({bad: [bad], "number": [-1.5], "whole": [-2], "none": [None]})
    made = neutral(frame)
    assert list(made) == [f"'{bad}", "number", "whole", "none"]
    assert made.iloc[0, 0] == f"'{bad}"
    assert made["number"].iloc[0] == -1.5
    assert made["whole"].dtype == np.int64
    assert pd.isna(made["none"].iloc[0])
    assert list(frame) == [bad, "number", "whole", "none"]  # what was given is left alone


# Prepared rows


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz"])
@pytest.mark.parametrize("rows", [50, 10_000])
def test_shards_decide_as_the_whole_in_the_order_of_the_rows(tmp_path: Path, suffix: str, rows: int) -> None:
    frame = prepared()
    file = tmp_path / f"rows.{suffix}"
    frame.to_parquet(file, row_group_size=40) if suffix == "parquet" else frame.to_csv(file, index=False)
    made, total = run(file, tmp_path / "out", rows)
    assert len(made.shards) == (4 if rows == 50 and suffix == "parquet" else 1)
    decided, rejected = results(tmp_path / "out")
    expected = decider().decide_frame(frame)
    assert decided[KEY].tolist() == frame[KEY].tolist()
    for name in expected:
        assert decided[name].tolist() == expected[name].tolist(), name
    assert len(rejected) == 0
    assert (total.scored, total.rejected) == (300, 0)
    assert total.decisions == Counter(expected["decision"])
    assert total.bands == Counter(expected["band"])
    assert sum(total.histogram) == 300
    assert total.total == pytest.approx(expected["probability_of_default"].sum())
    known = {item.name: item.levels for item in decider().scorer.inputs if item.levels}
    strange = {name: int((frame[name].notna() & ~frame[name].isin(levels)).sum()) for name, levels in known.items()}
    assert total.unknown == {name: count for name, count in strange.items() if count}
    assert total.unknown["town"] > 0


def test_a_folder_of_files_is_one_book(tmp_path: Path) -> None:
    """Keys are unique over all files, and a row is told by its file; the same file twice is twice the rows."""
    source = tmp_path / "rows"
    source.mkdir()
    frame = prepared()
    frame[:100].to_parquet(source / "a.parquet")
    frame[100:].to_csv(source / "b.csv", index=False)
    frame[100:].to_csv(source / "c.csv", index=False)
    _made, total = run(source, tmp_path / "out")
    decided, rejected = results(tmp_path / "out")
    assert decided[KEY].tolist() == frame[KEY][:100].tolist()
    assert total.rejected == len(rejected) == 400
    assert set(rejected["rule"]) == {"duplicated key"}
    assert rejected.groupby("file")["row"].apply(list).to_dict() == {
        str(source / name): [str(at) for at in range(1, 201)] for name in ("b.csv", "c.csv")
    }


def test_keys_are_text_where_one_file_has_some_that_are_no_numbers(tmp_path: Path) -> None:
    """What a key is must not depend on the file that a row lies in; "7" and 7 are one client."""
    words = shop(HEAD.replace('fr = "Client", type = "integer"', 'fr = "Client", type = "category"'))
    known = decider()
    named = Decider(known.scorer, words, known.reference, known.identity)
    (tmp_path / "rows").mkdir()
    frame = prepared(40)
    frame[:20].to_parquet(tmp_path / "rows" / "a.parquet")
    keys = [f"A{key}" for key in frame["client"][20:39]] + [str(frame["client"][0])]
    frame[20:].assign(client=keys).to_parquet(tmp_path / "rows" / "b.parquet")
    made = plans.divide(named, tmp_path / "rows", tmp_path / "parts", 20)
    assert not made.numeric
    for shard in made.shards:
        shards.score(made, shard, named)
    shards.join(made, tmp_path)
    decided, rejected = results(tmp_path)
    assert decided["client"].tolist() == [*map(str, frame["client"][1:20]), *keys[:-1]]
    assert rejected["client"].tolist() == [str(frame["client"][0])] * 2


FAULTS = [
    ("amount", "lots", "not a number"),
    ("amount", "=1+1", "not a number"),
    ("amount", "inf", "not finite"),
    ("score", "-1e999", "not finite"),
    ("client", "", "missing key"),
    ("client", "x7", "not a number"),
    ("client", "1.5", "not an integer"),
]


@pytest.mark.parametrize(("column", "value", "rule"), FAULTS)
def test_a_broken_cell_rejects_its_row_alone(tmp_path: Path, column: str, value: str, rule: str) -> None:
    frame = prepared().astype({column: object})
    frame.loc[4, column] = value
    frame.to_csv(tmp_path / "rows.csv", index=False)
    _made, total = run(tmp_path / "rows.csv", tmp_path / "out")
    decided, rejected = results(tmp_path / "out")
    [line] = rejected.to_dict("records")
    assert (line["row"], line["column"], line["rule"]) == ("5", column, rule)
    assert line["value"].removeprefix("'") in (value, "-inf")
    assert line["remedy"]
    assert decided[KEY].tolist() == frame[KEY].drop(4).astype(int).tolist()
    assert (total.scored, total.rejected, total.rules) == (299, 1, {rule: 1})
    assert total.examples[0]["row"] == 5
    assert total.examples[0]["remedy"] == line["remedy"]


@pytest.mark.parametrize("value", ["", "nan", "NaN", " 12 ", "1e3"])
def test_what_is_missing_or_a_number_in_any_writing_is_kept(tmp_path: Path, value: str) -> None:
    frame = prepared().astype({"amount": object})
    frame.loc[4, "amount"] = value
    frame.to_csv(tmp_path / "rows.csv", index=False)
    _made, total = run(tmp_path / "rows.csv", tmp_path / "out")
    assert total.rejected == 0
    as_number = pd.to_numeric(frame["amount"].replace({"": np.nan, "nan": np.nan, "NaN": np.nan}))
    expected = decider().decide_frame(frame.assign(amount=as_number))["probability_of_default"]
    assert results(tmp_path / "out")[0]["probability_of_default"].tolist() == expected.tolist()


def test_infinities_and_gaps_of_typed_files_are_judged_too(tmp_path: Path) -> None:
    frame = prepared().astype({"client": "Int64", "months": "Int64"})
    frame.loc[2, "amount"] = np.inf
    frame.loc[3, "client"] = None
    frame.to_parquet(tmp_path / "rows.parquet")
    _made, total = run(tmp_path / "rows.parquet", tmp_path / "out")
    assert total.rules == {"not finite": 1, "missing key": 1}
    assert results(tmp_path / "out")[0][KEY].dtype == np.int64


def test_a_shard_without_a_valid_row(tmp_path: Path) -> None:
    frame = prepared(120)
    frame.loc[:59, "amount"] = np.inf
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=30)
    made, total = run(tmp_path / "rows.parquet", tmp_path / "out", 30)
    assert len(made.shards) == 4
    assert (total.scored, total.rejected) == (60, 60)
    assert len(total.examples) == 3
    frame.assign(amount=np.inf).to_parquet(tmp_path / "rows.parquet", row_group_size=30)
    _made, none = run(tmp_path / "rows.parquet", tmp_path / "none")
    assert (none.scored, none.rejected) == (0, 120)
    assert results(tmp_path / "none")[0].empty


def test_codes_of_reasons_where_they_are_asked_for(tmp_path: Path) -> None:
    frame = prepared()
    frame.to_parquet(tmp_path / "rows.parquet")
    run(tmp_path / "rows.parquet", tmp_path / "out", reasons=True)
    decided = results(tmp_path / "out")[0]
    alone = Answers(decider(), reasons=True, language="en").rows(frame)
    assert decided["reason_1"].fillna("").tolist() == alone["reason_1"].fillna("").tolist()
    assert decided["reason_1"].notna().any()
    assert decided.loc[decided["decision"] == "approve", "reason_1"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="client"), "has no column 'client'"),
        (lambda frame: frame.drop(columns=["amount", "score"]), "2 features that the model reads are not there"),
        (lambda frame: frame[:0], "no rows"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_that_cannot_be_scored_is_refused_at_once(tmp_path: Path, change, message: str, suffix: str) -> None:
    file = tmp_path / f"rows.{suffix}"
    frame = change(prepared())
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_parquet(file)
    with pytest.raises(DataError, match=message):
        plans.divide(decider(), file, tmp_path / "parts")


def test_nothing_to_score_and_no_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file of features"):
        plans.divide(decider(), tmp_path, tmp_path / "parts")
    with pytest.raises(ConfigError, match="--shard-rows 0: must be 1 or more"):
        plans.divide(decider(), tmp_path, tmp_path / "parts", 0)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="not a Parquet file"):
        plans.divide(decider(), tmp_path / "rows.parquet", tmp_path / "parts")


@given(rows=st.integers(1, 400), groups=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_shards_hold_every_row_group_once_and_in_order(tmp_path_factory, rows: int, groups: list[int]) -> None:
    folder = tmp_path_factory.mktemp("groups")
    for at, sizes in enumerate((groups[::2], groups[1::2] or [1])):
        with pq.ParquetWriter(folder / f"{at}.parquet", pa.schema({"a": pa.int64()})) as file:
            for size in sizes:
                file.write_table(pa.table({"a": range(size)}))
    files = sorted(folder.iterdir())
    found = list(plans._shards(files, rows))
    pieces = [(piece.file, group) for shard in found for piece in shard.pieces for group in piece.groups]
    every = [(str(file), group) for file in files for group in range(pq.read_metadata(file).num_row_groups)]
    assert pieces == every
    assert sum(shard.rows for shard in found) == sum(pq.read_metadata(file).num_rows for file in files)
    assert [shard.number for shard in found] == list(range(len(found)))
    assert len(found) <= plans.MOST
    for shard in found:
        for piece in shard.pieces:
            sizes = [pq.read_metadata(piece.file).row_group(group).num_rows for group in piece.groups]
            assert piece.rows == sum(sizes)
            before = [pq.read_metadata(piece.file).row_group(group).num_rows for group in range(piece.groups[0])]
            assert piece.first == 1 + sum(before)


# A run that was killed


KILLED = """
import os, signal, sys
from pathlib import Path
from credit.scoring import plan, shards
from credit.scoring.decider import Decider
shards.BLOCK = 50
decider = Decider.load(sys.argv[1], "credit-shop", 3, "ab" * 32)
made = plan.divide(decider, sys.argv[2], Path(sys.argv[3]) / "parts", 100)
def report(done, total, what):
    if made.shards[1].number == number and done >= 50:
        os.kill(os.getpid(), signal.SIGKILL)
for shard in made.shards:
    number = shard.number
    shards.score(made, shard, decider, report=report)
"""


def test_a_killed_run_leaves_whole_parts_and_the_next_one_goes_on_from_there(tmp_path: Path) -> None:
    """Killed in the middle of the second of three shards: the first is not scored again, nothing is lost or twice."""
    file = tmp_path / "rows.parquet"
    prepared().to_parquet(file, row_group_size=100)
    bundle = decider().scorer.save(tmp_path / "bundle")
    decider().reference.save(bundle)
    (bundle / "portfolio.toml").write_text(text(), encoding="utf-8")
    words = [sys.executable, "-c", KILLED, str(bundle), str(file), str(tmp_path / "out")]
    done = subprocess.run(words, env={**os.environ}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    made = plans.divide(decider(), file, tmp_path / "out" / "parts", 100)
    places = [made.places(shard) for shard in made.shards]
    assert [[place.exists() for place in part] for part in places] == [[True] * 3, [False] * 3, [False] * 3]
    before = [place.stat().st_mtime_ns for place in places[0]]
    _made, total = run(file, tmp_path / "out")
    assert [place.stat().st_mtime_ns for place in places[0]] == before
    _other, whole = run(file, tmp_path / "whole")
    for name in (shards.DECISIONS, shards.REJECTS):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert total.total == pytest.approx(whole.total)  # summed in blocks of another size
    assert vars(total) | {"total": 0} == vars(whole) | {"total": 0}
    assert {each.name for each in (tmp_path / "out").iterdir()} == {shards.DECISIONS, shards.REJECTS, "parts"}


def test_a_part_is_not_taken_for_that_of_other_rows_or_another_model(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    prepared().to_parquet(file)
    first = plans.divide(decider(), file, tmp_path / "parts")
    assert first == plans.divide(decider(), file, tmp_path / "parts")
    others = [plans.divide(decider(), file, tmp_path / "parts", reasons=True)]
    others.append(plans.divide(decider("weighted"), file, tmp_path / "parts"))
    prepared(seed=9).to_parquet(file)
    others.append(plans.divide(decider(), file, tmp_path / "parts"))
    names = {made.places(made.shards[0])[0] for made in (first, *others)}
    assert len(names) >= 3
    assert len({made.digest for made in (first, *others)}) >= 3


def test_counts_survive_being_written_down(tmp_path: Path) -> None:
    prepared().to_parquet(tmp_path / "rows.parquet")
    _made, total = run(tmp_path / "rows.parquet", tmp_path / "out")
    assert vars(shards.Done.read(json.dumps(vars(total)))) == vars(total)


def test_the_rejects_are_a_csv_that_a_spreadsheet_reads(tmp_path: Path) -> None:
    frame = prepared().astype({"amount": object})
    frame.loc[4, "amount"] = '=cmd|"a,b"\n!'
    frame.to_csv(tmp_path / "rows.csv", index=False)
    run(tmp_path / "rows.csv", tmp_path / "out")
    with (tmp_path / "out" / shards.REJECTS).open(newline="", encoding="utf-8") as stream:
        header, line = list(csv.reader(stream))
    assert header == ["file", "row", KEY, "column", "rule", "value", "remedy"]
    assert line[5] == '\'=cmd|"a,b"\n!'


def test_a_block_is_judged_alike_whatever_its_types(tmp_path: Path) -> None:
    """Text, numbers and dictionaries of the same values are one book."""
    frame = prepared(80)
    texts = frame.astype(object).map(lambda cell: None if pd.isna(cell) else str(cell))
    forms = [frame, texts, frame.astype({"kind": "category", "town": "category", "phone": bool})]
    found = []
    for form in forms:
        block = pa.Table.from_pandas(form, preserve_index=False)
        intake = Intake(shop(), decider().scorer, block.schema, pa.array([], pa.string()))
        judged = intake.judge(block, 1)
        assert judged.rejected.empty
        found.append(decider().decide_frame(judged.frame)["probability_of_default"].tolist())
    assert found[0] == found[1]
    assert len(found[2]) == 80
