"""The rank of this process among those of a stage, from the environment that launchers set."""

import os

from r1trl.errors import R1trlError
from r1trl.stage.devices import uses_gpu

EXPECTED = "R1TRL_PROCESSES"


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
