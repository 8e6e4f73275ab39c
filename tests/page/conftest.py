"""A Chromium for a module of tests, and pages in it that complain of nothing and ask nobody else."""

import pytest
from anyio.from_thread import start_blocking_portal

from tests.page.browser import DESKTOP, chromium, missing
from tests.page.worked import worked
from tests.processes import served

MODEL = "worked"
DELAY = 0.002


@pytest.fixture(scope="module")
def browser():
    """Not for longer than a module: while it runs, this thread has an event loop that no other may run in."""
    if reason := missing():
        pytest.skip(reason)
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def portal():
    with start_blocking_portal("asyncio") as made:
        yield made


@pytest.fixture(scope="module")
def server(portal):
    """`ponder serve` over an engine that works one problem."""
    engine = {"reply": worked, "delay": DELAY, "model": MODEL, "max_model_len": 32768}
    with portal.wrap_async_context_manager(served(engine=engine)) as running:
        yield running


@pytest.fixture
def opened(browser):
    """Opens the page of a server. In the end no page has had an error, nor asked any but its own server."""
    contexts, wrong = [], []

    def open_page(url, size=DESKTOP, expected=(), **options):
        """`expected`: statuses of responses that a browser tells of on its console."""
        context = browser.new_context(viewport=size, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda line: wrong.append(line.text) if unexpected(line, expected) else None)
        page.on("request", lambda request: wrong.append(request.url) if foreign(request.url, url) else None)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def unexpected(line, expected):
    return line.type in ("error", "warning") and not any(f"status of {status}" in line.text for status in expected)


def foreign(asked, own):
    return not asked.startswith((own, "blob:" + own))
