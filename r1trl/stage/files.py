"""The files of a stage: the one place that knows their names. docs/FILES.md lists them."""

import copy
import hashlib
import os
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from json import dumps, loads  # of our own, which no plugin replaces
from pathlib import Path
from typing import Any

import yaml

from r1trl.errors import ConfigError
from r1trl.process.environment import masked, resolved
from r1trl.storage.digests import digest_of
from r1trl.storage.writing import write_text
from r1trl.types import Stage, StageResult

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, several times as fast
FORMAT = 3  # of stage.yaml and result.json; 1 had no number
NOTHING = "nothing"  # in place of the value of a key that is not there


@dataclass(frozen=True)
class StageSpec:
    """stage.yaml: a stage with its inputs resolved, and what its worker needs of the run.

    `settings` are the keys of the stage, those of its kind among them; in the file `stage:` stands
    for what an earlier stage makes, and paths are relative to the stage's folder, so that a run can
    be moved. `makes` and `scores` are its kind's, for readers that load no plugins. `identity` is
    what the result belongs to; `kept` has what else has been accepted on the user's word; `read`
    are the digests of what it reads, by reference. `completions` are recorded of each logging step.
    `about` (recipe, overrides, commit, stages before), `launch` and `versions` are only told.
    """

    stage: str
    kind: str
    run: str
    seed: int
    settings: dict[str, Any]
    makes: str = "model"
    scores: bool = False
    inputs: dict[str, str] = field(default_factory=dict)  # reference -> folder or file
    plugins: dict[str, Any] = field(default_factory=dict)
    completions: int = 0
    trackers: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)
    launch: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise TypeError if a file had something else in place of a mapping."""
        for name in [each.name for each in fields(self) if typing.get_origin(each.type) is dict]:
            if not isinstance(getattr(self, name), dict):
                raise TypeError(f"{name} is no mapping")

    @property
    def own_seed(self) -> int:
        """Return the stage's own seed: two stages of a run shuffle and sample differently."""
        return int(hashlib.sha256(f"{self.seed} {self.stage}".encode()).hexdigest()[:7], 16)

    def at(self, folder: Path) -> Stage:
        """Return the stage as plugins see it: with settings of its own."""
        return Stage(self.stage, self.kind, folder, copy.deepcopy(self.settings))


def write_spec(folder: Path, spec: StageSpec) -> None:
    """Write stage.yaml; what is from the environment is a reference in it."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, **asdict(spec)}
    content["settings"] = with_values(spec.settings, {p: r for r, p in spec.inputs.items()})
    content["inputs"] = {r: os.path.relpath(p, folder) for r, p in spec.inputs.items()}
    text = yaml.safe_dump(_with_digest(masked(content)), sort_keys=False, allow_unicode=True)
    write_text(folder / "stage.yaml", text)


def read_spec(folder: Path) -> StageSpec | None:
    """Return stage.yaml; None if the stage has never been started.

    References to environment variables have become their values, unless one is not set. Raises
    ConfigError if it is of another format or cannot be read.
    """
    path = folder / "stage.yaml"
    if not path.exists():
        return None
    with _readable(path):
        text = path.read_text(encoding="utf-8")
        content = _of_this_format(yaml.load(text, Loader), path)  # noqa: S506 - a safe one
        content.pop("wandb", None)  # of runs that are older than trackers
        spec = StageSpec(**resolved(content))
        inputs = {r: os.path.normpath(folder / p) for r, p in spec.inputs.items()}
        return replace(spec, inputs=inputs, settings=with_values(spec.settings, inputs))


def with_values(settings: Any, others: Mapping[str, str]) -> Any:
    """Return nested settings with other texts in place of those that are keys of `others`."""
    if isinstance(settings, dict):
        return {key: with_values(each, others) for key, each in settings.items()}
    if isinstance(settings, list):
        return [with_values(each, others) for each in settings]
    return others.get(settings, settings) if isinstance(settings, str) else settings


def write_result(result: StageResult) -> None:
    """Write result.json atomically: from then on the stage is finished."""
    content = {"format": FORMAT, **asdict(result)}
    content.pop("folder")
    for key in ("model", "dataset"):
        path = content[key]
        content[key] = os.path.relpath(path, result.folder) if path else None
    write_text(result.folder / "result.json", dumps(_with_digest(masked(content)), indent=1) + "\n")


def read_result(folder: Path) -> StageResult | None:
    """Return result.json; None if the stage has not finished.

    Raises ConfigError if it is of another format or cannot be read.
    """
    path = folder / "result.json"
    if not path.exists():
        return None
    with _readable(path):
        content = _of_this_format(loads(path.read_text(encoding="utf-8")), path)
        result = StageResult(folder=folder, **content)
        return replace(
            result,
            model=folder / result.model if result.model else None,
            dataset=folder / result.dataset if result.dataset else None,
        )


def _with_digest(content: dict[str, Any]) -> dict[str, Any]:
    """Return what is written with its digest, first: a file that was cut has it too."""
    return {"format": FORMAT, "digest": digest_of(content), **content}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise ConfigError if the content of a stage's file is not what r1trl writes."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        advice = f"redo={path.parent.name} carries the stage out again"
        raise ConfigError([f"{path}: cannot be read ({reason}); {advice}"]) from error


def _of_this_format(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a file's content without its format and digest.

    Raises ConfigError if the format is another one, and ValueError if the content is not what the
    digest is of; who has changed it on purpose takes the digest out.
    """
    content = dict(content)
    digest, whole = content.pop("digest", None), digest_of(content)
    written = content.pop("format", 1)
    if written == FORMAT and digest not in (None, whole):
        raise ValueError("it is not as it was written: it is damaged, or was changed by hand")
    if written != FORMAT:
        run = path.parents[2] if path.parent.parent.name == "stages" else path.parent
        raise ConfigError(
            [
                f"{path}: is of format {written}, and this r1trl reads format {FORMAT}; choose "
                f"another name=…, remove {run}, or go on with the r1trl that wrote it"
            ]
        )
    return content


def outputs(folder: Path, makes: str) -> tuple[Path | None, Path | None]:
    """Return the model folder and the dataset file of a stage, by what its kind makes."""
    if makes == "model":
        return folder / "model", None
    return None, folder / "rollouts.parquet"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """List the keys in which two nested mappings differ, with both values."""
    return [f"{key}: was {was}, would be {now}" for key, was, now in changed_values(old, new)]


def changed_values(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the keys in which two nested mappings differ, each with its old and new value."""
    for key in [*old, *(k for k in new if k not in old)]:
        name = f"{prefix}{key}"
        before, after = old.get(key, NOTHING), new.get(key, NOTHING)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from changed_values(before, after, f"{name}.")
        elif before != after:
            yield name, before, after
