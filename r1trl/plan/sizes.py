"""The sizes of a stage that must divide: rows per update, completions per rollout."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl.config.schema import LaunchConfig, StageConfig
from r1trl.plan.choices import needing_groups
from r1trl.plugins.loading import Plugins


def check_batch(stage: StageConfig, launch: LaunchConfig) -> Iterator[str]:
    """Yield why an update of `batch` rows does not divide into micro-batches."""
    micro = whole(stage.args, "per_device_train_batch_size", 8) * launch.processes
    if stage.batch is None or (micro > 0 and stage.batch % micro == 0):
        return
    per = f"args.per_device_train_batch_size × {launch.processes} processes"
    yield f"batch: {stage.batch} does not divide into micro-batches of {micro} ({per})"


def check_rollout(stage: StageConfig, launch: LaunchConfig, plugins: Plugins) -> Iterator[str]:
    """Yield why the numbers of a rollout do not divide."""
    rollout, args, processes = stage.rollout, stage.args, launch.processes
    micro = whole(args, "per_device_train_batch_size", 8) * processes
    group, save = whole(args, "num_generations", 8), whole(args, "save_steps", 0)
    numbers = {
        "args.num_generations": group,
        "args.per_device_train_batch_size × launch.processes": micro,
    }
    small = [f"{key}: {number} is less than 1" for key, number in numbers.items() if number < 1]
    if small:
        yield from small
        return
    if rollout.outputs % (rollout.minibatches * micro):
        yield (
            f"rollout.outputs: {rollout.outputs} in rollout.minibatches={rollout.minibatches} "
            f"updates does not divide into micro-batches of {micro} "
            f"(args.per_device_train_batch_size × {processes} processes)"
        )
    if rollout.outputs % group:
        multiple = f"is not a multiple of args.num_generations={group}"
        yield f"rollout.outputs: {rollout.outputs} {multiple}"
    if rollout.outputs % (processes * group):
        for name in needing_groups(stage.rewards, plugins):
            yield (
                f"rewards.{name}: compares the completions of a prompt, but rollout.outputs="
                f"{rollout.outputs} over {processes} processes does not divide into whole groups "
                f"of args.num_generations={group}"
            )
    if save % rollout.minibatches:
        yield (
            f"args.save_steps: {save} is not a multiple of rollout.minibatches="
            f"{rollout.minibatches}; a checkpoint within a rollout cannot be resumed exactly"
        )
    sampled = any(options is not None for options in stage.samplers.values())
    if sampled and whole(args, "max_steps", -1) <= 0:
        yield "args.max_steps: must be given if a sampler chooses the prompts"


def whole(args: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number among TRL's arguments; the default if it is none."""
    value = args.get(name)
    return value if isinstance(value, int) else default
