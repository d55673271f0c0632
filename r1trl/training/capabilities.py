"""What a TRL trainer's settings allow r1trl to do in its place, read off the trainer.

tests/training/test_trl_contract.py fails first when TRL moves an attribute that is read here.
"""

from typing import Any

import torch

from r1trl.decoding.decode import can_decode
from r1trl.decoding.generation_config import filled_from_model, sampling_params
from r1trl.decoding.sampling_params import SamplingParams
from r1trl.packing.models import is_plain_decoder, is_random


def local_sampling_params(trainer: Any) -> SamplingParams | None:
    """Return the trainer's sampling parameters; None if TRL must generate.

    TRL must with vLLM, continuous batching, FSDP, and ZeRO-3 without gathering; with tools, whose
    results it puts between completions; with noise whose strength depends on padding; and where the
    trainer or the model has a setting, or needs something, that `decode` lacks. Nor does `decode`
    go on after the ends that TRL knows.
    """
    elsewhere = trainer.use_vllm or trainer.use_transformers_continuous_batching
    whole = not trainer.is_fsdp_enabled and trainer.args.ds3_gather_for_generation
    tools, noise = getattr(trainer, "tools", None), trainer.args.neftune_noise_alpha
    if elsewhere or not whole or tools or noise:
        return None
    if not (is_plain_decoder(trainer.model) and can_decode(trainer.model)):
        return None
    params = sampling_params(filled_from_model(trainer.model, trainer.generation_config))
    if params is None or set(params.eos_token_ids) != set(trainer.eos_token_ids):
        return None
    return params


def scoring_temperature(trainer: Any) -> float | None:
    """Return the temperature at which decoding may score what it draws, in place of TRL's pass.

    None if it may not: the two agree to rounding only if both are in float32 and nothing is random.
    """
    args, model = trainer.args, trainer.model
    low = args.bf16 or args.fp16 or args.tf32 or getattr(args, "cast_lm_head_to_fp32", False)
    if low or {p.dtype for p in model.parameters()} != {torch.float32} or is_random(model):
        return None
    return float(trainer.temperature)


def reference_shares_base(trainer: Any) -> bool:
    """Return True if the reference is the policy with its adapter disabled."""
    return bool(trainer.beta != 0.0 and trainer.ref_model is None)


def policy_equals_reference(trainer: Any) -> bool:
    """Return True if policy and reference are equal, at step 0 or after a sync, and not random."""
    args, step = trainer.args, trainer.state.global_step
    synced = args.sync_ref_model and args.ref_model_mixup_alpha == 1.0
    equal = step == 0 or (synced and step % args.ref_model_sync_steps == 0)
    return bool(equal and not is_random(trainer.model))
