"""Calls against BFCL's possible answers.

A possible answer is a mapping from a function's name to its parameters, each with the list of
values that are right; "" among them says that the parameter may be left out. The rules are those
of BFCL (Berkeley Function Calling Leaderboard, v4): texts are equal but for case, spaces and
`,./-_*^`; a whole number is right where a float is declared, no float where a whole number is;
calls may come in any order; each possible answer is met by one call, and no call is left over.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1trl_regress.calls import Call
from r1trl_regress.literals import read

IGNORED = re.compile(r"[ ,./\-_*^]")
FLOATS = ("float", "double", "number")


def all_match(
    calls: Sequence[Call],
    answers: Sequence[Mapping[str, Any]],
    functions: Sequence[Mapping[str, Any]],
    syntax: str,
) -> bool:
    """Return True if there is a call for each possible answer, and no other."""
    if len(calls) != len(answers):
        return False
    by_name = {function["name"]: function for function in functions}
    fits = [
        [i for i, call in enumerate(calls) if call_matches(call, answer, by_name, syntax)]
        for answer in answers
    ]
    taken: dict[int, int] = {}  # a call, and the answer that it meets
    return all(_assign(answer, fits, taken, set()) for answer in range(len(answers)))


def _assign(answer: int, fits: list[list[int]], taken: dict[int, int], seen: set[int]) -> bool:
    """Give an answer a call, moving others if need be (augmenting paths); False if none is left."""
    for call in fits[answer]:
        if call not in seen:
            seen.add(call)
            if call not in taken or _assign(taken[call], fits, taken, seen):
                taken[call] = answer
                return True
    return False


def call_matches(
    call: Call, answer: Mapping[str, Any], functions: Mapping[str, Mapping[str, Any]], syntax: str
) -> bool:
    """Return True if a call is the possible answer."""
    [(name, possible)] = answer.items()
    if call.name != name or name not in functions:
        return False
    parameters = functions[name].get("parameters") or {}
    declared = parameters.get("properties") or {}
    arguments = dict(zip(declared, call.positional, strict=False)) | dict(call.arguments)
    if len(arguments) != len(call.positional) + len(call.arguments):
        return False
    # BFCL has functions that require a parameter of which its answer knows nothing.
    required = possible.keys() & (parameters.get("required") or ())
    return required <= arguments.keys() and fields_match(arguments, possible, declared, syntax)


def fields_match(
    given: Mapping[str, Any], possible: Mapping[str, Any], declared: Mapping[str, Any], syntax: str
) -> bool:
    """Return True if every field that is given has a right value, and no other may be missing."""
    if not given.keys() <= possible.keys():
        return False
    if any("" not in _listed(possible[name]) for name in possible.keys() - given.keys()):
        return False
    return all(
        any(
            value_matches(value, option, declared.get(name) or {}, syntax)
            for option in _listed(possible[name])
        )
        for name, value in given.items()
    )


def _listed(possible: Any) -> list[Any]:
    """Return possible values as a list; BFCL has some that stand alone, as an empty list does."""
    return possible if isinstance(possible, list) and possible else [possible]


def value_matches(value: Any, option: Any, declared: Mapping[str, Any], syntax: str) -> bool:
    """Return True if a value is a possible one; `declared` is the parameter's description."""
    if syntax != "python" and isinstance(value, str) and not isinstance(option, str):
        value = read(value)  # in JSON, other languages' values are texts
    if isinstance(option, str):
        return isinstance(value, str) and _plain(value) == _plain(option)
    if isinstance(option, bool) or option is None or isinstance(value, bool) or value is None:
        return value is option
    if isinstance(option, int | float):
        return isinstance(value, int | float) and _number(value, option, declared)
    if isinstance(option, list):
        items = declared.get("items") or {}
        return (
            isinstance(value, list | tuple)
            and len(value) == len(option)
            and all(value_matches(v, o, items, syntax) for v, o in zip(value, option, strict=True))
        )
    fields = declared.get("properties") or {}
    return isinstance(value, Mapping) and fields_match(value, option, fields, syntax)


def _number(value: float, option: float, declared: Mapping[str, Any]) -> bool:
    """Return True if numbers are equal, and a float stands only where one is possible."""
    real = isinstance(option, float) or declared.get("type") in FLOATS
    return value == option and (real or isinstance(value, int))


def _plain(text: str) -> str:
    return IGNORED.sub("", text).lower().replace("'", '"')
