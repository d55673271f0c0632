"""TRL's arguments that follow from a stage: its precision, its device, how weights are loaded."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import one_step
import pytest
import r1trl_tiny
import torch
from awkward_models import awkward_model
from machine import require
from one_step import OneStep
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import AdapterConfig
from r1trl.errors import StageError
from r1trl.generation.local import load_model
from r1trl.models.adapter import merge_adapter
from r1trl.run.work import StageWork
from r1trl.stage.devices import driver_gpus
from r1trl.training.arguments import model_options, refuse_dtype, trl_arguments


def arguments_of(folder: Path, **settings: Any) -> dict[str, Any]:
    """Return TRL's arguments for a stage with these settings."""
    return trl_arguments(StageConfig(kind="x", **settings), folder, 1, {})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_chooses_the_precision_of_training(dtype: str, tmp_path: Path) -> None:
    arguments = arguments_of(tmp_path, dtype=dtype)
    chosen = {name: arguments[name] for name in ("bf16", "fp16")}
    assert chosen == {"bf16": dtype == "bfloat16", "fp16": dtype == "float16"}
    assert arguments["model_init_kwargs"] == {"dtype": "float32", "device_map": None}


def test_the_trainer_is_where_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    arguments = arguments_of(tmp_path)
    assert arguments["use_cpu"] and not arguments["dataloader_pin_memory"]


@pytest.mark.slow
def test_a_stage_gives_its_model_a_longer_context_and_the_model_keeps_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    stage = StageConfig(kind="sample", dtype="float32", max_position_embeddings=9000)
    assert model_options(stage)["max_position_embeddings"] == 9000
    load_model(stage, str(tiny_model)).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["max_position_embeddings"] == 9000
    assert "max_position_embeddings" not in model_options(StageConfig(kind="sample"))


def test_float16_is_refused_on_a_cpu_where_accelerate_would_train_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    refuse_dtype(StageConfig(kind="sft", dtype="bfloat16"), "stages.x")
    with pytest.raises(
        StageError, match=r"^stages.x.dtype: float16 is trained on GPUs only; set d"
    ):
        refuse_dtype(StageConfig(kind="sft", dtype="float16"), "stages.x")


def test_an_adapters_frozen_weights_are_in_four_bits() -> None:
    require("gpu", find_spec("bitsandbytes"), "bitsandbytes")
    stage = StageConfig(kind="sft", adapter=AdapterConfig(quantize="4bit"))
    config = model_options(stage)["quantization_config"]
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert "quantization_config" not in model_options(StageConfig(kind="sft"))


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("name", ["sft", "grpo", "pairwise"])
def test_an_adapter_of_four_bits_becomes_a_whole_model(name: str, tmp_path: Path) -> None:
    require("gpu", find_spec("bitsandbytes"), "bitsandbytes")
    require("gpu", driver_gpus().number)

    class Quantized(OneStep):
        def stage(self, args: Mapping[str, Any]) -> Any:
            adapter = AdapterConfig(rank=4, quantize="4bit")
            return replace(super().stage(args), adapter=adapter, dtype="bfloat16")

    tiny = Path(r1trl_tiny.__file__).parent / "models" / "base"
    Quantized(name, tiny, tmp_path).train({})
    made = tmp_path / f"{name}-1" / "model"
    assert merge_adapter(made)
    class_ = AutoModelForSequenceClassification if name == "pairwise" else AutoModelForCausalLM
    model = class_.from_pretrained(made)
    assert model.dtype == torch.float32 and not hasattr(model.config, "quantization_config")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grpo", "rloo"])
@pytest.mark.parametrize(
    ("family", "ends"),
    [("gemma", {"<eos>", "<end_of_turn>"}), ("qwen25_base", {"<|im_end|>", "<|endoftext|>"})],
)
def test_a_rollout_ends_where_generation_does(
    kind: str, family: str, ends: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Chat(OneStep):
        def stage(self, args: Mapping[str, Any]) -> Any:
            return replace(super().stage(args), template=None)

    class Made(StageWork):
        def train(self, trainer: Any) -> dict[str, float]:
            made.append(trainer)
            return {}

    monkeypatch.setattr(one_step, "StageWork", Made)
    Chat(kind, awkward_model(family, tmp_path), tmp_path).train({})
    (trainer,) = made
    ids = trainer.generation_config.eos_token_id
    assert set(trainer.processing_class.convert_ids_to_tokens(ids)) == ends
