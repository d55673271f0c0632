"""The command that runs another on each node; and what a launch is refused for."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from r1trl.config.compose import compose
from r1trl.config.stage_parts import LaunchConfig
from r1trl.errors import ConfigError, R1trlError
from r1trl.launch.engines import on_nodes
from r1trl.plan.plan import make_plan
from r1trl.stage.ranks import own_node

JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "n[1-2]"}


def launch(**given: Any) -> Mapping[str, Any]:
    """Return a launch as a stage has it."""
    return asdict(LaunchConfig(**given))


def in_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one of a Slurm job with two nodes."""
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)


def test_a_step_of_slurm_has_one_task_on_each_of_the_first_nodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_job(monkeypatch)
    options = {"container-image": "/a b.sqsh", "overlap": None, "mpi": "none", "no-kill": True}
    command = on_nodes(launch(how="slurm", nodes=2, srun=options), ["python", "x"], "step")
    assert command == [
        *("srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--relative=0"),
        *("--kill-on-bad-exit=1", "--job-name=step"),
        *("--container-image=/a b.sqsh", "--mpi=none", "--no-kill", "python", "x"),
    ]


def test_set_up_comes_before_the_command_and_its_failure_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_job(monkeypatch)
    code = "import os, sys; print(os.environ['A'], sys.argv[1:])"
    given = [sys.executable, "-c", code, "x y"]
    for lines, printed in (
        (["A='1 2'", "export A"], "1 2 ['x y']\n"),
        (["export A=1", "false"], ""),
    ):
        command = on_nodes(launch(how="slurm", nodes=2, setup=lines), given)
        own = command[command.index("bash") :]
        done = subprocess.run(own, capture_output=True, text=True)
        assert (done.stdout, done.returncode) == (printed, int(not printed))


def test_a_step_of_ray_says_what_each_node_needs() -> None:
    given = launch(
        how="ray",
        nodes=3,
        processes=8,
        address="n1:6379",
        resources={"GPU": 4, "disk": 0.5},
        environment={"NCCL_DEBUG": "INFO"},
    )
    assert on_nodes(given, ["x"])[1:] == [
        *("-m", "r1trl.launch.rays", "--address=n1:6379", "--nodes=3", "--processes=8"),
        *("--resource=GPU=4", "--resource=disk=0.5", "--environment=NCCL_DEBUG", "--", "x"),
    ]


def test_a_launch_of_one_machine_is_the_command_itself() -> None:
    assert on_nodes(launch(how="accelerate", processes=2), ["x"]) == ["x"]


def test_steps_of_slurm_need_a_job_with_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in JOB:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(R1trlError, match="use r1trl submit in place of r1trl run, or begin"):
        on_nodes(launch(how="slurm"), ["x"])
    in_job(monkeypatch)
    with pytest.raises(R1trlError, match=r"launch\.nodes: 4, but this Slurm job has 2 \(n\[1-2"):
        on_nodes(launch(how="slurm", nodes=4), ["x"])


def test_a_node_that_nobody_has_numbered_does_not_take_itself_for_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("R1TRL_NODE", "SLURM_NODEID"):
        monkeypatch.delenv(name, raising=False)
    assert own_node(1) == 0
    with pytest.raises(R1trlError, match="neither R1TRL_NODE nor SLURM_NODEID says which of 2"):
        own_node(2)
    monkeypatch.setenv("SLURM_NODEID", "1")
    assert own_node(2) == 1


REFUSED = {
    "launch.how=accelerate launch.nodes=2 launch.processes=1": "launch.nodes: how=accelerate "
    "starts on this machine; give how=slurm or how=ray too",
    "launch.nodes=2": "launch.nodes: how=local starts on this machine; give how=slurm or",
    "launch=ray launch.sbatch={time: 1}": "launch.sbatch: how=ray does not read it; how=slurm does",
    "launch=ray launch.srun={mpi: none}": "launch.srun: how=ray does not read it; how=slurm does",
    "launch=slurm launch.requeues=1 launch.how=ray": "launch.requeues: how=ray does not read it",
    "launch=slurm launch.address=n1:6379": "launch.address: how=slurm does not read it; how=ray",
    "launch=cpu2 launch.resources={GPU: 1}": "launch.resources: how=accelerate does not read it",
    "launch=cpu2 launch.setup=[x]": "launch.setup: how=accelerate does not read it; how=slurm or "
    "how=ray does",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_what_a_launch_does_not_read_is_refused_by_the_plan(overrides: str) -> None:
    words = overrides.replace(" launch", "\nlaunch").split("\n")
    with pytest.raises(ConfigError) as caught:
        make_plan(compose(["recipe=zero", "scale=tiny", *words], None))
    assert [p for p in caught.value.problems if p.startswith(REFUSED[overrides])], caught.value


OF_ONE_JOB = "the stages of a run are steps of one job; set launch."


def test_what_a_stage_says_of_the_job_of_a_run_is_refused_or_in_a_recipe_noted() -> None:
    at = "stages.zero_first.launch"
    recipe = ["recipe=zero", "scale=tiny", f"+launch@{at}=slurm", f"{at}.processes=1"]
    run = [*recipe, "launch=slurm", "launch.processes=1"]
    with pytest.raises(ConfigError) as caught:
        make_plan(compose([*run, f"{at}.requeues=1", f"{at}.sbatch.time=10"], None))
    assert sorted(caught.value.problems) == [
        f"{at}.{part}: {OF_ONE_JOB}{part}" for part in ("requeues", "sbatch")
    ]
    noted = f"{at}.sbatch: {OF_ONE_JOB}sbatch"
    assert noted in make_plan(compose([*run, "launch.sbatch.time=9"], None)).notes
    assert f"{noted}, and launch=slurm" in make_plan(compose([*recipe, "launch=cpu2"], None)).notes
    assert noted not in make_plan(compose(run, None)).notes
