"""A stage that runs, as its files show it: what it counts, its numbers, its newest completion."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1trl.live.numbers import Number, Numbers
from r1trl.process.terminal import newest_lines
from r1trl.report.state import StageState
from r1trl.stage.logs import logs
from r1trl.storage.jsonl import NewRows
from r1trl.watch.beats import first_beat, how_to_leave
from r1trl.watch.control import read_control

OBSERVED = 60  # changes of what is done by which its speed is measured
STEPS = "steps"


@dataclass(frozen=True)
class StageNow:
    """What a look at a stage that runs has found.

    `counts` and `spent` are those of rank 0, as in `Pulse`. `left` are the seconds that are left,
    None if that is not known yet; `step_seconds` are those of a step. `leaving` says what is
    awaited once the stage is asked to leave. `log` is a path, and `line` the newest line in it.
    """

    counts: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    spent: Mapping[str, float] = field(default_factory=dict)
    step_seconds: float | None = None
    left: float | None = None
    numbers: Sequence[Number] = ()
    notice: str = ""
    leaving: str = ""
    completion: Mapping[str, Any] = field(default_factory=dict)
    log: Path | None = None
    line: str = ""

    @property
    def done(self) -> float | None:
        """Return the share of the stage that is done; None if it is not known."""
        share, known = 0.0, False
        for done, of in reversed(list(self.counts.values())):
            if of:
                share, known = (done + share) / of, True
        return min(share, 1.0) if known else None


class StageFollower:
    """Looks at the files of a stage again and again, and reads only what is new in them."""

    def __init__(self, stage: StageState, clock: Callable[[], float] = time.monotonic) -> None:
        settings = stage.spec.settings if stage.spec else {}
        rewards = settings.get("rewards") or {}
        given = {name: (options or {}).get("weight") for name, options in rewards.items()}
        weights = {name: float(weight) for name, weight in given.items() if weight is not None}
        self.folder, self.clock = stage.folder, clock
        self.numbers = Numbers(stage.right, weights)
        self._metrics = NewRows(self.folder / "metrics.jsonl")
        self._completions = NewRows(self.folder / "completions.jsonl")
        self._completion: Mapping[str, Any] = {}
        self._seen = deque[tuple[float, float, int]](maxlen=OBSERVED)  # when, share, steps done
        self._log: tuple[object, str] = (None, "")

    def look(self) -> StageNow:
        """Return what the files show now."""
        self.numbers.add(self._metrics.look())
        if rows := self._completions.look():
            self._completion = rows[-1]
        beat = first_beat(self.folder)
        if beat is None:
            return StageNow(numbers=list(self.numbers.shown()), **self._logged())
        counts = {name: (int(c[0]), c[1]) for name, c in beat.counts.items()}
        now = StageNow(
            counts=counts,
            spent=beat.spent,
            numbers=list(self.numbers.shown()),
            notice=beat.notice or "",
            leaving=self._leaving(beat),
            completion=self._completion,
            **self._logged(),
        )
        return self._timed(now)

    def _timed(self, now: StageNow) -> StageNow:
        """Return what was found with the seconds of a step, and those that are left."""
        done, steps = now.done, now.counts.get(STEPS, (0, None))[0]
        if done is not None and (not self._seen or self._seen[-1][1] != done):
            if self._seen and done < self._seen[-1][1]:
                self._seen.clear()
            self._seen.append((self.clock(), done, steps))
        if done is None or done == 1 or len(self._seen) < 2:
            return now
        (begun, first, first_step), (ended, last, last_step) = self._seen[0], self._seen[-1]
        rate = (last - first) / max(ended - begun, 1e-9)
        left = (1 - done) / rate - (self.clock() - ended)
        stepped = last_step - first_step
        return StageNow(
            **{
                **vars(now),
                "left": left if left > 0 else None,  # it takes longer than it did so far
                "step_seconds": (ended - begun) / stepped if stepped > 0 else None,
            }
        )

    def _leaving(self, beat: Any) -> str:
        """Return what is awaited if the stage is asked to leave, else ""."""
        control = read_control(self.folder)
        if control is None or control.leave is None:
            return ""
        how = how_to_leave([beat], control.bounds.grace) if beat.saves else "ending"
        return f"leaving ({control.leave}): {how}"

    def _logged(self) -> dict[str, Any]:
        """Return the log that the ranks of the first node write, and its newest line."""
        found = logs(self.folder)
        if not found:
            return {}
        log = found[0]
        status = log.stat()
        stamp = (log, status.st_mtime_ns, status.st_size)
        if stamp != self._log[0]:
            self._log = (stamp, "".join(newest_lines(log, 1)).strip())
        return {"log": log, "line": self._log[1]}
