"""A node's servers of a stage: `python -m r1trl.serve.node FOLDER GROUP NODES HOST PROCESSES`.

It starts them, looks at them, and says in the stage's folder where they are. It ends with its
driver; whatever ends it, a process of its own kills what it has started. PROCESSES are those of the
stage on this node, which have its first GPUs; NODES is how many there are of the group.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from r1trl.config.stage_parts import POLICY
from r1trl.errors import R1trlError
from r1trl.process.network import addresses
from r1trl.process.terminal import say
from r1trl.serve.clients import servers_in
from r1trl.serve.layout import places, servers_of
from r1trl.serve.replica import Replica
from r1trl.serve.states import FOLDER, NodeState, ServerState, wanted, write_state
from r1trl.stage.devices import driver_gpus, visible_gpus, wants_cpu
from r1trl.stage.files import StageSpec, read_spec
from r1trl.stage.ranks import own_node
from r1trl.watch.control import OwnDriver, bounds_of
from r1trl.watch.processes import end_with_parent

TICK = 0.5  # seconds between two looks
ANY_HOST = "0.0.0.0"  # noqa: S104 - other nodes ask
OWN_SETTINGS = ("dtype",)  # of the stage, for its own model; the arguments of vLLM have their names


class NodeServers:
    """The servers of one node of a group; `failed` is why they are given up, or None."""

    def __init__(self, spec: StageSpec, given: argparse.Namespace, node: int) -> None:
        self.given, self.node, self.settings = given, node, spec.settings
        self.key = f"stages.{spec.stage}.serve"
        self.hosts = list(addresses()) if given.host == ANY_HOST else [given.host]
        self.written: NodeState | None = None
        self.replicas = list(self._replicas(spec))
        for replica in self.replicas:
            if replica.server.model is not None:
                replica.serve(replica.server.model, {})

    def _replicas(self, spec: StageSpec) -> Iterator[Replica]:
        environment, cpu = os.environ, wants_cpu(os.environ)
        visible = [] if cpu else visible_gpus(environment, driver_gpus().number)
        servers = servers_of(self.given.group, servers_in(spec.settings, self.key))
        there = places(servers, visible, self.given.processes, self.key)
        for name, server in servers.items():
            own = [place for place in there if place.server == name]
            for i, place in enumerate(own):
                log = self.given.folder / FOLDER / f"{name}.{self.node * len(own) + i}.txt"
                yield Replica(place, server, f"{self.key}.{name}", self.given.host, log)

    @property
    def failed(self) -> str | None:
        """Return why a server is given up, or None."""
        return next((each.failed for each in self.replicas if each.failed), None)

    @property
    def groups(self) -> set[int]:
        """Return the process groups of the servers."""
        return {each.process.pid for each in self.replicas if each.process}

    def look(self) -> None:
        """Look once at all servers, and at what the stage's worker wants; write what is new."""
        model = wanted(self.given.folder, POLICY)
        for replica in self.replicas:
            if replica.place.server == POLICY and model is not None and replica.model != model:
                replica.serve(model, {name: self.settings[name] for name in OWN_SETTINGS})
            if replica.look():
                say(f"{replica.log.stem}: {_described(replica)}")
        state = NodeState(self.given.nodes, [self._state(r) for r in self.replicas], self.failed)
        if state != self.written:
            write_state(self.given.folder, self.given.group, self.node, state)
            self.written = state

    def _state(self, replica: Replica) -> ServerState:
        hosts = [f"[{host}]" if ":" in host else host for host in self.hosts]
        urls = [f"http://{host}:{replica.port}/v1" for host in hosts]
        return ServerState(replica.place.server, replica.model, urls, replica.ready)


def _described(replica: Replica) -> str:
    if replica.failed or not replica.process:
        return str(replica.failed)
    doing = "serves" if replica.ready else "is started again with"
    return f"process {replica.process.pid} {doing} {replica.model} on port {replica.port}"


class Guard:
    """A process that kills process groups once this one is gone, however it went."""

    def __init__(self) -> None:
        read, self._write = os.pipe()
        self._named = set[int]()
        if os.fork() == 0:
            os.close(self._write)
            _kill_when_closed(read)
        os.close(read)

    def name(self, groups: set[int]) -> None:
        """Say which groups there are now."""
        lines = [f"+{pid}\n" for pid in groups - self._named]
        lines += [f"-{pid}\n" for pid in self._named - groups]
        os.write(self._write, "".join(lines).encode())
        self._named = groups


def _kill_when_closed(read: int) -> None:
    """Kill the groups that are named, once the other end of a pipe is closed; end this process."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    groups = set[int]()
    with os.fdopen(read) as named:
        for line in named:
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    os._exit(0)


def main() -> int:
    """Serve until the driver ends this, or is gone; 1 if a server has to be given up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("group")
    parser.add_argument("nodes", type=int)
    parser.add_argument("host")
    parser.add_argument("processes", type=int)
    given = parser.parse_args()
    end_with_parent()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # to all processes of a job: it is the driver's
    guard, driver = Guard(), OwnDriver(given.folder, bounds_of(given.folder).watchdog)
    node, spec = own_node(given.nodes), read_spec(given.folder)
    assert spec is not None
    try:
        servers = NodeServers(spec, given, node)
    except R1trlError as error:
        write_state(given.folder, given.group, node, NodeState(given.nodes, failed=str(error)))
        return 1
    while not servers.failed and not driver.problem():
        servers.look()
        guard.name(servers.groups)
        time.sleep(TICK)
    for replica in servers.replicas:
        replica.end()
    return 1


if __name__ == "__main__":
    sys.exit(main())
