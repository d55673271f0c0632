"""Sharded weights learn what whole ones do, and a reference moves without gathering a model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from stage_runs import Run
from transformers import AutoModelForCausalLM

pytestmark = [pytest.mark.slow, pytest.mark.long]

TUNED = """
# @package _global_
defaults:
  - /stage@stages.learn: sft
stages:
  learn:
    data: {general: {sample_rows: 32}}
    batch: 8
    args:
      per_device_train_batch_size: 4
      num_train_epochs: 2
      learning_rate: 1.0e-3
      logging_steps: 1
"""
MOVED = """
# @package _global_
defaults:
  - /stage@stages.learn: grpo
stages:
  learn:
    data: {problems: {sample_rows: 16}}
    rewards: {seen: {}}
    rollout: {outputs: 16, minibatches: 1}
    args:
      num_generations: 4
      per_device_train_batch_size: 8
      max_completion_length: 8
      max_steps: 4
      beta: 0.1
      sync_ref_model: true
      ref_model_sync_steps: 2
      ref_model_mixup_alpha: 0.6
"""
SPY = '''
import json
import os
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import r1trl
from r1trl.checkpoints import reference


class Memory(TorchDispatchMode):
    """Writes down what is allocated and sent between processes."""

    def __init__(self):
        super().__init__()
        self.largest, self.sent, self.calls = 0, [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs))
                 if isinstance(x, torch.Tensor)}
        made = func(*args, **(kwargs or {}))
        self.calls += 1
        if "c10d" in func.namespace:
            self.sent.append(str(func))
        for x in tree_leaves(made):
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in given:
                self.largest = max(self.largest, x.untyped_storage().nbytes())
        return made


move = reference.move_reference


def watched(policy, ref, alpha):
    whole = {name: getattr(w, "ds_numel", w.numel()) for name, w in ref.named_parameters()}
    before = [reference.own_part(w).clone() for w in ref.parameters()]
    with Memory() as memory:
        move(policy, ref, alpha)
    after = [reference.own_part(w) for w in ref.parameters()]
    row = {
        "largest": memory.largest, "sent": memory.sent, "calls": memory.calls,
        "parts": sum(part.numel() for part in before) / sum(whole.values()),
        "moved": sum(not torch.equal(a, b) for a, b in zip(before, after)),
        "biggest": 4 * max(whole.values()),
    }
    with Path(__file__).with_name(f"seen{os.environ['RANK']}.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\\n")


reference.move_reference = watched


def seen(completions, **columns):
    """Score by length."""
    return [float(len(text) % 3) for text in completions]


@r1trl.hookimpl
def r1trl_rewards():
    return {"seen": seen}
'''
# Of what is learned. Sums in another order differ by less; a process's rows lost, or a step, by
# tens of percent.
TOLERANCE = 1e-3
ON_CPU = 'launch.environment={CUDA_VISIBLE_DEVICES: "", ACCELERATE_USE_CPU: "true"}'
ON_DEEPSPEEDS_CPU = 'launch.environment={CUDA_VISIBLE_DEVICES: "", DS_ACCELERATOR: cpu}'
SHARDED = {"zero2": ON_DEEPSPEEDS_CPU, "zero3": ON_DEEPSPEEDS_CPU, "fsdp2": ON_CPU}


def learned(folder: Path, *overrides: str) -> tuple[torch.Tensor, list[float]]:
    """Return what fine-tuning has added to the weights, in one row, and the losses."""
    run = Run(folder, TUNED, *overrides)
    base = load_file(Path(run.plan().stages[0].spec.settings["model"]) / "model.safetensors")
    assert run.carry_out() == 0, run.log("learn")
    tuned = load_file(run.stages / "learn" / "model" / "model.safetensors")
    assert tuned.keys() == base.keys()
    added = [(tuned[name] - base[name]).flatten() for name in sorted(base)]
    return torch.cat(added), [row["loss"] for row in run.metrics("learn")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, list[float]]:
    """Return what one process has learned."""
    return learned(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("launch", SHARDED)
def test_sharded_weights_learn_what_one_process_learns(
    launch: str, whole: tuple[torch.Tensor, list[float]], tmp_path: Path
) -> None:
    added, losses = learned(tmp_path, f"launch={launch}", "launch.processes=2", SHARDED[launch])
    difference = float((added - whole[0]).norm() / whole[0].norm())
    print(f"{launch}: {difference:.1e} of what is learned")
    assert difference < TOLERANCE
    assert losses == pytest.approx(whole[1], rel=TOLERANCE) and len(losses) == 8


def test_sharding_that_is_ignored_is_refused(tmp_path: Path) -> None:
    """With ACCELERATE_USE_CPU accelerate leaves DeepSpeed out."""
    run = Run(tmp_path, TUNED, "launch=zero2", "launch.processes=2", ON_CPU)
    assert run.carry_out() == 1
    assert "launch.config: distributed_type DEEPSPEED, but accelerate takes" in run.log("learn")


@pytest.mark.parametrize("launch", ["cpu2-zero3", "cpu2-fsdp2"])
def test_a_reference_moves_part_by_part(launch: str, tmp_path: Path) -> None:
    run = Run(tmp_path, MOVED, f"launch={launch}", f"plugins.load=[{tmp_path}/spy.py]")
    (tmp_path / "spy.py").write_text(SPY)
    assert run.carry_out() == 0, run.log("learn")
    for rank in (0, 1):
        lines = (tmp_path / f"seen{rank}.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert len(rows) == 2
        for row in rows:
            assert row["parts"] == pytest.approx(0.5, abs=0.05), "each process holds half"
            assert row["calls"] and row["moved"]
            assert row["sent"] == [], "nothing is gathered"
            assert row["largest"] <= row["biggest"] / 2, "no more than a part of one weight"


COUNT = """
from pathlib import Path

