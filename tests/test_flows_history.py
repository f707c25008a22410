"""TrainingFlow on the default book: what the six history tables are worth."""

from pathlib import Path

import pandas as pd
from training_util import Place

from credit.scoring import book as books
from credit.scoring.decider import Decider


def test_the_default_book_shows_what_history_is_worth(tmp_path: Path) -> None:
    """The same rows with and without the six history tables, side by side, and the difference on test."""
    place = Place(tmp_path)
    done = place.run(portfolio="home_credit", data="", clients=1_500, candidates="application,selected")
    assert done.status == "successful", done.said
    summary = done.run.data.summary
    assert summary["synthetic"] is True
    read = {candidate["name"]: candidate["features"] for candidate in summary["candidates"]}
    assert read["application"] == 127
    assert 10 < read["selected"] <= 150
    tables = done.run.data.dataset.tables
    assert len(tables) == 7
    assert {"application"} >= {row["model"] for row in summary["test"]["references"]}
    card = done.run["select"].task.data.selection
    assert set(card.kept) <= set(card.table["feature"])
    assert "Folding instalments due and paid" in done.said
    made_up = next((place.home.workspace / "synthetic").iterdir())
    fresh = pd.read_parquet(made_up / "application_train.parquet").drop(columns="TARGET").head(40)
    fresh.to_parquet(made_up / "application_test.parquet")
    decider = Decider.load(Path(summary["release"]) / "bundle")
    scored = books.score(decider, made_up, place.folder / "decided.csv")
    assert (scored.scored, scored.rejected) == (40, 0)
