"""Adapters in every kind that trains: the weights of bare TRL and PEFT, merged and handed on."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from awkward_models import awkward_model
from one_step import SETTINGS, OneStep
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file
from stage_runs import Run
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1trl.config.stage_parts import AdapterConfig
from r1trl.errors import StageError
from r1trl.models.adapter import merge_adapter

pytestmark = pytest.mark.slow


class WithAdapter(OneStep):
    """One step with an adapter in place of all weights."""

    adapter = AdapterConfig(rank=4, alpha=8.0)

    def stage(self, args: Mapping[str, Any]) -> Any:
        """Return the settings of a stage with arguments and the adapter."""
        return replace(super().stage(args), adapter=self.adapter)


def step(name: str, folder: Path, **args: Any) -> Path:
    """Train an adapter for a step; return the folder of the model, not merged yet."""
    model = awkward_model("chatml", folder)
    one = WithAdapter(name, model, folder)
    one.train(args)
    return folder / f"{name}-{one.count}" / "model"


def bare(name: str, folder: Path, ours: Path, **more: Any) -> dict[str, torch.Tensor]:
    """Train as TRL and PEFT do without r1trl, with the arguments of our stage; return the weights.

    The rows are those that our trainer got.
    """
    raise NotImplementedError


@pytest.mark.parametrize("name", SETTINGS)
def test_an_adapter_of_each_kind_becomes_a_whole_model(name: str, tmp_path: Path) -> None:
    model = step(name, tmp_path)
    adapter = load_file(model / "adapter_model.safetensors")
    assert any(bool(w.abs().max() > 0) for n, w in adapter.items() if "lora_B" in n), "it is trained"
    head = {n for n in adapter if n.endswith("score.weight")}
    assert bool(head) == (name in ("pairwise", "pointwise")), "the new head is trained whole"
    config = json.loads((model / "config.json").read_text())
    assert merge_adapter(model) == 7 * config["num_hidden_layers"]
    assert not list(model.glob("adapter*")) and len(list((model.parent / "adapter").iterdir())) >= 2
