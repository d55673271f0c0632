"""`r1trl new`: what it writes works, as it is and in a run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from r1trl.config.kinds import load_plugins
from r1trl.errors import ConfigError
from r1trl.new.begin import KINDS, TEMPLATES, begin, commands_of
from r1trl.types import ROLES


def call(command: str, folder: Path) -> str:
    """Run a command line in a folder with this Python; return what it printed."""
    program, *words = shlex.split(command)
    start = {"r1trl": ["-m", "r1trl.cli"], "python": []}[program]
    done = subprocess.run(
        [sys.executable, *start, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_plugin_of_every_role_is_begun_and_offers_its_name(tmp_path: Path) -> None:
    for role in ROLES:
        told = begin(role, f"my_{role}", tmp_path).splitlines()
        assert told[:2] == [f"wrote my_{role}.py", f"wrote test_my_{role}.py"]
    files = [tmp_path / f"my_{role}.py" for role in ROLES]
    offers = load_plugins(map(str, files)).offers
    for role, file in zip(ROLES, files, strict=True):
        assert offers[role][f"my_{role}"].plugin == str(file)
        assert "newname" not in file.read_text(encoding="utf-8").lower()
    assert "class MySampler:" in (tmp_path / "my_sampler.py").read_text(encoding="utf-8")


def test_a_recipe_is_begun_and_what_to_type_next_is_said(tmp_path: Path) -> None:
    told = begin("recipe", "mine", tmp_path)
    assert (tmp_path / "conf" / "recipe" / "mine.yaml").is_file()
    assert "  r1trl plan --config-dir conf recipe=mine scale=tiny" in told


def test_every_template_is_one_that_can_be_begun() -> None:
    assert {path.name for path in TEMPLATES.iterdir()} == set(KINDS)


@pytest.mark.parametrize(
    ("what", "name", "problem"),
    [
        ("reward", "a-b", "'a-b' cannot be a name here; use small letters, digits and _, such as"),
        ("reward", "lambda", "'lambda' cannot be a name here: it is a word of Python's own"),
        ("reward", "json", "a module is called 'json' already"),
        ("reward", "accuracy", "a reward is called 'accuracy' already, by the plugin 'math'"),
        ("recipe", "zero", "a recipe is called 'zero' already, by conf/recipe/zero.yaml"),
    ],
)
def test_a_name_that_is_not_possible_is_refused(
    what: str, name: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as raised:
        begin(what, name, tmp_path)
    (told,) = raised.value.problems
    assert told.startswith(problem)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    test = tmp_path / "test_mine.py"
    test.write_text("mine")
    with pytest.raises(ConfigError, match=r"test_mine\.py: is there already"):
        begin("filter", "mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["test_mine.py"]
    assert test.read_text() == "mine"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("what", KINDS)
def test_what_is_begun_passes_its_test_its_check_and_a_run(what: str, tmp_path: Path) -> None:
    told = call(f"r1trl new {what} mine", tmp_path)
    commands = commands_of(what, "mine")
    assert all(f"  {command}" in told.splitlines() for command in commands)
    test, check, run = commands
    assert "passed" in call(test, tmp_path)
    assert "FAILED" not in call(check, tmp_path)
    call(run, tmp_path)
    assert list((tmp_path / "runs" / "mine" / "stages").glob("*/result.json"))
