"""One replica of a server: a process of vLLM, or of what its command starts, and its health."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from r1trl.arguments.check import GET_VLLM
from r1trl.config.stage_parts import ServeConfig
from r1trl.process.network import free_port
from r1trl.process.terminal import newest_lines
from r1trl.serve.layout import Place
from r1trl.stage.devices import VISIBLE
from r1trl.watch.processes import end_with_parent

HEALTH_PERIOD, ANSWER_SECONDS = 5.0, 10.0
SICK_SECONDS = 120.0  # without a healthy answer, of one that was ready; then it is started again
PORT_TAKEN = "ddress already in use"
ERROR = re.compile(r"(?:^|[\s.:])\w*(?:Error|error|Exception)\b[:(]")
LINES = 400  # of a log, in which its error is looked for
END_SECONDS = 10.0


class Replica:
    """Starts a server and keeps it; `failed` is why it is not kept any longer, or None.

    `named` are the arguments that r1trl gives, `log` has what the server prints. It is the leader
    of a process group of its own, since vLLM leaves processes behind that hold GPUs.
    """

    def __init__(self, place: Place, server: ServeConfig, key: str, host: str, log: Path) -> None:
        self.place, self.server, self.key = place, server, key
        self.host, self.log = host, log
        self.model = ""
        self.named: Mapping[str, Any] = {}
        self.ready, self.failed = False, None if server.command else f"{key}.command: is empty"
        self.port, self.restarts = free_port(), 0
        self.process: subprocess.Popen[bytes] | None = None
        self._began = self._looked = self._well = 0.0

    def serve(self, model: str, named: Mapping[str, Any]) -> None:
        """Serve a model, in place of the one before."""
        self.end()
        self.model, self.named, self.restarts = model, named, 0
        self._start()

    def _start(self) -> None:
        gpus = {VISIBLE: ",".join(self.place.gpus)} if self.place.gpus else {}
        self._began = self._well = time.monotonic()
        with self.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **gpus},
                    start_new_session=True,
                    preexec_fn=end_with_parent,
                )
            except OSError as error:
                program = self.server.command[0]
                self.failed = (
                    f"{self.key}.command: '{program}' cannot be started ({error.strerror}); "
                    f"{GET_VLLM}, or name that of another environment"
                )

    def _command(self) -> Sequence[str]:
        own: dict[str, Any] = {"host": self.host, "port": self.port}
        if self.server.tensor_parallel > 1:
            own["tensor-parallel-size"] = self.server.tensor_parallel
        given = {**own, **self.named, **self.server.args}
        names = dict.fromkeys((self.place.server, self.model))
        options = [self._option(name, value) for name, value in given.items() if value is not None]
        served = ["--served-model-name", *names]
        return [*self.server.command, self.model, *filter(None, options), *served]

    @staticmethod
    def _option(name: str, value: Any) -> str:
        if isinstance(value, bool):
            return f"--{name}" if value else ""
        return f"--{name}={value}"

    def look(self) -> bool:
        """Look at the server, and start it again if it has died; return True if something is new.

        One that has never answered is not started again: the next try would end as this one.
        """
        if self.process is None or self.failed:
            return False
        now, before = time.monotonic(), (self.ready, self.failed, self.process.pid)
        if (status := self.process.poll()) is not None:
            self._died(f"has ended with status {status}")
        elif now - self._looked >= (HEALTH_PERIOD if self.ready else 0.0):
            self._looked = now
            if self._is_healthy():
                self.ready, self._well = True, now
            elif self.ready and now - self._well > SICK_SECONDS:
                self._died(f"has not answered for {SICK_SECONDS:g} s")
            elif not self.ready and now - self._began > self.server.ready:
                self.failed = (
                    f"{self.key}.ready: not ready within {self.server.ready:g} s; see {self.log}"
                )
        return before != (self.ready, self.failed, self.process.pid)

    def _is_healthy(self) -> bool:
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104
        with suppress(httpx.HTTPError):
            address = f"http://{host}:{self.port}/health"
            return httpx.get(address, timeout=ANSWER_SECONDS, trust_env=False).is_success
        return False

    def _died(self, how: str) -> None:
        """Start the server again, on the same port, unless that is no use."""
        was_ready = self.ready
        self.end()
        said = newest_lines(self.log, LINES)
        taken = any(PORT_TAKEN in line for line in said)
        if taken and not was_ready:
            self.port = free_port()
        if self.restarts >= self.server.restarts or not (was_ready or self.restarts or taken):
            errors = [line for line in said if ERROR.search(line)] or said or [""]
            often = f" (restarts={self.server.restarts})" if self.restarts else ""
            self.failed = f"{self.key}: {how}{often}: {errors[-1].strip()}; see {self.log}"
            return
        self.restarts += 1
        self._start()

    def end(self) -> None:
        """Kill the server, with all that it has started."""
        self.ready = False
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(END_SECONDS)
