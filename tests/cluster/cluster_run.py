"""A small run on hosts, under Slurm or Ray, as its user starts, watches and continues it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from hosts import Hosts
from processes import command_line, has_variable
from ranks import wait_for
from rays import Rays
from slurm import Slurm

from r1trl.stage.times import without_times
from r1trl.watch.control import DRIVER

RECIPE = """# @package _global_
defaults:
  - /stage@stages.learns: grpo
  - _self_
stages:
  learns:
    model: ${model.path}
    template: ${template.zero}
    data: {problems: {sample_rows: 64}}
    rollout: {outputs: 32, minibatches: 2}
    rewards: {mine: {}}
    transitions: {slow: {}}
    args:
      max_steps: STEPS
      save_steps: 2
      logging_steps: 1
      num_generations: 4
      per_device_train_batch_size: 4
      max_completion_length: 16
      beta: 0.0
      sync_ref_model: false
"""
PLUGIN = '''
import time
from pathlib import Path

import r1trl


def mine(prompts, completions, completion_ids, **columns):
    """Score by length."""
    return [len(ids) % 3 / 2 for ids in completion_ids]


class Slow:
    """Makes steps take a while as long as there is a file."""

    def __call__(self, result):
        return result

    def should_stop(self, progress):
        time.sleep(0.5 if Path("slow").exists() else 0.0)


@r1trl.hookimpl
def r1trl_rewards():
    return {"mine": mine}


@r1trl.hookimpl
def r1trl_transitions():
    return {"slow": Slow}
'''
NODES = ("log.node0", "log.node1")
CHOSEN = ("recipe=mine", "scale=tiny", "name=x", "preflight=false", "plugins.load=[./mine.py]")
CPU = ("launch=cpu2", "launch.processes=1")
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}


class ClusterRun:
    """A run in a folder that all hosts share; its command runs on the first host, or in a job."""

    def __init__(
        self, folder: Path, engine: Slurm | Rays, steps: int = 16, recipe: str = RECIPE
    ) -> None:
        self.folder, self.engine, self.last = folder, engine, steps
        self.hosts: Hosts = engine.hosts
        self.stage = folder / "runs" / "x" / "stages" / "learns"
        (folder / "conf" / "recipe").mkdir(parents=True)
        (folder / "conf" / "recipe" / "mine.yaml").write_text(recipe.replace("STEPS", str(steps)))
        (folder / "mine.py").write_text(PLUGIN)
        self.slow(True)
        self.command: subprocess.Popen[Any] | None = None
        self.job = ""

    @property
    def how(self) -> str:
        """Return the name of the engine."""
        return "slurm" if isinstance(self.engine, Slurm) else "ray"

    def slow(self, slow: bool) -> None:
        """Let steps take half a second, or not."""
        (self.folder / "slow").touch() if slow else (self.folder / "slow").unlink(missing_ok=True)

    def start(self, *overrides: str) -> None:
        """Start the run on two hosts, or continue it by the same command."""
        named = [f"launch.how={self.how}", "launch.nodes=2", *overrides]
        verb = "submit" if self.how == "slurm" else "run"
        self.command = self._command(verb, *CHOSEN, *CPU, *named)
        if self.how == "slurm":
            assert self.command.wait() == 0, self.said
            self.job = self.said.split("job ")[-1].split()[0]

    def _command(self, verb: str, *words: str) -> Any:
        command = [sys.executable, "-m", "r1trl.cli", verb, "--config-dir", "conf", *words]
        path = os.pathsep.join(filter(None, sys.path))
        environment = {**self.engine.environment, **ENVIRONMENT, "PYTHONPATH": path}
        with (self.folder / "said.txt").open("ab") as said:
            return self.engine.on(
                command, cwd=self.folder, env=environment, stdout=said, stderr=subprocess.STDOUT
            )

    @property
    def said(self) -> str:
        """Return what the user has been told so far."""
        files = [self.folder / "said.txt", *sorted((self.folder / "runs/x").glob("slurm-*.txt"))]
        return "".join(f.read_text(errors="replace") for f in files if f.exists())

    @property
    def starts(self) -> int:
        """Return how often the stage has been started."""
        return self.said.count("learns (grpo) …")

    def log(self) -> str:
        """Return the logs of the stage."""
        files = sorted(f for f in self.stage.glob("log*.txt") if f.stem in ("log", *NODES))
        return "".join(f"== {f.name}\n{f.read_text(errors='replace')[-1000:]}" for f in files)

    def steps(self) -> int:
        """Return how many steps the stage has logged."""
        metrics = self.stage / "metrics.jsonl"
        return metrics.read_text().count('"loss"') if metrics.exists() else 0

    def at_work(self) -> list[psutil.Process]:
        """Return the processes of the run, on all hosts: its command, and what that has started."""
        return [
            process
            for k in (0, *self.hosts.numbers)
            for process in self.hosts.processes(k)
            if "r1trl.cli" in command_line(process) or has_variable(process, DRIVER)
        ]

    def ranks(self) -> dict[int, psutil.Process]:
        """Return the processes of ranks by the number of their host."""
        return {
            k: process
            for k in self.hosts.numbers
            for process in self.hosts.processes(k, "-m r1trl.run.worker")
        }

    def at_step(self, step: int, seconds: float = 150.0) -> None:
        """Wait until the stage has logged so many steps."""
        try:
            wait_for(lambda: self.steps() >= step, seconds)
        except AssertionError:
            raise AssertionError(f"{self.said}\n{self.log()}") from None

    def ended(self, seconds: float = 90.0) -> float:
        """Wait until nothing of the run is left anywhere; return the seconds."""
        began = time.monotonic()
        try:
            wait_for(lambda: not self.at_work(), seconds)
        except AssertionError:
            left = [command_line(process)[:150] for process in self.at_work()]
            raise AssertionError(f"left: {left}\n{self.said}\n{self.log()}") from None
        return time.monotonic() - began

    def finished(self, seconds: float = 200.0) -> None:
        """Let the run go on to its end."""
        self.slow(False)
        self.at_step(self.last, seconds)
        self.ended(60)
        assert (self.stage / "result.json").exists(), f"{self.said}\n{self.log()}"

    def completed(self, seconds: float = 300.0) -> None:
        """Wait until the run is complete."""
        wait_for(lambda: any(text in self.said for text in ("is complete", "error:")), seconds)
        self.ended()
        assert "is complete" in self.said, f"{self.said}\n{self.log()}"

    def outcome(self) -> tuple[bytes, list[dict[str, Any]]]:
        """Return the weights and the metrics without times."""
        weights = (self.stage / "model" / "model.safetensors").read_bytes()
        lines = (self.stage / "metrics.jsonl").read_text().splitlines()
        return weights, [without_times(json.loads(line)) for line in lines]
