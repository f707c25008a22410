"""The page's layout, and what holds its parts together: language, champion, tabs; decides nothing itself.

`python gradio_app/app.py` starts the same server as `python -m gradio_app`.
"""

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file, the folder above is not on the path
    import runpy

    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    runpy.run_module("gradio_app", run_name="__main__")
    sys.exit()

import gradio as gr

from credit.errors import CreditError
from credit.portfolio import Language
from gradio_app import tabs, view
from gradio_app.desk import Desk, NoChampionError
from gradio_app.officer import QUIET, Officer
from gradio_app.settings import Settings
from gradio_app.texts import LANGUAGES
from gradio_app.view import Shown
from gradio_app.wording import Wording, html, text

__all__ = ["build", "look"]

#: Least seconds between two looks at who is champion.
EVERY = 1.0
#: Uploaded and made files are looked through each ten minutes, and removed after an hour.
CACHE = (600, 3600)
#: Where Gradio's own colours fall short of a contrast of 4.5 to 1.
CONTRAST = {
    "body_text_color_subdued": "#475569",
    "block_info_text_color": "#475569",
    "button_primary_background_fill": "#1d4ed8",
    "button_primary_background_fill_hover": "#1e40af",
}
ASKED = "() => (new URLSearchParams(location.search).get('lang') || '').toLowerCase().startsWith('fr') ? 'fr' : 'en'"
SPOKEN = """(lang) => { document.documentElement.lang = lang; const place = new URL(location);
  place.searchParams.set('lang', lang); history.replaceState(null, '', place); }"""


def build(desk: Desk, settings: Settings) -> gr.Blocks:
    """Lay out the page.

    Parameters
    ----------
    desk : Desk
        Where decisions are made.
    settings : Settings
        Says how much work may wait, and how often to look who is champion.

    Returns
    -------
    Blocks
        To be mounted with the options of `look`.
    """
    wording = Wording()
    with gr.Blocks(title="Credit decisions", analytics_enabled=False, delete_cache=CACHE, fill_width=True) as page:
        with gr.Row(equal_height=True):
            said = {"value": lambda lang: view.render("title", lang, book=desk.book.title)}
            wording.add(gr.HTML, say=said, **html("cr-title"), min_width=280)
            spoken = [(name, code) for code, name in LANGUAGES.items()]
            said = {"label": text("page.language")}
            lang = wording.add(
                gr.Radio, say=said, choices=spoken, value="en", elem_id="language", scale=0, min_width=270
            )
        before, seen, tab = gr.State("en"), gr.State(None), gr.State("applicant")
        head = gr.HTML(**html(), elem_id="head")
        with gr.Tabs():
            with wording.add(gr.Tab, say={"label": text("page.tab_applicant")}, id="applicant") as first:
                officer = Officer(desk, wording, lang)
            with wording.add(gr.Tab, say={"label": text("page.tab_batch")}, id="batch") as second:
                tabs.batch(desk, wording, lang)
            with wording.add(gr.Tab, say={"label": text("page.tab_model")}, id="model") as third:
                model = tabs.model(desk)
            with wording.add(gr.Tab, say={"label": text("page.tab_monitoring")}, id="monitoring") as fourth:
                monitoring = tabs.monitoring(desk, wording, lang)

        def side(name: str, lang: Language) -> list[Any]:
            """Fill the tab that is open, if it is one that is filled when it is opened."""
            return [
                tabs.model_html(desk, lang) if name == "model" else gr.skip(),
                tabs.monitoring_html(desk, lang) if name == "monitoring" else gr.skip(),
            ]

        def look_up(seen: Any, shown: Shown | None, name: str, lang: Language) -> list[Any]:
            """Say which model is in use, where that has changed."""
            now = _standing(desk)
            if now == seen:
                return [gr.skip()] * 5
            allowed = gr.update(interactive=bool(now[0]))
            return [now, _head(desk, shown, lang), allowed, *side(name, lang)]

        def switch(
            before: Language, after: Language, name: str, opened: Any, shown: Any, found: Any, *values: Any
        ) -> list[Any]:
            """Say everything in the other language; what was entered is kept."""
            said = dict(zip(wording.components, wording.updates(after), strict=True))
            fields = officer.fields
            for component, update in zip(fields.components, fields.rewrite(values, before, after), strict=True):
                said[component] = {**said[component], **update}
            told = officer.reworded(opened, shown, found, after)
            said[officer.spoken] = {**said[officer.spoken], "value": told.pop()}
            return [after, _head(desk, shown, after), *said.values(), *told, *side(name, after)]

        watched = [seen, head, officer.decide, model, monitoring]
        asked = page.load(None, None, lang, js=ASKED)  # first, or what is filled meanwhile would be in English
        asked.then(look_up, [seen, officer.shown, tab, lang], watched, **QUIET)
        asked.then(officer.clear, lang, officer.filled, **QUIET)
        timer = gr.Timer(max(EVERY, settings.champion_seconds))
        timer.tick(look_up, [seen, officer.shown, tab, lang], watched, queue=False, **QUIET)
        lang.change(None, lang, None, js=SPOKEN)
        lang.change(
            switch,
            [before, lang, tab, officer.opened, officer.shown, officer.found, *officer.fields.components],
            [before, head, *wording.components, *officer.spoken_of[:-1], model, monitoring],
            show_progress="hidden",
            api_name="language",
        )
        for each in (first, second, third, fourth):
            each.select(lambda lang, name=each.id: [name, *side(name, lang)], lang, [tab, model, monitoring], **QUIET)
    page.queue(max_size=settings.queue, default_concurrency_limit=4)
    return page


def look() -> dict[str, Any]:
    """Return the page's own options of `gradio.mount_gradio_app`: how it looks, and what it must not do."""
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return {
        "theme": gr.themes.Default(primary_hue="blue", neutral_hue="slate", **fonts).set(**CONTRAST),
        "head": f"<style>{style}</style><script>{script}</script>",  # Gradio would rewrite `css`
        "footer_links": [],
        "run_history": False,  # it would keep applicants in the browser
    }


def _standing(desk: Desk) -> tuple[int, str]:
    """Return the version in use, 0 for none, and what is the trouble with it."""
    try:
        return desk.champion()[0].number, desk.serving.trouble
    except NoChampionError:
        return 0, ""
    except CreditError as error:
        return 0, str(error)


def _head(desk: Desk, shown: Shown | None, lang: Language) -> str:
    version, trouble = _standing(desk)
    if not version:
        return view.header(lang, None, trouble)
    held = desk.champion()
    told = view.header(lang, held, trouble, other_book=held[1].portfolio.columns != desk.book.columns)
    if shown and shown.decision.identity.digest != held[0].digest:
        told += view.notice("page.changed", lang, good=True, version=version)
    return told
