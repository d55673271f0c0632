"""Which of a stage's processes this one is; launchers say so in the environment."""

import os

from r1trl.errors import R1trlError

EXPECTED = "R1TRL_PROCESSES"


def rank() -> int:
    """Return this process's number among all."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return how many processes the stage has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Tell whether this is process 0, which writes what is written once."""
    return rank() == 0


def wait() -> None:
    """Wait for all processes, where there are several."""
    if world_size() > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available()).wait_for_everyone()


def check_world() -> None:
    """Raise R1trlError where the launcher has started more or fewer processes than it was told."""
    expected = int(os.environ.get(EXPECTED, world_size()))
    if world_size() != expected:
        raise R1trlError(
            f"launch.processes: {expected} were asked for, but the launcher started {world_size()}; "
            "see launch.config"
        )
