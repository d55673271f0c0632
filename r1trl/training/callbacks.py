"""TRL's callbacks: what a training stage records, and why it ends early."""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from r1trl.errors import errors_named
from r1trl.process.terminal import announce
from r1trl.storage.jsonl import append_rows, read_rows, write_rows
from r1trl.tracking.tracking import Tracking
from r1trl.training.rollouts import Rollout, RolloutMixin
from r1trl.types import Progress

ShouldStop = Callable[[Progress], str | None]
END = "train_runtime"  # stands in the row that transformers logs at the end of training
AGAIN = 60.0  # seconds before a stop of which trackers may not have kept all


class Metrics(TrainerCallback):
    """Write metrics.jsonl, one object per logging step, and end the stage if a transition says so.

    `should_stop` maps the keys of transitions to their methods. `history` holds all rows, those
    before a resumed checkpoint too; `reason` is why the stage ended early, or None.
    """

    def __init__(
        self, folder: Path, tracking: Tracking, should_stop: Mapping[str, ShouldStop]
    ) -> None:
        self.path, self.tracking, self.should_stop = folder / "metrics.jsonl", tracking, should_stop
        self.history: list[dict[str, Any]] = []
        self.reason: str | None = None
        self.start = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drop the rows after the resumed checkpoint, and continue its count of seconds.

        So is a row of the end of training, which is written again.
        """
        rows = read_rows(self.path, numbers=("step", "seconds"))
        before = [row for row in rows if row["step"] <= state.global_step]
        first = first_told_again(rows)
        self.history = [row for row in before if END not in row]
        if self.history:
            self.start -= self.history[-1]["seconds"]
        if state.is_world_process_zero:
            write_rows(self.history, self.path)
            self.tracking.metrics_again([row for row in self.history if row["step"] >= first])

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write a row; end the stage if a transition's `should_stop` gives a reason."""
        numbers = {
            name: value if math.isfinite(value) else None  # JSON has no NaN
            for name, value in (logs or {}).items()
            if isinstance(value, int | float)
        }
        self.record(state, _of_all(numbers, self.seconds()))
        if self.should_stop and self.reason is None:
            self.reason = self._reason_to_stop(self.progress(state))
            if self.reason is not None:
                self.tracking.alert("a transition ends the stage", self.reason, "warn")
                announce(f"ends at step {state.global_step}: {self.reason}")
                control.should_training_stop = True
                control.should_save = args.save_strategy != "no"

    def record(self, state: Any, numbers: Mapping[str, Any]) -> None:
        """Write and track a row of metrics of the step that training is at."""
        row = {"step": state.global_step, "seconds": self.seconds(), **numbers}
        self.history.append(row)
        if state.is_world_process_zero:
            append_rows([row], self.path)
            self.tracking.metrics(row)

    def progress(self, state: Any) -> Progress:
        """Return how far training has come."""
        return Progress(state.global_step, state.max_steps, self.seconds(), self.history)

    def seconds(self) -> float:
        """Return the seconds of all attempts so far."""
        return round(time.monotonic() - self.start, 3)

    def _reason_to_stop(self, progress: Progress) -> str | None:
        """Call every `should_stop`; return rank 0's first reason. A collective."""
        from accelerate.utils import broadcast_object_list

        reasons = {}
        for key, should_stop in self.should_stop.items():
            with errors_named(key):
                reason = should_stop(progress)
                if reason is not None and not isinstance(reason, str):
                    raise TypeError(f"should_stop returned {reason!r}; it returns a reason or None")
                reasons[key.rpartition(".")[2]] = reason
        first = next((f"{name}: {reason}" for name, reason in reasons.items() if reason), None)
        shared: list[str | None] = broadcast_object_list([first])
        return shared[0]


def _of_all(row: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return a row with the times at the end of training as those of all attempts together."""
    if END not in row:
        return dict(row)
    share = row[END] / seconds if seconds else 1.0
    rates = {name: v * share for name, v in row.items() if name.endswith("_per_second") and v}
    return {**row, END: seconds, **rates}


class Completions(TrainerCallback):
    """Write a few completions of every logging step, with their rewards, to completions.jsonl."""

    def __init__(self, folder: Path, tracking: Tracking, trainer: RolloutMixin) -> None:
        self.path, self.tracking = folder / "completions.jsonl", tracking
        self.trainer = trainer
        self.recorded: Rollout | None = None  # the last one

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drop the rows after the resumed checkpoint; track those before a stop again."""
        drop_later_rows(self.path, state)
        if state.is_world_process_zero:
            metrics = read_rows(self.path.with_name("metrics.jsonl"), numbers=("step", "seconds"))
            first, last = first_told_again(metrics), state.global_step
            rows = [row for row in read_rows(self.path) if first <= row["step"] <= last]
            for step in dict.fromkeys(row["step"] for row in rows):
                self.tracking.samples([row for row in rows if row["step"] == step], step)

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write and track completions of the newest rollout, unless that has been done."""
        rollout = self.trainer.rollout
        new = rollout is not self.recorded and rollout.scores is not None
        if not new or not state.is_world_process_zero:
            return
        self.recorded = rollout
        rows = completion_rows(rollout, state.global_step, self.tracking.completions)
        append_rows(rows, self.path)
        self.tracking.samples(rows, state.global_step)


def first_told_again(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the first step of the last AGAIN seconds of rows of metrics.

    A kill takes with it what a tracker has not written yet.
    """
    since = rows[-1]["seconds"] - AGAIN if rows else math.inf
    return min((row["step"] for row in rows if row["seconds"] >= since), default=math.inf)


def drop_later_rows(path: Path, state: Any) -> None:
    """Drop the rows of a file after the step that a trainer resumes at; on rank 0 alone."""
    if state.is_world_process_zero:
        rows = read_rows(path, numbers=("step",))
        write_rows([row for row in rows if row["step"] <= state.global_step], path)


def completion_rows(rollout: Rollout, step: int, count: int) -> list[dict[str, Any]]:
    """Return at most `count` completions of a rollout with their rewards, drawn by the step.

    Beside them stand the form in which a row is asked, if there is the column `variant`, and the
    columns that rewards have logged.
    """
    columns, scores = rollout.columns, rollout.scores
    assert scores is not None
    extra, total = scores.extra, len(columns["completion"])
    picked = random.Random(step).sample(range(total), min(count, total))
    return [
        {
            "step": step,
            "prompt": columns["prompt"][i],
            "completion": columns["completion"][i],
            "reward": scores.totals[i],
            **({"variant": columns["variant"][i]} if "variant" in columns else {}),
            **{f"rewards/{name}": values[i] for name, values in scores.values.items()},
            **{f"outcome/{name}": outcomes[i] for name, outcomes in scores.outcomes.items()},
            **{name: values[i] for name, values in extra.items()},
        }
        for i in sorted(picked)
    ]


class StopAfterStep(TrainerCallback):
    """End the training at the end of a step, as if a signal had come."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save and stop."""
        control.should_save = control.should_training_stop = True
