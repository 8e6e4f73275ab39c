"""The page in a real browser: whoever uses it, by whatever means, and what they are told when something is wrong."""

import pytest

from deploy import install
from tests.page.asking import ask, choose, over, until
from tests.page.browser import PHONE
from tests.page.conftest import MODEL
from tests.page.worked import QUESTION
from tests.serving import ponder
from tests.tenants import ALICE, settings


def test_stop_ends_the_work_upstream(opened, portal):
    with portal.wrap_async_context_manager(ponder(lambda _: "and so on " * 2000, delay=0.01)) as slow:
        page = opened(slow.url)
        ask(page, "self_consistency", n=8)
        until(lambda: slow.engine.running == 8)
        page.get_by_role("button", name="Stop").click()
        over(page, "stopped")
        until(lambda: slow.engine.running == 0)
        assert slow.engine.aborted == 8


def test_a_server_with_keys_asks_for_one_and_the_tab_keeps_it(opened, portal):
    with portal.wrap_async_context_manager(ponder(settings=settings())) as locked:
        page = opened(locked.url, expected=[401])
        page.get_by_label("Key", exact=True).fill("pk-wrong")
        page.keyboard.press("Enter")
        page.get_by_text("It does not know the one that was given.").wait_for()
        page.get_by_label("Key", exact=True).fill(ALICE)
        page.get_by_role("button", name="Continue").click()
        ask(page, "single")
        over(page)
        page.reload()
        ask(page, "single")
        over(page)
        assert ALICE not in page.evaluate("JSON.stringify(localStorage) + document.cookie")


def test_a_quota_that_is_used_up_is_told_with_the_time_to_wait(opened, portal):
    quota = settings(alice={"requests_per_minute": 1})
    with portal.wrap_async_context_manager(ponder(settings=quota)) as narrow:
        page = opened(narrow.url, expected=[401, 429])
        page.get_by_label("Key", exact=True).fill(ALICE)
        page.keyboard.press("Enter")
        ask(page, "single")
        over(page)
        page.keyboard.press("Control+Enter")
        over(page, "failed")
        assert page.get_by_role("alert").locator("h3").inner_text() == "The quota is used up"
        assert page.get_by_role("button", name="Try again in").is_disabled()


def test_engines_that_are_gone_are_told(opened, portal):
    with portal.wrap_async_context_manager(ponder()) as served:
        page = opened(served.url, expected=[502, 503])
        choose(page, "single")
        portal.call(served.engine.close)
        ask(page)
        over(page, "failed")
        assert page.get_by_role("alert").locator("h3").inner_text() in ("No engine answers", "The engine failed")


def test_settings_that_the_server_refuses_are_told_by_name(opened, server):
    page = opened(server.url, expected=[400])
    ask(page, "beam_search", beams=0)
    over(page, "failed")
    assert "beams" in page.get_by_role("alert").inner_text()


def test_it_can_all_be_done_by_keyboard(opened, server):
    page = opened(server.url)
    choose(page)
    page.get_by_role("textbox", name="Question").focus()
    page.keyboard.type(QUESTION)
    for label in ("Model", "Strategy", "Verifier"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.labels[0].innerText").startswith(label)
    page.get_by_role("combobox", name="Strategy").focus()
    page.keyboard.type("beam")
    page.get_by_role("textbox", name="Question").focus()
    page.keyboard.press("Control+Enter")
    over(page)
    page.locator(".spot[tabindex='0']").focus()
    walked = []
    for press in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(press)
        walked.append(page.evaluate("document.activeElement.dataset.id"))
    assert walked[0] == walked[2] != walked[1]
    page.keyboard.press("Enter")
    title = page.get_by_role("dialog").get_by_role("heading")
    assert title.inner_text() == f"Candidate {walked[2].removeprefix('0.')}"
    page.keyboard.press("ArrowRight")
    assert title.inner_text() != f"Candidate {walked[2].removeprefix('0.')}"
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert page.evaluate("document.activeElement.dataset.id") == walked[2], "focus is where it was"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_passes_the_rules_of_axe(opened, server, theme):
    axe = (install.page_folder() / "node_modules" / "axe-core" / "axe.min.js").read_text()
    page = opened(server.url, color_scheme=theme, reduced_motion="reduce")
    choose(page)
    page.evaluate(axe)
    assert violations(page) == []
    ask(page, "beam_search", "self_consistency", beams=2, width=2)
    over(page, count=2)
    page.wait_for_timeout(700)
    assert violations(page) == []
    page.locator(".lane").first.click()
    page.wait_for_timeout(500)
    assert violations(page) == []


def violations(page):
    return [
        (one["id"], [(node["target"], node["failureSummary"]) for node in one["nodes"]][:3])
        for one in page.evaluate("axe.run().then(({violations}) => violations)")
    ]


def test_nothing_is_wider_than_a_phone(opened, server):
    page = opened(server.url, PHONE)
    ask(page, "beam_search", "self_consistency", beams=2, width=2)
    over(page, count=2)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.locator(".lane").first.click()
    assert page.get_by_role("dialog").bounding_box()["width"] == pytest.approx(PHONE["width"])


def test_the_theme_follows_the_system_until_somebody_chooses(opened, server):
    page = opened(server.url, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"dark => {ground} !== dark", arg=dark)
    page.get_by_role("button", name="Use the dark theme").click()
    page.reload()
    assert page.evaluate(ground) == dark


def test_the_model_that_is_named_is_asked(opened, server):
    page = opened(server.url)
    choose(page)
    assert page.get_by_role("combobox", name="Model").input_value() == MODEL
