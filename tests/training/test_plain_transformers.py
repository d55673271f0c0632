"""A model that each kind has made, in plain transformers: it loads, answers, and stops."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from awkward_models import awkward_model
from one_step import ROWS, OneStep
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from r1trl.config.stage_parts import AdapterConfig
from r1trl.models.adapter import has_adapter, merge_adapter

pytestmark = [pytest.mark.slow, pytest.mark.long]
TAUGHT = {"max_steps": 150, "learning_rate": 0.01, "per_device_train_batch_size": 8}
HARMLESS = {"learning_rate": 1e-7}
FAMILIES = {
    "qwen25_base": "<|im_end|>",
    "qwen3": "<|im_end|>",
    "gemma": "<end_of_turn>",
    "invalid_generation": "<|im_end|>",
}


class Chat(OneStep):
    """Stages whose prompts are written by the model's chat template."""

    adapter: AdapterConfig | None = None

    def stage(self, args: Mapping[str, Any]) -> Any:
        """Return the settings of a stage with arguments."""
        return replace(super().stage(args), template=None, adapter=self.adapter)

    def make(self, args: Mapping[str, Any]) -> Path:
        """Train, as a worker hands the model over; return its folder."""
        self.train(args)
        made = self.folder / f"{self.name}-{self.count}" / "model"
        if has_adapter(made):
            merge_adapter(made)
        return made


def answers(folder: Path) -> list[str]:
    """Return a model's answers, with their ends, by its own chat template and settings."""
    model, tokenizer = (
        class_.from_pretrained(folder) for class_ in (AutoModelForCausalLM, AutoTokenizer)
    )
    found = []
    for row in ROWS:
        chat = [{"role": "user", "content": row["prompt"]}]
        ids = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = model.generate(**ids, max_new_tokens=24, do_sample=False)
        found.append(tokenizer.decode(out[0, ids["input_ids"].shape[1] :]))
    return found


def taught(family: str, folder: Path, adapter: AdapterConfig | None = None) -> Path:
    """Return a model that SFT has taught the answers to all prompts."""
    stage = Chat("sft", awkward_model(family, folder), folder)
    stage.adapter = adapter
    return stage.make(TAUGHT)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_taught_model_answers_and_stops(family: str, tmp_path: Path) -> None:
    made = taught(family, tmp_path)
    assert answers(made) == [f"{row['completion']}{FAMILIES[family]}" for row in ROWS]
    assert AutoTokenizer.from_pretrained(made).eos_token == FAMILIES[family]


@pytest.fixture(scope="module")
def sft_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a base that was taught by its chat template, as an adapter that was merged."""
    folder = tmp_path_factory.mktemp("taught")
    return taught("qwen25_base", folder, AdapterConfig(rank=16, alpha=32.0))


@pytest.mark.parametrize("name", ["grpo", "rloo", "dpo", "distillation"])
def test_a_model_that_goes_on_from_there_answers_and_stops(
    name: str, sft_model: Path, tmp_path: Path
) -> None:
    made = Chat(name, sft_model, tmp_path).make(HARMLESS)
    assert answers(made) == [f"{row['completion']}<|im_end|>" for row in ROWS]


@pytest.mark.parametrize("name", ["pairwise", "pointwise"])
def test_a_reward_model_gives_a_number(name: str, sft_model: Path, tmp_path: Path) -> None:
    made = Chat(name, sft_model, tmp_path).make(HARMLESS)
    tokenizer = AutoTokenizer.from_pretrained(made)
    assert tokenizer.eos_token == "<|im_end|>"
    scorer = AutoModelForSequenceClassification.from_pretrained(made)
    chat = [{"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "2"}]
    ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
    assert scorer(**ids).logits.shape == (1, 1)
