"""What monitoring found, as HTML: status and reasons, figures, trends over windows, reports; computes no statistic."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from credit import features
from credit.monitoring.archive import Archive
from credit.portfolio import DEFAULT, Language, Portfolio, words
from credit.scoring.baseline import SCORE
from gradio_app.desk import Desk
from gradio_app.texts import say, texts
from gradio_app.trends import Status, ends, trends
from gradio_app.view import fixed, render, spoken

__all__ = ["watched"]

#: Windows of the trends and the list of runs; reasons, features and segments that are shown.
WINDOWS, REASONS, FEATURES, SEGMENTS = 12, 12, 10, 12
COUNTS = {"count": "applicants", "known": "matured"}
NOTHING = "-"


def watched(desk: Desk, lang: Language) -> str:
    """Show what monitoring found of the book, or how to run it.

    Raises
    ------
    DataError
        If a run's status is damaged.
    """
    archive = Archive(desk.serving.registry.home, desk.book.name)
    runs = archive.runs(WINDOWS)
    if not runs:
        named = "" if desk.book.name == DEFAULT else f" --portfolio {desk.book.name}"
        return render("unwatched", lang, option=named)
    held, last, book = desk.serving.current(), runs[-1], desk.book
    names = _names(book, lang)
    window = last.get("window") or {}
    findings = last["findings"]
    return render(
        "watching",
        lang,
        run=last,
        synthetic=last.get("synthetic", False),
        current=held[0].number if held else None,
        facts=_facts(last, lang),
        aside={names.get(why, why): count for why, count in (window.get("set_aside") or {}).items()},
        reasons=[_reason(each, names, lang) for each in findings[:REASONS]],
        more=max(len(findings) - REASONS, 0),
        actions=list(_actions(last.get("actions") or {}, lang)),
        figures=list(_figures(last, lang)),
        said=(last.get("quality") or {}).get("said", ""),
        charts=list(trends(runs, book, lang)),
        features=_features(last, names, lang),
        segments=_segments(last, book, names, lang),
        months=_past(last, lang),
        runs=[(each, _span(each, lang), archive.report(each["run"]) is not None) for each in reversed(runs)],
    )


# ---- Words -------------------------------------------------------------------------------------------------------


def _names(book: Portfolio, lang: Language) -> dict[str, str]:
    """Return what people call each feature, group, segment and figure."""
    labels = {each.name: each.label for each in (*features.definitions(book),)}
    labels |= {each.name: each.label for each in (*book.groups, *book.segments)}
    about = {key.removeprefix("watching.about_").replace("_", " "): key for key in texts() if ".about_" in key}
    own = {name: say(key, lang) for name, key in about.items()}
    return {name: spoken(label, lang) for name, label in labels.items()} | own | {SCORE: own["probability of default"]}


def _of(kind: str, subject: str, lang: Language) -> str:
    return say("watching.finding", lang, kind=kind, subject=subject)


def _subject(subject: str, names: Mapping[str, str], lang: Language) -> str:
    """Say what a finding is about: a feature, a part of the book, or "PART LEVEL: FIGURE"."""
    if subject in names or subject.lower() in names:
        return names.get(subject) or names[subject.lower()]
    about, mark, figure = subject.rpartition(": ")
    if not mark:
        return subject
    part = next((name for name in names if about.startswith(f"{name} ")), "")
    level = about.removeprefix(part).strip()
    return _of(f"{names.get(part, '')} {level}".strip(), names.get(figure, figure), lang)


def _reason(finding: Mapping[str, Any], names: Mapping[str, str], lang: Language) -> dict[str, Any]:
    """Tell a finding in the words of a language; its own sentence is in English."""
    kind, value, limit, floor = (finding.get(name) for name in ("kind", "value", "limit", "floor"))
    figures = ""
    if kind != "data" and value is not None and limit is not None:
        shown = {"value": fixed(value, lang, 3), "limit": fixed(limit, lang, 3)}
        figures = say("watching.beneath" if value < limit else "watching.above", lang, **shown)
        if floor is not None:
            figures = say("watching.floor", lang, figures=figures, floor=fixed(floor, lang, 3))
    return {
        "severity": finding["severity"],
        "head": _of(say(f"watching.kind_{kind}", lang), _subject(finding["subject"], names, lang), lang),
        "says": say(f"watching.says_{kind}", lang),
        "why": finding.get("why", ""),
        "figures": figures,
    }


def _span(run: Status, lang: Language) -> str:
    """Say which days a window has; where nobody knows, when it was looked at."""
    window = run.get("window") or {}
    if not window.get("start"):
        return str(run["at"])[:10]
    return say("watching.span", lang, start=window["start"][:10], end=window["end"][:10])


def _facts(run: Status, lang: Language) -> list[tuple[str, str]]:
    window = run.get("window") or {}
    facts = [("watching.ran", f"{run['run']}, {str(run['at'])[:16].replace('T', ' ')} UTC")]
    if run.get("version"):
        version = say("watching.version", lang, version=run["version"])
        facts.insert(0, ("watching.watched", f"{run.get('model', '')} {version}"))
    if window:
        counts = {name: words.number(window[key], lang) for name, key in COUNTS.items()}
        facts += [
            ("watching.window", _span(run, lang)),
            ("watching.source", window["source"]),
            ("watching.applicants", say("watching.matured", lang, **counts)),
        ]
    return facts


def _actions(actions: Mapping[str, Any], lang: Language) -> Iterator[str]:
    """Say what the run did, or proposes."""
    if done := actions.get("rollback"):
        key = "watching.performed" if done.get("performed") else "watching.proposed"
        event = say("watching.event", lang, event=done["event"])
        yield f"{say(key, lang, to=done['to'])} ({event})"
    if done := actions.get("retraining"):
        yield say("watching.retraining", lang, **{name: done[name] for name in ("run", "version", "verdict")})


# ---- Figures -----------------------------------------------------------------------------------------------------


def _figures(run: Status, lang: Language) -> Iterator[tuple[str, str, str]]:
    """Yield what the window amounts to: words, now, before."""
    money, score, quality = (run.get(name) or {} for name in ("money", "score", "quality"))
    if money:
        yield say("watching.expected", lang), _interval(money["expected"], lang), _interval(money["promised"], lang)
    if (realised := money.get("realised")) and (told := (quality.get("cost") or {}).get(realised["of"])):
        key = "watching.realised_approvals" if realised["of"] == "approvals" else "watching.realised"
        yield say(key, lang), _interval(told["realised"], lang), _interval(told["promised"], lang)
    if score:
        now, before = (words.percent(score[name], lang) for name in ("mean_now", "mean_before"))
        yield say("watching.mean_probability", lang), now, before
        yield say("watching.psi", lang), f"{fixed(score['psi'], lang, 3)} ({fixed(score['floor'], lang, 3)})", ""
    if shares := run.get("decisions"):
        told = [words.percent(shares.get(name, 0.0), lang) for name in ("approve", "review", "decline")]
        yield say("watching.shares", lang), ", ".join(told), ""
    if auc := quality.get("auc"):
        yield say("watching.auc", lang), _interval(auc["now"], lang), _interval(auc["promised"], lang)
    if calibration := quality.get("calibration"):
        yield say("watching.in_the_large", lang), _interval(calibration["in_the_large"], lang), ""


def _interval(found: Mapping[str, float] | None, lang: Language) -> str:
    known = ends(found)
    if known is None:
        return ""
    estimate, low, high = (fixed(each, lang, 3) for each in known)
    return say("watching.interval", lang, estimate=estimate, low=low, high=high)


def _features(run: Status, names: Mapping[str, str], lang: Language) -> list[list[str]]:
    """Return the rows of the table of features, and what each adds to the cost where it was worked out."""
    percents = partial(words.percent, lang=lang)
    costs = {each["feature"]: each for each in (run.get("money") or {}).get("drift") or []}
    return [
        [
            names.get(each["feature"], each["feature"]),
            fixed(each["psi"], lang, 3),
            fixed(each["floor"], lang, 3),
            words.percent(each["importance"], lang),
            _moved(each, "missing", percents, lang),
            words.percent(each["unseen_now"], lang),
            _added(costs.get(each["feature"]), lang),
        ]
        for each in (run.get("features") or [])[:FEATURES]
    ]


def _added(cost: Mapping[str, float] | None, lang: Language) -> str:
    return _interval({"estimate": cost["cost"], "low": cost["low"], "high": cost["high"]}, lang) if cost else ""


def _moved(row: Mapping[str, Any], name: str, write: Callable[[float], str], lang: Language) -> str:
    """Write a figure before and now; what nobody knows is a dash."""
    before, now = (row[f"{name}_{when}"] for when in ("before", "now"))
    told = {"before": NOTHING if before is None else write(before), "now": NOTHING if now is None else write(now)}
    return say("watching.then_now", lang, **told)


def _segments(run: Status, book: Portfolio, names: Mapping[str, str], lang: Language) -> list[list[str]]:
    percents = partial(words.percent, lang=lang)
    parts = {each.name: each for each in (*book.groups, *book.segments) if not each.edges}
    levels = {name: {level: word for word, level in _choices(book, each.column, lang)} for name, each in parts.items()}
    return [
        [
            names.get(each["part"], each["part"]),
            levels.get(each["part"], {}).get(each["level"], each["level"]),
            words.number(each["n"], lang) + (f" ({say('watching.small', lang)})" if each["small"] else ""),
            _moved(each, "share", percents, lang),
            _moved(each, "approval", percents, lang),
            _moved(each, "expected_cost", partial(fixed, lang=lang, digits=3), lang),
        ]
        for each in (run.get("segments") or [])[:SEGMENTS]
    ]


def _choices(book: Portfolio, column: str, lang: Language) -> list[tuple[str, Any]]:
    return words.choices(book, book.columns[column], lang)


def _past(run: Status, lang: Language) -> list[list[str]]:
    return [
        [
            each["period"],
            words.number(each["n"], lang),
            words.number(each["matured"], lang),
            _interval({"estimate": each["expected"], "low": each["low"], "high": each["high"]}, lang),
            "" if each["realised"] is None else fixed(each["realised"], lang, 3),
        ]
        for each in (run.get("past") or [])
    ]
