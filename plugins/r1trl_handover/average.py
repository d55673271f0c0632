"""Hand over the average of a stage's last checkpoints instead of its last model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1trl import StageResult
from r1trl_handover.weights import checkpoint, checkpoints, remove_weights, weight_files


def average_checkpoints(result: StageResult, *, last: int = 3) -> StageResult:
    """Replace the weights handed over by the mean of those of the last saved checkpoints.

    Each weight is averaged in float32 and kept in its own type (Izmailov et al., arXiv 1803.05407).
    The steps are recorded as the metrics `average_from` and `average_to`. Raises ValueError where
    there is no model, there are fewer checkpoints (see args.save_total_limit) or they differ in
    their tensors.
    """
    if result.model is None:
        raise ValueError(f"stage '{result.stage}' hands over no model to replace")
    if last < 2:
        raise ValueError(f"last must be 2 checkpoints or more, not {last}")
    steps = checkpoints(result.folder)
    if len(steps) < last:
        there = ", ".join(map(str, steps)) or "none"
        raise ValueError(
            f"stage '{result.stage}' has the checkpoints {there}, fewer than {last}; how many are "
            "kept is args.save_total_limit, how often one is saved args.save_steps"
        )
    folders = [checkpoint(result.folder, step) for step in steps[-last:]]
    files = {folder: weight_files(folder, result.model) for folder in folders}
    names = [file.name for file in files[folders[0]]]
    for folder in folders:
        if [file.name for file in files[folder]] != names:
            raise ValueError(f"{folders[0]} and {folder} do not have the same weight files")
    remove_weights(result.model, but=names)
    for name in names:
        average([folder / name for folder in folders], result.model / name)
    found = {"average_from": steps[-last], "average_to": steps[-1]}
    return replace(result, metrics={**result.metrics, **found})


def average(sources: Sequence[Path], target: Path) -> None:
    """Write the mean of weight files; an index of shards is copied."""
    from safetensors.torch import save_file

    if target.suffix != ".safetensors":
        target.write_bytes(sources[0].read_bytes())
        return
    mean: dict[str, Any] = {}
    for source in sources:
        for name, tensor in tensors(source, mean).items():
            mean[name] = mean.get(name, 0) + tensor.float() / len(sources)
    types = {name: tensor.dtype for name, tensor in tensors(sources[0], mean).items()}
    whole = {name: tensor.to(types[name]).contiguous() for name, tensor in mean.items()}
    save_file(whole, target, metadata={"format": "pt"})


def tensors(file: Path, known: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors of a file; raise ValueError where others are known already."""
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(file)
    if known and found.keys() != known.keys():
        odd = ", ".join(sorted(found.keys() ^ known.keys())[:3])
        raise ValueError(f"{file} does not have the tensors of the other checkpoints: {odd}, …")
    return found
