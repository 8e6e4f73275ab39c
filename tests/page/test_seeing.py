"""The page in a real browser: what of a search is seen."""

import json

import pytest

from benchmarks.engine_replies import Reply
from tests.page.asking import ask, choose, over
from tests.page.worked import QUESTION, worked
from tests.serving import ponder


def test_a_beam_search_is_seen_as_a_tree_that_grows(opened, server):
    page = opened(server.url)
    page.evaluate(
        "window.sizes = new Set(); const look = () => {"
        " sizes.add(document.querySelectorAll('.spot').length); requestAnimationFrame(look) }; look()"
    )
    ask(page, "beam_search", beams=2, width=3)
    over(page)
    assert page.evaluate("sizes.size") > 3, "it grew before it was over"
    spots = page.locator(".spot")
    assert spots.count() == int(page.locator(".meter b").nth(1).inner_text()), "every sample is a node"
    assert page.locator(".spot[data-pruned=true]").count() >= 3
    assert page.locator(".spot[data-scored=true]").count() > spots.count() / 2
    lit = page.locator(".spot[data-lit=true]")
    chosen = page.locator(".spot[data-chosen=true]").get_attribute("data-id")
    assert lit.count() == chosen.count(".") > 1, "one node a level"
    assert all(chosen.startswith(lit.nth(at).get_attribute("data-id")) for at in range(lit.count()))
    assert "chosen" in page.locator(".spot[data-chosen=true]").get_attribute("aria-label")


def test_votes_settle_on_what_the_reply_says(opened, server):
    page = opened(server.url)
    ask(page, "self_consistency", n=12)
    page.locator(".lane").first.wait_for()
    over(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    [run] = json.loads(download.value.path().read_text())["runs"]
    [choice] = run["records"][-1][1]["trace"]["choices"]
    first = page.locator(".votes li[data-first=true]")
    assert first.inner_text().split() == [choice["answer"], str(choice["votes"][choice["answer"]])]
    assert page.locator(".votes h3 small").inner_text() == str(sum(choice["votes"].values()))
    assert page.locator(".answer .big").inner_text() == choice["answer"]
    assert page.locator(".lane").count() == 12
    assert page.locator(".lane[data-chosen=true]").get_attribute("data-id") == choice["chosen"]


def test_what_is_spent_is_what_the_server_counts(opened, server):
    page = opened(server.url)
    before = server.engine.generated
    ask(page, "best_of_n", n=5)
    over(page)
    tokens, samples, _ = page.locator(".meter b").all_inner_texts()
    assert int(tokens.replace(",", "")) == server.engine.generated - before
    assert samples == "5"


def test_a_candidate_is_read_in_full_with_its_math(opened, server):
    page = opened(server.url)
    ask(page, "beam_search", beams=1, width=2)
    over(page)
    page.locator(".spot[data-chosen=true]").click()
    drawer = page.get_by_role("dialog")
    assert drawer.locator(".body .katex").count() >= 3
    assert drawer.locator(".body .katex-error").count() == 0
    assert "boxed" in drawer.locator(".body .katex annotation").last.text_content()
    page.get_by_role("button", name="As it was written").click()
    assert r"\boxed{" in drawer.locator("pre").inner_text()


def test_two_strategies_answer_one_question_side_by_side(opened, server):
    page = opened(server.url)
    ask(page, "dvts", "self_consistency", trees=2, width=2)
    over(page, count=2)
    boxes = [page.locator(".search").nth(at).bounding_box() for at in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert page.locator(".search .tree").count() == page.locator(".search .lanes").count() == 1


def shown(page):
    """All that a page shows of its searches."""
    return page.locator(".search").all_inner_texts(), page.locator(".spot, .lane").evaluate_all(
        "all => all.map(one => JSON.stringify(one.dataset) + (one.getAttribute('aria-label') ?? one.textContent))"
    )


def test_a_run_that_was_exported_looks_the_same_when_it_is_opened_dropped_or_replayed(opened, server, tmp_path):
    page = opened(server.url)
    ask(page, "beam_search", "self_consistency", beams=2, width=2)
    over(page, count=2)
    before, file = shown(page), tmp_path / "run.json"
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(file)
    page.reload()
    page.locator("input[type=file]").set_input_files(file)
    over(page, count=2)
    assert shown(page) == before
    assert page.locator(".question").inner_text() == QUESTION
    page.reload()
    page.evaluate(
        "text => { const data = new DataTransfer(); data.items.add(new File([text], 'run.json'));"
        "dispatchEvent(new DragEvent('drop', {dataTransfer: data})) }",
        file.read_text(),
    )
    over(page, count=2)
    assert shown(page) == before
    page.get_by_role("button", name="Replay").click()
    page.locator(".search[data-phase=replaying]").first.wait_for()
    over(page, count=2)
    assert shown(page) == before


def test_a_file_that_is_no_run_is_told(opened, server, tmp_path):
    (tmp_path / "note.json").write_text('{"hello": 1}')
    page = opened(server.url)
    page.locator("input[type=file]").set_input_files(tmp_path / "note.json")
    assert "note.json cannot be opened" in page.get_by_role("alert").inner_text()


def test_256_samples_are_followed_and_only_those_in_sight_are_elements(opened, portal):
    with portal.wrap_async_context_manager(ponder(worked, delay=0.03)) as slow:
        page = opened(slow.url)
        choose(page, "self_consistency", n=256)
        page.get_by_label("Tokens", exact=True).fill("")
        page.get_by_label("Tokens of one path").fill("120")
        page.get_by_label("early stop").select_option("none")
        page.get_by_role("textbox", name="Question").fill(QUESTION)
        page.evaluate(
            "window.spent = new Set(); const look = () => {"
            " spent.add(document.querySelector('.meter b')?.innerText); requestAnimationFrame(look) }; look()"
        )
        page.keyboard.press("Control+Enter")
        over(page)
        assert page.evaluate("spent.size") > 10, "it was drawn while they grew"
        assert page.locator(".meter b").nth(1).inner_text() == "256"
        assert page.locator(".lane").count() < 60
        page.locator(".lanes").evaluate("all => all.scrollTo(0, all.scrollHeight)")
        page.locator(".lane[data-id='0.255']").wait_for()


def test_samples_that_are_lost_are_marked_and_told(opened, portal):
    def breaking(ask):
        return Reply("4 <answer>4</answer>", fault="frame" if ask.index == 3 else None)

    with portal.wrap_async_context_manager(ponder(breaking, delay=0.001)) as served:
        page = opened(served.url)
        choose(page, "self_consistency")
        page.get_by_text("Settings").first.click()
        page.get_by_label("early stop").select_option("none")
        ask(page)
        over(page)
        lost = page.locator(".lane[data-state=lost]")
        assert lost.count() > 0
        assert f"{lost.count()} lost" in page.locator(".answer").inner_text()
        assert page.locator(".notes li[data-kind=lost]").count() == lost.count()


def test_what_a_model_writes_is_never_markup(opened, portal):
    hostile = (
        "<img src=x onerror=alert(1)> <script>alert(2)</script> [a](javascript:alert(3)) ![b](http://192.0.2.1/c.png) "
        r"$\href{javascript:alert(4)}{x}$ $\includegraphics{http://192.0.2.1/d.png}$ \boxed{<b>5</b>}"
    )
    with portal.wrap_async_context_manager(ponder(lambda _: hostile)) as served:
        page = opened(served.url)
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        ask(page, "single")
        over(page)
        page.locator(".lane").first.click()
        page.get_by_role("dialog").wait_for()
        found = page.locator(".rendered :is(img, script, b, a), .short b")
        assert found.count() == 0
