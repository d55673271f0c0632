"""Training with r1trl's rollouts gives TRL's gradients, from the same completions."""

import ast
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
import yaml
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from r1trl.config.stage_parts import ScoringConfig
from r1trl.launch.accelerate import accelerate_config
from r1trl.rewards.bound_reward import BoundReward
from r1trl.rewards.scorer import Scorer
from r1trl.stage.ranks import rank
from r1trl.training.trainers import with_rollouts

pytestmark = pytest.mark.slow

SCORING = ScoringConfig(deadline=5.0, processes=1)
PROMPTS = ["a", "What is 1 + 1?", "Say something long about the sea.", "x" * 40]


def hashed(prompts: Any, completions: Any, completion_ids: Any, **_: Any) -> list[float]:
    """Return a hash of the ids as reward; all completions of the first prompt get the same."""
    pairs = zip(prompts, completion_ids, strict=True)
    return [0.5 if prompt == "a" else sum(ids) % 5 / 4 for prompt, ids in pairs]


NEWEST: list[Any] = []  # the trainer


def moved_between_processes() -> bool:
    """Return True if the newest trainer's last rollout had rows that went to the other process."""
    rows: set[tuple[int, ...]] = set()
    updates = NEWEST[0].updates
    for update in updates:
        rows |= {tuple(ids) for batch in update.given for ids in batch["completion_ids"].tolist()}
    dealt = [
        ids
        for update in updates
        for batch in update.dealt
        for ids in batch["completion_ids"].tolist()
    ]
    width = len(next(iter(rows), ()))
    return any(tuple(ids[:width]) not in rows for ids in dealt)


class Replayed:
    """Generates completions of very different lengths, for each process its own."""

    rng: random.Random

    def _generate_single_turn(self, prompt_ids: Any, images: Any, fields: Any, *more: Any) -> Any:
        completions = []
        for _ in prompt_ids:
            count = self.rng.choice([1, 9, 30 - 6 * rank()])
            ids = [self.rng.randrange(3, 200) for _ in range(count)]
            completions.append(ids if len(ids) == 30 else [*ids, 2])
        return (completions, None) if more else completions


class OwnLoss(trl.GRPOTrainer):
    """A trainer whose loss depends on all rows, and on which of them share a micro-batch."""

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        self._metrics["train"]["tokens"].append(float(inputs["completion_mask"].sum()))
        weights = 1 + inputs["advantages"].cumsum(0).abs()
        inputs = inputs | {"advantages": inputs["advantages"] + 0.1 * weights}
        return super()._compute_loss(model, inputs)


