"""Hand over the average of a stage's last checkpoints in place of its last model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1trl import Progress, StageResult
from r1trl_handover.weights import checkpoint_folder, checkpoint_steps, remove_weights, weight_files


class AverageCheckpoints:
    """Replace the model's weights by the mean of the last `last` checkpoints' weights.

    Each weight is averaged in float32 and saved in its own dtype (Izmailov et al., arXiv
    1803.05407). These checkpoints are kept whatever `args.save_total_limit` says. The first and
    last step become the metrics `average_from` and `average_to`. Raises ValueError if `last` is
    under 2, if there is no model, if there are fewer checkpoints, or if their tensors differ in
    name.
    """

    def __init__(self, *, last: int = 3) -> None:
        if last < 2:
            raise ValueError(f"last must be 2 checkpoints or more, not {last}")
        self.last = self.min_checkpoints = last

    def keep_checkpoints(self, progress: Progress, steps: Sequence[int]) -> Sequence[int]:
        """Return the last steps."""
        return steps[-self.last :]

    def __call__(self, result: StageResult) -> StageResult:
        """Return the result with the mean of the weights in its model."""
        if result.model is None:
            raise ValueError(f"stage '{result.stage}' hands over no model to replace")
        steps = checkpoint_steps(result.folder)
        if len(steps) < self.last:
            available = ", ".join(map(str, steps)) or "none"
            raise ValueError(
                f"stage '{result.stage}' has the checkpoints {available}, fewer than {self.last}; "
                "how often one is saved is args.save_steps"
            )
        folders = [checkpoint_folder(result.folder, step) for step in steps[-self.last :]]
        average_weights(folders, result.model)
        metrics = {"average_from": steps[-self.last], "average_to": steps[-1]}
        return replace(result, metrics={**result.metrics, **metrics})


def average_weights(folders: Sequence[Path], model: Path) -> None:
    """Replace the weight files of a model's folder by the means of those in several folders.

    Raises ValueError if they do not have the same files.
    """
    names = [file.name for file in weight_files(folders[0], model)]
    for folder in folders:
        if [file.name for file in weight_files(folder, model)] != names:
            raise ValueError(f"{folders[0]} and {folder} do not have the same weight files")
    remove_weights(model, but=names)
    for name in names:
        average([folder / name for folder in folders], model / name)


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
