"""A row's tests: text in and text out, a call and what it returns, or assertions.

What a program should print or return is never in a sandbox with it: it is compared here.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

from r1trl_code.inside.test_side import UNJUDGED
from r1trl_code.inside.values import encode
from r1trl_code.programs import alone, serving
from r1trl_code.sandbox import Limits, Ran, Sandbox


@dataclass(frozen=True)
class Printing:
    """A program reads `input` and must print `output`."""

    input: str
    output: str

    def run(self, program: str, sandbox: Sandbox, limits: Limits) -> Ran:
        """Run the program on the input."""
        return sandbox.run(alone(program, limits), self.input, limits)

    def accepts(self, output: str) -> bool:
        """Compare line by line, exactly as many, without the white space that ends a line."""
        return _lines(output) == _lines(self.output)


@dataclass(frozen=True)
class Call:
    """A function called with `args` must return `returns`; `Class.method` makes the object."""

    call: str
    args: list[Any]
    returns: Any

    def run(self, program: str, sandbox: Sandbox, limits: Limits) -> Ran:
        """Have the function called; its value is what is printed."""
        request = ["named", [{"handle": 0}, self.call, *encode(self.args, _refuse)], {"dict": []}]
        return sandbox.run(serving(program, limits), json.dumps(request) + "\n", limits)

    def accepts(self, output: str) -> bool:
        """Compare the value that was printed."""
        try:
            return same(self.returns, json.loads(output)["value"])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False  # the program has written there, or its function has raised


@dataclass(frozen=True)
class Assertions:
    """A program of tests must run to its end without an exception."""

    source: str

    def run(self, program: str, sandbox: Sandbox, limits: Limits) -> Ran:
        """Run the tests against the program; raise ValueError where they cannot judge any."""
        ran = sandbox.judge(self.source, program, limits)
        if ran.status == UNJUDGED:
            raise ValueError(f"these tests cannot judge a program: {ran.output[-300:]}")
        return ran

    def accepts(self, output: str) -> bool:
        """Accept: that they ended well is all there is to see."""
        return True


Case = Printing | Call | Assertions


def read_cases(tests: Any) -> list[Case]:
    """Read a row's tests: a list of cases, or JSON of one; raise ValueError on anything else."""
    if isinstance(tests, str):
        tests = json.loads(tests.strip() or "null")
    tests = [] if tests is None else plain(tests)
    if not isinstance(tests, list):
        raise ValueError(f"`tests` must be a list of cases, not {type(tests).__name__}")
    return [read_case(case) for case in tests]


def read_case(case: Any) -> Case:
    """Read one case; a key that is None is absent, except for what a call returns."""
    given: Any = case
    if isinstance(case, dict):
        given = {key: value for key, value in case.items() if value is not None}
    match given:
        case {"input": str(read), "output": str(printed)} if len(given) == 2:
            return Printing(read, printed)
        case {"output": str(printed)} if len(given) == 1:
            return Printing("", printed)
        case {"call": str(name), "args": list(args)} if given.keys() <= {"call", "args", "returns"}:
            return Call(name, args, given.get("returns"))
        case {"assert": str(source)} if len(given) == 1:
            return Assertions(source)
    raise ValueError(
        f"not a test case: {str(case)[:200]}; one has either input and output, or call, args and "
        "returns, or assert"
    )


def plain(value: Any) -> Any:
    """Make plain lists and numbers of numpy's, as rows read from arrow have them."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def same(expected: Any, found: Any) -> bool:
    """Tell whether an encoded value is the JSON value that is expected.

    A tuple is a list, a key is what JSON makes of it, a float is within 1e-9 relative, a bool is
    no number; a set or any other object is nothing that JSON has.
    """
    if isinstance(found, dict):
        ((kind, content),) = found.items()
        if kind == "dict":
            return isinstance(expected, dict) and _same_items(expected, content)
        if kind not in ("tuple", "int"):
            return False
        found = content if kind == "tuple" else int(content, 16)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    if _is_number(expected) and _is_number(found):
        return _close(expected, found)
    return type(expected) is type(found) and expected == found


def _same_items(expected: dict[str, Any], pairs: list[tuple[Any, Any]]) -> bool:
    if len(expected) != len(pairs):
        return False
    found = {key if isinstance(key, str) else json.dumps(key): value for key, value in pairs}
    return found.keys() == expected.keys() and all(same(expected[k], found[k]) for k in found)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _close(expected: float, found: float) -> bool:
    if isinstance(expected, int) and isinstance(found, int):
        return expected == found
    try:
        both_nan = math.isnan(expected) and math.isnan(found)
        return both_nan or math.isclose(expected, found, rel_tol=1e-9)
    except OverflowError:  # an integer too large for any float
        return False


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _refuse(value: Any) -> int:
    raise ValueError(f"{value!r} in a call's args is no JSON value")
