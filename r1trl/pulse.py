"""The pulse of a process: how it comes on, and whether it is to leave, for all of its threads.

Whatever gets something done says so with `progress`, from the lowest folder on: a step, a decoded
token, a scored sample, a server's reply. A thread of r1trl.watch writes it down and reads orders.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Pulse:
    """What a process has done, and what it is to do.

    `done` grows with all that gets done. Inside a training step nothing else counts as progress;
    outside (`in_step` False) what the process computes does too, and while somebody else computes
    for it (`elsewhere`) that it lives is enough. With `saves` it leaves at the end of a step,
    `to_save` seconds before a checkpoint can be written as far as is known; without, it loses
    nothing by ending at once. `leave` is why it is to leave, until `leave_by` on time.monotonic.
    """

    done: int = 0
    step: int | None = None
    in_step: bool = False
    elsewhere: bool = False
    saves: bool = False
    to_save: float | None = None
    leave: str | None = None
    leave_by: float = math.inf

    def order(self, reason: str, by: float) -> None:
        """Have the process leave; the first reason counts."""
        if self.leave is None:
            self.leave, self.leave_by = reason, by

    def begin(self) -> None:
        """Forget what an earlier stage of the process has left."""
        self.__init__()  # type: ignore[misc]


pulse = Pulse()


def progress() -> None:
    """Say that something got done."""
    pulse.done += 1


@contextmanager
def computed_elsewhere() -> Iterator[None]:
    """Say that another program computes in the block, such as vLLM, which says nothing of it."""
    pulse.elsewhere = True
    try:
        yield
    finally:
        pulse.elsewhere = False
