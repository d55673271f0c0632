"""Sampling parameters of a completion's tokens, by the names of transformers' `generate`."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
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

    @classmethod
    def from_config(cls, generation_config: Any) -> Self | None:
        """Convert a GenerationConfig; None if it sets an option that `decode` lacks."""
        config = generation_config.to_diff_dict()
        options = {name: value for name, value in config.items() if value is not None}
        eos = options.pop("eos_token_id", [])
        for name in ("max_new_tokens", "bos_token_id", "disable_compile", "transformers_version"):
            options.pop(name, None)
        params = {
            "pad_token_id": options.pop("pad_token_id", 0),
            "eos_token_ids": tuple(eos) if isinstance(eos, list) else (eos,),
        }
        sampled = options.pop("do_sample", False)
        params |= {name: options.pop(name) for name in cls.__dataclass_fields__ if name in options}
        if options:
            return None
        return cls(**params if sampled else params | {"temperature": 0.0})

    def logits_processors(self) -> LogitsProcessorList:
        """Return the processors that change the next token's logits, in the order of `generate`."""
        processors = LogitsProcessorList()
        if self.repetition_penalty != 1.0:
            processors.append(RepetitionPenaltyLogitsProcessor(self.repetition_penalty))
        if self.temperature == 0:
            return processors
        if self.temperature != 1.0:
            processors.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            processors.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1.0:
            processors.append(TopPLogitsWarper(self.top_p))
        if self.min_p is not None:
            processors.append(MinPLogitsWarper(self.min_p))
        return processors


def sample_token_ids(logits: torch.Tensor) -> torch.Tensor:
    """Sample an id per row from the softmax by inverse CDF: (rows, vocabulary) -> (rows,) int64.

    The CDF is summed in float64, and the default generator of the device draws one number per row.
    """
    cdf = logits.softmax(-1).double().cumsum(-1)
    draws = torch.rand(len(cdf), 1, dtype=torch.double, device=cdf.device)
    return torch.searchsorted(cdf, draws * cdf[:, -1:], right=True).squeeze(1)
