"""One training step of each built-in kind that trains, in this process and by r1trl's real code."""

import functools
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from r1trl.arguments.check import args_of
from r1trl.config.checked import Composed
from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import parse
from r1trl.config.schema import RunConfig, StageConfig
from r1trl.config.stage_parts import LaunchConfig
from r1trl.kind import Kind
from r1trl.plan.stages import StageCheck
from r1trl.run.transitions import StageTransitions
from r1trl.run.work import StageWork
from r1trl.tracking.tracking import Tracking

DRAWN = {
    "rollout": {"outputs": 4, "minibatches": 1},
    "rewards": {"varied": {}},
    "scoring": {"processes": 1},
}
VARIED = """
import r1trl

def varied(prompts, completions, completion_ids, **columns):
    return [(sum(ids) + i) % 5 / 4 for i, ids in enumerate(completion_ids)]

@r1trl.hookimpl
def r1trl_rewards():
    return {"varied": varied}
"""
SETTINGS: Mapping[str, dict[str, Any]] = {
    "grpo": {"kind": "grpo", **DRAWN},
    "rloo": {"kind": "rloo", **DRAWN},
    "sft": {"kind": "sft", "max_truncated_rate": 1.0},
    "pairwise": {"kind": "reward_model", "objective": "pairwise", "text": "response"},
    "pointwise": {"kind": "reward_model", "objective": "pointwise", "text": "response"},
    "dpo": {"kind": "dpo"},
    "distillation": {"kind": "distillation"},
}
ROWS = [
    {
        "prompt": f"{i} + 1 = ",
        "completion": f"{i + 1}" * (1 + i % 3),
        "chosen": f"{i + 1}" * (1 + i % 3),
        "rejected": "no" * (1 + i % 2),
        "label": i % 2,
    }
    for i in range(8)
]
ARGS = {
    "max_steps": 1,
    "per_device_train_batch_size": 4,
    "learning_rate": 0.01,
    "lr_scheduler_type": "constant",
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "save_strategy": "no",
}
SHORT = {"max_completion_length": 8}
GROUPS = {"num_generations": 2, **SHORT}
OWN_ARGS = {"grpo": GROUPS, "rloo": GROUPS, "distillation": SHORT}


@functools.cache
def kind_of(name: str) -> Kind:
    """Return a kind by its name in SETTINGS."""
    return load_plugins().kind(SETTINGS[name]["kind"])


@dataclass
class OneStep:
    """Stages of one kind, by its name in SETTINGS, that train a model for one step.

    Each stage has a folder of its own in `folder`. To plan, `model` need not exist.
    """

    name: str
    model: Path
    folder: Path
    count: int = 0
    rows: Sequence[Mapping[str, Any]] = field(default_factory=lambda: ROWS)
    tracking: Tracking = field(default_factory=Tracking)

    @functools.cached_property
    def plugins(self) -> Any:
        """Return the plugins, with a reward that differs among completions."""
        file = self.folder / "varied.py"
        file.write_text(VARIED)
        return load_plugins([str(file)])

    def make_teacher(self) -> None:
        """Write a model with the same tokens and twice the weights, unless it is there."""
        from safetensors.torch import load_file, save_file

        teacher = self.folder / "teacher"
        if not teacher.exists():
            file = Path(shutil.copytree(self.model, teacher)) / "model.safetensors"
            weights = {name: 2 * weight for name, weight in load_file(file).items()}
            save_file(weights, file, {"format": "pt"})

    @property
    def config(self) -> str:
        """Return the name of TRL's config."""
        return str(kind_of(self.name).trl_config)

    def stage(self, args: Mapping[str, Any]) -> Any:
        """Return the settings of a stage with arguments, as they stand in a recipe."""
        rows = self.folder / "rows.jsonl"
        rows.write_text("\n".join(map(json.dumps, self.rows)) + "\n")
        settings = {
            "model": str(self.model),
            "dtype": "float32",
            "template": "{{ prompt }}",
            "data": {"rows": {"path": str(rows)}},
            "args": {**ARGS, **OWN_ARGS.get(self.name, {}), **args},
            **SETTINGS[self.name],
        }
        if self.name == "distillation":
            settings["teacher"] = str(self.folder / "teacher")
        kind = self.plugins.kind(settings["kind"])
        stage, problems = parse(stage_class(kind), settings)
        assert problems == []
        return replace(stage, launch=LaunchConfig(how="accelerate"))

    def problems(self, args: Mapping[str, Any]) -> list[str]:
        """Return what the plan finds wrong with arguments."""
        return self.problems_of(self.stage(args))

    def problems_of(self, stage: StageConfig) -> list[str]:
        """Return what the plan finds wrong with a stage."""
        run = Composed(RunConfig(name="r", stages={"x": stage}), self.plugins, "")
        return StageCheck("x", stage, run).problems()

    def train(
        self,
        args: Mapping[str, Any],
        *,
        unchecked: bool = False,
        transitions: Mapping[str, Any] | None = None,
        again: bool = False,
    ) -> dict[str, float]:
        """Train for one step; return the metrics. `unchecked` values are not converted.

        `transitions` are made ones, by their keys; with `again` the last stage is continued.
        """
        stage = self.stage(args)
        kind = self.plugins.kind(stage.kind)
        if not unchecked:
            converted = args_of(str(kind.trl_config), stage.args, kind.fields)
            stage = replace(stage, args=converted)
        if self.name == "distillation":
            self.make_teacher()
        self.count += not again
        folder = self.last
        folder.mkdir(parents=True, exist_ok=again)
        made = StageTransitions(transitions or {})
        work = StageWork(stage, "x", kind, folder, 1, 1, self.plugins, self.tracking, made)
        return dict(kind.run(work))

    @property
    def last(self) -> Path:
        """Return the folder of the last stage."""
        return self.folder / f"{self.name}-{self.count}"

    def weights(self) -> bytes:
        """Return the weights that the last stage has written."""
        return (self.last / "model/model.safetensors").read_bytes()
