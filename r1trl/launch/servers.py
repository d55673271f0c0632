"""A driver's side of a stage's servers: steps of the stage's engine that start them on nodes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from r1trl.config.stage_parts import POLICY, ServeConfig
from r1trl.launch.engines import cancel, check_job, on_nodes
from r1trl.process.terminal import newest_lines
from r1trl.serve.layout import Group, groups_of, nodes_of, servers_of
from r1trl.serve.states import FOLDER, failure, forget
from r1trl.stage.devices import NO_GPU
from r1trl.watch.processes import end_trees

LOG = "nodes.txt"  # in the stage's folder serve/: what its nodes say
HERE = ("local", "accelerate")


class Servers:
    """Starts a stage's servers, and ends them with the block; `failed` is why they have ended.

    `environment` is added to theirs.
    """

    def __init__(
        self,
        folder: Path,
        serve: Mapping[str, ServeConfig],
        launch: Mapping[str, Any],
        environment: Mapping[str, str],
    ) -> None:
        self.folder, self.serve, self.launch = folder, serve, launch
        self.environment = environment
        self._steps: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Start the steps; raise R1trlError if the allocation has not so many nodes."""
        if not self.serve:
            return self
        forget(self.folder)
        if self.launch["how"] == "slurm":
            check_job(self.launch["nodes"] + nodes_of(self.serve))
        try:
            for group in groups_of(self.serve, self.launch["nodes"]):
                self._start(group)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _start(self, group: Group) -> None:
        name = f"r1trl-{os.getpid()}-{group.name}"
        launch, own = self._launch(group), self.launch
        processes = "0" if own["how"] == "ray" or POLICY in self.serve else str(own["processes"])
        host = "127.0.0.1" if own["how"] in HERE else "0.0.0.0"  # noqa: S104 - other nodes ask
        words = [str(self.folder), group.name, str(group.nodes), host, processes]
        environment = {**self.environment, **launch["environment"]}
        with (self.folder / FOLDER / LOG).open("ab") as log:
            self._steps[name] = subprocess.Popen(
                on_nodes(launch, [sys.executable, "-m", "r1trl.serve.node", *words], name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def _launch(self, group: Group) -> dict[str, Any]:
        """Return the launch of a group's step: on its nodes, under Ray with its GPUs."""
        servers, own = servers_of(group.name, self.serve), self.launch
        gpus = sum(server.gpus or own["processes"] for server in servers.values())
        srun = {"relative": str(group.offset), **own["srun"]}
        return {**own, "nodes": group.nodes, "processes": gpus, "srun": srun}

    def for_ranks(self) -> dict[str, Any]:
        """Return the launch of the stage's own processes: no GPU, if its model's server has all."""
        policy, own = self.serve.get(POLICY), dict(self.launch)
        if policy and not policy.gpus and not policy.nodes:
            own["environment"] = {**own["environment"], **NO_GPU}
        return own

    def failed(self) -> str | None:
        """Return why a server was given up, or a node of them has ended; None: all is well."""
        if problem := failure(self.folder) if self._steps else None:
            return problem
        log = self.folder / FOLDER / LOG
        for step in self._steps.values():
            if step.poll() is not None:
                said = newest_lines(log, 1) or ["it has said nothing"]
                return f"serve: a node has ended with its servers: {said[-1]}; see {log}"
        return None

    def end(self) -> None:
        """Kill the steps, on all of their nodes."""
        steps, self._steps = self._steps, {}
        for name in steps:
            cancel(self.launch, name)
        end_trees([step.pid for step in steps.values()])
