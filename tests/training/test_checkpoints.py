"""Checkpoints: only whole ones are resumed from, with the samplers' state and the reference."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from r1trl.training.checkpoints import MARKER, Checkpoints, whole_checkpoint

pytestmark = pytest.mark.slow  # imports torch


class Accelerator:
    """The accelerator of one process."""

    is_main_process = True

    def wait_for_everyone(self) -> None:
        """Return at once."""

    def get_state_dict(self, model: Any) -> Any:
        """Return the weights of a model."""
        return model.state_dict()

    def unwrap_model(self, model: Any) -> Any:
        """Return the model."""
        return model


class Samplers:
    """Samplers with a state."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Replace the state."""
        self.state = state


def trainer(weight: float, state: dict[str, Any], sync: bool = True) -> Any:
    """Return a trainer with a reference model of one weight, and samplers."""
    import torch

    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, weight)
    args = SimpleNamespace(sync_ref_model=sync)
    return SimpleNamespace(
        args=args, ref_model=model, samplers=Samplers(state), accelerator=Accelerator()
    )


def checkpoint(folder: Path, step: int, whole: bool) -> Path:
    """Make a checkpoint, with its marker if it is whole."""
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    if whole:
        (path / MARKER).write_text("{}")
    return path


def test_the_newest_whole_checkpoint_is_returned_and_partial_ones_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert whole_checkpoint(tmp_path / "none") is None
    checkpoint(tmp_path, 9, True)
    newest, partial = checkpoint(tmp_path, 10, True), checkpoint(tmp_path, 11, False)
    monkeypatch.setenv("RANK", "1")
    assert whole_checkpoint(tmp_path) == newest and partial.exists()
    monkeypatch.setenv("RANK", "0")
    assert whole_checkpoint(tmp_path) == newest and not partial.exists()


def test_samplers_and_a_synced_reference_are_restored(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 4, False)
    args, state = SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(global_step=4)
    Checkpoints(trainer(0.25, {"adaptive": {"seen": 3}})).on_save(args, state, None)
    assert (path / MARKER).exists()
    resumed = trainer(1.0, {})
    Checkpoints(resumed).on_train_begin(args, state, None)
    assert resumed.ref_model.weight.item() == 0.25
    assert resumed.samplers.state == {"adaptive": {"seen": 3}}


def test_a_fixed_reference_is_not_saved_and_a_new_stage_loads_nothing(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 4, False)
    args = SimpleNamespace(output_dir=str(tmp_path))
    fixed = trainer(0.25, {}, sync=False)
    Checkpoints(fixed).on_save(args, SimpleNamespace(global_step=4), None)
    assert not list(path.glob("*.safetensors")) and (path / MARKER).exists()
    Checkpoints(trainer(1.0, {})).on_train_begin(args, SimpleNamespace(global_step=0), None)
