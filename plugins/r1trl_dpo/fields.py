"""What may be given for the fields of DPOConfig, and what does not go together."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl import Field

LOSSES = (
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
)
# Losses of the difference of two rewards, in which the term of an f-divergence cancels.
OF_DIFFERENCES = (
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "exo_pair",
    "robust",
    "discopop",
    "sft",
)
SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")
SORTED = ("aot", "aot_unpaired")
DIVERGENCES = ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence")
OWN_LOSS = "reaches nothing: this trainer has a loss of its own"

DPO_FIELDS: Mapping[str, Field] = {
    "loss_type": Field(choices=LOSSES),
    "loss_weights": Field(),
    "beta": Field(above=0),
    "ld_alpha": Field(at_least=0, at_most=1),
    "f_divergence_type": Field(choices=DIVERGENCES),
    "f_alpha_divergence_coef": Field(),
    "use_weighting": Field(),
    "label_smoothing": Field(at_least=0, below=1),
    "discopop_tau": Field(above=0),
    "precompute_ref_log_probs": Field(),
    "precompute_ref_batch_size": Field(at_least=1),
    "padding_free": Field(choices=(False,), reason="TRL's DPOTrainer pads, whatever it says"),
    "label_smoothing_factor": Field(
        verdict="refused", reason=f"{OWN_LOSS}; set label_smoothing, with loss_type=[robust]"
    ),
    "average_tokens_across_devices": Field(verdict="refused", reason=OWN_LOSS),
    "train_sampling_strategy": Field(
        choices=("random", "sequential"), reason="the others sort single texts, not pairs"
    ),
}


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield what TRL's DPOTrainer refuses together, or ignores."""
    args = stage.args
    losses, weights = args.get("loss_type", ["sigmoid"]), args.get("loss_weights")
    if not losses:
        yield "args.loss_type", "must name at least one loss"
    if weights is not None and len(weights) != len(losses):
        count = f"there are {len(weights)} for {len(losses)} of args.loss_type"
        yield "args.loss_weights", f"{count}; give one weight for each loss"
    divergence = args.get("f_divergence_type", "reverse_kl")
    other = [loss for loss in losses if loss not in OF_DIFFERENCES]
    if divergence != "reverse_kl" and other:
        fits = ", ".join(OF_DIFFERENCES)
        yield (
            "args.f_divergence_type",
            f"{divergence} does not fit loss_type={', '.join(other)}; it fits: {fits}",
        )
    if args.get("use_weighting") and set(losses) & set(SORTED):
        yield "args.use_weighting", "does not fit loss_type=aot and aot_unpaired, which sort pairs"
    if args.get("sync_ref_model") and args.get("precompute_ref_log_probs"):
        yield (
            "args.precompute_ref_log_probs",
            "is for a reference that stays the same, and args.sync_ref_model=true replaces it",
        )
    yield from _smoothing(args.get("label_smoothing", 0.0), losses)


def _smoothing(smoothing: float, losses: list[str]) -> Iterator[tuple[str, str]]:
    """Yield why the losses have no use for so much label smoothing."""
    key = "args.label_smoothing"
    if "robust" in losses and smoothing >= 0.5:
        yield key, f"{smoothing:g} is not below 0.5, as loss_type=robust needs"
    if "exo_pair" in losses and smoothing == 0:
        yield key, "must be above 0 with loss_type=exo_pair, such as 1.0e-3"
    if smoothing and not set(losses) & set(SMOOTHED):
        yield key, f"reaches nothing with this loss_type; it is read by: {', '.join(SMOOTHED)}"
