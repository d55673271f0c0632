"""What a TRL trainer's settings allow r1trl to do in its place, read off the trainer.

tests/training/test_trl_contract.py fails first when TRL moves an attribute that is read here.
"""

from typing import Any

from r1trl.decoding.sampling_params import SamplingParams


def local_sampling_params(trainer: Any) -> SamplingParams | None:
    """Return the trainer's sampling parameters; None if TRL must generate.

    TRL must with vLLM, continuous batching, FSDP, and ZeRO-3 without gathering.
    """
    elsewhere = trainer.use_vllm or trainer.use_transformers_continuous_batching
    whole = not trainer.is_fsdp_enabled and trainer.args.ds3_gather_for_generation
    if elsewhere or not whole:
        return None
    return SamplingParams.from_config(trainer.generation_config)


def loss_ignores_micro_batching(trainer: Any) -> bool:
    """Return True if the gradient does not depend on which rows share a micro-batch."""
    by_batch = getattr(trainer, "loss_type", "") == "bnpo" or trainer.aux_loss_enabled
    return not by_batch and not loss_uses_entropy(trainer)


def loss_uses_entropy(trainer: Any) -> bool:
    """Return True if the entropies of a micro-batch are part of the loss; RLOO's never are."""
    by_quantile = getattr(trainer, "top_entropy_quantile", 1.0) < 1.0
    return bool(by_quantile or getattr(trainer, "_entropy_bonus_enabled", False))


def decode_matches_training_precision(trainer: Any) -> bool:
    """Return True if log-probs from decoding may replace a training pass: both are in float32."""
    args = trainer.args
    return not (args.bf16 or args.fp16 or getattr(args, "cast_lm_head_to_fp32", False))


def reference_shares_base(trainer: Any) -> bool:
    """Return True if the reference is the policy with its adapter disabled."""
    return bool(trainer.beta != 0.0 and trainer.ref_model is None)


def policy_equals_reference(trainer: Any) -> bool:
    """Return True if the weights of policy and reference are equal: at step 0, or after a sync."""
    args, step = trainer.args, trainer.state.global_step
    synced = args.sync_ref_model and args.ref_model_mixup_alpha == 1.0
    return bool(step == 0 or (synced and step % args.ref_model_sync_steps == 0))


def can_skip_zero_advantage(trainer: Any) -> bool:
    """Return True if a row with advantage 0 adds nothing to the gradient: no KL, no entropy."""
    is_grpo = hasattr(trainer, "loss_type")  # RLOO's old sums would be of other rows
    return bool(is_grpo and trainer.beta == 0.0 and not loss_uses_entropy(trainer))
