"""The reward of a language model that grades completions."""

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal

from r1trl import Failure, scored_text
from r1trl_judge.endpoint import Ask, Endpoint, Pace, Request
from r1trl_judge.replies import Replies
from r1trl_judge.rubric import INSTRUCTIONS, messages, read

KEY_VARIABLE = "OPENAI_API_KEY"


class LLMJudge:
    """Have a language model grade each completion, from 0 at `low` to 1 at `high`.

    `model` runs at `url`, any server with OpenAI's chat completions; None is OpenAI's own. The key
    is in the environment variable `key_variable`; without one, a server of one's own is asked all
    the same. `instructions` is the rubric; how to end with a score is added to it. The judge sees
    the question, the row's column `reference` where there is one, and of the completion the `text`:
    the "summary" that follows the thinking, or the whole "response". A request that fails is
    retried `retries` times, each try ending after `seconds`; a sample without a readable score is a
    timeout or an error. `concurrency` requests run at once, `requests_per_minute` in each process.
    `cache` is an SQLite file that keeps the replies. Raises ValueError on settings that cannot be.
    """

    def __init__(
        self,
        *,
        model: str,
        url: str | None = None,
        key_variable: str = KEY_VARIABLE,
        instructions: str = INSTRUCTIONS,
        low: float = 0.0,
        high: float = 10.0,
        text: Literal["summary", "response"] = "summary",
        reference: str | None = "solution",
        temperature: float = 0.0,
        max_tokens: int = 512,
        concurrency: int = 16,
        requests_per_minute: float | None = None,
        retries: int = 4,
        seconds: float = 60.0,
        cache: str | None = None,
    ) -> None:
        if low >= high:
            raise ValueError(f"low={low:g} is not below high={high:g}")
        if concurrency < 1:
            raise ValueError(f"concurrency={concurrency} is not at least 1")
        if requests_per_minute is not None and requests_per_minute <= 0:
            raise ValueError(f"requests_per_minute={requests_per_minute:g} is not above 0")
        # OpenAI's newer models refuse max_tokens; other servers may not know its successor.
        limit = "max_completion_tokens" if url is None else "max_tokens"
        self.settings = {"model": model, "temperature": temperature, limit: max_tokens}
        self.instructions, self.low, self.high = instructions, low, high
        self.text, self.reference = text, reference
        pace = None if requests_per_minute is None else Pace(requests_per_minute)
        self.endpoint = Endpoint(url, key_variable, retries, seconds, concurrency, pace)
        self.replies = Replies(cache) if cache else None

    @staticmethod
    def ready(
        *, url: str | None = None, key_variable: str = KEY_VARIABLE, **options: Any
    ) -> str | None:
        """Say which package or key is missing, and how to get it."""
        missing = [name for name in ("openai", "aiolimiter") if find_spec(name) is None]
        if missing:
            return f"not installed: {', '.join(missing)}; pip install 'r1trl[judge]'"
        if url is None and not os.environ.get(key_variable):
            return f"the key is missing: export {key_variable}=…, or name a server with url"
        return None

    async def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: list[Any],
    ) -> list[float | Failure]:
        """Ask about all completions at once; identical requests are sent once."""
        count = len(completions)
        questions = columns.get("question") or [None] * count
        references = columns.get(self.reference or "") or [None] * count
        rows = zip(prompts, completions, questions, references, strict=True)
        requests = [self.request(*row) for row in rows]
        keys = [self.key(request) for request in requests]
        unique = dict(zip(keys, requests, strict=True))
        async with self.endpoint.opened() as ask:
            asked = [self.value(key, request, ask) for key, request in unique.items()]
            values = dict(zip(unique, await asyncio.gather(*asked), strict=True))
        return [values[key] for key in keys]

    def request(self, prompt: str, completion: str, question: Any, reference: Any) -> Request:
        """Return all that is sent about one completion."""
        bare = scored_text(prompt, "", self.text)
        answer = scored_text(prompt, completion, self.text).removeprefix(bare)
        parts = {"Question": question if isinstance(question, str) else bare}
        if reference not in (None, ""):
            parts["Reference"] = str(reference)
        parts["Answer"] = answer
        return {
            **self.settings,
            "messages": messages(self.instructions, parts, self.low, self.high),
        }

    def key(self, request: Mapping[str, Any]) -> str:
        """Return the hash of all that is sent, and of where it is sent."""
        return hashlib.sha256(json.dumps([self.endpoint.url, request]).encode()).hexdigest()

    async def value(self, key: str, request: Request, ask: Ask) -> float | Failure:
        """Return the value of one request; a reply that can be read is kept."""
        kept = self.replies.find(key) if self.replies else None
        reply = await ask(request) if kept is None else kept
        if isinstance(reply, Failure):
            return reply
        try:
            value = read(reply, self.low, self.high)
        except ValueError as error:
            return Failure("error", str(error))
        if self.replies and kept is None:
            self.replies.keep(key, reply)
        return value
