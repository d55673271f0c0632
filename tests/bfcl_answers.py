"""Completions made of BFCL's possible answers: right ones in every form, and wrong ones."""

import copy
import json
from collections.abc import Iterator
from typing import Any

Arguments = dict[str, Any]
Calls = list[tuple[str, Arguments]]


def chosen(possible: Any, full: bool) -> Any:
    """Return a value out of possible ones: the first that is not ''."""
    return plain(next((option for option in listed(possible) if option != ""), ""), full)


def listed(possible: Any) -> list[Any]:
    """Return possible values as a list; some stand alone, as an empty list does."""
    return possible if isinstance(possible, list) and possible else [possible]


def plain(option: Any, full: bool) -> Any:
    """Return a possible value with those of a mapping's fields chosen."""
    if isinstance(option, dict):
        return fields(option, full)
    return [plain(each, full) for each in option] if isinstance(option, list) else option


def fields(possible: dict[str, Any], full: bool) -> Arguments:
    """Return the fields that must be there; with `full` all for which a value is possible."""
    return {
        name: chosen(options, full)
        for name, options in possible.items()
        if "" not in listed(options) or (full and any(option != "" for option in listed(options)))
    }


def right_calls(row: dict[str, str], full: bool) -> Calls:
    """Return the calls of a row's possible answers; required parameters are there in any case."""
    functions = {f["name"]: f for f in json.loads(row["functions"])}
    calls = []
    for answer in json.loads(row["calls"]):
        [(name, possible)] = answer.items()
        arguments = fields(possible, full)
        for required in functions[name]["parameters"].get("required", []):
            if required in possible:
                arguments.setdefault(required, chosen(possible[required], full))
        calls.append((name, arguments))
    return calls


def wrong_calls(row: dict[str, str]) -> Iterator[Calls]:
    """Yield calls with one argument changed, one call fewer, one more, and another name."""
    right = right_calls(row, full=True)
    for i, (name, arguments) in enumerate(right):
        for parameter in arguments:
            calls = copy.deepcopy(right)
            calls[i][1][parameter] = changed(calls[i][1][parameter])
            yield calls
        yield [*right[:i], *right[i + 1 :]]
        yield [*right, right[i]]
        yield [*right[:i], (f"{name}_2", arguments), *right[i + 1 :]]
        yield [*right[:i], (name, {**arguments, "no_such_parameter": 1}), *right[i + 1 :]]


def changed(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool) or value is None:
        return "no such value"
    if isinstance(value, int | float):
        return value + 7919
    if isinstance(value, list):
        return [*value, changed(value[-1] if value else "")]
    if isinstance(value, dict):
        return {**value, "no_such_field": 1}
    return f"{value} but not this"


def written(calls: Calls, syntax: str) -> Iterator[str]:
    """Yield calls as a list in the language, and as JSON between a template's marks."""
    literal = {"java": java, "javascript": javascript}.get(syntax, repr)
    texts = [
        f"{name}({', '.join(f'{key}={literal(value)}' for key, value in arguments.items())})"
        for name, arguments in calls
    ]
    yield f"[{', '.join(texts)}]"
    objects = [json.dumps({"name": n, "arguments": arguments}) for n, arguments in calls]
    yield "\n".join(f"<tool_call>\n{text}\n</tool_call>" for text in objects) or "[]"


def java(value: Any) -> str:
    """Return a value as Java writes it."""
    if isinstance(value, list):
        return f"new Object[]{{{', '.join(map(java, value))}}}"
    if isinstance(value, dict):
        puts = "".join(f"put({java(k)}, {java(v)}); " for k, v in value.items())
        return f"new HashMap<>() {{{{ {puts}}}}}"
    return json.dumps(value)


def javascript(value: Any) -> str:
    """Return a value as JavaScript writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(javascript, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)}: {javascript(v)}' for k, v in value.items())}}}"
    return json.dumps(value)
