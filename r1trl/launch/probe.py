"""Whether some nodes can carry a stage, asked before any rank is started.

    python -m r1trl.launch.probe FOLDER NODES TOKEN

runs once on each node. It shares the run's folder with the others, or says that it does not; it
reaches the first node, at the address that is found; and it prints a line of what it has, for the
driver. So a node that differs costs seconds, and not the time-out of a collective.
"""

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from r1trl.identity.versions import versions
from r1trl.process.network import addresses, reaches
from r1trl.process.terminal import say
from r1trl.stage.ranks import own_node
from r1trl.storage.writing import replace_text
from r1trl.watch.processes import end_with_parent

FOLDER, MARK = "nodes", "r1trl-node: "  # below the run's; before the line of a node
SHARED_SECONDS = 20.0  # until a shared disk shows what another node has written
REACH_SECONDS = 20.0
PAUSE = 0.1
ALIVE_SECONDS = 90  # then nobody waits for this any more


@dataclass(frozen=True)
class Node:
    """What a node says: `missing` are those whose files it does not see.

    `seconds` is how long the slowest took to show; `address` that at which it reaches the first
    node, None: at none; `tried` are all of those.
    """

    number: int
    host: str
    missing: list[int]
    seconds: float
    address: str | None
    tried: list[str]
    clock: float
    versions: dict[str, str]


def look(folder: Path, nodes: int, token: str) -> Node:
    """Return what this node, one of several, sees of a folder and of the others."""
    number, began = own_node(nodes), time.monotonic()
    with socket.create_server(("", 0), backlog=1024) as listener:
        own: dict[str, Any] = {"host": socket.gethostname(), "addresses": list(addresses())}
        own |= {"port": listener.getsockname()[1]}
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(_file(folder, token, number), json.dumps(own))
        seen = _seen(folder, token, nodes)
        seconds = round(time.monotonic() - began, 2)
        tried = seen[0]["addresses"] if 0 in seen else []
        reached = (a for a in tried if number == 0 or reaches(a, seen[0]["port"]))
        address = next(reached, None)
        replace_text(_file(folder, token, number, ".done"), "")
        if number == 0:  # the others reach it now
            _wait_for(folder, token, nodes)
    return Node(
        number,
        own["host"],
        sorted(set(range(nodes)) - set(seen)),
        seconds,
        address,
        tried,
        time.time(),
        versions(),
    )


def _file(folder: Path, token: str, number: int, suffix: str = ".json") -> Path:
    return folder / f"{token}.{number}{suffix}"


def _seen(folder: Path, token: str, nodes: int) -> dict[int, dict[str, Any]]:
    """Return what nodes have written, by their numbers, once all have or time is over."""
    seen, ends = dict[int, dict[str, Any]](), time.monotonic() + SHARED_SECONDS
    while len(seen) < nodes and time.monotonic() < ends:
        os.listdir(folder)  # a network's disk shows a new file sooner
        for other in set(range(nodes)) - set(seen):
            with suppress(OSError, ValueError):
                seen[other] = json.loads(_file(folder, token, other).read_text())
        time.sleep(PAUSE if len(seen) < nodes else 0)
    return seen


def _wait_for(folder: Path, token: str, nodes: int) -> None:
    """Wait until all others have tried to reach this node, or have had the time."""
    ends = time.monotonic() + REACH_SECONDS
    others = [_file(folder, token, other, ".done") for other in range(1, nodes)]
    while not all(map(Path.exists, others)) and time.monotonic() < ends:
        time.sleep(PAUSE)


def main() -> int:
    """Print what this node has."""
    end_with_parent()
    signal.alarm(ALIVE_SECONDS)
    folder, nodes, token = sys.argv[1:]
    say(f"{MARK}{json.dumps(asdict(look(Path(folder), int(nodes), token)))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
