"""A Slurm on hosts: its controller on `ctl`, a daemon on each other host, as Debian packs it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from host import Command
from hosts import Hosts
from ranks import wait_for

NEEDS = ("munged", "slurmctld", "slurmd", "srun")
NAME = "r1trl"
SLURMD = "/usr/sbin/slurmd"
FOLDERS = ("log", "spool", "state")
# Waits that sites count in minutes take seconds: `cred_expire` is the time until a requeued job
# may start again (120 s without it; 5 at least). Cores are as many as said, whatever there are.
CONFIGURATION = """
ClusterName={name}
SlurmctldHost=ctl({address})
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={requeue_delay}
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.txt
SlurmdLogFile={folder}/log/slurmd-%n.txt
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout={down_after}
InactiveLimit=0
KillWait=5
MinJobAge=60
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
"""
NODE = "NodeName={name} NodeAddr={address} CPUs=2 RealMemory=8000 State=UNKNOWN"


def missing() -> str:
    """Return which programs of Slurm this machine lacks; empty: none."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    return ", ".join(program for program in NEEDS if not shutil.which(program, path=path))


class Slurm:
    """A Slurm with its files in a folder, ready on entry and ended on exit with all of its jobs.

    Its commands run on `ctl`, by `ask`, or on any host with `environment`. Jobs of the partition
    `urgent` preempt those of `all`, the default: these are requeued.
    """

    def __init__(
        self, hosts: Hosts, folder: Path, *, requeue_delay: int = 5, down_after: int = 60
    ) -> None:
        self.hosts, self.folder = hosts, folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._numbers = {"requeue_delay": requeue_delay, "down_after": down_after}
        self._daemons: list[Command] = []

    def __enter__(self) -> Self:
        try:
            self._write()
            self._start()
            self.ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for k in (0, *self.hosts.numbers):
            self.hosts.kill_all(k, SLURM_CONF=self.environment["SLURM_CONF"])
        for daemon in self._daemons:
            daemon.wait()

    def _write(self) -> None:
        """Write the configuration and munge's key."""
        for name in FOLDERS:
            (self.folder / name).mkdir()
        nodes = [
            NODE.format(name=self.hosts.name(k), address=self.hosts.address(k))
            for k in self.hosts.numbers
        ]
        text = CONFIGURATION.format(
            name=NAME,
            folder=self.folder,
            address=self.hosts.address(0),
            nodes="\n".join(nodes),
            **self._numbers,
        )
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)

    def _start(self) -> None:
        """Start the daemons, each writing to a file of `log`."""
        munge = {
            "key-file": "munge.key",
            "seed-file": "munge.seed",
            "socket": "munge.socket",
            "pid-file": "munge.pid",
            "log-file": "log/munge.txt",
        }
        paths = [f"--{option}={self.folder / name}" for option, name in munge.items()]
        self._daemon(0, ["/usr/sbin/munged", "--foreground", "--force", *paths])
        wait_for((self.folder / "munge.socket").exists)
        self._daemon(0, ["/usr/sbin/slurmctld", "-D", "-c"])
        for k in self.hosts.numbers:
            self._daemon(k, [SLURMD, "-D"])

    def _daemon(self, k: int, command: Sequence[str]) -> None:
        name = f"{Path(command[0]).name}-{self.hosts.name(k)}-out.txt"
        with (self.folder / "log" / name).open("a") as log:
            out = {"stdout": log, "stderr": subprocess.STDOUT}
            self._daemons.append(self.hosts.on(k, command, env=self.environment, **out))

    def on(self, command: Sequence[str | Path], **popen: Any) -> Command:
        """Start a command on `ctl`."""
        return self.hosts.on(0, command, **{"env": self.environment, **popen})

    def ask(self, command: Sequence[str | Path], seconds: float = 60.0, **popen: Any) -> str:
        """Run a command on `ctl` and return what it prints; fail if it does not end with 0."""
        return self.hosts.ask(0, command, seconds, **{"env": self.environment, **popen})

    def state(self, job: str) -> str:
        """Return the state of a job, such as RUNNING."""
        shown = self.ask(["scontrol", "--oneliner", "show", "job", job])
        return shown.split("JobState=")[1].split()[0]

    def ready(self, seconds: float = 60.0) -> None:
        """End all jobs, start what has ended on hosts, and wait until these are idle."""
        wait_for(self._answers, seconds)
        for how in (["--signal=KILL", "--full"], []):  # at once; then what has not begun yet
            self.ask(["scancel", "--quiet", "--user=root", *how])
        for k in self.hosts.numbers:
            if "down" in self._state(k) or not self.hosts.processes(k, SLURMD):
                self._restart(k)
        wait_for(self._idle, seconds)
        for k in self.hosts.numbers:  # tasks whose daemon was killed are left alone by Slurm
            self.hosts.kill_all(k, SLURM_CLUSTER_NAME=NAME)

    def _restart(self, k: int) -> None:
        """Start a host's daemon anew: it says at once that it is there."""
        self.hosts.kill_all(k, SLURM_CONF=self.environment["SLURM_CONF"])
        self._daemon(k, [SLURMD, "-D"])

    def _state(self, k: int) -> str:
        """Return the state of a host, such as `idle`, and `down*` if it does not answer."""
        name = self.hosts.name(k)
        return self.ask(["sinfo", "--noheader", f"--nodes={name}", "-p", "all", "--format=%T"])

    def _answers(self) -> bool:
        with self.on(["scontrol", "ping"], stdout=subprocess.PIPE) as asked:
            return b"UP" in asked.communicate()[0]

    def _idle(self) -> bool:
        return all(self._state(k).strip() == "idle" for k in self.hosts.numbers)
