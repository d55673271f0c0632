"""The model that a training stage hands over, written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from r1trl.checkpoints.form import ZERO3, form_of
from r1trl.checkpoints.marks import make_readable
from r1trl.models.adapter import has_adapter, save_settings
from r1trl.stage.ranks import barrier, is_main
from r1trl.storage.writing import PART, new_folder


def arrange_saving(trainer: Any, read: bool) -> None:
    """Say how a trainer saves its model: nothing gathered in vain, and all wait for the writer.

    Under ZeRO-3 each process writes its part of a checkpoint, from which training continues; the
    whole model is gathered on rank 0 beside it only if it is `read`, by a transition. Transformers
    goes on with collectives, whose time-out the writing of a large model exceeds.
    """
    save = trainer.save_model

    def saved(output_dir: str | None = None, _internal_call: bool = False) -> None:
        if _internal_call and not read and _is_in_parts(trainer):
            _save_without_weights(trainer, str(output_dir))
        else:
            save(output_dir, _internal_call)
        barrier()

    trainer.save_model = saved


def _is_in_parts(trainer: Any) -> bool:
    """Return True if each process has a part of every weight that DeepSpeed saves, not PEFT."""
    adapted = hasattr(trainer.accelerator.unwrap_model(trainer.model), "peft_config")
    return form_of(trainer) == ZERO3 and not adapted


def _save_without_weights(trainer: Any, folder: str) -> None:
    """Write what a model has beside its weights, for DeepSpeed's zero_to_fp32.py to add them."""
    if is_main():
        model = trainer.accelerator.unwrap_model(trainer.model)
        for part in (
            model.config,
            getattr(model, "generation_config", None),
            trainer.processing_class,
        ):
            if part is not None:
                part.save_pretrained(folder)


def write_model(trainer: Any, folder: Path) -> None:
    """Write a trainer's model, or its adapter, with the tokenizer; a collective."""
    if trainer.is_fsdp_enabled:  # else only parts of the model would be saved
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    part = folder.with_name(folder.name + PART)
    with new_folder(folder) if is_main() else nullcontext(part) as whole:
        barrier()
        with _tied_once(trainer):
            trainer.save_model(str(whole))
        if is_main() and has_adapter(whole):
            save_settings(trainer.accelerator.unwrap_model(trainer.model), whole)
        if is_main():
            make_readable(whole)


@contextmanager
def _tied_once(trainer: Any) -> Iterator[None]:
    """Leave tied weights out of what is gathered for a file while the block runs.

    Gathered by FSDP or ZeRO-1 and -2, they are copies of each other, which would all be written.
    """
    accelerator = trainer.accelerator
    gather = accelerator.get_state_dict
    tied = getattr(accelerator.unwrap_model(trainer.model), "all_tied_weights_keys", None) or {}

    def gathered(*args: Any, **options: Any) -> Any:
        weights = gather(*args, **options)
        if weights is None:  # another process has them
            return None
        copies = {
            name
            for name, source in tied.items()
            if name in weights and source in weights and torch.equal(weights[name], weights[source])
        }
        return {name: weight for name, weight in weights.items() if name not in copies}

    accelerator.get_state_dict = gathered
    try:
        yield
    finally:
        accelerator.get_state_dict = gather
