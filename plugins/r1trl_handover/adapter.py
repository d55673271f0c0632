"""Hand over a whole model where an adapter was trained."""

from dataclasses import replace
from pathlib import Path

from r1trl import StageResult

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


def merge_adapter(result: StageResult) -> StageResult:
    """Merge the LoRA adapter that the stage has trained into the model it was trained on.

    What is handed over is then a model like any other, in the type it was trained in. Raises
    ValueError where the stage hands over no adapter.
    """
    model = result.model
    if model is None or not all((model / name).exists() for name in ADAPTER):
        raise ValueError(f"stage '{result.stage}' hands over no adapter; its config has no adapter")
    merged = merge(model)
    return replace(result, metrics={**result.metrics, "merged_tensors": merged})


def merge(folder: Path) -> int:
    """Put a merged model in the place of a folder's adapter; return how many tensors changed."""
    import torch
    from peft import AutoPeftModelForCausalLM

    model = AutoPeftModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    changed = sum(name.endswith("lora_A.default.weight") for name, _ in model.named_parameters())
    whole = model.merge_and_unload()
    for name in ADAPTER:
        (folder / name).unlink()
    whole.save_pretrained(folder)
    return changed
