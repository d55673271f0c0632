"""What may be given for the fields of DistillationConfig, and what does not go together."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl import Field

OWN_LOSS = Field(verdict="refused", reason="reaches nothing: this trainer has a loss of its own")

DISTILLATION_FIELDS: Mapping[str, Field] = {
    "beta": Field(at_least=0, at_most=1),  # 0: forward KL, 1: reverse KL
    "teacher_model_name_or_path": Field(
        verdict="refused", reason="reaches nothing: the teacher is a key of the stage; set teacher"
    ),
    "teacher_model_revision": Field(),
    "teacher_model_init_kwargs": Field(),
    "max_tool_calling_iterations": Field(
        verdict="refused", reason="reaches nothing: the student calls no tools"
    ),
    "chat_template_kwargs": Field(
        verdict="refused",
        reason="reaches nothing: r1trl renders the prompts before; set the stage's own "
        "chat_template_kwargs",
    ),
    "train_sampling_strategy": Field(
        verdict="refused", reason="reaches nothing: the rows are shuffled once, by the seed"
    ),
    "label_smoothing_factor": OWN_LOSS,
    "average_tokens_across_devices": OWN_LOSS,
    "include_num_input_tokens_seen": Field(
        verdict="refused", reason="reaches nothing: the metric num_tokens counts them"
    ),
}


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield what TRL would refuse when the trainer is built, or fails on in the first step."""
    args = stage.args
    if "max_completion_length" in args and args["max_completion_length"] is None:
        yield "args.max_completion_length", "must be a number"
    size, mode = args.get("vllm_tensor_parallel_size", 1), args.get("vllm_mode", "colocate")
    if args.get("use_vllm") and mode == "colocate" and stage.launch.world % size:
        yield (
            "args.vllm_tensor_parallel_size",
            f"{size} does not divide launch.nodes × launch.processes={stage.launch.world}",
        )
