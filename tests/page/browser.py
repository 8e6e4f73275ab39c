"""Chromium, and pages of a Ponder in it."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def missing():
    """Why there is no browser to test in; None where there is one. CI has to have it."""
    if Path(CHROMIUM).exists() or os.environ.get("CI"):
        return None
    return f"there is no Chromium at {CHROMIUM} (Debian: apt-get install chromium)"


@contextmanager
def chromium():
    """A running Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
