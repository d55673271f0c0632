"""Pages in Debian's Chromium, which may run and load nothing that is not their own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@contextmanager
def opened(
    file: Path, size: dict[str, int], scheme: str = "light", title: str = "demo"
) -> Iterator[Any]:
    """Open a page; at the end nothing may have been loaded, run or complained about."""
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium
        browser = chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport=size, color_scheme=scheme)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: wrong.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("#again-section, #overview-section")
        yield page
        shown = page.title()
        browser.close()
    assert set(wrong) == {file.as_uri()}, "nothing but the page itself"
    assert shown == title


def scroll_through(page: Any) -> None:
    """Bring all of a page into view, so that everything in it is drawn."""
    y, height = 0, 1
    while y < height:
        page.evaluate("y => window.scrollTo(0, y)", y)
        page.wait_for_timeout(60)
        y += 600
        height = page.evaluate("document.documentElement.scrollHeight")
    page.wait_for_timeout(200)


def smooth_the_first_curve(page: Any) -> str:
    """Smooth the first curve by the slider; return what the pointer on it shows."""
    plot = page.locator("#curves .plot").first
    plot.scroll_into_view_if_needed()
    plot.locator("canvas").wait_for()
    before = plot.screenshot()
    page.get_by_label("smoothing").focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    wait_until(page, lambda: bool(plot.screenshot() != before))
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#tip:not([hidden])")
    return str(page.locator("#tip").inner_text())


def wait_until(page: Any, condition: Callable[[], bool]) -> None:
    """Wait until something is so on a page; fail if it never is."""
    for _ in range(100):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen")
