"""What can be wrong with a model's name or folder, read from its files: the plan's check."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1trl.models.hub import CONFIG, close_folder, is_cached, model_folders

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
ADAPTER = "adapter_config.json"
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "*.model", "vocab.*", "*.tiktoken")
POINTER = b"version https://git-lfs"  # in place of a file that Git LFS has not fetched


def model_problem(model: str) -> str | None:
    """Return why a model is none, as far as local files say; None if there is nothing to say.

    What could be a Hub id is taken for a folder if its first part is one with models in it, unless
    it is in the Hub's cache.
    """
    folder = Path(model)
    if folder.is_dir():
        return next(folder_problems(folder), None)
    if folder.is_file():
        gguf = "; a GGUF file cannot be trained" if folder.suffix == ".gguf" else ""
        return f"{model} is a file{gguf}; give the folder with {CONFIG} and *.safetensors"
    could_be_hub_id = HUB_ID.fullmatch(model) is not None
    if could_be_hub_id and not _is_missing(folder):
        return None
    hint = f"; for the Hub's model of that name, first: hf download {model}"
    tilde = "; write out what ~ stands for" if model.startswith("~") else ""
    return f"there is no folder {model}{close_folder(model)}{hint if could_be_hub_id else tilde}"


def _is_missing(folder: Path) -> bool:
    """Return True if a name like a Hub id's lies in a folder of models."""
    in_models = folder.parent != Path() and any(model_folders(folder.parent))
    return in_models and not is_cached(str(folder))


def folder_problems(folder: Path) -> Iterator[str]:
    """Yield why a folder has no whole model with a tokenizer."""
    names = {path.name for path in folder.iterdir()}
    if CONFIG not in names:
        yield f"the folder {folder} has no model weights ({CONFIG} and *.safetensors){_kin(folder)}"
        return
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"{folder / CONFIG} is no JSON: {error}"
        return
    if not isinstance(config, dict):
        yield f"{folder / CONFIG} is no mapping"
    yield from _weight_problems(folder)
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZER):
        yield f"the folder {folder} has no tokenizer (tokenizer.json, tokenizer_config.json)"


def _kin(folder: Path) -> str:
    """Return what a folder without a model has instead, with the mend."""
    if (folder / ADAPTER).is_file():
        base = _json(folder / ADAPTER).get("base_model_name_or_path")
        return f": it is an adapter of {base}; merge it with PEFT's merge_and_unload, and save that"
    if any(folder.glob("*.gguf")):
        return ": GGUF files cannot be trained; give the model that they were made from"
    inside = list(model_folders(folder))
    return f" (did you mean '{inside[0]}'?)" if len(inside) == 1 else ""


def _weight_problems(folder: Path) -> Iterator[str]:
    """Yield what is missing of a model's weights: all of them, a shard, what Git LFS keeps."""
    files = [file for pattern in WEIGHTS for file in folder.glob(pattern)]
    if not files:
        yield f"the folder {folder} has no model weights (*.safetensors){_kin(folder)}"
    for index in folder.glob("*.index.json"):
        shards = _json(index).get("weight_map") or {}
        missing = sorted({str(name) for name in shards.values()} - {file.name for file in files})
        if missing:
            yield f"{index} names {missing[0]}, which is not there ({len(missing)} are missing)"
    for file in files:
        with file.open("rb") as opened:
            if opened.read(len(POINTER)) == POINTER:
                yield f"{file} is a pointer of Git LFS, not the weights; run: git lfs pull"
                return


def _json(file: Path) -> dict[str, Any]:
    """Return a JSON file's mapping; empty if it is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
