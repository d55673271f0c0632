"""A model behind servers with OpenAI's completions API; only its tokenizer is loaded here."""

from collections.abc import Sequence
from dataclasses import replace

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import SamplingConfig
from r1trl.generation.local import remaining_tokens, truncate_ids_to_text
from r1trl.generation.servers import CompletionClient, Reply, Request
from r1trl.models.tokenizer import end_token_ids, generation_settings, load_tokenizer
from r1trl.types import Completion


class RemoteModel:
    """A model that servers sample from, with its tokenizer; see `GenerationModel`."""

    def __init__(self, stage: StageConfig) -> None:
        assert stage.model
        assert stage.endpoints
        self.sampling, self.api = stage.sampling, stage.endpoints.api
        self.tokenizer = load_tokenizer(stage.model, chat=not stage.template)
        self.ends = end_token_ids(self.tokenizer, generation_settings(stage.model))
        self.name = stage.endpoints.model or stage.model
        self.client, self.next_seed = CompletionClient(stage.endpoints), 0

    def seed(self, seed: int) -> None:
        """Derive the seeds of the following requests from this one alone."""
        self.next_seed = seed * 1_000_003 % 2**31

    def generate(
        self, completions: Sequence[Completion], max_tokens: int, stop: Sequence[str]
    ) -> list[Completion]:
        """Continue completions, in the given order; raise StageError if the servers fail for good.

        Servers return texts, so the token ids are those of the tokenizer here. `generated_tokens`
        grows by the servers' counts, stop texts included, or by the new ids if they report none.
        """
        requests = [self._request(completion, max_tokens, stop) for completion in completions]
        replies = self.client.complete(requests)
        pairs = zip(completions, replies, strict=True)
        return [self._continued(completion, reply, stop) for completion, reply in pairs]

    def _request(self, completion: Completion, max_tokens: int, stop: Sequence[str]) -> Request:
        """Return the body of the request that continues a completion; advance the seed."""
        self.next_seed = (self.next_seed + 1) % 2**31
        request = {
            "model": self.name,
            "prompt": completion.prompt + completion.text,
            "max_tokens": remaining_tokens(completion, max_tokens, self.sampling),
            "seed": self.next_seed,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
        }
        if self.api == "vllm":
            request |= named_settings(self.sampling) | {"stop_token_ids": list(self.ends)}
        return request | ({"stop": list(stop)} if stop else {})

    def _continued(self, before: Completion, reply: Reply, stop: Sequence[str]) -> Completion:
        """Return a completion with the text of a server's reply appended."""
        # vLLM's stop_reason is also the id of an end token, which is no stop text.
        stop_reason = reply["stop_reason"] if reply["stop_reason"] in stop else None
        finished = reply["finish_reason"] == "stop" and stop_reason is None
        text = before.text + reply["text"]
        ids = truncate_ids_to_text(before.token_ids, text, self.tokenizer, self.ends)
        if finished:
            end = reply["stop_reason"] if reply["stop_reason"] in self.ends else self.ends[0]
            ids = (*ids, end)
        reported = reply["completion_tokens"]
        new_tokens = len(ids) - len(before.token_ids) if reported is None else reported
        cost = before.generated_tokens + new_tokens
        return Completion(before.row, before.prompt, text, ids, finished, cost, stop_reason)

    def append(self, completion: Completion, text: str) -> Completion:
        """Return the completion with a text and its token ids appended; the cost stays."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        token_ids = (*completion.token_ids, *ids)
        return replace(
            completion, text=completion.text + text, token_ids=token_ids, stop_reason=None
        )


def named_settings(sampling: SamplingConfig) -> dict[str, float]:
    """Return the settings that vLLM and SGLang know besides OpenAI's, neutral ones too.

    A server fills in what a request does not name from the model's generation_config.json. -1 is
    the value of `top_k` that both take for none.
    """
    return {
        "top_k": sampling.top_k or -1,
        "min_p": sampling.min_p or 0.0,
        "repetition_penalty": sampling.repetition_penalty,
    }
