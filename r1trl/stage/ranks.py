"""The rank of this process among those of a stage, from the environment that launchers set."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from r1trl.errors import R1trlError
from r1trl.stage.devices import uses_gpu

EXPECTED = "R1TRL_PROCESSES"
T = TypeVar("T")


def rank() -> int:
    """Return the rank of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of processes of the stage."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Return True on rank 0, which writes the stage's files."""
    return rank() == 0


def barrier() -> None:
    """Wait for all processes of the stage; a collective."""
    if world_size() > 1:
        from accelerate import PartialState

        PartialState(cpu=not uses_gpu()).wait_for_everyone()


def check_world() -> None:
    """Raise R1trlError if the launcher has started another number of processes than planned."""
    started = world_size()
    expected = int(os.environ.get(EXPECTED, started))
    if started != expected:
        raise R1trlError(
            f"launch.processes: {expected} were asked for, but the launcher started {started}; "
            "see launch.config"
        )


def from_main(ask: Callable[[], T]) -> T:
    """Return on every process what a function returns, or raises, on rank 0; a collective.

    What several processes read from a shared disk at the same time may differ.
    """
    if world_size() == 1:
        return ask()
    from accelerate.utils import broadcast_object_list

    barrier()
    answer: Any = (None, None)
    if is_main():
        try:
            answer = (ask(), None)
        except Exception as error:  # noqa: BLE001 - raised on all processes, below
            answer = (None, error)
    value, raised = broadcast_object_list([answer])[0]
    if raised is not None:
        raise raised
    result: T = value
    return result
