"""The fields of TRL's configs that r1trl sets itself, and what to set instead of them."""

from collections.abc import Mapping

from r1trl.fields import Field


def _set(reason: str, *names: str) -> dict[str, Field]:
    """Return fields that r1trl sets; `reason` says from what."""
    return dict.fromkeys(names, Field(verdict="refused", reason=f"r1trl sets it itself: {reason}"))


SET_BY_R1TRL: Mapping[str, Field] = {
    **_set("a stage has a folder of its own", "output_dir"),
    **_set("a stage that was stopped continues where it was", "resume_from_checkpoint"),
    **_set("metrics go to a file, and to trackers; set trackers", "report_to", "run_name"),
    **_set("the run has one seed; set seed", "seed", "data_seed"),
    **_set("set dtype, attn_implementation or max_position_embeddings", "model_init_kwargs"),
    **_set("rewards have a weight; set rewards.<name>.weight", "reward_weights"),
    **_set(
        "set rollout, or batch",
        *("generation_batch_size", "steps_per_generation", "gradient_accumulation_steps"),
    ),
    **_set("set launch.timeout", "ddp_timeout"),
    **_set("rows are shuffled by the run's seed", "shuffle_dataset"),
    **_set("a kind selects the columns of its rows", "remove_unused_columns"),
}
