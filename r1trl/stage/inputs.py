"""The models and data that a stage names: an earlier stage's, a folder, a file or a Hub id.

`stage:<name>` is the output of a stage; `stage:<name>/<file>` is a file in its folder, written by
one of its transitions.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.config.schema import REQUIRED, RunConfig, StageConfig
from r1trl.errors import unknown
from r1trl.formats import POSSIBLE, format_of, is_local, is_there
from r1trl.models.folder import model_problem
from r1trl.plugins.loading import Plugins
from r1trl.stage.files import outputs
from r1trl.types import Model, Rows

PREFIX = "stage:"
WANTS = {Model: "model", Rows: "dataset"}


@dataclass(frozen=True)
class Reference:
    """A setting of a stage that names a model or a dataset."""

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
    def is_loaded(self) -> bool:
        """Return False for the name of a model behind a server, which a reward may have."""
        is_path = self.value.startswith((".", "/", "~")) or Path(self.value).is_dir()
        return self.key[0] != "rewards" or is_path

    @property
    def file(self) -> str | None:
        """Return the file in that stage's folder that is meant; None: what the stage makes."""
        return self.value.partition("/")[2] or None if self.stage is not None else None


def references_of(stage: StageConfig) -> list[Reference]:
    """Return every model and dataset that a stage names.

    These are the settings of the types `Model` and `Rows`, common ones and the kind's own, and of
    rewards the option `model` and whatever begins with `stage:`.
    """
    references = list(_typed_references(stage, ()))
    for name, options in stage.rewards.items():
        for option, value in (options if isinstance(options, Mapping) else {}).items():
            if isinstance(value, str) and (option == "model" or value.startswith(PREFIX)):
                references.append(Reference(("rewards", name, option), value, "model"))
    return references


def _typed_references(config: Any, key: tuple[str, ...]) -> Iterator[Reference]:
    """Yield the references of a config and of the configs in it."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        yield from _references_in(
            getattr(config, field.name), hints[field.name], (*key, field.name)
        )


def _references_in(value: Any, hint: Any, key: tuple[str, ...]) -> Iterator[Reference]:
    types = (hint, *typing.get_args(hint))
    wanted = next((wants for type_, wants in WANTS.items() if type_ in types), None)
    if dataclasses.is_dataclass(value):
        yield from _typed_references(value, key)
    elif isinstance(value, Mapping):
        inner = next((t for t in typing.get_args(hint)[1:]), Any)
        for name, item in value.items():
            yield from _references_in(item, inner, (*key, str(name)))
    elif isinstance(value, list):
        inner = next(iter(typing.get_args(hint)), Any)
        for i, item in enumerate(value):
            yield from _references_in(item, inner, (*key, str(i)))
    elif wanted and isinstance(value, str) and value and value != REQUIRED:
        yield Reference(key, value, wanted)


def check_references(config: RunConfig, name: str, plugins: Plugins) -> list[str]:
    """Return what is wrong with the models and datasets of a stage."""
    problems = []
    for reference in references_of(config.stages[name]):
        key = ".".join(("stages", name, *reference.key))
        if reference.stage is not None:
            problems += _check_stage(config, name, reference, key, plugins)
        elif reference.wants == "model":
            problem = model_problem(reference.value) if reference.is_loaded else None
            problems += [f"{key}: {problem}"] if problem else []
        elif is_local(reference.value) and not is_there(reference.value):
            problems.append(f"{key}: there is no file {reference.value}")
    return problems


def _check_stage(
    config: RunConfig, name: str, reference: Reference, key: str, plugins: Plugins
) -> list[str]:
    names, other = list(config.stages), str(reference.stage)
    if other not in names:
        return [f"{key}: {unknown('stage', other, names)}"]
    if names.index(other) >= names.index(name):
        return [f"{key}: stage '{other}' comes later in the recipe; a stage uses earlier ones"]
    if reference.file is not None:
        path = Path(reference.file)
        if path.is_absolute() or ".." in path.parts:
            return [f"{key}: '{reference.file}' is not in the folder of stage '{other}'"]
        if reference.wants == "dataset" and format_of(reference.file):
            return []
        rows = f"a file of rows ({POSSIBLE})"
        what = f"'{reference.file}' is no {reference.wants}"
        return [f"{key}: {what}; a stage's folder may hold {rows}"]
    kind = plugins.offers["kind"].get(config.stages[other].kind)
    if kind and kind.target.makes != reference.wants:
        return [f"{key}: stage '{other}' makes a {kind.target.makes}, not a {reference.wants}"]
    return []


def resolve(
    config: RunConfig, name: str, settings: dict[str, Any], stages: Path, plugins: Plugins
) -> dict[str, str]:
    """Put folders and files in place of `stage:` in a stage's settings; return reference -> path.

    `stages` is the folder of the run's stages; `settings` is changed in place.
    """
    inputs = {}
    for reference in references_of(config.stages[name]):
        if reference.stage is not None:
            folder = stages / reference.stage
            model, dataset = outputs(
                folder, plugins.kind(config.stages[reference.stage].kind).makes
            )
            made = model if reference.wants == "model" else dataset
            path = str(folder / reference.file if reference.file else made)
            inputs[reference.value] = path
            put(settings, reference.key, path)
    return inputs


def put(settings: Any, key: tuple[str, ...], value: str) -> None:
    """Set a value in nested mappings and lists."""
    *parents, last = key
    for part in parents:
        settings = settings[int(part) if isinstance(settings, list) else part]
    settings[int(last) if isinstance(settings, list) else last] = value
