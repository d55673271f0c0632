"""The page on sizes agrees with the code: its commands, cards, scales and tables."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from r1trl import cli
from r1trl.config.compose import conf_folder

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "SIZES.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^r1trl plan .*$", PAGE, re.M)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_plan_is_refused_or_fits_as_the_page_says(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", shlex.split(command))
    status, out = cli.main(), capsys.readouterr()
    if command != COMMANDS[0]:
        assert status == 0 and "\nestimate on " in out.out and "GPU-hours" in out.out
        return
    assert status == 2
    (shown,) = re.findall(r"^(error: stages.zero_first.*?) …$", PAGE, re.M | re.S)
    assert " ".join(shown.split()) in out.err


def test_it_names_every_card_and_every_scale() -> None:
    for name in (file.stem for file in (conf_folder() / "hardware").glob("*.yaml")):
        assert re.search(rf"^\| .*`{name}`.* \|", PAGE, re.M)
    for name in (file.stem for file in (conf_folder() / "scale").glob("gpu*.yaml")):
        assert f"| `{name}` |" in PAGE and f"scale={name} hardware=" in PAGE


@pytest.mark.long
def test_its_tables_are_current() -> None:
    script = ROOT / "benchmarks" / "sizes.py"
    assert subprocess.run([sys.executable, script, "--check"]).returncode == 0, f"run {script}"
