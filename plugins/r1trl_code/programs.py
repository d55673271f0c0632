"""The programs that run in a sandbox, each one source text that needs nothing but Python.

Such a text carries the modules of the folder `inside`, loads them and calls one function there.
"""

import functools
from pathlib import Path

from r1trl_code.sandbox import OUTPUT_BYTES, Limits

# Each module after those that it imports.
NEEDED = {
    "start": ("start",),
    "solution_side": ("start", "values", "solution_side"),
    "test_side": ("start", "values", "solution_side", "test_side"),
}
TEMPLATE = """\
import sys, types
for name, text in {modules}.items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
from r1trl_code.inside.start import begin
from r1trl_code.inside.{module} import {function}
begin({seconds!r}, {memory_mb!r}, {output_bytes!r})
{function}({arguments})
"""


def alone(solution: str, limits: Limits) -> str:
    """Return a program that is the solution, run as a script."""
    return _program("start.alone", limits, solution)


def serving(solution: str, limits: Limits) -> str:
    """Return a program that carries out requests on the solution: stdin to stdout."""
    return _program("solution_side.serve", limits, solution)


def judging(tests: str, limits: Limits, child: str | None = None) -> str:
    """Return a program that runs tests on the solution that stdin, a socket, leads to.

    `child`, where given, is a serving program that it starts for itself.
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
        # ascii() also writes what is not Unicode; the solution then fails, not the sandbox.
        arguments=", ".join(map(ascii, arguments)),
    )


@functools.cache
def _modules(last: str) -> str:
    files = [Path(__file__).parent / "inside" / f"{name}.py" for name in NEEDED[last]]
    return ascii({f"r1trl_code.inside.{file.stem}": file.read_text("utf-8") for file in files})
