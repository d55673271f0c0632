"""The page on serving agrees with the code: its commands and keys."""

import re
import shlex
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml

from r1trl import cli
from r1trl.config.stage_parts import ServeConfig

PAGE = (Path(__file__).parents[2] / "docs" / "SERVING.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^r1trl .*$", PAGE, re.M)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_its_runs_can_be_planned_and_submitted(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.replace("r1trl run", "r1trl plan"))
    stage, server = re.findall(r"stages\.(\w+)\.serve\.(\w+)=", command)[0]
    words.append(f"stages.{stage}.serve.{server}.command=[{sys.executable}]")  # vLLM is not here
    if "gpus: 4" in command:  # nor are GPUs
        words.append(f"stages.{stage}.serve.{server}.gpus=null")
    monkeypatch.setattr("sys.argv", words)
    assert cli.main() == 0
    printed = capsys.readouterr().out
    assert "#SBATCH --nodes=5" in printed if "submit" in command else "stages, seed 1" in printed


def test_it_has_commands_of_each_kind() -> None:
    assert len(COMMANDS) == 4 and "submit" in COMMANDS[-1]


@pytest.mark.parametrize("field", fields(ServeConfig), ids=lambda field: field.name)
def test_every_key_of_a_server_is_in_it_with_its_default(field) -> None:
    (row,) = re.findall(rf"^\| `{field.name}` \| `(.*?)` \| .+ \|$", PAGE, re.M)
    default = field.default if field.default is not MISSING else field.default_factory()
    assert yaml.safe_load(row) == default
