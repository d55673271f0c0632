"""The page of a comparison in a browser: all of it is drawn, and it runs nothing but its own."""

from pathlib import Path

import pytest
import yaml
from browser import CHROMIUM, DESK, PHONE, opened, scroll_through, smooth_the_first_curve
from machine import require
from report_runs import EVIL, write_report_run

from r1trl.compare.comparison import compared
from r1trl.compare.page import write_comparison

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("chromium", CHROMIUM.exists(), "apt-get install chromium")
    folder = tmp_path_factory.mktemp("compare")
    for name in ("one", "two", "three"):
        write_report_run(folder / name)
        config = folder / name / "config.yaml"
        words = f"# scale=tiny\n# stages.zero.args.learning_rate={len(name)}e-{name[0]}"
        text = config.read_text().replace("# scale=tiny", words)
        config.write_text(text + yaml.safe_dump({"evil": f"{name} {EVIL}"}, width=1000))
    write_comparison(
        compared([folder / name for name in ("one", "two", "three")]), folder / "c.html"
    )
    return folder / "c.html"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_of_it_is_drawn_and_nothing_is_wider_than_the_screen(
    page_file: Path, size: dict[str, int], scheme: str
) -> None:
    with opened(page_file, size, scheme, "3 runs") as page:
        scroll_through(page)
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        charts = page.locator(".plot").count()
        hidden = page.locator("details:not([open]) .plot").count()
        assert page.locator(".plot canvas").count() == charts - hidden > 10
        assert page.locator("main img, main script, main iframe, main a").count() == 0
        text = page.locator("main").inner_text()
        assert "The commands differ in learning_rate." in text
        assert EVIL in page.locator("#settings-section").inner_text()
        scores = page.locator("#scores-section").inner_text()
        assert "+0.0 (+0.0 to +0.0)" in scores, "zero, paired"
        assert "~ +0.0 (−14.1 to +14.1)" in scores, "base, whose rollouts do not make its score"
        assert "61 s · 3600 tokens" in page.locator("#taken-section").inner_text()


def test_curves_lie_over_each_other_and_are_smoothed_together(page_file: Path) -> None:
    with opened(page_file, DESK, title="3 runs") as page:
        tip = smooth_the_first_curve(page)
        assert "step: " in tip and "series: learning_rate=" in tip
