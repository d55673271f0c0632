"""A stage's processes under accelerate, here or on many nodes, as one step of an engine."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from r1trl.errors import R1trlError
from r1trl.launch.accelerate import accelerate_config, some_port
from r1trl.launch.engines import FIRST, cancel, on_nodes
from r1trl.launch.node import CONFIG, PORT_TAKEN, WORKER
from r1trl.launch.nodes import Nodes
from r1trl.process.environment import plain
from r1trl.process.terminal import newest_lines
from r1trl.stage.logs import LOG
from r1trl.stage.ranks import EXPECTED
from r1trl.storage.writing import write_text
from r1trl.watch.processes import end_trees

SHOT = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"  # seconds that torch's launcher waits, then it kills
TRIES = 3  # with another port each
LINES = 20  # of the launcher's log, which has what nodes say before they have logs
FAILED = 1


class Steps:
    """Starts steps, one at a time; `environment` is added to theirs, `module` is what ranks run."""

    def __init__(self, environment: Mapping[str, str], module: str = WORKER) -> None:
        self.environment, self.module = environment, module
        self._nodes = Nodes(environment)
        self._step: subprocess.Popen[Any] | None = None
        self._launch: Mapping[str, Any] = {}
        self._ended, self._number = False, 0

    def run(self, folder: Path, launch: Mapping[str, Any], grace: float) -> int:
        """Run a stage's processes to their end; return the exit status of their launcher.

        Raises R1trlError if nodes are not there, or do not fit together.
        """
        self._launch, self._ended = launch, False
        write_text(folder / CONFIG, yaml.safe_dump(plain(accelerate_config(launch))))
        command = [sys.executable, "-m", "r1trl.launch.node", self.module, str(folder)]
        added = {EXPECTED: str(launch["nodes"] * launch["processes"]), SHOT: str(int(grace) + 1)}
        if launch["how"] == "accelerate":
            return self._run(command, folder, added)
        address = self._nodes.address(folder, launch)
        if launch["how"] == "ray":  # each step may have other nodes
            address = FIRST
        for _ in range(TRIES):
            meet = [str(launch["nodes"]), f"{address}:{some_port()}"]
            status = self._run([*command, *meet], folder, added)
            if not status or self._ended or not _port_is_taken(folder):
                return status
        raise R1trlError(f"{TRIES} ports at random were taken on the first node; see {folder}")

    @property
    def name(self) -> str:
        """Return the name of the step under way, among those of all drivers."""
        return f"r1trl-{os.getpid()}-{self._number}"

    def _run(self, command: list[str], folder: Path, added: Mapping[str, str]) -> int:
        environment = {**self.environment, **added, **self._launch["environment"]}
        self._number += 1
        if self._ended:
            return FAILED
        with (folder / LOG).open("ab") as log:
            self._step = subprocess.Popen(
                on_nodes(self._launch, command, self.name),
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
            return self._step.wait()

    def end(self) -> None:
        """Kill the step, on all of its nodes."""
        self._ended = True
        self._nodes.end()
        if self._step is None:
            return
        cancel(self._launch, self.name)
        end_trees([self._step.pid])


def _port_is_taken(folder: Path) -> bool:
    """Return True if the last step has failed of its port: Slurm's own status may hide it."""
    return any(PORT_TAKEN in line for line in newest_lines(folder / LOG, LINES))
