"""What goes wrong on a cluster, done to a run that trains there; each ends it, or Slurm goes on."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cluster_run import ClusterRun
from ranks import wait_for

END_SECONDS = 60.0  # within which nothing of a run is left anywhere
FAR = 2  # the host of rank 1; the command runs on the first one


@dataclass(frozen=True)
class Fault:
    """What is done; `says` is in what the user is then told. With `goes_on` Slurm continues it."""

    do: Callable[[ClusterRun], object]
    says: str
    engines: Sequence[str] = ("slurm", "ray")
    goes_on: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: after how many seconds all had ended, and what was said."""

    name: str
    step: int
    seconds: float
    said: str


def kill_rank(run: ClusterRun) -> None:
    """Kill rank 1."""
    run.ranks()[FAR].kill()


def stop_rank(run: ClusterRun) -> None:
    """Stop rank 1: it lives, and does nothing."""
    run.ranks()[FAR].send_signal(signal.SIGSTOP)


def kill_host(run: ClusterRun) -> None:
    """Kill all processes of a host, the engine's too."""
    run.hosts.kill_all(FAR)


def cut(run: ClusterRun) -> None:
    """Pull the cable of a host."""
    run.hosts.cut(FAR)


def slow(run: ClusterRun) -> None:
    """Make the cable of a host so slow that nothing comes through in time."""
    run.hosts.slow(FAR, "2kbit")


def kill_driver(run: ClusterRun) -> None:
    """Kill the command."""
    for k in (0, *run.hosts.numbers):
        for process in run.hosts.processes(k, "r1trl.cli run"):
            process.kill()


def leave(run: ClusterRun) -> None:
    """Signal the command to leave."""
    for process in run.hosts.processes(1, "r1trl.cli run"):
        os.kill(process.pid, signal.SIGUSR1)


def asked_by_slurm(*command: str) -> Callable[[ClusterRun], object]:
    """Return a function that asks Slurm something of the job."""
    return lambda run: run.engine.ask([*command, run.job])


LOST = "has not reached"
FAULTS = {
    "rank killed": Fault(kill_rank, "(n2, pid "),
    "rank stopped": Fault(stop_rank, "it gave no sign of life for"),
    "host killed": Fault(kill_host, "n2"),
    "cable cut": Fault(cut, LOST),
    "cable slow": Fault(slow, LOST),
    "driver killed": Fault(kill_driver, ""),
    "SIGUSR1": Fault(leave, "left early (SIGUSR1): checkpoint-", ("ray",)),
    "scancel --batch --signal=USR1": Fault(
        asked_by_slurm("scancel", "--batch", "--signal=USR1"),
        "is queued again",
        ("slurm",),
        goes_on=True,
    ),
    "scancel --signal=USR1": Fault(
        asked_by_slurm("scancel", "--signal=USR1"),
        "left early (a signal to a worker)",
        ("slurm",),
        goes_on=True,
    ),
    "scontrol requeue": Fault(asked_by_slurm("scontrol", "requeue"), "", ("slurm",), goes_on=True),
    "scancel": Fault(asked_by_slurm("scancel"), "it is not queued again", ("slurm",)),
}


def disturbed(run: ClusterRun, names: Sequence[str]) -> Iterator[Outcome]:
    """Start a run and let it meet faults, continuing it after each; yield what became of each."""
    run.start()
    for name in names:
        fault, before = FAULTS[name], len(run.said)
        run.at_step(run.steps() + 3)
        step, starts, began = run.steps(), run.starts, time.monotonic()
        fault.do(run)
        if fault.goes_on:
            wait_for(lambda: run.starts > starts, END_SECONDS)  # noqa: B023 - called here
            run.at_step(run.steps() + 1)
            yield Outcome(name, step, time.monotonic() - began, run.said[before:])
            continue
        run.ended(END_SECONDS)
        seconds = time.monotonic() - began
        run.hosts.mend(FAR)
        run.engine.ready()
        yield Outcome(name, step, seconds, run.said[before:])
        run.start()
    run.finished()
