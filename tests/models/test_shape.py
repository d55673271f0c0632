"""The sizes of models: counted as transformers counts them, and known for every shipped model."""

import json
from pathlib import Path

import pytest
import yaml

from r1trl.config.compose import compose, conf_folder
from r1trl.models.published import ROWS, SHAPES
from r1trl.models.shape import published, shape_of

BILLIONS = {  # as their pages on the Hub say
    "HuggingFaceTB/SmolLM2-135M": 0.135,
    "Qwen/Qwen2.5-0.5B": 0.49,
    "Qwen/Qwen2.5-1.5B": 1.54,
    "Qwen/Qwen2.5-3B": 3.09,
    "Qwen/Qwen2.5-7B": 7.61,
    "Qwen/Qwen2.5-14B": 14.7,
    "Qwen/Qwen2.5-32B": 32.5,
    "Qwen/Qwen2.5-Math-1.5B": 1.54,
    "Qwen/Qwen2.5-Math-7B": 7.61,
    "Qwen/Qwen3-0.6B-Base": 0.6,
    "Qwen/Qwen3-1.7B-Base": 1.7,
    "Qwen/Qwen3-4B-Base": 4.0,
    "Qwen/Qwen3-8B-Base": 8.2,
    "meta-llama/Llama-3.2-1B": 1.24,
    "meta-llama/Llama-3.2-3B": 3.21,
    "meta-llama/Llama-3.1-8B": 8.03,
    "meta-llama/Llama-3.3-70B-Instruct": 70.6,
}


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_the_model(family: str, tied: bool, tmp_path: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    config = AutoConfig.for_model(
        family, vocab_size=300, tie_word_embeddings=tied, **sizes, **heads
    )
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shape = shape_of(str(tmp_path))
    assert shape and shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.cache == 2 * 3 * 2 * 16


def test_an_adapter_is_counted_as_peft_makes_it(tiny_model: Path) -> None:
    import peft
    from transformers import AutoModelForCausalLM

    config = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config)
    shape = shape_of(str(tiny_model))
    assert shape and shape.adapter(4) == model.get_nb_trainable_parameters()[0]


@pytest.mark.parametrize("name", SHAPES)
def test_the_table_has_the_sizes_that_are_published(name: str) -> None:
    shape = published(name)
    assert shape and shape.parameters / 1e9 == pytest.approx(BILLIONS[name], rel=0.03)


def test_every_shipped_model_and_dataset_is_in_the_tables() -> None:
    for file in (conf_folder() / "model").glob("*.yaml"):
        path = compose([f"model={file.stem}", "name=x"], None).config.model.path
        assert shape_of(path), file
    for file in (conf_folder() / "dataset").glob("*.yaml"):
        source = yaml.safe_load(file.read_text())
        hub = source.get("path") not in (None, "???")
        assert not hub or (source["path"], source.get("name"), source["split"]) in ROWS, file


@pytest.mark.parametrize(
    "config", [{"model_type": "mamba"}, {"model_type": "llama", "hidden_size": 64}, [], "broken"]
)
def test_what_is_no_known_decoder_has_no_sizes(config: object, tmp_path: Path) -> None:
    text = config if isinstance(config, str) else json.dumps(config)
    (tmp_path / "config.json").write_text(text)
    assert shape_of(str(tmp_path)) is None
    assert shape_of("nobody/has-this") is None and shape_of("no Hub id") is None
