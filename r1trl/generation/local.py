"""A model in this process that generates completions outside training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from r1trl.config.kinds import loading_options
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import SamplingConfig
from r1trl.decoding.batch import StopCondition
from r1trl.decoding.decode import decode
from r1trl.decoding.generation_config import lacking_in_decode, params_of_model
from r1trl.decoding.sampling_params import SamplingParams
from r1trl.errors import StageError
from r1trl.models.hub import refuse_unreachable
from r1trl.models.tokenizer import end_token_ids, load_tokenizer, no_embedding
from r1trl.process.pulse import count_more
from r1trl.process.terminal import say
from r1trl.stage.devices import device
from r1trl.types import Completion


class LocalModel:
    """A model in this process, with its tokenizer; see `GenerationModel`."""

    def __init__(self, model: Any, tokenizer: Any, sampling: SamplingConfig) -> None:
        self.model, self.tokenizer, self.sampling = model, tokenizer, sampling
        self.ends = end_token_ids(tokenizer, model.generation_config)

    def seed(self, seed: int) -> None:
        """Seed PyTorch's default generators, on the CPU and on all devices of this process."""
        torch.manual_seed(seed)

    def generate(
        self, completions: Sequence[Completion], max_tokens: int, stop: Sequence[str]
    ) -> list[Completion]:
        """Continue completions in batches of like length; return them in the given order.

        Not a collective. Patches the model's linear layers meanwhile (see `decode`).
        """
        contexts = [self._context(completion) for completion in completions]
        order = sorted(range(len(contexts)), key=lambda i: len(contexts[i]), reverse=True)
        continued, batch_size = list(completions), self.sampling.batch_size
        params = self._sampling_params()
        if any(completion.token_ids for completion in completions):  # they are continued
            params = replace(params, min_new_tokens=0, begin_suppress_tokens=())
        condition = stop_condition(stop, self.tokenizer) if stop else None
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            prompts = [contexts[i] for i in indices]
            limits = [remaining_tokens(completions[i], max_tokens, self.sampling) for i in indices]
            rows = decode(self.model, prompts, limits, params, condition)
            for i, row in zip(indices, rows, strict=True):
                continued[i] = self._continued(completions[i], row.ids, stop)
            count_more("completions", len(indices))
        return continued

    def _context(self, completion: Completion) -> list[int]:
        """Return the token ids of a completion's prompt and of its text so far, unpadded.

        Raises StageError if one has no embedding, or if the prompt leaves no room in the context.
        """
        prompt: list[int] = self.tokenizer(completion.prompt)["input_ids"]
        if prompt and max(prompt) >= self.model.get_input_embeddings().weight.shape[0]:
            token = self.tokenizer.convert_ids_to_tokens(max(prompt))
            raise StageError(no_embedding(self.model.name_or_path, token))
        context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if context is not None and len(prompt) >= context:
            raise StageError(
                f"the prompt {completion.prompt[:60]!r} … has {len(prompt)} tokens and does not "
                f"fit into the model's context of {context}; leave such rows out: "
                "filters={token_length: {column: prompt, …}}"
            )
        return [*prompt, *completion.token_ids]

    def _sampling_params(self) -> SamplingParams:
        names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
        return SamplingParams(
            **params_of_model(self.model.generation_config),
            **{name: getattr(self.sampling, name) for name in names},
            eos_token_ids=self.ends,
            pad_token_id=self.tokenizer.pad_token_id,
        )

    def _continued(self, before: Completion, new: list[int], stop: Sequence[str]) -> Completion:
        """Return a completion with new ids appended, cut before the first of the stop texts."""
        ids, finished = [*before.token_ids, *new], bool(new) and new[-1] in self.ends
        # An end token need not be special, and then decoding would show it.
        text = self.tokenizer.decode(ids[:-1] if finished else ids, skip_special_tokens=True)
        cost = before.generated_tokens + len(new)
        found = first_stop(text, len(before.text), stop)
        if found is None:
            return Completion(before.row, before.prompt, text, tuple(ids), finished, cost)
        position, stop_text = found
        text = text[:position]
        kept = truncate_ids_to_text(ids, text, self.tokenizer, self.ends)
        return Completion(before.row, before.prompt, text, kept, False, cost, stop_text)

    def append(self, completion: Completion, text: str) -> Completion:
        """Return the completion with a text and its token ids appended; the cost stays."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        token_ids = (*completion.token_ids, *ids)
        return replace(
            completion, text=completion.text + text, token_ids=token_ids, stop_reason=None
        )


def remaining_tokens(completion: Completion, max_tokens: int, sampling: SamplingConfig) -> int:
    """Return how many tokens may be added: `max_tokens`, or fewer by `sampling.max_tokens`."""
    return min(max_tokens, sampling.max_tokens - len(completion.token_ids))


def stop_condition(stop: Sequence[str], tokenizer: Any) -> StopCondition:
    """Return the condition that new tokens contain one of the stop texts.

    transformers' `stop_strings` would also end a row if the prompt has the first half of the text.
    """
    window = max(len(text.encode()) for text in stop) + 1  # a token has at least a byte

    def is_done(rows: list[list[int]]) -> list[bool]:
        texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [any(stop_text in text for stop_text in stop) for text in texts]

    return StopCondition(window, is_done)


def first_stop(text: str, start: int, stop: Sequence[str]) -> tuple[int, str] | None:
    """Return the first stop text at or after `start` and its position; None if there is none."""
    found = [(text.find(stop_text, start), stop_text) for stop_text in stop]
    return min(((position, each) for position, each in found if position >= 0), default=None)


def truncate_ids_to_text(
    ids: Sequence[int], text: str, tokenizer: Any, ends: Sequence[int]
) -> tuple[int, ...]:
    """Cut `ids` to decode to `text`: keep the longest matching prefix, tokenise the rest.

    `text` may also go on after the ids. A trailing one of the end tokens is dropped.
    """
    kept, decoded = list(ids), ""
    while kept:
        decoded = tokenizer.decode(kept, skip_special_tokens=True)
        if text.startswith(decoded) and kept[-1] not in ends:
            break
        kept.pop()
    rest = text[len(decoded) :] if kept else text
    return (*kept, *tokenizer(rest, add_special_tokens=False)["input_ids"])


def load_local(stage: StageConfig) -> LocalModel:
    """Load a stage's model and its tokenizer; say what its generation settings ask for in vain."""
    assert stage.model
    model = load_model(stage, stage.model)
    tokenizer = load_tokenizer(stage.model, chat=not stage.template)
    if lacking := lacking_in_decode(model.generation_config):
        settings = f"the settings {', '.join(lacking)} in its generation_config.json"
        say(f"{stage.model}: {settings} are not carried out in this process")
    return LocalModel(model, tokenizer, stage.sampling)


def load_model(stage: StageConfig, path: str) -> Any:
    """Load a stage's model for generation, on this rank's GPU if there is one."""
    from transformers import AutoModelForCausalLM

    refuse_unreachable(path)
    options = {"dtype": stage.dtype, **loading_options(stage)}
    return AutoModelForCausalLM.from_pretrained(path, **options).to(device()).eval()
