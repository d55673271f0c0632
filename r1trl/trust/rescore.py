"""`r1trl rescore`: saved rollouts scored again, with other rewards or options, without a model."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from r1trl.config.aliases import rename_chosen
from r1trl.config.kinds import load_plugins, models_of, stage_class, with_model
from r1trl.config.parse import Renaming, parse, rename_keys
from r1trl.config.schema import PluginsConfig, ScoringConfig, StageConfig
from r1trl.data.prompts import render
from r1trl.errors import ConfigError, StageError, unknown
from r1trl.plan.choices import check_rewards
from r1trl.plugins.loading import Plugins
from r1trl.report.tables import aligned
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.scorer import Scorer, make_scorer
from r1trl.stage.files import StageSpec, read_spec

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass
class RescoreConfig:
    """What the overrides of `r1trl rescore` may change."""

    rewards: dict[str, Any] = field(default_factory=dict)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    plugins: PluginsConfig = field(default_factory=PluginsConfig)


def rescore(folder: Path, overrides: Sequence[str]) -> str:
    """Score rollouts.parquet of a stage's folder again; return what changed, as a table.

    `rewards={…}` replaces the stage's rewards, `rewards.accuracy.answer=boxed` changes one of them.
    Writes rescored.parquet: the rollouts with the new values as `rescored/reward`,
    `rescored/rewards/<name>` and `rescored/outcome/<name>`. Raises ConfigError if the folder has no
    rollouts or an override is wrong.
    """
    from datasets import Dataset, concatenate_datasets, disable_progress_bars

    spec = read_spec(folder)
    if spec is None or not (folder / "rollouts.parquet").exists():
        raise ConfigError([f"{folder}: has no rollouts.parquet and stage.yaml of a finished stage"])
    disable_progress_bars()
    renaming = Renaming()
    config = _config(spec, overrides, renaming)
    plugins = load_plugins(config.plugins.load, config.plugins.block)
    rewards = rename_chosen(config.rewards, "reward", plugins, "rewards", renaming)
    problems = check_rewards("", StageConfig(rewards=rewards), plugins)
    if not any(options is not None for options in rewards.values()):
        problems.append("rewards: there are none to score with")
    if problems:
        raise ConfigError([problem.removeprefix(".") for problem in problems])
    scorer = make_scorer(rewards, config.scoring, plugins)
    try:
        rollouts = Dataset.from_parquet(str(folder / "rollouts.parquet"))
        parts = [
            _rescored(rows, stage, scorer) for rows, stage in _by_model(spec, rollouts, plugins)
        ]
    finally:
        scorer.close()
    rescored = concatenate_datasets(parts)
    rescored.to_parquet(str(folder / "rescored.parquet"))
    notes = "".join(f"note: {note}\n" for note in renaming.notes)
    return notes + _changes(rescored, scorer.names)


def _config(spec: StageSpec, overrides: Sequence[str], renaming: Renaming) -> RescoreConfig:
    """Return the stage's rewards, scoring and plugins with the overrides applied."""
    keys = tuple(RescoreConfig.__dataclass_fields__)
    own = {key: spec.settings[key] for key in ("rewards", "scoring")} | {"plugins": spec.plugins}
    config, problems = OmegaConf.create(own), []
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or key.partition(".")[0] not in keys:
            problems.append(f"'{override}': {unknown('key', key.partition('.')[0], keys)}")
            continue
        try:
            OmegaConf.update(config, key, yaml.safe_load(value), merge=False, force_add=True)
        except (yaml.YAMLError, OmegaConfBaseException) as error:
            problems.append(f"'{override}': {error}")
    if problems:
        raise ConfigError(problems)
    values: Any = OmegaConf.to_container(config)
    parsed, problems = parse(RescoreConfig, rename_keys(RescoreConfig, values, "", renaming))
    if problems:
        raise ConfigError(problems)
    rescored: RescoreConfig = parsed
    return rescored


