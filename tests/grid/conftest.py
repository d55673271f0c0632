"""The models of the grid: plain, with dropout, a mixture of experts, and one with its own code."""

import json
import shutil
from pathlib import Path

import pytest

TOKENS = ("bos", "eos", "pad")
CODE = """
from transformers import Qwen2Config, Qwen2ForCausalLM

class OwnConfig(Qwen2Config):
    model_type = "own"

class OwnForCausalLM(Qwen2ForCausalLM):
    config_class = OwnConfig
"""


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
    own = Path(shutil.copytree(tiny_model, folder / "own"))
    (own / "own.py").write_text(CODE)
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"}
    config = {**json.loads((own / "config.json").read_text()), "auto_map": classes}
    (own / "config.json").write_text(json.dumps(config | {"model_type": "own"}))
    return {"plain": tiny_model, "own": own, **{name: folder / name for name in configs}}
