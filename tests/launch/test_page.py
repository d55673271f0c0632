"""The page "Your cluster" agrees with the code: its commands, keys and sentences."""

import re
import shlex
from dataclasses import MISSING, fields
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from machine import require

from r1trl import cli
from r1trl.config.compose import compose
from r1trl.config.stage_parts import LaunchConfig
from r1trl.launch import rays
from r1trl.plan.plan import make_plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "CLUSTER.md").read_text(encoding="utf-8")
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()
]
CHECKED = PAGE.partition("is said |")[2].partition("## While it runs")[0]
SAYS = re.findall(r"^\| .* \| `([^`]+)`.* \|$", CHECKED, re.M)


def commands(start: str) -> list[str]:
    """Return commands of r1trl in the page that start so; one may stand in quotes of another."""
    found = [each for line in LINES for each in re.findall(rf"r1trl {start} [^#]*", line)]
    return [each.removesuffix("'") if each.count("'") % 2 else each for each in found]


def carry_out(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Carry out a command of r1trl in this process; return its exit status."""
    monkeypatch.setattr("sys.argv", shlex.split(command))
    return cli.main()


@pytest.mark.slow
@pytest.mark.parametrize("command", commands("plan") + commands("run") + commands("submit"))
def test_its_runs_can_be_planned_and_submitted(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if command.startswith("r1trl submit"):
        dry = command if "--dry-run" in command else f"{command} --dry-run"
        assert carry_out(dry, monkeypatch) == 0
        assert capsys.readouterr().out.startswith("#!/bin/bash\n#SBATCH ")
    else:
        assert carry_out(command.replace("r1trl run", "r1trl plan"), monkeypatch) == 0
        assert "stages, seed 1" in capsys.readouterr().out


@pytest.mark.parametrize("override", re.findall(r"`'((?:launch|stages)\.[^`]+)'`", PAGE))
def test_what_it_gives_in_passing_can_be_planned(override: str) -> None:
    launch = "launch=ray" if "resources" in override else "launch=slurm"
    make_plan(compose(["recipe=zero", "dataset=gsm8k", launch, override], None))


def test_it_has_commands_of_each_kind() -> None:
    assert commands("plan") and len(commands("run")) >= 2 and len(commands("submit")) >= 3


@pytest.mark.parametrize("field", fields(LaunchConfig), ids=lambda field: field.name)
def test_every_key_of_launch_is_in_it_with_its_default(field) -> None:
    (row,) = re.findall(rf"^\| `{field.name}` \| `(.*?)` \| .+ \|$", PAGE, re.M)
    default = field.default if field.default is not MISSING else field.default_factory()
    assert yaml.safe_load(row) == default


@pytest.mark.parametrize("said", SAYS)
def test_its_sentences_are_those_of_the_code(said: str) -> None:
    """The longest part of a sentence that has no value in it is in a module of r1trl."""
    code = [
        re.sub(r'"\s*(#.*)?\n\s*f?"', "", file.read_text(encoding="utf-8"))
        for folder in ("launch", "stage")
        for file in (ROOT / "r1trl" / folder).glob("*.py")
    ]
    values = r"/\S+:?|n\d(?:\[1-2\])?|'(?:ray://)?10\S+'|[\d.]+|\([^)]*\)|slurm launch|CPU 8, GPU 8"
    parts = [part.strip() for part in re.split(values, said)]
    longest = max(parts, key=len)
    assert len(longest) >= 12 and any(longest in text for text in code), longest


def test_the_sentence_on_rays_client_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    require("ray", find_spec("ray"))
    for address, start in {
        "ray://10.0.0.1:10001": "for Ray's",
        "127.0.0.1:1": "nobody ans",
    }.items():
        with pytest.raises(rays.R1trlError) as caught:
            rays.connect(address)
        assert start in str(caught.value)
        assert str(caught.value).replace("127.0.0.1:1'", "10.0.0.1:6379'") in PAGE
