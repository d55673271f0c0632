"""What a trainer of TRL is like: what it draws, passes and learns from, read off its settings.

tests/test_trl_contract.py fails first when TRL moves what is read here.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from r1trl.decoding.sampling_params import SamplingParams


def local_sampling_params(trainer: Any) -> SamplingParams | None:
    """Return how the trainer draws; None where TRL has to: by vLLM, for sharded weights, …"""
    elsewhere = trainer.use_vllm or trainer.use_transformers_continuous_batching
    whole = not trainer.is_fsdp_enabled and trainer.args.ds3_gather_for_generation
    return SamplingParams.of(trainer.generation_config) if whole and not elsewhere else None


def counts_rows_alike(trainer: Any) -> bool:
    """Tell whether the gradient is the same however rows are dealt to micro-batches."""
    by_batch = getattr(trainer, "loss_type", "") == "bnpo" or trainer.aux_loss_enabled
    return not by_batch and not looks_at_entropy(trainer)


def looks_at_entropy(trainer: Any) -> bool:
    """Tell whether the entropies of a micro-batch are part of the loss; RLOO's never are."""
    chosen = getattr(trainer, "top_entropy_quantile", 1.0) < 1.0
    return bool(chosen or getattr(trainer, "_entropy_bonus_enabled", False))


def keeps_precision(trainer: Any) -> bool:
    """Tell whether drawing computes what a training pass does, but for rounding in float32."""
    args = trainer.args
    return not (args.bf16 or args.fp16 or getattr(args, "cast_lm_head_to_fp32", False))


def of_adapter(trainer: Any) -> bool:
    """Tell whether the reference is the policy without its adapter."""
    return bool(trainer.beta != 0.0 and trainer.ref_model is None)


def unmoved(trainer: Any) -> bool:
    """Tell whether the policy is still what the reference is: at first, and after each sync."""
    args, step = trainer.args, trainer.state.global_step
    synced = args.sync_ref_model and args.ref_model_mixup_alpha == 1.0
    return bool(step == 0 or (synced and step % args.ref_model_sync_steps == 0))


def skips_silent(trainer: Any) -> bool:
    """Tell whether a row without advantage moves nothing: no KL, no entropy in GRPO's loss."""
    is_grpo = hasattr(trainer, "loss_type")  # RLOO's old sums would be of other rows
    return bool(is_grpo and trainer.beta == 0.0 and not looks_at_entropy(trainer))


@contextmanager
def texts_kept(trainer: Any) -> Iterator[None]:
    """Have TRL keep a process's texts where it would gather those of all, unless it logs them."""
    base = next(c for c in type(trainer).__mro__ if c.__module__.startswith("trl.trainer."))
    module: Any = sys.modules[base.__module__]
    gather = module.gather_object

    def kept(what: Any) -> Any:
        return what if any(what is text for text in trainer.texts) else gather(what)

    logged = trainer.args.log_completions
    module.gather_object = gather if logged else kept
    try:
        yield
    finally:
        module.gather_object, trainer.texts = gather, ()
