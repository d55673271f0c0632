"""How a launch shares a model's training among GPUs: bytes per parameter that each of them has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import LaunchConfig
from r1trl.estimate.activations import Precision
from r1trl.models.shape import Shape

FOUR_BITS = 0.56  # bytes of a weight in 4 bits, with its scale
LIVE, BUCKET = 1e9, 5e8  # parameters: DeepSpeed's stage3_max_live_parameters, reduce_bucket_size
# Bytes of an optimizer's states per parameter, by the beginning of its name; of others as of Adam.
STATES = {"sgd": 0.0, "adafactor": 0.1, "adagrad": 4.0, "rmsprop": 4.0, "lion": 4.0}


@dataclass(frozen=True)
class Sharding:
    """Bytes per parameter on each GPU; `frozen` are those of a reference, or under an adapter.

    `live` are bytes per parameter of those that are whole for a moment, of which there are at most
    `most_live`; `gathers` is True if weights are in pieces between passes. `name` is its name.
    """

    name: str
    precision: Precision
    weights: float
    gradients: float
    optimizer: float
    frozen: float
    step: float  # more while the optimizer steps
    live: float = 0.0
    most_live: float = 0.0
    gathers: bool = False


def sharding_of(stage: StageConfig, launch: LaunchConfig, *, gpu: bool) -> Sharding:
    """Return how a training stage is shared out under a launch; weights are float32 at first."""
    states = _states(stage.args)
    half = stage.dtype != "float32"
    if deepspeed := launch.config.get("deepspeed_config"):
        return _deepspeed(deepspeed, launch.world, states, half=half)
    precision: Precision = "autocast" if half else "float32"
    step = 4.0 if gpu and states == 8.0 else 0.0  # Adam's foreach has a copy of all second moments
    if launch.config.get("distributed_type") == "FSDP":
        w = launch.world
        native: Precision = "half" if half else "float32"
        return Sharding(
            "FSDP", native, 4 / w, 4 / w, states / w, 4 / w, step / w, 4, 0.0, gathers=True
        )
    buckets = 4.0 if launch.world > 1 else 0.0  # DDP has a copy of all gradients
    name = "data-parallel" if launch.world > 1 else "one process"
    return Sharding(name, precision, 4.0, 4.0 + buckets, states, 4.0, step)


def _states(args: Mapping[str, Any]) -> float:
    """Return the bytes of the optimizer's states per parameter."""
    name = str(args.get("optim", "adamw_torch"))
    if "8bit" in name:
        return 2.0
    return next((size for start, size in STATES.items() if name.startswith(start)), 8.0)


def _deepspeed(config: Mapping[str, Any], world: int, states: float, *, half: bool) -> Sharding:
    """Return DeepSpeed's: its optimizer has the weights in float32 too, whatever they are in.

    A part of the gradients is made float32 while it steps.
    """
    stage, size = int(config.get("zero_stage", 2)), 2.0 if half else 4.0
    on_host = config.get("offload_optimizer_device", "none") != "none"
    weights_on_host = config.get("offload_param_device", "none") != "none"
    part = 1 / world
    optimizer = 0.0 if on_host else (4.0 + states) * (part if stage >= 1 else 1.0)
    weights = size * (part if stage == 3 else 1.0)
    return Sharding(
        name=f"ZeRO-{stage}" + (", offloaded" if on_host else ""),
        precision="half" if half else "float32",
        weights=0.0 if weights_on_host else weights,
        gradients=0.0 if on_host else size * (part if stage >= 2 else 1.0),
        optimizer=optimizer,
        frozen=0.0 if weights_on_host else weights,
        step=0.0 if on_host else 4.0 * part,
        live=size,
        most_live=(LIVE if stage == 3 else 0.0) + BUCKET,
        gathers=stage == 3,
    )


def live_bytes(sharding: Sharding, shape: Shape) -> float:
    """Return the bytes of weights that are whole for a moment, and of buckets of gradients.

    FSDP has two layers at once, or the embeddings and the head.
    """
    if sharding.name == "FSDP":
        return sharding.live * max(2 * shape.layer, 2 * shape.embedding)
    return sharding.live * min(sharding.most_live, shape.parameters)
