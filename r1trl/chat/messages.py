"""The messages of a row in one form: without what is absent, with a system prompt."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from r1trl.chat.thinking import END, THINK, RowError

Message = Mapping[str, Any]
REASONING = ("reasoning_content", "reasoning", "thinking")  # the names that templates read


def without_nulls(value: Any) -> Any:
    """Return a value of a row without nulls: tables fill in the keys that only other rows have."""
    if isinstance(value, Mapping):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value if each is not None]
    return value


def from_json(value: Any) -> Any:
    """Return a list or mapping that a row may hold as JSON text, without nulls.

    Raises RowError if it is no JSON.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError as error:
            raise RowError(f"{value[:80]!r} is no JSON: {error}") from error
    return without_nulls(value or None)


def with_system(messages: Sequence[Message], system: str | None) -> list[Message]:
    """Return messages with a system prompt before them, unless they have one or it is None."""
    if system is None or (messages and messages[0]["role"] in ("system", "developer")):
        return list(messages)
    return [{"role": "system", "content": system}, *messages]


def cleaned(messages: Sequence[Message]) -> list[Message]:
    """Return messages without nulls, the arguments of their calls as mappings.

    Reasoning has every name that templates read. Raises RowError if a message has no role or its
    content is no text.
    """
    return [_cleaned(without_nulls(message)) for message in messages]


def _cleaned(message: dict[str, Any]) -> Message:
    content = message.setdefault("content", "")
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content
    ):
        content = message["content"] = "".join(part["text"] for part in content)
    if not isinstance(message.get("role"), str) or not isinstance(content, str):
        raise RowError(f"a message needs a role and a content that is text, not {message!r:.160}")
    thoughts = [message.pop(name) for name in REASONING if name in message]
    if thoughts and message["role"] == "assistant" and str(thoughts[0]).strip():
        message |= dict.fromkeys(REASONING, thoughts[0])
    if calls := from_json(message.get("tool_calls")):
        message["tool_calls"] = [_with_mapping(call) for call in calls]
    else:
        message.pop("tool_calls", None)
    return message


def _with_mapping(call: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call, its arguments parsed if they are JSON text."""
    function = call.get("function", call)
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            function = {**function, "arguments": json.loads(arguments)}
        except ValueError:
            return call  # not JSON: the template writes the text
    return {**call, "function": function} if "function" in call else function


def as_text(message: Message) -> str:
    """Return a cleaned message of the assistant as one text, its reasoning in think tags.

    Raises RowError if it calls tools.
    """
    if "tool_calls" in message:
        raise RowError("an answer as text cannot hold tool calls; give messages")
    reasoning = message.get(REASONING[0])
    start = "" if reasoning is None else f"{THINK}\n{str(reasoning).strip()}\n{END}\n\n"
    return start + str(message["content"])


def with_texts(message: Message) -> Message:
    """Return a message, the arguments of its tool calls as JSON text."""
    if "tool_calls" not in message:
        return message
    return {**message, "tool_calls": [_with_text(call) for call in message["tool_calls"]]}


def _with_text(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function", call)
    if not isinstance(function.get("arguments", ""), str):
        text = json.dumps(function["arguments"], ensure_ascii=False)
        function = {**function, "arguments": text}
    return {**call, "function": function} if "function" in call else function
