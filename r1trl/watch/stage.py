"""A driver's side of watching a stage: it orders, looks at the ranks, and ends them."""

import dataclasses
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from r1trl.process.terminal import say
from r1trl.stage.logs import engine_error, logs
from r1trl.watch.beats import PERIOD, clear, errors, how_to_leave, read_beats, stacks
from r1trl.watch.control import Bounds, Control, own_name, renew, write_control
from r1trl.watch.leaving import TICK, Leaving, Watch
from r1trl.watch.lock import take_over
from r1trl.watch.look import Look, Trouble
from r1trl.watch.processes import RUNS, UNKNOWN, this_process
from r1trl.watch.rank import LEFT_EARLY

FAILED = 1
LOOK_PERIOD = 1.0  # seconds
STACK_SECONDS = 3.0  # until ranks that can have written their stacks
FAILED_SECONDS = 3.0  # until the other ranks of one that failed are ended
# What gloo and NCCL say of a rank that has gone.
LOST = re.compile(r"(?i)connection (closed|reset)|closed by peer|broken pipe|remote process exited")
LOST_WIDTH = 200
BEAT_SECONDS = 1.2  # after an order, until ranks have said that they save something


class StageWatch(Watch):
    """Watches the ranks of the stage in a folder; `trouble` is what was the matter with them.

    `servers` says why their servers have failed, or None.
    """

    def __init__(
        self,
        folder: Path,
        bounds: Bounds,
        leaving: Leaving,
        end: Callable[[], None],
        servers: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__(leaving, end)
        self.servers = servers
        self.unserved: str | None = None
        self.folder, self.bounds = folder, bounds
        self.trouble: Trouble | None = None
        self.control = Control(this_process(), 0, bounds)
        self.look, self.looked = Look(folder, bounds), 0.0
        self.failed_at: float | None = None
        self.written, self.acknowledged = 0.0, False

    def __enter__(self) -> Self:
        """Take the stage over; raise ConfigError if somebody is at work in its run."""
        take_over(self.folder, own_name())
        clear(self.folder)
        self._write()
        return super().__enter__()

    def __exit__(self, *caught: object) -> None:
        super().__exit__(*caught)
        if self.control.leave and not self.acknowledged:
            say(f"leaving ({self.control.leave})")

    def tick(self) -> None:
        """Look once: at the order to leave, at the ranks, at the clock."""
        now = time.monotonic()
        if self.leaving.at_once:
            say("leaving at once")
            return self._end("a second signal")
        if self.leaving.asked() and self.control.leave is None:
            self._write(leave=self.leaving.reason)
        if self.control.leave and not self.acknowledged:
            self._acknowledge(self.control.leave, now)
        elif self.control.leave and now > self.leaving.since + self.bounds.grace:
            say(f"launch.grace={self.bounds.grace:g} is over: all processes are ended")
            self._end(self.control.leave)
        if self.ended is None and now - self.looked >= LOOK_PERIOD:
            self.looked = now
            self._look()
        if now - self.written >= PERIOD:
            self._write()
        return None

    def _acknowledge(self, reason: str, now: float) -> None:
        """Say how the ranks will leave; end them if they lose nothing by it."""
        saving = [beat for beat in read_beats(self.folder) if beat.saves]
        if saving:
            how = how_to_leave(saving, self.bounds.grace)
            say(f"leaving ({reason}): {how}; a second Ctrl-C ends everything at once")
        elif now > self.leaving.since + BEAT_SECONDS:
            say(f"leaving ({reason})")
            self._end(reason)
        self.acknowledged = bool(saving or self.ended)

    def _look(self) -> None:
        """Look at the ranks; end all of them if one is dead, stopped or has failed, or all hang."""
        if self.failed_at is not None:
            if time.monotonic() - self.failed_at > FAILED_SECONDS:
                self._end("an error")
            return
        self.unserved = self.servers()
        if self.unserved:
            return self._end(self.unserved)
        self.trouble = self.look.trouble()
        if self.trouble and not self.trouble.died:
            self._collect_stacks()
            return self._end(str(self.trouble))
        if self.trouble or any(b.ended not in (None, 0, 3) for b in read_beats(self.folder)):
            self.failed_at = time.monotonic()

    def last_look(self) -> None:
        """Look for a rank that has died, once their launcher has ended by itself."""
        if self.ended is None and self.failed_at is None:
            trouble = self.look.trouble()
            self.trouble = trouble if trouble and trouble.died else None

    def _collect_stacks(self) -> None:
        """Have ranks write their stacks; a stopped or dead one cannot."""
        self._write(stacks=True)
        beats = [beat for beat in read_beats(self.folder) if beat.ended is None]
        going = [beat for beat in beats if beat.process.state in (RUNS, UNKNOWN)]
        ends = time.monotonic() + STACK_SECONDS
        while len(stacks(self.folder)) < len(going) and time.monotonic() < ends:
            time.sleep(TICK)

    def end_ranks(self) -> None:
        """Order ranks to end, also those that no signal from here reaches."""
        self._write(end=True)

    def _end(self, why: str) -> None:
        self.end_ranks()
        super()._end(why)

    def _write(self, leave: str | None = None, *, stacks: bool = False, end: bool = False) -> None:
        """Write the control file, with its next number; a full disk is tried again."""
        now, before = time.monotonic(), self.control
        leave, seconds = leave or before.leave, None
        if leave:
            seconds = max(0.0, self.leaving.since + self.bounds.grace - now)
        self.control = dataclasses.replace(
            before,
            count=before.count + 1,
            leave=leave,
            seconds=seconds,
            stacks=before.stacks or stacks,
            end=before.end or end,
        )
        self.written = now
        try:
            write_control(self.folder, self.control)
        except OSError:
            renew(self.folder)

    def error(self, status: int) -> str | None:
        """Return why the ranks failed: of the first one of them; None if none has said so.

        What they say because they were ended does not count. `status` is that of their launcher.
        """
        if self.unserved:
            return self.unserved
        if self.ended and not self.trouble and self.failed_at is None:
            return None
        lost = None if status == LEFT_EARLY else engine_error(self.folder)
        if lost and (not self.trouble or self.trouble.died):  # ranks die of it, on other nodes too
            return self._first_error() or lost
        if self.trouble and self.trouble.died and self.trouble.beat:
            number = -status if status < 0 else self._signal(self.trouble.beat.process.pid)
            how = f"was killed by {signal.Signals(number).name}" if number else "has died"
            hint = ", as the kernel does when memory runs out" if number == signal.SIGKILL else ""
            return f"{self.trouble.beat} {how}{hint}"
        if self.trouble:
            where = f"; stacks of the ranks: {self.folder / 'ranks'}/*.stack"
            return f"{self.trouble}{where if stacks(self.folder) else ''}"
        return self._first_error()

    def _first_error(self) -> str | None:
        """Return the first error of a rank, unless it is that another one has gone: that one."""
        found, beats = errors(self.folder), read_beats(self.folder)
        if found and LOST.search(found[0][1]):
            told = {number for number, _ in found}
            gone = [beat for beat in beats if beat.ended is None and beat.rank not in told]
            if gone:
                lost = found[0][1].splitlines()[0][:LOST_WIDTH]
                return f"{gone[0]} has died, or was killed, and rank {found[0][0]} lost it: {lost}"
        return found[0][1] if found else None

    def _signal(self, pid: int) -> int:
        """Return the signal that a rank has died of, which torch's launcher logs; 0: unknown."""
        texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs(self.folder)]
        text = "\n".join(texts)
        found = re.findall(rf"exitcode *: -(\d+) \(pid: {pid}\)", text)
        return int(found[-1]) if found else 0
