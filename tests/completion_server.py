"""A server with OpenAI's completions API for tests; it can be slow, fail or die."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """A server whose completions contain the seed and the prompt; it can be slow or fail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seconds, self.broken_until, self.dies_after = 0.0, 0.0, 10**9
        self.status, self.failed = 500, 0  # while it is broken: its replies, and their number
        self.requests, self.reply = list[dict[str, Any]](), dict[str, Any]()
        self.texts = list[str]()  # what it replies, each once, if there are any
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    @property
    def url(self) -> str:
        """Return the address of the API."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def received(self) -> int:
        """Return the number of requests received."""
        return len(self.requests)

    def handle_error(self, *_: Any) -> None:
        """Print nothing if a client has closed its connection."""


class Handler(BaseHTTPRequestHandler):
    """Replies to one request."""

    server: Server

    def do_POST(self) -> None:
        """Reply, fail or drop the connection."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        if self.server.received > self.server.dies_after:
            self.connection.close()
            return
        time.sleep(self.server.seconds)
        broken = time.monotonic() < self.server.broken_until
        self.server.failed += broken
        text = f"<answer>{request['seed']}</answer> to {request['prompt'][-12:]}"
        if self.server.texts:
            text = self.server.texts.pop()
        choice = {"text": text, "finish_reason": "stop", "stop_reason": None}
        reply = self.server.reply or {"choices": [choice]}
        body = b"it is broken" if broken else json.dumps(reply).encode()
        self.send_response(self.server.status if broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def running_servers(count: int) -> Iterator[list[Server]]:
    """Yield so many servers; shut them down afterwards."""
    servers = [Server() for _ in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
