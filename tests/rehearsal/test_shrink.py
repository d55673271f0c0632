"""Models are made small by their config; tokenizer, template, context and tying stay."""

from pathlib import Path
from typing import Any

import pytest
from stand_ins import CHATML, qwen_folder

from r1trl.rehearsal.shrink import shrink, shrink_config

pytestmark = pytest.mark.slow


def test_a_large_config_becomes_a_small_model(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = qwen_folder(tmp_path / "large", context=40960, tie_word_embeddings=True)
    shrink(str(source), tmp_path / "small", seed=3)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "small")
    config, tokenizer = model.config, AutoTokenizer.from_pretrained(tmp_path / "small")
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (2, 64, 128)
    assert (config.num_attention_heads, config.num_key_value_heads) == (4, 1)  # 28 and 4 before
    assert config.max_position_embeddings == 40960 and config.tie_word_embeddings
    own = AutoTokenizer.from_pretrained(source)
    assert config.vocab_size == 277 and tokenizer.get_vocab() == own.get_vocab()
    assert tokenizer.chat_template == CHATML and tokenizer.eos_token == own.eos_token
    assert str(model.dtype) == "torch.float32"


def test_the_weights_depend_on_the_seed(tmp_path: Path) -> None:
    source = qwen_folder(tmp_path / "large")
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        shrink(str(source), tmp_path / folder, seed)
    a, b, c = ((tmp_path / n / "model.safetensors").read_bytes() for n in "abc")
    assert a == b != c


def test_the_generation_config_stays(tmp_path: Path) -> None:
    from transformers import GenerationConfig

    source = qwen_folder(tmp_path / "large")
    GenerationConfig(eos_token_id=[2, 5], top_k=7, do_sample=True).save_pretrained(source)
    shrink(str(source), tmp_path / "small", seed=1)
    kept = GenerationConfig.from_pretrained(tmp_path / "small")
    assert kept.eos_token_id == [2, 5] and kept.top_k == 7


def test_a_reward_model_stays_a_classifier(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    source = qwen_folder(tmp_path / "large", num_labels=1)
    config = AutoConfig.from_pretrained(source)
    config.architectures = ["Qwen2ForSequenceClassification"]
    config.save_pretrained(source)
    shrink(str(source), tmp_path / "small", seed=1)
    _, report = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "small", output_loading_info=True
    )
    assert not report["missing_keys"]


MORE = [
    *("qwen3", "qwen3_moe", "mistral", "mixtral", "gemma2", "gemma3_text", "gpt_oss", "phi3"),
    *("olmo2", "olmo3", "smollm3", "cohere2", "glm4", "deepseek_v3", "gpt2", "gpt_neox"),
    *("starcoder2", "falcon", "lfm2", "exaone4", "granite"),
]
FAMILIES = [
    *("llama", "qwen2", "qwen3_next"),
    *(pytest.param(family, marks=pytest.mark.long) for family in MORE),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_models_of_many_families_become_small_and_run(family: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family)
    shrink_config(config)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.inference_mode():
        assert model(input_ids=torch.tensor([[0, 1, 2]])).logits.shape[:2] == (1, 3)
    inside = [p for n, p in model.named_parameters() if p.shape[0] < 1000]
    assert config.num_hidden_layers == 2 and sum(p.numel() for p in inside) < 2_000_000


def test_layers_of_different_types_are_kept() -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model("qwen3_next")
    shrink_config(config)
    assert config.layer_types == ["linear_attention", "full_attention"]
