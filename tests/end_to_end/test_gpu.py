"""Stages on a GPU compute there: in a fork of the warm process, and under launchers."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from machine import require
from stage_runs import Run

from r1trl.stage.devices import driver_gpus

GPUS = driver_gpus().number
require("gpu", GPUS)
pytestmark = [pytest.mark.gpu, pytest.mark.slow]
MEMORY = """
import r1trl


def gpu_memory(result):
    '''Record the most memory that tensors of this process took on its GPU, in bytes.'''
    from dataclasses import replace

    import torch

    bytes_ = float(torch.cuda.max_memory_allocated())
    return replace(result, metrics={**result.metrics, "gpu_bytes": bytes_})


@r1trl.hookimpl
def r1trl_transitions():
    return {"gpu_memory": gpu_memory}
"""
RECIPE = """# @package _global_
defaults:
  - /stage@stages.learn: grpo
  - /stage@stages.samples: sample
  - _self_
stages:
  learn:
    template: ${template.zero}
    data:
      problems: {sample_rows: 64}
    rewards:
      accuracy: {weight: 1.0, answer: answer_tag}
    args: {max_steps: 4, save_steps: 2}
    transitions:
      gpu_memory: {}
  samples:
    model: stage:learn
    template: ${template.zero}
    data:
      problems: {sample_rows: 16}
    sampling: {n: 2, shard_size: 4}
    rewards:
      accuracy: {weight: 1.0, answer: answer_tag}
    transitions:
      gpu_memory: {}
"""


def run_of(folder: Path, *overrides: str) -> Run:
    """Return a run of a training and a sample stage that record how much GPU memory they took."""
    plugin = folder / "memory.py"
    plugin.write_text(MEMORY)
    return Run(folder, RECIPE, f"plugins.load=[{plugin}]", *overrides)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_local_stage_computes_on_one_gpu(dtype: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, f"stages.learn.dtype={dtype}", f"stages.samples.dtype={dtype}")
    assert run.carry_out() == 0, run.log("learn")
    arguments = json.loads((run.stages / "learn" / "trainer_args.json").read_text())
    assert not arguments["use_cpu"] and arguments["dataloader_pin_memory"]
    assert arguments["bf16"] is (dtype == "bfloat16")
    for stage in ("learn", "samples"):
        result = json.loads((run.stages / stage / "result.json").read_text())
        assert result["metrics"]["gpu_bytes"] > 1e6, stage
        assert "rank 0 is on cuda:0 (" in run.log(stage)
        assert ("one process uses 1 of" in run.log(stage)) is (GPUS > 1)


def test_the_cpu_can_be_chosen(tmp_path: Path) -> None:
    run = run_of(tmp_path, "stages.learn.args.use_cpu=true")
    run.carry_out()
    result = json.loads((run.stages / "learn" / "result.json").read_text())
    assert result["metrics"]["gpu_bytes"] == 0 and "rank 0 is on the CPU" in run.log("learn")


@pytest.mark.parametrize("launch", ["accelerate", "zero3"])
def test_every_rank_computes_on_its_own_gpu(launch: str, tmp_path: Path) -> None:
    require("gpu", GPUS > 1, "two are needed")
    run = run_of(tmp_path, f"launch={launch}", "launch.processes=2")
    assert run.carry_out() == 0, run.log("learn")
    for stage in ("learn", "samples"):
        for rank in (0, 1):
            assert f"rank {rank} is on cuda:{rank} (" in run.log(stage)


def test_vllm_draws_in_the_process_that_trains_and_the_tails_of_ratios_are_logged(
    tmp_path: Path,
) -> None:
    require("gpu", find_spec("vllm"), "the extra vllm is not installed")
    run = run_of(tmp_path, "generation.vllm=true", "stages.learn.args.max_steps=10")
    assert run.carry_out() == 0, run.log("learn")
    rows = run.metrics("learn")
    ratio = "sampling/importance_sampling_ratio"
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert all(0.9 < row[f"{ratio}/mean"] < 1.1 for row in rows)
    assert all(row[f"{ratio}/tail"] < 0.5 and row[f"{ratio}/truncated"] < 0.1 for row in rows)