def _by_model(
    spec: StageSpec, rollouts: "Dataset", plugins: Plugins
) -> Iterator[tuple["Dataset", StageConfig]]:
    """Yield the rollouts of each model with the settings that they were generated with."""
    stage, problems = parse(stage_class(plugins.kind(spec.kind)), spec.settings, "settings.")
    if problems:
        raise ConfigError(problems)
    if not models_of(stage):
        yield rollouts, stage
        return
    names = rollouts["model"][:]
    for name, model in models_of(stage).items():
        rows = rollouts.select([i for i, other in enumerate(names) if other == name])
        yield rows, with_model(stage, model)


def _rescored(rollouts: "Dataset", stage: StageConfig, scorer: Scorer) -> "Dataset":
    """Score rollouts of one model as they were when they were generated."""
    tokenizer, prefill = _tokenizer(str(stage.model)), stage.prefill
    texts = [text.removeprefix(prefill) for text in rollouts["completion"]]
    rendered = render(rollouts, tokenizer, stage.template, prefill, stage.system)
    end = [tokenizer.eos_token_id]
    ids = [
        tokenizer(text, add_special_tokens=False)["input_ids"] + (end if finished else [])
        for text, finished in zip(texts, rollouts["finished"], strict=True)
    ]
    columns = {**rendered.to_dict(), "completion": texts, "completion_ids": ids}
    return _with(rollouts, scorer.score(columns))


def _tokenizer(model: str) -> Any:
    """Return the tokenizer that the rollouts were generated with."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        hint = "run the command where the run was started from"
        raise StageError(f"the tokenizer of '{model}' is not there ({hint}): {error}") from error


def _with(rollouts: "Dataset", scores: Scores) -> "Dataset":
    """Return rollouts with new scores beside the old."""
    from datasets import Dataset

    new: dict[str, Any] = {
        f"rescored/rewards/{name}": values for name, values in scores.values.items()
    }
    new |= {f"rescored/outcome/{name}": each for name, each in scores.outcomes.items()}
    return Dataset.from_dict({**rollouts.to_dict(), "rescored/reward": scores.totals, **new})


def _changes(rows: "Dataset", names: Sequence[str]) -> str:
    """Return what changed: means, samples, and groups in which an advantage changes its sign."""
    table = [["reward", "mean before", "mean now", "samples changed"]]
    for name in [*(f"rewards/{name}" for name in names), "reward"]:
        now = rows[f"rescored/{name}"][:]
        before = rows[name][:] if name in rows.column_names else [None] * len(now)
        changed = sum(b != n for b, n in zip(before, now, strict=True))
        table.append([name, _mean(before), _mean(now), f"{changed} of {len(now)}"])
    turned, groups = turned_groups(rows)
    summary = f"{turned} of {groups} groups have a sample whose advantage changes its sign"
    return f"{aligned(table)}\n\n{summary}"


def turned_groups(rows: "Dataset") -> tuple[int, int]:
    """Count groups in which some sample's reward moves to the other side of the group's mean."""
    groups: dict[Any, list[int]] = defaultdict(list)
    keys = [
        rows[name][:] for name in ("model", "benchmark", "problem") if name in rows.column_names
    ]
    for i, key in enumerate(zip(*keys, strict=True)):
        groups[key].append(i)
    before, now = rows["reward"][:], rows["rescored/reward"][:]
    turned = sum(
        any(a != b for a, b in zip(_signs(before, group), _signs(now, group), strict=True))
        for group in groups.values()
    )
    return turned, len(groups)


def _signs(rewards: Sequence[float | None], group: Sequence[int]) -> list[int]:
    """Return the sign of each sample's advantage; a sample without a reward has none."""
    present = [rewards[i] for i in group if rewards[i] is not None]
    mean = sum(present) / len(present) if present else 0.0  # type: ignore[arg-type]
    shifts = [(rewards[i] if rewards[i] is not None else mean) - mean for i in group]  # type: ignore[operator]
    return [0 if abs(shift) < 1e-9 else 1 if shift > 0 else -1 for shift in shifts]


def _mean(values: Sequence[float | None]) -> str:
    present = [value for value in values if value is not None]
    return f"{sum(present) / len(present):.4f}" if present else "–"
