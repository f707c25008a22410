"""The tabs beside the applicant's: a file of applications, the model in use, what was decided; decides nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from credit.errors import CreditError
from credit.portfolio import Language
from gradio_app import view
from gradio_app.batches import SUFFIXES
from gradio_app.desk import Desk
from gradio_app.gallery import gallery
from gradio_app.officer import QUIET, who
from gradio_app.texts import say
from gradio_app.watching import watched
from gradio_app.wording import Wording, html, text

__all__ = ["batch", "model", "model_html", "monitoring", "monitoring_html"]

#: Days that the monitoring tab looks back, rejected rows that the batch tab shows.
DAYS, ROWS = 30, 50
HISTORIES = ("none", "known")
#: Gradio puts a session's own progress in its place.
TOLD = gr.Progress()


def batch(desk: Desk, wording: Wording, lang: Any) -> None:
    """Lay out the tab of a file of applications."""
    add = wording.add
    said = {"value": lambda lang: view.render("paragraph", lang, key="batch.help")}
    add(gr.HTML, say=said, **html())
    with gr.Row(equal_height=False):
        file = add(gr.File, say={"label": text("batch.file")}, file_types=list(SUFFIXES), elem_id="batch-file")
        with gr.Column(min_width=280):
            offered = {"label": text("batch.history"), "choices": _histories}
            history = add(gr.Radio, say=offered, value="none", elem_id="batch-history")
            run = add(gr.Button, say={"value": text("batch.run")}, variant="primary", elem_id="batch-run")
    outcome = gr.HTML(**html(), elem_id="batch-outcome", min_height=80)
    with gr.Row():
        files = [
            add(gr.DownloadButton, say={"label": text(f"batch.{name}")}, visible=False, elem_id=f"batch-{name}")
            for name in ("results", "rejects")
        ]

    def score(
        path: str | None, history: str, lang: Language, request: gr.Request, progress: gr.Progress = TOLD
    ) -> list[Any]:
        if not path:
            return [view.notice("batch.no_file", lang), gr.skip(), gr.skip()]
        hidden = gr.update(visible=False)
        try:
            progress(0, desc=say("batch.working", lang))
            scored = desk.batch(
                path,
                by=who(request),
                channel="batch",
                history=history,
                lang=lang,
                progress=lambda share: progress(share, desc=say("batch.working", lang)),
            )
            synthetic = desk.champion()[1].reference.synthetic
        except CreditError as error:
            return [view.faults(desk.book, error, lang), hidden, hidden]
        rejected = _rejected(scored.rejects)
        found = [gr.update(value=_handed(path), visible=True) for path in (scored.out, scored.rejects)]
        return [
            view.batch(scored, rejected.head(ROWS), lang, synthetic),
            found[0],
            found[1] if len(rejected) else hidden,
        ]

    run.click(score, [file, history, lang], [outcome, *files], api_name="batch", concurrency_limit=1)
    file.change(lambda: ["", *[gr.update(visible=False)] * 2], None, [outcome, *files], **QUIET)


def model_html(desk: Desk, lang: Language) -> str:
    """Show the model in use."""
    return _told(desk, lang, lambda: gallery(desk.model(), lang))


def monitoring_html(desk: Desk, lang: Language) -> str:
    """Show what monitoring found, and what was decided on each of the last days."""

    def days() -> str:
        return view.monitoring(desk.records.summary(DAYS, portfolio=desk.book.name), DAYS, lang)

    return _told(desk, lang, lambda: watched(desk, lang)) + _told(desk, lang, days)


def model(desk: Desk) -> Any:
    """Lay out the model's tab; it is filled when it is opened."""
    return gr.HTML(**html(), elem_id="model", min_height=160)


def monitoring(desk: Desk, wording: Wording, lang: Any) -> Any:
    """Lay out the tab of what monitoring found and what was decided; it is filled when it is opened."""
    shown = gr.HTML(**html(), elem_id="monitoring", min_height=160)
    refresh = wording.add(gr.Button, say={"value": text("monitoring.refresh")}, size="sm")
    refresh.click(lambda lang: monitoring_html(desk, lang), lang, shown, api_visibility="private")
    return shown


def _told(desk: Desk, lang: Language, part: Callable[[], str]) -> str:
    """Show a part, or what is wrong with it; the other parts stay."""
    try:
        return part()
    except CreditError as error:
        return view.faults(desk.book, error, lang)


def _histories(lang: Language) -> list[tuple[str, str]]:
    return [(say(f"batch.history_{name}", lang), name) for name in HISTORIES]


def _handed(path: Path) -> str:
    """Copy a file to where Gradio hands files out, and removes them."""
    return str(save_file_to_cache(path, cache_dir=get_upload_folder()))


def _rejected(path: Path) -> pd.DataFrame:
    return (
        pd.read_csv(path, dtype=str, keep_default_na=False)
        if path.suffix == ".csv"
        else pd.read_parquet(path).fillna("")
    )
