"""The weight files of a stage's checkpoints and of the model that it hands over."""

from collections.abc import Sequence
from pathlib import Path

MODEL_PATTERNS = ("model*.safetensors", "model*.safetensors.index.json")
ADAPTER_PATTERNS = ("adapter_model.safetensors",)


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a stage's folder, in order."""
    paths = (folder / "checkpoints").glob("checkpoint-*")
    numbers = (path.name.removeprefix("checkpoint-") for path in paths if path.is_dir())
    return sorted(int(number) for number in numbers if number.isdecimal())


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Return the folder of a stage's checkpoint at a step."""
    return folder / "checkpoints" / f"checkpoint-{step}"


def weight_files(source: Path, model: Path) -> list[Path]:
    """Return the weight files of a checkpoint that can replace those of a model's folder.

    Raises ValueError if there are none: an adapter cannot replace a whole model, nor the reverse.
    """
    files = [file for pattern in weight_patterns(model) for file in sorted(source.glob(pattern))]
    if not any(file.suffix == ".safetensors" for file in files):
        raise ValueError(
            f"{source} holds no {weight_patterns(model)[0]}, so its weights cannot be handed over "
            "(adapters and sharded optimizer states are not whole models)"
        )
    return files


def remove_weights(model: Path, but: Sequence[str] = ()) -> None:
    """Delete the weight files of a model's folder, except for those named in `but`."""
    for pattern in weight_patterns(model):
        for file in model.glob(pattern):
            if file.name not in but:
                file.unlink()


def weight_patterns(model: Path) -> tuple[str, ...]:
    """Return the glob patterns of the weight files of a model's folder."""
    return ADAPTER_PATTERNS if (model / "adapter_config.json").exists() else MODEL_PATTERNS
