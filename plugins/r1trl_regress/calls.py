"""The function calls in an answer, in the forms that models write them.

As text, `f(a=1, b=[2])` or a list of such calls, in a code block or not; as JSON, an object with
`name` and `arguments` (or `parameters`), several of them or a list; either of them between the
marks of a chat template, beside which there may be words. An answer with neither has no call.
"""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from r1trl_regress.literals import call_parts, items, read, value_of

FENCE = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)
# The marks of Qwen, Hermes and SmolLM2; of LFM2; of Mistral and Llama, which run to the end.
MARKED = re.compile(
    r"<tool_call>(.*?)(?:</tool_call>|$)"
    r"|<\|tool_call_start\|>(.*?)(?:<\|tool_call_end\|>|$)"
    r"|(?:\[TOOL_CALLS\]|<\|python_tag\|>)(.*)",
    re.DOTALL,
)
DEEPSEEK = re.compile(
    r"<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?([^\s<]+)"
    r"(?:<｜tool▁sep｜>|\s*```json)(.*?)(?:```\s*)?<｜tool▁call▁end｜>",
    re.DOTALL,
)
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, TypeError)


@dataclass(frozen=True)
class Call:
    """A call of a function; `positional` arguments have no names."""

    name: str
    arguments: Mapping[str, Any]
    positional: tuple[Any, ...] = ()


def calls_in(answer: str, syntax: str = "python") -> list[Call] | None:
    """Return the calls in an answer; empty if it has none, None if what it marks is no call.

    `syntax` is the language that values are written in: python, java or javascript.
    """
    if "<｜tool▁call▁begin｜>" in answer:
        found = DEEPSEEK.findall(answer)
        blocks = [json.dumps({"name": n, "arguments": text.strip()}) for n, text in found]
        return _of_blocks(blocks, syntax)
    if marked := ["".join(groups) for groups in MARKED.findall(answer)]:
        return _of_blocks(marked, syntax)
    fenced = FENCE.fullmatch(answer.strip())
    return _of_text(fenced[1] if fenced else answer, syntax) or []


def _of_blocks(blocks: Iterable[str], syntax: str) -> list[Call] | None:
    """Return the calls in all blocks; None if one of them has none, or if there is no block."""
    found = [_of_text(block, syntax) for block in blocks]
    return [call for calls in found for call in calls or ()] if found and all(found) else None


def _of_text(text: str, syntax: str) -> list[Call] | None:
    """Return the calls that a text consists of; None if it is anything else."""
    for form in (_from_json, _from_python if syntax == "python" else _from_other):
        try:
            return form(text.strip())
        except UNREADABLE:
            continue
    return None


def _from_json(text: str) -> list[Call]:
    """Return the calls of JSON objects, between which white space, `;` or `,` may stand."""
    decoder, found, at = json.JSONDecoder(), list[Any](), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found += value if isinstance(value, list) else [value]
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n;,"))
    return [_json_call(each) for each in found]


def _json_call(value: Any) -> Call:
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ValueError("a call has a name")
    arguments = value.get("arguments", value.get("parameters", {}))
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(arguments, Mapping):
        raise ValueError("arguments are a mapping")
    return Call(value["name"], arguments)


def _from_python(text: str) -> list[Call]:
    """Return the calls of Python's syntax tree: expressions, or lists of them."""
    found = list[Call]()
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Expr):
            raise ValueError("a statement is no call")
        value = statement.value
        nodes = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
        found += map(_python_call, nodes)
    return found


def _python_call(node: ast.expr) -> Call:
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    if not named or any(keyword.arg is None for keyword in node.keywords):
        raise ValueError("no call of a function by its name")
    arguments = {str(keyword.arg): value_of(keyword.value) for keyword in node.keywords}
    return Call(ast.unparse(node.func), arguments, tuple(map(value_of, node.args)))


def _from_other(text: str) -> list[Call]:
    """Return the calls of Java or JavaScript, whose values `literals.read` knows."""
    text = text.rstrip(";")
    inside = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    found = []
    for part in items(inside):
        name, arguments = call_parts(part)
        named = {key: read(value) for key, value in arguments if key}
        found.append(Call(name, named, tuple(read(value) for key, value in arguments if not key)))
    return found
