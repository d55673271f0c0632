"""The weight files of a stage's checkpoints and of the model that it hands over."""

from collections.abc import Sequence
from pathlib import Path

WHOLE = ("model*.safetensors", "model*.safetensors.index.json")
ADAPTER = ("adapter_model.safetensors",)


def checkpoints(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a stage's folder, in order."""
    found = (folder / "checkpoints").glob("checkpoint-*")
    numbers = (path.name.removeprefix("checkpoint-") for path in found if path.is_dir())
    return sorted(int(number) for number in numbers if number.isdecimal())


def checkpoint(folder: Path, step: int) -> Path:
    """Return the folder of a stage's checkpoint."""
    return folder / "checkpoints" / f"checkpoint-{step}"


def weight_files(source: Path, model: Path) -> list[Path]:
    """Return the weight files of a checkpoint that can stand for those of a model's folder.

    Raises ValueError where there are none: an adapter is no whole model, and the other way round.
    """
    files = [file for pattern in patterns(model) for file in sorted(source.glob(pattern))]
    if not any(file.suffix == ".safetensors" for file in files):
        raise ValueError(
            f"{source} holds no {patterns(model)[0]}, so its weights cannot be handed over "
            "(adapters and sharded optimizer states are not whole models)"
        )
    return files


def remove_weights(model: Path, but: Sequence[str] = ()) -> None:
    """Remove the weight files of a model's folder, all but those of these names."""
    for pattern in patterns(model):
        for file in model.glob(pattern):
            if file.name not in but:
                file.unlink()


def patterns(model: Path) -> tuple[str, ...]:
    """Return what the weight files of a model's folder are called."""
    return ADAPTER if (model / "adapter_config.json").exists() else WHOLE
