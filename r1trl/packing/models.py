"""What packing has to know of a model before it is run."""

import inspect
from typing import Any

from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def is_plain_decoder(model: Any) -> bool:
    """Return True if what a model makes of a row depends on its ids and their positions alone.

    Not with an encoder; not with prompts learnt by PEFT, which puts tokens of its own before every
    row; not compiled, which is done again for every length; and not if its positions mean something
    else as soon as any row of a pass is long.
    """
    inner = unwrapped(model)
    peft = getattr(inner, "active_peft_config", None)
    if getattr(peft, "is_prompt_learning", False) or hasattr(inner, "_orig_mod"):
        return False
    base = inner.get_base_model() if hasattr(inner, "get_base_model") else inner
    if not isinstance(base, PreTrainedModel) or getattr(base.config, "is_encoder_decoder", False):
        return False
    positions = "position_ids" in inspect.signature(base.forward).parameters
    return positions and not _rescales_long_positions(base.config.get_text_config())


def _rescales_long_positions(config: Any) -> bool:
    """Return True if rotary embeddings depend on the longest row, in all layers or in some."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [each.get("rope_type") for each in (rope, *rope.values()) if isinstance(each, dict)]
    return bool({"dynamic", "longrope"} & set(kinds))


def attends_to_all_with_sdpa(model: Any) -> bool:
    """Return True if a model's attention is transformers' `sdpa`, over all preceding tokens."""
    config, backend = config_of(model), getattr(unwrapped(model), "_supports_attention_backend", 0)
    layers = DynamicCache(config=config).layers
    full = all(type(layer) is DynamicLayer for layer in layers)
    return bool(full and backend and config._attn_implementation == "sdpa")


def adds_noise_by_length(model: Any) -> bool:
    """Return True if noise is added to a model's embeddings, less to longer rows (NEFTune)."""
    find = getattr(unwrapped(model), "get_input_embeddings", lambda: None)
    return getattr(find(), "neftune_noise_alpha", None) is not None


def is_random(model: Any) -> bool:
    """Return True if no two passes of a model in training are equal: it has dropout or noise."""
    return adds_noise_by_length(model) or any(
        isinstance(value, float) and value > 0
        for module in model.modules()
        for name, value in vars(module).items()
        if "drop" in name or "jitter" in name or (name == "p" and "Drop" in type(module).__name__)
    )


def config_of(model: Any) -> Any:
    """Return the configuration of a model's language model, however the model is wrapped."""
    return unwrapped(model).config.get_text_config()


def unwrapped(model: Any) -> Any:
    """Return a model without the wrappers of distributed training (`.module`)."""
    while not isinstance(model, PreTrainedModel) and hasattr(model, "module"):
        model = model.module
    return model
