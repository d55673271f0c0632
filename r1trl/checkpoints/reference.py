"""A reference model that moves with the policy: saved, loaded, and moved where its parts lie.

Under ZeRO-3 and FSDP each process has a part of every weight. Policy and reference are parted
alike, so the reference moves part by part; nothing is gathered for it.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

REFERENCE = "reference.safetensors"
PART = "reference-{}.safetensors"  # of a rank, where DeepSpeed has parted the weights


def moves(trainer: Any) -> bool:
    """Return True if the trainer has a reference model that is replaced by the policy."""
    reference = getattr(trainer, "ref_model", None)
    return reference is not None and bool(getattr(trainer.args, "sync_ref_model", False))


def own_part(weight: torch.Tensor) -> torch.Tensor:
    """Return the part of a weight that is on this process, if it is parted; else all of it."""
    part: Any = getattr(weight, "ds_tensor", weight)  # of ZeRO-3
    part = part.to_local() if hasattr(part, "to_local") else part  # of FSDP
    return torch.as_tensor(part.detach())


def move_reference(policy: Any, reference: Any, alpha: float) -> None:
    """Replace a reference's weights by (1 - alpha) of their own and alpha of the policy's.

    ZeRO-3 keeps small weights whole on each process, beside their parts: those of the reference are
    freed, and gathered again from the moved parts when they are used.
    """
    pairs = zip(reference.parameters(), policy.parameters(), strict=True)
    for target, source in pairs:
        own_part(target).mul_(1.0 - alpha).add_(own_part(source), alpha=alpha)
        if hasattr(target, "ds_tensor"):
            target.partition()


def move_by_parts(trainer: Any) -> None:
    """Let the trainer's own callback move the reference part by part; TRL gathers all weights."""
    from trl.trainer.callbacks import SyncRefModelCallback

    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, SyncRefModelCallback):
            callback.sync_target_model = move_reference


def reference_names(reference: Any, processes: int) -> list[str]:
    """Return the names of a reference's files in a checkpoint of so many processes."""
    return (
        [PART.format(rank) for rank in range(processes)] if _is_parted(reference) else [REFERENCE]
    )


def _is_parted(reference: Any) -> bool:
    """Return True if DeepSpeed has parted a model's weights; the number of processes then stays."""
    return any(hasattr(weight, "ds_tensor") for weight in reference.parameters())


def save_reference(trainer: Any, folder: Path) -> None:
    """Write the reference's weights into a checkpoint, under ZeRO-3 part by part; a collective."""
    accelerator = trainer.accelerator
    if _is_parted(trainer.ref_model):
        named = accelerator.unwrap_model(trainer.ref_model).named_parameters()
        parts = {name: own_part(weight) for name, weight in named}
        save_weights(parts, folder / PART.format(accelerator.process_index))
        return
    weights = accelerator.get_state_dict(trainer.ref_model)
    if accelerator.is_main_process:
        save_weights(weights, folder / REFERENCE)


def save_weights(weights: Mapping[str, Any], path: Path) -> None:
    """Write tensors as safetensors, copied to the CPU; tied ones are written once each."""
    from safetensors.torch import save_file

    copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}
    save_file({name: copy.contiguous() for name, copy in copies.items()}, path)


def load_reference(trainer: Any, folder: Path) -> None:
    """Load the reference's weights from a checkpoint, tensor by tensor; a collective."""
    from safetensors import safe_open

    model = trainer.accelerator.unwrap_model(trainer.ref_model)
    if _is_parted(model):
        _load_parts(model, folder / PART.format(trainer.accelerator.process_index))
        return
    with safe_open(folder / REFERENCE, "pt") as stored, torch.no_grad():
        state = {**dict(model.named_parameters()), **_kept_buffers(model)}
        for name, tensor in state.items():
            _load(tensor, functools.partial(stored.get_tensor, name))


@torch.no_grad()
def _load_parts(model: Any, path: Path) -> None:
    """Load this process's parts; whole copies of small weights are freed, as when it moves."""
    from safetensors import safe_open

    with safe_open(path, "pt") as stored:
        for name, weight in model.named_parameters():
            own_part(weight).copy_(stored.get_tensor(name))
            weight.partition()


def _kept_buffers(model: Any) -> dict[str, torch.Tensor]:
    """Return the buffers that are saved with a model."""
    saved = model.state_dict(keep_vars=True).keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}


def _load(tensor: torch.Tensor, value: Callable[[], torch.Tensor]) -> None:
    """Copy a whole value into a tensor, or into the part of it that is on this process."""
    if hasattr(tensor, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        placed: Any = tensor
        whole = value().to(placed.device)
        placed.copy_(distribute_tensor(whole, placed.device_mesh, placed.placements))
    else:
        tensor.data.copy_(value())
