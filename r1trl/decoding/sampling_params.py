"""Sampling parameters of a completion's tokens, by the names of transformers' `generate`."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is sampled; the defaults sample from the model's own distribution.

    Fields mean what they mean in transformers' GenerationConfig, but that `temperature` 0 is greedy
    decoding. Any of `eos_token_ids` ends a completion.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    repetition_penalty: float = 1.0
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int = 0
    min_new_tokens: int = 0
    no_repeat_ngram_size: int = 0
    bad_words_ids: tuple[tuple[int, ...], ...] = ()
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()

    @property
    def reads_ids(self) -> bool:
        """True if what may come next depends on the ids so far, and not only on their number."""
        return bool(
            self.repetition_penalty != 1.0 or self.no_repeat_ngram_size or self.bad_words_ids
        )

    def logits_processors(self, prompt_width: int, device: torch.device) -> LogitsProcessorList:
        """Return the processors that change the next token's logits, in the order of `generate`.

        They are called with the ids of prompts of that width and the new ones; padding is below 0.
        """
        processors, eos = LogitsProcessorList(), list(self.eos_token_ids)
        if self.repetition_penalty != 1.0:
            penalty = RepetitionPenaltyLogitsProcessor(float(self.repetition_penalty))
            processors.append(WithoutPadding(penalty))
        if self.no_repeat_ngram_size:
            ngrams = NoRepeatNGramLogitsProcessor(self.no_repeat_ngram_size)
            processors.append(WithoutPadding(ngrams, self.pad_token_id))
        if self.bad_words_ids:
            words = [list(word) for word in self.bad_words_ids]
            bad_words = NoBadWordsLogitsProcessor(words, torch.tensor(eos, device=device))
            processors.append(WithoutPadding(bad_words, self.pad_token_id))
        if self.min_new_tokens and eos:
            limit = (prompt_width, self.min_new_tokens, eos, str(device))
            processors.append(MinNewTokensLengthLogitsProcessor(*limit))
        if self.suppress_tokens:
            processors.append(SuppressTokensLogitsProcessor(self.suppress_tokens, str(device)))
        if self.begin_suppress_tokens:
            first = (self.begin_suppress_tokens, prompt_width, str(device))
            processors.append(SuppressTokensAtBeginLogitsProcessor(*first))
        if self.temperature != 0:
            processors.extend(self._warpers())
        return processors

    def _warpers(self) -> list[Any]:
        """Return the processors that only sampling has."""
        warpers: list[Any] = []
        if self.temperature != 1.0:
            warpers.append(TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            warpers.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1.0:
            warpers.append(TopPLogitsWarper(self.top_p))
        if self.min_p is not None:
            warpers.append(MinPLogitsWarper(self.min_p))
        return warpers


class WithoutPadding(LogitsProcessor):
    """A processor for which a token stands in the place of padding, ids below 0.

    That is `padding`, as in `generate`, or the last token of the row: the repetition penalty counts
    a token once, wherever it stands. Not every version of transformers can exempt padding itself.
    """

    def __init__(self, processor: LogitsProcessor, padding: int | None = None) -> None:
        self.processor, self.padding = processor, padding

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> Any:
        """Return the processed logits (rows, vocabulary); `input_ids` are (rows, columns)."""
        filling = input_ids[:, -1:] if self.padding is None else self.padding
        return self.processor(input_ids.where(input_ids >= 0, filling), scores)


def sample_token_ids(logits: torch.Tensor) -> torch.Tensor:
    """Sample an id per row from the softmax by inverse CDF: (rows, vocabulary) -> (rows,) int64.

    The CDF is summed in float64, and the default generator of the device draws one number per row.
    """
    cdf = logits.softmax(-1).double().cumsum(-1)
    draws = torch.rand(len(cdf), 1, dtype=torch.double, device=cdf.device)
    return torch.searchsorted(cdf, draws * cdf[:, -1:], right=True).squeeze(1)
