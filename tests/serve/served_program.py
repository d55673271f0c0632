"""A program that is started as vLLM is, answers as it does, and leaves a process behind as it does.

python served_program.py MODEL --host=H --port=P --served-model-name NAME… [--reply=TEXT]
                         [--seconds=S] [--fails=TEXT] [--starting=S]
"""

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--dtype")
parser.add_argument("--tensor-parallel-size", type=int)
parser.add_argument("--served-model-name", nargs="+")
parser.add_argument("--reply")
parser.add_argument("--seconds", type=float, default=0.0)
parser.add_argument("--starting", type=float, default=0.0)
parser.add_argument("--fails")
given = parser.parse_args()
print("started with", sys.argv[1:], flush=True)
# What holds the GPU is a process of its own, which does not end with the one that is asked.
worker = subprocess.Popen(["sleep", "1000"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if given.fails:
    print(f"ValueError: {given.fails}", flush=True)
    sys.exit(3)
time.sleep(given.starting)


class Handler(BaseHTTPRequestHandler):
    """Replies to one request."""

    def do_GET(self) -> None:
        """Say that all is well."""
        self._reply({})

    def do_POST(self) -> None:
        """Complete a prompt, or a conversation."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request["model"] not in given.served_model_name:
            self.send_error(404, f"The model {request['model']} does not exist.")
            return
        time.sleep(given.seconds)
        text = given.reply or f"{request.get('seed')} by {given.model.split('/')[-1]}"
        print("answered", threading.active_count(), flush=True)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "stop_reason": None}
        if "chat" in self.path:
            choice["message"] = {"role": "assistant", "content": text}
            self._reply(
                {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
                | {"choices": [choice]}
            )
        else:
            self._reply({"choices": [{**choice, "text": text}], "usage": {"completion_tokens": 3}})

    def _reply(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


ThreadingHTTPServer((given.host, given.port), Handler).serve_forever()
