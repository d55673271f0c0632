"""The values that the core and its plugins exchange, and the signatures of what plugins offer.

The options of an offer are its keyword-only parameters (of the function, or of the class's
`__init__` if it keeps state); r1trl passes everything positional. Kinds of stages: kind.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType, Protocol

from r1trl.errors import unknown

if TYPE_CHECKING:
    from datasets import Dataset

ROLES = ("reward", "filter", "sampler", "transition", "dataset", "kind", "variant", "tracker")
OUTCOMES = ("value", "abstain", "timeout", "error")
EVALUATED = "eval/seconds"  # among the metrics of a row that an evaluation has logged
RewardName = NewType("RewardName", str)  # an option that names another reward of the stage
# An option of a filter: in a config, names of the run's benchmarks (none: all of them); the filter
# gets a mapping from each name to the benchmark's rows.
Benchmarks = NewType("Benchmarks", Mapping[str, Any])
# A setting of a kind of stage that names a model (a folder, a Hub id or stage:<name>) or rows (a
# file, a Hub id or stage:<name>): the stage that makes it runs earlier, and the worker gets a path.
Model = NewType("Model", str)
Rows = NewType("Rows", str)


@dataclass(frozen=True)
class Stage:
    """A stage that is about to run: its name, kind, folder, and its settings as in stage.yaml."""

    name: str
    kind: str
    folder: Path
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class StageResult:
    """What a finished stage hands over; `result.json` is this value.

    `model` is a folder, `dataset` a file, or None; `metrics` are by name; `seconds` are those of
    the last attempt; `stop` is why the run should end here, or None. r1trl fills in the rest:
    digests of `inputs` by reference, of `made` files by path; `identity`; `kept` on a user's word.
    """

    stage: str
    kind: str
    folder: Path
    model: Path | None = None
    dataset: Path | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    stop: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """The state of a training stage, as a transition's `should_stop` sees it.

    `step` counts optimizer steps; `seconds` are those of all attempts; `history` has a mapping per
    logging step: `step`, `seconds` and TRL's metrics by name; None if a value is not finite.
    """

    step: int
    max_steps: int
    seconds: float
    history: Sequence[Mapping[str, float]]

    @property
    def latest(self) -> Mapping[str, float]:
        """Return the newest logged metrics; empty before the first logging step."""
        return self.history[-1] if self.history else {}

    def values(self, metric: str, patience: int = 1) -> list[float]:
        """Return the logged values of a metric, in the order of steps.

        Raises ValueError if `patience` rows have been logged, but evaluations', and none has it.
        """
        logged = [row[metric] for row in self.history if isinstance(row.get(metric), int | float)]
        if not logged and sum(EVALUATED not in row for row in self.history) >= patience:
            raise ValueError(unknown("metric", metric, {n for row in self.history for n in row}))
        return logged


@dataclass(frozen=True)
class Group:
    """The scored completions of one prompt, as samplers see them; every list has one entry each.

    `index` is the prompt's row in the stage's data. `totals` are the weighted sums of the rewards,
    `rewards` the values of each reward by name (None: no value), `completion_lengths` in tokens.
    """

    index: int
    totals: Sequence[float | None]
    rewards: Mapping[str, Sequence[float | None]]
    completion_lengths: Sequence[int]


@dataclass(frozen=True)
class Completion:
    """A completion outside training, finished or not, with its cost.

    `row` is the number of the row that it answers, `prompt` the text that the model reads.
    `token_ids` are those of `text`, the end token included. `generated_tokens` counts every token
    generated for it, discarded ones too. `stop_reason` is the stop text that ended the last call of
    `Policy.generate`; it is no part of `text`.
    """

    row: int
    prompt: str
    text: str = ""
    token_ids: tuple[int, ...] = ()
    finished: bool = False
    generated_tokens: int = 0
    stop_reason: str | None = None


class Reward(Protocol):
    """Score completions: one value each, or None if the reward does not apply.

    `prompts`, `completions` are texts, `completion_ids` token ids; columns of the rows follow, all
    lists of equal length, and TRL's `trainer_state`, `log_extra`, `log_metric`. With a parameter
    `rewards` it is called after the others, whose values it gets. It may be async, and have `load`.
    """

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: list[Any],
    ) -> list[float | None] | Awaitable[list[float | None]]:
        """Return one finite value or None per completion."""
        ...


Filter = Callable[..., "Dataset | Sequence[str | None]"]
Transition = Callable[[StageResult], StageResult]
DatasetSource = Callable[..., "Dataset"]
