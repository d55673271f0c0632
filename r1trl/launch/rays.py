"""A step of a Ray cluster: one task on each of some nodes, which runs a command and owns it.

    python -m r1trl.launch.rays --address=auto --nodes=2 --processes=8 -- COMMAND…

It ends with the largest exit status. Killed, Ray ends the tasks, and those their commands.
"""

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from r1trl.errors import R1trlError
from r1trl.launch.engines import FIRST
from r1trl.process.terminal import say
from r1trl.stage.devices import wants_cpu
from r1trl.stage.ranks import NODE
from r1trl.watch.processes import end_with_parent

PLACED_SECONDS, ANSWER_SECONDS = 45.0, 10.0
NAME = "r1trl"
OWN = ("R1TRL_", "WANDB_", "HF_")  # variables of the driver that win over a node's


class Place(NamedTuple):
    """A node of the cluster."""

    host: str
    address: str


@dataclass(frozen=True)
class Part:
    """What each node runs: a command, in which folder, and with which variables.

    A node's own variables win over those that are `inherited`, the `named` ones over both.
    """

    command: Sequence[str]
    folder: str
    inherited: Mapping[str, str]
    named: Mapping[str, str]


def run_here(number: int, part: Part) -> tuple[int, str]:
    """Run a node's part; return its exit status and what it printed. A task of Ray."""
    if not os.path.isdir(part.folder):
        return 1, f"error: {socket.gethostname()} has no folder {part.folder}\n"
    kept = {name: v for name, v in os.environ.items() if not name.startswith(OWN)}
    done = subprocess.run(
        part.command,
        cwd=part.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**part.inherited, **kept, **part.named, NODE: str(number)},
        preexec_fn=end_with_parent,
    )
    return done.returncode, done.stdout


def step(given: argparse.Namespace) -> int:
    """Run a command on each of some nodes; return the exit status."""
    ray = connect(given.address)
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    wanted = {"CPU": float(given.processes), **dict(map(_resource, given.resource))}
    if not wants_cpu(os.environ) and ray.cluster_resources().get("GPU", 0):
        wanted.setdefault("GPU", float(given.processes))
    group = placement_group([wanted] * given.nodes, strategy="STRICT_SPREAD", name=NAME)
    if not group.wait(PLACED_SECONDS):
        raise R1trlError(_no_place(ray, wanted, given.nodes))
    cpus, gpus = wanted.pop("CPU"), wanted.pop("GPU", 0.0)
    own = {"num_cpus": cpus, "num_gpus": gpus, "resources": wanted, "max_retries": 0, "name": NAME}
    named = {name: os.environ[name] for name in given.environment}
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("RAY_")}
    places = _places(ray, group)
    command = [word.replace(FIRST, places[0].address) for word in given.command]
    part = Part(command, os.getcwd(), inherited, named)
    started = []
    for number in range(given.nodes):
        place = PlacementGroupSchedulingStrategy(
            placement_group=group, placement_group_bundle_index=number
        )
        task = ray.remote(run_here).options(scheduling_strategy=place, **own)
        started.append(task.remote(number, part))
    return _ended(ray, dict(zip(started, places, strict=True)))


def _places(ray: Any, group: Any) -> list[Place]:
    """Return the nodes of a placement group, in the order of its bundles."""
    from ray.util.placement_group import placement_group_table

    nodes = {node["NodeID"]: node for node in ray.nodes()}
    placed = placement_group_table(group)["bundles_to_node_id"]
    found = [nodes[placed[number]] for number in sorted(placed)]
    return [Place(str(n["NodeManagerHostname"]), str(n["NodeManagerAddress"])) for n in found]


def _ended(ray: Any, started: Mapping[Any, Place]) -> int:
    """Return the exit status once all tasks have ended, or the first has failed."""
    from ray.exceptions import NodeDiedError, RayError

    left, worst = list(started), 0
    while left and not worst:
        ready, left = ray.wait(left, num_returns=1)
        node = "{} ({})".format(*started[ready[0]])
        try:
            status, said = ray.get(ready[0])
        except NodeDiedError as error:
            raise R1trlError(f"Ray has lost {node}; see ray status") from error
        except RayError as error:
            first = str(error).strip().splitlines()[0]
            raise R1trlError(f"launch.how=ray: on {node}: {first}") from error
        say(said, end="")
        worst = max(worst, status if status >= 0 else 128 - status)
    return worst


def connect(address: str) -> Any:
    """Return Ray, connected to a cluster; raise R1trlError if nobody answers."""
    try:
        import ray
    except ImportError:
        raise R1trlError("launch.how: ray needs the package; pip install 'r1trl[ray]'") from None
    if address.startswith("ray://"):
        raise R1trlError(
            f"launch.address: '{address}' is for Ray's client, outside the cluster; run r1trl in "
            "it (ray job submit -- r1trl run …), with launch.address=auto or HOST:PORT"
        )
    host, _, port = address.rpartition(":")
    if host and not _answers(host, port):
        raise R1trlError(f"launch.address: nobody answers at '{address}'; see ray status there")
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise R1trlError(f"launch.address: '{address}': {first}") from error
    return ray


def _answers(host: str, port: str) -> bool:
    with suppress(OSError, ValueError):
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        return True
    return False


def _resource(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    return name, float(number)


def _no_place(ray: Any, wanted: Mapping[str, float], nodes: int) -> str:
    """Return the sentence on nodes that are not there, or not free."""
    needs = ", ".join(f"{name} {number:g}" for name, number in wanted.items())
    alive = [node for node in ray.nodes() if node["Alive"]]
    there = [f"{node['NodeManagerHostname']} ({', '.join(_of(node, wanted))})" for node in alive]
    return (
        f"launch.nodes: {nodes} nodes with {needs} each were not free within {PLACED_SECONDS:.0f} "
        f"s; the cluster has {len(alive)}: {', '.join(there)}"
    )


def _of(node: Mapping[str, Any], wanted: Mapping[str, float]) -> list[str]:
    return [f"{name} {node['Resources'].get(name, 0):g}" for name in wanted]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="auto")
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--resource", action="append", default=[])
    parser.add_argument("--environment", action="append", default=[])
    parser.add_argument("command", nargs="+")
    end_with_parent()
    try:
        return step(parser.parse_args())
    except R1trlError as error:
        say(f"error: {error}", error=True)
        return 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the cluster ends what is left of the job
