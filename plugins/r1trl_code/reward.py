"""The reward `code`."""

from typing import Any, Literal

import r1trl
from r1trl_code.answer import find_program
from r1trl_code.cases import read_cases
from r1trl_code.choice import Name, choose, ready
from r1trl_code.sandbox import Limits


@r1trl.verifier(ready=ready)
def code(
    completion: str,
    tests: Any,
    *,
    score: Literal["fraction", "all"] = "fraction",
    seconds: float = 2.0,
    memory_mb: int = 512,
    sandbox: Name = "bubblewrap",
    url: str | None = None,
) -> float | None:
    """Return the share of a row's tests that the program in a completion passes, from 0 to 1.

    R = passed / tests, or with `score` "all" R = 1[passed = tests] (DeepSeek-R1, arXiv
    2501.12948, section 2.2: predefined test cases). The program is the last block fenced as
    Python after the last `</think>`; without one the score is 0. It has Python's standard library
    and no other packages.

    `tests` is a list of cases, or JSON of one: `{"input", "output"}` runs the program and compares
    what it prints, `{"call", "args", "returns"}` calls its function or `Class.method`, and
    `{"assert"}` is a program of assertions about it. A row without tests is None.

    Each case has `seconds` of the clock and of a core, and `memory_mb` MiB. One that is killed,
    as for its time, is the last: those after it count as failed, so an endless loop costs
    `seconds` once. `url` says where a `sandbox` is that is a service.

    Raises ValueError where tests cannot be read or cannot judge, and SandboxError where the
    sandbox does not work.
    """
    cases = read_cases(tests)
    if not cases:
        return None
    program = find_program(completion)
    if program is None:
        return 0.0
    place, limits, passed = choose(sandbox, url), Limits(seconds, memory_mb), 0
    for case in cases:
        ran = case.run(program, place, limits)
        right = ran.status == 0 and case.accepts(ran.output)
        passed += right
        if ran.status is None or (score == "all" and not right):
            break
    return passed / len(cases) if score == "fraction" else float(passed == len(cases))
