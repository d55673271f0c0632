"""The base class of alarms, transitions that end a training stage with an error.

A failed stage keeps its checkpoints: with `keep` and other settings it continues from them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import fmean

from r1trl import Progress, StageError, StageResult


class Alarm(ABC):
    """A transition that fails its stage; subclasses define `diagnose`.

    `reason` is the first diagnosis, None until there is one.
    """

    reason: str | None = None

    @abstractmethod
    def diagnose(self, progress: Progress) -> str | None:
        """Return what is wrong according to the logged metrics, or None."""

    def should_stop(self, progress: Progress) -> str | None:
        """Return why the stage has to end, or None."""
        self.reason = self.reason or self.diagnose(progress)
        return self.reason

    def __call__(self, result: StageResult) -> StageResult:
        """Return the result unchanged; raise StageError if there is a diagnosis."""
        if self.reason:
            raise StageError(
                f"{self.reason}; the checkpoints are there: with other settings, or without this "
                f"alarm (stages.{result.stage}.transitions.…=null), and keep={result.stage}, the "
                f"stage goes on from them; redo={result.stage} begins it again"
            )
        return result


def means(progress: Progress, metric: str, window: int) -> list[float]:
    """Return the means of all windows of `window` successive values of a metric, in order.

    Raises ValueError if `4 * window` rows have been logged and none has the metric.
    """
    values = progress.values(metric, 4 * window)
    return [fmean(values[i : i + window]) for i in range(len(values) - window + 1)]


def rows_with(progress: Progress, metric: str) -> Sequence[dict[str, float]]:
    """Return the logged rows that have a metric."""
    return [dict(row) for row in progress.history if row.get(metric) is not None]


def at_least_one(option: str, value: int) -> int:
    """Return `value`; raise ValueError if it is under 1."""
    if value < 1:
        raise ValueError(f"{option} must be 1 or more, not {value}")
    return value
