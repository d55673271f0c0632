"""Hand over a whole model in place of an adapter."""

from dataclasses import replace
from pathlib import Path

from r1trl import StageResult

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def merge_adapter(result: StageResult) -> StageResult:
    """Merge the stage's LoRA adapter into the model that it was trained on.

    Writes the whole model, in float32, to the model's folder in place of the adapter; the number of
    changed tensors becomes the metric `merged_tensors`. Raises ValueError if the stage hands over
    no adapter.
    """
    model = result.model
    if model is None or not all((model / name).exists() for name in ADAPTER_FILES):
        raise ValueError(f"stage '{result.stage}' hands over no adapter; its config has no adapter")
    merged = merge(model)
    return replace(result, metrics={**result.metrics, "merged_tensors": merged})


def merge(folder: Path) -> int:
    """Replace a folder's adapter by the merged model; return the number of changed tensors."""
    import torch
    from peft import AutoPeftModelForCausalLM

    model = AutoPeftModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    changed = sum(name.endswith("lora_A.default.weight") for name, _ in model.named_parameters())
    merged = model.merge_and_unload()
    for name in ADAPTER_FILES:
        (folder / name).unlink()
    merged.save_pretrained(folder)
    return changed
