"""Sandboxes that are services: Piston and SandboxFusion, asked over HTTP.

A service runs one program at a time, so there the tests start the solution as a child in their
own box: in another process, but of the same user. What a service does not run raises SandboxError.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from r1trl_code.inside.start import STARTED
from r1trl_code.programs import judging, serving
from r1trl_code.sandbox import Limits, Ran, SandboxError

ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Remote:
    """A sandbox made of `execute(program, stdin, limits)`, which has a service run a program."""

    execute: Callable[[str, str, Limits], Ran]

    def run(self, program: str, stdin: str, limits: Limits) -> Ran:
        """Run a program."""
        return self.execute(program, stdin, limits)

    def judge(self, tests: str, solution: str, limits: Limits) -> Ran:
        """Run tests that start the solution."""
        return self.execute(judging(tests, limits, serving(solution, limits)), "", limits)


def piston(url: str) -> Remote:
    """Return Piston at a URL (`POST /api/v2/execute`)."""
    return Remote(partial(_piston, url))


def _piston(url: str, program: str, stdin: str, limits: Limits) -> Ran:
    request = {
        "language": "python",
        "version": "*",
        "files": [{"name": "main.py", "content": program}],
        "stdin": stdin,
        "run_timeout": round(limits.seconds * 1000),
        "run_memory_limit": limits.memory_mb << 20,
    }
    answer = post(f"{url.rstrip('/')}/api/v2/execute", request, limits)
    run = answer.get("run") or {}
    if run.get("status") == "XX":  # an internal error of Piston
        raise SandboxError(f"Piston: {run.get('message')}")
    return started(answer, run, run.get("code"))


def sandbox_fusion(url: str) -> Remote:
    """Return SandboxFusion at a URL (`POST /run_code`)."""
    return Remote(partial(_sandbox_fusion, url))


def _sandbox_fusion(url: str, program: str, stdin: str, limits: Limits) -> Ran:
    request = {
        "language": "python",
        "code": program,
        "stdin": stdin,
        "run_timeout": limits.seconds,
        "memory_limit_MB": limits.memory_mb,
    }
    answer = post(f"{url.rstrip('/')}/run_code", request, limits)
    run = answer.get("run_result") or {}
    if answer.get("status") == "SandboxError":
        raise SandboxError(f"SandboxFusion: {answer.get('message')}")
    return started(answer, run, run.get("return_code"))


def post(url: str, request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Send JSON and return the JSON that is answered."""
    body, kind = json.dumps(request).encode(), {"Content-Type": "application/json"}
    message = urllib.request.Request(url, body, kind)  # noqa: S310 - `ready` wants http
    try:
        with urllib.request.urlopen(message, timeout=limits.seconds + ANSWER_SECONDS) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(1000).decode(errors="replace")
        raise SandboxError(f"{url} answered {error.code}: {said}") from error
    except (OSError, ValueError) as error:
        raise SandboxError(f"{url}: {error}") from error


def started(answer: dict[str, Any], run: dict[str, Any], status: int | None) -> Ran:
    """Return how a program ended; raise SandboxError where it has not even started."""
    if STARTED.decode() not in (run.get("stderr") or ""):
        raise SandboxError(f"the service has not run the program: {str(answer)[:500]}")
    killed = status is None or status in (-9, 137)
    return Ran(run.get("stdout") or "", None if killed else status)
