"""Losses and weights that are finite, or the stage fails before they are saved."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from transformers import TrainerCallback

from r1trl.checkpoints.reference import own_part
from r1trl.errors import StageError

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

    def state_dict(self) -> dict[str, float]:
        """Return the bound, which is by the weights that the first step began with."""
        return {"bound": self.bound}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Load what `state_dict` returned."""
        self.bound = state.get("bound", self.bound)

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
            name: own_part(weight)
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
        stage = self.key.rpartition(".")[2]
        then = f"with keep={stage} it continues from the newest checkpoint"
        return f"{' or '.join(ways)}; {then}, with redo={stage} it begins anew"
