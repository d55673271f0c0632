"""The numbers of a stage that must fit: rows per update, completions per rollout, checkpoints."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import LaunchConfig, SamplingConfig
from r1trl.errors import unknown
from r1trl.plan.choices import active, check_offers, needing_groups
from r1trl.plugins.loading import Plugins
from r1trl.stage.checkpoints import CheckpointReader, checkpoints_made, too_few


def check_batch(stage: StageConfig, launch: LaunchConfig) -> Iterator[str]:
    """Yield why an update of `batch` rows does not divide into micro-batches."""
    micro = whole(stage.args, "per_device_train_batch_size", 8) * launch.world
    if stage.batch is None or (micro > 0 and stage.batch % micro == 0):
        return
    per = f"args.per_device_train_batch_size × {launch.world} processes"
    yield f"batch: {stage.batch} does not divide into micro-batches of {micro} ({per})"


def check_rollout(stage: StageConfig, launch: LaunchConfig, plugins: Plugins) -> Iterator[str]:
    """Yield why the numbers of a rollout do not divide."""
    rollout, args, processes = stage.rollout, stage.args, launch.world
    micro = whole(args, "per_device_train_batch_size", 8) * processes
    group = whole(args, "num_generations", 8)
    numbers = {
        "args.num_generations": group,
        "args.per_device_train_batch_size × launch.nodes × launch.processes": micro,
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
    yield from _between_rollouts(args, rollout.minibatches)
    sampled = any(options is not None for options in stage.samplers.values())
    if sampled and whole(args, "max_steps", -1) <= 0:
        yield "args.max_steps: must be given if a sampler chooses the prompts"


WITHIN = "a checkpoint within a rollout cannot be resumed exactly"


def _between_rollouts(args: Mapping[str, Any], minibatches: int) -> Iterator[str]:
    """Yield that checkpoints would lie within rollouts."""
    iterations = max(1, whole(args, "num_iterations", 1))
    strategy, given = str(args.get("save_strategy", "steps")), args.get("save_steps", 500)
    if minibatches * iterations <= 1 or strategy == "no" or not isinstance(given, int | float):
        return
    more = f" × args.num_iterations={iterations}" if iterations > 1 else ""
    per = f"rollout.minibatches={minibatches}{more}"
    if strategy == "epoch":
        yield f"args.save_strategy: epoch may end within the steps of {per}; {WITHIN}; use steps"
    elif given > 0:
        own = "" if "save_steps" in args else "TRL's own "
        most, steps = whole(args, "max_steps", -1), minibatches * iterations
        for problem, near in _save_steps(given, most, steps, per):
            yield f"args.save_steps: {own}{problem}; {WITHIN}{near}"


def _save_steps(given: float, most: int, steps: int, per: str) -> Iterator[tuple[str, str]]:
    """Yield why `save_steps` is no multiple of a rollout's steps, with those near by.

    Below 1 it is a share of all steps, of which there are `most`, or an unknown number.
    """
    if given < 1 and most <= 0:
        yield f"{given:g} of an unknown number of steps may be no multiple of {per}", ""
        return
    every = math.ceil(most * given) if given < 1 else int(given)
    below, rest = every - every % steps, every % steps
    if rest:
        share = f"{given:g} of {most} steps, " if given < 1 else ""
        near = f"{below} or {below + steps}" if below else f"{steps}"
        yield f"{share}{every} is not a multiple of {per}", f"; choose {near}"


def check_transitions(stage: StageConfig, stage_key: str, plugins: Plugins) -> list[str]:
    """Check a stage's transitions; return the problems.

    They are made, as in the worker, so that what they refuse of their options is found here.
    """
    key = f"{stage_key}.transitions"
    problems = check_offers(plugins, "transition", stage.transitions, key)
    if problems:
        return problems
    for name, options in active(stage.transitions).items():
        try:
            transition = plugins.find("transition", name).bind(options)
        except Exception as error:  # noqa: BLE001 - whatever a transition raises is the reason
            problems.append(f"{key}.{name}: {error}")
            continue
        if isinstance(transition, CheckpointReader):
            problem = too_few(transition, *_checkpoints(stage.args))
            problems += [f"{key}.{name}: {problem}"] if problem else []
    return problems


def _checkpoints(args: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return how many checkpoints a stage makes, None if the data decides, and what says so."""
    strategy, every = str(args.get("save_strategy", "steps")), args.get("save_steps", 500)
    steps, epochs = args.get("max_steps", -1), args.get("num_train_epochs", 3)
    numbers = [value for value in (every, steps, epochs) if isinstance(value, int | float)]
    if len(numbers) < 3 or every <= 0:
        return None, ""  # reported with the arguments
    if steps > 0:
        made = checkpoints_made(strategy, every, int(steps), None)
        length = f"args.max_steps={steps}"
    else:
        made = checkpoints_made(strategy, every, None, epochs)
        length = f"args.num_train_epochs={epochs:g}"
    by = "" if strategy != "steps" else f"args.save_steps={every:g}"
    return made, f"{by or f'args.save_strategy={strategy}'} in {length}"


def whole(args: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number among TRL's arguments; the default if it is none."""
    value = args.get(name)
    return value if isinstance(value, int) else default


def check_scoring(stage: StageConfig) -> Iterator[str]:
    """Yield that patience would end a sample before its deadline could."""
    scoring = stage.scoring
    if scoring.patience is not None and scoring.patience < scoring.deadline:
        yield (
            f"scoring.patience: {scoring.patience:g} is not possible; it must be at least "
            f"scoring.deadline={scoring.deadline:g}, and is 6 times as much if it is not given"
        )


def sampling_problems(sampling: SamplingConfig) -> Iterator[str]:
    """Yield the numbers of completions that do not go together."""
    if sampling.max_n is not None and sampling.stop_after_correct is None:
        yield (
            "sampling.max_n: means nothing without sampling.stop_after_correct, the number of "
            "right answers wanted"
        )
    if sampling.stop_after_correct is not None and (sampling.max_n or 0) <= sampling.n:
        yield (
            f"sampling.max_n: must be given and above sampling.n={sampling.n}, with "
            "stop_after_correct"
        )


def metric_problems(
    metrics: Mapping[str, str], rewards: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the keys of metrics that are missing, or whose reward is, each with a sentence."""
    if "correct" not in metrics:
        yield "metrics.correct", "must name the reward of a right answer"
    for metric, reward in metrics.items():
        if reward not in active(rewards):
            yield f"metrics.{metric}", unknown("reward of this stage", reward, active(rewards))
