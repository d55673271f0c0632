"""Fine-tuning is TRL's where rows without padding would be trained on differently."""

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import trl
from datasets import Dataset

from r1trl.training.trainers import PaddingFreeSFTTrainer

pytestmark = pytest.mark.slow
ROWS = Dataset.from_list(
    [{"prompt": "Say x: ", "completion": "x" * (1 + (i * 37) % 50)} for i in range(16)]
)


def trained(class_: Any, model: Path, folder: Path, learnt: Any, **more: Any) -> Any:
    """Train for an epoch; return the trained weights, the log and whether rows were packed."""
    options = {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "learning_rate": 0.01,
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
        "num_train_epochs": 1,
        "gradient_checkpointing": False,
        "model_init_kwargs": {"dtype": "float32"},
        **more,
    }
    args = trl.SFTConfig(**options)
    trainer = class_(model=str(model), args=args, train_dataset=ROWS, peft_config=learnt)
    trainer.train()
    named = trainer.model.named_parameters()
    weights = {name: value.detach().clone() for name, value in named if value.requires_grad}
    log = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return weights, log, getattr(trainer, "packs", None)


def virtual(config: Any) -> Any:
    """Return the settings of prompts that PEFT learns."""
    return config(task_type="CAUSAL_LM", num_virtual_tokens=3)


@pytest.mark.parametrize(
    ("learnt", "more", "packs"),
    [
        (None, {"neftune_noise_alpha": 5.0}, None),
        pytest.param(
            None,
            {"neftune_noise_alpha": 5.0, "gradient_accumulation_steps": 2},
            None,
            marks=pytest.mark.long,
        ),
        (peft.LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"), {}, True),
        pytest.param(
            peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]),
            {"neftune_noise_alpha": 5.0},
            None,
            marks=pytest.mark.long,
        ),
        (virtual(peft.PromptTuningConfig), {}, False),
        pytest.param(virtual(peft.PrefixTuningConfig), {}, False, marks=pytest.mark.long),
        pytest.param(virtual(peft.PromptEncoderConfig), {}, False, marks=pytest.mark.long),
    ],
    ids=["noise", "accumulated", "lora", "lora, noise", "prompt", "prefix", "p-tuning"],
)
def test_the_trained_weights_are_those_of_trl(
    learnt: Any, more: dict[str, Any], packs: bool | None, tiny_model: Path, tmp_path: Path
) -> None:
    ours, log, packed = trained(PaddingFreeSFTTrainer, tiny_model, tmp_path, learnt, **more)
    theirs, their_log, _ = trained(trl.SFTTrainer, tiny_model, tmp_path, learnt, **more)
    assert packed is packs
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-5)
    assert log == pytest.approx(their_log, rel=1e-4)
