"""A training stage, whatever its kind: resumed, recorded, and its model handed over.

What touches TRL beyond constructor arguments and callbacks: three wrapped methods in rollouts.py,
two in packing/passes.py, two in dealing/passes.py, one in packing/padding_free.py, `training_step`
here, and a patched module in trl_patches.py.
tests/training/test_trl_contract.py names each private thing used.
"""

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback

from r1trl.checkpoints.callback import Checkpoints
from r1trl.checkpoints.choice import Fit, Identity, choose_checkpoint
from r1trl.checkpoints.form import form_of, missing_part
from r1trl.checkpoints.marks import MARK, Mark
from r1trl.checkpoints.model import arrange_saving, write_model
from r1trl.checkpoints.sound import SoundNumbers
from r1trl.errors import StageError
from r1trl.models.generation import make_valid
from r1trl.process.environment import masked
from r1trl.process.terminal import say
from r1trl.stage.ranks import from_main, is_main
from r1trl.storage.shown import sizes_of, wait_for
from r1trl.storage.writing import write_text
from r1trl.tracking.tracking import Tracking
from r1trl.training.arguments import nothing_trained
from r1trl.training.callbacks import Completions, Metrics
from r1trl.training.leaving import Leaving
from r1trl.training.rollouts import RolloutMixin

# Variables by which accelerate's launcher asks for sharding, and what its state then has to be.
SHARDERS = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DEEPSPEED",
    "ACCELERATE_USE_MEGATRON_LM": "MEGATRON_LM",
}


@dataclass(frozen=True)
class TrainingOutcome:
    """How training ended: the last value of every metric, the reason if early, why it was left."""

    metrics: dict[str, float]
    reason: str | None
    signal: str | None


def train(
    trainer: Any,
    folder: Path,
    tracking: Tracking,
    key: str,
    transitions: Any,
    accepted: Sequence[Identity] = ({},),
    evaluations: Callable[[Any, Metrics], TrainerCallback] | None = None,
) -> TrainingOutcome:
    """Train, or continue; write the model to `folder`/model unless a signal ends it. A collective.

    `key` is the stage's; `transitions` has the `should_stop` of those that have one, and the
    `checkpoint_readers`, both by their keys; `accepted` are the identities that a checkpoint to
    continue from may have, the stage's own first. One whose last step is made is only loaded.
    `evaluations` makes the callback that answers held-out rows, or is None.
    """
    _check_sharded(trainer, key)
    _write_args(trainer, folder)
    metrics, leaving = Metrics(folder, tracking, transitions.should_stop), Leaving(trainer)
    sound = SoundNumbers(trainer, key)
    parts: dict[str, Any] = {"sound": sound}
    callbacks: list[TrainerCallback] = [sound, metrics, leaving]
    if isinstance(trainer, RolloutMixin):
        callbacks.insert(0, Completions(folder, tracking, trainer))
        parts |= {"scoring": trainer.scorer.stats}
        parts |= {"samplers": trainer.samplers} if trainer.samplers else {}
    if evaluations:
        callbacks.append(evaluations(trainer, metrics))
    checkpoint = _checkpoint(trainer, folder, key, accepted)
    readers = transitions.checkpoint_readers
    callbacks.append(Checkpoints(trainer, metrics, readers, accepted, parts, checkpoint))
    trainer.remove_callback(PrinterCallback)  # metrics.jsonl has the numbers
    for callback in callbacks:
        trainer.add_callback(callback)
    _make_savable(trainer.model)
    arrange_saving(trainer, read=bool(readers))
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)
    finally:
        if isinstance(trainer, RolloutMixin):
            trainer.scorer.close(folder if is_main() else None)
    if not leaving.reason:
        if trainer.state.global_step == 0:
            raise StageError(f"{key}: {nothing_trained(trainer)}")
        sound.check_weights("at the end", sound.advice())
        write_model(trainer, folder / "model")
    last: dict[str, float] = {}
    for row in metrics.history:
        last |= {name: value for name, value in row.items() if value is not None}
    return TrainingOutcome(last, metrics.reason, leaving.reason)


def _checkpoint(
    trainer: Any, folder: Path, key: str, accepted: Sequence[Identity]
) -> tuple[Path, Mark] | None:
    """Return the checkpoint to continue from, and its mark; a collective."""
    missing = functools.partial(missing_part, trainer)
    fit = Fit(key, accepted, form_of(trainer), trainer.args.world_size, missing)

    def choice() -> tuple[tuple[Path, Mark] | None, dict[Path, int]]:
        chosen = choose_checkpoint(folder, fit)
        if chosen is None:
            return None, {}
        path, mark = chosen
        return chosen, sizes_of(path / name for name in (MARK, *mark.files))

    chosen, sizes = from_main(choice)
    wait_for(sizes)
    return chosen


def _make_savable(model: Any) -> None:
    """Unset the model's own generation settings that could not be saved; rank 0 prints them."""
    settings = getattr(model, "generation_config", None)
    unset = make_valid(settings) if settings is not None else []
    if unset and is_main():
        names = ", ".join(unset)
        say(f"the model's generation settings cannot be saved with {names}: left out")


def _check_sharded(trainer: Any, key: str) -> None:
    """Raise StageError if accelerate was told to shard, and does not: on a CPU it may ignore it."""
    kind = trainer.accelerator.distributed_type.value
    for variable, asked in SHARDERS.items():
        if os.environ.get(variable, "").lower() == "true" and kind != asked:
            raise StageError(
                f"{key}.launch.config: distributed_type {asked}, but accelerate takes these "
                f"processes for {kind}, and would not shard; on a CPU DeepSpeed needs "
                "DS_ACCELERATOR=cpu in launch.environment, without ACCELERATE_USE_CPU"
            )


def _write_args(trainer: Any, folder: Path) -> None:
    """Write trainer_args.json: every argument that the trainer runs with."""
    if is_main():
        state = trainer.accelerator.state
        zero = state.deepspeed_plugin.zero_stage if state.deepspeed_plugin else None
        sharded = {"zero_stage": zero, "distributed_type": state.distributed_type.value}
        arguments = {"processes": state.num_processes, **sharded, **trainer.args.to_dict()}
        text = json.dumps(masked(arguments), indent=1, default=str)
        write_text(folder / "trainer_args.json", text + "\n")
