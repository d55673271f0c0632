"""What docs/TRACKING.md shows is so: its commands are understood, its plugin works."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1trl import cli
from r1trl.config.checked import Composed
from r1trl.config.kinds import load_plugins
from r1trl.config.overrides import sweep
from r1trl.plan.plan import make_plan
from r1trl.stage.files import StageSpec
from r1trl.tracking.tracking import ROLLOUTS, begin_tracking
from r1trl.types import StageResult

PAGE = (Path(__file__).parents[2] / "docs" / "TRACKING.md").read_text(encoding="utf-8")


def words_of(command: str) -> list[str]:
    """Return the overrides of a command of the page that begins so."""
    (line,) = [line for line in re.findall(r"^r1trl .*$", PAGE, re.M) if line.startswith(command)]
    return shlex.split(line, comments=True)[2:]


def test_the_first_command_can_be_carried_out(composed: Callable[..., Composed]) -> None:
    plan = make_plan(composed(*words_of("r1trl run")))
    assert plan.stages[0].spec.trackers == {
        "wandb": {"mode": "offline", "project": "mine"},
        "tensorboard": {},
    }


def test_all_trackers_are_listed_by_the_command_and_on_the_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["r1trl", "plugins", *words_of("r1trl plugins")])
    assert cli.main() == 0
    listed = re.findall(r"^  (\w+)  \(trackers\)", capsys.readouterr().out, re.M)
    assert listed == ["tensorboard", "trackio", "wandb"]
    assert set(re.findall(r"^\| `(\w+)` \| (?:a key|`pip)", PAGE, re.M)) == set(listed)


def test_hydras_sweep_has_a_run_for_each_combination() -> None:
    (line,) = re.findall(r"`r1trl (run recipe=zero .* -m)`", PAGE)
    runs = sweep([word for word in line.split()[1:] if word != "-m"])
    assert [overrides[-1] for overrides, _ in runs] == ["seed=1", "seed=2", "seed=3"]
    assert len({tail for _, tail in runs}) == 3


def test_the_tracker_of_the_page_writes_its_lines(plugin_file: Any, tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(import r1trl\n.*?)```", PAGE, re.S)
    plugins = load_plugins([plugin_file(source)])
    trackers = {"lines": {"path": str(tmp_path / "lines.txt")}}
    spec = StageSpec("zero", "grpo", "run", 1, {}, trackers=trackers)
    for ends in ("early", "well"):
        with begin_tracking(spec, tmp_path, plugins) as tracking:
            tracking.metrics({"step": 3, "reward": 0.5})
            tracking.alert("look", "here", "info")
            if ends == "well":
                tracking.finish(StageResult("zero", "grpo", tmp_path))
    lines = (tmp_path / "lines.txt").read_text().splitlines()
    begin, goes_on = lines[0], lines[4]
    assert re.fullmatch(r"run-zero-[0-9a-f]{8} begins", begin)
    assert goes_on == begin.replace("begins", "goes on")
    assert lines[1:4] == ["3 0.5", "info: look: here", "ended early"]
    assert lines[5:] == ["3 0.5", "info: look: here", "done"]


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    from r1trl.tracking import sender

    assert f"{ROLLOUTS} rows of `rollouts.parquet`" in PAGE
    assert f"{sender.LONGEST:,} calls behind" in PAGE
    assert f"({sender.PATIENCE:.0f} seconds)" in PAGE
