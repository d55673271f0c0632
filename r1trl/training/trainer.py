"""A training stage, whatever its kind: resumed, recorded, and its model handed over.

What touches TRL beyond constructor arguments and callbacks: six wrapped methods in rollouts.py, one
in packing/padding_free.py, and a patched module in trl_patches.py.
tests/training/test_trl_contract.py names each private thing used.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.errors import StageError
from r1trl.stage.ranks import is_main
from r1trl.training.callbacks import Completions, Metrics, ShouldStop, Signals
from r1trl.training.checkpoints import Checkpoints, whole_checkpoint
from r1trl.training.rollouts import RolloutMixin
from r1trl.training.tracking import Tracker


@dataclass(frozen=True)
class TrainingOutcome:
    """How training ended: the last value of every metric, the reason if early, a signal's name."""

    metrics: dict[str, float]
    reason: str | None
    signal: str | None


def train(
    trainer: Any, folder: Path, tracker: Tracker, should_stop: Mapping[str, ShouldStop]
) -> TrainingOutcome:
    """Train, or continue; write the model to `folder`/model unless a signal ends it. A collective.

    `should_stop` maps the keys of transitions to their methods.
    """
    metrics, signals = Metrics(folder, tracker, should_stop), Signals()
    callbacks = [metrics, Checkpoints(trainer), signals]
    if isinstance(trainer, RolloutMixin):
        callbacks.insert(0, Completions(folder, tracker, tracker.completions, trainer))
    for callback in callbacks:
        trainer.add_callback(callback)
    _write_args(trainer, folder)
    checkpoint = whole_checkpoint(folder / "checkpoints")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        if isinstance(trainer, RolloutMixin):
            trainer.scorer.close(folder if is_main() else None)
    if not signals.received:
        if trainer.state.global_step == 0:
            raise StageError(f"stages.{folder.name}: {nothing_trained(trainer)}")
        trainer.save_model(str(folder / "model"))
    last: dict[str, float] = {}
    for row in metrics.history:
        last |= {name: value for name, value in row.items() if value is not None}
    return TrainingOutcome(last, metrics.reason, signals.received)


def nothing_trained(trainer: Any) -> str:
    """Say why a training made no step, by its rows and arguments."""
    args, rows = trainer.args, trainer.train_dataset
    count = len(rows) if hasattr(rows, "__len__") else None
    size = args.train_batch_size * args.world_size
    why = "give more rows or steps"
    if count is not None and count < size and args.dataloader_drop_last:
        why = f"args.dataloader_drop_last=true leaves out what is less than a batch of {size} rows"
    elif args.max_steps <= 0 and args.num_train_epochs <= 0:
        why = f"args.num_train_epochs={args.num_train_epochs:g} and args.max_steps={args.max_steps}"
    return f"nothing was trained: no step was made of {count or 'no'} rows; {why}"


def _write_args(trainer: Any, folder: Path) -> None:
    """Write trainer_args.json: every argument that the trainer runs with."""
    if is_main():
        state = trainer.accelerator.state
        zero = state.deepspeed_plugin.zero_stage if state.deepspeed_plugin else None
        arguments = {"processes": state.num_processes, "zero_stage": zero, **trainer.args.to_dict()}
        text = json.dumps(arguments, indent=1, default=str)
        (folder / "trainer_args.json").write_text(text + "\n", encoding="utf-8")
