"""The Ray that tests of clusters run on has a node on each host, and loses it with its raylet."""

import subprocess
import sys
from pathlib import Path

import pytest
from rays import Rays

pytestmark = [pytest.mark.slow, pytest.mark.long]
TASKS = """
import socket, sys, time
import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

ray.init(log_to_driver=False)
group = placement_group([{"CPU": 1}] * 2, strategy="STRICT_SPREAD")
ray.get(group.ready(), timeout=30)

@ray.remote(num_cpus=1, max_retries=0)
def task(seconds):
    time.sleep(seconds)
    return socket.gethostname()

def names(seconds):
    place = [PlacementGroupSchedulingStrategy(group, i) for i in range(2)]
    tasks = [task.options(scheduling_strategy=one).remote(seconds) for one in place]
    while tasks:
        done, tasks = ray.wait(tasks)
        yield ray.get(done[0])

print(*sorted(names(0)), flush=True)
if sys.argv[1:]:
    print(*sorted(names(int(sys.argv[1]))), flush=True)
"""


def test_each_host_has_a_node_and_takes_a_task(rays: Rays) -> None:
    assert rays.ask([sys.executable, "-c", TASKS]).splitlines()[-1] == "n1 n2"


def test_a_killed_raylet_ends_its_tasks_within_seconds(rays: Rays) -> None:
    command = [sys.executable, "-c", TASKS, "60"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with rays.on(command, **pipes) as driver:
        assert driver.stdout and driver.stdout.readline() == "n1 n2\n"
        rays.kill(2)
        assert "NodeDiedError" in driver.communicate(timeout=60)[1]
        assert driver.returncode == 1


def test_a_host_that_was_cut_off_has_a_node_again(rays: Rays) -> None:
    rays.hosts.cut(2)
    rays.hosts.mend(2)
    rays.ready()
    assert rays.ask([sys.executable, "-c", TASKS]).splitlines()[-1] == "n1 n2"


def test_each_host_has_its_logs_in_a_folder(rays: Rays) -> None:
    for name in ("n1", "n2"):
        assert list(Path(rays.folder, name).glob("session_*/logs/raylet.out")), name
