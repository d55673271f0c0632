"""A run as a Slurm job: its batch script, submitting it, and putting it into the queue again."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1trl.errors import ConfigError, R1trlError
from r1trl.launch.engines import JOB, options
from r1trl.plan.plan import Plan
from r1trl.process.terminal import say
from r1trl.serve.layout import nodes_of
from r1trl.storage.writing import write_text

SCRIPT, OUTPUT = "submit.sh", "slurm-%j.txt"
REQUEUES, RESTARTS = "R1TRL_REQUEUES", "SLURM_RESTART_COUNT"
NOTICE = 60  # seconds more than launch.grace before Slurm ends the job
RUNNING = "RUNNING"
SECONDS = 60.0  # of a command of Slurm


def batch_script(plan: Plan, command: Sequence[str]) -> str:
    """Return the batch script of a run: its driver, on the first of as many nodes as it needs.

    It becomes the driver, so that the signals of the job reach that, and the job's end ends the
    steps. Raises ConfigError if no stage is launched by Slurm.
    """
    slurm = [stage for stage in plan.stages if stage.launch["how"] == "slurm"]
    if not slurm:
        raise ConfigError(["launch.how: no stage is launched by Slurm; give launch=slurm too"])
    launch = asdict(plan.config.launch)
    own: dict[str, Any] = {
        "job-name": f"r1trl-{plan.config.name}",
        "nodes": max(stage.launch["nodes"] + nodes_of(stage.config.serve) for stage in slurm),
        "output": str((plan.folder / OUTPUT).absolute()),
        "signal": f"B:USR1@{int(max(stage.launch['grace'] for stage in slurm)) + NOTICE}",
        "requeue": True,
        "open-mode": "append",
    }
    lines = [f"#SBATCH {shlex.quote(option)}" for option in options({**own, **launch["sbatch"]})]
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "set -e",
            f"cd {shlex.quote(os.getcwd())}",
            *launch["setup"],
            f"export {REQUEUES}={launch['requeues']}",
            f"exec {shlex.join(command)}",
            "",
        ]
    )


def submit(plan: Plan, script: str) -> int:
    """Write and submit a run's batch script; print how to follow it; return the exit status."""
    if shutil.which("sbatch") is None:
        raise R1trlError("sbatch is not here: submit from a machine of the Slurm cluster")
    path = plan.folder / SCRIPT
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_text(path, script)
    done = _slurm("sbatch", "--parsable", str(path))
    if done.returncode:
        raise R1trlError(f"sbatch refuses {path}: {done.stderr.strip() or done.stdout.strip()}")
    job = done.stdout.strip().partition(";")[0]
    output = plan.folder / OUTPUT.replace("%j", job)
    say(f"job {job} is submitted")
    say(f"  follow it    tail -F {output}")
    say(f"  its state    squeue --job {job}")
    say(f"  leave early  scancel --batch --signal=USR1 {job}    (saved; it is queued again)")
    say(f"  end it       scancel {job}")
    return 0


def driver_command(overrides: Sequence[str], config_dir: Path | None) -> list[str]:
    """Return the command of the run that a batch script becomes."""
    named = [f"--config-dir={config_dir}"] if config_dir else []
    return [sys.executable, "-m", "r1trl.cli", "run", *named, *overrides]


def requeue(environment: Mapping[str, str] = os.environ) -> None:
    """Put this job, which r1trl has submitted and left early, into the queue again.

    The very last act of a driver: Slurm ends the job at once. No more than `launch.requeues` times.
    """
    job, most = environment.get(JOB), environment.get(REQUEUES)
    if job is None or most is None:
        return
    count = int(environment.get(RESTARTS, "0"))
    if count >= int(most):
        say(f"job {job} has been queued again {count} times, launch.requeues={most}: it ends here")
        return
    if (state := _state(job)) != RUNNING:
        say(f"job {job} is {state}: it is not queued again")
        return
    say(f"job {job} is queued again ({count + 1} of {most})")
    done = _slurm("scontrol", "requeue", job)
    if done.returncode:
        say(f"error: scontrol requeue {job}: {done.stderr.strip()}", error=True)


def _state(job: str) -> str:
    """Return the state of a job, as Slurm calls it; one that somebody has cancelled stays so."""
    shown = _slurm("scontrol", "--oneliner", "show", "job", job).stdout
    found = re.search(r"\bJobState=(\w+)", shown)
    return found[1] if found else "unknown to Slurm"


def _slurm(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
