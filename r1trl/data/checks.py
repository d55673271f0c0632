"""What a stage asks of its rows: so many that it makes a step, and no names that rewards need."""

from collections.abc import Iterable

from r1trl.config.schema import StageConfig
from r1trl.errors import StageError
from r1trl.rewards.bound_reward import COMMON_PARAMETERS, NOT_ROW_COLUMNS


def need_rows(count: int, stage: StageConfig, key: str) -> None:
    """Raise StageError if a stage with rollouts would make no step of so many rows.

    TRL rolls out different prompts at a time, as many as `rollout.outputs` has groups, and leaves
    out a rest that is smaller: of fewer rows than that it trains on nothing, and says nothing.
    `key` is the stage's.
    """
    group = max(1, int(stage.args.get("num_generations", 8) or 1))
    needed = stage.rollout.outputs // group
    if count < needed:
        raise StageError(
            f"{key}.rollout.outputs: nothing would be trained: a rollout of {stage.rollout.outputs}"
            f" completions in groups of args.num_generations={group} takes {needed} rows, and "
            f"there {'is' if count == 1 else 'are'} {count}; give more rows, or lower "
            "rollout.outputs"
        )


def refuse_taken_names(columns: Iterable[str], stage: StageConfig, key: str) -> None:
    """Raise StageError if a column has the name of something else that every reward gets.

    `key` is that of the data.
    """
    taken = set(COMMON_PARAMETERS) - set(NOT_ROW_COLUMNS) if stage.rewards else ()
    for name in columns:
        if name in taken:
            raise StageError(
                f"{key}: the rows have a column '{name}', and rewards get something else by that "
                f"name; leave it out, or give it another one with columns: {{new_name: {name}}}"
            )
