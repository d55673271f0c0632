"""The rank of this process among those of a stage, from the environment that launchers set."""

import functools
import os
import pickle
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from r1trl.errors import R1trlError, raised
from r1trl.stage.devices import uses_gpu

EXPECTED = "R1TRL_PROCESSES"
NODE = "R1TRL_NODE"  # the number of a node among those of a stage, from 0
SLURM_NODE = "SLURM_NODEID"
# How many processes a launcher says that it starts: Slurm's, and those of MPI.
LAUNCHED = ("SLURM_NTASKS", "PMI_SIZE", "PMIX_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
PATIENCE = timedelta(days=365)
T = TypeVar("T")


def rank() -> int:
    """Return the rank of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of processes of the stage."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_node(nodes: int) -> int:
    """Return the number of this node among those of a stage; raise R1trlError if none says it."""
    if nodes == 1:
        return 0
    for name in (NODE, SLURM_NODE):
        if name in os.environ:
            return int(os.environ[name])
    raise R1trlError(f"neither {NODE} nor {SLURM_NODE} says which of {nodes} nodes this is")


def is_main() -> bool:
    """Return True on rank 0, which writes the stage's files."""
    return rank() == 0


def join(timeout: float | None = None) -> None:
    """Make the process group of a stage's processes, unless it is there: a collective.

    A collective that takes longer than `timeout`, in seconds, fails. None: torch's own. What waits
    by accelerate, as TRL does while rank 0 tokenises, waits as `barrier` does.
    """
    if world_size() > 1:
        from accelerate import PartialState

        named = {} if timeout is None else {"timeout": timedelta(seconds=timeout)}
        PartialState(cpu=not uses_gpu(), **named)
        _waiting_group()
        PartialState.wait_for_everyone = lambda self: barrier()


@functools.cache
def _waiting_group() -> Any:
    """Return the group in which processes wait for one that works long, as for rank 0's filters."""
    import torch.distributed as dist

    return dist.new_group(backend="gloo", timeout=PATIENCE)


def barrier() -> None:
    """Wait for all processes of the stage; a collective.

    There is no time-out: whether the others still come on is watched by other means (r1trl.watch).
    """
    if world_size() > 1:
        import torch.distributed as dist

        join()
        dist.barrier(group=_waiting_group())


def check_world() -> None:
    """Raise R1trlError if the launcher has started another number of processes than planned.

    Also if it has started several without saying which of them this is: each would be rank 0.
    """
    started = world_size()
    expected = int(os.environ.get(EXPECTED, started))
    if started != expected:
        raise R1trlError(
            f"launch.processes: {expected} were asked for, but the launcher started {started}; "
            "see launch.config"
        )
    if {EXPECTED, "RANK", "WORLD_SIZE"} & os.environ.keys():
        return
    for name in LAUNCHED:
        if (number := os.environ.get(name, "")).isdecimal() and int(number) > 1:
            raise R1trlError(
                f"{name}={number}: the launcher starts {number} processes, but this one has no "
                "RANK, and each would take itself for the first; start them with torchrun or "
                f"accelerate launch, or one alone with {name}=1"
            )


def from_main(ask: Callable[[], T]) -> T:
    """Return on every process what a function returns, or raises, on rank 0; a collective.

    The others wait as in `barrier`. What several processes read from a shared disk at the same time
    may differ.
    """
    if world_size() == 1:
        return ask()
    import torch.distributed as dist

    join()
    answer: Any = (None, None)
    failed: Exception | None = None
    if is_main():
        try:
            answer = (ask(), None)
        except Exception as error:  # noqa: BLE001 - raised on all processes, below
            failed, answer = error, (None, _portable(error))
    told = [answer]
    dist.broadcast_object_list(told, src=0, group=_waiting_group())
    value, elsewhere = told[0]
    if problem := failed or elsewhere:
        raise problem
    result: T = value
    return result


def _portable(error: Exception) -> Exception:
    """Return an error as another process can raise it: not every one can be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - of this process
    except Exception:  # noqa: BLE001 - whatever a class of somebody's raises
        return R1trlError(raised(error))
    return error


def from_all(value: T) -> list[T]:
    """Return what every process gives, in the order of ranks; a collective that waits."""
    if world_size() == 1:
        return [value]
    import torch.distributed as dist

    join()
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value, group=_waiting_group())
    return values


def in_turn(work: str, count: int) -> Iterator[int]:
    """Yield numbers below `count`, each on one process of the stage: the first that asks for it.

    `work` names what is numbered, alike on all processes. The count is kept by the process group of
    this attempt, so what a process that dies has taken is free in the next one.
    """
    if world_size() == 1:
        yield from range(count)
        return
    store = _store()
    while (number := int(store.add(f"r1trl/{work}", 1)) - 1) < count:
        yield number


def _store() -> Any:
    """Return what the processes of the group met by, and share small values in."""
    from torch.distributed.distributed_c10d import _get_default_store

    join()
    return _get_default_store()
