"""report.html in a browser: it is clicked through, and nothing in it runs that is not its own."""

import random
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from browser import (
    CHROMIUM,
    DESK,
    PHONE,
    opened,
    scroll_through,
    smooth_the_first_curve,
    wait_until,
)
from machine import require
from report_runs import MODELS, write_report_run, write_rollouts

from r1trl.report.page import write_page
from r1trl.report.state import read_record, write_record

pytestmark = pytest.mark.slow
TEXTS = "#completions .completion"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("chromium", CHROMIUM.exists(), "apt-get install chromium")
    run = tmp_path_factory.mktemp("report") / "demo"
    write_report_run(run)
    write_page(run)
    return run / "report.html"


def number_found(page: Any) -> int:
    """Return how many completions the browser of them has found."""
    words = page.locator("#completions-section p[role=status]").inner_text()
    return int(words.split(" of ")[0].replace(",", ""))


def field(page: Any, label: str) -> Any:
    return page.locator("#completions-section .controls label").filter(
        has=page.locator("select, input"), has_text=label
    )


def open_completions(page: Any) -> None:
    page.locator("#completions-section").scroll_into_view_if_needed()
    page.wait_for_selector(TEXTS)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_of_it_is_drawn_and_nothing_is_wider_than_the_screen(
    report: Path, size: dict[str, int], scheme: str
) -> None:
    with opened(report, size, scheme) as page:
        scroll_through(page)
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        charts = page.locator(".plot").count()
        hidden = page.locator("details:not([open]) .plot").count()
        assert page.locator(".plot canvas").count() == charts - hidden > 10
        text = page.locator("main").inner_text()
        assert "The recipe zero at scale tiny, seed 1: 2 of 4 stages are finished" in text
        assert "dev1 has failed: stages.dev1: it has no rows" in text
        assert "zero: ends at step 40: alarm: </script><img" in text
        assert "the last line" in text, "the log of what has failed is open"
        assert "+50.0 from base, outside ±14.1" in text and "+5.0 from zero, within" in text


def test_the_button_changes_the_colours_and_the_charts_with_them(report: Path) -> None:
    with opened(report, DESK, "dark") as page:
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        button = page.locator("#theme")
        assert button.inner_text() == "Light"
        button.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
        scroll_through(page)
        assert page.locator(".plot canvas").count() > 10
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "light", "remembered"


def test_curves_are_of_one_stage_and_smoothed_by_the_slider(report: Path) -> None:
    with opened(report, DESK) as page:
        tip = smooth_the_first_curve(page)
        assert "step: " in tip and "series: " in tip
        title = page.locator("#curves").inner_text()
        assert "words, of right and wrong answers" in title and "Held-out evaluation" in title


def test_completions_are_filtered_and_searched(report: Path) -> None:
    with opened(report, DESK) as page:
        open_completions(page)
        assert number_found(page) == 120, "the scoreboard's"
        assert page.locator(TEXTS).count() == 20
        field(page, "model").locator("select").select_option("dev1")
        wait_until(page, lambda: number_found(page) == 40)
        field(page, "answer").locator("select").select_option("wrong")
        wait_until(page, lambda: number_found(page) == 10)
        first = page.locator(TEXTS).first
        assert "dev1" in first.locator(".marks").inner_text()
        headings = first.locator("h4").all_inner_texts()
        assert headings == ["Prompt", "Solution", "Thinking", "Answer"]
        texts = first.locator(".text").all_inner_texts()
        assert texts[2].startswith("thought dev1") and texts[3].startswith("<answer>0</answer>")
        field(page, "answer").locator("select").select_option("")
        page.get_by_label("search").fill("NEEDLE17 ")
        wait_until(page, lambda: number_found(page) == 1)
        page.get_by_label("search").fill("")
        field(page, "model").locator("select").select_option("")
        field(page, "reward").locator("select").select_option("style")
        page.get_by_label("reward from").fill("0.5")
        wait_until(page, lambda: number_found(page) == 108)
        page.get_by_label("reward from").fill("")
        field(page, "outcome").locator("select").select_option("timeout")
        wait_until(page, lambda: number_found(page) == 12)
        field(page, "stage").locator("select").select_option("")
        field(page, "outcome").locator("select").select_option("")
        wait_until(page, lambda: number_found(page) > 120)


