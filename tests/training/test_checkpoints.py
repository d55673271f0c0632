"""Checkpoints: only whole ones are resumed from, with the samplers' state and the reference."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from r1trl.errors import StageError
from r1trl.training.checkpoints import MARKER, Checkpoints, whole_checkpoint
from r1trl.types import Progress

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


def trainer(
    weight: float, state: dict[str, Any], sync: bool = True, limit: int | None = None
) -> Any:
    """Return a trainer with a reference model of one weight, and samplers."""
    import torch

    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, weight)
    args = SimpleNamespace(sync_ref_model=sync, save_total_limit=limit)
    return SimpleNamespace(
        args=args, ref_model=model, samplers=Samplers(state), accelerator=Accelerator()
    )


class Metrics:
    """Metrics of a stage that knows how far it has come."""

    def progress(self, state: Any) -> Progress:
        """Return the progress."""
        return Progress(state.global_step, 10, 1.0, [])


def arguments(folder: Path, strategy: str = "steps", every: float = 1) -> Any:
    """Return TRL's arguments of a stage whose checkpoints are in a folder."""
    named = SimpleNamespace(value=strategy)
    return SimpleNamespace(
        output_dir=str(folder), save_strategy=named, save_steps=every, learning_rate=0.1
    )


def checkpoints(trainer: Any, **readers: Any) -> Checkpoints:
    """Return the callback of a trainer whose stage has transitions that read checkpoints."""
    keys = {f"stages.x.transitions.{name}": reader for name, reader in readers.items()}
    return Checkpoints(trainer, Metrics(), keys)


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
    args, state = (
        arguments(tmp_path),
        SimpleNamespace(global_step=4, max_steps=9, num_train_epochs=1),
    )
    checkpoints(trainer(0.25, {"adaptive": {"seen": 3}})).on_save(args, state, None)
    assert (path / MARKER).exists()
    resumed = trainer(1.0, {})
    checkpoints(resumed).on_train_begin(args, state, None)
    assert resumed.ref_model.weight.item() == 0.25
    assert resumed.samplers.state == {"adaptive": {"seen": 3}}


def test_a_fixed_reference_is_not_saved_and_a_new_stage_loads_nothing(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 4, False)
    args = arguments(tmp_path)
    fixed = trainer(0.25, {}, sync=False)
    checkpoints(fixed).on_save(args, SimpleNamespace(global_step=4), None)
    assert not list(path.glob("*.safetensors")) and (path / MARKER).exists()
    state = SimpleNamespace(global_step=0, max_steps=9, num_train_epochs=1)
    checkpoints(trainer(1.0, {})).on_train_begin(args, state, None)


class Reader:
    """A transition that reads checkpoints, and keeps those that a function chooses."""

    def __init__(self, keep: Callable[[Sequence[int]], Any], least: int = 1) -> None:
        self.keep, self.min_checkpoints = keep, least

    def keep_checkpoints(self, progress: Progress, steps: Sequence[int]) -> Any:
        """Return what the function returns."""
        return self.keep(steps)


def left(folder: Path, limit: int | None, *saved: int, **readers: Any) -> list[int]:
    """Return the steps of the checkpoints that are left after some have been saved."""
    callback = checkpoints(trainer(0.0, {}, False, limit), **readers)
    for step in saved:
        checkpoint(folder, step, False)
        callback.on_save(arguments(folder), SimpleNamespace(global_step=step), None)
    return sorted(int(path.name.partition("-")[2]) for path in folder.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("limit", "readers", "steps"),
    [
        (None, {}, [2, 4, 6, 10]),
        (1, {}, [10]),
        (2, {}, [6, 10]),
        (1, {"first": Reader(lambda steps: steps[:1])}, [2, 10]),
        (
            1,
            {"first": Reader(lambda steps: steps[:1]), "last": Reader(lambda steps: steps[-3:])},
            [2, 4, 6, 10],
        ),
        (3, {"none": Reader(lambda steps: [])}, [4, 6, 10]),
    ],
)
def test_checkpoints_that_a_transition_reads_stay_whatever_the_limit(
    limit: int | None, readers: Any, steps: list[int], tmp_path: Path
) -> None:
    assert left(tmp_path, limit, 2, 4, 6, 10, **readers) == steps


def test_an_old_checkpoint_stays_until_the_newest_is_whole(tmp_path: Path) -> None:
    callback = checkpoints(trainer(0.0, {}, False, 1))
    assert callback.trainer.args.save_total_limit is None, "TRL would remove it before"
    checkpoint(tmp_path, 2, True)
    checkpoint(tmp_path, 4, False)
    assert whole_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


@pytest.mark.parametrize("returned", [[3], ["2"], [2, None], 2, None])
def test_a_transition_that_keeps_no_saved_steps_is_named(returned: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"^stages\.x\.transitions\.odd: "):
        left(tmp_path, 1, 2, odd=Reader(lambda steps: returned))


@pytest.mark.parametrize(
    ("strategy", "every", "least", "problem"),
    [
        ("no", 1, 1, "reads 1 of the stage's checkpoints, and args.save_strategy=no in 9 steps"),
        ("steps", 5, 3, "reads 3 of the stage's checkpoints, and args.save_steps=5 in 9 steps"),
        ("steps", 5, 2, None),
        ("steps", 0.25, 3, None),
        ("epoch", 1, 2, None),
        ("epoch", 1, 3, "and args.save_strategy=epoch in 9 steps makes 2"),
    ],
)
def test_a_stage_that_will_make_too_few_checkpoints_is_refused_at_its_first_step(
    strategy: str, every: float, least: int, problem: str | None, tmp_path: Path
) -> None:
    state = SimpleNamespace(global_step=0, max_steps=9, num_train_epochs=2)
    callback = checkpoints(trainer(0.0, {}, False), few=Reader(lambda steps: [], least))
    args = arguments(tmp_path, strategy, every)
    if problem is None:
        callback.on_train_begin(args, state, None)
    else:
        with pytest.raises(StageError, match=rf"^stages\.x\.transitions\.few: .*{problem}"):
            callback.on_train_begin(args, state, None)
