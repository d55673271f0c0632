"""Sandboxes that are services: Piston and SandboxFusion, over HTTP, and E2B by its own package.

A service runs one program at a time, so the tests start the solution as a child in the same
sandbox: another process, but of the same user. Raises SandboxError if a service fails.
"""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from r1trl_code.inside.start import STARTED
from r1trl_code.programs import judge_program, server_program
from r1trl_code.sandbox import Limits, RunResult, SandboxError

REPLY_SECONDS = 30.0
SPARE_SECONDS = 60
E2B_COMMAND = "python3 -I -S /tmp/main.py < /tmp/stdin"


@dataclass(frozen=True)
class RemoteSandbox:
    """A sandbox made of `execute(program, stdin, limits)`, which runs a program in a service."""

    execute: Callable[[str, str, Limits], RunResult]

    def run(self, program: str, stdin: str, limits: Limits) -> RunResult:
        """Run a program."""
        return self.execute(program, stdin, limits)

    def judge(self, tests: str, solution: str, limits: Limits) -> RunResult:
        """Run tests that start the solution."""
        return self.execute(
            judge_program(tests, limits, server_program(solution, limits)), "", limits
        )


def piston(url: str) -> RemoteSandbox:
    """Return Piston at a URL (`POST /api/v2/execute`)."""
    return RemoteSandbox(partial(_piston, url))


def _piston(url: str, program: str, stdin: str, limits: Limits) -> RunResult:
    request = {
        "language": "python",
        "version": "*",
        "files": [{"name": "main.py", "content": program}],
        "stdin": stdin,
        "run_timeout": round(limits.seconds * 1000),
        "run_memory_limit": limits.memory_mb << 20,
    }
    reply = post(f"{url.rstrip('/')}/api/v2/execute", request, limits)
    run = reply.get("run") or {}
    if run.get("status") == "XX":  # an internal error of Piston
        raise SandboxError(f"Piston: {run.get('message')}")
    return to_result(reply, run, run.get("code"))


def sandbox_fusion(url: str) -> RemoteSandbox:
    """Return SandboxFusion at a URL (`POST /run_code`)."""
    return RemoteSandbox(partial(_sandbox_fusion, url))


def _sandbox_fusion(url: str, program: str, stdin: str, limits: Limits) -> RunResult:
    request = {
        "language": "python",
        "code": program,
        "stdin": stdin,
        "run_timeout": limits.seconds,
        "memory_limit_MB": limits.memory_mb,
    }
    reply = post(f"{url.rstrip('/')}/run_code", request, limits)
    run = reply.get("run_result") or {}
    if reply.get("status") == "SandboxError":
        raise SandboxError(f"SandboxFusion: {reply.get('message')}")
    return to_result(reply, run, run.get("return_code"))


def post(url: str, request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Send JSON and return the JSON of the reply; raise SandboxError if there is none."""
    body, kind = json.dumps(request).encode(), {"Content-Type": "application/json"}
    message = urllib.request.Request(url, body, kind)  # noqa: S310 - the URL is checked to be http
    try:
        with urllib.request.urlopen(message, timeout=limits.seconds + REPLY_SECONDS) as response:  # noqa: S310
            reply: dict[str, Any] = json.load(response)
            return reply
    except urllib.error.HTTPError as error:
        with error:
            details = error.read(1000).decode(errors="replace")
        raise SandboxError(f"{url} answered {error.code}: {details}") from error
    except (OSError, ValueError) as error:
        raise SandboxError(f"{url}: {error}") from error


def to_result(reply: dict[str, Any], run: dict[str, Any], status: int | None) -> RunResult:
    """Return how a program ended; raise SandboxError if it has not started."""
    if STARTED.decode() not in (run.get("stderr") or ""):
        raise SandboxError(f"the service has not run the program: {str(reply)[:500]}")
    killed = status is None or status in (-9, 137)
    return RunResult(run.get("stdout") or "", None if killed else status)


def e2b_machine(program: str, stdin: str, limits: Limits) -> RunResult:
    """Run a program in a fresh virtual machine without the internet; E2B's errors are raised."""
    from e2b import CommandExitException, TimeoutException
    from e2b_code_interpreter import Sandbox

    lifetime = math.ceil(limits.seconds) + SPARE_SECONDS
    box = Sandbox.create(timeout=lifetime, allow_internet_access=False)
    try:
        box.files.write("/tmp/main.py", program)  # noqa: S108 - a machine of its own
        box.files.write("/tmp/stdin", stdin)  # noqa: S108
        try:
            result = box.commands.run(E2B_COMMAND, timeout=limits.seconds)
        except CommandExitException as failed:
            result = failed
        except TimeoutException:
            return RunResult("", None)
    finally:
        box.kill()
    if STARTED.decode() not in result.stderr:
        raise SandboxError(f"E2B has not run the program: {result.stderr[:500]}")
    return RunResult(result.stdout, None if result.exit_code == 137 else result.exit_code)
