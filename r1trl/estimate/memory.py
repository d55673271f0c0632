"""Memory of one GPU, part by part, in each phase of a stage; the phase with most of it counts.

Upper bounds, for rows as long as they may be. On the CPU it is the memory of one process.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from r1trl.estimate.activations import Activations
from r1trl.estimate.given import GIB, Given
from r1trl.estimate.sharding import FOUR_BITS, Sharding, live_bytes, sharding_of

CONTEXT = 0.9 * GIB  # of each process: CUDA's context and kernels, or the libraries on a CPU
SPARE = 0.06  # share of the memory that is lost between tensors
CACHE_SHARE = 0.3  # of the free memory that r1trl's own decoding gives to the KV cache
VLLM_SHARE, VLLM_OWN = 0.3, 1.5 * GIB  # TRL's vllm_gpu_memory_utilization; vLLM's own activations
SERVED_SHARE = 0.9  # vLLM's gpu-memory-utilization where it has the GPU for itself


@dataclass(frozen=True)
class Phase:
    """Bytes on one GPU in a phase of a stage, by what they hold."""

    name: str
    parts: dict[str, float]

    @property
    def total(self) -> float:
        """Return all bytes."""
        return sum(self.parts.values())


def room(given: Given) -> float | None:
    """Return the bytes that a process of the stage may use; None if no machine is assumed."""
    hardware = given.hardware
    if hardware is None:
        return None
    processes = 1 if given.gpu or given.launch.how == "local" else given.launch.processes
    whole = hardware.memory * GIB * (1 - SPARE) / processes
    return whole - CONTEXT


def phases(given: Given) -> list[Phase]:
    """Return the phases of a stage, of its largest model."""
    return list(_training(given) if given.trains else _drawing(given))


def peak(given: Given) -> Phase:
    """Return the phase with most memory."""
    return max(phases(given), key=lambda phase: phase.total)


def _states(given: Given, sharding: Sharding) -> dict[str, float]:
    """Return what is there all the time of a training, without gradients."""
    shape, adapter = given.largest, given.stage.adapter
    weights = shape.parameters
    if adapter is None:
        states = {"weights": sharding.weights * weights}
    else:
        base = FOUR_BITS if adapter.quantize else sharding.frozen
        states = {"weights": base * weights + sharding.weights * trained(given)}
    states["optimizer"] = sharding.optimizer * trained(given)
    if given.has_reference:
        states["reference"] = sharding.frozen * weights
    share = 1 / given.launch.world if sharding.gathers else 1.0
    if given.frozen:
        states["teacher"] = sum(s.parameters for s in given.frozen) * given.number_size * share
    if given.vllm == "colocate" and not given.arg("vllm_enable_sleep_mode"):
        states["vLLM"] = vllm_bytes(given)
    return states


def peak_states(given: Given) -> float:
    """Return the bytes of what is there all the time of a training, without gradients."""
    return sum(_states(given, sharding_of(given.stage, given.launch, gpu=given.gpu)).values())


def trained(given: Given) -> int:
    """Return the number of parameters that are trained."""
    adapter, shape = given.stage.adapter, given.largest
    return shape.parameters if adapter is None else shape.adapter(adapter.rank)


def fits(given: Given) -> bool:
    """Return True if a stage fits into the GPUs that are assumed."""
    there = room(given)
    return there is None or (peak(given).total <= there and vllm_problem(given) is None)


def vllm_size(given: Given) -> int:
    """Return how many GPUs an engine of vLLM has."""
    if given.server:
        return given.server.tensor_parallel
    return int(given.arg("vllm_tensor_parallel_size", 1))


def vllm_needs(given: Given, size: int) -> float:
    """Return the bytes on each of `size` GPUs without which vLLM cannot draw one row."""
    shape = given.largest
    return (2.0 * shape.parameters + 2.0 * shape.cache * given.longest) / size + VLLM_OWN


def vllm_bytes(given: Given) -> float:
    """Return the bytes of a GPU that vLLM takes; what it needs if no GPU is assumed."""
    if given.hardware is None or not given.gpu:
        return vllm_needs(given, vllm_size(given))
    share = float(given.arg("vllm_gpu_memory_utilization", VLLM_SHARE))
    if given.server:
        share = float(given.server.args.get("gpu-memory-utilization", SERVED_SHARE))
    return share * given.hardware.memory * GIB


def vllm_problem(given: Given) -> str | None:
    """Return why vLLM has too little memory for one row; None if it has enough, or is not there."""
    if not (given.server or given.vllm == "colocate"):
        return None
    share, needed = vllm_bytes(given), vllm_needs(given, vllm_size(given))
    if needed <= share:
        return None
    return f"gives vLLM {share / GIB:.1f} GiB, and weights and one row need {needed / GIB:.1f}"


def _training(given: Given) -> Iterator[Phase]:
    """Yield the phases of a training stage.

    Gradients are there from the first backward pass of an update on, and grow while activations
    are freed; without accumulation only the larger of the two counts.
    """
    sharding = sharding_of(given.stage, given.launch, gpu=given.gpu)
    states, shape = _states(given, sharding), given.largest
    acts = Activations(shape, sharding.precision)
    tokens = given.passed_at_once
    gradients = {"gradients": sharding.gradients * trained(given)}
    early = gradients if given.accumulates else {"gradients": 0.0}
    live = {"whole weights": live_bytes(sharding, shape)} if given.launch.world > 1 else {}
    copies = 2.0 * shape.parameters if sharding.precision == "autocast" else 0.0
    kept = acts.kept(tokens, given.checkpointing)
    layer = acts.passed(tokens, given.checkpointing)
    head = acts.head(tokens, triton=given.gpu)
    again = 2.0 * shape.layer if given.checkpointing and copies else copies
    common = states | early | live
    yield Phase("forward", common | {"activations": kept, "16-bit copies": copies})
    backward = {"activations": kept + layer, "16-bit copies": again}
    yield Phase("backward", common | backward)
    yield Phase("head", common | {"activations": kept, "16-bit copies": again, "logits": head})
    last = {"activations": layer + acts.ends * tokens, "embeddings": shape.embedding * 4.0}
    yield Phase("end of backward", states | gradients | live | last)
    yield Phase("step", states | gradients | {"step": sharding.step * trained(given)})
    if given.draws_in_training:
        yield from _rollout(given, sharding, states)


def _rollout(given: Given, sharding: Sharding, states: dict[str, float]) -> Iterator[Phase]:
    """Yield generating and scoring, in which there are no gradients."""
    shape = given.largest
    if given.vllm == "colocate":
        yield Phase("generation", states | {"vLLM": vllm_bytes(given)})
    elif not given.vllm:
        whole = {"whole weights": shape.parameters * size_drawn(given, sharding)}
        gathered = whole if sharding.gathers else {}
        cache = {"KV cache": cache_bytes(given, size_drawn(given, sharding))}
        yield Phase("generation", states | gathered | cache)
    if given.scorers:
        yield Phase("scoring", states | {"reward model": _scorers(given)})


def _scorers(given: Given) -> float:
    """Return the bytes of the largest reward model, in 16 bits."""
    return 2.0 * max(shape.parameters for shape in given.scorers)


def size_drawn(given: Given, sharding: Sharding) -> int:
    """Return the bytes of a number of a model that draws completions while it is trained."""
    return 2 if sharding.precision == "half" else 4


def cache_bytes(given: Given, size: int) -> float:
    """Return the bytes of the KV cache of one row, without which nothing is drawn."""
    return float(given.largest.cache * size * given.longest)


def _drawing(given: Given) -> Iterator[Phase]:
    """Yield the phases of a stage that draws completions and trains nothing."""
    shape, size = given.largest, given.number_size
    weights = {"weights": float(shape.parameters * size)}
    cache = {"KV cache": cache_bytes(given, size)}
    if given.server:
        weights = {"vLLM": vllm_bytes(given)}
        cache = {}
    yield Phase("generation", weights | cache)
    if given.scorers:
        yield Phase("scoring", weights | {"reward model": _scorers(given)})
