"""A training stage, whatever its kind: made, resumed, watched, and its model handed over.

Everything that touches TRL beyond constructor arguments is in rollout.py (two wrapped methods) and
recording.py (callbacks); tests/test_trl_contract.py names each private thing used.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.stage.ranks import is_main
from r1trl.training.arguments import Training
from r1trl.training.callbacks import Checkpoints, Completions, Metrics, Signals, whole_checkpoint
from r1trl.training.pairwise import make_reward_model
from r1trl.training.rollouts import RolloutMixin
from r1trl.training.trainers import make_rl, make_sft

MAKE = {"sft": make_sft, "grpo": make_rl, "rloo": make_rl, "reward_model": make_reward_model}


@dataclass(frozen=True)
class TrainingOutcome:
    """How training ended: the last of every metric; why before its time; by which signal."""

    metrics: dict[str, float]
    reason: str | None
    signal: str | None


def train(training: Training) -> TrainingOutcome:
    """Train, or go on training; leave the model in model/, unless a signal ends it."""
    trainer = MAKE[training.work.kind](training)
    metrics = Metrics(training.folder, training.tracker, training.until)
    signals = Signals()
    callbacks = [metrics, Checkpoints(trainer), signals]
    if isinstance(trainer, RolloutMixin):
        count = training.work.wandb["completions"]
        callbacks.insert(0, Completions(training.folder, training.tracker, count, trainer))
    for callback in callbacks:
        trainer.add_callback(callback)
    _write_args(trainer, training.folder)
    checkpoint = whole_checkpoint(training.folder / "checkpoints")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        if isinstance(trainer, RolloutMixin):
            trainer.scorer.close(training.folder if is_main() else None)
    if not signals.received:
        trainer.save_model(str(training.folder / "model"))
    last: dict[str, float] = {}
    for row in metrics.history:
        last |= {name: value for name, value in row.items() if value is not None}
    return TrainingOutcome(last, metrics.reason, signals.received)


def _write_args(trainer: Any, folder: Path) -> None:
    """Write trainer_args.json: every argument the trainer really runs with."""
    if is_main():
        state = trainer.accelerator.state
        zero = state.deepspeed_plugin.zero_stage if state.deepspeed_plugin else None
        ran = {"processes": state.num_processes, "zero_stage": zero, **trainer.args.to_dict()}
        text = json.dumps(ran, indent=1, default=str)
        (folder / "trainer_args.json").write_text(text + "\n", encoding="utf-8")
