"""The statement of reasons that an applicant may have, as plain text in two languages; decides nothing."""

from datetime import UTC, datetime
from functools import partial

from credit.portfolio import Language
from gradio_app.texts import say
from gradio_app.view import Shown, spoken

__all__ = ["statement"]


def statement(shown: Shown, lang: Language, on: datetime | None = None) -> str:
    """Write the statement of reasons that the applicant may have, as plain text.

    Notes
    -----
    It names the principal reasons (Regulation B, 12 CFR 1002.9(b)(2)), not the threshold and no other applicant.
    """
    decision, final = shown.decision, shown.final or shown.decision.decision
    t = partial(say, lang=lang)
    listed = [f"  {at}. {spoken(each, lang)}" for at, each in enumerate(decision.reasons, start=1)]
    told = [t("statement.officer", reason=shown.reason)] if shown.reason else []
    if final == "decline" and not shown.reason:
        told = [t("statement.principal"), *(listed or [f"  1. {t('statement.no_reason')}"])]
    elif listed and (final == "review" or shown.reason):
        told += ["", t("statement.weighed"), *listed]
    lines = [
        t("statement.lender"),
        "",
        t("statement.head_decline").upper(),
        t(
            "statement.reference",
            date=(on or datetime.now(UTC)).date().isoformat(),
            client=decision.client or t("statement.new_client"),
            number=shown.number,
        ),
        "",
        t(f"statement.{final}"),
        *(["", *told] if told else []),
        "",
        " ".join([t("statement.automated"), *_unused(shown, lang)]),
        "",
        t("statement.rights"),
    ]
    marked = [t("statement.synthetic"), "", *lines] if decision.synthetic else lines
    return "\n".join(marked)


def _unused(shown: Shown, lang: Language) -> list[str]:
    """Name what may not enter the model: the book's protected columns."""
    protected = [each.label for each in shown.decider.portfolio.columns.values() if each.role == "protected"]
    names = ", ".join(spoken(label, lang).lower() for label in protected)
    return [say("statement.unused", lang, names=names)] if names else []
