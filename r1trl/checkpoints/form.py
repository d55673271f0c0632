"""By what a trainer saves its checkpoints, and which files they must then have."""

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any

from r1trl.checkpoints.marks import PLAIN
from r1trl.checkpoints.reference import moves, reference_names

STATE = "r1trl_state.json"  # what r1trl adds to a checkpoint, but the reference
ZERO3 = "DeepSpeed ZeRO-3"


def form_of(trainer: Any) -> str:
    """Return by what a trainer saves: each process having the whole model, DeepSpeed or FSDP."""
    plugin = trainer.accelerator.state.deepspeed_plugin
    if plugin is not None:
        return f"DeepSpeed ZeRO-{plugin.zero_stage}"
    return "FSDP" if trainer.is_fsdp_enabled else PLAIN


def missing_part(trainer: Any, files: Collection[str], processes: int) -> str | None:
    """Return what a trainer needs and a checkpoint of these files, of `processes`, has not."""
    for pattern in _needed(trainer, processes):
        if not any(fnmatchcase(name, pattern) for name in files):
            return pattern.strip("*/")
    return None


def _needed(trainer: Any, processes: int) -> Iterator[str]:
    """Yield patterns of the names that a trainer's checkpoint has."""
    form = form_of(trainer)
    yield from ("trainer_state.json", STATE)
    if form == PLAIN:
        yield from ("*model*", "optimizer.pt", "scheduler.pt")
    elif form == "FSDP":
        yield from ("pytorch_model_fsdp*", "optimizer*", "scheduler.pt")
    else:
        yield from ("*_model_states.pt", "*_optim_states.pt")
    if processes == trainer.args.world_size:
        names = [f"_{rank}" for rank in range(processes)] if processes > 1 else [""]
        yield from (f"rng_state{name}.pth" for name in names)
    if getattr(trainer.accelerator, "scaler", None) is not None:
        yield "scaler.pt"
    if moves(trainer):
        yield from reference_names(trainer.ref_model, processes)
    if getattr(trainer, "use_adaptive_entropy", False):
        yield "entropy_ctrl_state.json"
