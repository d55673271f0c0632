"""What to type in place of a stage that does not fit: changes that are tried until one fits."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from r1trl.config.stage_parts import AdapterConfig, LaunchConfig, SamplingConfig
from r1trl.estimate.given import GIB, Given
from r1trl.estimate.memory import (
    SERVED_SHARE,
    VLLM_OWN,
    VLLM_SHARE,
    fits,
    vllm_needs,
)

SMALLEST = 256  # tokens of a row that are still proposed
RANK = 16  # of the adapter that is proposed
NODES = (1, 2, 4, 8, 16, 32)  # of eight GPUs, that are tried
SIZES = (1, 2, 4, 8)  # GPUs of a vLLM engine, that are tried
ROWS = 4  # that a server has room for, at least
ZERO3 = {"distributed_type": "DEEPSPEED", "deepspeed_config": {"zero_stage": 3}}
Change = tuple[str, Given]  # overrides, and the stage with them
Sound = Callable[[Given], bool]


def instead(given: Given, sound: Sound) -> list[str]:
    """Return overrides with which a stage is sound, each line on its own; at most four."""
    if not given.trains:
        return list(served(given))
    on_more = _first(_on_more_gpus(given), sound)
    shorter = _shorter(given, more_gpus=on_more is None)
    found = (_first([("", given)], sound), on_more, _first(_with_adapter(given), sound))
    return [text for text in (*found, _first(shorter, sound)) if text]


def _first(changes: Iterable[Change], sound: Sound) -> str | None:
    """Return the first change that is sound, or is with smaller micro-batches or vLLM too."""
    for text, changed in changes:
        for more, tried in _variants(changed):
            if sound(tried) and (text or more):
                return " ".join(filter(None, (text, more)))
    return None


def _variants(given: Given) -> Iterator[Change]:
    """Yield a stage as it is, leaner, and both of them with a colocated vLLM."""
    lean_text, lean = leaner(given)
    plain = [("", given), *([(lean_text, lean)] if lean_text else [])]
    yield from plain
    for text, one in plain:
        yield from ((f"{more} {text}".strip(), tried) for more, tried in _with_vllm(one))


def leaner(given: Given) -> Change:
    """Return the overrides of the smallest micro-batch with checkpointing, and the stage so."""
    args: dict[str, Any] = {} if given.checkpointing else {"gradient_checkpointing": True}
    args |= {"per_device_train_batch_size": 1} if given.micro_batch > 1 else {}
    return _texts(given, args), with_args(given, **args)


def with_args(given: Given, **args: Any) -> Given:
    """Return the stage with other arguments of TRL's."""
    return replace(given, stage=replace(given.stage, args={**given.stage.args, **args}))


def with_sampling(given: Given, **values: Any) -> Given:
    """Return the stage with other values of `sampling`."""
    sampling: SamplingConfig = replace(given.stage.sampling, **values)
    return replace(given, stage=replace(given.stage, sampling=sampling))


def _texts(given: Given, args: dict[str, Any]) -> str:
    """Return overrides of arguments."""
    shown = {name: str(value).lower() for name, value in args.items()}
    return " ".join(f"stages.{given.name}.args.{name}={value}" for name, value in shown.items())


def _with_vllm(given: Given) -> Iterator[Change]:
    """Yield colocated engines of vLLM that sleep while the stage trains, the smallest first."""
    if not given.draws_in_training or given.vllm == "server" or not given.gpu:
        return
    switch = {} if given.vllm else {"use_vllm": True}
    switch |= {} if given.arg("vllm_enable_sleep_mode") else {"vllm_enable_sleep_mode": True}
    for size in (size for size in SIZES if given.launch.world % size == 0):
        share = vllm_share(given, size)
        args: dict[str, Any] = {**switch}
        args |= {"vllm_tensor_parallel_size": size} if size > 1 else {}
        own = float(given.arg("vllm_gpu_memory_utilization", VLLM_SHARE))
        args |= {"vllm_gpu_memory_utilization": share} if share > own else {}
        yield _texts(given, args), with_args(given, **args)


def vllm_share(given: Given, size: int) -> float:
    """Return the share of each of `size` GPUs that a colocated vLLM needs for a row, and some."""
    assert given.hardware
    return round(vllm_needs(given, size) / (given.hardware.memory * GIB) + 0.05, 2)


def _on_more_gpus(given: Given) -> Iterator[Change]:
    """Yield launches by ZeRO-3 on more GPUs than the stage has, or as many that share less."""
    if not given.gpu:
        return
    for nodes in NODES:
        launch = LaunchConfig(how="accelerate", nodes=nodes, processes=8, config=ZERO3)
        sharded = given.launch.config.get("deepspeed_config", {}).get("zero_stage") == 3
        if launch.world < given.launch.world + sharded:
            continue
        line = "launch=zero3" if nodes == 1 else f"launch=slurm-zero3 launch.nodes={nodes}"
        stage = replace(given.stage, launch=launch)
        yield f"{line} launch.processes=8", replace(given, stage=stage)


def _with_adapter(given: Given) -> Iterator[Change]:
    if given.stage.adapter or "adapter" not in given.kind.takes:
        return
    text = f"'stages.{given.name}.adapter={{rank: {RANK}}}'"
    synced = {"sync_ref_model": False} if given.stage.args.get("sync_ref_model") else {}
    changed = replace(given, stage=replace(given.stage, adapter=AdapterConfig(rank=RANK)))
    yield f"{text} {_texts(given, synced)}".strip(), with_args(changed, **synced)


def _shorter(given: Given, *, more_gpus: bool) -> Iterator[Change]:
    """Yield rows of half the length, and of half of that, here and perhaps on more GPUs."""
    name = "max_completion_length" if given.draws_in_training else "max_length"
    tokens = int(given.arg(name, 1024)) // 2
    while tokens >= SMALLEST:
        args = {name: tokens}
        short = with_args(given, **args)
        yield _texts(given, args), short
        on_more = _on_more_gpus(short) if more_gpus else ()
        yield from ((f"{line} {_texts(given, args)}", changed) for line, changed in on_more)
        tokens //= 2


def shortest(given: Given) -> Given:
    """Return the stage with one short row at a time, which is the least that it can do with."""
    if not given.trains:
        return with_sampling(given, max_tokens=min(SMALLEST, given.completion))
    name = "max_completion_length" if given.draws_in_training else "max_length"
    return with_args(leaner(given)[1], **{name: min(SMALLEST, int(given.arg(name, 1024)))})


def served(given: Given) -> Iterator[str]:
    """Yield how many GPUs a server of the largest model needs, as far as eight do; or less text."""
    shape, key = given.largest, f"stages.{given.name}"
    needed = 2.0 * shape.parameters + ROWS * 2.0 * shape.cache * given.longest
    memory = given.hardware.memory * GIB if given.hardware and given.gpu else 0.0
    has = given.server.tensor_parallel if given.server else 0
    for size in (size for size in SIZES if size > has):
        if needed / size + VLLM_OWN <= SERVED_SHARE * memory:
            yield f"+{key}.serve.policy.tensor_parallel={size}"
            break
    half = given.completion // 2
    if half >= SMALLEST and fits(with_sampling(given, max_tokens=half)):
        yield f"{key}.sampling.max_tokens={half}"
