"""The programs that run in a sandbox, each a source text that needs only Python.

The text contains the modules of the folder `inside`, loads them and calls one of their functions.
"""

import functools
from pathlib import Path

from r1trl_code.sandbox import OUTPUT_BYTES, Limits

# Each module after the ones it imports.
MODULES = {
    "start": ("start",),
    "solution_side": ("start", "values", "solution_side"),
    "test_side": ("start", "values", "solution_side", "test_side"),
}
TEMPLATE = """\
import sys, types
for name, text in {modules}.items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
from r1trl_code.inside.start import limit_process
from r1trl_code.inside.{module} import {function}
limit_process({seconds!r}, {memory_mb!r}, {output_bytes!r})
{function}({arguments})
"""


def solution_program(solution: str, limits: Limits) -> str:
    """Return a program that runs the solution as a script."""
    return _program("start.run_script", limits, solution)


def server_program(solution: str, limits: Limits) -> str:
    """Return a program that loads the solution and handles requests: stdin to stdout."""
    return _program("solution_side.serve", limits, solution)


def judge_program(tests: str, limits: Limits, child: str | None = None) -> str:
    """Return a program that runs tests on a solution, over the socket that is its stdin.

    If `child` is given, a server program, the tests start it themselves instead.
    """
    return _program("test_side.judge", limits, tests, child)


def _program(function: str, limits: Limits, *arguments: str | None) -> str:
    module, _, name = function.partition(".")
    return TEMPLATE.format(
        modules=_modules(module),
        module=module,
        function=name,
        seconds=limits.seconds,
        memory_mb=limits.memory_mb,
        output_bytes=OUTPUT_BYTES,
        # ascii() also writes lone surrogates; the solution then fails, not the sandbox.
        arguments=", ".join(map(ascii, arguments)),
    )


@functools.cache
def _modules(last: str) -> str:
    files = [Path(__file__).parent / "inside" / f"{name}.py" for name in MODULES[last]]
    return ascii({f"r1trl_code.inside.{file.stem}": file.read_text("utf-8") for file in files})
