"""Tokens and seconds of a stage, from what is assumed of a GPU; assumptions have names here."""

import math
from dataclasses import dataclass

from r1trl.estimate.given import GIB, Given
from r1trl.estimate.memory import (
    CACHE_SHARE,
    SERVED_SHARE,
    VLLM_OWN,
    peak_states,
    room,
    size_drawn,
    vllm_bytes,
)
from r1trl.estimate.sharding import sharding_of
from r1trl.generation.cells import cells_of
from r1trl.models.shape import Shape

MEAN = 0.3  # mean length of rows and completions, as a share of the longest that is possible
MOST_ROWS = 256  # that vLLM draws at once: its max_num_seqs
COMPUTE_SHARE = 0.5  # of the peak that vLLM reaches when it draws many rows


@dataclass(frozen=True)
class Cost:
    """Tokens that a stage draws and trains on, and the seconds of each on all of its GPUs."""

    drawn: float
    trained: float
    drawing: float
    training: float
    gpus: int

    @property
    def gpu_hours(self) -> float:
        """Return the hours of all GPUs."""
        return (self.drawing + self.training) * self.gpus / 3600


def tokens(given: Given) -> tuple[float, float] | None:
    """Return how many tokens a stage draws and trains on; None if its rows are not known."""
    completions, passed = _completions(given), _passed_rows(given)
    if completions is None or passed is None:
        return None
    return completions * mean_drawn(given), passed * given.texts * _mean_passed(given)


def cost(given: Given) -> Cost | None:
    """Return what a stage costs; None if its rows or the machine are not known."""
    counted, completions = tokens(given), _completions(given)
    if given.hardware is None or counted is None or completions is None:
        return None
    drawn, trained = counted
    drawing = seconds_to_draw(given, completions) if completions else 0.0
    return Cost(drawn, trained, drawing, _training_seconds(given, trained), given.gpus)


def mean_drawn(given: Given) -> float:
    """Return the mean tokens of a completion."""
    return MEAN * given.completion


def _mean_passed(given: Given) -> float:
    """Return the mean tokens of a row that is trained on."""
    return given.prompt + mean_drawn(given) if given.draws_in_training else MEAN * given.longest


def _completions(given: Given) -> float | None:
    """Return how many completions a stage draws; None if its rows are not known."""
    if given.kind.draws == "nothing":
        return 0
    if given.draws_in_training:
        return _passed_rows(given)
    each = given.stage.sampling.n * max(1, len(given.models)) * len(cells_of(given.stage))
    return None if given.rows is None else given.rows * each


def _passed_rows(given: Given) -> float | None:
    """Return how many rows a stage trains on in all; None if that is not known."""
    if not given.trains:
        return 0
    steps = int(given.arg("max_steps", -1))
    if steps > 0:
        return steps * given.update
    group = int(given.arg("num_generations", 8)) if "rollout" in given.kind.takes else 1
    epochs = float(given.arg("num_train_epochs", 3))
    return None if given.rows is None else given.rows * group * epochs


def _training_seconds(given: Given, tokens: float) -> float:
    """Return the seconds of passes over tokens.

    A pass forward is 2 operations per weight and, of attention, 2 per token before it, on half of
    the row; a pass backward twice that. With checkpointing one forward pass more, with a reference
    model one, and one of a policy that is trained in 16 bits on what it has drawn.
    """
    if not tokens:
        return 0.0
    hardware, shape = given.hardware, given.largest
    assert hardware
    old = "rollout" in given.kind.takes and given.stage.dtype != "float32"
    passes = 3 + given.checkpointing + given.has_reference + old
    attended = shape.num_hidden_layers * shape.query_size * _mean_passed(given)
    operations = tokens * passes * 2 * (shape.parameters + attended)
    return operations / (hardware.mfu * hardware.tflops * 1e12 * given.launch.world)


def seconds_to_draw(given: Given, completions: float) -> float:
    """Return the seconds of drawing completions on all GPUs of a stage."""
    if given.vllm == "colocate":
        size = int(given.arg("vllm_tensor_parallel_size", 1))
        share = vllm_bytes(given)
        return _vllm_seconds(given, given.largest, completions, size, share)
    if given.vllm:
        assert given.hardware
        share = SERVED_SHARE * given.hardware.memory * GIB
        return _vllm_seconds(given, given.largest, completions, 1, share)
    each = completions / max(1, len(given.models))
    if given.server and given.hardware:
        size, share = given.server.tensor_parallel, vllm_bytes(given)
        return sum(_vllm_seconds(given, s, each, size, share) for s in given.models.values())
    return sum(_own_seconds(given, shape, each) for shape in given.models.values())


def _vllm_seconds(given: Given, shape: Shape, count: float, size: int, share: float) -> float:
    """Return the seconds of vLLM with `share` bytes of each GPU, `size` GPUs an engine.

    A step reads the weights and the caches of all rows, or computes, or starts its kernels,
    whichever takes longest.
    """
    hardware = given.hardware
    assert hardware
    weights, row = 2.0 * shape.parameters, 2.0 * shape.cache * (given.prompt + mean_drawn(given))
    free = size * (share - VLLM_OWN) - weights
    rows = min(MOST_ROWS, max(1.0, free / row))
    reading = (weights + rows * row) / (size * hardware.bandwidth * 1e9 * hardware.mbu)
    computing = rows * weights / (size * hardware.tflops * 1e12 * COMPUTE_SHARE)
    starting = shape.num_hidden_layers * hardware.vllm_layer_ms / 1000
    step = max(reading, computing, starting)
    return count * mean_drawn(given) * step / rows / (given.gpus / size)


def own_rows(given: Given, shape: Shape) -> int:
    """Return how many rows r1trl's own decoding has at once, by the room for its KV cache."""
    free, size = room(given) or 0.0, given.number_size
    used = float(shape.parameters * size)
    if given.trains:
        sharding = sharding_of(given.stage, given.launch, gpu=given.gpu)
        size = size_drawn(given, sharding)
        used = peak_states(given) + (shape.parameters * size if sharding.gathers else 0)
    rows = CACHE_SHARE * (free - used) / (shape.cache * size * given.longest)
    most = given.stage.sampling.batch_size if not given.trains else rows
    return max(1, int(min(rows, most)))


def _own_seconds(given: Given, shape: Shape, count: float) -> float:
    """Return the seconds of r1trl's own decoding: each batch lasts as long as its longest row."""
    hardware, rows = given.hardware, own_rows(given, shape)
    assert hardware
    size = given.number_size
    if given.trains:
        size = size_drawn(given, sharding_of(given.stage, given.launch, gpu=given.gpu))
    batches = math.ceil(count / given.launch.world / rows)
    cache = rows * shape.cache * size * (given.prompt + mean_drawn(given))
    reading = (shape.parameters * size + cache) / (hardware.bandwidth * 1e9 * hardware.mbu)
    step = max(reading, shape.num_hidden_layers * hardware.layer_ms / 1000)
    return batches * given.completion * step
