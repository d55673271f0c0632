"""The engines that run a command once on each of some nodes: Slurm by srun, Ray by r1trl's step."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from r1trl.errors import R1trlError

JOB, JOB_NODES = "SLURM_JOB_ID", ("SLURM_JOB_NUM_NODES", "SLURM_NNODES")
FIRST = "{first}"  # in a command of Ray's step: the address of the node that is the first this time
CANCEL_SECONDS = 10.0
SETUP = 'exec "$@"'


def on_nodes(
    launch: Mapping[str, Any],
    command: Sequence[str],
    name: str = "r1trl",
    *,
    labelled: bool = False,
) -> list[str]:
    """Return the command that runs another once on each node of a launch, and ends with it.

    `name` is that of Slurm's step, by which `cancel` ends it. `labelled` lines of several nodes
    never mix, but each has something in front. Raises R1trlError if there are no such nodes.
    """
    own = [*_setup(launch["setup"]), *command]
    if launch["how"] == "slurm":
        check_job(launch["nodes"])
        return [*srun(launch, name), *(("--label",) if labelled else ()), *own]
    if launch["how"] == "ray":
        return [*ray_step(launch), *own]
    return own


def _setup(lines: Sequence[str]) -> list[str]:
    return ["bash", "-c", "\n".join(["set -e", *lines, SETUP]), "r1trl"] if lines else []


def srun(launch: Mapping[str, Any], name: str) -> list[str]:
    """Return a step of this Slurm job: one task on each of its first nodes, with all of the node.

    `--overlap`, as other steps may be at work there: servers, or this run's last one, which ends.
    """
    nodes = str(launch["nodes"])
    own: dict[str, Any] = {"nodes": nodes, "ntasks": nodes, "ntasks-per-node": "1", "relative": "0"}
    own |= {"overlap": True, "kill-on-bad-exit": "1", "job-name": name}
    return ["srun", *options({**own, **launch["srun"]})]


def cancel(launch: Mapping[str, Any], name: str) -> None:
    """Kill a step of Slurm on all nodes, which would live on without its srun."""
    if launch["how"] != "slurm":
        return
    with suppress(OSError, subprocess.SubprocessError):
        job = os.environ.get(JOB, "")
        listed = ["squeue", "--steps", "--noheader", f"--job={job}", "--format=%i %j"]
        steps = subprocess.run(listed, capture_output=True, text=True, timeout=CANCEL_SECONDS)
        for line in steps.stdout.splitlines():
            step, _, own = line.strip().partition(" ")
            if own.strip() == name:
                killed = ["scancel", "--signal=KILL", step]
                subprocess.run(killed, capture_output=True, timeout=CANCEL_SECONDS)


def options(given: Mapping[str, Any]) -> list[str]:
    """Return options by their long names as arguments; True is one without a value."""
    wanted = [(name, v) for name, v in given.items() if v is not None and v is not False]  # but 0
    return [f"--{name}" if v is True else f"--{name}={v}" for name, v in wanted]


def ray_step(launch: Mapping[str, Any]) -> list[str]:
    """Return a step of a Ray cluster: one task on each of some nodes."""
    resources = [f"--resource={name}={n:g}" for name, n in launch["resources"].items()]
    own = [f"--address={launch['address']}", f"--nodes={launch['nodes']}"]
    own += [f"--processes={launch['processes']}", *resources]
    own += [f"--environment={name}" for name in launch["environment"]]
    return [sys.executable, "-m", "r1trl.launch.rays", *own, "--"]


def check_job(nodes: int) -> None:
    """Raise R1trlError unless this process is in a Slurm job of so many nodes."""
    if JOB not in os.environ:
        raise R1trlError(
            "launch.how: slurm starts steps of a job, and this is none; use r1trl submit in place "
            "of r1trl run, or begin a job with salloc"
        )
    has = next((int(os.environ[name]) for name in JOB_NODES if name in os.environ), 1)
    if has < nodes:
        names = os.environ.get("SLURM_JOB_NODELIST", "")
        raise R1trlError(f"launch.nodes: {nodes}, but this Slurm job has {has} ({names})")
