"""The applicant's tab: who applies, the form, the decision and what follows from it; decides nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import gradio as gr

from credit.errors import ContractError, CreditError, DataError
from credit.governance.ledger import actor
from credit.portfolio import Language
from gradio_app import form, view
from gradio_app.desk import Desk
from gradio_app.fields import Fields
from gradio_app.statement import statement
from gradio_app.texts import LANGUAGES, say
from gradio_app.view import Shown
from gradio_app.wording import Wording, html, text

__all__ = ["Officer", "Opened", "who"]

SUGGESTED = 4
#: Decisions and proposals of all sessions that are worked on at once.
WORK: dict[str, Any] = {"concurrency_id": "decide", "concurrency_limit": 2}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
PLAIN = gr.InputHTMLAttributes(autocomplete="off", spellcheck=False)
PRINT = """(words) => { const sheet = document.createElement("div"); sheet.className = "cr-print";
  sheet.textContent = words; document.body.append(sheet); window.print(); sheet.remove(); }"""


#: After a decision, or a fault, it is what is looked at next, by keyboard and by screen reader too.
SHOW = """() => { const next = document.querySelector("#fault .cr-note, #result .cr-result");
  if (!next) return; next.tabIndex = -1; next.focus({ preventScroll: true });
  document.querySelector("#outcome").scrollIntoView({ block: "start" }); }"""


class TakenError(DataError):
    """A new applicant was given the number of an existing client."""


@dataclass(frozen=True)
class Opened:
    """The applicant whose form is open: the raw rows it was filled from."""

    client: str = ""
    application: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)


class Officer:
    """The tab; made inside a Gradio layout.

    Parameters
    ----------
    desk : Desk
        Where decisions are made.
    wording : Wording
        Takes up what the tab says.
    lang : Component
        Holds the language.
    """

    def __init__(self, desk: Desk, wording: Wording, lang: Any) -> None:
        self.desk, self.lang, self.wording = desk, lang, wording
        self.blank = Opened(application=form.blank(desk.book))
        self.opened, self.shown, self.found = gr.State(self.blank), gr.State(None), gr.State(None)
        self.token = gr.Textbox("", visible=False)  # whose form the browser shows; a session that was lost is noticed
        with gr.Row(equal_height=False):
            with gr.Column(scale=6, min_width=320, elem_id="form"):
                self._applicant()
                self._form()
            with gr.Column(scale=5, min_width=320, elem_id="outcome"):
                self._outcome()
                self._override()
                self._statement()
        self._listen()

    # What is on it

    def _heading(self, key: str) -> None:
        said = {"value": lambda lang: view.render("heading", lang, key=key)}
        self.wording.add(gr.HTML, say=said, **html("cr-step"))

    def _applicant(self) -> None:
        add = self.wording.add
        self._heading("applicant.who")
        with gr.Row(equal_height=False):
            self.number = add(
                gr.Textbox,
                say={"label": text("applicant.number"), "info": text("applicant.number_help")},
                max_lines=1,
                elem_id="client-number",
                html_attributes=PLAIN,
            )
            with gr.Column(min_width=160):
                self.open = add(gr.Button, say={"value": text("applicant.open")}, variant="secondary")
                self.empty = add(gr.Button, say={"value": text("applicant.blank")}, variant="secondary")
        with gr.Row():
            self.suggested = [gr.Button("", size="sm", min_width=80, visible=False) for _ in range(SUGGESTED)]
        self.client = gr.HTML(**html())
        said = {"label": text("applicant.new_number"), "info": text("applicant.new_number_help")}
        self.new = add(gr.Textbox, say=said, max_lines=1, elem_id="new-number", html_attributes=PLAIN)

    def _form(self) -> None:
        self._heading("applicant.form")
        self.fields = Fields(self.desk.book, self.wording)
        said = {"value": text("applicant.decide")}
        self.decide = self.wording.add(gr.Button, say=said, variant="primary", elem_id="decide")

    def _outcome(self) -> None:
        self._heading("applicant.result")
        self.fault = gr.HTML(**html(), elem_id="fault")
        self.result = gr.HTML(**html(), elem_id="result")
        self.proposals = gr.HTML(**html(), elem_id="what-if")
        self.earlier = gr.HTML(**html(), elem_id="earlier")

    def _override(self) -> None:
        add = self.wording.add
        with add(gr.Accordion, open=False, say={"label": text("override.title")}) as self.override:
            said = {"value": lambda lang: view.render("paragraph", lang, key="override.help")}
            add(gr.HTML, say=said, **html())
            self.to = add(gr.Radio, say={"label": text("override.to"), "choices": _choices}, elem_id="override-to")
            said = {"label": text("override.reason"), "info": text("override.reason_help")}
            self.reason = add(gr.Textbox, say=said, lines=2, max_lines=5, max_length=2000, elem_id="override-reason")
            self.record = add(gr.Button, say={"value": text("override.button")})
            self.recorded = gr.HTML(**html(), elem_id="recorded")

    def _statement(self) -> None:
        add = self.wording.add
        with add(gr.Accordion, open=False, say={"label": text("statement.title")}):
            spoken = [(name, code) for code, name in LANGUAGES.items()]
            said = {"label": text("statement.language")}
            self.spoken = add(gr.Radio, say=said, choices=spoken, value="en", elem_id="statement-language")
            said = {"label": text("statement.text"), "info": text("statement.help")}
            self.statement = add(gr.Textbox, say=said, lines=16, max_lines=30, buttons=["copy"], elem_id="statement")
            self.print = add(gr.Button, say={"value": text("statement.print")}, size="sm")

    # What happens

    def _listen(self) -> None:
        suggest = {"queue": False, "trigger_mode": "always_last", **QUIET}
        self.number.input(self.suggest, [self.number, self.lang], self.suggested, **suggest)
        filled = [self.opened, self.token, self.number, self.client, self.fault, self.result, self.proposals]
        filled += [
            self.earlier,
            self.shown,
            self.found,
            self.recorded,
            self.statement,
            self.new,
            *self.suggested,
            *self.fields.components,
        ]
        self.filled = filled
        gr.on(
            [self.open.click, self.number.submit],
            self.pick,
            [self.number, self.lang],
            filled,
            api_name="open_client",
            **WORK,
        )
        for each in self.suggested:
            each.click(self.pick, [each, self.lang], filled, api_visibility="private", **WORK)
        self.empty.click(self.clear, self.lang, filled, api_name="blank_form")
        decided = [self.shown, self.fault, self.result, self.proposals, self.earlier, self.statement, self.recorded]
        triggers = [self.decide.click, self.new.submit, *(each.submit for each in self.fields.written)]
        deciding = gr.on(
            triggers,
            self.judge,
            [self.opened, self.token, self.new, self.lang, self.spoken, *self.fields.components],
            [*decided, *self.fields.sections],
            api_name="decide",
            show_progress_on=[self.result],
            **WORK,
        )
        deciding.then(None, None, None, js=SHOW)
        deciding.then(self.explore, [self.shown, self.lang], [self.found, self.proposals], **WORK, **QUIET)
        self.record.click(
            self.set_aside,
            [self.shown, self.to, self.reason, self.lang, self.spoken],
            [self.shown, self.recorded, self.result, self.earlier, self.statement],
            api_name="override",
        )
        self.spoken.change(_told, [self.shown, self.spoken], self.statement, **QUIET)
        self.print.click(None, self.statement, None, js=PRINT)

    def suggest(self, prefix: str, lang: Language) -> list[Any]:
        """Offer clients whose number begins as typed."""
        try:
            numbers = self.desk.numbers(prefix.strip(), SUGGESTED)
        except CreditError:  # opening a client will say what is wrong
            numbers = []
        names = numbers + [""] * (SUGGESTED - len(numbers))
        return [gr.update(value=name, visible=bool(name)) for name in names]

    def pick(self, number: str, lang: Language) -> list[Any]:
        """Open an existing client."""
        kept = [gr.skip()] * len(self.filled)
        try:
            place = self.desk.place()
            if place.source is None:
                kept[4] = view.sentence(place.note.fr if lang == "fr" else place.note.en, lang)
                return kept
            case = self.desk.case(number.strip())
            opened = Opened(number.strip(), case.application, case.history or {})
            earlier = self._earlier(opened.client, lang)
        except DataError:
            kept[4] = view.notice("applicant.unknown", lang, number=number.strip())
            return kept
        except CreditError as error:
            kept[4] = view.faults(self.desk.book, error, lang)
            return kept
        return self._fill(opened, earlier, lang)

    def clear(self, lang: Language) -> list[Any]:
        """Start a blank form."""
        return self._fill(self.blank, "", lang)

    def _fill(self, opened: Opened, earlier: str, lang: Language) -> list[Any]:
        told = view.history(self.desk.book, opened.client, opened.history, lang)
        head = [opened, opened.client, opened.client, told, "", _waiting(lang), "", earlier, None, None, "", ""]
        new = gr.update(value="", visible=not opened.client)
        hidden = [gr.update(value="", visible=False)] * SUGGESTED
        return [*head, new, *hidden, *self.fields.fill(opened.application, lang)]

    def judge(
        self,
        opened: Opened,
        token: str,
        new: str,
        lang: Language,
        spoken: Language,
        request: gr.Request,
        *values: Any,
    ) -> list[Any]:
        """Decide on what the form says."""
        parts = [gr.skip()] * len(self.fields.sections)
        if (token or "") != opened.client:
            return [None, view.notice("applicant.lost", lang), "", "", gr.skip(), "", "", *parts]
        try:
            raw = opened.application if opened.client else {**opened.application, self.desk.book.key: self._fresh(new)}
            shown = self._decided(self.fields.read(raw, values, lang), opened, who(request))
            earlier = self._earlier(shown.decision.client, lang)
        except CreditError as error:
            if isinstance(error, ContractError):
                parts = self.fields.opening([each.column for each in error.violations])
            if isinstance(error, TakenError):
                return [None, view.notice("applicant.taken", lang, number=new), "", "", gr.skip(), "", "", *parts]
            places = {**self.fields.where(lang), self.desk.book.key: (say("applicant.who", lang), "new-number")}
            return [None, view.faults(self.desk.book, error, lang, places), "", "", gr.skip(), "", "", *parts]
        return [shown, "", view.result(shown, lang), "", earlier, statement(shown, spoken), "", *parts]

    def _fresh(self, number: str) -> str | None:
        """Return a new applicant's number; one that a client has would mix up two people."""
        given = number.strip()
        if given and given in self.desk.numbers(given, 1):
            raise TakenError(given)
        return given or None

    def _decided(self, application: Mapping[str, Any], opened: Opened, by: str) -> Shown:
        """Decide, and keep the model that did; should the champion change at this very moment, ask for it again."""
        decider = self.desk.champion()[1]
        number, decision = self.desk.decide(application, opened.history, by=by, channel="page")
        if decision.identity != decider.identity:
            decider = self.desk.champion()[1]
        return Shown(number, decision, decider, application, opened.history)

    def explore(self, shown: Shown | None, lang: Language) -> tuple[Any, str]:
        """Look for the smallest changes that change the decision."""
        if shown is None:
            return None, ""
        try:
            found = shown.decider.what_if(shown.application, shown.history)
        except CreditError as error:
            return None, view.faults(self.desk.book, error, lang)
        return found, view.what_if(shown, found, lang)

    def set_aside(
        self,
        shown: Shown | None,
        to: Literal["approve", "decline"] | None,
        reason: str,
        lang: Language,
        spoken: Language,
        request: gr.Request,
    ) -> list[Any]:
        """Record what the officer decided otherwise."""
        why = "" if shown is None else (shown.final or shown.decision.decision)
        missing = {
            "no_decision": shown is None,
            "no_choice": not to,
            "no_reason": not reason.strip(),
            "same": to == why,
        }
        if wrong := next((key for key, is_so in missing.items() if is_so), None):
            return [gr.skip(), view.notice(f"override.{wrong}", lang), gr.skip(), gr.skip(), gr.skip()]
        assert shown is not None and to is not None  # noqa: PT018, S101 - said above
        try:
            self.desk.override(shown.number, to, reason.strip(), by=who(request))
            shown = shown.overridden(to, reason.strip())
            earlier = self._earlier(shown.decision.client, lang)
        except CreditError as error:
            return [gr.skip(), view.faults(self.desk.book, error, lang), gr.skip(), gr.skip(), gr.skip()]
        done = view.notice("override.done", lang, good=True, decision=say(f"decision.{to}", lang), number=shown.number)
        return [shown, done, view.result(shown, lang), earlier, statement(shown, spoken)]

    def _earlier(self, client: str, lang: Language) -> str:
        return view.earlier(self.desk.earlier(client), lang) if client else ""

    def reworded(self, opened: Opened, shown: Shown | None, found: Any, lang: Language) -> list[Any]:
        """Return what `spoken_of` shows, in another language."""
        client = view.history(self.desk.book, opened.client, opened.history, lang)
        if shown is None:
            return [client, "", _waiting(lang), "", self._earlier(opened.client, lang), "", lang]
        proposals = view.what_if(shown, found, lang) if found else ""
        return [client, "", view.result(shown, lang), proposals, self._earlier(shown.decision.client, lang), "", lang]

    @property
    def spoken_of(self) -> list[Any]:
        """What shows words about the applicant that is open."""
        return [self.client, self.fault, self.result, self.proposals, self.earlier, self.recorded, self.spoken]


def who(request: gr.Request | None) -> str:
    """Return who acts: the person who has logged in, or else the user of this process."""
    return str(getattr(request, "username", None) or actor())


def _choices(lang: Language) -> list[tuple[str, str]]:
    return [(say(f"decision.{to}", lang), to) for to in ("approve", "decline")]


def _waiting(lang: Language) -> str:
    return view.render("paragraph", lang, key="applicant.waiting")


def _told(shown: Shown | None, spoken: Language) -> str:
    return statement(shown, spoken) if shown else ""
