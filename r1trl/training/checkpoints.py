"""Checkpoints made whole: the reference model and the samplers' state, which TRL does not save."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

MARKER = "complete.json"
REFERENCE = "reference.safetensors"
SAMPLERS = "samplers.json"


class Checkpoints(TrainerCallback):
    """Add to each of TRL's checkpoints what it lacks, and a marker; put it back on resume.

    Both methods are collectives.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add the reference model and the samplers; the marker is written last."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
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

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Load the reference model and the samplers of the resumed checkpoint, if there is one."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        path, samplers = folder / REFERENCE, getattr(self.trainer, "samplers", None)
        if state.global_step and samplers:
            text = (folder / SAMPLERS).read_text(encoding="utf-8")
            samplers.load_state_dict(json.loads(text))
        if state.global_step and has_synced_reference(self.trainer):
            from safetensors.torch import load_file

            model = self.trainer.accelerator.unwrap_model(self.trainer.ref_model)
            model.load_state_dict(load_file(path), strict=False)


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
    for path in folder.glob("checkpoint-*"):
        if (path / MARKER).exists():
            whole.append(path)
        elif os.environ.get("RANK", "0") == "0":
            shutil.rmtree(path)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
