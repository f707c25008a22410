"""Make the pictures of the page and of the cards, from a running app and the newest run of training, all synthetic.

    python flows/training.py run
    python -m gradio_app
    python docs/screenshots.py
    python docs/screenshots.py --cards        after step 2 of docs/tutorial.md, in its folder: the cards alone

It needs Playwright and a Chromium (`CREDIT_CHROMIUM` names one), and refuses what does not say "synthetic".
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

OUT = Path(__file__).parent / "images"
CLIENT = "108649"  # declined, and could be approved after a change
#: A picture is cut to what matters, and has few colours: it is loaded with every look at the README.
COLOURS, LARGEST = 128, 200_000
#: Cards that pages show: picture, step and id, and how much of it from the top, in pixels.
CARDS = (
    ("card-leaderboard", "choose", "leaderboard", 820),
    ("card-evaluation", "evaluate", "evaluation", 1395),
    ("card-verdict", "register", "verdict", 757),
)
FLOW = Path(__file__).resolve().parents[1] / "flows" / "training.py"


def main() -> int:
    """Take the pictures and return 0, or 2 where there is nothing to take."""
    parser = argparse.ArgumentParser(description="Pictures of the page for the README.")
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--client", default=CLIENT, help="an existing client's number")
    parser.add_argument("--cards", action="store_true", help="the cards of this folder's newest run, and no page")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    names = (os.environ.get("CREDIT_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, filter(None, names))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        if asked.cards:
            return cards(browser, asked.out)
        for name, lang, width, height in (("page-en", "en", 1280, 1180), ("page-fr-phone", "fr", 390, 1300)):
            page = browser.new_page(viewport={"width": width, "height": height})
            if not decided(page, f"{asked.url}/?lang={lang}", asked.client):
                print(f"error: {asked.url}: its model was not trained on synthetic data.", file=sys.stderr)
                return 2
            keep(page, asked.out / f"{name}.png")
            if name == "page-en":
                explained(page, asked.out / "page-reasons.png")
                page.get_by_role("tab").nth(2).click()
                page.locator("#model figure img").first.wait_for()
                page.locator("#model figure").first.evaluate("element => element.scrollIntoView()")
                keep(page, asked.out / "page-model.png")
        browser.close()
    return 0


def cards(browser: Browser, out: Path) -> int:
    """Picture the cards of the newest run that is kept below this folder; return 0, or 2 if they are not synthetic."""
    runs = [path.name for path in Path(".metaflow/TrainingFlow").glob("*") if path.name.isdigit()]
    if not runs:
        print("error: .metaflow: no run of training is kept in this folder; train here first.", file=sys.stderr)
        return 2
    page = browser.new_page(viewport={"width": 1280, "height": 2000})
    page.route("https://**", lambda route: route.abort())  # Metaflow's template asks for a font
    with tempfile.TemporaryDirectory() as folder:
        for picture, step, card, height in CARDS:
            file = Path(folder) / f"{card}.html"
            words = (sys.executable, str(FLOW), "card", "get", f"{max(runs, key=int)}/{step}", "--id", card, str(file))
            subprocess.run(words, check=True, capture_output=True)
            page.goto(file.as_uri())
            heading = page.locator("h1", has_text=re.compile("Leaderboard|Evaluation|Verdict")).first
            heading.wait_for()
            if "Synthetic" not in page.locator("body").inner_text():
                print(f"error: {step}: its model was not trained on synthetic data.", file=sys.stderr)
                return 2
            heading.evaluate("element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 20)")
            box = heading.bounding_box()
            across = (int(box["x"]) - 20, 1280) if box else None
            page.set_viewport_size({"width": 1280, "height": height})
            keep(page, out / f"{picture}.png", across)
    return 0


def decided(page: Page, address: str, client: str) -> bool:
    """Open a client and decide; say whether the page says that its data are synthetic."""
    page.set_default_timeout(120_000)
    page.goto(address)
    page.locator("#head .cr-version").wait_for()
    page.locator("#client-number input").fill(client)
    page.locator("#client-number input").press("Enter")
    page.locator(".cr-client", has_text=client).wait_for()
    page.locator("#decide").click()
    page.locator(".cr-verdict").wait_for()
    page.locator(".cr-whatif").wait_for()
    page.evaluate("document.activeElement.blur()")
    if page.viewport_size and page.viewport_size["width"] > 1000:
        page.evaluate("scrollTo(0, 0)")
    return "synthetic" in page.locator("#head").inner_text()


def explained(page: Page, path: Path) -> None:
    """Picture the reasons and the waterfall, its first concept opened."""
    page.locator(".cr-fall > summary").click()
    page.locator(".cr-steps summary").first.click()
    page.evaluate("document.activeElement.blur()")
    page.locator(".cr-reasons").evaluate("element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 50)")
    box = page.locator("#outcome").bounding_box()
    keep(page, path, (int(box["x"]), int(box["x"] + box["width"])) if box else None)


def keep(page: Page, path: Path, across: tuple[int, int] | None = None) -> None:
    """Write what the window shows, or a part of its width, as a small PNG."""
    page.wait_for_timeout(500)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if across:
        image = image.crop((across[0], 0, across[1], image.height))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(COLOURS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path}: larger than {LARGEST / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
