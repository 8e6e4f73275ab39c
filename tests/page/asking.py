"""What somebody does on the page, for tests."""

import time

from tests.page.worked import QUESTION

SOON = 20_000
"""Milliseconds within which all of these are over, on a busy machine too."""


def choose(page, *strategies, **values):
    """Fill in strategies, and settings of the first."""
    page.get_by_role("combobox", name="Model").locator("option").first.wait_for(state="attached")
    for index, name in enumerate(strategies):
        if index:
            page.get_by_role("button", name="Compare with another strategy").click()
        page.get_by_role("combobox", name="Strategy").nth(index).select_option(name)
    if values:
        page.get_by_text("Settings").first.click()
    for name, value in values.items():
        page.get_by_label(name, exact=True).first.fill(str(value))


def ask(page, *strategies, question=QUESTION, **values):
    choose(page, *strategies, **values)
    page.get_by_role("textbox", name="Question").fill(question)
    page.keyboard.press("Control+Enter")


def over(page, phase="done", count=1):
    """Wait until so many searches have ended thus."""
    page.locator(f".search[data-phase={phase}]").nth(count - 1).wait_for(timeout=SOON)


def until(true, seconds=SOON / 1000):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