def test_pages_of_completions_are_turned(report: Path) -> None:
    with opened(report, DESK) as page:
        open_completions(page)
        first = page.locator(TEXTS).first.inner_text()
        page.get_by_role("button", name="Next").click()
        assert page.locator(TEXTS).first.inner_text() != first
        for _ in range(4):
            page.get_by_role("button", name="Next").click()
        assert page.get_by_role("button", name="Next").is_disabled()
        assert "101 to 120" in page.locator("#completions-section").inner_text()


def test_one_problem_is_shown_along_the_chain(report: Path) -> None:
    with opened(report, PHONE) as page:
        open_completions(page)
        page.get_by_label("search").fill("needle7 ")
        wait_until(page, lambda: number_found(page) == 3)
        page.get_by_role("button", name="Along the chain").first.click()
        chain = page.locator("#chain")
        assert "Problem 7 of held_out" in chain.inner_text()
        assert chain.locator("article h3").all_inner_texts() == list(MODELS)
        articles = chain.locator("article").all_inner_texts()
        for model, text in zip(MODELS, articles, strict=True):
            assert f"thought {model} 7" in text
        assert page.evaluate("document.getElementById('chain').scrollWidth") <= PHONE["width"]
        page.keyboard.press("Escape")
        assert not chain.is_visible()


def test_what_models_and_plugins_have_written_is_text(report: Path) -> None:
    with opened(report, DESK) as page:
        open_completions(page)
        field(page, "stage").locator("select").select_option("zero")
        page.get_by_label("search").fill("")
        wait_until(page, lambda: number_found(page) < 100)
        while page.get_by_role("button", name="Next").is_enabled():
            assert page.locator("main img, main svg:not(.chain svg), main iframe").count() == 0
            page.get_by_role("button", name="Next").click()
        for details in page.locator("details").all():
            details.evaluate("each => { each.open = true; }")
        scroll_through(page)
        assert page.locator("main img, main script, main iframe, main a").count() == 0
        section = page.locator("#zero-0-section")
        assert "<img src=x onerror=" in section.inner_text()
        assert "timeout" in page.locator("#rewards-section").inner_text()
        assert "<img src=x" in page.locator("#data-section").inner_text()
        assert "solution: seven" in page.locator("#data-section").inner_text()


@pytest.mark.long
def test_fifty_thousand_completions_are_one_file_that_opens_at_once(tmp_path: Path) -> None:
    require("chromium", CHROMIUM.exists(), "apt-get install chromium")
    run = tmp_path / "demo"
    write_report_run(run)
    rng = random.Random(0)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(2000)]
    often = list(accumulate(1 / (1 + rank) for rank in range(2000)))  # as words of a language are

    def text(n: int) -> str:
        thought = " ".join(rng.choices(words, cum_weights=often, k=180))
        return f"<think>{thought[:1000]}</think>answer{n}"

    write_rollouts(run / "stages" / "scoreboard" / "rollouts.parquet", MODELS[:2], 25_000, text)
    write_record(run, read_record(run).stages, 50_000)
    write_page(run)
    file = run / "report.html"
    assert 5 * 2**20 < file.stat().st_size < 25 * 2**20
    with opened(file, DESK) as page:
        begun = time.monotonic()
        page.reload()
        page.wait_for_selector("#again-section")
        assert time.monotonic() - begun < 3
        open_completions(page)
        assert number_found(page) == 50_000
        assert page.locator(TEXTS).count() == 20
        begun = time.monotonic()
        page.get_by_label("search").fill("answer31415")
        wait_until(page, lambda: number_found(page) == 1)
        assert time.monotonic() - begun < 3
