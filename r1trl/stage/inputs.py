"""Where a stage's models and data come from: an earlier stage, a folder, a file or a Hub id.

`stage:<name>` is what a stage makes; `stage:<name>/<file>` is a file in its folder, which one of
its transitions wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.config.schema import RunConfig, StageConfig
from r1trl.errors import unknown
from r1trl.stage.files import MAKES_DATASET, MAKES_MODEL, made_by

PREFIX = "stage:"
FILE_SUFFIXES = (".jsonl", ".json", ".parquet", ".csv")


@dataclass(frozen=True)
class Reference:
    """A place in a stage's settings that names a model or a dataset."""

    key: tuple[str, ...]
    value: str
    wants: str  # model | dataset

    @property
    def stage(self) -> str | None:
        """Return the name of the stage that is referred to, or None."""
        if not self.value.startswith(PREFIX):
            return None
        return self.value.removeprefix(PREFIX).partition("/")[0]

    @property
    def file(self) -> str | None:
        """Return which file in the stage's folder is meant; None: what the stage makes."""
        return self.value.partition("/")[2] or None if self.stage is not None else None


def references_of(stage: StageConfig) -> list[Reference]:
    """List every model and dataset that a stage uses."""
    found = []
    if stage.model:
        found.append(Reference(("model",), stage.model, "model"))
    for name, entry in stage.models.items():
        found.append(Reference(("models", name, "path"), entry.path, "model"))
    for group in ("data", "benchmarks"):
        for name, source in getattr(stage, group).items():
            if source.path:
                found.append(Reference((group, name, "path"), source.path, "dataset"))
    for name, options in stage.rewards.items():
        for option, value in (options if isinstance(options, Mapping) else {}).items():
            if isinstance(value, str) and (option == "model" or value.startswith(PREFIX)):
                found.append(Reference(("rewards", name, option), value, "model"))
    return found


def check_references(config: RunConfig, name: str) -> list[str]:
    """Return what is wrong with the models and datasets of a stage."""
    problems = []
    for use in references_of(config.stages[name]):
        key = ".".join(("stages", name, *use.key))
        if use.stage is not None:
            problems += _check_stage(config, name, use, key)
        elif use.wants == "model":
            problems += _check_model(use.value, key)
        elif Path(use.value).suffix in FILE_SUFFIXES and not Path(use.value).is_file():
            problems.append(f"{key}: there is no file {use.value}")
    return problems


def _check_stage(config: RunConfig, name: str, use: Reference, key: str) -> list[str]:
    names, other = list(config.stages), str(use.stage)
    if other not in names:
        return [f"{key}: {unknown('stage', other, names)}"]
    if names.index(other) >= names.index(name):
        return [f"{key}: stage '{other}' comes later in the recipe; a stage uses earlier ones"]
    kind = config.stages[other].kind
    if use.file is not None:
        if use.wants == "dataset" and Path(use.file).suffix in FILE_SUFFIXES:
            return []
        rows = f"a file of rows ({', '.join(FILE_SUFFIXES)})"
        return [f"{key}: '{use.file}' is no {use.wants}; a stage's folder may hold {rows}"]
    if use.wants == "model" and kind in MAKES_DATASET:
        return [f"{key}: stage '{other}' makes a dataset, not a model"]
    if use.wants == "dataset" and kind in MAKES_MODEL:
        return [f"{key}: stage '{other}' makes a model, not a dataset"]
    return []


def _check_model(value: str, key: str) -> list[str]:
    folder = Path(value)
    if not folder.is_dir():
        is_path = value.startswith((".", "/", "~"))
        return [f"{key}: there is no folder {value}"] if is_path else []
    weights = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
    if weights and (folder / "config.json").exists():
        return []
    return [f"{key}: the folder {value} has no model weights (config.json and *.safetensors)"]


def resolve(config: RunConfig, name: str, settings: dict[str, Any], stages: Path) -> dict[str, str]:
    """Put folders and files in place of `stage:` in the settings; return reference -> path."""
    inputs = {}
    for use in references_of(config.stages[name]):
        if use.stage is not None:
            folder = stages / use.stage
            model, dataset = made_by(folder, config.stages[use.stage].kind)
            made = model if use.wants == "model" else dataset
            path = str(folder / use.file if use.file else made)
            inputs[use.value] = path
            _put(settings, use.key, path)
    return inputs


def _put(settings: Mapping[str, Any], key: tuple[str, ...], value: str) -> None:
    place: Any = settings
    for part in key[:-1]:
        place = place[part]
    place[key[-1]] = value
