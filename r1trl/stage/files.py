"""The files of a stage: the one place that knows their names. See the README for the list."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from r1trl.errors import R1trlError
from r1trl.types import Stage, StageResult

MAKES_MODEL = ("sft", "grpo", "rloo", "reward_model")
MAKES_DATASET = ("sample", "evaluate")
STAGE_KINDS = (*MAKES_MODEL, *MAKES_DATASET)
SAMPLED_BYTES = 1 << 20


@dataclass(frozen=True)
class Work:
    """stage.yaml: a stage with its inputs resolved, and what of the run its worker must know."""

    stage: str
    kind: str
    run: str
    seed: int
    settings: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)  # reference -> folder or file
    plugins: dict[str, Any] = field(default_factory=dict)
    wandb: dict[str, Any] = field(default_factory=dict)

    @property
    def own_seed(self) -> int:
        """Return the stage's own seed: two stages of a run shuffle and draw differently."""
        return int(hashlib.sha256(f"{self.seed} {self.stage}".encode()).hexdigest()[:7], 16)

    def at(self, folder: Path) -> Stage:
        """Return the stage as plugins see it."""
        return Stage(self.stage, self.kind, folder, self.settings)


def settings_of(settings: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage's settings for one of the models it evaluates.

    The template and the prefill are the model's own; what else it does not set is the stage's.
    """
    own = {k: v for k, v in model.items() if v or k in ("template", "prefill")}
    return {**settings, **own}


def write_spec(folder: Path, work: Work) -> None:
    """Write stage.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(asdict(work), sort_keys=False, allow_unicode=True)
    write_atomically(folder / "stage.yaml", text)


def read_spec(folder: Path) -> Work | None:
    """Read stage.yaml; None where the stage has never been started."""
    path = folder / "stage.yaml"
    return Work(**yaml.safe_load(path.read_text(encoding="utf-8"))) if path.exists() else None


def write_result(result: StageResult) -> None:
    """Write result.json atomically: from then on the stage is finished."""
    content = asdict(result)
    content.pop("folder")
    for key in ("model", "dataset"):
        path = content[key]
        content[key] = os.path.relpath(path, result.folder) if path else None
    write_atomically(result.folder / "result.json", json.dumps(content, indent=1) + "\n")


def read_result(folder: Path) -> StageResult | None:
    """Read result.json; None where the stage has not finished."""
    path = folder / "result.json"
    if not path.exists():
        return None
    result = StageResult(folder=folder, **json.loads(path.read_text(encoding="utf-8")))
    return replace(
        result,
        model=folder / result.model if result.model else None,
        dataset=folder / result.dataset if result.dataset else None,
    )


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def made_by(folder: Path, kind: str) -> tuple[Path | None, Path | None]:
    """Return the model folder and the dataset file that a stage of this kind leaves."""
    model = folder / "model" if kind in MAKES_MODEL else None
    dataset = folder / "rollouts.parquet" if kind in MAKES_DATASET else None
    return model, dataset


def digest(path: Path) -> str:
    """Digest a file or folder by names, sizes and the first and last MiB of each file."""
    if not path.exists():
        raise R1trlError(f"{path} does not exist")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest_ = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest_.update(f"{file.relative_to(path.parent)} {size}".encode())
        with file.open("rb") as stream:
            digest_.update(stream.read(SAMPLED_BYTES))
            stream.seek(max(0, size - SAMPLED_BYTES))
            digest_.update(stream.read())
    return digest_.hexdigest()[:16]


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List the keys in which two nested mappings differ, with both values."""
    found = []
    for key in [*old, *(k for k in new if k not in old)]:
        where = f"{prefix}{key}"
        before, after = old.get(key, "nothing"), new.get(key, "nothing")
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{where}.")
        elif before != after:
            found.append(f"{where}: was {before}, would be {after}")
    return found
