"""A run that goes on, as a user sees it: its stages, and the one that is at work."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from r1trl.live.left import seconds_of
from r1trl.live.stage import StageFollower, StageNow
from r1trl.report.state import RUNNING, WAITING, StageState, read_record, read_stages

PREFLIGHT = "preflight"


@dataclass(frozen=True)
class RunNow:
    """What a look at a run has found; `place` is the run's in a sweep, such as "run 2 of 4".

    `at` is the stage at work, or the last one that was; `now` is what its files show. `waiting` is
    how many stages the command still has to do after it, and `later` about how many seconds they
    take, None if that is not known.
    """

    folder: Path
    place: str
    seconds: float
    stages: Sequence[StageState]
    at: StageState | None
    now: StageNow
    waiting: int = 0
    later: float | None = None

    @property
    def works(self) -> bool:
        """Return True if a stage is at work."""
        return self.at is not None and self.at.state == RUNNING

    @property
    def number(self) -> int:
        """Return which of the stages `at` is, from 1; 0 if it is none."""
        names = [stage.name for stage in self.stages]
        return names.index(self.at.name) + 1 if self.at and self.at.name in names else 0


class RunFollower:
    """Looks at a run: at its stages when one begins or ends, at the one at work every time.

    `to_do` are the names of the stages that the command is to do; None: all of them.
    """

    def __init__(self, folder: Path, place: str, to_do: Collection[str] | None = None) -> None:
        self.folder, self.place, self.to_do, self.begun = folder, place, to_do, time.monotonic()
        self.at: StageState | None = None
        self.record = read_record(folder)
        self.stages = read_stages(folder, self.record)
        self._follower: StageFollower | None = None
        self._now = StageNow()

    def begin(self, name: str, folder: Path) -> None:
        """Follow a piece of work that has begun: a stage, or the preflight."""
        self.renew()
        found = next((stage for stage in self.stages if stage.folder == folder), None)
        if found is not None:  # its ranks have not said yet that they run
            now = StageState(**{**vars(found), "state": RUNNING, "reason": ""})
            self.stages = [now if stage is found else stage for stage in self.stages]
            found = now
        self.at = found or StageState(name, "", folder, RUNNING)
        self._follower, self._now = StageFollower(self.at), StageNow()

    def end(self) -> None:
        """Follow it no longer; what it showed last stays, with what has become of it."""
        self.look()
        self._follower = None
        self.renew()
        folder = self.at.folder if self.at else None
        self.at = next((stage for stage in self.stages if stage.folder == folder), None)

    def renew(self) -> None:
        """Read the states of all stages again."""
        self.stages = read_stages(self.folder, self.record)

    def look(self) -> RunNow:
        """Return what there is to see now."""
        if self._follower:
            self._now = self._follower.look()
        seconds = time.monotonic() - self.begun
        waiting = [stage.name for stage in self.stages if stage.state == WAITING]
        waiting = [name for name in waiting if self.to_do is None or name in self.to_do]
        later, now = self._later(waiting), self._now
        return RunNow(
            self.folder, self.place, seconds, self.stages, self.at, now, len(waiting), later
        )

    def _later(self, waiting: Collection[str]) -> float | None:
        """Return about how many seconds stages take that wait, by those that are done or begun."""
        recorded = {stage.name: stage for stage in self.record.stages}
        whole = {stage.name: stage.result.seconds for stage in self.stages if stage.result}
        if self.at and self._now.left and self._now.done:
            whole[self.at.name] = self._now.left / (1 - self._now.done)
        timed = [(recorded[name], seconds) for name, seconds in whole.items() if name in recorded]
        to_come = [recorded[name] for name in waiting if name in recorded]
        return seconds_of(to_come, timed) if len(to_come) == len(waiting) else None
