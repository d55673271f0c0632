"""What a model's own generation settings forbid is not drawn, however a recipe samples."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import SamplingConfig
from r1trl.generation.local import load_local
from r1trl.types import Completion, Model

pytestmark = pytest.mark.slow


def drawn(model: Path, folder: Path, own: dict[str, Any], text: str = "") -> list[list[int]]:
    """Return the new ids that a model with these settings of its own draws, greedily."""
    copied = Path(shutil.copytree(model, folder / f"model{len(list(folder.iterdir()))}"))
    (copied / "generation_config.json").write_text(json.dumps(own))
    sampling = SamplingConfig(temperature=0.0, max_tokens=9)
    settings: dict[str, Any] = {"dtype": "float32", "template": "{{ prompt }}"}
    stage = StageConfig("sample", Model(str(copied)), sampling=sampling, **settings)
    local = load_local(stage)
    begun = [local.append(Completion(i, prompt), text) for i, prompt in enumerate("ax")]
    found = local.generate(begun, 6, ())
    return [list(c.token_ids[len(text) :]) for c in found]


def test_what_the_model_forbids_is_not_drawn(tiny_model: Path, tmp_path: Path) -> None:
    plain = drawn(tiny_model, tmp_path, {})
    first = [ids[0] for ids in plain]
    forbidden = drawn(tiny_model, tmp_path, {"suppress_tokens": first, "temperature": 3.0})
    assert not {*forbidden[0], *forbidden[1]} & set(first)
    begun = drawn(tiny_model, tmp_path, {"begin_suppress_tokens": first})
    assert not {ids[0] for ids in begun} & set(first)
    assert drawn(tiny_model, tmp_path, {"top_k": 1, "repetition_penalty": 9.0}) == plain


def test_what_is_for_the_beginning_is_not_for_a_continuation(
    tiny_model: Path, tmp_path: Path
) -> None:
    plain = drawn(tiny_model, tmp_path, {}, "bc")
    own = {"begin_suppress_tokens": [ids[0] for ids in plain]}
    assert drawn(tiny_model, tmp_path, own, "bc") == plain


def test_a_setting_that_is_not_carried_out_is_said(
    tiny_model: Path, tmp_path: Path, capfd: Any
) -> None:
    drawn(tiny_model, tmp_path, {"sequence_bias": [[[70], 1.0]], "forced_eos_token_id": 2})
    said = "the settings forced_eos_token_id, sequence_bias in its generation_config.json"
    assert said in capfd.readouterr().out
