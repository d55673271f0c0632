"""Leaving a training stage: at the end of a step, with a checkpoint where one may lie."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from r1trl.process.pulse import pulse, spend
from r1trl.training.leaving import Leaving, steps_per_rollout

pytestmark = pytest.mark.slow  # imports torch and transformers


@pytest.fixture(autouse=True)
def new_pulse() -> Iterator[None]:
    """Leave no order behind."""
    pulse.begin()
    yield
    pulse.begin()


def leaving_after(steps_of_a_rollout: int) -> Leaving:
    """Return the callback of a trainer whose rollouts are learned from in so many steps."""
    from accelerate import Accelerator

    args = SimpleNamespace(
        steps_per_generation=2 * steps_of_a_rollout,
        num_iterations=1,
        gradient_accumulation_steps=2,
    )
    return Leaving(SimpleNamespace(accelerator=Accelerator(cpu=True), args=args))


def step(leaving: Leaving, number: int, seconds: float = 0.0, last: bool = False) -> Any:
    """Carry out a step that takes some seconds; return the trainer's control after it."""
    control = SimpleNamespace(should_save=False, should_training_stop=last)
    state = SimpleNamespace(global_step=number, max_steps=64)
    leaving.on_step_begin(None, state, control)
    assert pulse.in_step
    leaving.ended = time.monotonic() - seconds
    leaving.on_step_end(None, state, control)
    assert not pulse.in_step and pulse.step == number
    return control


@pytest.mark.parametrize(
    ("micro_steps", "again", "accumulated", "steps"),
    [(1, 1, 1, 1), (16, 1, 1, 16), (32, 1, 2, 16), (8, 4, 2, 16), (1, 1, 4, 1), (None, None, 8, 1)],
)
def test_the_steps_of_a_rollout(micro_steps: Any, again: Any, accumulated: int, steps: int) -> None:
    args = SimpleNamespace(
        steps_per_generation=micro_steps,
        num_iterations=again,
        gradient_accumulation_steps=accumulated,
    )
    assert steps_per_rollout(args) == steps


def test_nothing_happens_without_an_order() -> None:
    leaving = leaving_after(4)
    leaving.on_train_begin(None, SimpleNamespace(global_step=0, max_steps=64), None)
    assert pulse.saves
    controls = [step(leaving, number) for number in range(1, 9)]
    assert not any(each.should_save or each.should_training_stop for each in controls)
    assert leaving.reason is None


def test_a_rollout_that_fits_is_finished_and_saved() -> None:
    leaving = leaving_after(4)
    pulse.order("SIGTERM", time.monotonic() + 60)
    for number in (5, 6, 7):
        control = step(leaving, number, seconds=10)
        assert not control.should_training_stop and not control.should_save
        assert pulse.to_save == pytest.approx(10 * (8 - number), abs=0.5)
    control = step(leaving, 8, seconds=10)
    assert control.should_training_stop and control.should_save and leaving.reason == "SIGTERM"


def test_a_rollout_that_does_not_fit_is_left_with_the_last_checkpoint() -> None:
    leaving = leaving_after(4)
    pulse.order("SIGTERM", time.monotonic() + 25)
    control = step(leaving, 5, seconds=10)
    assert control.should_training_stop and not control.should_save
    assert leaving.reason == "SIGTERM"


def test_drawing_a_rollout_is_no_part_of_what_its_other_steps_take() -> None:
    leaving = leaving_after(4)
    leaving.trainer.rollout = SimpleNamespace(scored_at=time.monotonic() - 1)
    pulse.order("SIGTERM", time.monotonic() + 60)
    assert not step(leaving, 5, seconds=500).should_training_stop
    assert pulse.to_save == pytest.approx(3, abs=0.5)


def test_after_a_checkpoint_a_whole_rollout_lies_ahead() -> None:
    leaving = leaving_after(4)
    leaving.trainer.rollout = SimpleNamespace(scored_at=time.monotonic() - 2)
    step(leaving, 5, seconds=30)
    for number in (6, 7, 8):
        step(leaving, number, seconds=2)
    assert pulse.to_save == pytest.approx(28 + 4 * 2, abs=0.5)
    leaving.on_train_end(None, None, None)
    assert pulse.to_save is None and pulse.step is None


def test_the_time_of_saving_is_part_of_what_is_needed() -> None:
    leaving = leaving_after(4)
    step(leaving, 4)
    assert pulse.to_save is not None and pulse.to_save < 1
    leaving.ended -= 50
    leaving.on_save(None, None, None)
    pulse.order("SIGTERM", time.monotonic() + 60)
    assert step(leaving, 5, seconds=5).should_training_stop


def test_a_kind_that_draws_nothing_saves_after_any_step() -> None:
    leaving = leaving_after(1)
    pulse.order("SIGUSR1", time.monotonic() + 1)
    control = step(leaving, 3, seconds=300)
    assert control.should_training_stop and control.should_save


def test_the_last_step_finishes_the_stage_instead() -> None:
    leaving = leaving_after(4)
    pulse.order("SIGTERM", time.monotonic() + 60)
    step(leaving, 4, last=True)
    assert leaving.reason is None


def test_it_says_how_many_steps_are_done_and_what_their_seconds_went_to() -> None:
    leaving = leaving_after(1)
    state = SimpleNamespace(global_step=4, max_steps=64)
    leaving.on_train_begin(None, state, None)
    assert pulse.counts["steps"] == (4, 64)
    leaving.on_step_begin(None, state, None)
    begun = leaving.begun
    time.sleep(0.02)
    leaving.trainer.rollout = SimpleNamespace(scored_at=begun + 0.01)
    state.global_step = 5
    leaving.on_step_end(None, state, SimpleNamespace(should_training_stop=False))
    assert pulse.counts["steps"] == (5, 64)
    assert pulse.spent["drawing"] == pytest.approx(0.01)
    assert pulse.spent["training"] == pytest.approx(leaving.ended - begun - 0.01)
    time.sleep(0.03)
    spend("evaluating", 0.01)
    leaving.on_step_begin(None, state, None)
    assert pulse.spent["other"] == pytest.approx(leaving.begun - leaving.ended - 0.01, abs=1e-3)
