"""A row's tests: input and output, a call and its return value, or assertions.

The expected output or value never enters the sandbox: it is compared here.
"""

import json
from dataclasses import dataclass
from typing import Any

from r1trl_code.comparison import equal_words, equals_json
from r1trl_code.inside.mirror import INVALID_TESTS
from r1trl_code.inside.values import encode
from r1trl_code.programs import server_program, solution_program
from r1trl_code.sandbox import Limits, RunResult, Sandbox


@dataclass(frozen=True)
class StdioCase:
    """A program gets `input` on stdin and must print `output`."""

    input: str
    output: str

    def run(self, program: str, sandbox: Sandbox, limits: Limits) -> RunResult:
        """Run the program on the input."""
        return sandbox.run(solution_program(program, limits), self.input, limits)

    def accepts(self, output: str) -> bool:
        """Return True if all lines are equal, trailing white space aside, or `equal_words`."""
        expected, printed = _lines(self.output), _lines(output)
        return len(expected) == len(printed) and all(map(equal_words, expected, printed))


@dataclass(frozen=True)
class CallCase:
    """A function called with `args` must return `returns`; `Class.method` makes an object first."""

    call: str
    args: list[Any]
    returns: Any

    def run(self, program: str, sandbox: Sandbox, limits: Limits) -> RunResult:
        """Call the function in the sandbox; the output is the encoded value."""
        request = ["named", [{"object": 0}, self.call, *encode(self.args, _refuse)], {"dict": []}]
        return sandbox.run(server_program(program, limits), json.dumps(request) + "\n", limits)

    def accepts(self, output: str) -> bool:
        """Return True if the value is the expected one."""
        try:
            return equals_json(self.returns, json.loads(output)["value"])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False  # the program printed to stdout, or its function raised


@dataclass(frozen=True)
class AssertCase:
    """A test program must run to its end without an exception."""

    source: str

    def run(self, program: str, sandbox: Sandbox, limits: Limits) -> RunResult:
        """Run the tests against the program; raise ValueError on unusable tests."""
        result = sandbox.judge(self.source, program, limits)
        if result.status == INVALID_TESTS:
            raise ValueError(f"these tests cannot judge a program: {result.output[-300:]}")
        return result

    def accepts(self, output: str) -> bool:
        """Return True: the exit status decides."""
        return True


Case = StdioCase | CallCase | AssertCase


def parse_cases(tests: Any) -> list[Case]:
    """Parse a row's tests: a list of cases, or JSON of one; raise ValueError on anything else."""
    if isinstance(tests, str):
        tests = json.loads(tests.strip() or "null")
    tests = [] if tests is None else to_builtin(tests)
    if not isinstance(tests, list):
        raise ValueError(f"`tests` must be a list of cases, not {type(tests).__name__}")
    return [parse_case(case) for case in tests]


def parse_case(case: Any) -> Case:
    """Parse one case; a key of None counts as absent, and `returns` defaults to None."""
    given: Any = case
    if isinstance(case, dict):
        given = {key: value for key, value in case.items() if value is not None}
    match given:
        case {"input": str(read), "output": str(printed)} if len(given) == 2:
            return StdioCase(read, printed)
        case {"output": str(printed)} if len(given) == 1:
            return StdioCase("", printed)
        case {"call": str(name), "args": list(args)} if given.keys() <= {"call", "args", "returns"}:
            return CallCase(name, args, given.get("returns"))
        case {"assert": str(source)} if len(given) == 1:
            return AssertCase(source)
    raise ValueError(
        f"not a test case: {str(case)[:200]}; one has either input and output, or call, args and "
        "returns, or assert"
    )


def to_builtin(value: Any) -> Any:
    """Convert numpy arrays and numbers, as in rows from arrow, to lists and numbers."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, dict):
        return {key: to_builtin(inner) for key, inner in value.items()}
    return [to_builtin(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _refuse(value: Any, plain: type | None) -> Any:
    raise ValueError(f"{value!r} in a call's args is no JSON value")
