"""What may be given for the fields of GRPOConfig, and what does not go together."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl import Field
from r1trl.kinds.rollouts import ROLLOUT_FIELDS, rollout_problems

LOSSES = ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo")
VLLM_MODES = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")

GRPO_FIELDS: Mapping[str, Field] = {
    **ROLLOUT_FIELDS,
    # the loss
    "loss_type": Field(choices=LOSSES),
    "use_bias_correction_kl": Field(),
    "cast_lm_head_to_fp32": Field(),
    "importance_sampling_level": Field(choices=("token", "sequence")),
    "delta": Field(above=0),
    "sapo_temperature_neg": Field(above=0),
    "sapo_temperature_pos": Field(above=0),
    "vespo_k_pos": Field(at_least=0),
    "vespo_k_neg": Field(at_least=0),
    "vespo_lambda_pos": Field(above=0),
    "vespo_lambda_neg": Field(above=0),
    "off_policy_mask_threshold": Field(above=0),
    # advantages
    "scale_rewards": Field(choices=("group", "batch", "none"), also=(True, False)),
    "multi_objective_aggregation": Field(choices=("sum_then_normalize", "normalize_then_sum")),
    # entropy
    "use_adaptive_entropy": Field(),
    "top_entropy_quantile": Field(at_least=0, at_most=1),
    "entropy_coef": Field(at_least=0),
    "entropy_coef_min": Field(at_least=0),
    "entropy_coef_max": Field(at_least=0),
    "entropy_coef_delta": Field(at_least=0),
    "entropy_target": Field(at_least=0),
    # records
    "log_completions_hub_repo": Field(),
    "max_tool_calling_iterations": Field(
        verdict="refused", reason="reaches nothing: r1trl's rollouts call no tools"
    ),
    # the difference between vLLM's probabilities and those of training
    "vllm_importance_sampling_correction": Field(),
    "vllm_importance_sampling_mode": Field(choices=VLLM_MODES),
    "vllm_importance_sampling_clip_max": Field(above=0),
    "vllm_importance_sampling_clip_min": Field(at_least=0),
    "vllm_importance_sampling_cap": Field(above=0),  # a former name of clip_max
}


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield what does not go together in a stage of kind grpo."""
    yield from rollout_problems(stage, beta=0.0)
    yield from _importance_sampling(stage.args)
    low, high = (
        stage.args.get(f"entropy_coef_{end}", d) for end, d in (("min", 0.0), ("max", 1.0))
    )
    if low > high:
        yield "args.entropy_coef_min", f"{low:g} is above args.entropy_coef_max={high:g}"


def _importance_sampling(args: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield bounds of vLLM's importance sampling that TRL refuses."""
    if not args.get("vllm_importance_sampling_correction", True):
        mode = "none"
    else:
        mode = args.get("vllm_importance_sampling_mode", "sequence_mask")
    low = args.get("vllm_importance_sampling_clip_min")
    high = args.get("vllm_importance_sampling_clip_max", 3.0)
    former = args.get("vllm_importance_sampling_cap")
    high = high if former is None else former
    if low is not None and high is not None and low >= high:
        yield (
            "args.vllm_importance_sampling_clip_min",
            f"{low:g} is not below args.vllm_importance_sampling_clip_max={high:g}",
        )
    if mode.endswith("_truncate") and low is None and high is None:
        yield (
            "args.vllm_importance_sampling_mode",
            f"{mode} needs vllm_importance_sampling_clip_min or vllm_importance_sampling_clip_max",
        )
    vespo = args.get("loss_type") == "vespo" and args.get("use_vllm")
    if vespo and mode.startswith("sequence"):
        yield (
            "args.vllm_importance_sampling_mode",
            f"{mode} does not fit loss_type=vespo; choose one of: token_truncate, token_mask",
        )
