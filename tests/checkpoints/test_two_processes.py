"""Two processes whose weights are parted continue as if they had never been stopped."""

import json
from pathlib import Path

import pytest
from one_step import VARIED
from stage_runs import Run

from r1trl.stage.times import without_times

pytestmark = [pytest.mark.slow, pytest.mark.long]

RECIPE = """
# @package _global_
defaults:
  - /stage@stages.learn: grpo
stages:
  learn:
    checkpoints: last
    data: {problems: {sample_rows: 24}}
    rewards: {varied: {}}
    rollout: {outputs: 16, minibatches: 2}
    args:
      num_generations: 4
      per_device_train_batch_size: 4
      max_completion_length: 12
      max_steps: 8
      learning_rate: 1.0e-3
      beta: 0.1
      sync_ref_model: true
      ref_model_sync_steps: 2
      ref_model_mixup_alpha: 0.6
      save_steps: 2
      save_total_limit: 1
      logging_steps: 3
"""


LOAD = "plugins.load=[{}/varied.py]"


def run_of(folder: Path, launch: str) -> Run:
    """Return a run in a folder, with its plugin."""
    run = Run(folder, RECIPE, f"launch={launch}")
    (folder / "varied.py").write_text(VARIED)
    return run


# With FSDP TRL generates, and what it draws from the same random numbers is not what r1trl draws.
TRLS = "stages.learn.args.ds3_gather_for_generation=false"


@pytest.fixture
def divergence(launch: str, tmp_path: Path) -> list[float]:
    """Return the divergence from the reference of two processes that have the whole model each."""
    run = run_of(tmp_path / "plain", "cpu2")
    own = (LOAD.format(run.folder), *((TRLS,) if "fsdp" in launch else ()))
    assert run.carry_out(*own) == 0, run.log("learn")
    return [row["kl"] for row in run.metrics("learn")]


@pytest.mark.parametrize("launch", ["cpu2-zero3", "cpu2-fsdp2"])
def test_a_killed_stage_continues_exactly_with_a_reference_that_moves(
    launch: str, divergence: list[float], tmp_path: Path
) -> None:
    """It was killed within a logging window, after the reference had moved twice."""
    whole, cut = (run_of(tmp_path / name, launch) for name in ("whole", "cut"))
    assert whole.carry_out(LOAD.format(whole.folder)) == 0, whole.log("learn")
    arguments = json.loads((whole.stages / "learn" / "trainer_args.json").read_text())
    assert arguments["distributed_type"] == ("FSDP" if "fsdp" in launch else "DEEPSPEED")
    own = [row["kl"] for row in whole.metrics("learn")]
    assert own == pytest.approx(divergence, rel=1e-3) and len(own) == 2
    cut.carry_out_killed("learn", 6, cut.folder / "varied.py")
    rows = [[without_times(row) for row in run.metrics("learn")] for run in (whole, cut)]
    assert rows[0] == rows[1]
    assert whole.weights("learn") == cut.weights("learn")
    references = cut.stages.glob("learn/checkpoints/checkpoint-8/reference*")
    ranks = ["-0", "-1"] if launch == "cpu2-zero3" else [""]
    assert sorted(path.name for path in references) == [f"reference{r}.safetensors" for r in ranks]


TUNED = """
# @package _global_
defaults:
  - /stage@stages.learn: sft
stages:
  learn:
    data: {general: {sample_rows: 33}}
    batch: 8
    args:
      per_device_train_batch_size: 4
      num_train_epochs: 2
      max_steps: -1
      save_strategy: steps
      save_steps: 2
      logging_strategy: steps
      logging_steps: 5
"""


def test_the_metrics_of_an_epochs_last_batch_are_those_of_a_run_never_stopped(
    tmp_path: Path,
) -> None:
    """It has one row, and a process that has none of its own is given another's."""
    whole, cut = (Run(tmp_path / name, TUNED, "launch=cpu2") for name in ("whole", "cut"))
    assert whole.carry_out() == 0, whole.log("learn")
    cut.carry_out_killed("learn", 5)
    rows = [[without_times(row) for row in run.metrics("learn")] for run in (whole, cut)]
    assert rows[0] == rows[1] and len(rows[0]) == 2
    assert whole.weights("learn") == cut.weights("learn")
