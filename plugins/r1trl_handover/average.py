"""Hand over the average of a stage's last checkpoints in place of its last model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1trl import StageResult
from r1trl_handover.weights import checkpoint_folder, checkpoint_steps, remove_weights, weight_files


def average_checkpoints(result: StageResult, *, last: int = 3) -> StageResult:
    """Replace the model's weights by the mean of the last `last` checkpoints' weights.

    Each weight is averaged in float32 and saved in its own dtype (Izmailov et al., arXiv
    1803.05407). The first and last step become the metrics `average_from` and `average_to`. Raises
    ValueError if there is no model, if there are fewer checkpoints (see args.save_total_limit), or
    if their tensors differ in name.
    """
    if result.model is None:
        raise ValueError(f"stage '{result.stage}' hands over no model to replace")
    if last < 2:
        raise ValueError(f"last must be 2 checkpoints or more, not {last}")
    steps = checkpoint_steps(result.folder)
    if len(steps) < last:
        available = ", ".join(map(str, steps)) or "none"
        raise ValueError(
            f"stage '{result.stage}' has the checkpoints {available}, fewer than {last}; how many "
            "are kept is args.save_total_limit, how often one is saved args.save_steps"
        )
    folders = [checkpoint_folder(result.folder, step) for step in steps[-last:]]
    files = {folder: weight_files(folder, result.model) for folder in folders}
    names = [file.name for file in files[folders[0]]]
    for folder in folders:
        if [file.name for file in files[folder]] != names:
            raise ValueError(f"{folders[0]} and {folder} do not have the same weight files")
    remove_weights(result.model, but=names)
    for name in names:
        average([folder / name for folder in folders], result.model / name)
    metrics = {"average_from": steps[-last], "average_to": steps[-1]}
    return replace(result, metrics={**result.metrics, **metrics})


def average(sources: Sequence[Path], target: Path) -> None:
    """Write the mean of several weight files to `target`; copy the first if it is an index."""
    from safetensors.torch import save_file

    if target.suffix != ".safetensors":
        target.write_bytes(sources[0].read_bytes())
        return
    mean: dict[str, Any] = {}
    for source in sources:
        for name, tensor in load_tensors(source, mean).items():
            mean[name] = mean.get(name, 0) + tensor.float() / len(sources)
    dtypes = {name: tensor.dtype for name, tensor in load_tensors(sources[0], mean).items()}
    averaged = {name: tensor.to(dtypes[name]).contiguous() for name, tensor in mean.items()}
    save_file(averaged, target, metadata={"format": "pt"})


def load_tensors(file: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Return a file's tensors by name, on the CPU.

    Raises ValueError if their names differ from those of `expected`, unless that is empty.
    """
    from safetensors.torch import load_file

    tensors: dict[str, Any] = load_file(file)
    if expected and tensors.keys() != expected.keys():
        odd = ", ".join(sorted(tensors.keys() ^ expected.keys())[:3])
        raise ValueError(f"{file} does not have the tensors of the other checkpoints: {odd}, …")
    return tensors
