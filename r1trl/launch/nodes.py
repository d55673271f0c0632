"""The nodes of a launch, as its driver asks for them; what is wrong with them in one sentence."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.errors import R1trlError
from r1trl.identity.versions import versions
from r1trl.launch.engines import on_nodes
from r1trl.launch.probe import FOLDER, MARK, Node
from r1trl.process.terminal import short
from r1trl.process.texts import printable
from r1trl.watch.lock import run_of
from r1trl.watch.processes import end_trees

SECONDS = 60.0  # until all nodes have answered
CLOCKS = 60.0  # seconds by which clocks may differ: certificates and logs, not r1trl, need them
READ = ("how", "nodes", "srun", "address", "resources", "environment", "setup")


class Nodes:
    """Asks for nodes once for each launch that differs; `environment` is added to theirs."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self._known: dict[str, str] = {}
        self._asking: int | None = None  # the id of a process

    def end(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            end_trees([self._asking])

    def _begun(self, pid: int) -> None:
        self._asking = pid

    def address(self, folder: Path, launch: Mapping[str, Any]) -> str:
        """Return the address of a launch's first node for the others; `folder` is a stage's.

        Raises R1trlError if nodes are not there, do not share the run's folder, do not reach the
        first one, or have other versions.
        """
        key = json.dumps({name: launch[name] for name in READ}, default=str)
        if key not in self._known:
            self._known[key] = address_of(self.ask(run_of(folder), launch), run_of(folder))
        return self._known[key]

    def ask(self, run: Path, launch: Mapping[str, Any]) -> list[Node]:
        """Return what each node of a launch says; raise R1trlError if one says nothing."""
        token, shared = uuid.uuid4().hex[:12], run / FOLDER
        own = [sys.executable, "-m", "r1trl.launch.probe", str(shared), str(launch["nodes"]), token]
        try:
            told, said = hear(launch, own, self.environment, begun=self._begun)
        finally:
            self._asking = None
            shutil.rmtree(shared, ignore_errors=True)
        nodes = sorted((Node(**each) for each in told), key=lambda node: node.number)
        if len(nodes) < launch["nodes"]:
            raise R1trlError(_silent(launch, nodes, said))
        return nodes


def hear(
    launch: Mapping[str, Any],
    command: Sequence[str],
    environment: Mapping[str, str],
    seconds: float = SECONDS,
    begun: Callable[[int], None] = lambda pid: None,
) -> tuple[list[Any], str]:
    """Run a command once on each node; return what its marked lines hold, and all that was said.

    It is killed after `seconds`. `environment` is added to its own; `begun` is called with the id
    of the process. Raises R1trlError if there are no such nodes.
    """
    started = subprocess.Popen(
        on_nodes(launch, command, labelled=True),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **environment, **launch["environment"]},
        start_new_session=True,
    )
    begun(started.pid)
    try:
        said = started.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        end_trees([started.pid])
        said = started.communicate()[0]
    finally:
        if started.poll() is None:
            end_trees([started.pid])
    lines = [line.partition(MARK)[2] for line in said.splitlines() if MARK in line]
    return [json.loads(line) for line in lines], said


def _silent(launch: Mapping[str, Any], nodes: Sequence[Node], said: str) -> str:
    """Return the sentence on nodes that have not answered, with the last that was said."""
    last = [line for line in said.splitlines() if line.strip() and MARK not in line]
    answered = ", ".join(node.host for node in nodes) or "none"
    reason = f": {printable(short(last[-1], 300))}" if last else f" within {SECONDS:.0f} s"
    asked = f"launch.how={launch['how']} launch.nodes={launch['nodes']}"
    return f"{asked}: not all nodes have answered ({answered} did){reason}"


def address_of(nodes: Sequence[Node], run: Path) -> str:
    """Return the first node's address; raise R1trlError with what is wrong with nodes."""
    if problem := next(_problems(nodes, run), None):
        raise R1trlError(problem)
    reached = [node.address for node in nodes[1:]]
    return str(reached[0] if reached else nodes[0].address)


def _problems(nodes: Sequence[Node], run: Path) -> Iterator[str]:
    yield from unshared(nodes, run)
    yield from unreached(nodes)
    yield from other_versions(nodes)


def unshared(nodes: Sequence[Node], run: Path) -> Iterator[str]:
    """Yield which nodes do not see what others write to a folder."""
    hosts = {node.number: node.host for node in nodes}
    for node in nodes:
        if node.missing:
            unseen = ", ".join(hosts[number] for number in node.missing)
            yield (
                f"runs_dir: {node.host} does not see what {unseen} has written to {run}; all nodes "
                "of a launch need one shared disk: set runs_dir to a place on it"
            )


def unreached(nodes: Sequence[Node]) -> Iterator[str]:
    """Yield which nodes do not reach the first one."""
    for node in nodes[1:]:
        if node.address is None:
            tried = ", ".join(node.tried) or "no address"
            yield (
                f"launch.nodes: {node.host} does not reach {nodes[0].host} at {tried}; open the "
                "network between them, or choose the interface by NCCL_SOCKET_IFNAME and "
                "GLOO_SOCKET_IFNAME in launch.environment"
            )


def other_versions(nodes: Sequence[Node]) -> Iterator[str]:
    """Yield which nodes have other versions than this process."""
    own = versions()
    for node in nodes:
        differ = {name for name in own if node.versions.get(name) != own[name]}
        for name in sorted(differ):
            has = node.versions.get(name, "none")
            yield (
                f"launch.nodes: {node.host} has {name} {has}, and this r1trl {own[name]}; all need "
                "the same (launch.setup can activate an environment)"
            )
