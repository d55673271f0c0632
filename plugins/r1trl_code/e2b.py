"""The sandbox `e2b`: a fresh virtual machine of E2B's for each program, without the internet."""

import math

from r1trl_code.inside.start import STARTED
from r1trl_code.sandbox import Limits, Ran, SandboxError

SPARE_SECONDS = 60
COMMAND = "python3 -I -S /tmp/main.py < /tmp/stdin"


def execute(program: str, stdin: str, limits: Limits) -> Ran:
    """Run a program in a new machine; what E2B itself raises is raised on."""
    from e2b import CommandExitException, TimeoutException
    from e2b_code_interpreter import Sandbox

    lifetime = math.ceil(limits.seconds) + SPARE_SECONDS
    box = Sandbox.create(timeout=lifetime, allow_internet_access=False)
    try:
        box.files.write("/tmp/main.py", program)  # noqa: S108 - a machine of its own
        box.files.write("/tmp/stdin", stdin)  # noqa: S108
        try:
            ran = box.commands.run(COMMAND, timeout=limits.seconds)
        except CommandExitException as failed:
            ran = failed
        except TimeoutException:
            return Ran("", None)
    finally:
        box.kill()
    if STARTED.decode() not in ran.stderr:
        raise SandboxError(f"E2B has not run the program: {ran.stderr[:500]}")
    return Ran(ran.stdout, None if ran.exit_code == 137 else ran.exit_code)
