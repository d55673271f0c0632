"""The Slurm that tests of clusters run on starts steps, requeues jobs and sends signals."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hosts import Hosts
from ranks import wait_for
from slurm import Slurm

pytestmark = [pytest.mark.slow, pytest.mark.long]
STEP = ("srun", "-N2", "-n2", "--ntasks-per-node=1")
COUNT = "#!/bin/bash\necho begins ${SLURM_RESTART_COUNT:-0}\n"
REQUEUES = f'{COUNT}[ "$SLURM_RESTART_COUNT" ] || exec scontrol requeue $SLURM_JOB_ID\necho ends\n'
WAITS = f"{COUNT}srun -N2 -n2 sleep 61 & trap 'echo signal; exit' USR1; wait\n"
SUMS = """
import os, sys, time
from datetime import timedelta
import torch
import torch.distributed as dist

address, rank, *seconds = sys.argv[1:]
where = {"init_method": f"tcp://{address}:5001", "rank": int(rank), "world_size": 2}
dist.init_process_group("gloo", **where, timeout=timedelta(seconds=10))
for _ in range(*map(int, seconds)):
    total = torch.ones(3) * (int(rank) + 1)
    dist.all_reduce(total)
    print(total.tolist(), flush=True)
    time.sleep(0.1)
os._exit(0)
"""


def submit(slurm: Slurm, folder: Path, script: str, *options: str) -> tuple[str, Path]:
    """Submit a script; return its job and its output."""
    (folder / "job.sh").write_text(script)
    out = folder / "out.txt"
    how = ["--parsable", "--requeue", "--open-mode=append", f"--output={out}", *options]
    return slurm.ask(["sbatch", *how, folder / "job.sh"]).strip(), out


def begins(slurm: Slurm, out: Path, count: int = 0) -> None:
    """Wait until a job has begun anew so often, and has a step on both hosts."""
    wait_for(lambda: out.exists() and f"begins {count}" in out.read_text())
    wait_for(lambda: all(slurm.hosts.processes(k, "sleep 61") for k in (1, 2)))


def test_a_step_has_a_task_on_each_host(slurm: Slurm) -> None:
    assert sorted(slurm.ask([*STEP, "hostname"]).split()) == ["n1", "n2"]


def test_a_job_that_requeues_itself_starts_again_within_seconds(
    slurm: Slurm, tmp_path: Path
) -> None:
    job, out = submit(slurm, tmp_path, REQUEUES)
    begin = time.monotonic()
    wait_for(lambda: slurm.state(job) == "COMPLETED", 30)
    told = [line for line in out.read_text().splitlines() if not line.startswith("slurmstepd")]
    assert told == ["begins 0", "begins 1", "ends"]
    assert time.monotonic() - begin < 20


def test_a_signal_for_the_batch_script_reaches_it_and_no_step(slurm: Slurm, tmp_path: Path) -> None:
    job, out = submit(slurm, tmp_path, WAITS, "-N2")
    begins(slurm, out)
    slurm.ask(["scancel", "-b", "--signal=USR1", job])
    wait_for(lambda: slurm.state(job) == "COMPLETED")
    assert "signal" in out.read_text() and "User defined" not in out.read_text()


def test_an_urgent_job_preempts_another_which_starts_again(slurm: Slurm, tmp_path: Path) -> None:
    job, out = submit(slurm, tmp_path, WAITS, "-N2", "--exclusive")
    begins(slurm, out)
    urgent = ["srun", "--quiet", "--partition=urgent", "--exclusive", "-N1", "hostname"]
    assert slurm.ask(urgent).strip() in ("n1", "n2")
    begins(slurm, out, 1)
    assert slurm.state(job) == "RUNNING"


def test_nothing_of_a_job_is_left_when_all_are_ended(slurm: Slurm, tmp_path: Path) -> None:
    _, out = submit(slurm, tmp_path, WAITS, "-N2")
    begins(slurm, out)
    slurm.ready(10)
    assert not any(slurm.hosts.processes(k, "sleep 61") for k in (1, 2))


@pytest.mark.parametrize("fault", ["killed", "cut"])
def test_a_host_that_was_down_is_soon_ready_again(slurm: Slurm, fault: str) -> None:
    if fault == "killed":
        slurm.hosts.kill_all(2)
    else:
        slurm.hosts.cut(2)
        slurm.ask(["scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test"])
        slurm.hosts.mend(2)
    slurm.ready(15)
    assert sorted(slurm.ask([*STEP, "hostname"]).split()) == ["n1", "n2"]


def test_ranks_of_two_hosts_sum_and_fail_when_the_cable_is_cut(hosts: Hosts) -> None:
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "eth0"}
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    ranks = [
        hosts.on(k, [sys.executable, "-c", SUMS, "n1", str(k - 1), "1000"], env=environment, **out)
        for k in (1, 2)
    ]
    for rank in ranks:
        assert rank.stdout and "[3.0, 3.0, 3.0]\n" in rank.stdout  # reads until it is there
    begin = time.monotonic()
    hosts.cut(2)
    told = [rank.communicate(timeout=60)[0] for rank in ranks]
    assert time.monotonic() - begin < 45
    assert all(rank.returncode == 1 for rank in ranks), told
    assert all("gloo" in text.lower() for text in told), told
