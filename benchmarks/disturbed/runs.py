"""Small runs of whole recipes through the command `r1trl run`, and how far they have come."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MARK = "R1TRL_BENCHMARK_RUN"  # in the environment of every process of a run: its folder
PAPER = """# @package _global_
defaults:
  - full
  - /stage@stages.rloo: rloo
  - /stage@stages.pairs: dpo
  - /stage@stages.on_policy: distillation
  - _self_
stages:
  rloo:
    model: stage:dev1
    data: {problems: {}}
    rewards: {accuracy: {answer: answer_tag}, think_format: {profile: think_answer}}
    args: {max_steps: 8, max_completion_length: 48}
  pairs:
    model: stage:dev3
    data: {preferences: {}}
    args: {save_strategy: steps, save_steps: 3}
  on_policy:
    model: stage:student
    teacher: stage:r1
    data: {problems: {}}
    args: {max_steps: 8, max_completion_length: 32, save_steps: 3}
"""
SHORT = """# @package _global_
defaults:
  - /chain/zero@_global_
  - /stage@stages.samples: sample
  - /stage@stages.tuned: sft
  - /stage@stages.helpful_rm: reward_model
  - /stage@stages.pairs: dpo
  - /stage@stages.on_policy: distillation
  - /stage@stages.scoreboard: evaluate
  - _self_
stages:
  samples:
    model: stage:zero
    template: ${template.zero}
    data: {problems: {sample_rows: "${scale.samples.prompts}"}}
    rewards: {accuracy: {answer: answer_tag}}
    sampling: {shard_size: 16}
  tuned:
    data: {drawn: {path: stage:samples, filters: {correct: {}}}, general: {sample_rows: 32}}
    args: {save_strategy: steps, save_steps: 2}
  helpful_rm:
    objective: pairwise
    data: {preferences: {}}
    args: {save_strategy: steps, save_steps: 2}
  pairs:
    data: {preferences: {}}
    args: {save_strategy: steps, save_steps: 3}
  on_policy:
    teacher: stage:zero
    data: {problems: {}}
    args: {max_steps: 6, max_completion_length: 24, save_steps: 3}
  scoreboard:
    sampling: {shard_size: 4}
    models:
      base: {path: "${model.path}", template: "${template.zero}"}
      zero: {path: stage:zero, template: "${template.zero}"}
      tuned: {path: stage:tuned}
"""
SMALL = (
    "scale.rl.group=4",
    "scale.rl.outputs=32",
    "scale.rl.micro_batch=8",
    "scale.rl.save_every=2",
    "scale.rl.reference_every=4",
    "scale.zero={first_steps: 8, first_tokens: 48, steps: 6, tokens: 48}",
    "scale.samples={prompts: 96, n: 8, temperature: 1.0, tokens: 48, batch: 512}",
    "scale.sft.batch=8",
    "scale.sft.micro_batch=4",
    "scale.sft.epochs=2",
    "scale.reward_model={learning_rate: 1e-3, epochs: 1, batch: 8, tokens: 256, micro_batch: 4}",
    "sources.preferences.options.count=64",
    "sources.problems.options.count=256",
    "scale.evaluation={n: 2, temperature: 0.6, top_p: 0.95, tokens: 48, batch: 64}",
    "benchmarks.held_out.options.count=16",
    "scale.distill={epochs: 1, batch: 32, tokens: 256, prompts: 128, n: 1}",
)
OFTEN = "args={save_strategy: steps, save_steps: 2}"
LARGER = (  # for PAPER
    "scale.rejection={prompts: 96, n: 2}",
    "scale.cold_start.epochs=2",
    "scale.general.count=32",
    "scale.dev2={steps: 6, tokens: 48}",
    "scale.r1={steps: 8, general_from: 3, learning_rate: 1e-4, temperature: 0.7, tokens: 48}",
    "scale.student_rl={steps: 6, tokens: 48}",
    "sources.safety_labels.options.count=64",
    *(f"stages.{name}.{OFTEN}" for name in ("dev1", "dev3", "student", "helpful_rm", "safety_rm")),
    *(
        f"stages.{name}.sampling.shard_size=16"
        for name in ("zero_samples", "dev2_samples", "r1_samples")
    ),
    "stages.scoreboard.sampling.shard_size=8",
)


@dataclass
class SmallRun:
    """A run at scale=tiny in a folder of its own; `plugin` is the source of one that it loads."""

    folder: Path
    recipe: str
    overrides: Sequence[str] = ()
    plugin: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recipes = self.folder / "conf" / "recipe"
        recipes.mkdir(parents=True, exist_ok=True)
        (recipes / "small.yaml").write_text(self.recipe)
        if self.plugin is not None:
            (self.folder / "plugin.py").write_text(self.plugin)

    @property
    def run(self) -> Path:
        """Return the folder of the run."""
        return self.folder / "runs" / "small"

    def stage(self, name: str) -> Path:
        """Return the folder of a stage."""
        return self.run / "stages" / name

    def start(self, *more: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start the command, or continue the run by it; what it prints is added to output.txt."""
        loaded = ["plugins.load=[./plugin.py]"] if self.plugin is not None else []
        command = [sys.executable, "-m", "r1trl.cli", "run", "--config-dir", "conf"]
        chosen = ["recipe=small", "scale=tiny", "name=small", *SMALL, *self.overrides, *loaded]
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [*command, *chosen, *more],
                cwd=self.folder,
                env={**os.environ, **STEADY, MARK: str(self.folder), **self.environment}
                | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this run alone
            )

    def carry_out(self, *more: str, **environment: str) -> tuple[int, str]:
        """Run the command to its end; return its exit status and what it printed."""
        before = len(self.output)
        status = self.start(*more, **environment).wait()
        return status, self.output[before:]

    @property
    def output(self) -> str:
        """Return what all commands have printed."""
        file = self.folder / "output.txt"
        return file.read_text(errors="replace") if file.exists() else ""

    def stages(self) -> list[str]:
        """Return the names of the stages, in their order."""
        text = (self.run / "config.yaml").read_text()
        return list(yaml.safe_load(text)["stages"])

    def results(self) -> dict[str, Any]:
        """Return the content of result.json of each finished stage."""
        files = {name: self.stage(name) / "result.json" for name in self.stages()}
        return {name: json.loads(f.read_text()) for name, f in files.items() if f.exists()}


STEADY = {  # libraries neither ask the network nor fight for cores
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_MODE": "offline",
}


def units(stage: Path, since: float) -> int:
    """Return how far a stage has come: logged steps, or shards; 0 before an attempt begins.

    `since` is when that began: what metrics.jsonl says from before it may yet be dropped.
    """
    metrics = stage / "metrics.jsonl"
    if metrics.exists():
        lines = metrics.read_text(errors="replace").split("\n") if _newer(metrics, since) else []
        return sum('"loss"' in line for line in lines)
    return sum(1 for file in stage.glob("shards/**/*.parquet") if ".cache" not in file.parts)


def begun(stage: Path, since: float) -> bool:
    """Return True if a worker has begun with a stage in the attempt that began then."""
    return _newer(stage / "log.txt", since)


def _newer(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime > since
    except FileNotFoundError:
        return False
