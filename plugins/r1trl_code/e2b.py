"""The sandbox `e2b`: a fresh virtual machine of E2B's for each program, without the internet."""

import math

from r1trl_code.inside.start import STARTED
from r1trl_code.sandbox import Limits, RunResult, SandboxError

SPARE_SECONDS = 60
COMMAND = "python3 -I -S /tmp/main.py < /tmp/stdin"


def execute(program: str, stdin: str, limits: Limits) -> RunResult:
    """Run a program in a new machine; E2B's own exceptions are not caught."""
    from e2b import CommandExitException, TimeoutException
    from e2b_code_interpreter import Sandbox

    lifetime = math.ceil(limits.seconds) + SPARE_SECONDS
    box = Sandbox.create(timeout=lifetime, allow_internet_access=False)
    try:
        box.files.write("/tmp/main.py", program)  # noqa: S108 - a machine of its own
        box.files.write("/tmp/stdin", stdin)  # noqa: S108
        try:
            result = box.commands.run(COMMAND, timeout=limits.seconds)
        except CommandExitException as failed:
            result = failed
        except TimeoutException:
            return RunResult("", None)
    finally:
        box.kill()
    if STARTED.decode() not in result.stderr:
        raise SandboxError(f"E2B has not run the program: {result.stderr[:500]}")
    return RunResult(result.stdout, None if result.exit_code == 137 else result.exit_code)
