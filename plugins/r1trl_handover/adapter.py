"""Hand over a whole model in place of an adapter, before the transitions that follow."""

from dataclasses import replace

from r1trl import StageResult, has_adapter, merge_adapter


def merged(result: StageResult) -> StageResult:
    """Merge the stage's LoRA adapter into the model that it was trained on.

    That happens at the end of a stage anyway; transitions after this one find the whole model. The
    number of changed tensors becomes the metric `merged_tensors`. Raises ValueError if the stage
    hands over no adapter.
    """
    if result.model is None or not has_adapter(result.model):
        raise ValueError(f"stage '{result.stage}' hands over no adapter; its config has no adapter")
    changed = merge_adapter(result.model)
    return replace(result, metrics={**result.metrics, "merged_tensors": changed})
