"""The doctor looks at both hosts through Slurm and through Ray."""

import os
import re
import sys
from pathlib import Path

import pytest
from rays import Rays
from slurm import Slurm

pytestmark = [pytest.mark.slow, pytest.mark.long]
ASKED = ("doctor", "launch=cpu2", "launch.nodes=2", "launch.processes=1")


def command(how: str) -> list[str]:
    """Return the command for an engine."""
    return [sys.executable, "-m", "r1trl.cli", *ASKED, f"launch.how={how}"]


@pytest.mark.parametrize("how", ["slurm", "ray"])
def test_both_hosts_are_looked_at(how: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    engine: Slurm | Rays = request.getfixturevalue({"slurm": "slurm", "ray": "rays"}[how])
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**engine.environment, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    allocated = ["salloc", "--quiet", "--nodes=2", *command(how)]
    asked = allocated if how == "slurm" else command(how)
    told = engine.ask(asked, 120, cwd=tmp_path, env=environment)
    nodes = re.search(
        r"ok     nodes       2 in .*: (n1, n2|n2, n1)\n", told
    )  # Ray takes either first
    assert nodes, told
    assert f"{nodes[1][:2]} is reached by all at" in told
    assert "64 MiB over 2 ranks by gloo" in told
    assert "\nwrong" not in told
