"""What the core and its plugins say to one another: plain values and the shapes of the five offers.

Options of every offer are its keyword-only parameters (of the function, or of the class's
`__init__` where it keeps state); everything positional is what r1trl passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType, Protocol

from r1trl.errors import unknown

if TYPE_CHECKING:
    from datasets import Dataset

KINDS = ("reward", "filter", "sampler", "transition", "dataset")
OUTCOMES = ("value", "abstain", "timeout", "error")


RewardName = NewType("RewardName", str)  # an option that names another reward of the stage
# An option of a filter: in a config, names of the run's benchmarks (none: all of them); the filter
# gets a mapping from each name to the benchmark's rows.
Benchmarks = NewType("Benchmarks", Mapping[str, Any])


@dataclass(frozen=True)
class Stage:
    """A stage that is about to run: its name, its folder, and its settings as in stage.yaml."""

    name: str
    kind: str
    folder: Path
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class StageResult:
    """What a finished stage hands over; `result.json` is this value."""

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


@dataclass(frozen=True)
class Progress:
    """How far a training stage has come, as `until` sees it: `history` has one row per logging."""

    step: int
    max_steps: int
    seconds: float
    history: Sequence[Mapping[str, float]]

    @property
    def latest(self) -> Mapping[str, float]:
        """Return the newest logged metrics, or none before the first logging."""
        return self.history[-1] if self.history else {}

    def values(self, metric: str, patience: int = 1) -> list[float]:
        """Return what was logged of a metric, in the order of steps.

        Raises ValueError where `patience` or more rows have been logged and none has it.
        """
        found = [row[metric] for row in self.history if isinstance(row.get(metric), int | float)]
        if not found and len(self.history) >= patience:
            raise ValueError(
                unknown("metric", metric, {name for row in self.history for name in row})
            )
        return found


class Reward(Protocol):
    """Score completions; one value each, None where the reward does not apply.

    `prompts` and `completions` are texts, `completion_ids` token ids; every column of the rows
    follows by name, each a list as long as `prompts`. One with a parameter called `rewards` is
    asked after the others and gets their values in it, by name. May be a coroutine function.
    """

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: list[Any],
    ) -> list[float | None] | Awaitable[list[float | None]]:
        """Return one value per completion."""
        ...


@dataclass(frozen=True)
class Group:
    """The completions of one prompt, as samplers see them once they are scored.

    `index` is the prompt's row; `rewards` are the weighted sums, `values` each reward's by name,
    `tokens` the lengths, one per completion. What has no value is None.
    """

    index: int
    rewards: Sequence[float | None]
    values: Mapping[str, Sequence[float | None]]
    tokens: Sequence[int]


@dataclass(frozen=True)
class Completion:
    """A completion that is being written, outside training: what it says and what it cost.

    `row` is the number of the row it answers, `prompt` the text the model reads. `spent` counts
    the tokens drawn for it, those that were thrown away too. `stopped` is the stop text that ended
    the last draw, which is no part of `text`.
    """

    row: int
    prompt: str
    text: str = ""
    ids: tuple[int, ...] = ()
    finished: bool = False
    spent: int = 0
    stopped: str | None = None


class Policy(Protocol):
    """What a `generate` sampler draws from: the model, or the next sampler of the chain."""

    def draw(
        self,
        drafts: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Write on, each draft for at most `max_tokens` more or until one of the `stop` texts.

        One that is finished, or as long as the stage allows, comes back as it is.
        """
        ...

    def write(self, draft: Completion, text: str) -> Completion:
        """Put a text at the end of a draft."""
        ...

    def score(self, drafts: Sequence[Completion], reward: str) -> list[float | None]:
        """Return what one of the stage's rewards says of drafts, finished or not."""
        ...

    def answers(self, drafts: Sequence[Completion], reward: str) -> list[str | None]:
        """Return the answers that one of the stage's rewards reads in drafts."""
        ...


class Sampler(Protocol):
    """Decide which prompts are rolled out, how, and which groups are trained on.

    An object made once per stage and process. It has one or more of the verbs below; on every
    process they are called with the same arguments and must answer the same. `choose` must change
    nothing: what a sampler learns it learns from `observe`, and what it has learned is in its
    `state_dict()` (plain data), which is saved with the checkpoint and given to `load_state_dict`.
    """

    def choose(self, rows: Dataset, count: int, step: int, seed: int) -> list[int]:
        """Return `count` indices into `rows`, for the rollout that begins at optimizer `step`."""
        ...

    def observe(self, groups: Sequence[Group]) -> None:
        """Hear what the groups of a rollout scored, those of all processes."""
        ...

    def admit(self, group: Group) -> bool:
        """Tell whether a group may be trained on; one that may not is replaced.

        The attribute `rounds` bounds how often fresh prompts are rolled out for it.
        """
        ...

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return each draft written to its end, in sample and evaluate stages."""
        ...


Filter = Callable[..., "Dataset | Sequence[str | None]"]
Transition = Callable[[StageResult], StageResult]
DatasetSource = Callable[..., "Dataset"]
