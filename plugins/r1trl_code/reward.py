"""The reward `code`."""

from typing import Any, Literal

import r1trl
from r1trl_code.answer import find_program
from r1trl_code.cases import parse_cases
from r1trl_code.choice import SandboxName, make_sandbox, missing_requirements, service
from r1trl_code.sandbox import Limits


@r1trl.verifier(missing_requirements=missing_requirements, asks_outside=service)
def code(
    completion: str,
    tests: Any,
    prompt: Any = "",
    *,
    score: Literal["fraction", "all"] = "fraction",
    seconds: float = 2.0,
    memory_mb: int = 512,
    sandbox: SandboxName = "bubblewrap",
    url: str | None = None,
) -> float | None:
    """Return the share of a row's tests that the program in a completion passes, from 0 to 1.

    R = passed / tests, or with `score` "all" R = 1[passed = tests] (DeepSeek-R1, arXiv
    2501.12948, section 2.2: predefined test cases). The program is the last block fenced as
    Python after the last `</think>`; without one the score is 0. It may import the standard
    library only, and what LeetCode's starter code leaves unimported (`List`, `deque`, `math`, …).

    `tests` is a list of cases, or JSON of one: `{"input", "output"}` runs the program, which must
    end with status 0 (`exit()` counts), and compares its output; `{"call", "args", "returns"}`
    calls its function or `Class.method`; and `{"assert"}` is a program of assertions about it,
    which passes if it ends with status 0. None for a row without tests.

    Each case has `seconds` of wall-clock and of CPU time, and `memory_mb` MiB. After a case that is
    killed, as for its time, the rest count as failed, so an endless loop costs `seconds` once.
    `url` is the address of a `sandbox` that is a service.

    Raises ValueError on tests that are malformed or test nothing, and SandboxError if the sandbox
    does not work.
    """
    cases = parse_cases(tests)
    if not cases:
        return None
    program = find_program(r1trl.with_prefill(prompt, completion))
    if program is None:
        return 0.0
    box, limits, passed = make_sandbox(sandbox, url), Limits(seconds, memory_mb), 0
    for case in cases:
        result = case.run(program, box, limits)
        accepted = result.status == 0 and case.accepts(result.output)
        passed += accepted
        if result.status is None or (score == "all" and not accepted):
            break
    return passed / len(cases) if score == "fraction" else float(passed == len(cases))
