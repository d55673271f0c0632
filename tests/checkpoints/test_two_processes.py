"""Two processes whose weights are parted continue as if they had never been stopped."""

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


@pytest.mark.parametrize("launch", ["cpu2-zero3", "cpu2-fsdp2"])
def test_a_killed_stage_continues_exactly_with_a_reference_that_moves(
    launch: str, tmp_path: Path
) -> None:
    """It was killed within a logging window, after the reference had moved twice."""
    plugin = tmp_path / "varied.py"
    plugin.write_text(VARIED)
    runs = {name: Run(tmp_path / name, RECIPE, f"launch={launch}") for name in ("whole", "cut")}
    assert runs["whole"].carry_out(f"plugins.load=[{plugin}]") == 0, runs["whole"].log("learn")
    runs["cut"].carry_out_killed("learn", 6, plugin)
    rows = {n: [without_times(row) for row in run.metrics("learn")] for n, run in runs.items()}
    assert rows["cut"] == rows["whole"] and len(rows["whole"]) == 2
    assert runs["cut"].weights("learn") == runs["whole"].weights("learn")
    assert max(row["kl"] for row in rows["whole"]) > 0
