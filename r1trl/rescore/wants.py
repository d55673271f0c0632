"""What rewards want of rows and cannot get, said before the first one is scored."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from r1trl.errors import StageError, suggest
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import description_of
from r1trl.rescore.rollouts import MissingTokenIds, Rollouts
from r1trl.rewards.bound_reward import NOT_ROW_COLUMNS, BoundReward, Columns
from r1trl.rewards.scorer import COMMON_OPTIONS
from r1trl.rewards.verifier import Verifier


def problems_of(reward: BoundReward, columns: Columns, rollouts: Rollouts) -> Iterator[str]:
    """Yield what is wrong between a reward and some columns of rollouts, each with its key."""
    key, where = f"rewards.{reward.name}", rollouts.where
    try:
        if not reward.applies(columns, None):
            return
    except StageError as error:  # its `where` names a column that is not there
        yield f"{key}: {error}"
        return
    for parameter in reward.columns:
        if parameter.name not in columns and parameter.default is parameter.empty:
            yield (
                f"{key}: reads the column '{parameter.name}', which {where} does not have"
                f"{suggest(parameter.name, columns)}; it has: {names(rollouts)}"
            )
    for option in _hidden(reward, columns):
        yield f"{key}: the column '{option}' would hide the reward's option of that name; rename it"
    missing = [ids for ids in columns["completion_ids"] if isinstance(ids, MissingTokenIds)]
    if (
        missing
        and isinstance(reward.reward, Verifier)
        and "completion_ids" in reward.reward.columns
    ):
        yield f"{key}: wants token ids: {missing[0].reason}"
    if description_of(reward.reward).needs_groups and "prompt" not in rollouts.saved.column_names:
        yield f"{key}: compares the completions of a prompt, and {where} has no column 'prompt'"


def asked_outside(rewards: Mapping[str, Any], plugins: Plugins) -> Iterator[str]:
    """Yield what rewards ask outside of this machine, such as a judge."""
    for name, options in rewards.items():
        offer = plugins.find("reward", (options or {}).get("reward") or name)
        asks = offer.description.asks_outside if options is not None else None
        own = {k: v for k, v in (options or {}).items() if k not in COMMON_OPTIONS}
        if asks and (asked := asks(**own)):
            yield f"rewards.{name} asks {asked}"


def names(rollouts: Rollouts) -> str:
    """Return the names of the rows' own columns."""
    return ", ".join(rollouts.saved.column_names)


def _hidden(reward: BoundReward, columns: Columns) -> list[str]:
    """Return the options whose name a column has, of a function that gets both as keywords."""
    if isinstance(reward.reward, Verifier):
        return []
    parameters = inspect.signature(reward.reward).parameters.values()
    options = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    return [name for name in options if name in columns and name not in NOT_ROW_COLUMNS]
