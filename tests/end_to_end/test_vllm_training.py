"""Stages whose completions a real vLLM draws, in the process that trains, on the CPU.

`.venv-vllm` is put below the packages of these tests. Its vLLM is newer than TRL's window, and its
CPU build packs weights when it has loaded them, so that none can be loaded again: KEPT leaves that
out. Sleep mode needs a GPU.
"""

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
from machine import require

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
VLLM = ROOT / ".venv-vllm"
PACKAGES = sysconfig.get_path("purelib")
KEPT = '''
import r1trl


@r1trl.hookimpl
def r1trl_stage_started(stage):
    """Keep vLLM's weights as they are loaded."""
    import torch
    from vllm.model_executor.layers import utils

    def plain(layer, remove_weight):
        layer.cpu_linear = torch.nn.functional.linear

    utils.dispatch_cpu_unquantized_gemm = plain
'''
RECIPE = """# @package _global_
defaults:
  - /stage@stages.grpo: grpo
  - /stage@stages.rloo: rloo
  - /stage@stages.distillation: distillation
  - _self_
stages:
  grpo: &drawn
    template: ${template.zero}
    data: {problems: {sample_rows: 64}}
    rewards: {accuracy: {weight: 1.0, answer: answer_tag}}
    rollout: {outputs: 32, minibatches: 1}
    args: &args
      max_steps: 3
      per_device_train_batch_size: 16
      max_completion_length: 48
      vllm_enable_sleep_mode: false
  rloo: *drawn
  distillation:
    template: ${template.zero}
    data: {problems: {sample_rows: 64}}
    model: ${model.path}  # the student's heads are too small for vLLM's CPU kernels
    dtype: ${model.dtype}
    teacher: ${model.path}
    batch: 16
    args: *args
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Return a Python with the packages of .venv-vllm, and below them those of these tests."""
    require("vllm", (VLLM / "installed").exists(), "make vllm-cpu")
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,) = (tmp_path / "venv").glob("lib/*/site-packages")
    (of_vllm,) = VLLM.glob("lib/*/site-packages")
    below = [f"import site; site.addsitedir({str(path)!r})" for path in (of_vllm, PACKAGES)]
    (packages / "below.pth").write_text("\n".join(below))
    return tmp_path / "venv" / "bin" / "python"


def test_vllm_draws_what_is_trained_on_and_has_the_newest_weights(
    python: Path, tmp_path: Path
) -> None:
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "mine.yaml").write_text(RECIPE)
    (tmp_path / "kept.py").write_text(KEPT)
    given = ["recipe=mine", "scale=tiny", "name=run", f"runs_dir={tmp_path}", "preflight=false"]
    command = [python, "-m", "r1trl.cli", "run", "--config-dir", tmp_path / "conf", *given]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    on_cpu = {"CUDA_VISIBLE_DEVICES": "", "VLLM_CPU_KVCACHE_SPACE": "1", "PYTHONPATH": paths}
    done = subprocess.run(
        [*command, "generation.vllm=true", f"plugins.load=[{tmp_path / 'kept.py'}]"],
        env={**os.environ, **on_cpu},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    for stage in ("grpo", "rloo", "distillation"):
        folder = tmp_path / "run" / "stages" / stage
        arguments = json.loads((folder / "trainer_args.json").read_text())
        assert arguments["use_vllm"] and arguments["vllm_mode"] == "colocate"
        longest = arguments["vllm_max_model_length"] - arguments["max_completion_length"]
        assert 0 < longest < 64, "the longest prompt of the tiny world"
    lines = (tmp_path / "run" / "stages" / "grpo" / "metrics.jsonl").read_text().splitlines()
    ratio = "sampling/importance_sampling_ratio"
    rows = [row for line in lines if f"{ratio}/mean" in (row := json.loads(line))]
    assert len(rows) == 3
    for row in rows:
        assert 0.99 < row[f"{ratio}/mean"] < 1.01
        assert row[f"{ratio}/tail"] < 0.05 and row[f"{ratio}/truncated"] == 0
