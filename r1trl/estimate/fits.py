"""What a machine cannot hold, TRL cannot do, or takes too long: each with what to type instead."""

from collections.abc import Iterator
from dataclasses import dataclass

from r1trl.estimate.given import GIB, Given
from r1trl.estimate.instead import instead, served, shortest
from r1trl.estimate.memory import Phase, fits, peak, room, vllm_problem
from r1trl.estimate.speed import seconds_to_draw

ROLLOUT_HOURS, STAGE_HOURS = 1.0, 24.0  # the most that r1trl's own decoding may take


@dataclass(frozen=True)
class Misfit:
    """What is wrong with a stage, with its key; `certain`: by no assumption on rows or speed."""

    text: str
    certain: bool


def misfits(given: Given, *, timed: bool = True) -> Iterator[Misfit]:
    """Yield what is wrong with a stage on the hardware that is assumed, and what to type.

    `timed`: also what takes too long.
    """
    key = f"stages.{given.name}"
    yield from (Misfit(f"{key}.{text}", True) for text in _parallel(given))
    if problem := vllm_problem(given):
        at = f"{key}.args.vllm_gpu_memory_utilization"
        at = f"{key}.serve.policy.args.gpu-memory-utilization" if given.server else at
        yield Misfit(f"{at}: {problem}; what would fit: {_mends(given, timed=timed)}", False)
    elif not fits(given):
        yield Misfit(f"{key}: {_too_large(given, timed=timed)}", not fits(shortest(given)))
    elif timed and (hours := _hours_too_many(given)):
        yield Misfit(f"{key}: {_too_slow(given, hours)}", False)


def _parallel(given: Given) -> Iterator[str]:
    """Yield parallelism along a row where TRL has none."""
    parts = given.launch.config.get("parallelism_config") or {}
    for name, what in (("cp", "context"), ("sp", "sequence")):
        size = parts.get(f"parallelism_config_{name}_size", 1)
        if given.draws_in_training and isinstance(size, int) and size > 1:
            yield (
                f"launch.config.parallelism_config: TRL has no {what} parallelism of stages that "
                f"draw completions; leave out parallelism_config_{name}_size={size}, and use "
                "launch=slurm-zero3 launch.nodes=…, or a smaller args.max_completion_length"
            )


def _too_large(given: Given, *, timed: bool) -> str:
    """Return how much memory a stage needs and has, and what would fit."""
    there = room(given)
    assert there is not None
    assert given.hardware
    where = f"one {given.hardware.name}" if given.gpu else "each process here"
    has = f"on {where}, which has {there / GIB:.1f} GiB for it"
    return f"{_told(peak(given))} {has}; what would fit: {_mends(given, timed=timed)}"


def _mends(given: Given, *, timed: bool) -> str:
    """Return the overrides with which a stage fits."""
    lines = instead(given, lambda g: fits(g) and not (timed and _hours_too_many(g)))
    return "; or: ".join(lines) or "a smaller model"


def _told(phase: Phase) -> str:
    """Return the memory of a phase, and its largest parts."""
    parts = sorted(phase.parts.items(), key=lambda part: -part[1])[:3]
    named = ", ".join(f"{name} {size / GIB:.1f}" for name, size in parts)
    return f"needs {phase.total / GIB:.1f} GiB ({phase.name}: {named})"


def _hours_too_many(given: Given) -> float | None:
    """Return the hours of r1trl's own decoding if they are too many; else None."""
    if given.hardware is None or given.kind.draws == "nothing":
        return None
    if given.vllm or given.server:
        return None
    hours = seconds_to_draw(given, given.drawn_at_once) / 3600
    most = ROLLOUT_HOURS if given.draws_in_training else STAGE_HOURS
    return hours if hours > most else None


def _too_slow(given: Given, hours: float) -> str:
    """Return how long r1trl's own decoding takes, and what is faster."""
    training = given.draws_in_training
    what, most = ("a rollout", ROLLOUT_HOURS) if training else ("the stage", STAGE_HOURS)
    lines = instead(given, lambda g: fits(g) and bool(g.vllm)) if training else served(given)
    mend = next(iter(lines), "a smaller model")
    return (
        f"drawing by r1trl takes about {hours:,.1f} hours for {what} of "
        f"{given.drawn_at_once:,} completions (more than {most:g}); use vLLM: {mend}"
    )
