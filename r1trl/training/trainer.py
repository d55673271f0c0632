"""A training stage, whatever its kind: resumed, recorded, and its model handed over.

What touches TRL beyond constructor arguments and callbacks: three wrapped methods in rollouts.py,
three in packing/passes.py, one in packing/padding_free.py, `training_step` here, and a patched
module in trl_patches.py.
tests/training/test_trl_contract.py names each private thing used.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from r1trl.errors import StageError
from r1trl.models.adapter import has_adapter, save_settings
from r1trl.models.generation import make_valid
from r1trl.stage.ranks import is_main
from r1trl.training.arguments import nothing_trained
from r1trl.training.callbacks import Completions, Metrics, Signals
from r1trl.training.checkpoints import Checkpoints, whole_checkpoint
from r1trl.training.rollouts import RolloutMixin
from r1trl.training.tracking import Tracker


@dataclass(frozen=True)
class TrainingOutcome:
    """How training ended: the last value of every metric, the reason if early, a signal's name."""

    metrics: dict[str, float]
    reason: str | None
    signal: str | None


GROWTH = 100  # times the largest weight of the start, or 1: no training comes to that


class SoundNumbers(TrainerCallback):
    """Fail the stage at the step where a loss or a weight is not finite, before it is saved.

    So does a weight that has grown out of all proportion: norms of it overflow, and the model gives
    finite nonsense. A step that float16's loss scaling skips changes no weight, and is none of
    these. Wraps the trainer's `training_step`, because transformers logs earlier losses in place of
    one that is not finite. `key` is the stage's. The methods are collectives; they raise
    StageError.
    """

    def __init__(self, trainer: Any, key: str) -> None:
        self.trainer, self.key = trainer, key
        self.loss: torch.Tensor | None = None  # the sum of those of the current update
        self.losses: list[float] = []  # of the last update, by process
        self.bound = math.inf  # of the weights
        training_step = trainer.training_step

        def add_loss(*args: Any, **kwargs: Any) -> Any:
            loss = training_step(*args, **kwargs)
            self.loss = loss if self.loss is None else self.loss + loss
            return loss

        trainer.training_step = add_loss

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check the weights that training starts from."""
        step = state.global_step
        where, advice = (f"checkpoint-{step}", self.advice()) if step else ("the model", "mend it")
        largest = self.check_weights(f"in {where}, from which training starts", advice)
        self.bound = GROWTH * max(1.0, largest)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check the loss before it reaches the weights."""
        loss, self.loss = self.loss, None
        if loss is None:
            return
        self.losses = self.trainer.accelerator.gather(loss.float().reshape(1)).tolist()
        odd = [value for value in self.losses if not math.isfinite(value)]
        if odd:
            also = "".join(f", {name} too" for name in self._odd_metrics())
            step = f"the loss is {odd[0]} at step {state.global_step + 1}{also}"
            raise StageError(f"{self.key}: {step}: {self.advice()}")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check the weights before they are saved."""
        loss = f", whose loss was {max(self.losses):.4g}" if self.losses else ""
        self.check_weights(f"after step {state.global_step}{loss}", self.advice())

    def check_weights(self, when: str, advice: str) -> float:
        """Return the largest weight that is trained; `when` says at which time it is asked for.

        Raises StageError if one is not finite, or too large.
        """
        weights = {
            name: _own_part(weight)
            for name, weight in self.trainer.model.named_parameters()
            if weight.requires_grad
        }
        parts = [part for part in weights.values() if part.numel()]
        own = torch.nn.utils.get_total_norm(parts, norm_type=math.inf).float()
        device = self.trainer.accelerator.device
        largest = float(self.trainer.accelerator.gather(own.to(device).reshape(1)).max())
        if math.isfinite(largest) and largest <= self.bound:
            return largest
        names = [name for name, part in weights.items() if not self._is_sound(part)]
        what = f"have grown to {largest:.3g}" if math.isfinite(largest) else "are not finite"
        which = f"such as {names[0]}" if names else "those of another process"
        raise StageError(f"{self.key}: weights, {which}, {what} {when}: {advice}")

    def _is_sound(self, part: torch.Tensor) -> bool:
        return bool((torch.isfinite(part) & (part.abs() <= self.bound)).all())

    def _odd_metrics(self) -> list[str]:
        """Return the metrics of the current step that are not finite."""
        logged = getattr(self.trainer, "_metrics", {}).get("train", {})
        last = {name: values[-1] for name, values in logged.items() if values}
        return [n for n, v in last.items() if isinstance(v, float) and not math.isfinite(v)]

    def advice(self) -> str:
        """Return what to change, and what becomes of the checkpoints."""
        args = self.trainer.args
        ways = [f"lower args.learning_rate={args.learning_rate:g}"]
        ways += [] if args.max_grad_norm else ["set args.max_grad_norm=1.0"]
        ways += ["set dtype=bfloat16, which has larger numbers"] if args.fp16 else []
        then = "the same command then continues from the newest checkpoint, or begins anew"
        return f"{' or '.join(ways)}; {then} without {args.output_dir}"


def _own_part(weight: torch.Tensor) -> torch.Tensor:
    """Return the part of a weight that is on this process, if it is sharded; else all of it."""
    part: Any = getattr(weight, "ds_tensor", weight)  # of ZeRO-3
    part = part.to_local() if hasattr(part, "to_local") else part  # of FSDP
    return torch.as_tensor(part.detach())


def train(
    trainer: Any, folder: Path, tracker: Tracker, key: str, transitions: Any
) -> TrainingOutcome:
    """Train, or continue; write the model to `folder`/model unless a signal ends it. A collective.

    `key` is the stage's; `transitions` has the `should_stop` of those that have one, and the
    `checkpoint_readers`, both by their keys.
    """
    _write_args(trainer, folder)
    metrics, signals = Metrics(folder, tracker, transitions.should_stop), Signals()
    checkpoints = Checkpoints(trainer, metrics, transitions.checkpoint_readers)
    sound = SoundNumbers(trainer, key)
    callbacks = [sound, metrics, checkpoints, signals]
    if isinstance(trainer, RolloutMixin):
        callbacks.insert(0, Completions(folder, tracker, tracker.completions, trainer))
    for callback in callbacks:
        trainer.add_callback(callback)
    _make_savable(trainer.model)
    checkpoint = whole_checkpoint(folder / "checkpoints")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        if isinstance(trainer, RolloutMixin):
            trainer.scorer.close(folder if is_main() else None)
    if not signals.received:
        if trainer.state.global_step == 0:
            raise StageError(f"{key}: {nothing_trained(trainer)}")
        sound.check_weights("at the end", sound.advice())
        trainer.save_model(str(folder / "model"))
        if is_main() and has_adapter(folder / "model"):
            save_settings(trainer.accelerator.unwrap_model(trainer.model), folder / "model")
    last: dict[str, float] = {}
    for row in metrics.history:
        last |= {name: value for name, value in row.items() if value is not None}
    return TrainingOutcome(last, metrics.reason, signals.received)


def _make_savable(model: Any) -> None:
    """Unset the model's own generation settings that could not be saved; rank 0 prints them."""
    settings = getattr(model, "generation_config", None)
    unset = make_valid(settings) if settings is not None else []
    if unset and is_main():
        names = ", ".join(unset)
        print(f"the model's generation settings cannot be saved with {names}: left out", flush=True)


def _write_args(trainer: Any, folder: Path) -> None:
    """Write trainer_args.json: every argument that the trainer runs with."""
    if is_main():
        state = trainer.accelerator.state
        zero = state.deepspeed_plugin.zero_stage if state.deepspeed_plugin else None
        arguments = {"processes": state.num_processes, "zero_stage": zero, **trainer.args.to_dict()}
        text = json.dumps(arguments, indent=1, default=str)
        (folder / "trainer_args.json").write_text(text + "\n", encoding="utf-8")
