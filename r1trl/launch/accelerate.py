"""What accelerate is told: its configuration file, and the port at which ranks meet."""

import random
from collections.abc import Mapping
from typing import Any

PORTS = range(20000, 32000)  # below those that the kernel gives out, and above those of services


def accelerate_config(launch: Mapping[str, Any]) -> dict[str, Any]:
    """Return accelerate's configuration file for a launch; the number of a node is added there."""
    nodes, world = launch.get("nodes", 1), launch.get("nodes", 1) * launch["processes"]
    config = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if world > 1 else "NO",
        "num_machines": nodes,
        "num_processes": world,
        "machine_rank": 0,
        "main_process_port": 0,
        "mixed_precision": "no",
        **launch["config"],
    }
    if nodes > 1 and "deepspeed_config" in config:  # else it takes pdsh, which goes by ssh
        own = {"deepspeed_multinode_launcher": "standard", **config["deepspeed_config"]}
        config["deepspeed_config"] = own
    return config


def some_port() -> int:
    """Return a port at random, which a node may still refuse."""
    return random.SystemRandom().choice(PORTS)
