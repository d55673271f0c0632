"""Importance ratios of tokens: how likely the policy that trains makes what a sampler has drawn.

An inference engine computes other probabilities than the trainer does. TRL weighs the loss of each
token by the ratio of the two, limited as `vllm_importance_sampling_mode` is, and logs their mean
and extremes. Those do not show how many tokens are far off, or how many weights were limited.
"""

from collections.abc import Mapping
from typing import Any

import torch

NEAR = (0.9, 1.1)  # ratios of tokens that count as equally likely


def log_tails(trainer: Any, rollout: Mapping[str, torch.Tensor]) -> None:
    """Log shares of a rollout's tokens beside TRL's metrics of importance ratios; a collective.

    `tail`: of those with a ratio, those that are not near 1; `masked` or `truncated`, as the mode
    is: those whose weight is not their ratio.
    """
    known, far, tokens, limited = trainer.accelerator.reduce(tail_counts(rollout)).tolist()
    name = "masked" if trainer.vllm_importance_sampling_mode.endswith("_mask") else "truncated"
    metrics = trainer._metrics["train" if trainer.model.training else "eval"]
    for metric, count, of in (("tail", far, known), (name, limited, tokens)):
        if of:
            metrics[f"sampling/importance_sampling_ratio/{metric}"].append(count / of)


def tail_counts(rollout: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return counts (4,) float64 of a rollout's tokens: with a ratio, not near 1, all, limited.

    `rollout` is in the form of TRL's generation, right-padded, (rows, longest completion) each:
    `old_per_token_logps` of the trainer and `sampling_per_token_logps` of the sampler in nats, NaN
    where the sampler gave none; `completion_mask` and, if there are tools, `tool_mask`, 1 for a
    token of the model; and `importance_sampling_ratio`, by token or (rows, 1), the weights that
    TRL's loss uses. A token is limited if its weight is not the ratio: masked (0) or truncated.
    """
    mask = rollout["completion_mask"].bool()
    if "tool_mask" in rollout:
        mask = mask & rollout["tool_mask"].bool()
    logps, sampled = rollout["old_per_token_logps"], rollout["sampling_per_token_logps"]
    known = mask & ~sampled.isnan()
    differences = torch.nan_to_num((logps - sampled) * mask, nan=0.0)  # as TRL has them, to the bit
    ratios, weights = differences.exp(), rollout["importance_sampling_ratio"]
    far = known & ((ratios < NEAR[0]) | (ratios > NEAR[1]))
    if weights.shape != ratios.shape:  # a weight per completion
        ratios = differences.sum(dim=-1, keepdim=True).exp()
    limited = mask & (weights != ratios)
    return torch.stack([known.sum(), far.sum(), mask.sum(), limited.sum()]).double()
