"""`r1trl rescore`: saved rollouts scored again, with other rewards or options, without a model."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from r1trl.config.schema import ScoringConfig, StageConfig
from r1trl.data.prompts import render
from r1trl.errors import ConfigError, StageError, unknown
from r1trl.plan.choices import check_rewards
from r1trl.plugins.loading import load
from r1trl.report.tables import aligned
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.scorer import Scorer, make_scorer
from r1trl.stage.files import Work, read_spec, settings_of

if TYPE_CHECKING:
    from datasets import Dataset

KEYS = ("rewards", "scoring", "plugins")


def rescore(folder: Path, overrides: Sequence[str]) -> str:
    """Score rollouts.parquet of a stage's folder again; return what changed, as a table.

    `rewards={…}` replaces the stage's rewards, `rewards.accuracy.answer=boxed` changes one of them.
    Writes rescored.parquet: the rollouts with the new values as `rescored/reward`,
    `rescored/rewards/<name>` and `rescored/outcome/<name>`. Raises ConfigError where the folder has
    no rollouts or an override is wrong.
    """
    from datasets import Dataset, concatenate_datasets, disable_progress_bars

    work = read_spec(folder)
    if work is None or not (folder / "rollouts.parquet").exists():
        raise ConfigError([f"{folder}: has no rollouts.parquet and stage.yaml of a finished stage"])
    disable_progress_bars()
    settings = _settings(work, overrides)
    plugins = load(settings["plugins"]["load"], settings["plugins"]["block"])
    stage = StageConfig(kind="sample", rewards=settings["rewards"])
    problems = check_rewards("", stage, plugins)
    if problems:
        raise ConfigError([problem.removeprefix(".") for problem in problems])
    scorer = make_scorer(settings["rewards"], settings["scoring"], plugins)
    try:
        parts = [
            _rescored(rows, own, scorer)
            for rows, own in _by_model(work, Dataset.from_parquet(str(folder / "rollouts.parquet")))
        ]
    finally:
        scorer.close()
    rescored = concatenate_datasets(parts)
    rescored.to_parquet(str(folder / "rescored.parquet"))
    return _changes(rescored, scorer.names)


def _settings(work: Work, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the stage's rewards, scoring and plugins with the overrides applied."""
    own = {key: work.settings[key] for key in ("rewards", "scoring")} | {"plugins": work.plugins}
    config, problems = OmegaConf.create(own), []
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or key.partition(".")[0] not in KEYS:
            problems.append(f"'{override}': {unknown('key', key.partition('.')[0], KEYS)}")
            continue
        try:
            OmegaConf.update(config, key, yaml.safe_load(value), merge=False, force_add=True)
        except (yaml.YAMLError, OmegaConfBaseException) as error:
            problems.append(f"'{override}': {error}")
    problems += [
        f"scoring: {unknown('key', str(key), ScoringConfig.__dataclass_fields__)}"
        for key in config.scoring
        if key not in ScoringConfig.__dataclass_fields__
    ]
    if problems:
        raise ConfigError(problems)
    found: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    return found


def _by_model(work: Work, rollouts: "Dataset") -> Iterator[tuple["Dataset", Mapping[str, Any]]]:
    """Yield the rollouts of each model with the settings that it had."""
    if work.kind != "evaluate":
        yield rollouts, work.settings
        return
    models = rollouts["model"][:]
    for name, entry in work.settings["models"].items():
        rows = rollouts.select([i for i, model in enumerate(models) if model == name])
        yield rows, settings_of(work.settings, {**entry, "model": entry["path"]})


def _rescored(rollouts: "Dataset", settings: Mapping[str, Any], scorer: Scorer) -> "Dataset":
    """Score rollouts of one model as they were when they were drawn."""
    tokenizer, prefill = _tokenizer(settings["model"]), settings["prefill"]
    texts = [text.removeprefix(prefill) for text in rollouts["completion"]]
    rendered = render(rollouts, tokenizer, settings["template"], prefill, settings.get("system"))
    end = [tokenizer.eos_token_id]
    ids = [
        tokenizer(text, add_special_tokens=False)["input_ids"] + (end if finished else [])
        for text, finished in zip(texts, rollouts["finished"], strict=True)
    ]
    columns = {**rendered.to_dict(), "completion": texts, "completion_ids": ids}
    return _with(rollouts, scorer.score(columns))


def _tokenizer(model: str) -> Any:
    """Load the tokenizer that the rollouts were drawn with."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        told = "run the command where the run was started from"
        raise StageError(f"the tokenizer of '{model}' is not there ({told}): {error}") from error


def _with(rollouts: "Dataset", scores: Scores) -> "Dataset":
    """Return rollouts with new scores beside the old."""
    from datasets import Dataset

    new: dict[str, Any] = {
        f"rescored/rewards/{name}": values for name, values in scores.values.items()
    }
    new |= {f"rescored/outcome/{name}": found for name, found in scores.outcomes.items()}
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
    told = f"{turned} of {groups} groups have a sample whose advantage changes its sign"
    return f"{aligned(table)}\n\n{told}"


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
    known = [rewards[i] for i in group if rewards[i] is not None]
    mean = sum(known) / len(known) if known else 0.0  # type: ignore[arg-type]
    shifts = [(rewards[i] if rewards[i] is not None else mean) - mean for i in group]  # type: ignore[operator]
    return [0 if abs(shift) < 1e-9 else 1 if shift > 0 else -1 for shift in shifts]


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.4f}" if known else "–"
