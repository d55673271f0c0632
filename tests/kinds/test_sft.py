"""Fine-tuning without padding trains to the weights of TRL's trainer."""

from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from safetensors.torch import load_file

from r1trl.packing import attention
from r1trl.training.trainers import PaddingFreeSFTTrainer

pytestmark = pytest.mark.slow
ROWS = Dataset.from_list(
    [{"prompt": "Say x: ", "completion": "x" * (1 + (i * 37) % 90)} for i in range(64)]
)


def trained(trainer_class: Any, model: Path, folder: Path, tokenizer: Any, **more: Any) -> Any:
    """Train for two epochs with plain gradient descent; return the weights and the log."""
    options = {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "optim": "sgd",
        "learning_rate": 0.1,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 2,
        "num_train_epochs": 2,
        "max_length": 64,
        "gradient_checkpointing": False,
        "model_init_kwargs": {"dtype": "float32"},
        **more,
    }
    trainer = trainer_class(
        model=str(model),
        args=trl.SFTConfig(**options),
        train_dataset=ROWS,
        processing_class=tokenizer,
    )
    trainer.train()
    weights = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    return weights, [row for row in trainer.state.log_history if "loss" in row]


@pytest.mark.parametrize(
    "more",
    [{}, {"loss_type": "dft"}, {"completion_only_loss": False}, {"label_smoothing_factor": 0.1}],
)
def test_the_trained_weights_are_those_of_trl(
    more: dict[str, Any], tiny_model: Path, tmp_path: Path, tokenizer: Any, monkeypatch: Any
) -> None:
    # Small buckets, so that there are several.
    monkeypatch.setattr(attention, "CALL_OVERHEAD_TOKENS", 16)
    weights, log = trained(trl.SFTTrainer, tiny_model, tmp_path, tokenizer, **more)
    ours, our_log = trained(PaddingFreeSFTTrainer, tiny_model, tmp_path, tokenizer, **more)
    start = load_file(tiny_model / "model.safetensors")
    moved = max(float((weights[n] - start[n]).abs().max()) for n in start)
    assert moved > 1e-3
    for name, value in weights.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-4 * moved)
    for row, our_row in zip(log, our_log, strict=True):
        for metric in ("loss", "grad_norm", "num_tokens", "entropy", "mean_token_accuracy"):
            assert our_row[metric] == pytest.approx(row[metric], rel=1e-4), metric
