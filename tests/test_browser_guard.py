"""The page of the browser tests stops what leaves this machine: a guard that cannot fail guards nothing."""

from pathlib import Path

import pytest
from conftest import guarded_page
from playwright.sync_api import Browser, Page


def test_local_content_is_shown(browser_page: Page, tmp_path: Path) -> None:
    file = tmp_path / "card.html"
    file.write_text("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='><p>7 défauts</p>", encoding="utf-8")
    browser_page.goto(file.as_uri())
    assert browser_page.inner_text("p") == "7 défauts"


def test_metaflow_font_is_stopped_but_forgiven(browser_page: Page) -> None:
    browser_page.set_content("<link rel=stylesheet href='https://fonts.googleapis.com/css?family=Roboto'>7")
    assert browser_page.inner_text("body") == "7"


@pytest.mark.parametrize(
    "content",
    [
        "<img src='https://outside.example/pixel.gif'>",
        "<script src='http://outside.example/x.js'></script>",
        "<script>fetch('https://outside.example/beacon').catch(() => 0)</script>",
    ],
)
def test_request_to_the_outside_fails_the_test(browser: Browser, content: str) -> None:
    guard = guarded_page(browser)
    page = guard.__enter__()
    page.set_content(f"{content}<p>7</p>")
    page.wait_for_load_state("networkidle")
    with pytest.raises(AssertionError, match=r"outside\.example"):
        guard.__exit__(None, None, None)
