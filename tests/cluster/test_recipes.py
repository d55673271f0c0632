"""Zero and fine-tuning with ZeRO-3 over two hosts make what two processes of one host make."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_run import CHOSEN, ENVIRONMENT, ClusterRun

pytestmark = [pytest.mark.slow, pytest.mark.long]

RECIPE = """# @package _global_
defaults:
  - zero
  - /stage@stages.tuned: sft
  - _self_
stages:
  tuned:
    data: {general: {sample_rows: 32}}
    batch: 8
    args: {per_device_train_batch_size: 4, num_train_epochs: 1}
    launch:
      how: ${launch.how}
      nodes: ${oc.select:launch.nodes,1}
      processes: ${launch.processes}
      environment: {CUDA_VISIBLE_DEVICES: "", DS_ACCELERATOR: cpu}
      config:
        distributed_type: DEEPSPEED
        deepspeed_config:
          zero_stage: 3
          zero3_init_flag: true
          zero3_save_16bit_model: true
          offload_optimizer_device: none
          offload_param_device: none
"""
SMALL = (
    "scale.zero={first_steps: 2, first_tokens: 32, steps: 2, tokens: 32}",
    "scale.rl.outputs=32",
    "scale.rl.micro_batch=8",
    "scale.rl.save_every=2",
    "benchmarks.held_out.options.count=8",
    "scale.evaluation.n=2",
)
STAGES = ("zero_first", "zero", "tuned")


@pytest.fixture(scope="session")
def one_host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the stages of the run in two processes of one host."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "conf" / "recipe").mkdir(parents=True)
    (folder / "conf" / "recipe" / "mine.yaml").write_text(RECIPE)
    (folder / "mine.py").write_text("")
    command = [sys.executable, "-m", "r1trl.cli", "run", "--config-dir", "conf", *CHOSEN]
    done = subprocess.run(
        [*command, "launch=cpu2", *SMALL],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "runs" / "x" / "stages"


@pytest.mark.parametrize("engine", ["slurm", "rays"])
def test_two_hosts_make_what_one_makes(
    engine: str, one_host: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = ClusterRun(tmp_path, request.getfixturevalue(engine), recipe=RECIPE)
    run.start(*SMALL)
    run.completed()
    assert "| zero  | held_out  |" in run.said, "the scoreboard"
    stages = tmp_path / "runs" / "x" / "stages"
    for stage in STAGES:
        assert "rank 1 is on the CPU" in (stages / stage / "log.node1.txt").read_text()
        made = [path / stage / "model" / "model.safetensors" for path in (stages, one_host)]
        assert made[0].read_bytes() == made[1].read_bytes(), stage
    scores = [
        (path / "scoreboard" / "rollouts.parquet").read_bytes() for path in (stages, one_host)
    ]
    assert scores[0] == scores[1]
