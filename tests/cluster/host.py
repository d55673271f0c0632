"""One host: namespaces of Linux in which commands run as on a machine of their own.

A host has its own network, name, processes (a process id of one host means nothing on another),
shared memory and mounts; it shares the files. Its first process dies with the process that made
it, and Linux then kills the host's other processes, daemons too: none is left, whatever happened.
Root is needed.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from processes import command_line, has_variables, kill, runs

NAMESPACES = ("--net", "--uts", "--mount", "--ipc", "--pid")
# Children that nobody waits for are reaped: the first process ignores their ends.
FIRST = ("env", "--ignore-signal=CHLD", "sleep", "infinity")
DIES_WITH_ITS_MAKER = ("setpriv", "--pdeathsig", "KILL")
NEEDS = ("unshare", "nsenter", "setpriv", "ip", "tc")


def missing() -> str:
    """Return why this machine can have no hosts; empty: it can."""
    if os.geteuid():
        return "root is needed"
    absent = [program for program in NEEDS if not shutil.which(program)]
    if absent:
        return f"no program {', '.join(absent)}"
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True)
    return tried.stderr.decode().strip()


class Command(subprocess.Popen[Any]):
    """A command on a host. Its signals reach the command, and its status is the command's.

    `pid` is that of a process outside, which waits for it and is stopped while it is.
    """

    def send_signal(self, sig: int) -> None:
        """Send a signal to the command, unless it has ended."""
        while self.poll() is None:
            for process in psutil.Process(self.pid).children():
                process.send_signal(sig)
                if sig in (signal.SIGCONT, signal.SIGKILL):
                    os.kill(self.pid, signal.SIGCONT)
                return
            time.sleep(0.01)

    def resume(self) -> None:
        """Let the process outside go on if the command was killed while it was stopped."""
        if self.poll() is None and not any(map(runs, psutil.Process(self.pid).children())):
            os.kill(self.pid, signal.SIGCONT)


class Host:
    """A host with a name; `first` is its first process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands: list[Command] = []
        made = ("unshare", *NAMESPACES, "--mount-proc", "--fork", "--kill-child")
        maker = [*DIES_WITH_ITS_MAKER, *made, *FIRST]
        self._maker = subprocess.Popen(maker, stderr=subprocess.PIPE, text=True)
        self.first = self._first()
        self.ask(["hostname", name])
        self.ask(["ip", "link", "set", "lo", "up"])
        self.ask(["mount", "-t", "tmpfs", "shm", "/dev/shm"])

    def _first(self) -> psutil.Process:
        """Wait for the first process."""
        maker = psutil.Process(self._maker.pid)
        while True:
            if self._maker.poll() is not None:
                raise RuntimeError(f"{self.name}: {self._maker.communicate()[1]}")
            for process in maker.children():
                if process.name() == "sleep":
                    return process
            time.sleep(0.005)

    def on(self, command: Sequence[str | Path], **popen: Any) -> Command:
        """Start a command on the host, in the folder `cwd` or this process's.

        `popen` is passed to Popen; without `stdin` there is nothing to read.
        """
        folder = popen.pop("cwd", os.getcwd())
        enter = ("nsenter", f"--target={self.first.pid}", *NAMESPACES, f"--wdns={folder}")
        self.commands.append(Command([*enter, *command], **{"stdin": subprocess.DEVNULL, **popen}))
        return self.commands[-1]

    def ask(self, command: Sequence[str | Path], seconds: float = 60.0, **popen: Any) -> str:
        """Run a command on the host and return what it prints; fail if it does not end with 0."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with self.on(command, **{**pipes, **popen}) as started:
            try:
                printed, _ = started.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                started.kill()
                raise
        self.commands.remove(started)
        assert not started.returncode, f"{self.name}: {command}: {started.returncode}\n{printed}"
        return str(printed)

    def own_folder(self, at: Path, source: Path | None = None) -> None:
        """Give the host a folder of its own at a path: `source`, or an empty one in memory."""
        at.mkdir(parents=True, exist_ok=True)
        what = ["--bind", source] if source else ["-t", "tmpfs", "own"]
        self.ask(["mount", *what, at])

    def shared_folder(self, at: Path) -> None:
        """Take back `own_folder`."""
        self.ask(["umount", "--lazy", at])

    def processes(self, text: str = "") -> list[psutil.Process]:
        """Return what runs on the host, with ids as seen from outside; not its first process.

        With a text, that with this text in its command line.
        """
        here = os.readlink(f"/proc/{self.first.pid}/ns/pid")
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                # A sandbox on the host has namespaces of its own: its parent is on the host.
                if os.readlink(f"/proc/{process.pid}/ns/pid") == here or process.ppid() in found:
                    found[process.pid] = process
            except (OSError, psutil.NoSuchProcess):  # ended meanwhile
                continue
        return [
            p for p in found.values() if p != self.first and runs(p) and text in command_line(p)
        ]

    def kill_all(self, **variables: str) -> None:
        """Kill what runs on the host, or what was started with these variables, with children."""
        while doomed := [
            p for p in self.processes() if not variables or has_variables(p, variables)
        ]:
            for process in doomed:
                kill(process)
        for command in self.commands:
            command.resume()

    def stop(self) -> None:
        """End the host and all that runs on it."""
        self.first.kill()
        self._maker.communicate()
        for command in self.commands:
            command.kill()
            command.wait()
