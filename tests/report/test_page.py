"""report.html is one file that runs its own scripts alone, and is written while a run goes on."""

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from report_runs import EVIL, write_report_run
from toy_run import ToyRun

from r1trl.config.checked import Composed
from r1trl.errors import ConfigError
from r1trl.report.page import SCRIPTS, LivePage, write_page


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_report_run(tmp_path / "demo")
    return tmp_path / "demo"


def wait_for(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_page_runs_its_own_scripts_alone_and_loads_nothing(run: Path) -> None:
    write_page(run)
    text = (run / "report.html").read_text(encoding="utf-8")
    assert EVIL not in text
    policy = re.search('http-equiv="Content-Security-Policy" content="(.*?)"', text)
    assert policy and policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1] and "http" not in policy[1]
    scripts = re.findall("<script>(.*?)</script>", text, re.S)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = re.findall("'sha256-(.*?)'", policy[1].partition("; style-src")[0])
    assert digests == allowed and len(digests) == 1 + len(SCRIPTS)
    others = re.sub("<script>.*?</script>", "", text, flags=re.S)
    assert not re.search("<script [^>]*src|<link|<img|<iframe", others)
    assert len(text) < 1_500_000


def test_equal_runs_have_equal_pages(run: Path) -> None:
    write_page(run)
    before = (run / "report.html").read_bytes()
    write_page(run)
    assert (run / "report.html").read_bytes() == before


def test_it_is_written_at_the_start_when_asked_every_so_often_and_at_the_end(run: Path) -> None:
    page, written = run / "report.html", set[int]()

    def again() -> bool:
        number = page.stat().st_mtime_ns if page.exists() else 0
        is_new = number not in written and number > 0
        written.add(number)
        return is_new

    with LivePage(run) as live:
        wait_for(again)
        live.renew()
        wait_for(again)
    assert again(), "at the end"
    with LivePage(run, period=0.1):
        for _ in range(3):
            wait_for(again)


def test_a_command_that_ends_at_once_leaves_the_page(run: Path) -> None:
    with LivePage(run) as live:
        wait_for((run / "report.html").exists)
        live.wanted = False
        (run / "report.html").unlink()
    assert not (run / "report.html").exists()


def test_a_page_that_cannot_be_written_fails_nothing_and_is_told_once(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "report.html").mkdir()
    with LivePage(run, period=0.05):
        time.sleep(0.5)
    said = capsys.readouterr().err
    assert said.count("report.html cannot be written: ") == 1 and "directory" in said
    (run / "stages" / "zero" / "result.json").write_text("{")
    with LivePage(run):
        pass
    assert "ConfigError" in capsys.readouterr().err
    assert "r1trl-report" not in [thread.name for thread in threading.enumerate()]


def test_a_run_has_its_page_also_if_a_stage_fails(toy: ToyRun) -> None:
    (toy.root / "fail").touch()
    assert toy.run() == 1
    text = (toy.folder / "report.html").read_text(encoding="utf-8")
    assert '"name":"first","kind":"toy","state":"failed","reason":"ValueError: as asked"' in text
    assert '"name":"second","kind":"toy","state":"waiting"' in text
    assert '"reads":{"model":"first",' in text
    (toy.root / "fail").unlink()
    assert toy.run(report={"completions": 7}) == 0
    assert '"state":"failed"' not in (toy.folder / "report.html").read_text(encoding="utf-8")
    assert '"completions": 7' in (toy.folder / "run.json").read_text()


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("report.completions=-1", "report.completions: -1 is not possible"),
        ("report.completion=1", "did you mean '(report.)?completions'"),
    ],
)
def test_the_number_of_completions_is_checked(
    override: str, problem: str, composed: Callable[..., Composed]
) -> None:
    with pytest.raises(ConfigError, match=problem):
        composed("recipe=zero", "scale=tiny", override)