def trained(
    ours: bool, model: Path, folder: Path, tokenizer: Any, kind: str = "grpo", **more: Any
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Train for a few steps with plain gradient descent; return the weights and the log."""
    config = {"rloo": trl.RLOOConfig}.get(kind, trl.GRPOConfig)
    base = {"grpo": trl.GRPOTrainer, "rloo": trl.RLOOTrainer, "own loss": OwnLoss}[kind]
    options = {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "optim": "sgd",
        "learning_rate": 0.5,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1e6,
        "logging_steps": 1,
        "num_generations": 4,
        "max_completion_length": 30,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 2,
        "generation_batch_size": 32,
        "max_steps": 4,
        "gradient_checkpointing": False,
        "seed": 3,
        "model_init_kwargs": {"dtype": "float32"},
        **more,
    }
    shared = {
        "model": str(model),
        "args": config(**options),
        "train_dataset": Dataset.from_dict({"prompt": PROMPTS * 4}),
        "processing_class": tokenizer,
    }
    base = with_rollouts(base) if ours else base
    scorer = Scorer([BoundReward("hashed", hashed, {})], SCORING)
    rewards = {"scorer": scorer} if ours else {"reward_funcs": [hashed]}
    namespace = {"rng": random.Random(1 + rank())}
    trainer = type("Trainer", (Replayed, base), namespace)(**rewards, **shared)
    NEWEST[:] = [trainer]
    trainer.train()
    whole = trainer.accelerator.get_state_dict(trainer.model_wrapped) or {}  # on rank 0 only
    weights = {name: value.clone() for name, value in whole.items()}
    return weights, [row for row in trainer.state.log_history if "loss" in row]


LOSSES: list[dict[str, Any]] = [
    *({"loss_type": name, "beta": 0.0} for name in ("grpo", "dapo", "dr_grpo", "bnpo")),
    *({"loss_type": name, "beta": 0.0} for name in ("cispo", "sapo", "luspo", "vespo")),
    {"loss_type": "grpo", "beta": 0.1, "sync_ref_model": True, "ref_model_sync_steps": 2}
    | {"ref_model_mixup_alpha": 1.0},
    {"loss_type": "dapo", "beta": 0.1, "importance_sampling_level": "sequence"},
    {"loss_type": "grpo", "beta": 0.0, "num_iterations": 2, "max_steps": 6},
    {"loss_type": "dapo", "beta": 0.0, "mask_truncated_completions": True},
    {"loss_type": "vespo", "beta": 0.0, "num_iterations": 2, "mask_truncated_completions": True},
    {"loss_type": "dapo", "beta": 0.0, "gradient_accumulation_steps": 3, "max_steps": 3},
    {"loss_type": "grpo", "beta": 0.0, "top_entropy_quantile": 0.5},
    {"loss_type": "grpo", "beta": 0.0, "entropy_coef": 0.01},
    {"loss_type": "grpo", "beta": 0.0, "gradient_accumulation_steps": 4},
    {"loss_type": "grpo", "beta": 0.0, "gradient_checkpointing": True},
    {"loss_type": "grpo", "beta": 0.1, "neftune_noise_alpha": 5.0},
    {"kind": "own loss", "beta": 0.0},
    {"kind": "rloo", "beta": 0.0},
    {"kind": "rloo", "beta": 0.1},
]
MORE: list[dict[str, Any]] = [
    {"loss_type": "grpo", "beta": 0.0, "gradient_checkpointing": True}
    | {"gradient_checkpointing_kwargs": {"use_reentrant": True}},
    {"loss_type": "cispo", "beta": 0.0, "num_iterations": 2, "epsilon_high": 1.001},
    {"loss_type": "grpo", "beta": 0.0, "off_policy_mask_threshold": 0.1, "num_iterations": 2},
    {"loss_type": "dapo", "beta": 0.1, "generation_batch_size": 16},
    {"kind": "rloo", "beta": 0.1, "neftune_noise_alpha": 5.0},
]


@pytest.mark.parametrize(
    "loss", [*LOSSES, *(pytest.param(loss, marks=pytest.mark.long) for loss in MORE)], ids=str
)
def test_the_trained_weights_are_those_of_trl(
    loss: dict[str, Any], tiny_model: Path, tmp_path: Path, tokenizer: Any
) -> None:
    weights, log = trained(False, tiny_model, tmp_path, tokenizer, **loss)
    ours, our_log = trained(True, tiny_model, tmp_path, tokenizer, **loss)
    start = load_file(tiny_model / "model.safetensors")
    moved = max(float((weights[n] - start[n]).abs().max()) for n in start)
    assert moved > 1e-3, "training changed the weights"
    for name, value in weights.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-4 * moved)
    assert_logs_equal(our_log, log)


def assert_logs_equal(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> None:
    """Check that every metric that TRL logs has TRL's value, but for times."""
    for row, our_row in zip(theirs, ours, strict=True):
        for metric in row.keys() - {"step_time"}:
            wanted = pytest.approx(row[metric], rel=1e-3, abs=2e-6)
            assert our_row[metric] == wanted, (metric, our_row["step"])


# Of two processes and one micro-batch size: the rows of both are dealt anew, if the loss allows it.
TWO: list[dict[str, Any]] = [
    {"loss_type": "grpo", "beta": 0.1},
    {"loss_type": "dapo", "beta": 0.0},
    {"loss_type": "bnpo", "beta": 0.0},
    *({"loss_type": name, "beta": 0.0} for name in ("dr_grpo", "cispo", "sapo", "luspo", "vespo")),
    {"loss_type": "dapo", "beta": 0.1, "importance_sampling_level": "sequence"},
    {"loss_type": "grpo", "beta": 0.0, "num_iterations": 2, "max_steps": 6},
    {"loss_type": "dapo", "beta": 0.1, "gradient_accumulation_steps": 8},
    {"loss_type": "grpo", "beta": 0.0, "entropy_coef": 0.01},
    {"kind": "rloo", "beta": 0.1},
]
STAYING = ("bnpo", "entropy_coef")


@pytest.mark.long
@pytest.mark.parametrize(("launcher", "losses"), [("cpu2", TWO), ("cpu2-zero3", TWO[:2])])
def test_two_processes_train_to_the_weights_of_trl(
    launcher: str, losses: list[dict[str, Any]], tiny_model: Path, tmp_path: Path
) -> None:
    conf = Path(__file__).parents[2] / "conf" / "launch" / f"{launcher}.yaml"
    launch = yaml.safe_load(conf.read_text())
    config = tmp_path / "accelerate.yaml"
    config.write_text(yaml.safe_dump(accelerate_config(launch)))
    command = ["-m", "accelerate.commands.launch", "--config_file", str(config), __file__]
    done = subprocess.run(
        [sys.executable, *command, str(tiny_model), str(tmp_path), repr(losses)],
        env={**os.environ, **launch.get("environment", {})},
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    start = load_file(tiny_model / "model.safetensors")
    for number, loss in enumerate(losses):
        theirs, ours = (load_file(tmp_path / f"{number}-{whose}") for whose in (False, True))
        moved = max(float((theirs[n] - start[n]).abs().max()) for n in start)
        assert moved > 1e-3, loss
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-4 * moved)
        log, our_log = (
            json.loads((tmp_path / f"{number}-{whose}.json").read_text()) for whose in (False, True)
        )
        assert_logs_equal(our_log, log)
        moved_rows = (tmp_path / f"{number}-dealt").read_text() == "True"
        assert moved_rows == (not any(word in str(loss) for word in STAYING)), loss


def train_as_one_of_two(model: Path, folder: Path, losses: list[dict[str, Any]]) -> None:
    """Train as one of two processes, with TRL's trainer and with ours; write what came of it."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    shared = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    for number, loss in enumerate(losses):
        for ours in (False, True):
            weights, log = trained(ours, model, folder, tokenizer, **shared | loss)
            if rank() == 0:
                save_file(weights, folder / f"{number}-{ours}")
                (folder / f"{number}-{ours}.json").write_text(json.dumps(log))
        if rank() == 0:
            (folder / f"{number}-dealt").write_text(str(moved_between_processes()))


if __name__ == "__main__":
    train_as_one_of_two(Path(sys.argv[1]), Path(sys.argv[2]), ast.literal_eval(sys.argv[3]))
