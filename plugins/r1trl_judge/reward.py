"""The reward `reward_model`."""

from functools import cached_property
from typing import Any, Literal

from r1trl import scored_text
from r1trl_judge.model import SequenceScorer


class RewardModel:
    """Score completions with a trained reward model, loaded when the stage begins.

    `model` is a folder or a Hub id of a sequence classifier with one output. It reads
    the prompt and the `text` of a completion: the "summary" after the thinking, or the whole
    "response". Of these tokens it reads the last `max_length`; None reads all. The value is the
    model's logit, or with `sigmoid` its sigmoid, 0 to 1. `batch_size` counts completions. `dtype`
    None is bfloat16 on a GPU, and on a CPU the one in which the model is saved. Between the batches
    of a stage the weights are in the host's memory, those of each process by themselves.
    """

    def __init__(
        self,
        *,
        model: str,
        text: Literal["summary", "response"] = "summary",
        batch_size: int = 16,
        max_length: int | None = None,
        sigmoid: bool = False,
        dtype: Literal["float32", "bfloat16"] | None = None,
    ) -> None:
        self.model, self.sigmoid, self.dtype = model, sigmoid, dtype
        self.text: Literal["summary", "response"] = text
        self.batch_size, self.max_length = batch_size, max_length

    @cached_property
    def scorer(self) -> SequenceScorer:
        """Return the model, loaded once."""
        return SequenceScorer(self.model, self.dtype)

    def load(self) -> None:
        """Load the model; raise what keeps it from being loaded."""
        _ = self.scorer

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: list[Any],
    ) -> list[float | None]:
        """Score completions in batches of similar length, the longest first."""
        pairs = zip(prompts, completions, strict=True)
        texts = [scored_text(prompt, completion, self.text) for prompt, completion in pairs]
        samples = [self.scorer.token_ids(text, self.max_length) for text in texts]
        order = sorted(range(len(samples)), key=lambda index: -len(samples[index]))
        values: list[float | None] = [None] * len(samples)
        with self.scorer.on_device():
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                logits = self.scorer.logits([samples[index] for index in batch])
                scores = logits.sigmoid() if self.sigmoid else logits
                for index, value in zip(batch, scores.tolist(), strict=True):
                    values[index] = value
        return values
