"""The commands of docs/COMMANDS.md, and those of README that look at things, do what they say."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1trl.cli import parser

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "COMMANDS.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("  #")[0].strip()
    for line in f"{README}\n{PAGE}".splitlines()
    if re.match(r"r1trl (list|show|new) ", line) or line == "r1trl list"
]


def test_every_command_is_explained() -> None:
    (commands,) = (a for a in parser()._actions if a.choices and a.dest == "command")
    table = PAGE.partition("\n## ")[0]
    assert not [name for name in dict(commands.choices or {}) if f"`{name}`" not in table]


def test_the_values_that_the_page_shows_are_those_of_the_recipe() -> None:
    from r1trl.catalog.show import show

    keys = [f"stages.zero.args.{name}" for name in ("beta", "temperature")]
    told = show(["recipe=zero", "scale=tiny", *keys], None).splitlines()[1:]
    lines = [line for line in PAGE.splitlines() if line.startswith("stages.zero.args.")]
    assert [line.split() for line in lines] == [line.split() for line in told]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_a_command_that_looks_at_things_or_begins_one_succeeds(
    command: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "examples" / "brevity.py", tmp_path)
    shutil.copytree(ROOT / "examples" / "my_conf", tmp_path / "my_conf")
    words = [sys.executable, "-m", "r1trl.cli", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    own = {"--config-dir": "mine ", "--load": "brevity ", "--defaults": "TRL's default"}
    assert all(text in done.stdout for option, text in own.items() if option in command)
    assert len(done.stdout.splitlines()) > 2
