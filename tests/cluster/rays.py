"""A Ray on hosts: its head on `n1`, a raylet on each other host, as `ray start` makes them."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from host import Command
from hosts import Hosts

PORT = 6379
RAY = (str(Path(sys.executable).parent / "ray"), "start", "--disable-usage-stats")
SIZE = ("--num-cpus=2", f"--object-store-memory={80 * 2**20}")
# Sockets are below Ray's folder, and their paths may have about 100 characters.
OWN = Path("/tmp/ray")
# No warnings on standard error about a full disk, accelerators and metrics that nobody asked for.
QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_local_fs_capacity_threshold": "1",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",  # else a test beside others waits for ever
}


class Rays:
    """A Ray with a node on each host, ready on entry and ended on exit with all of its workers.

    Each host has its logs in a folder of its own, `folder/<name>`, which it sees as `/tmp/ray`.
    """

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.address = f"{hosts.address(1)}:{PORT}"
        self.environment = {**os.environ, **QUIET, "RAY_ADDRESS": self.address}
        self._mark = {"R1TRL_TEST_RAY": str(folder)}
        self._own: list[int] = []

    def __enter__(self) -> Self:
        try:
            for k in self.hosts.numbers:
                self.start(k)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for k in self.hosts.numbers:
            self.kill(k)
        while self._own:
            self.hosts.shared_folder(self._own.pop(), OWN)

    def start(self, k: int) -> None:
        """Start Ray on host k: the head on the first, a raylet on another."""
        if k not in self._own:
            logs = self.folder / self.hosts.name(k)
            logs.mkdir()
            self.hosts.own_folder(k, OWN, logs)
            self._own.append(k)
        head = ("--head", f"--port={PORT}", "--include-dashboard=false")
        role = head if k == 1 else (f"--address={self.address}",)
        where = f"--node-ip-address={self.hosts.address(k)}"
        environment = {k: v for k, v in self.environment.items() if k != "RAY_ADDRESS"}
        environment |= self._mark
        self.hosts.ask(k, [*RAY, *role, where, *SIZE], seconds=180, env=environment)

    def kill(self, k: int) -> None:
        """Kill Ray on host k with its workers; `start` starts it again."""
        self.hosts.kill_all(k, **self._mark)

    def ready(self) -> None:
        """Start Ray anew where it has ended or was cut off, and everywhere if its head was."""
        numbers = self.hosts.numbers
        lost = {k for k in numbers if not self.hosts.processes(k, "raylet/raylet")}
        lost |= self.hosts.were_cut  # the others have given them up, which they learn when mended
        self.hosts.were_cut.clear()
        again = numbers if 1 in lost else sorted(lost)
        for k in again:
            self.kill(k)
        for k in again:
            self.start(k)

    def on(self, command: Sequence[str | Path], **popen: Any) -> Command:
        """Start a command, a driver for example, on `n1`."""
        return self.hosts.on(1, command, **{"env": self.environment, **popen})

    def ask(self, command: Sequence[str | Path], seconds: float = 60.0, **popen: Any) -> str:
        """Run a command on `n1` and return what it prints; fail if it does not end with 0."""
        return self.hosts.ask(1, command, seconds, **{"env": self.environment, **popen})
