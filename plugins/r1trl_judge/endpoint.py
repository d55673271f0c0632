"""A server that speaks OpenAI's chat completions, asked by many at once and not too often.

Every batch of rewards has an event loop of its own, and so a client of its own. What is known of
the rate outlives a batch as one number: requests are spaced evenly, so the last one's time will do.
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


class Pace:
    """At most so many requests per minute from this process, evenly spaced."""

    def __init__(self, per_minute: float) -> None:
        self.interval, self.last = 60 / per_minute, float("-inf")

    async def waiter(self) -> Callable[[Any], Awaitable[None]]:
        """Return what waits, in this event loop, until the next request may be sent."""
        from aiolimiter import AsyncLimiter

        limiter = AsyncLimiter(1, self.interval)
        await limiter.acquire(max(0.0, 1 - (time.monotonic() - self.last) / self.interval))

        async def wait(request: Any) -> None:
            await limiter.acquire()
            self.last = time.monotonic()

        return wait


@dataclass(frozen=True)
class Endpoint:
    """Where the judge is and how it is asked, in the words of the reward's options."""

    url: str | None
    key_variable: str
    retries: int
    seconds: float
    concurrency: int
    pace: Pace | None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Ask]:
        """Open a client for this event loop; what it gives asks for one reply."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        # A hook of the connection and not of the call, so that retries keep the pace too.
        hooks = [await self.pace.waiter()] if self.pace else []
        client = AsyncOpenAI(
            api_key=self.key(),
            base_url=self.url,
            max_retries=self.retries,
            timeout=self.seconds,
            http_client=DefaultAsyncHttpxClient(event_hooks={"request": hooks}),
        )
        slots = asyncio.Semaphore(self.concurrency)

        async def ask(request: Request) -> str | Failure:
            async with slots:
                return await self.reply(client, request)

        async with client:
            yield ask

    def key(self) -> str:
        """Return the key; a server of one's own needs none, but the client wants a text."""
        key = os.environ.get(self.key_variable)
        if not key and self.url is None:
            raise ValueError(f"key_variable: the environment variable {self.key_variable} is unset")
        return key or "none"

    async def reply(self, client: "AsyncOpenAI", request: Request) -> str | Failure:
        """Return the text of one reply, or why there is none.

        Raises ValueError where every other request would fail too: a wrong key, model or address.
        """
        import openai

        where = f"{request['model']} at {client.base_url}"
        try:
            return text(await client.chat.completions.create(**request))
        except openai.APITimeoutError:
            return Failure("timeout", f"{where}: no reply within {self.seconds:g} s")
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ValueError(
                f"key_variable: {where} refused the key in {self.key_variable}: {error}"
            ) from error
        except openai.NotFoundError as error:
            raise ValueError(f"model or url: there is no {where}: {error}") from error
        except (openai.APIError, json.JSONDecodeError) as error:
            return Failure("error", f"{where}: {error} {error.__cause__ or ''}".rstrip())


def text(reply: Any) -> str | Failure:
    """Return what a whole reply says; one that was cut off is none."""
    try:
        said, reason = reply.choices[0].message.content, reply.choices[0].finish_reason
    except (AttributeError, IndexError, TypeError):
        return Failure("error", f"the server sent no chat completion but {str(reply)[:200]!r}")
    if reason == "length":
        return Failure("error", "the judge's reply was cut off at max_tokens")
    if reason != "stop" or not isinstance(said, str):
        return Failure("error", f"the judge gave no whole reply: finish_reason={reason!r}")
    return said
