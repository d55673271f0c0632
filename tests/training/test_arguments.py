"""TRL's arguments that follow from a stage: its precision, its device, how weights are loaded."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.schema import StageConfig
from r1trl.generation.local import load_model
from r1trl.training.arguments import model_options, trl_arguments


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
