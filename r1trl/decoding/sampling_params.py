"""How the next token of a completion is drawn: what transformers' `generate` does, by its names."""

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
    """How the next token is drawn; the names are those of transformers' GenerationConfig.

    `temperature` 0 takes the likeliest. A completion ends with one of the tokens `ends`.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    repetition_penalty: float = 1.0
    ends: tuple[int, ...] = ()
    padding: int = 0

    @classmethod
    def of(cls, config: Any) -> Self | None:
        """Read a GenerationConfig; None where it asks for what is not done here."""
        asked = {k: v for k, v in config.to_diff_dict().items() if v is not None}
        ends = asked.pop("eos_token_id", [])
        for name in ("max_new_tokens", "bos_token_id", "disable_compile", "transformers_version"):
            asked.pop(name, None)
        own = {
            "padding": asked.pop("pad_token_id", 0),
            "ends": tuple(ends) if isinstance(ends, list) else (ends,),
        }
        sampled = asked.pop("do_sample", False)
        own |= {k: asked.pop(k) for k in cls.__dataclass_fields__ if k in asked}
        return None if asked else cls(**own if sampled else own | {"temperature": 0.0})

    def filters(self) -> LogitsProcessorList:
        """Return what changes the scores of the next token, in the order of `generate`."""
        found = LogitsProcessorList()
        if self.repetition_penalty != 1.0:
            found.append(RepetitionPenaltyLogitsProcessor(self.repetition_penalty))
        if self.temperature == 0:
            return found
        if self.temperature != 1.0:
            found.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            found.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1.0:
            found.append(TopPLogitsWarper(self.top_p))
        if self.min_p is not None:
            found.append(MinPLogitsWarper(self.min_p))
        return found


def sample_token_ids(scores: torch.Tensor) -> torch.Tensor:
    """Draw a number of every row by its softmax: where its running sum passes a random share."""
    sums = scores.softmax(-1).double().cumsum(-1)
    shares = torch.rand(len(sums), 1, dtype=torch.double, device=sums.device)
    return torch.searchsorted(sums, shares * sums[:, -1:], right=True).squeeze(1)
