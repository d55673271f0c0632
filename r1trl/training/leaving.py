"""Leaving a training stage at the end of a step, which its processes agree on.

Checkpoints lie between rollouts alone: the rest of a rollout is finished first if there is time.
"""

import time
from typing import Any

import torch
from transformers import TrainerCallback

from r1trl.process.pulse import agreed, count, progress, pulse, spend


class Leaving(TrainerCallback):
    """Save and leave, or leave with the last checkpoint, once a process is to leave.

    `reason` is why training was left before its end, or None. The methods are collectives.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.period = trainer, steps_per_rollout(trainer.args)
        self.reason: str | None = None
        self.begun = self.ended = 0.0  # the last step, on time.monotonic
        self.accounted = 0.0  # seconds of which it was said then what they went to
        self.step_seconds = self.draw_seconds = self.save_seconds = 0.0  # of the last ones

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """From now on this process has something to save."""
        pulse.saves, pulse.step = True, state.global_step
        pulse.to_save = 0.0 if self.period == 1 else None
        count("steps", state.global_step, state.max_steps)
        self.begun = self.ended = time.monotonic()
        self.accounted = sum(pulse.spent.values())

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Have the step watched: it makes progress, or hangs."""
        pulse.in_step = True
        self.begun = time.monotonic()
        other = self.begun - self.ended - (sum(pulse.spent.values()) - self.accounted)
        spend("other", max(0.0, other))

    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say that a micro-step is done."""
        progress()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave if a process is to; at the last step of training it finishes the stage instead."""
        progress()
        pulse.in_step, pulse.step = False, state.global_step
        count("steps", state.global_step, state.max_steps)
        before, self.ended = self.ended, time.monotonic()
        scored = max(before, self._scored_at())
        self.step_seconds = self.ended - scored  # with what came between two steps
        if scored > before:
            self.draw_seconds = scored - before
        self._spend(scored)
        ahead = -state.global_step % self.period
        pulse.to_save = self._seconds(ahead)
        wanted, left, need = self._agreed(ahead * self.step_seconds + self.save_seconds)
        if not wanted or control.should_training_stop:
            return
        pulse.order("a signal to another process", time.monotonic() + left)
        if ahead and need <= left:
            return
        self.reason = pulse.leave
        control.should_training_stop = True
        control.should_save = control.should_save or not ahead

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Remember how long a checkpoint takes."""
        self.save_seconds = time.monotonic() - self.ended
        spend("saving", self.save_seconds)
        progress()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say that no step comes any more."""
        pulse.step = pulse.to_save = None

    def _spend(self, scored: float) -> None:
        """Say what the seconds of a step went to; a rollout was scored then if one was drawn."""
        if scored > self.begun:
            spend("drawing", scored - self.begun)
        spend("training", self.ended - max(self.begun, scored))
        self.accounted = sum(pulse.spent.values())

    def _seconds(self, ahead: int) -> float:
        """Return the seconds to the next checkpoint; after one, a whole rollout lies before it."""
        if self.period == 1:
            return 0.0
        if not ahead:
            ahead = self.period
        drawn = self.draw_seconds if ahead == self.period else 0.0
        return drawn + ahead * self.step_seconds + self.save_seconds

    def _scored_at(self) -> float:
        """Return when the rollout of this step was scored, from which on it trains; 0: none was."""
        rollout = getattr(self.trainer, "rollout", None)
        return getattr(rollout, "scored_at", None) or 0.0

    def _agreed(self, need: float) -> tuple[bool, float, float]:
        """Return whether any process is to leave, in how many seconds, and the most they need."""
        accelerator = self.trainer.accelerator
        numbers = torch.tensor([pulse.vote(need)], device=accelerator.device)
        return agreed(accelerator.gather(numbers).tolist())


def steps_per_rollout(args: Any) -> int:
    """Return after how many steps a trainer with these arguments draws a new rollout; else 1."""
    micro_steps = int(getattr(args, "steps_per_generation", None) or 1)
    again = int(getattr(args, "num_iterations", None) or 1)
    return max(1, micro_steps * again // int(args.gradient_accumulation_steps))
