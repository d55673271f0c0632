"""What kinds of stages with rollouts share: their keys, and what may be given for their fields."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl import Field, Kind
from r1trl.arguments.shared import NOT_COMPILED, OWN_LOSS, VARIABLES
from r1trl.arguments.training import NOTHING_EVALUATED
from r1trl.errors import unknown
from r1trl.plan.choices import active

NO_IMAGES = Field(verdict="refused", reason="reaches nothing: r1trl's prompts are texts")
OWN_ORDER = Field(
    verdict="refused",
    reason="reaches nothing: prompts are drawn in groups, by the seed; give the stage samplers",
)
COUNTED = Field(verdict="refused", reason="reaches nothing: the metric num_tokens counts them")

ROLLOUT_FIELDS: Mapping[str, Field] = {
    **NOT_COMPILED,
    "beta": Field(at_least=0),  # 0: no reference model
    "num_iterations": Field(at_least=1),
    "mask_truncated_completions": Field(),
    "use_transformers_continuous_batching": Field(),
    "use_transformers_paged": Field(),  # its former name
    "transformers_continuous_batching_config": Field(),
    "epsilon": Field(at_least=0),
    "epsilon_high": Field(at_least=0),
    "train_sampling_strategy": OWN_ORDER,
    "chat_template_kwargs": VARIABLES,
    "label_smoothing_factor": OWN_LOSS,
    "average_tokens_across_devices": OWN_LOSS,
    "include_num_input_tokens_seen": COUNTED,
    "log_multimodal": NO_IMAGES,
    "num_generations_eval": NOTHING_EVALUATED,
}


@dataclass
class RolloutMetrics:
    """The reward that is 1 for a right completion; None: `evaluate.metrics.correct`, if any."""

    correct: str | None = None


@dataclass
class RolloutSettings:
    """By what the metrics of rollouts tell right completions from wrong ones."""

    metrics: RolloutMetrics = field(default_factory=RolloutMetrics)


def rollout_problems(stage: Any, beta: float) -> Iterator[tuple[str, str]]:
    """Yield what names nothing, and what TRL would refuse; `beta` is TRL's default."""
    args, correct, rewards = stage.args, stage.metrics.correct, active(stage.rewards)
    if correct is not None and correct not in rewards:
        yield "metrics.correct", unknown("reward of this stage", correct, rewards)
    for name in ("num_generations", "max_completion_length"):
        if name in args and args[name] is None:
            yield f"args.{name}", "must be a number"
    if args.get("sync_ref_model") and args.get("beta", beta) == 0:
        yield (
            "args.sync_ref_model",
            "needs a reference model, and with args.beta=0 there is none; set one of them",
        )
    size, mode = args.get("vllm_tensor_parallel_size", 1), args.get("vllm_mode", "colocate")
    if args.get("use_vllm") and mode == "colocate" and stage.launch.world % size:
        yield (
            "args.vllm_tensor_parallel_size",
            f"{size} does not divide launch.nodes × launch.processes={stage.launch.world}",
        )


def steps_of_outputs(stage: Any) -> str:
    """Return the updates of a stage and the completions in each, in words."""
    outputs = stage.rollout.outputs // stage.rollout.minibatches
    return f"{stage.args.get('max_steps', '?')} steps × {outputs} outputs"


def rollout_kind(**own: Any) -> Kind:
    """Return a kind that trains on completions of its own; `own` are the other fields of Kind."""
    return Kind(
        settings=RolloutSettings,
        draws="while training",
        needs=("model", "data", "rewards"),
        takes=("samplers", "rollout", "adapter", "evaluate"),
        columns=lambda stage: ("prompt",),
        size=steps_of_outputs,
        **own,
    )
