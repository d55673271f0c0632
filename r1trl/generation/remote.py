"""Completions drawn from servers that have the model, by the text of the prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1trl.generation.local import cut, load_tokenizer
from r1trl.generation.servers import Reply, Request, Servers
from r1trl.types import Completion

# vLLM's and SGLang's, which OpenAI's servers refuse: sent where they are not what turns them off.
NOT_OPENAI = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}


class ServedModel:
    """A model that servers have; what is here is its tokenizer."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.endpoints, self.sampling = settings["endpoints"], settings["sampling"]
        self.tokenizer = load_tokenizer(settings["model"])
        self.name = self.endpoints["model"] or settings["model"]
        self.servers, self.next_seed = Servers(self.endpoints), 0

    def seed(self, seed: int) -> None:
        """Make the seeds of the next requests depend on this one alone."""
        self.next_seed = seed * 1_000_003 % 2**31

    def draw(
        self, drafts: Sequence[Completion], max_tokens: int, stop: Sequence[str]
    ) -> list[Completion]:
        """Write drafts on; their ids are how the tokenizer splits the texts.

        What was spent is what the servers say, stop texts included, or else what the ids come to.
        """
        requests = [self._request(draft, max_tokens, stop) for draft in drafts]
        replies = self.servers.complete(requests)
        return [self._written(d, r, stop) for d, r in zip(drafts, replies, strict=True)]

    def _request(self, draft: Completion, max_tokens: int, stop: Sequence[str]) -> Request:
        self.next_seed = (self.next_seed + 1) % 2**31
        room = min(max_tokens, self.sampling["max_tokens"] - len(draft.ids))
        request = {
            "model": self.name,
            "prompt": draft.prompt + draft.text,
            "max_tokens": room,
            "seed": self.next_seed,
            **{key: self.sampling[key] for key in ("temperature", "top_p")},
        }
        for key, off in NOT_OPENAI.items():
            if self.sampling.get(key, off) not in (None, off):
                request[key] = self.sampling[key]
        return request | ({"stop": list(stop)} if stop else {})

    def _written(self, draft: Completion, reply: Reply, stop: Sequence[str]) -> Completion:
        """Return a draft with what a server wrote to it."""
        ended, reason = reply["finish_reason"] == "stop", reply["stop_reason"]
        stopped = reason if reason in stop else None
        finished = ended and stopped is None
        text = draft.text + reply["text"]
        ids = cut(draft.ids, text, self.tokenizer)
        if finished:
            ids = (*ids, self.tokenizer.eos_token_id)
        drawn = len(ids) - len(draft.ids) if reply["tokens"] is None else reply["tokens"]
        spent = draft.spent + drawn
        return Completion(draft.row, draft.prompt, text, ids, finished, spent, stopped)

    def write(self, draft: Completion, text: str) -> Completion:
        """Put a text at the end of a draft."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return replace(draft, text=draft.text + text, ids=(*draft.ids, *ids), stopped=None)
