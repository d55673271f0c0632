"""Hosts on one machine, with cables to a switch: what a cluster is to those who start processes.

Host 0, `ctl`, is where users log in, and has the switch; hosts 1, 2, … are `n1`, `n2`, …, the
machines that compute. Names are resolved by `/etc/hosts`. All sets of hosts have the same names
and addresses, since nobody outside a set sees its network.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psutil
from host import Command, Host

ADDRESS = "10.77.0.{}"
# The first connection attempt to a name server fails at once, as there is none.
RESOLVER = "options timeout:1 attempts:1\n"
BURST = ("burst", "32kbit", "latency", "400ms")


class Hosts:
    """Host 0 and `count` more, made on entry and ended on exit with all that runs on them."""

    def __init__(self, count: int = 2) -> None:
        self.numbers = range(1, count + 1)
        self.names = [self.name(k) for k in self.numbers]
        self.were_cut: set[int] = set()
        self._hosts: list[Host] = []
        self._slow: set[int] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        for k in (0, *self.numbers):
            self._hosts.append(Host(self.name(k)))
            self._stack.callback(self._hosts[k].stop)
        self._name()
        self.ask(0, ["ip", "link", "add", "switch", "type", "bridge"])
        self._connect(0, "switch")
        for k in self.numbers:
            self._plug(k)
            self._connect(k, "eth0")

    def _name(self) -> None:
        """Tell each host the names of all; its mounts keep the files when their folder is gone."""
        lines = [f"{self.address(k)} {self.name(k)}\n" for k in (0, *self.numbers)]
        texts = {"hosts": "".join(["127.0.0.1 localhost\n", *lines]), "resolv.conf": RESOLVER}
        with tempfile.TemporaryDirectory(prefix="r1trl-hosts-") as folder:
            for name, text in texts.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
                for k in (0, *self.numbers):
                    self.ask(k, ["mount", "--bind", f"{folder}/{name}", f"/etc/{name}"])

    def _plug(self, k: int) -> None:
        """Lay a cable from the switch to a host; from outside, where both can be named."""
        switch, host = (str(self._hosts[i].first.pid) for i in (0, k))
        cable = ["ip", "link", "add", f"v{k}", "netns", switch, "type", "veth"]
        subprocess.run([*cable, "peer", "name", "eth0", "netns", host], check=True)
        self.ask(0, ["ip", "link", "set", f"v{k}", "master", "switch", "up"])

    def _connect(self, k: int, device: str) -> None:
        self.ask(k, ["ip", "address", "add", f"{self.address(k)}/24", "dev", device])
        self.ask(k, ["ip", "link", "set", device, "up"])

    @staticmethod
    def name(k: int) -> str:
        """Return the name of host k."""
        return f"n{k}" if k else "ctl"

    @staticmethod
    def address(k: int) -> str:
        """Return the address of host k."""
        return ADDRESS.format(10 + k)

    def on(self, k: int, command: Sequence[str | Path], **popen: Any) -> Command:
        """Start a command on host k; see Host.on."""
        return self._hosts[k].on(command, **popen)

    def ask(
        self, k: int, command: Sequence[str | Path], seconds: float = 60.0, **popen: Any
    ) -> str:
        """Run a command on host k and return what it prints; fail if it does not end with 0."""
        return self._hosts[k].ask(command, seconds, **popen)

    def cut(self, k: int) -> None:
        """Pull the cable of host k: nothing arrives, and nobody is told."""
        self.ask(0, ["ip", "link", "set", f"v{k}", "down"])
        self.were_cut.add(k)

    def slow(self, k: int, rate: str) -> None:
        """Limit the cable of host k in both directions to a rate of `tc`, such as 1mbit."""
        for host, device in ((0, f"v{k}"), (k, "eth0")):
            limit = ["root", "tbf", "rate", rate, *BURST]
            self.ask(host, ["tc", "qdisc", "replace", "dev", device, *limit])
        self._slow.add(k)
        self.were_cut.add(k)  # for those who wait for an answer

    def mend(self, k: int) -> None:
        """Plug the cable of host k in again, at full rate."""
        self.ask(0, ["ip", "link", "set", f"v{k}", "up"])
        if k in self._slow:
            for host, device in ((0, f"v{k}"), (k, "eth0")):
                self.ask(host, ["tc", "qdisc", "del", "dev", device, "root"])
            self._slow.remove(k)

    def own_folder(self, k: int, at: Path, source: Path | None = None) -> None:
        """Give host k a folder of its own at a path: `source`, or an empty one in memory."""
        self._hosts[k].own_folder(at, source)

    def shared_folder(self, k: int, at: Path) -> None:
        """Take back `own_folder`."""
        self._hosts[k].shared_folder(at)

    def processes(self, k: int, text: str = "") -> list[psutil.Process]:
        """Return what runs on host k, with a text in its command line; ids as seen from outside."""
        return self._hosts[k].processes(text)

    def pids(self, k: int) -> list[int]:
        """Return the ids, as seen from outside, of what runs on host k."""
        return [process.pid for process in self.processes(k)]

    def kill_all(self, k: int, **variables: str) -> None:
        """Kill what runs on host k, or what has these variables; the network stays."""
        self._hosts[k].kill_all(**variables)
