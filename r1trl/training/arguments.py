"""TRL's arguments from a stage's settings: batch sizes, precision, adapters."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1trl.config.kinds import loading_options
from r1trl.config.schema import StageConfig
from r1trl.errors import StageError, unknown
from r1trl.stage.devices import uses_gpu
from r1trl.stage.ranks import world_size
from r1trl.watch.control import bounds_of


def trl_arguments(
    stage: StageConfig, folder: Path, seed: int, fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of TRL's config: defaults, then `stage.args`, then ours, then `fixed`.

    `stage.args` are of the types of TRL's config; `folder` is the stage's.
    """
    gpu = uses_gpu()
    return {
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "disable_tqdm": True,  # bars are for terminals, and this goes to a log
        **stage.args,
        "output_dir": str(folder / "checkpoints"),
        "report_to": "none",
        "ddp_timeout": math.ceil(bounds_of(folder).timeout),
        "seed": seed,
        "bf16": stage.dtype == "bfloat16",
        "fp16": stage.dtype == "float16",
        "model_init_kwargs": model_options(stage),
        **fixed,
    }


def refuse_dtype(stage: StageConfig, key: str) -> None:
    """Raise StageError if the device cannot compute in `dtype`; accelerate would use float32."""
    if stage.dtype == "float16" and not uses_gpu():
        instead = "set dtype=bfloat16 or float32"
        raise StageError(f"{key}.dtype: float16 is trained on GPUs only; {instead}")


def model_options(stage: StageConfig) -> dict[str, Any]:
    """Return how weights to be trained are loaded: in float32, whatever the computation is in.

    The trainer moves them to its device whole; TRL's own `device_map` would leave layers on the CPU
    if they do not fit, and say nothing.
    """
    options = {"dtype": "float32", "device_map": None, **loading_options(stage)}
    quantized = quantization(stage)
    return options | ({"quantization_config": quantized} if quantized else {})


def load_model(name: str, auto_class: str, seed: int, options: Mapping[str, Any]) -> Any:
    """Load a model by a class of transformers; `seed` is for weights that the checkpoint lacks.

    Raises StageError if transformers has no such class.
    """
    import transformers

    class_ = getattr(transformers, auto_class, None)
    if class_ is None:
        raise StageError(f"transformers has no class '{auto_class}'")
    transformers.set_seed(seed)
    return class_.from_pretrained(name, **options)


def lora_config(stage: StageConfig, key: str, task: str = "CAUSAL_LM") -> Any:
    """Return peft's LoraConfig if the stage trains an adapter, else None.

    `task` is peft's task type; with SEQ_CLS the new head is trained whole. Raises StageError if the
    model has no layer of a given name.
    """
    if stage.adapter is None:
        return None
    from peft import LoraConfig

    _refuse_unknown_layers(stage, f"{key}.adapter.target_modules")
    return LoraConfig(
        task_type=task,
        r=stage.adapter.rank,
        lora_alpha=stage.adapter.alpha,  # type: ignore[arg-type]
        lora_dropout=stage.adapter.dropout,
        target_modules=stage.adapter.target_modules or "all-linear",
    )


def _refuse_unknown_layers(stage: StageConfig, key: str) -> None:
    """Raise StageError if the model has no layer of a name that an adapter is for."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    wanted = stage.adapter.target_modules if stage.adapter else []
    if not wanted:
        return
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(stage.model))
    layers = [name for name, _ in model.named_modules()]
    linear = {n.rpartition(".")[2] for n, m in model.named_modules() if type(m) is torch.nn.Linear}
    for name in wanted:
        if not any(f".{layer}".endswith(f".{name}") for layer in layers):
            raise StageError(f"{key}: {unknown('layer', name, linear)}")


def quantization(stage: StageConfig) -> Any:
    """Return how weights that are not trained are loaded in 4 bits; None: they are not.

    NF4 with double quantization, as in QLoRA; products are computed in the stage's `dtype`.
    """
    if stage.adapter is None or stage.adapter.quantize is None:
        return None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=stage.dtype,
    )


def micro_batch(stage: StageConfig) -> int:
    """Return the number of rows of all processes in one backward pass."""
    return int(stage.args.get("per_device_train_batch_size", 8)) * world_size()


def batch_arguments(stage: StageConfig, key: str) -> dict[str, int]:
    """Return how many micro-batches make an update of `batch` rows; empty if there is no `batch`.

    `key` is the stage's key. Raises StageError if the numbers do not divide.
    """
    if stage.batch is None:
        return {}
    micro = micro_batch(stage)
    if stage.batch % micro:
        raise StageError(
            f"{key}.batch: {stage.batch} does not divide into micro-batches of {micro} "
            f"(args.per_device_train_batch_size × {world_size()} processes)"
        )
    return {"gradient_accumulation_steps": stage.batch // micro}


def rollout_arguments(stage: StageConfig, key: str) -> dict[str, int]:
    """Return `rollout:` in TRL's terms; `key` is the stage's key.

    TRL's `steps_per_generation` counts micro-steps; `generation_batch_size` is in completions.
    Raises StageError if the numbers do not divide.
    """
    outputs, minibatches = stage.rollout.outputs, stage.rollout.minibatches
    micro = micro_batch(stage)
    if outputs % (minibatches * micro):
        raise StageError(
            f"{key}.rollout.outputs: {outputs} in {minibatches} updates does not divide into "
            f"micro-batches of {micro} (args.per_device_train_batch_size × {world_size()} "
            "processes)"
        )
    return {
        "generation_batch_size": outputs,
        "gradient_accumulation_steps": outputs // minibatches // micro,
    }


def nothing_trained(trainer: Any) -> str:
    """Say why a training made no step, by its rows and arguments."""
    args, rows = trainer.args, trainer.train_dataset
    count = len(rows) if hasattr(rows, "__len__") else None
    size = args.train_batch_size * args.world_size
    why = "give more rows or steps"
    if count is not None and count < size and args.dataloader_drop_last:
        why = f"args.dataloader_drop_last=true leaves out what is less than a batch of {size} rows"
    elif args.max_steps <= 0 and args.num_train_epochs <= 0:
        why = f"args.num_train_epochs={args.num_train_epochs:g} and args.max_steps={args.max_steps}"
    return f"nothing was trained: no step was made of {count or 'no'} rows; {why}"
