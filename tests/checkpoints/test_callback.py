"""What is added to a checkpoint and put back, and which of them stay."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from r1trl.checkpoints.callback import Checkpoints
from r1trl.checkpoints.marks import MARK, damage, own_checkpoints, read_mark
from r1trl.errors import StageError
from r1trl.storage import writing
from r1trl.types import Progress

pytestmark = pytest.mark.slow  # imports torch


class Accelerator:
    """The accelerator of one process."""

    is_main_process, num_processes, process_index = True, 1, 0
    state = SimpleNamespace(deepspeed_plugin=None)

    def wait_for_everyone(self) -> None:
        """Return at once."""

    def gather(self, tensor: Any) -> Any:
        """Return the tensor."""
        return tensor

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
        args=args,
        ref_model=model,
        samplers=Samplers(state),
        accelerator=Accelerator(),
        callback_handler=SimpleNamespace(callbacks=[]),
        is_fsdp_enabled=False,
        _tr_loss=torch.tensor(0.5),
        _globalstep_last_logged=3,
        _total_loss_scalar=2.5,
        _metrics={"train": {"entropy": [0.25]}},
    )


class Metrics:
    """Metrics of a stage that knows how far it has come."""

    reason: str | None = None

    def progress(self, state: Any) -> Progress:
        """Return the progress."""
        return Progress(state.global_step, 10, 1.0, [])


def arguments(folder: Path, strategy: str = "steps", every: float = 1) -> Any:
    """Return TRL's arguments of a stage whose checkpoints are in a folder."""
    named = SimpleNamespace(value=strategy)
    return SimpleNamespace(
        output_dir=str(folder), save_strategy=named, save_steps=every, learning_rate=0.1
    )


def state_at(step: int) -> Any:
    """Return the state of a trainer at a step of nine."""
    return SimpleNamespace(global_step=step, max_steps=9, num_train_epochs=1, epoch=step / 10)


def checkpoints(trainer: Any, resumed: Path | None = None, **readers: Any) -> Checkpoints:
    """Return the callback of a trainer whose stage has transitions that read checkpoints."""
    keys = {f"stages.x.transitions.{name}": reader for name, reader in readers.items()}
    mark = (resumed, read_mark(resumed)) if resumed else None
    parts = {"samplers": trainer.samplers}
    return Checkpoints(trainer, Metrics(), keys, ({"settings": "1"},), parts, mark)  # type: ignore[arg-type]


def folder_of(folder: Path, step: int) -> Path:
    """Make the folder of a checkpoint as transformers leaves it."""
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True, exist_ok=True)
    (path / "optimizer.pt").write_text("moments")
    (path / "optimizer.pt").chmod(0o600)
    return path


def test_what_transformers_does_not_save_is_restored(tmp_path: Path) -> None:
    path, args, state = folder_of(tmp_path, 4), arguments(tmp_path), state_at(4)
    saved = trainer(0.25, {"adaptive": {"seen": 3}})
    checkpoints(saved).on_save(args, state, None)
    resumed = trainer(1.0, {})
    resumed._tr_loss.zero_()
    resumed._metrics["train"] = {}
    checkpoints(resumed, path).on_train_begin(args, state, SimpleNamespace())
    assert resumed.ref_model.weight.item() == 0.25
    assert resumed.samplers.state == {"adaptive": {"seen": 3}}
    assert resumed._tr_loss.item() == 0.5 and resumed._metrics["train"] == {"entropy": [0.25]}
    assert (resumed._total_loss_scalar, resumed._initial_global_step) == (2.5, 0)


def test_a_mark_names_every_file_with_its_digest_and_is_for_everybody(tmp_path: Path) -> None:
    path = folder_of(tmp_path, 4)
    (path / "global_step4").mkdir()
    (path / "global_step4" / "states.pt").write_text("part")
    checkpoints(trainer(0.0, {})).on_save(arguments(tmp_path), state_at(4), None)
    mark = read_mark(path)
    assert mark and (mark.step, mark.identity, mark.done) == (4, {"settings": "1"}, False)
    names = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    assert set(mark.files) == names - {MARK} and damage(path, mark.files) is None
    assert {oct(p.stat().st_mode & 0o777) for p in path.rglob("*") if p.is_file()} == {"0o644"}


def test_the_mark_of_the_last_step_says_so_and_why(tmp_path: Path) -> None:
    early = checkpoints(trainer(0.0, {}))
    early.metrics.reason = "plateau: level"
    for step, callback in ((4, early), (9, checkpoints(trainer(0.0, {})))):
        path = folder_of(tmp_path, step)
        callback.on_save(arguments(tmp_path), state_at(step), None)
        mark = read_mark(path)
        assert mark and mark.done and mark.reason == (None if step == 9 else "plateau: level")


def test_a_fixed_reference_is_not_saved_and_a_new_stage_loads_nothing(tmp_path: Path) -> None:
    path, args = folder_of(tmp_path, 4), arguments(tmp_path)
    checkpoints(trainer(0.25, {}, sync=False)).on_save(args, state_at(4), None)
    assert not list(path.glob("*.safetensors")) and (path / MARK).exists()
    checkpoints(trainer(1.0, {})).on_train_begin(args, state_at(0), None)


def control(save: bool) -> Any:
    """Return what a trainer is told to do."""
    return SimpleNamespace(should_save=save)


def test_what_is_due_at_the_end_of_an_epoch_is_saved_once_after_the_logging_there() -> None:
    callback, told = checkpoints(trainer(0.0, {})), control(True)
    state = SimpleNamespace(global_step=4, max_steps=9, epoch=1.0)
    callback.on_step_end(None, state, told)
    assert not told.should_save
    callback.on_epoch_end(None, state, told)
    callback.on_log(None, state, told)
    assert told.should_save
    callback.on_epoch_begin(None, state, told)
    inside = SimpleNamespace(global_step=5, max_steps=9, epoch=1.25)
    callback.on_step_end(None, inside, told)
    assert told.should_save, "within an epoch nothing is put off"
    callback.saved_step = 5
    callback.on_epoch_end(None, inside, told)
    assert not told.should_save, "a step is saved once"


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
        folder_of(folder, step)
        callback.on_save(arguments(folder), state_at(step), None)
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


def test_transformers_removes_no_checkpoint_before_the_newest_is_whole() -> None:
    callback = checkpoints(trainer(0.0, {}, False, 1))
    assert (callback.limit, callback.trainer.args.save_total_limit) == (1, None)


def test_a_kill_at_any_write_of_a_save_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    for nth in range(1, 60):
        folder = tmp_path / str(nth)
        left(folder, 1, 2)
        ended = fails_at(nth, lambda folder=folder: left(folder, 1, 4))
        steps = [s for s, path in own_checkpoints(folder).items() if is_whole(path)]
        assert steps in ([2], [4], [2, 4]), f"write {nth}"
        if not ended:
            assert nth > 5 and steps == [4]
            return
    raise AssertionError("a save writes less often than that")


def fails_at(nth: int, act: Callable[[], Any]) -> bool:
    """Do something, and fail at its nth write, rename, removal or flush; return whether it did."""
    count = itertools.count(1)

    def before(operation: str, path: Path) -> None:
        if next(count) == nth:
            raise OSError(28, f"no room to {operation}", str(path))

    writing.hook.before = before
    try:
        act()
    except OSError:
        return True
    finally:
        writing.hook.before = None
    return False


def is_whole(path: Path) -> bool:
    """Return True if a checkpoint has a mark, and every file is as it says."""
    mark = read_mark(path)
    return mark is not None and damage(path, mark.files) is None


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
