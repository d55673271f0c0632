"""Every file of conf/launch can be planned, and accelerate reads what it becomes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from r1trl.config.compose import compose
from r1trl.launch.accelerate import accelerate_config
from r1trl.plan.plan import make_plan
from r1trl.process.environment import plain

CONF = Path(__file__).parents[2] / "conf" / "launch"
SHARDED = {  # how it shards; with which stage of ZeRO
    "accelerate": ("MULTI_GPU", None),
    "cpu2": ("MULTI_GPU", None),
    "cpu2-fsdp2": ("FSDP", None),
    "cpu2-zero3": ("DEEPSPEED", 3),
    "fsdp2": ("FSDP", None),
    "local": ("NO", None),
    "ray": ("MULTI_GPU", None),
    "ray-zero3": ("DEEPSPEED", 3),
    "slurm": ("MULTI_GPU", None),
    "slurm-zero3": ("DEEPSPEED", 3),
    "zero1": ("DEEPSPEED", 1),
    "zero2": ("DEEPSPEED", 2),
    "zero3": ("DEEPSPEED", 3),
    "zero3-offload": ("DEEPSPEED", 3),
}


def planned(name: str, *overrides: str) -> dict[str, Any]:
    """Return the launch of every stage of a run with a file of conf/launch."""
    plan = make_plan(compose(["recipe=zero", "dataset=gsm8k", f"launch={name}", *overrides], None))
    launch = plan.stages[0].launch
    assert all(stage.launch == launch for stage in plan.stages)
    return launch


def drawn_by_vllm(*overrides: str) -> set[bool]:
    """Return what stages that train on their own completions say of vLLM."""
    stages = compose(["recipe=full", *overrides], None).config.stages.values()
    kinds = ("grpo", "rloo", "distillation")
    return {stage.args["use_vllm"] for stage in stages if stage.kind in kinds}


@pytest.mark.parametrize("name", SHARDED)
def test_vllm_draws_under_launches_on_gpus_and_where_it_is_said(name: str) -> None:
    on_gpus = not name.startswith(("cpu2", "local", "accelerate"))
    assert drawn_by_vllm(f"launch={name}") == {on_gpus}
    assert drawn_by_vllm(f"launch={name}", f"generation.vllm={str(not on_gpus).lower()}") == {
        not on_gpus
    }
    assert drawn_by_vllm(f"launch={name}", "scale=tiny") == {False}


def test_all_files_are_known_here() -> None:
    assert sorted(file.stem for file in CONF.glob("*.yaml")) == sorted(SHARDED)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARDED)
def test_a_run_with_a_launch_is_planned_and_accelerate_reads_it(name: str, tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import ClusterConfig

    of_engine = name.startswith(("slurm", "ray"))
    nodes = ["launch.nodes=4"] if of_engine else []
    launch = planned(name, *nodes)
    file = tmp_path / "accelerate.yaml"
    file.write_text(yaml.safe_dump(plain(accelerate_config(launch))))
    read = ClusterConfig.from_yaml_file(file)  # refuses a name that it does not know
    kind, stage = SHARDED[name]
    assert read.distributed_type == kind
    assert read.num_machines == launch["nodes"] == (4 if of_engine else 1)
    assert read.num_processes == launch["nodes"] * launch["processes"]
    assert (read.deepspeed_config or {}).get("zero_stage") == stage
    if of_engine and stage:  # else accelerate goes by ssh to the others
        assert read.deepspeed_config["deepspeed_multinode_launcher"] == "standard"


def test_a_slurm_job_asks_for_as_many_gpus_as_processes() -> None:
    assert planned("slurm", "launch.processes=4")["sbatch"]["gpus-per-node"] == 4


def test_batches_are_divided_by_the_processes_of_all_nodes() -> None:
    with pytest.raises(ValueError, match=r"micro-batches of \d+ \(.* × 96 processes\)"):
        planned("slurm", "launch.nodes=12")
