"""A run that is disturbed at random moments, and continued by the same command."""

import math
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from disturbed.processes import DISTURBANCES, WITH_SCORING, disturb, wait_until_gone
from disturbed.runs import SmallRun, begun, units

STARTING = 0.15  # the share of disturbances while the command starts
START_SECONDS = 6.0  # within which these come
LEAVE_SECONDS = 120.0  # after which whatever has not ended hangs
POLL = 0.02


@dataclass
class Hit:
    """One disturbance: where it came, how the command ended, and the seconds until it was made up.

    `units` are the logged steps or shards that the stage had. `lost` counts from the disturbance
    until the stage had come as far again; it is None if the next disturbance came earlier.
    """

    disturbance: str
    stage: str
    kind: str
    units: int
    total: int
    at: float
    status: int | None = None
    left_after: float = 0.0
    lost: float | None = None
    problems: list[str] = field(default_factory=list)


@dataclass
class Aim:
    """What is to be done in a stage: once it has come that far, so many seconds later."""

    disturbance: str
    stage: str
    units: int
    delay: float
    reached: float | None = None


class Disturber:
    """Disturbs a run until all of `pairs`, (kind of stage, disturbance), are done or too late.

    `whole` is the same run undisturbed, `totals` are the units that its stages came to.
    """

    def __init__(
        self, whole: SmallRun, totals: Mapping[str, int], run: SmallRun, times: int, seed: int
    ) -> None:
        self.run, self.random = run, random.Random(seed)
        self.results, self.names = whole.results(), whole.stages()
        self.kinds = {name: self.results[name]["kind"] for name in self.names}
        self.totals = {name: totals.get(name, 0) for name in self.names}
        self.pairs = self._pairs(times)
        self.hits: list[Hit] = []

    def _pairs(self, times: int) -> list[tuple[str, str]]:
        """Return what is to be done: kinds and disturbances as evenly as possible, at random."""
        kinds = sorted(set(self.kinds.values()))
        possible = [(k, d) for k in kinds for d in DISTURBANCES if _possible(k, d)]
        pairs: list[tuple[str, str]] = []
        while len(pairs) < times:
            used = Counter(kind for kind, _ in pairs), Counter(done for _, done in pairs)
            left = [p for p in possible if p not in pairs] or possible
            self.random.shuffle(left)
            pairs.append(min(left, key=lambda pair: used[0][pair[0]] + used[1][pair[1]]))
        return pairs

    def carry_out(self) -> int:
        """Disturb and continue the run until it ends by itself; return that exit status."""
        while True:
            begin = time.time()
            driver = self.run.start()
            hit = self._watch(driver, begin)
            if hit is None:
                return driver.wait()
            self.hits.append(hit)
            _print(len(self.hits), hit)

    def _watch(self, driver: Any, begin: float) -> Hit | None:
        """Disturb an attempt once; return None if it ended before."""
        aim, early = None, self.random.random() < STARTING
        while driver.poll() is None:
            now, stage = time.time(), self._at_work()
            self._note_made_up(begin, now)
            if aim is None or aim.stage != stage:
                aim = self._aim(stage, early)
            if aim and self._is_due(aim, begin, now):
                hit = self._hit(aim, driver, begin)
                if hit and hit.status is not None:
                    return hit
                if hit:
                    self.hits.append(hit)
                    _print(len(self.hits), hit)
                    aim = None
            time.sleep(POLL)
        self._note_made_up(begin, time.time())
        return None

    def _at_work(self) -> str | None:
        """Return the first stage without a result."""
        for name in self.names:
            if not (self.run.stage(name) / "result.json").exists():
                return name
        return None

    def _aim(self, stage: str | None, early: bool) -> Aim | None:
        """Choose a disturbance for a stage, and a moment in what is left of it."""
        if stage is None:
            return None
        later = self.names[self.names.index(stage) :]
        self._move_late(sorted({self.kinds[name] for name in later}))
        wanted = [done for kind, done in self.pairs if kind == self.kinds[stage]]
        if not wanted:
            return None
        name = self.random.choice(wanted)
        here = math.ceil(len(wanted) / sum(self.kinds[n] == self.kinds[stage] for n in later))
        if early and name != "kill -9 of a scoring process":
            return Aim(name, stage, -1, self.random.uniform(0, START_SECONDS))
        done, total = units(self.run.stage(stage), 0), self.totals[stage]
        way = self.random.random() * 1.5 / max(1, here)
        at = min(done + int(way * (total - done + 1)), max(total - 1, 0))
        step = self.results[stage]["seconds"] / (total + 2)
        return Aim(name, stage, at, self.random.uniform(0, step))

    def _move_late(self, kinds: list[str]) -> None:
        """Move what came too late for its kind of stage to one of these, which are yet to come."""
        for i, (kind, done) in enumerate(self.pairs):
            possible = [other for other in kinds if _possible(other, done)]
            if kind not in kinds and possible:
                self.pairs[i] = (self.random.choice(possible), done)

    def _is_due(self, aim: Aim, begin: float, now: float) -> bool:
        folder = self.run.stage(aim.stage)
        far = aim.units < 0 or (begun(folder, begin) and units(folder, begin) >= aim.units)
        if far and aim.reached is None:
            aim.reached = begin if aim.units < 0 else now
        return aim.reached is not None and now - aim.reached >= aim.delay

    def _hit(self, aim: Aim, driver: Any, begin: float) -> Hit | None:
        """Disturb; return how it went, or None if there is no such process yet."""
        stage, now = self.run.stage(aim.stage), time.time()
        done, kind = units(stage, begin), self.kinds[aim.stage]
        if not disturb(aim.disturbance, driver.pid, self.run, self.random.choice):
            return None
        hit = Hit(aim.disturbance, aim.stage, kind, done, self.totals[aim.stage], now)
        self.pairs.remove((kind, aim.disturbance))
        ends = DISTURBANCES[aim.disturbance].ends
        if ends and aim.units < 0:  # Python itself may not have started yet
            ends = (*ends, -DISTURBANCES[aim.disturbance].number)
        if not ends or self._goes_on(driver, aim.stage, now):
            hit.lost = 0.0
            return hit
        if driver.poll() is None:
            hit.problems.append(f"the command had not ended after {LEAVE_SECONDS:.0f} s")
        left = wait_until_gone(self.run, LEAVE_SECONDS)
        hit.left_after = round(time.time() - now, 2)
        hit.status = driver.wait() if hit.status is None else hit.status
        hit.problems += [f"left behind: {command:.80}" for command in left]
        if hit.status not in (*ends, 0 if self._at_work() is None else ends[0]):
            expected = " or ".join(map(str, ends))
            hit.problems.append(f"exit status {hit.status}, not {expected}")
        return hit

    def _goes_on(self, driver: Any, stage: str, since: float) -> bool:
        """Wait until the command ends; return True if it does not, as the stage was just over."""
        while driver.poll() is None and time.time() - since < LEAVE_SECONDS:
            following = self._at_work()
            if following not in (stage, None) and begun(self.run.stage(str(following)), since):
                return True
            time.sleep(POLL)
        return False

    def _note_made_up(self, begin: float, now: float) -> None:
        """Note the time at which a stage has come as far as it was when it was disturbed."""
        for hit in self.hits[-3:]:
            folder = self.run.stage(hit.stage)
            finished = (folder / "result.json").exists()
            if hit.lost is None and (
                finished or (begun(folder, begin) and units(folder, begin) >= max(hit.units, 1))
            ):
                hit.lost = round(now - hit.at, 2)


def _possible(kind: str, disturbance: str) -> bool:
    return disturbance != "kill -9 of a scoring process" or kind in WITH_SCORING


def _print(number: int, hit: Hit) -> None:
    """Print a disturbance as a row of the table; what was lost is known later."""
    ended = "goes on" if hit.status is None else f"exit {hit.status} in {hit.left_after:.1f} s"
    wrong = f" **{'; '.join(hit.problems)}**" if hit.problems else ""
    where = f"{hit.stage} ({hit.kind}) | {hit.units} of {hit.total}"
    print(f"| {number} | {hit.disturbance} | {where} | {ended}{wrong} |", flush=True)
