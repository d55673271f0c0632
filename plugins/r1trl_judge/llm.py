"""The reward `llm_judge`: a language model grades completions."""

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import r1trl
from r1trl import Failure, scored_text
from r1trl_judge.endpoint import Ask, Endpoint, RateLimit, Request
from r1trl_judge.replies import Replies
from r1trl_judge.rubric import INSTRUCTIONS, messages, read_score

API_KEY_ENV = "OPENAI_API_KEY"


def missing_requirements(
    *, url: str | None = None, api_key_env: str = API_KEY_ENV, **options: Any
) -> str | None:
    """Return which package or key is missing and how to get it, else None."""
    missing = [name for name in ("openai", "aiolimiter") if find_spec(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}; pip install 'r1trl[judge]'"
    if url is None and not os.environ.get(api_key_env):
        return f"the key is missing: export {api_key_env}=…, or name a server with url"
    return None


def asks_outside(*, model: str, url: str | None = None, **options: Any) -> str | None:
    """Return the judge that is asked."""
    return f"the judge {model} at {url or 'api.openai.com'}"


@r1trl.describe(
    missing_requirements=missing_requirements,
    asks_outside=asks_outside,
    aliases={"key_variable": "api_key_env", "seconds": "timeout"},
)
class LLMJudge:
    """Grade each completion with a language model, from 0 at `low` to 1 at `high`.

    `model` runs at `url`, a server with OpenAI's chat completions; None is OpenAI's own. The key is
    in the environment variable `api_key_env`; a `url` may need none. `instructions` is the rubric;
    the form of the score is appended to it. The judge gets the question, or all messages of a
    prompt that has several, the row's column `reference` if there is one, and the `text` of the
    completion: the "summary" after the thinking, or the whole "response". It generates up to
    `max_tokens` at `temperature`. A failed request is retried `retries` times, each try with a
    `timeout` in seconds; a sample without a valid score is
    a timeout or an error. `concurrency` requests run at once, `requests_per_minute` in each
    process. `cache` is an SQLite file for the replies. Raises ValueError on invalid options.
    """

    def __init__(
        self,
        *,
        model: str,
        url: str | None = None,
        api_key_env: str = API_KEY_ENV,
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
        timeout: float = 60.0,
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
        self.parameters = {"model": model, "temperature": temperature, limit: max_tokens}
        self.instructions, self.low, self.high = instructions, low, high
        self.text, self.reference = text, reference
        rate = None if requests_per_minute is None else RateLimit(requests_per_minute)
        self.endpoint = Endpoint(url, api_key_env, retries, timeout, concurrency, rate)
        self.replies = Replies(cache) if cache else None

    async def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: list[Any],
    ) -> list[float | Failure]:
        """Grade all completions concurrently; identical requests are sent once."""
        count = len(completions)
        nothing = [None] * count
        talks = columns.get("conversation") or nothing
        pairs = zip(talks, columns.get("question") or nothing, strict=True)
        questions = [_conversation(talk) if talk else question for talk, question in pairs]
        references = columns.get(self.reference or "") or [None] * count
        rows = zip(prompts, completions, questions, references, strict=True)
        requests = [self.request(*row) for row in rows]
        keys = [self.key(request) for request in requests]
        unique = dict(zip(keys, requests, strict=True))
        async with self.endpoint.open() as ask:
            pending = [self.grade(key, request, ask) for key, request in unique.items()]
            grades = dict(zip(unique, await asyncio.gather(*pending), strict=True))
        return [grades[key] for key in keys]

    def request(self, prompt: str, completion: str, question: Any, reference: Any) -> Request:
        """Return the request for one completion."""
        bare = scored_text(prompt, "", self.text)
        answer = scored_text(prompt, completion, self.text).removeprefix(bare)
        parts = {"Question": question if isinstance(question, str) else bare}
        if reference not in (None, ""):
            parts["Reference"] = str(reference)
        parts["Answer"] = answer
        return {
            **self.parameters,
            "messages": messages(self.instructions, parts, self.low, self.high),
        }

    def key(self, request: Mapping[str, Any]) -> str:
        """Return a hash of a request and its server."""
        return hashlib.sha256(json.dumps([self.endpoint.url, request]).encode()).hexdigest()

    async def grade(self, key: str, request: Request, ask: Ask) -> float | Failure:
        """Return the grade of one request; a reply with a valid score is cached."""
        cached = self.replies.get(key) if self.replies else None
        reply = await ask(request) if cached is None else cached
        if isinstance(reply, Failure):
            return reply
        try:
            grade = read_score(reply, self.low, self.high)
        except ValueError as error:
            return Failure("error", str(error))
        if self.replies and cached is None:
            self.replies.put(key, reply)
        return grade


def _conversation(talk: Sequence[Mapping[str, Any]]) -> str:
    """Return the messages of a prompt as one text; a single one is the question itself."""
    said = [(message["role"], message["content"] or "") for message in talk]
    return said[0][1] if len(said) == 1 else "\n\n".join(f"{role}: {text}" for role, text in said)
