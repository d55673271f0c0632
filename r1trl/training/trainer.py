"""A training stage, whatever its kind: resumed, recorded, and its model handed over.

What touches TRL beyond constructor arguments and callbacks: three wrapped methods in rollouts.py,
three in packing/passes.py, one in packing/padding_free.py, and a patched module in trl_patches.py.
tests/training/test_trl_contract.py names each private thing used.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        trainer.save_model(str(folder / "model"))
    last: dict[str, float] = {}
    for row in metrics.history:
        last |= {name: value for name, value in row.items() if value is not None}
    return TrainingOutcome(last, metrics.reason, signals.received)


def _write_args(trainer: Any, folder: Path) -> None:
    """Write trainer_args.json: every argument that the trainer runs with."""
    if is_main():
        state = trainer.accelerator.state
        zero = state.deepspeed_plugin.zero_stage if state.deepspeed_plugin else None
        arguments = {"processes": state.num_processes, "zero_stage": zero, **trainer.args.to_dict()}
        text = json.dumps(arguments, indent=1, default=str)
        (folder / "trainer_args.json").write_text(text + "\n", encoding="utf-8")
