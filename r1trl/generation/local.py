"""Completions drawn from a model in this process, outside training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from r1trl.decoding.batch import Stop
from r1trl.decoding.decode import decode
from r1trl.decoding.sampling_params import SamplingParams
from r1trl.types import Completion


class LocalModel:
    """A model and its tokenizer, and how it is sampled from."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        attention = settings.get("attention")
        self.model, self.tokenizer = load_model(settings["model"], settings["dtype"], attention)
        self.sampling = settings["sampling"]

    def seed(self, seed: int) -> None:
        """Make what is drawn next depend on this seed alone."""
        torch.manual_seed(seed)

    def draw(
        self, drafts: Sequence[Completion], max_tokens: int, stop: Sequence[str]
    ) -> list[Completion]:
        """Write drafts on, each by at most `max_tokens` tokens, in batches of like length."""
        whole = [self._read(draft) for draft in drafts]
        order = sorted(range(len(drafts)), key=lambda i: len(whole[i]), reverse=True)
        written, size = list(drafts), self.sampling["batch_size"]
        method, ends = self._method(), stop_at(stop, self.tokenizer) if stop else None
        for start in range(0, len(order), size):
            indices = order[start : start + size]
            rooms = [self._room(drafts[i], max_tokens) for i in indices]
            rows = decode(self.model, [whole[i] for i in indices], rooms, method, ends)
            for i, row in zip(indices, rows, strict=True):
                written[i] = self._written(drafts[i], row.ids, stop)
        return written

    def _read(self, draft: Completion) -> list[int]:
        """Return the ids of a prompt and what was written to it."""
        return [*self.tokenizer(draft.prompt)["input_ids"], *draft.ids]

    def _room(self, draft: Completion, max_tokens: int) -> int:
        return min(max_tokens, int(self.sampling["max_tokens"]) - len(draft.ids))

    def _method(self) -> SamplingParams:
        names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
        ends, padding = (self.tokenizer.eos_token_id,), self.tokenizer.pad_token_id
        return SamplingParams(**{n: self.sampling[n] for n in names}, ends=ends, padding=padding)

    def _written(self, draft: Completion, new: list[int], stop: Sequence[str]) -> Completion:
        """Return a draft with new ids, cut before the first of the stop texts."""
        decode, end = self.tokenizer.decode, self.tokenizer.eos_token_id
        ids, finished, spent = [*draft.ids, *new], new[-1:] == [end], draft.spent + len(new)
        text = decode(ids, skip_special_tokens=True)
        found = first_stop(text, len(draft.text), stop)
        if found is None:
            return Completion(draft.row, draft.prompt, text, tuple(ids), finished, spent)
        place, stopped = found
        kept = cut(ids, text[:place], self.tokenizer)
        return Completion(draft.row, draft.prompt, text[:place], kept, False, spent, stopped)

    def write(self, draft: Completion, text: str) -> Completion:
        """Put a text at the end of a draft."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return replace(draft, text=draft.text + text, ids=(*draft.ids, *ids), stopped=None)


def stop_at(stop: Sequence[str], tokenizer: Any) -> Stop:
    """Return what ends rows that have said one of some texts.

    transformers' own `stop_strings` also end a row where half of the text is the prompt's.
    """
    tail = max(len(mark.encode()) for mark in stop) + 1  # a token has at least a byte

    def said(rows: list[list[int]]) -> list[bool]:
        texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [any(mark in text for mark in stop) for text in texts]

    return Stop(tail, said)


def first_stop(text: str, start: int, stop: Sequence[str]) -> tuple[int, str] | None:
    """Return where the first stop text after `start` begins, and which it is."""
    places = [(text.find(mark, start), mark) for mark in stop]
    return min(((place, mark) for place, mark in places if place >= 0), default=None)


def cut(ids: Sequence[int], text: str, tokenizer: Any) -> tuple[int, ...]:
    """Return the ids of a text that others begin with: as many of them as possible."""
    kept, said = list(ids), ""
    while kept:
        said = tokenizer.decode(kept, skip_special_tokens=True)
        if text.startswith(said) and kept[-1] != tokenizer.eos_token_id:
            break
        kept.pop()
    rest = text[len(said) :] if kept else text
    return (*kept, *tokenizer(rest, add_special_tokens=False)["input_ids"])


def load_model(path: str, dtype: str, attention: str | None) -> tuple[Any, Any]:
    """Load a model for generation and its tokenizer, on the accelerator where there is one."""
    from transformers import AutoModelForCausalLM

    options = {"attn_implementation": attention} if attention else {}
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **options)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), load_tokenizer(path)


def load_tokenizer(path: str) -> Any:
    """Load a tokenizer that has a padding token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
