"""Where a chat template ends an answer."""

from pathlib import Path

import pytest
from awkward_models import awkward_model
from transformers import AutoTokenizer

from r1trl.chat.ends import end_of_turn


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("chatml", "<|im_end|>"),
        ("qwen25_base", "<|im_end|>"),
        ("qwen3", "<|im_end|>"),
        ("r1_distill", "<|eos|>"),
        ("gemma", "<end_of_turn>"),
        ("llama_base", None),
    ],
)
def test_the_end_of_a_turn_is_the_templates(name: str, end: str | None, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(awkward_model(name, tmp_path))
    assert end_of_turn(tokenizer) == end
