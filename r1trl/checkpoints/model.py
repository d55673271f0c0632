"""The model that a training stage hands over, written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from r1trl.checkpoints.marks import make_readable
from r1trl.models.adapter import has_adapter, save_settings
from r1trl.stage.ranks import barrier, is_main
from r1trl.storage.writing import PART, new_folder


def wait_after_saving(trainer: Any) -> None:
    """Let all processes wait for the one that writes the model, whenever a trainer saves it.

    Transformers goes on with collectives, whose time-out the writing of a large model exceeds.
    """
    save = trainer.save_model

    def saved(*args: Any, **options: Any) -> None:
        save(*args, **options)
        barrier()

    trainer.save_model = saved


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
