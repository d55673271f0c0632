"""A LoRA adapter in a model's folder, and the whole model that takes its place."""

from pathlib import Path
from typing import Any

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def has_adapter(folder: Path) -> bool:
    """Return True if a folder has an adapter in place of a whole model."""
    return all((folder / name).exists() for name in ADAPTER_FILES)


def save_settings(model: Any, folder: Path) -> None:
    """Write the config and the generation settings of an adapter's model beside the adapter.

    Training may have changed both, such as the end token; the base's files have the old ones.
    """
    base = model.get_base_model()
    base.config.architectures = [type(base).__name__]
    base.config.save_pretrained(folder)
    if getattr(base, "generation_config", None) is not None:
        base.generation_config.save_pretrained(folder)


def merge_adapter(folder: Path) -> int:
    """Replace the adapter in a folder by the whole model; return the number of changed tensors.

    The adapter moves to the folder `adapter` beside. The model is written in float32, on the CPU,
    with the config and the generation settings that `save_settings` has written.
    """
    from peft import PeftModel
    from transformers import GenerationConfig
    from transformers.integrations import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()  # with ZeRO-3 it would shard the weights
    model = PeftModel.from_pretrained(_base(folder), str(folder))
    changed = sum(name.endswith("lora_A.default.weight") for name, _ in model.named_parameters())
    merged = model.merge_and_unload()
    if (folder / "generation_config.json").exists():
        merged.generation_config = GenerationConfig.from_pretrained(folder)
    kept = folder.parent / "adapter"
    kept.mkdir(exist_ok=True)
    for name in (*ADAPTER_FILES, "README.md"):  # PEFT's card of the adapter
        if (folder / name).exists():
            (folder / name).replace(kept / name)
    merged.save_pretrained(folder)
    return changed


def _base(folder: Path) -> Any:
    """Load the model that an adapter belongs to, with as many embeddings as it was trained with."""
    import torch
    import transformers
    from peft import PeftConfig

    path = PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
    config = transformers.AutoConfig.from_pretrained(folder)
    class_ = getattr(transformers, config.architectures[0])
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # an adapter of quantized weights is merged into whole ones
    text = config.get_text_config()
    size = text.vocab_size
    text.vocab_size = transformers.AutoConfig.from_pretrained(path).get_text_config().vocab_size
    model = class_.from_pretrained(path, config=config, dtype=torch.float32)
    if size != text.vocab_size:
        model.resize_token_embeddings(size, mean_resizing=False)
    return model
