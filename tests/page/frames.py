"""How smoothly the page follows 256 samples: `python -m tests.page.frames` prints the times between its frames."""

from statistics import quantiles

from anyio.from_thread import start_blocking_portal

from tests.page.browser import DESKTOP, chromium
from tests.page.worked import QUESTION, worked
from tests.processes import served

SAMPLES = 256
ENGINE = {"reply": worked, "delay": 0.004, "model": "worked", "max_model_len": 32768}
WATCH = """() => {
  window.gaps = [];
  let last;
  const frame = (now) => {
    if (document.querySelector(".search[data-phase=running]") && last) gaps.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""


def main():
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(served(engine=ENGINE)) as running,
        chromium() as browser,
    ):
        for view in ("Samples", "Tree"):
            page = browser.new_page(viewport=DESKTOP)
            page.goto(running.url)
            gaps = followed(page, view)
            hundredths = quantiles(gaps, n=100)
            median, p95, p99 = (hundredths[at - 1] for at in (50, 95, 99))
            print(f"{view}: {len(gaps)} frames; median {median:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms", flush=True)
            page.close()


def followed(page, view):
    """Milliseconds between the frames of a search by that many samples."""
    page.get_by_role("combobox", name="Strategy").select_option("self_consistency")
    page.get_by_label("Tokens", exact=True).fill("")
    page.get_by_text("Settings").click()
    page.get_by_label("n", exact=True).fill(str(SAMPLES))
    page.get_by_label("early stop").select_option("none")
    page.get_by_role("textbox", name="Question").fill(QUESTION)
    page.evaluate(WATCH)
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name=view).click()
    page.locator(".search[data-phase=done]").wait_for(timeout=120_000)
    return page.evaluate("gaps")


if __name__ == "__main__":
    main()
