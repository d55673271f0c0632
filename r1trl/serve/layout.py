"""Where the servers of a stage are: on which nodes, and with which GPUs of a node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from r1trl.config.stage_parts import ServeConfig
from r1trl.errors import R1trlError

BESIDE = "beside"  # the group of the servers that are on the nodes of the stage's own processes


@dataclass(frozen=True)
class Group:
    """Servers on the same nodes: `nodes` of them, after the first `offset` of the allocation."""

    name: str
    nodes: int
    offset: int


@dataclass(frozen=True)
class Place:
    """A replica of a server, with GPUs by the names that CUDA gives them; none on a CPU."""

    server: str
    gpus: tuple[str, ...]


def group_of(server: str, serve: Mapping[str, ServeConfig]) -> str:
    """Return the name of a server's group."""
    return server if serve[server].nodes else BESIDE


def servers_of(group: str, serve: Mapping[str, ServeConfig]) -> dict[str, ServeConfig]:
    """Return the servers of a group."""
    return {name: server for name, server in serve.items() if group_of(name, serve) == group}


def groups_of(serve: Mapping[str, ServeConfig], nodes: int) -> list[Group]:
    """Return the groups of a stage's servers; `nodes` are those of its own processes."""
    groups, offset = [Group(BESIDE, nodes, 0)] if servers_of(BESIDE, serve) else [], nodes
    for name, server in serve.items():
        if server.nodes:
            groups.append(Group(name, server.nodes, offset))
            offset += server.nodes
    return groups


def nodes_of(serve: Mapping[str, ServeConfig]) -> int:
    """Return how many nodes of an allocation a stage's servers have for themselves."""
    return sum(server.nodes or 0 for server in serve.values())


def places(
    servers: Mapping[str, ServeConfig], visible: Sequence[str], processes: int, key: str
) -> list[Place]:
    """Return the replicas of a node, of which CUDA shows the GPUs `visible`.

    The stage's processes have the first `processes` of them; servers that say how many have the
    last ones, in their order; one that does not say has the rest. `key` is that of the servers.
    Raises R1trlError if they do not fit.
    """
    if not visible:
        return [place for name in servers for place in _on_the_cpu(name, servers[name], key)]
    free = list(visible[processes:])
    taken = sum(server.gpus or 0 for server in servers.values())
    if taken > len(free):
        raise R1trlError(
            f"{key}: its servers need {taken} GPUs of each node, and {len(free)} of "
            f"{len(visible)} are free beside {processes} processes; give fewer gpus, or nodes"
        )
    own = dict[str, list[str]]()
    for name, server in reversed(list(servers.items())):
        if server.gpus:
            free, own[name] = free[: -server.gpus], free[-server.gpus :]
    rest = [name for name, server in servers.items() if not server.gpus]
    if len(rest) > 1 or (rest and not free):
        least = "; one server may do without, and has the rest" if free else ""
        raise R1trlError(f"{key}.{rest[-1]}.gpus: say how many GPUs of each node it has{least}")
    own |= dict.fromkeys(rest, free)
    return [place for name in servers for place in _on_gpus(name, servers[name], own[name], key)]


def _on_the_cpu(name: str, server: ServeConfig, key: str) -> list[Place]:
    if server.gpus:
        raise R1trlError(f"{key}.{name}.gpus: {server.gpus}, but this node has no GPU")
    return [Place(name, ())] * (server.replicas or 1)


def _on_gpus(name: str, server: ServeConfig, gpus: Sequence[str], key: str) -> list[Place]:
    size = server.tensor_parallel
    count = server.replicas or len(gpus) // size
    if not count or count * size > len(gpus):
        raise R1trlError(
            f"{key}.{name}: {count or 1} replicas × tensor_parallel={size} need "
            f"{(count or 1) * size} GPUs of a node, and it has {len(gpus)} for them"
        )
    return [Place(name, tuple(gpus[i * size : (i + 1) * size])) for i in range(count)]
