"""Stages of the kinds dpo and distillation come to the weights of TRL's bare trainers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from one_step import ARGS, OWN_ARGS, ROWS, OneStep

from r1trl.errors import StageError

pytestmark = pytest.mark.slow
THREE = {"max_steps": 3, "lr_scheduler_type": "linear", "weight_decay": 0.1}


def bare_weights(trainer_class: Any, config: Any, stage: OneStep, **more: Any) -> bytes:
    """Return the weights that a bare trainer of TRL comes to, from the stage's model and rows."""
    from transformers import AutoTokenizer

    trainer = trainer_class(
        model=str(stage.model),
        args=config,
        processing_class=AutoTokenizer.from_pretrained(stage.model),
        **more,
    )
    trainer.train()
    trainer.save_model(config.output_dir)
    return (Path(config.output_dir) / "model.safetensors").read_bytes()


def arguments(name: str, args: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the arguments of a bare trainer on a CPU that are those of a stage."""
    own = {"output_dir": str(folder / "bare"), "report_to": "none", "use_cpu": True, "bf16": False}
    own |= {"model_init_kwargs": {"dtype": "float32"}, "dataloader_pin_memory": False, "seed": 1}
    return {**ARGS, **OWN_ARGS.get(name, {}), **THREE, **args, **own}


@pytest.mark.parametrize(
    "args",
    [
        {},
        pytest.param(
            {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.2], "beta": 0.3},
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"sync_ref_model": True, "ref_model_sync_steps": 1, "ref_model_mixup_alpha": 0.5},
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"precompute_ref_log_probs": True, "loss_type": ["ipo"]}, marks=pytest.mark.long
        ),
        pytest.param(
            {"loss_type": ["robust"], "label_smoothing": 0.2, "use_weighting": True},
            marks=pytest.mark.long,
        ),
    ],
    ids=["plain", "weighted losses", "synced reference", "precomputed", "robust"],
)
def test_dpo_comes_to_the_weights_of_trls_trainer(
    args: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    stage = OneStep("dpo", tiny_model, tmp_path)
    stage.train({**THREE, **args})
    rows = Dataset.from_list(list(ROWS)).select_columns(["prompt", "chosen", "rejected"])
    config = DPOConfig(**arguments("dpo", args, tmp_path))
    assert bare_weights(DPOTrainer, config, stage, train_dataset=rows) == stage.weights()
    assert stage.weights() != (tiny_model / "model.safetensors").read_bytes()


def test_pairs_that_teach_nothing_are_left_out_of_dpo(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [("same", "same"), (" ", "no"), ("", "")]
    odd = [{**ROWS[0], "chosen": chosen, "rejected": rejected} for chosen, rejected in pairs]
    plain = OneStep("dpo", tiny_model, tmp_path)
    plain.train({})
    weights = plain.weights()
    mixed = OneStep("dpo", tiny_model, tmp_path, 1, [*odd, *ROWS])
    mixed.train({})
    assert mixed.weights() == weights
    assert "stages.x.data: 3 of 11 pairs have equal responses" in capsys.readouterr().out
    with pytest.raises(StageError, match=r"^stages\.x\.data: 3 of 3 pairs have equal responses"):
        OneStep("dpo", tiny_model, tmp_path, 2, odd).train({})


@pytest.mark.parametrize(
    "args",
    [
        {},
        pytest.param({"beta": 0.0}, marks=pytest.mark.long),
        pytest.param(
            {"beta": 0.5, "temperature": 0.7, "max_completion_length": 5}, marks=pytest.mark.long
        ),
    ],
    ids=["reverse KL", "forward KL", "in between"],
)
def test_distillation_comes_to_the_weights_of_trls_trainer(
    args: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    from datasets import Dataset
    from trl import DistillationConfig, DistillationTrainer

    stage = OneStep("distillation", tiny_model, tmp_path)
    stage.train({**THREE, **args})
    rows = Dataset.from_list(list(ROWS)).select_columns(["prompt"]).shuffle(seed=1)
    config = DistillationConfig(
        **arguments("distillation", args, tmp_path),
        shuffle_dataset=False,  # as the rows have been
        teacher_model_init_kwargs={"dtype": "float32"},
    )
    teacher = str(tmp_path / "teacher")
    bare = bare_weights(
        DistillationTrainer, config, stage, train_dataset=rows, teacher_model=teacher
    )
    assert bare == stage.weights()
    assert stage.weights() != (tiny_model / "model.safetensors").read_bytes()