import r1trl
from deepspeed.runtime.engine import DeepSpeedEngine

gather = DeepSpeedEngine._zero3_consolidated_16bit_state_dict


def counted(*args, **options):
    with Path(__file__).with_name("gathered").open("a") as file:
        file.write("1")
    return gather(*args, **options)


DeepSpeedEngine._zero3_consolidated_16bit_state_dict = counted
"""


@pytest.mark.parametrize("read", [False, True], ids=["unread", "read by a transition"])
def test_a_checkpoint_of_zero3_has_a_whole_model_only_for_a_transition(
    read: bool, tmp_path: Path
) -> None:
    recipe = TUNED.replace("args:", "args:\n      save_steps: 4") + "    checkpoints: keep\n"
    recipe += "    transitions: {average_checkpoints: {last: 2}}\n" if read else ""
    plugin = f"plugins.load=[{tmp_path}/count.py]"
    run = Run(tmp_path, recipe, "launch=cpu2-zero3", plugin)
    (tmp_path / "count.py").write_text(COUNT)
    assert run.carry_out() == 0, run.log("learn")
    made, checkpoints = run.stages / "learn" / "model", run.stages / "learn" / "checkpoints"
    newest = checkpoints / "checkpoint-8"
    assert (newest / "model.safetensors").exists() is read
    beside = {path.name for path in newest.iterdir()}
    assert {"config.json", "tokenizer.json", "zero_to_fp32.py"} <= beside
    times = len((tmp_path / "gathered").read_text())
    assert times == 2 * (1 + 2 * read), "by both ranks: for the model, and for two checkpoints"
    if not read:
        script = [sys.executable, newest / "zero_to_fp32.py", newest, newest]
        done = subprocess.run(script, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        theirs = AutoModelForCausalLM.from_pretrained(newest, dtype=torch.float32).state_dict()
        ours = load_file(made / "model.safetensors")
        assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
