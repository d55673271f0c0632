"""What the loss of a TRL trainer depends on, read off the trainer.

tests/training/test_trl_contract.py fails first when TRL moves an attribute that is read here.
"""

from typing import Any

import torch

from r1trl.packing.models import is_plain_decoder


def loss_is_trls(trainer: Any) -> bool:
    """Return True if the loss is TRL's own: what another one reads and keeps is not known."""
    classes = (c for c in type(trainer).__mro__ if "_compute_loss" in vars(c))
    return next(c for c in classes if not _is_ours(c)).__module__.startswith("trl.trainer.")


def _is_ours(class_: type) -> bool:
    return class_.__module__.partition(".")[0] == "r1trl"


def loss_ignores_micro_batching(trainer: Any) -> bool:
    """Return True if the gradient does not depend on which rows share a micro-batch.

    Rows are regrouped within an update: rollouts and updates must not overlap otherwise.
    """
    args = trainer.args
    by_batch = getattr(trainer, "loss_type", "") == "bnpo" or trainer.aux_loss_enabled
    by_batch = by_batch or args.neftune_noise_alpha or loss_uses_entropy(trainer)
    sizes = args.gradient_accumulation_steps, args.steps_per_generation
    aligned = max(sizes) % min(sizes) == 0
    plain = loss_is_trls(trainer) and is_plain_decoder(trainer.model)
    return plain and aligned and not by_batch


def loss_uses_entropy(trainer: Any) -> bool:
    """Return True if the entropies of a micro-batch are part of the loss; RLOO's never are."""
    by_quantile = getattr(trainer, "top_entropy_quantile", 1.0) < 1.0
    return bool(by_quantile or getattr(trainer, "_entropy_bonus_enabled", False))


def zero_advantage_rows(trainer: Any, advantages: torch.Tensor) -> torch.Tensor | None:
    """Return which rows add nothing to the gradient: (rows,) bool, None if no process has any.

    A row with advantage 0 does not if there is neither KL nor entropy in the loss. A collective.
    """
    is_grpo = hasattr(trainer, "loss_type")  # RLOO's advantages are hardly ever exactly 0
    plain = is_grpo and trainer.beta == 0.0 and loss_is_trls(trainer)
    if not plain or loss_uses_entropy(trainer) or trainer.aux_loss_enabled:
        return None
    zero = advantages == 0 if advantages.dim() == 1 else (advantages == 0).all(1)
    return zero if bool(trainer.accelerator.gather(zero.any()[None]).any()) else None
