"""The programs that run in a sandbox, each a source text that needs only Python.

The text contains the modules of the folder `inside`, loads them and calls one of their functions.
"""

import functools
import importlib
import re
from pathlib import Path

from r1trl_code.inside.start import BUILTINS
from r1trl_code.sandbox import OUTPUT_BYTES, Limits

# Each module after the ones it imports.
SOLUTION_SIDE = ("start", "starter", "values", "solution_side")
MODULES = {
    "start": ("start", "starter"),
    "solution_side": SOLUTION_SIDE,
    "test_side": (*SOLUTION_SIDE, "mirror", "test_side"),
}
# LeetCode and LiveCodeBench import these before a program: all names of OPEN_MODULES, a later one
# in place of an earlier one, and the modules themselves, where a program writes `module.name`.
OPEN_MODULES = (
    *("sys", "random", "typing", "copy", "string", "operator", "collections", "itertools"),
    *("functools", "heapq", "bisect", "math"),
)
MODULE_NAMES = {*OPEN_MODULES, "re", "datetime", "statistics", "io", "json"}
WORD = re.compile(r"\b[^\W\d]\w*\.?")
TEMPLATE = """\
import sys, types
for name, text in {modules}.items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
from r1trl_code.inside.start import limit_process, predefine
from r1trl_code.inside.{module} import {function}
limit_process({seconds!r}, {memory_mb!r}, {output_bytes!r})
predefine({predefined!r})
{function}({arguments})
"""


def solution_program(solution: str, limits: Limits) -> str:
    """Return a program that runs the solution as a script."""
    return _program("start.run_script", limits, solution, solution)


def server_program(solution: str, limits: Limits) -> str:
    """Return a program that loads the solution and handles requests: stdin to stdout."""
    return _program("solution_side.serve", limits, solution, solution)


def judge_program(tests: str, limits: Limits, child: str | None = None) -> str:
    """Return a program that runs tests on a solution, over the socket that is its stdin.

    If `child` is given, a server program, the tests start it themselves instead.
    """
    return _program("test_side.judge", limits, tests, tests, child)


def predefined(source: str) -> dict[str, str]:
    """Return what a source may use without an import, of the names in it: `module[.name]` each."""
    words = set(WORD.findall(source))
    known = _open_names()
    names = {word.rstrip("."): known.get(word.rstrip(".")) for word in words}
    names |= {name: name for name in MODULE_NAMES if f"{name}." in words}
    return {name: path for name, path in sorted(names.items()) if path}


@functools.cache
def _open_names() -> dict[str, str]:
    paths = {name: f"r1trl_code.inside.starter.{name}" for name in ("ListNode", "TreeNode")}
    for module in OPEN_MODULES:
        loaded = importlib.import_module(module)
        public = getattr(loaded, "__all__", None) or vars(loaded)
        paths |= {name: f"{module}.{name}" for name in public if name[0] != "_"}
    return {name: path for name, path in paths.items() if name not in BUILTINS}


def _program(function: str, limits: Limits, source: str, *arguments: str | None) -> str:
    module, _, name = function.partition(".")
    return TEMPLATE.format(
        modules=_modules(module),
        module=module,
        function=name,
        seconds=limits.seconds,
        memory_mb=limits.memory_mb,
        output_bytes=OUTPUT_BYTES,
        predefined=predefined(source),
        # ascii() also writes lone surrogates; the solution then fails, not the sandbox.
        arguments=", ".join(map(ascii, arguments)),
    )


@functools.cache
def _modules(last: str) -> str:
    files = [Path(__file__).parent / "inside" / f"{name}.py" for name in MODULES[last]]
    return ascii({f"r1trl_code.inside.{file.stem}": file.read_text("utf-8") for file in files})
