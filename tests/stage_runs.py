"""Runs of tests: stages in workers of one warm process, and a plugin that kills a worker once."""

import functools
import json
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

from r1trl.config.compose import compose
from r1trl.launch.workers import Workers
from r1trl.plan.plan import make_plan
from r1trl.stage.files import write_spec

KILLED = -signal.SIGKILL
FEW_STEPS = (  # overrides of small rollouts with checkpoints
    "scale.rl.group=4",
    "scale.rl.outputs=32",
    "scale.rl.micro_batch=8",
    "scale.rl.save_every=2",
    "scale.rl.reference_every=2",
    "scale.zero.first_steps=4",
)
KILL_ONCE = """
import os
import signal
from pathlib import Path

import r1trl


class KillOnce:
    '''Kills the worker with SIGKILL at a step, unless a file exists.'''

    def __init__(self, *, step: int, unless: str):
        self.step, self.unless = step, Path(unless)

    def __call__(self, result):
        return result

    def should_stop(self, progress):
        if progress.step == self.step and not self.unless.exists():
            self.unless.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@r1trl.hookimpl
def r1trl_transitions():
    return {"kill_once": KillOnce}
"""


def assert_rounds_end_with_a_right_answer(rows: Any, reward: str, problems: int) -> None:
    """Assert that n=2, max_n=5 and stop_after_correct=1 gave each problem 2, 4 or 5 completions."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["problem"]].append(row[f"rewards/{reward}"])
    for values in groups.values():
        before_last_round = values[: {2: 0, 4: 2, 5: 4}[len(values)]]
        assert not any(before_last_round), "an earlier round had a right one"
        assert len(values) == 5 or any(values), "a round is missing"
    assert len(groups) == problems and {len(v) for v in groups.values()} == {2, 4, 5}


@functools.cache
def workers() -> Workers:
    """Return the workers of this test session; the warm process ends with it."""
    return Workers()


class Run:
    """A run at scale=tiny of a recipe that is written into a folder, with its overrides."""

    def __init__(self, folder: Path, recipe: str, *overrides: str) -> None:
        (folder / "conf" / "recipe").mkdir(parents=True, exist_ok=True)
        (folder / "conf" / "recipe" / "mine.yaml").write_text(recipe)
        self.folder, self.stages = folder, folder / "run" / "stages"
        fixed = ("recipe=mine", "scale=tiny", f"runs_dir={folder}", "name=run")
        self.overrides = [*fixed, *overrides]

    def plan(self, *overrides: str) -> Any:
        """Return the plan."""
        return make_plan(compose([*self.overrides, *overrides], self.folder / "conf"))

    def carry_out(self, *overrides: str) -> int:
        """Run every unfinished stage; return the first exit status that is not 0, or 0."""
        for stage in self.plan(*overrides).stages:
            if not stage.finished:
                write_spec(stage.folder, stage.spec)
                if status := workers().run(stage.folder, stage.launch):
                    return status
        return 0

    def carry_out_killed(self, stage: str, step: int, *plugins: Path) -> None:
        """Run until a worker is killed at a step of a stage, and then to the end.

        `plugins` are loaded too.
        """
        plugin, once = self.folder / "kill_once.py", self.folder / "killed"
        plugin.write_text(KILL_ONCE)
        options = f"stages.{stage}.transitions.kill_once={{step: {step}, unless: {once}}}"
        chosen = (f"plugins.load=[{','.join(map(str, (plugin, *plugins)))}]", options)
        assert self.carry_out(*chosen) in (KILLED, 1), self.log(stage)  # torchrun says 1
        assert not (self.stages / stage / "result.json").exists()
        assert list((self.stages / stage).glob("checkpoints/*/complete.json"))
        assert self.carry_out(*chosen) == 0, self.log(stage)

    def metrics(self, stage: str) -> list[dict[str, Any]]:
        """Return the rows of metrics.jsonl of the steps of a stage."""
        text = (self.stages / stage / "metrics.jsonl").read_text()
        return [row for row in map(json.loads, text.splitlines()) if "loss" in row]

    def weights(self, stage: str) -> bytes:
        """Return the file of the weights that a stage has handed over."""
        return (self.stages / stage / "model" / "model.safetensors").read_bytes()

    def log(self, stage: str) -> str:
        """Return the log of a stage."""
        return (self.stages / stage / "log.txt").read_text()
