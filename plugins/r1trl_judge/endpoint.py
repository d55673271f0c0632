"""A client of OpenAI's chat completions with limited concurrency and request rate.

Every batch of rewards has an event loop of its own, and so a client of its own. Requests are spaced
evenly, so the time of the last one is all the state that the rate limit keeps between batches.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r1trl import Failure

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Request = dict[str, Any]
Ask = Callable[[Request], Awaitable[str | Failure]]


class RateLimit:
    """A limit of `per_minute` requests from this process, evenly spaced."""

    def __init__(self, per_minute: float) -> None:
        self.interval, self.last_sent = 60 / per_minute, float("-inf")

    async def waiter(self) -> Callable[[Any], Awaitable[None]]:
        """Return a coroutine function of this event loop that waits until a request may be sent."""
        from aiolimiter import AsyncLimiter

        limiter = AsyncLimiter(1, self.interval)
        await limiter.acquire(max(0.0, 1 - (time.monotonic() - self.last_sent) / self.interval))

        async def wait(request: Any) -> None:
            await limiter.acquire()
            self.last_sent = time.monotonic()

        return wait


@dataclass(frozen=True)
class Endpoint:
    """A server and how requests are sent to it, named as the options of the reward."""

    url: str | None
    api_key_env: str
    retries: int
    timeout: float
    concurrency: int
    rate_limit: RateLimit | None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Ask]:
        """Open a client for this event loop; the context is a coroutine function of one request."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        # A hook of the connection, not of the call, so that retries are limited too.
        hooks = [await self.rate_limit.waiter()] if self.rate_limit else []
        client = AsyncOpenAI(
            api_key=self.api_key(),
            base_url=self.url,
            max_retries=self.retries,
            timeout=self.timeout,
            http_client=DefaultAsyncHttpxClient(event_hooks={"request": hooks}),
        )
        slots = asyncio.Semaphore(self.concurrency)

        async def ask(request: Request) -> str | Failure:
            async with slots:
                return await self.reply(client, request)

        async with client:
            yield ask

    def api_key(self) -> str:
        """Return the API key; "none" for a server that needs no key, as the client requires one."""
        key = os.environ.get(self.api_key_env)
        if not key and self.url is None:
            raise ValueError(f"api_key_env: the environment variable {self.api_key_env} is unset")
        return key or "none"

    async def reply(self, client: "AsyncOpenAI", request: Request) -> str | Failure:
        """Return the text of one reply, or a Failure.

        Raises ValueError if every other request would fail too: a wrong key, model or address.
        """
        import openai

        server = f"{request['model']} at {client.base_url}"
        try:
            return text_of(await client.chat.completions.create(**request))
        except openai.APITimeoutError:
            return Failure("timeout", f"{server}: no reply within {self.timeout:g} s")
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ValueError(
                f"api_key_env: {server} refused the key in {self.api_key_env}: {error}"
            ) from error
        except openai.NotFoundError as error:
            raise ValueError(f"model or url: there is no {server}: {error}") from error
        except (openai.APIError, json.JSONDecodeError) as error:
            return Failure("error", f"{server}: {error} {error.__cause__ or ''}".rstrip())


def text_of(reply: Any) -> str | Failure:
    """Return the text of a complete reply; a Failure if it was cut off or is malformed."""
    try:
        content, reason = reply.choices[0].message.content, reply.choices[0].finish_reason
    except (AttributeError, IndexError, TypeError):
        return Failure("error", f"the server sent no chat completion but {str(reply)[:200]!r}")
    if reason == "length":
        return Failure("error", "the judge's reply was cut off at max_tokens")
    if reason != "stop" or not isinstance(content, str):
        return Failure("error", f"the judge gave no whole reply: finish_reason={reason!r}")
    return content.encode(errors="replace").decode()  # half of a character, which no file holds
