"""The models of the grid: a plain one, one with dropout, and a mixture of experts."""

from pathlib import Path

import pytest

TOKENS = ("bos", "eos", "pad")


@pytest.fixture(scope="session")
def grid_models(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of the models by their names."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, MixtralConfig

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in TOKENS}
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"intermediate_size": 32, "num_key_value_heads": 1, "num_local_experts": 4}
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop"), 0.5) | {"attn_pdrop": 0.0}
    configs = {
        "dropout": GPT2Config(vocab_size=len(tokenizer), **sizes, **tokens, **dropout),
        "mixture": MixtralConfig(vocab_size=len(tokenizer), **sizes, **tokens, **more),
    }
    folder = tmp_path_factory.mktemp("grid")
    for name, config in configs.items():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return {"plain": tiny_model, **{name: folder / name for name in configs}}
