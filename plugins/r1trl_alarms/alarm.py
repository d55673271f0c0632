"""What an alarm is: it watches a training stage, and makes it fail with a sentence.

A stage that fails keeps its checkpoints: the same command with other settings goes on from there.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import fmean

from r1trl import Progress, StageError, StageResult


class Alarm(ABC):
    """The base of every alarm; an alarm says in `seen` what is the matter, or None."""

    reason: str | None = None

    @abstractmethod
    def seen(self, progress: Progress) -> str | None:
        """Return what is the matter in what was logged, or None."""

    def until(self, progress: Progress) -> str | None:
        """Return why the stage has to end, or None."""
        self.reason = self.reason or self.seen(progress)
        return self.reason

    def __call__(self, result: StageResult) -> StageResult:
        """Hand over what there is; raise StageError where something was the matter."""
        if self.reason:
            raise StageError(
                f"{self.reason}; the checkpoints are kept: with other settings, or without this "
                f"alarm (stages.{result.stage}.transitions.…=null), the same command goes on"
            )
        return result


def means(progress: Progress, metric: str, window: int) -> list[float]:
    """Return the means of all windows of so many values of a metric, in their order.

    Raises ValueError where many rows have been logged without any.
    """
    values = progress.values(metric, 4 * window)
    return [fmean(values[i : i + window]) for i in range(len(values) - window + 1)]


def with_values(progress: Progress, metric: str) -> Sequence[dict[str, float]]:
    """Return the logged rows that have a metric."""
    return [dict(row) for row in progress.history if row.get(metric) is not None]


def at_least_one(option: str, value: int) -> int:
    """Return a number; raise ValueError where it is under 1."""
    if value < 1:
        raise ValueError(f"{option} must be 1 or more, not {value}")
    return value
