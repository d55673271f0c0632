"""A stage's side of its servers: what it wants served, and at which addresses it is."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from r1trl.config.parse import parse
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import POLICY, EndpointsConfig, ServeConfig
from r1trl.errors import ConfigError, StageError
from r1trl.process.network import reaches
from r1trl.process.pulse import computed_elsewhere
from r1trl.serve.layout import group_of
from r1trl.serve.states import ServerState, failure, read_states, want
from r1trl.stage.files import with_values
from r1trl.stage.ranks import barrier, is_main, rank
from r1trl.watch.control import own_driver

PREFIX = "serve:"  # before the name of a server, in an option such as a judge's url
TICK = 0.5  # seconds between two looks


def servers_in(settings: Mapping[str, Any], key: str) -> dict[str, ServeConfig]:
    """Return the servers of a stage's settings; raise ConfigError if they are wrong.

    `key` is that of the servers.
    """
    servers, problems = dict[str, ServeConfig](), list[str]()
    for name, values in (settings.get("serve") or {}).items():
        servers[name], wrong = parse(ServeConfig, values, f"{key}.{name}.")
        problems += wrong
    if problems:
        raise ConfigError(problems)
    return servers


def named_servers(values: Any) -> set[str]:
    """Return the names of servers that nested options refer to, such as `url: serve:judge`."""
    if isinstance(values, Mapping):
        return {name for each in values.values() for name in named_servers(each)}
    if isinstance(values, list | tuple):
        return {name for each in values for name in named_servers(each)}
    found = isinstance(values, str) and values.startswith(PREFIX)
    return {values.removeprefix(PREFIX)} if found else set()


def with_addresses(settings: dict[str, Any], folder: Path, key: str) -> dict[str, Any]:
    """Return a stage's settings with addresses in place of `serve:<name>`, once they are served.

    Of several replicas each rank asks one. `key` is the stage's.
    """
    servers = servers_in(settings, f"{key}.serve")
    named = sorted(named_servers({n: v for n, v in settings.items() if n != "serve"}))
    addresses = {}
    for name in named:
        urls = addresses_of(name, servers, folder, key)
        addresses[f"{PREFIX}{name}"] = urls[rank() % len(urls)]
    changed: dict[str, Any] = with_values(settings, addresses)
    return changed


def served(stage: StageConfig, folder: Path, key: str) -> StageConfig:
    """Return a stage whose model is drawn from its server `policy`, if it has one; a collective.

    The server gets the stage's model, in place of the one before.
    """
    if POLICY not in stage.serve or (stage.endpoints and stage.endpoints.urls):
        return stage
    if is_main():
        want(folder, POLICY, str(stage.model))
    barrier()
    urls = addresses_of(POLICY, stage.serve, folder, key, str(stage.model))
    endpoints = stage.endpoints or EndpointsConfig()
    return replace(stage, endpoints=replace(endpoints, urls=urls, model=POLICY))


def addresses_of(
    name: str, serve: Mapping[str, ServeConfig], folder: Path, key: str, model: str | None = None
) -> list[str]:
    """Wait until all replicas of a server are ready, with a model; return their addresses.

    Raises StageError if there is no such server, if it was given up, or if nobody starts it.
    """
    if name not in serve:
        there = ", ".join(serve) or "none"
        raise StageError(f"{key}.serve: {PREFIX}{name} is no server of this stage (there: {there})")
    if own_driver() is None:
        raise StageError(
            f"{key}.serve.{name}: servers are started by r1trl run, and this worker was started by "
            "hand; name the address of a server instead"
        )
    with computed_elsewhere():
        while not (ready := _ready(folder, group_of(name, serve), name, model)):
            if problem := failure(folder):
                raise StageError(problem)
            time.sleep(TICK)
    return [_reached(server, f"{key}.serve.{name}") for server in ready]


def _ready(folder: Path, group: str, name: str, model: str | None) -> list[ServerState]:
    """Return the replicas of a server; none unless all of them are ready."""
    os.listdir(folder)  # a network's disk shows a new file sooner
    states = read_states(folder, group) or []
    servers = [each for state in states for each in state.servers if each.server == name]
    done = all(each.ready and model in (None, each.model) for each in servers)
    return servers if done else []


def _reached(server: ServerState, key: str) -> str:
    """Return the first address at which this process reaches a server."""
    for url in server.urls:
        parts = urlsplit(url)
        if reaches(str(parts.hostname), int(parts.port or 0)):
            return url
    raise StageError(f"{key}: it is ready, but this node reaches it at none of {server.urls}")
