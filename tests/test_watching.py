"""What the monitoring tab shows: status, reasons, figures and trends in both languages; nobody's text becomes HTML."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import shop
from seen import EVIL, Seen
from starlette.testclient import TestClient
from watching_util import finding, status

from credit.errors import DataError
from credit.home import Home
from credit.monitoring.archive import Archive
from credit.monitoring.findings import KINDS
from credit.portfolio import Monitoring
from gradio_app import charts, tabs, trends
from gradio_app.server import create
from gradio_app.settings import Settings
from gradio_app.texts import say
from gradio_app.watching import watched

LANGUAGES = ("en", "fr")
SHOP = replace(shop(), monitoring=Monitoring())


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def desk(home, current=1):
    held = (SimpleNamespace(number=current), None) if current else None
    serving = SimpleNamespace(registry=SimpleNamespace(home=home), current=lambda: held)
    return SimpleNamespace(serving=serving, book=SHOP)


def shown(home, *kept, lang="en", current=1):
    archive = Archive(home, "shop")
    for each in kept:
        archive.keep(each)
    return Seen(watched(desk(home, current), lang)).text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_without_a_run_it_says_how_to_run(home, lang):
    told = shown(home, lang=lang)
    assert say("watching.none_title", lang) in told
    assert "python flows/monitoring.py run --portfolio shop --current FOLDER" in told


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("found", ["OK", "WARN", "ALERT"])
def test_the_last_run_speaks(home, found, lang):
    told = shown(home, status(1, "WARN"), status(2, found), lang=lang)
    assert say(f"watching.means_{found}", lang) in told
    assert "MonitoringFlow/2" in told.split(say("watching.figures", lang))[0]
    assert (say("watching.reasons", lang) in told) == (found != "OK")
    assert say("page.synthetic_short", lang) not in told


@pytest.mark.parametrize("lang", LANGUAGES)
def test_synthetic_data_are_said_to_be(home, lang):
    told = shown(home, status(1, synthetic=True), lang=lang)
    assert say("watching.synthetic", lang) in told
    assert told.count(say("page.synthetic_short", lang)) >= 6, "beside the title, each picture and the run"


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_finding_is_told_in_both_languages(home, kind, lang):
    told = shown(home, status(1, "ALERT", findings=[finding(kind=kind, why="Because of it.")]), lang=lang)
    assert say(f"watching.kind_{kind}", lang) in told
    assert "Because of it." in told
    assert (say(f"watching.says_{kind}", lang) in told) == (lang == "fr")


@pytest.mark.parametrize(
    ("subject", "en", "fr"),
    [
        ("amount", "Amount", "Montant"),
        ("probability_of_default", "probability of default", "probabilité de défaut"),
        ("sex", "Sex", "Sexe"),
        (
            "seniority 12-60: expected cost",
            "Months as a client 12-60: expected cost",
            "Mois comme client 12-60 : coût attendu",
        ),
        ("sex f: approval", "Sex f: approval", "Sexe f : accord"),
        ("AUC", "AUC", "AUC"),
        ("calibration in the large", "calibration in the large", "calibration d'ensemble"),
        ("decided again later", "decided again later", "décidés à nouveau plus tard"),
        ("something: new", "something: new", "something : new"),
        ("unheard of", "unheard of", "unheard of"),
    ],
)
def test_subjects_are_said_in_peoples_words(home, subject, en, fr):
    made = status(1, "ALERT", findings=[finding(subject=subject)])
    for lang, words in (("en", en), ("fr", fr)):
        assert say("watching.finding", lang, kind=say("watching.kind_feature", lang), subject=words) in shown(
            home, made, lang=lang
        )


def test_reasons_keep_their_rank_and_the_rest_is_counted(home):
    made = [finding(subject=f"reason {at:02}") for at in range(20)]
    told = shown(home, status(1, "ALERT", findings=made))
    places = [told.index(f"reason {at:02} has moved") for at in range(12)]
    assert places == sorted(places)
    assert "reason 12" not in told
    assert say("watching.more", "en", count=8) in told


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "0.310, counts above 0.250; chance alone reaches 0.020"),
        ({"floor": None}, "0.310, counts above 0.250"),
        ({"value": 0.71, "limit": 0.8, "floor": None}, "0.710, counts below 0.800"),
    ],
)
def test_a_finding_says_where_its_limit_is(home, more, words):
    assert words in shown(home, status(1, "ALERT", findings=[finding(**more)]))


def test_figures_stand_beside_what_was_before(home):
    told = shown(home, status())
    for words in ("0.520 (0.480 to 0.560)", "9.3%", "8.1%", "70%, 0%, 30%", "3 erased", "90 of 1,234 applicants"):
        assert words in told
    assert say("watching.realised_approvals", "en") in told
    assert "0,520 (0,480 à 0,560)" in shown(home, lang="fr")


@pytest.mark.parametrize(
    "part", ["window", "score", "features", "decisions", "money", "quality", "segments", "past", "actions"]
)
def test_a_status_that_lacks_a_part_is_shown_without_it(home, part):
    """Before outcomes mature there are none, and a later version of the flow may leave something out."""
    made = status()
    del made[part]
    assert "MonitoringFlow/1" in shown(home, made)
    assert "MonitoringFlow/1" in shown(home, status(**{part: None}))


def test_what_was_done_is_told(home):
    retrained = {"run": "TrainingFlow/9", "version": 4, "verdict": "passed"}
    done = {"retraining": retrained, "rollback": {"performed": True, "to": 2, "event": 77}}
    told = shown(home, status(actions=done))
    assert say("watching.retraining", "en", **retrained) in told
    assert say("watching.performed", "en", to=2) in told
    done["rollback"]["performed"] = False
    assert say("watching.proposed", "en", to=2) in shown(home, status(actions=done))


@pytest.mark.parametrize(("current", "said"), [(1, False), (2, True), (None, False)])
def test_another_model_in_use_is_said(home, current, said):
    words = say("watching.other_version", "en", watched=1, current=current)
    assert (words in shown(home, status(), current=current)) == said


def test_nobodys_text_becomes_html(home):
    made = status(1, "ALERT", findings=[finding(subject=EVIL, why=EVIL)], model=EVIL)
    made["window"] |= {"source": EVIL, "set_aside": {EVIL: 1}}
    made["features"][0]["feature"] = made["segments"][0]["level"] = made["quality"]["said"] = EVIL
    Archive(home, "shop").keep(made)
    for lang in LANGUAGES:
        seen = Seen(watched(desk(home), lang))
        assert "script" not in seen.tags
        assert EVIL in seen.text


def test_only_runs_with_a_report_have_a_link(home):
    archive = Archive(home, "shop")
    for number in (1, 2):
        archive.keep(status(number))
    (archive.folder("MonitoringFlow/2") / "report.html").write_text("<p>")
    page = watched(desk(home), "en")
    assert "api/v1/monitoring/MonitoringFlow/2/report" in page
    assert "api/v1/monitoring/MonitoringFlow/1/report" not in page


def test_a_damaged_status_is_named_and_the_days_are_still_shown(home, monkeypatch):
    path = Archive(home, "shop").keep(status())
    path.write_text("{")
    with pytest.raises(DataError):
        watched(desk(home), "en")
    made = desk(home)
    made.records = SimpleNamespace(summary=lambda days, portfolio: days)
    monkeypatch.setattr(tabs.view, "monitoring", lambda summary, days, lang: f"<p>{days} days</p>")
    told = Seen(tabs.monitoring_html(made, "en")).text
    assert str(path) in told
    assert "30 days" in told


# ---- Trends ------------------------------------------------------------------------------------------------------

VALUES = (
    st.none()
    | st.floats(0, 1e3)
    | st.tuples(st.floats(0, 1e3), st.floats(0, 1), st.floats(0, 1)).map(
        lambda each: (each[0], each[0] - each[1], each[0] + each[2])
    )
)


@given(
    st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=15),
    st.lists(st.floats(0.01, 10), max_size=2),
    st.booleans(),
)
def test_a_trend_stays_in_its_frame_and_true_to_scale(drawn, limits, zero):
    series = {"one": [each[0] for each in drawn], "two": [each[1] for each in drawn]}
    laid = charts.trend(series, limits, zero=zero)
    heights = [height for height, _ in laid.ticks]
    assert heights[0] == pytest.approx(0, abs=1e-6)
    assert heights[-1] == pytest.approx(100)
    assert 2 <= len(heights) <= 12
    (_, bottom), (_, top) = laid.ticks[0], laid.ticks[-1]
    for name, values in series.items():
        known = [each for each in values if each is not None]
        points = laid.lines[name].points
        assert len(points) == len(known)
        for point, value in zip(points, known, strict=True):
            ends = value if isinstance(value, tuple) else (value,)
            placed = [each for each in (point.bottom, point.low, point.high) if each is not None]
            expected = [100 * (each - bottom) / (top - bottom) for each in ends]
            assert placed == pytest.approx(expected, abs=1e-6)
            if zero is False or min(ends) >= 0:
                assert all(-1e-6 <= each <= 100 + 1e-6 for each in placed)
            assert 0 <= point.left <= 100
    assert all(0 <= each <= 100 + 1e-6 for each in laid.limits)


def test_a_gap_is_not_bridged():
    """A line through a window that was not measured would say that it was."""
    path = charts.trend({"one": [1.0, 2.0, None, 3.0, None, 4.0]}).lines["one"].path
    assert [step[0] for step in path.split() if step[0] in "ML"] == ["M", "L", "M", "M"]


@pytest.mark.parametrize("top", [0.03, 0.1, 0.26, 0.9, 1.0, 7.3, 123.0])
def test_lines_across_are_at_round_numbers(top):
    ticks = [value for _, value in charts.trend({"one": [top]}).ticks]
    step = ticks[1] - ticks[0]
    assert round(step / 10 ** math.floor(math.log10(step * 1.0001)), 6) in (1, 2, 2.5, 5)
    assert ticks[0] == 0
    assert ticks[-1] >= top > ticks[-2] - 1e-9


def test_trends_tell_each_window_the_newest_first():
    runs = [status(at) for at in (1, 2, 3)]
    runs[1]["score"]["psi"] = 0.4
    del runs[0]["quality"], runs[2]["quality"]
    made = {each.title: each for each in trends.trends(runs, SHOP, "en")}
    assert list(made) == [
        say(f"watching.trend_{name}", "en") for name in ("score", "feature", "decisions", "cost", "realised")
    ]
    score = made[say("watching.trend_score", "en")]
    assert score.rows == [
        ["2026-03-14", "0.050", "0.030"],
        ["2026-02-14", "0.400", "0.030"],
        ["2026-01-14", "0.050", "0.030"],
    ]
    assert score.limited
    assert len(score.trend.limits) == 2
    assert list(made[say("watching.trend_decisions", "en")].trend.lines) == ["approve", "decline"]
    realised = made[say("watching.trend_realised", "en")]
    assert [row[1] for row in realised.rows] == ["", "0.520 (0.480 to 0.560)", ""]


def test_an_unimportant_feature_does_not_lead_the_trend():
    run = status()
    run["features"].append(run["features"][0] | {"psi": 9.0, "importance": 0.001})
    [found] = [each for each in trends.trends([run], SHOP, "en") if each.title == say("watching.trend_feature", "en")]
    assert found.rows[0][1] == "0.310"


# ---- The route ---------------------------------------------------------------------------------------------------


@pytest.fixture
def served(home, tmp_path):
    from serving_util import shop_file

    settings = Settings(
        home=home, portfolio=str(shop_file(tmp_path)), rate=0.0, host="0.0.0.0", users={"anna": "correct-horse-9"}
    )
    archive = Archive(home, "shop")
    archive.keep(status())
    (archive.folder("MonitoringFlow/1") / "report.html").write_text("<script>1</script>")
    with TestClient(create(settings, page=False), base_url="http://127.0.0.1") as made:
        yield made


def test_a_report_is_served_where_its_scripts_can_reach_nothing(served):
    answer = served.get("/api/v1/monitoring/MonitoringFlow/1/report", auth=("anna", "correct-horse-9"))
    assert (answer.status_code, answer.text) == (200, "<script>1</script>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[:2] == ["sandbox allow-scripts", "default-src 'none'"]
    assert not [each for each in policy if "connect-src" in each or "self" in each or "allow-same-origin" in each]
    assert answer.headers["cache-control"] == "no-store"


def test_a_report_needs_the_same_password(served):
    assert served.get("/api/v1/monitoring/MonitoringFlow/1/report").status_code == 401


@pytest.mark.parametrize("path", ["MonitoringFlow/2", "MonitoringFlow/.."])
def test_where_there_is_no_report_there_is_a_problem(served, path):
    answer = served.get(f"/api/v1/monitoring/{path}/report", auth=("anna", "correct-horse-9"))
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "sandbox" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["..%2f..%2fetc/1", "a-b/1", "MonitoringFlow/%2e%2e", "MonitoringFlow/1%2f..%2f1"])
def test_no_path_leads_out(served, path):
    answer = served.get(f"/api/v1/monitoring/{path}/report", auth=("anna", "correct-horse-9"))
    assert answer.status_code in (404, 422)


def test_the_status_of_the_tests_is_of_the_form_that_is_kept(home):
    Archive(home, "shop").keep(status())
    assert Archive(home, "shop").last() == json.loads(json.dumps(status()))
