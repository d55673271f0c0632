"""Checkpoints made whole: the reference model and the samplers' state, which TRL does not save."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback

from r1trl.errors import StageError, errors_named
from r1trl.stage.checkpoints import CheckpointReader, checkpoints_made, too_few
from r1trl.types import Progress

MARKER = "complete.json"
REFERENCE = "reference.safetensors"
SAMPLERS = "samplers.json"
PREFIX = "checkpoint-"  # of the names of TRL's checkpoints, before the step


class HasProgress(Protocol):
    """What says how far training has come."""

    def progress(self, state: Any) -> Progress:
        """Return the progress of a training stage, from the state of its trainer."""
        ...


class Checkpoints(TrainerCallback):
    """Add to each of TRL's checkpoints what it lacks, and a marker; put it back on resume.

    Removes old ones in TRL's place (`args.save_total_limit`), once the newest is whole, but those
    that transitions keep, `readers` by their keys. The methods are collectives.
    """

    def __init__(
        self, trainer: Any, metrics: HasProgress, readers: Mapping[str, CheckpointReader]
    ) -> None:
        self.trainer, self.metrics, self.readers = trainer, metrics, readers
        self.limit, trainer.args.save_total_limit = trainer.args.save_total_limit, None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add the reference model and the samplers; the marker is written last."""
        folder = Path(args.output_dir) / f"{PREFIX}{state.global_step}"
        accelerator = self.trainer.accelerator
        if has_synced_reference(self.trainer):
            weights = accelerator.get_state_dict(self.trainer.ref_model)
            if accelerator.is_main_process:
                save_weights(weights, folder / REFERENCE)
        samplers = getattr(self.trainer, "samplers", None)
        if samplers and accelerator.is_main_process:
            text = json.dumps(samplers.state_dict())
            (folder / SAMPLERS).write_text(text + "\n", encoding="utf-8")
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (folder / MARKER).write_text(json.dumps({"step": state.global_step}) + "\n")
            self._remove_old(folder.parent, self.metrics.progress(state))

    def _remove_old(self, folder: Path, progress: Progress) -> None:
        """Remove all but the newest `limit` checkpoints, and those that transitions keep."""
        names = [path.parent.name.removeprefix(PREFIX) for path in folder.glob(f"*/{MARKER}")]
        steps = sorted(int(name) for name in names if name.isdecimal())
        kept = set(steps[-(self.limit or len(steps)) :])
        for key, reader in self.readers.items():
            with errors_named(key):
                chosen = list(reader.keep_checkpoints(progress, steps))
                if not set(chosen) <= set(steps):
                    returned = f"keep_checkpoints returned {chosen}"
                    raise StageError(f"{returned}; it returns some of the saved steps, {steps}")
            kept.update(chosen)
        for step in set(steps) - kept:
            shutil.rmtree(folder / f"{PREFIX}{step}")

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        **_: Any,
    ) -> None:
        """Load the reference model and the samplers of the resumed checkpoint, if there is one.

        Its learning rate is replaced by that of the arguments. Raises StageError if a transition
        reads more checkpoints than there will be.
        """
        self._refuse_too_few(args, state)
        if state.global_step:
            replace_learning_rate(args.learning_rate, optimizer, lr_scheduler)
        folder = Path(args.output_dir) / f"{PREFIX}{state.global_step}"
        path, samplers = folder / REFERENCE, getattr(self.trainer, "samplers", None)
        if state.global_step and samplers:
            file = folder / SAMPLERS  # absent if the stage had no samplers then
            text = file.read_text(encoding="utf-8") if file.exists() else "{}"
            samplers.load_state_dict(json.loads(text))
        if state.global_step and has_synced_reference(self.trainer):
            from safetensors.torch import load_file

            model = self.trainer.accelerator.unwrap_model(self.trainer.ref_model)
            model.load_state_dict(load_file(path), strict=False)

    def _refuse_too_few(self, args: Any, state: Any) -> None:
        strategy, steps = str(args.save_strategy.value), state.max_steps
        made = checkpoints_made(strategy, args.save_steps, steps, state.num_train_epochs)
        every = f"args.save_steps={args.save_steps:g}" if strategy == "steps" else ""
        setting = f"{every or f'args.save_strategy={strategy}'} in {steps} steps"
        for key, reader in self.readers.items():
            if problem := too_few(reader, made, setting):
                raise StageError(f"{key}: {problem}")


def replace_learning_rate(rate: float, optimizer: Any, scheduler: Any) -> None:
    """Give a resumed schedule another learning rate; nothing changes if it is the same.

    Torch loads the rate with the schedule. One with several rates, or none of torch's, stays.
    """
    shares = getattr(scheduler, "lr_lambdas", None)
    if not shares or len(set(scheduler.base_lrs)) > 1:
        return
    scheduler.base_lrs = [rate] * len(shares)
    scheduler._last_lr = [rate * share(scheduler.last_epoch) for share in shares]
    for group, now in zip(optimizer.param_groups, scheduler._last_lr, strict=True):
        group["initial_lr"], group["lr"] = rate, now


def has_synced_reference(trainer: Any) -> bool:
    """Return True if the trainer has a reference model that is replaced by the policy."""
    reference = getattr(trainer, "ref_model", None)
    return reference is not None and bool(getattr(trainer.args, "sync_ref_model", False))


def save_weights(weights: Mapping[str, Any], path: Path) -> None:
    """Write tensors as safetensors, copied to the CPU; tied ones are written once each."""
    from safetensors.torch import save_file

    copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}
    save_file({name: copy.contiguous() for name, copy in copies.items()}, path)


def whole_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint with a marker; rank 0 removes those that a kill cut short."""
    whole = []
    for path in folder.glob(f"{PREFIX}*"):
        if (path / MARKER).exists():
            whole.append(path)
        elif os.environ.get("RANK", "0") == "0":
            shutil.rmtree(path)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
