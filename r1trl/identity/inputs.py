"""What a stage reads besides its settings, by digests: models, rows, and files that settings name.

Of a folder or file of this machine it is the SHA-256 of all its content, of a Hub id the commit.
"""

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1trl.config.keys import entry
from r1trl.config.schema import StageConfig
from r1trl.errors import R1trlError
from r1trl.formats import is_local, is_there
from r1trl.models.hub import CONFIG, HUB_SECONDS
from r1trl.stage.inputs import PREFIX, references_of
from r1trl.storage.digests import Digests

UNKNOWN = "unknown commit"  # of a Hub id that is not in the cache; the worker finds it out
OF_MODELS = (CONFIG, "tokenizer_config.json")  # one of them is in a model's folder
NOT_READ = ("transitions", "template", "prefill", "system")  # they name no files that are read


@dataclass(frozen=True)
class Input:
    """A setting that names what is read: a model or rows, by a reference, or any other file."""

    key: tuple[str, ...]
    value: str
    wants: str  # model | dataset | file


def inputs_of(stage: StageConfig, settings: Mapping[str, Any]) -> list[Input]:
    """Return what a stage reads; `settings` are those of the stage as nested mappings.

    What `stage` has besides, such as the run's benchmarks, is not read.
    """
    read = {key: value for key, value in settings.items() if key not in NOT_READ}
    found = {each.key: each for each in _named(read, ())}
    for reference in references_of(stage):
        there = functools.reduce(entry, reference.key, settings) is not None
        if there and (reference.is_loaded or reference.stage is not None):
            found[reference.key] = Input(reference.key, reference.value, reference.wants)
    return list(found.values())


def _named(value: Any, key: tuple[str, ...]) -> Iterator[Input]:
    """Yield files and models' folders that settings name, and sources in options of filters."""
    if isinstance(value, Mapping):
        path = value.get("path")
        if "dataset" in value and isinstance(path, str):
            yield Input((*key, "path"), path, "dataset")
        for name, each in value.items():
            if name != "path" or "dataset" not in value:
                yield from _named(each, (*key, str(name)))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from _named(each, (*key, str(i)))
    elif isinstance(value, str) and ("/" in value or "." in value):
        if os.path.isfile(value):
            yield Input(key, value, "file")
        elif any(os.path.isfile(f"{value}/{name}") for name in OF_MODELS):
            yield Input(key, value, "model")


def inputs_identity(
    inputs: Iterable[Input], stages: Mapping[str, str], digests: Digests
) -> dict[str, str]:
    """Return what inputs are part of an identity by, by their keys: a name and a digest or commit.

    `stages` has the digests of the identities of earlier stages. Where a file lies does not matter.
    """
    found = {}
    for each in inputs:
        if each.value.startswith(PREFIX):
            name = each.value.removeprefix(PREFIX).partition("/")[0]
            shown, digest = each.value, stages[name]
        elif is_there(each.value):
            path = Path(each.value).expanduser()
            shown, digest = path.name, digests.of(path)
        else:
            shown, digest = each.value, commit_of(each.value, each.wants)
        found[".".join(each.key)] = f"{shown}@{digest}"
    return found


def read_digests(
    inputs: Iterable[Input], paths: Mapping[str, str], digests: Digests, *, online: bool = False
) -> dict[str, str]:
    """Return the digest of what a stage reads now, by its reference.

    `paths` are those of what earlier stages make, by `stage:<name>`; what is not there is left out.
    `online`: the Hub is asked for commits.
    """
    references, found = {path: reference for reference, path in paths.items()}, {}
    for each in inputs:
        reference = references.get(each.value, each.value)
        path = paths.get(reference, reference)
        if is_there(path):
            found[reference] = digests.of(Path(path).expanduser())
        elif reference not in paths:
            found[reference] = commit_of(reference, each.wants, online=online)
    return found


def commit_of(name: str, wants: str, *, online: bool = False) -> str:
    """Return the commit of a Hub id by the Hub's cache, or by the Hub if that is `online`."""
    if is_local(name):
        raise R1trlError(f"{name} does not exist")
    commit = _asked(name, wants) if online else None
    return commit or _cached(name, wants) or UNKNOWN


def _cached(name: str, wants: str) -> str | None:
    """Return the commit that the cache takes for the newest one, None if there is none."""
    from huggingface_hub import constants

    folder = f"{wants}s--{name.replace('/', '--')}"
    file = Path(constants.HF_HUB_CACHE) / folder / "refs" / "main"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


@functools.cache
def _asked(name: str, wants: str) -> str | None:
    """Return the newest commit on the Hub; None if it cannot be reached, or has no such name."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE or wants == "file":
        return None
    try:
        info = HfApi().repo_info(name, repo_type=wants, timeout=HUB_SECONDS)
    except Exception:  # noqa: BLE001 - whoever loads it says what is wrong, this is only recorded
        return None
    return info.sha
