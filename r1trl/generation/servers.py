"""A client for many requests at once to servers with OpenAI's completions API, such as vLLM's.

Each request goes to any server with a free connection. A failed request is sent again, to any
server. A failing server is left alone for a while, twice as long after each failure, and then gets
one request to try. Replies are returned in the order of the requests.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from r1trl.config.stage_parts import EndpointsConfig
from r1trl.errors import StageError
from r1trl.process.pulse import count_more, progress
from r1trl.process.texts import whole, whole_texts

Request = dict[str, Any]
Reply = dict[str, Any]
PERMANENT_ERRORS = (400, 401, 403, 404, 405, 413, 422)  # the same request would fail again
ABORTED = ("abort", "error")  # vLLM's finish reasons of a completion that it gave up
MAX_TRIES = 10  # of a request to which servers reply with an HTTP error
MAX_BACKOFF_SECONDS = 60.0


@dataclass
class Endpoint:
    """One server: its requests in flight, and its failures since its last reply."""

    url: str
    in_flight: int = 0
    failures: int = 0
    backoff_until: float = 0.0  # on the clock time.monotonic, in seconds
    error: str = ""

    def record_failure(self, error: str) -> None:
        """Keep the error; begin a backoff, unless one is running."""
        self.error, now = error, time.monotonic()
        if now >= self.backoff_until:
            self.failures += 1
            self.backoff_until = now + min(MAX_BACKOFF_SECONDS, 2.0 ** (self.failures - 1))

    async def wait_until_ready(self, connection: int) -> None:
        """Wait until the backoff is over; after a failure, connection 0 tries alone."""
        while time.monotonic() < self.backoff_until or (self.failures and connection):
            await asyncio.sleep(0.05)


class CompletionClient:
    """Sends requests to all servers of a stage; they keep their backoff from call to call."""

    def __init__(self, config: EndpointsConfig) -> None:
        self.endpoints = [Endpoint(url.rstrip("/")) for url in config.urls]
        self.config = config

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """Return the reply to each request: text, finish_reason, stop_reason and completion_tokens.

        `completion_tokens` is None if the server does not report it. Runs its own event loop; not a
        collective. Raises StageError if a server refuses a request for good, or replies to it with
        errors MAX_TRIES times, or if no server has replied for `endpoints.patience` seconds.
        """
        return asyncio.run(self._complete(requests))

    async def _complete(self, requests: Sequence[Request]) -> list[Reply]:
        queue, limits = RequestQueue(requests), httpx.Limits(max_connections=None)
        key = os.environ.get(self.config.api_key_env)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(
            headers=headers, timeout=self.config.timeout, limits=limits
        ) as client:
            senders = [
                asyncio.create_task(self._send(client, endpoint, connection, queue))
                for connection in range(min(self.config.concurrency, len(requests)))
                for endpoint in self.endpoints  # in turn, so that few requests are spread too
            ]
            watchdog = asyncio.create_task(self._watch(queue))
            try:
                await _wait_for_all(queue, [*senders, watchdog])
            finally:
                for task in (*senders, watchdog):
                    task.cancel()
                await asyncio.gather(*senders, watchdog, return_exceptions=True)
        return [queue.replies[i] for i in range(len(requests))]

    async def _send(
        self, client: httpx.AsyncClient, endpoint: Endpoint, connection: int, queue: "RequestQueue"
    ) -> None:
        """Send waiting requests to a server, one after another, until cancelled."""
        while True:
            await endpoint.wait_until_ready(connection)
            index = await queue.waiting.get()
            endpoint.in_flight += 1
            try:
                reply = await _post(client, endpoint.url, queue.requests[index])
            except (httpx.HTTPError, ValueError) as error:
                endpoint.record_failure(f"{type(error).__name__}: {error}")
                queue.requeue(index, error, endpoint)
            else:
                endpoint.failures = 0
                queue.add_reply(index, reply)
            finally:
                endpoint.in_flight -= 1

    async def _watch(self, queue: "RequestQueue") -> None:
        """Raise StageError if no server has replied for `endpoints.patience` seconds.

        An idle healthy server resets the timer: the other requests may hang on another server.
        """
        while time.monotonic() - queue.last_reply_at < self.config.patience:
            if any(not endpoint.in_flight and not endpoint.failures for endpoint in self.endpoints):
                queue.last_reply_at = time.monotonic()
            await asyncio.sleep(0.1)
        errors = "; ".join(f"{each.url}: {each.error or 'no reply'}" for each in self.endpoints)
        raise StageError(
            f"endpoints: no server has answered for {self.config.patience:g} s "
            f"(endpoints.patience): {errors}"
        )


class RequestQueue:
    """The requests of one call, by number: those that wait to be sent, and the replies."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests, self.replies = requests, dict[int, Reply]()
        self.tries = [0] * len(requests)
        self.waiting: asyncio.Queue[int] = asyncio.Queue()
        for index in range(len(requests)):
            self.waiting.put_nowait(index)
        self.done, self.last_reply_at = asyncio.Event(), time.monotonic()

    def add_reply(self, index: int, reply: Reply) -> None:
        """Keep the reply to a request; set `done` if it is the last one."""
        self.replies[index], self.last_reply_at = reply, time.monotonic()
        progress()
        count_more("completions", 1)
        if len(self.replies) == len(self.requests):
            self.done.set()

    def requeue(self, index: int, error: Exception, endpoint: Endpoint) -> None:
        """Put a failed request back; raise StageError if the error is permanent.

        Only HTTP errors count as tries: lost connections and time-outs may repeat without limit.
        """
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
        self.tries[index] += status != 0
        if status in PERMANENT_ERRORS or self.tries[index] >= MAX_TRIES:
            assert isinstance(error, httpx.HTTPStatusError)
            body = error.response.text[:500]
            raise StageError(f"endpoints: {endpoint.url} answers {status}: {body}")
        self.waiting.put_nowait(index)


async def _wait_for_all(queue: RequestQueue, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until every request has its reply; raise the exception of a task that fails before."""
    done = asyncio.create_task(queue.done.wait())
    try:
        finished, _ = await asyncio.wait([done, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()
    finally:
        done.cancel()


async def _post(client: httpx.AsyncClient, url: str, request: Request) -> Reply:
    """Send one request; raise ValueError if the reply is not a whole completion."""
    response = await client.post(f"{url}/completions", json=request)
    response.raise_for_status()
    try:
        body: Reply = response.json()
        choice: Reply = body["choices"][0]
        if choice["finish_reason"] in ABORTED:
            raise ValueError(f"an aborted completion ({choice['finish_reason']})")
        tokens = (body.get("usage") or {}).get("completion_tokens")
        return {
            "text": whole(choice["text"]),
            "finish_reason": choice["finish_reason"],
            "stop_reason": whole_texts(choice.get("stop_reason")),
            "completion_tokens": None if tokens is None else int(tokens),
        }
    except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a completion: {response.text[:200]!r}") from error
