"""The files of examples/cluster/ are read by the tools that they are for."""

import os
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from machine import require

from r1trl.cli import parser
from r1trl.config.compose import compose
from r1trl.plan.plan import make_plan

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "examples" / "cluster"
TOOLS = ROOT / ".venv-clusters" / "bin" / "python"  # `make test-long` makes it
TASK = """
import sys
import sky
import yaml
from sky.utils import common_utils, schemas

task = sky.Task.from_yaml(sys.argv[1])
(resources,) = task.resources
with open(sys.argv[2]) as file:
    volume = yaml.safe_load(file)
common_utils.validate_schema(volume, schemas.get_volume_schema(), "volume: ")
print(yaml.safe_dump({"nodes": task.num_nodes, "run": task.run, "volumes": task.volumes,
    "envs": task.envs, "gpus": resources.accelerators, "volume": volume["name"]}))
"""
PODS = """
import sys
import yaml
from kubernetes_validate import validate

for pod in yaml.safe_load(sys.stdin):
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **pod}, "1.37", True)
"""


def read(name: str) -> Any:
    """Return what a YAML file has."""
    return yaml.safe_load((CLUSTER / name).read_text(encoding="utf-8"))


def tool(code: str, home: Path, *arguments: str | Path, text: str = "") -> str:
    """Run code where the tools are; return what it prints."""
    require("clusters", TOOLS.exists(), f"no {TOOLS}")
    done = subprocess.run(
        [TOOLS, "-c", code, *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def world_of(command: str) -> tuple[int, int]:
    """Return nodes and processes of each of a command `r1trl run …` that can be planned."""
    words = shlex.split(command)
    arguments = parser().parse_args(words[words.index("r1trl") + 1 :])
    plan = make_plan(compose(arguments.overrides, arguments.config_dir))
    ((how, nodes, processes),) = {
        tuple(stage.launch[name] for name in ("how", "nodes", "processes")) for stage in plan.stages
    }
    assert how == "ray"
    return nodes, processes


@pytest.mark.slow
@pytest.mark.long
def test_skypilot_reads_its_task_and_its_volume(tmp_path: Path) -> None:
    files = [CLUSTER / "skypilot.yaml", CLUSTER / "skypilot_volume.yaml"]
    task = yaml.safe_load(tool(TASK, tmp_path, *files))
    assert task["volumes"] == {"/shared": task["volume"]}
    assert task["gpus"] == {"H100": 8}
    known = {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NUM_GPUS_PER_NODE": "8", "first": "10.0.0.1"}
    run = Template(task["run"].replace("\\\n", " ")).safe_substitute(task["envs"] | known)
    (command,) = [line for line in run.splitlines() if "r1trl run" in line]
    assert world_of(command) == (task["nodes"], task["gpus"]["H100"])


@pytest.mark.slow
@pytest.mark.long
def test_kubernetes_reads_the_pods_of_the_rayjob(tmp_path: Path) -> None:
    cluster = read("rayjob.yaml")["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    tool(PODS, tmp_path, text=yaml.safe_dump([group["template"] for group in groups]))


@pytest.mark.slow
def test_ray_reads_the_cluster_of_the_rayjob_and_its_run_fits() -> None:
    require("ray", find_spec("ray"))
    from ray.autoscaler._private.kuberay import autoscaling_config

    spec = read("rayjob.yaml")["spec"]
    resource = {"metadata": {"name": "x", "namespace": "x"}, "spec": spec["rayClusterSpec"]}
    types = autoscaling_config._derive_autoscaling_config_from_ray_cr(resource)
    nodes = types["available_node_types"]["nodes"]
    bash, flag, line = shlex.split(spec["entrypoint"])
    assert (bash, flag) == ("bash", "-c")
    count, processes = world_of(line)
    assert count == nodes["min_workers"] == nodes["max_workers"]
    assert processes == nodes["resources"]["GPU"] <= nodes["resources"]["CPU"]
    assert "GPU" not in types["available_node_types"]["headgroup"]["resources"]


def test_all_pods_of_the_rayjob_have_the_shared_disk_at_one_place_and_one_image() -> None:
    cluster = read("rayjob.yaml")["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [pod["template"]["spec"]["containers"][0] for pod in pods]
    assert len({each["image"] for each in containers}) == 1
    shared = {"name": "shared", "mountPath": "/shared"}
    assert all(shared in each["volumeMounts"] for each in containers)


def program(folder: Path, name: str, status: int = 0) -> None:
    """Write a program that says in `said` what it was started with."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho {Path(name).name} "$@" >> said\nexit {status}\n')
    path.chmod(0o755)


@pytest.mark.parametrize("status", [0, 3])
def test_two_boxes_have_a_ray_while_the_run_lasts(tmp_path: Path, status: int) -> None:
    script = CLUSTER / "two_boxes.sh"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    folder = tmp_path / "with a space"
    program(folder, ".venv/bin/ray")
    program(folder, ".venv/bin/r1trl", status)
    program(folder, "ssh")
    command = ["bash", script, "10.0.0.1", "box2", "recipe=zero", "name=a b"]
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path})
    assert done.returncode == status
    ray = f"{folder}/.venv/bin/ray".replace(" ", "\\ ")
    assert [line.strip() for line in (folder / "said").read_text().splitlines()] == [
        "ray start --head --node-ip-address=10.0.0.1 --port=6379",
        f"ssh box2 {ray} start --address=10.0.0.1:6379",
        "r1trl run launch=ray launch.nodes=2 launch.address=10.0.0.1:6379 recipe=zero name=a b",
        "ray stop",
        f"ssh box2 {ray} stop",
    ]
