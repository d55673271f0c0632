"""The files by which nodes say what they serve, and a worker says what it wants served.

serve/<group>.<k>.json      node k of a group of nodes: its servers, where they are, which are ready
serve/<server>.wanted.json  the model that the stage's own server is to have now
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from r1trl.storage.writing import replace_text

FOLDER = "serve"


@dataclass(frozen=True)
class ServerState:
    """One server: what it serves at which addresses, the likeliest first, and whether it does."""

    server: str
    model: str
    urls: list[str]
    ready: bool


@dataclass(frozen=True)
class NodeState:
    """What a node says of its servers: it is one of `nodes`; `failed` is why it has given up."""

    nodes: int
    servers: list[ServerState] = field(default_factory=list)
    failed: str | None = None


def write_state(folder: Path, group: str, node: int, state: NodeState) -> None:
    """Write what a node says, in a stage's folder."""
    replace_text(_state_file(folder, group, node), json.dumps(asdict(state)) + "\n")


def read_states(folder: Path, group: str) -> list[NodeState] | None:
    """Return what all nodes of a group say, in their order; None while one has said nothing."""
    first = _read(folder, group, 0)
    states = [first, *(_read(folder, group, k) for k in range(1, first.nodes if first else 1))]
    return [state for state in states if state] if None not in states else None


def _read(folder: Path, group: str, node: int) -> NodeState | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        content: dict[str, Any] = json.loads(_state_file(folder, group, node).read_text("utf-8"))
        servers = [ServerState(**each) for each in content.pop("servers")]
        return NodeState(servers=servers, **content)
    return None


def _state_file(folder: Path, group: str, node: int) -> Path:
    return folder / FOLDER / f"{group}.{node}.json"


def failure(folder: Path) -> str | None:
    """Return why a node of a stage has given its servers up; None if none has."""
    for path in sorted((folder / FOLDER).glob("*.*.json")):
        group, node = path.stem.split(".", 1)
        state = _read(folder, group, int(node)) if node.isdecimal() else None
        if state and state.failed:
            return state.failed
    return None


def want(folder: Path, server: str, model: str) -> None:
    """Say which model a server is to have."""
    replace_text(_wanted_file(folder, server), json.dumps(model) + "\n")


def wanted(folder: Path, server: str) -> str | None:
    """Return the model that a server is to have; None: not said yet."""
    with suppress(OSError, ValueError):
        return str(json.loads(_wanted_file(folder, server).read_text("utf-8")))
    return None


def _wanted_file(folder: Path, server: str) -> Path:
    return folder / FOLDER / f"{server}.wanted.json"


def forget(folder: Path) -> None:
    """Remove what an earlier attempt of a stage has said."""
    (folder / FOLDER).mkdir(exist_ok=True)
    for path in (folder / FOLDER).glob("*.json"):
        path.unlink()
