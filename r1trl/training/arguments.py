"""What every kind of training has in common: the stage's parts, and TRL's arguments from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from r1trl.config.arguments import CONFIG_OF, args_of
from r1trl.errors import StageError
from r1trl.plugins.loading import Plugins
from r1trl.stage.files import Work
from r1trl.stage.ranks import world_size
from r1trl.training.tracking import Tracker

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Training:
    """What a training stage is made of."""

    work: Work
    folder: Path
    rows: "Dataset"
    tokenizer: Any
    plugins: Plugins
    tracker: Tracker
    until: Mapping[str, Callable[..., Any]]  # by the keys of their transitions

    @property
    def where(self) -> str:
        """Return the key of the stage."""
        return f"stages.{self.work.stage}"


def trl_config(training: Training, **more: Any) -> Any:
    """Make TRL's config for the stage's kind; `more` wins."""
    import trl

    work, settings = training.work, training.work.settings
    name, cuda = CONFIG_OF[work.kind], torch.cuda.is_available()
    arguments = {
        "use_cpu": not cuda,
        "dataloader_pin_memory": cuda,
        **args_of(name, settings["args"]),
        "output_dir": str(training.folder / "checkpoints"),
        "report_to": "none",
        "seed": work.own_seed,
        "bf16": settings["dtype"] == "bfloat16",
        "model_init_kwargs": model_options(settings),
        **more,
    }
    return getattr(trl, name)(**arguments)


def model_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return how weights are loaded to be trained: kept in float32, whatever computes with them."""
    options = {"dtype": "float32"}
    if settings.get("attention"):
        options["attn_implementation"] = settings["attention"]
    return options


def adapter(settings: Mapping[str, Any]) -> Any:
    """Return peft's LoraConfig where an adapter is trained, else None."""
    chosen = settings["adapter"]
    if chosen is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=chosen["rank"],
        lora_alpha=chosen["alpha"],
        lora_dropout=chosen["dropout"],
        target_modules=chosen["layers"] or "all-linear",
    )


def micro_batch(settings: Mapping[str, Any]) -> int:
    """Return how many rows all processes take in one backward pass."""
    return int(settings["args"].get("per_device_train_batch_size", 8)) * world_size()


def batch_args(training: Training) -> dict[str, int]:
    """Return how many micro-batches make an update of `batch` rows.

    Raises StageError where the numbers do not divide.
    """
    settings = training.work.settings
    if settings["batch"] is None:
        return {}
    micro = micro_batch(settings)
    if settings["batch"] % micro:
        raise StageError(
            f"{training.where}.batch: {settings['batch']} does not divide into micro-batches of "
            f"{micro} (args.per_device_train_batch_size × {world_size()} processes)"
        )
    return {"gradient_accumulation_steps": settings["batch"] // micro}


def rollout_args(training: Training) -> dict[str, int]:
    """Translate `rollout:` into TRL's terms.

    TRL's `steps_per_generation` counts micro-steps; `generation_batch_size` is in completions.
    Raises StageError where the numbers do not divide.
    """
    settings = training.work.settings
    outputs, minibatches = settings["rollout"]["outputs"], settings["rollout"]["minibatches"]
    micro = micro_batch(settings)
    if outputs % (minibatches * micro):
        raise StageError(
            f"{training.where}.rollout.outputs: {outputs} in {minibatches} updates does not divide "
            f"into micro-batches of {micro} (args.per_device_train_batch_size × {world_size()} "
            "processes)"
        )
    return {
        "generation_batch_size": outputs,
        "gradient_accumulation_steps": outputs // minibatches // micro,
    }
