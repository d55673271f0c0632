"""`r1trl rescore`: saved completions scored again, with other rewards or options."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from r1trl.config.aliases import rename_chosen
from r1trl.config.kinds import load_plugins
from r1trl.config.parse import Renaming, parse, rename_keys
from r1trl.config.schema import PluginsConfig, StageConfig
from r1trl.config.stage_parts import ScoringConfig
from r1trl.errors import ConfigError, StageError, errors_named, unknown
from r1trl.plan.choices import check_rewards
from r1trl.plugins.loading import Plugins
from r1trl.process.environment import masked, resolved, secrets_kept, unset
from r1trl.process.terminal import say
from r1trl.rescore.changes import changes
from r1trl.rescore.file import file_rollouts
from r1trl.rescore.rollouts import Columns, Rollouts, write_table
from r1trl.rescore.stage import saved_spec, stage_rollouts
from r1trl.rescore.wants import asked_outside, names, problems_of
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.scorer import Scorer, make_scorer
from r1trl.stage.code import code_of

NO_REWARDS = "rewards: there are none to score with; give 'rewards={accuracy: {answer: boxed}}'"


@dataclass
class RescoreConfig:
    """What the overrides of `r1trl rescore` may change."""

    rewards: dict[str, Any] = field(default_factory=dict)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    plugins: PluginsConfig = field(default_factory=PluginsConfig)


def rescore(path: Path, overrides: Sequence[str]) -> tuple[str, Path]:
    """Score saved completions again; return what changed, as a table, and the file written.

    `path` is a stage's folder with rollouts.parquet, or a .jsonl or .parquet file with a column
    `completion` and those that the rewards read. `rewards={…}` replaces the stage's rewards,
    `rewards.accuracy.answer=boxed` changes one of them; a file has none of its own. Writes
    rescored.parquet beside the rows: they and the new values as `rescored/reward`,
    `rescored/rewards/<name>` and `rescored/outcome/<name>`. Raises ConfigError if there are no
    completions, an override is wrong, or a reward reads a column that is not there.
    """
    if not path.exists():
        raise ConfigError([f"{path}: there is no such file or folder"])
    spec = saved_spec(path) if path.is_dir() else None
    own = {**spec.settings, "plugins": spec.plugins} if spec else {}
    target = _target(path if spec else path.parent)
    renaming = Renaming()
    config = _config(own, overrides, renaming)
    if spec and config.plugins.load == list(spec.plugins.get("load") or ()):
        for said in code_of(spec, path):
            say(f"note: {said}", error=True)
    plugins = load_plugins(config.plugins.load, config.plugins.block)
    rewards = _rewards(config, plugins, renaming)
    for said in asked_outside(rewards, plugins):
        say(f"note: {said}", error=True)
    rollouts = stage_rollouts(path, spec, plugins) if spec else file_rollouts(path)
    with errors_named("rewards"):
        scorer = make_scorer(rewards, config.scoring, plugins)
    try:
        table = _score(rollouts, scorer, target)
    finally:
        scorer.close()
    notes = "".join(f"note: {note}\n" for note in [*renaming.notes, *rollouts.notes])
    return notes + table, target


def _target(folder: Path) -> Path:
    """Return the file that is written; raise ConfigError now if it cannot be."""
    target = folder / "rescored.parquet"
    if not os.access(folder, os.W_OK):
        raise ConfigError([f"{target}: cannot be written; copy the rows to a folder of yours"])
    return target


def _rewards(config: RescoreConfig, plugins: Plugins, renaming: Renaming) -> dict[str, Any]:
    """Return the rewards with today's names; raise ConfigError if one is wrong or there is none."""
    rewards = rename_chosen(config.rewards, "reward", plugins, "rewards", renaming)
    problems = check_rewards("", StageConfig(rewards=rewards), plugins)
    if not any(options is not None for options in rewards.values()):
        problems.append(NO_REWARDS)
    if problems:
        raise ConfigError([problem.removeprefix(".") for problem in problems])
    return rewards


def _config(own: dict[str, Any], overrides: Sequence[str], renaming: Renaming) -> RescoreConfig:
    """Return a stage's own rewards, scoring and plugins with the overrides applied."""
    keys = tuple(RescoreConfig.__dataclass_fields__)
    config, problems = OmegaConf.create(masked({k: own[k] for k in keys if k in own})), []
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or key.partition(".")[0] not in keys:
            problems.append(f"'{override}': {unknown('key', key.partition('.')[0], keys)}")
            continue
        try:
            read: Any = OmegaConf.create(f"value: {value}")  # refuses a key given twice
            OmegaConf.update(config, key, read["value"], merge=False, force_add=True)
        except (yaml.YAMLError, OmegaConfBaseException) as error:
            problems.append(f"'{override}': {' '.join(str(error).split())}")
    if problems:
        raise ConfigError(problems)
    values: Any = secrets_kept(resolved(OmegaConf.to_container(config)), renaming.notes)
    if problems := list(unset(values)):
        raise ConfigError(problems)
    parsed, problems = parse(RescoreConfig, rename_keys(RescoreConfig, values, "", renaming))
    if problems:
        raise ConfigError(problems)
    rescored: RescoreConfig = parsed
    return rescored


def _score(rollouts: Rollouts, scorer: Scorer, target: Path) -> str:
    """Score rollouts and write them with their new values; return what changed."""
    problems = [
        problem
        for _, columns in rollouts.parts
        for reward in scorer.rewards
        for problem in problems_of(reward, columns, rollouts)
    ]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    new: dict[str, list[Any]] = {}
    for indices, columns in rollouts.parts:
        scores = _scores(scorer, columns, rollouts)
        parts: dict[str, Any] = {f"rewards/{n}": values for n, values in scores.values.items()}
        parts |= {f"outcome/{n}": each for n, each in scores.outcomes.items()}
        for name, values in {**parts, "reward": scores.totals}.items():
            whole = new.setdefault(name, [None] * rollouts.saved.num_rows)
            for i, value in zip(indices, values, strict=True):
                whole[i] = value
    write_table(rollouts.saved, new, target)
    return changes(rollouts, {n: v for n, v in new.items() if not n.startswith("outcome/")})


def _scores(scorer: Scorer, columns: Columns, rollouts: Rollouts) -> Scores:
    """Score rows; the error of a reward that looks for a column in vain says which there are."""
    try:
        return scorer.score(columns)
    except StageError as error:
        if not isinstance(error.__cause__, KeyError):
            raise
        raise StageError(f"{error}; {rollouts.where} has the columns {names(rollouts)}") from error
