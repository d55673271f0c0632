"""What a tracker is, and what it is told: Weights & Biases and the like, offered by plugins.

A tracker is a class; its options are the keyword-only parameters of its `__init__`. r1trl makes one
for each attempt at a stage, on rank 0. It calls the methods in a thread that is the tracker's own,
one after another, so that training waits for none. One that raises, hangs or falls behind is lost:
that is said once, and the stage goes on. Nothing is lost with it but what is shown elsewhere, for
the stage's files have it all. Texts in what a tracker gets hold no secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from r1trl.types import Stage, StageResult

Level = Literal["info", "warn", "error"]


@dataclass(frozen=True)
class TrackedInput:
    """A model or rows that a stage reads.

    `name` is the reference, such as stage:zero, a path or a Hub id; `digest` is that of its files,
    or a commit; empty if it is not known yet. Of what an earlier stage has made, `stage` is that
    stage's name, and `run_id` the id that trackers know it by; else they are None.
    """

    name: str
    digest: str
    stage: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class TrackedOutput:
    """A model (a folder) or rows (a file) that a stage hands over.

    A later stage that reads it has an input with the same `digest`.
    """

    path: Path
    digest: str


@dataclass(frozen=True)
class TrackedStage(Stage):
    """A stage as trackers see it.

    `run` is the run's name. `config` has the stage's settings, and of the run `recipe`,
    `overrides`, `commit`, `seed`, `launch`, `versions` and `inputs`, as JSON holds them. `code` has
    the sources of plugins that do not come with r1trl, by file name. `first_step` is the number of
    optimizer steps of the stages before it: added to a step of this stage, it counts on from stage
    to stage. `scores` says that the result's metrics are `<model>/<benchmark>/<metric>`.
    """

    run: str
    config: Mapping[str, Any]
    inputs: Sequence[TrackedInput]
    code: Mapping[str, str]
    first_step: int
    scores: bool


class Tracker(Protocol):
    """Show elsewhere how a stage comes on.

    `__init__` is called in the stage's main thread, and so is the place for imports. A tracker may
    have the attribute `patience`: how many seconds the end of a stage waits for its calls, in place
    of 60. It draws nothing from Python's, numpy's or torch's global random numbers.
    """

    def start(self, stage: TrackedStage, run_id: str, resumed: bool) -> str | None:
        """Begin; return a sentence for the stage's log, or None.

        `run_id` belongs to the stage of this run for good; `resumed` says that an earlier attempt
        at the stage has begun with it. What that was told in the minute before it stopped is then
        told again, and steps after the last checkpoint, with equal values but times.
        """
        ...

    def metrics(self, step: int, row: Mapping[str, Any]) -> None:
        """Take a row of metrics.jsonl: names and numbers, None in place of one that is not finite.

        `step` counts optimizer steps of the stage. A step may have two rows, of training and of an
        evaluation.
        """
        ...

    def completions(self, step: int | None, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take some completions with their rewards: rows of completions.jsonl, of one step.

        `step` is None for rollouts of a stage that makes a dataset, such as `sample`, `evaluate`.
        """
        ...

    def alert(self, title: str, text: str, level: Level) -> None:
        """Take what somebody should look at: why a transition ends the stage, or why it failed."""
        ...

    def finish(self, result: StageResult | None, files: Mapping[str, TrackedOutput]) -> None:
        """End; `result` is None if the stage has failed or was left early.

        `files` has what the stage hands over: `model` or `dataset`.
        """
        ...


METHODS: Mapping[str, Sequence[str]] = {  # with what each is called
    "start": ("stage", "run_id", "resumed"),
    "metrics": ("step", "row"),
    "completions": ("step", "rows"),
    "alert": ("title", "text", "level"),
    "finish": ("result", "files"),
}
