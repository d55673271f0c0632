"""What an alarm is: it watches a training stage, and makes it fail with a sentence.

A stage that fails keeps its checkpoints: the same command with other settings goes on from there.
"""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

from r1trl import Progress, StageError, StageResult

Row = Mapping[str, float]


class Alarm:
    """The base of every alarm; an alarm says in `seen` what is the matter, or None."""

    reason: str | None = None

    def seen(self, history: Sequence[Row]) -> str | None:
        """Return what is the matter in the logged rows, or None."""
        raise NotImplementedError

    def until(self, progress: Progress) -> str | None:
        """Return why the stage has to end, or None."""
        self.reason = self.reason or self.seen(progress.history)
        return self.reason

    def __call__(self, result: StageResult) -> StageResult:
        """Hand over what there is; raise StageError where something was the matter."""
        if self.reason:
            raise StageError(
                f"{self.reason}; the checkpoints are kept: with other settings, or without this "
                f"alarm (~stages.{result.stage}.transitions.…), the same command goes on from them"
            )
        return result


def values(history: Iterable[Row], metric: str) -> list[float]:
    """Return a metric's numbers, in the rows that have one."""
    return [row[metric] for row in history if isinstance(row.get(metric), int | float)]


def needed(history: Sequence[Row], metric: str, window: int) -> list[float]:
    """Return a metric's numbers; raise ValueError where many rows have been logged without any."""
    found = values(history, metric)
    if not found and len(history) >= 4 * window:
        names = sorted({name for row in history for name in row})
        close = difflib.get_close_matches(metric, names, n=3)
        meant = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise ValueError(f"no metric is called '{metric}'{meant}; there are: {', '.join(names)}")
    return found


def mean(numbers: Sequence[float]) -> float:
    """Return the mean."""
    return math.fsum(numbers) / len(numbers)


def means(numbers: Sequence[float], window: int) -> list[float]:
    """Return the means of all windows of so many numbers, in their order."""
    return [mean(numbers[i : i + window]) for i in range(len(numbers) - window + 1)]


def at_least_one(option: str, value: int) -> int:
    """Return a number; raise ValueError where it is under 1."""
    if value < 1:
        raise ValueError(f"{option} must be 1 or more, not {value}")
    return value
