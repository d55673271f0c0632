"""Requests to servers with OpenAI's completions API, such as vLLM's: many at once.

Every request goes to whichever server has room. One that fails is sent again, to any server; a
server that fails rests for a while, twice as long each time, and is then tried with one request.
Replies are put in the order of the requests.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from r1trl.errors import StageError

Request = dict[str, Any]
Reply = dict[str, Any]
REFUSED = (400, 401, 403, 404, 405, 413, 422)  # another try would be answered alike
BROKEN_OFF = ("abort", "error")  # what vLLM says of a completion that it gave up
TRIES = 10
LONGEST_REST = 60.0


@dataclass
class Server:
    """One server, and how it has been lately."""

    url: str
    asked: int = 0  # requests that it has not answered yet
    failures: int = 0
    rests_until: float = 0.0
    error: str = ""

    def failed(self, error: str) -> None:
        """Rest, unless it rests already."""
        self.error, now = error, time.monotonic()
        if now >= self.rests_until:
            self.failures += 1
            self.rests_until = now + min(LONGEST_REST, 2.0 ** (self.failures - 1))

    async def ready(self, number: int) -> None:
        """Wait until it may be asked; after a failure, the first of its askers tries alone."""
        while time.monotonic() < self.rests_until or (self.failures and number):
            await asyncio.sleep(0.05)


class Servers:
    """All servers of a stage."""

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        self.servers = [Server(url.rstrip("/")) for url in endpoints["urls"]]
        self.endpoints = endpoints

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """Return the reply to each request; raise StageError where there can be none."""
        return asyncio.run(self._complete(requests))

    async def _complete(self, requests: Sequence[Request]) -> list[Reply]:
        batch, limits = Batch(requests), httpx.Limits(max_connections=None)
        key = os.environ.get(self.endpoints["key_variable"])
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(
            headers=headers, timeout=self.endpoints["seconds"], limits=limits
        ) as client:
            asking = [
                asyncio.create_task(self._ask(client, server, number, batch))
                for number in range(min(self.endpoints["concurrency"], len(requests)))
                for server in self.servers  # in turn, so that few requests are shared out too
            ]
            watching = asyncio.create_task(self._watch(batch))
            try:
                await _first_failure(batch, [*asking, watching])
            finally:
                for task in (*asking, watching):
                    task.cancel()
                await asyncio.gather(*asking, watching, return_exceptions=True)
        return [batch.replies[i] for i in range(len(requests))]

    async def _ask(
        self, client: httpx.AsyncClient, server: Server, number: int, batch: "Batch"
    ) -> None:
        """Send request after request to a server."""
        while True:
            await server.ready(number)
            index = await batch.waiting.get()
            server.asked += 1
            try:
                reply = await _post(client, server.url, batch.requests[index])
            except (httpx.HTTPError, ValueError) as error:
                server.failed(f"{type(error).__name__}: {error}")
                batch.again(index, error, server)
            else:
                server.failures = 0
                batch.answered(index, reply)
            finally:
                server.asked -= 1

    async def _watch(self, batch: "Batch") -> None:
        """Raise StageError when no server has answered for too long.

        One that is well and has nothing to do is waited with: others may leave requests hanging.
        """
        while time.monotonic() - batch.heard < self.endpoints["patience"]:
            if any(not server.asked and not server.failures for server in self.servers):
                batch.heard = time.monotonic()
            await asyncio.sleep(0.1)
        told = "; ".join(f"{server.url}: {server.error or 'no reply'}" for server in self.servers)
        raise StageError(
            f"endpoints: no server has answered for {self.endpoints['patience']:g} s "
            f"(endpoints.patience): {told}"
        )


class Batch:
    """Requests, and the replies that have come."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests, self.replies = requests, dict[int, Reply]()
        self.tries = [0] * len(requests)
        self.waiting: asyncio.Queue[int] = asyncio.Queue()
        for index in range(len(requests)):
            self.waiting.put_nowait(index)
        self.done, self.heard = asyncio.Event(), time.monotonic()

    def answered(self, index: int, reply: Reply) -> None:
        """Take a reply."""
        self.replies[index], self.heard = reply, time.monotonic()
        if len(self.replies) == len(self.requests):
            self.done.set()

    def again(self, index: int, error: Exception, server: Server) -> None:
        """Have a request sent again; raise StageError where that is in vain."""
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
        self.tries[index] += status != 0
        if status in REFUSED or self.tries[index] >= TRIES:
            assert isinstance(error, httpx.HTTPStatusError)
            said = error.response.text[:500]
            raise StageError(f"endpoints: {server.url} answers {status}: {said}")
        self.waiting.put_nowait(index)


async def _first_failure(batch: Batch, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until all is answered; raise what a task raised before."""
    done = asyncio.create_task(batch.done.wait())
    try:
        finished, _ = await asyncio.wait([done, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()
    finally:
        done.cancel()


async def _post(client: httpx.AsyncClient, url: str, request: Request) -> Reply:
    """Send one request; raise ValueError where the reply is no completion."""
    response = await client.post(f"{url}/completions", json=request)
    response.raise_for_status()
    try:
        body: Reply = response.json()
        choice: Reply = body["choices"][0]
        if choice["finish_reason"] in BROKEN_OFF:
            raise ValueError(f"a completion broken off ({choice['finish_reason']})")
        return {key: choice[key] for key in ("text", "finish_reason")} | {
            "stop_reason": choice.get("stop_reason"),
            "tokens": (body.get("usage") or {}).get("completion_tokens"),
        }
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no completion but {response.text[:200]!r}") from error
