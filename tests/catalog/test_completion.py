"""The shell completes commands, recipes, options of groups, and keys."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from r1trl.catalog.completion import complete_overrides


class Words:
    """The words before the one that is completed."""

    def __init__(self, *overrides: str) -> None:
        self.overrides, self.config_dir = list(overrides), None


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("recipe=ze", ["recipe=zero"]),
        ("model@student=tiny-", ["model@student=tiny-student"]),
        ("reci", ["recipe="]),
        ("runs_", ["runs_dir="]),
        ("nothing", []),
    ],
)
def test_groups_their_options_and_keys_are_completed(prefix: str, found: list[str]) -> None:
    assert complete_overrides(prefix, Words()) == found


def test_keys_of_the_stages_of_the_recipe_are_completed() -> None:
    found = complete_overrides("stages.zero.rollout.", Words("recipe=zero", "scale=tiny"))
    assert found[:2] == ["stages.zero.rollout.outputs=", "stages.zero.rollout.minibatches="]


def test_the_command_answers_the_shell(tmp_path: Path) -> None:
    file = tmp_path / "completions"
    line = "r1trl l"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(file), "_ARGCOMPLETE_IFS": "\n"}
    command = [sys.executable, "-m", "r1trl.cli"]
    subprocess.run(command, env={**os.environ, **asked}, check=True, capture_output=True)
    assert file.read_text(encoding="utf-8").split() == ["list"]
