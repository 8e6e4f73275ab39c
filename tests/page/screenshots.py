"""The pictures of docs/page.md: `python -m tests.page.screenshots` makes them anew."""

import sys
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from tests.page.browser import DESKTOP, PHONE, chromium
from tests.page.worked import QUESTION, worked
from tests.processes import ROOT, served

FOLDER = ROOT / "docs" / "screenshots"
DELAY = 0.006
"""Seconds for a token of the engine: slow enough for a picture of a search that still goes on."""


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    engine = {"reply": worked, "delay": DELAY, "model": "smollm2-135m", "max_model_len": 32768}
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(served(engine=engine)) as running,
        chromium() as browser,
    ):
        for theme in ("light", "dark"):
            pictures = Pictures(browser, running.url, folder, theme)
            pictures.welcome()
            pictures.beams()
            pictures.votes()
            pictures.side_by_side()
            pictures.phone()


class Pictures:
    """Pictures in one theme."""

    def __init__(self, browser, url, folder, theme):
        self.browser, self.url, self.folder, self.theme = browser, url, folder, theme

    def page(self, size, strategies=(), **settings):
        page = self.browser.new_page(viewport=size, color_scheme=self.theme, device_scale_factor=1.5)
        page.goto(self.url)
        page.get_by_label("Model").locator("option").first.wait_for(state="attached")
        for index, name in enumerate(strategies):
            if index:
                page.get_by_text("Compare with another strategy").click()
            page.get_by_role("combobox", name="Strategy").nth(index).select_option(name)
        if settings:
            page.get_by_text("Settings").first.click()
        for name, value in settings.items():
            page.get_by_label(name, exact=True).first.fill(str(value))
        if settings:
            page.get_by_text("Settings").first.click()
        return page

    def ask(self, page, wait=True):
        page.get_by_role("textbox", name="Question").fill(QUESTION)
        page.keyboard.press("Control+Enter")
        if wait:
            page.locator(".search[data-phase=done]").last.wait_for(timeout=60_000)
            while page.locator(".search:not([data-phase=done])").count():
                page.wait_for_timeout(100)
            page.wait_for_timeout(900)

    def shoot(self, page, name):
        page.screenshot(path=self.folder / f"{name}-{self.theme}.png")
        page.close()

    def welcome(self):
        page = self.page(DESKTOP)
        page.wait_for_timeout(2000)
        self.shoot(page, "welcome")

    def beams(self):
        page = self.page(DESKTOP, ["beam_search"], beams=4, width=3)
        self.ask(page, wait=False)
        page.locator(".spot").nth(20).wait_for(timeout=30_000)
        page.wait_for_timeout(500)
        page.screenshot(path=self.folder / f"beam-search-live-{self.theme}.png")
        page.locator(".search[data-phase=done]").wait_for(timeout=60_000)
        page.wait_for_timeout(900)
        page.screenshot(path=self.folder / f"beam-search-{self.theme}.png")
        page.get_by_text("Read it").click()
        page.wait_for_timeout(500)
        self.shoot(page, "candidate")

    def votes(self):
        page = self.page(DESKTOP, ["self_consistency"], n=16)
        self.ask(page)
        self.shoot(page, "votes")

    def side_by_side(self):
        page = self.page(DESKTOP, ["dvts", "self_consistency"])
        self.ask(page)
        self.shoot(page, "side-by-side")

    def phone(self):
        page = self.page(PHONE, ["beam_search"], beams=3, width=3)
        self.ask(page)
        self.shoot(page, "phone")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
