"""What the core and its plugins say to one another: plain values and the shapes of the five offers.

Options of every offer are its keyword-only parameters (of the function, or of the class's
`__init__` where it keeps state); everything positional is what r1trl passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType, Protocol

if TYPE_CHECKING:
    from datasets import Dataset

KINDS = ("reward", "filter", "sampler", "transition", "dataset")
OUTCOMES = ("value", "abstain", "timeout", "error")


RewardName = NewType("RewardName", str)  # an option that names another reward of the stage


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


class Sampler(Protocol):
    """Decide which prompts are rolled out; an object made once per stage.

    `choose` is asked once per rollout, on every rank with the same arguments, and must answer the
    same on all of them: `count` indices into `rows`, for the rollout that begins at optimizer step
    `step`.
    """

    def choose(self, rows: Dataset, count: int, step: int, seed: int) -> list[int]:
        """Return the indices of the prompts that come next."""
        ...


Filter = Callable[..., "Dataset"]
Transition = Callable[[StageResult], StageResult]
DatasetSource = Callable[..., "Dataset"]
