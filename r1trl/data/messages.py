"""Messages in one form, whatever wrote them: a role, a content that is a text, and other keys.

A message of ShareGPT has `from` and `value`; a content may be a list of parts; a table of Parquet
fills keys that a message lacks with nulls.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from r1trl.rewards.texts import gold_text

ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "model", "chatgpt", "bing", "bard", "bot"), "assistant"),
    "system": "system",
    **dict.fromkeys(("tool", "function", "observation", "function_response"), "tool"),
}
SAID = ("role", "from", "content", "value")  # the keys that become role and content
TEXT_PARTS = ("text", "input_text", "output_text")
THOUGHT_PARTS = ("thinking", "reasoning")


def normal(value: Any, name: str) -> Any:
    """Return a text, or a list of messages in one form; None for nothing, as an empty list is.

    `name` is the column's. Raises ValueError for what is neither.
    """
    if isinstance(value, str) and name == "messages":
        value = _parsed(value)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        return gold_text(value) if not isinstance(value, str) else value
    messages = [message(each) for each in value]
    return messages if messages and not any(map(_is_empty, messages)) else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is neither messages nor JSON of them") from error


def _is_empty(message: Mapping[str, Any]) -> bool:
    """Return True if a message says nothing, having no content and nothing in its place."""
    return message["content"] is None and len(message) == 2


def message(value: Any) -> dict[str, Any]:
    """Return a message with role, content and its other keys that are not null."""
    given = value if isinstance(value, Mapping) else {}
    role = given.get("role") or given.get("from")
    if not isinstance(role, str):
        raise ValueError(f"{str(value)[:80]} is no message; one has a role and a content")
    content = given.get("content") if given.get("content") is not None else given.get("value")
    more = {k: v for k, v in given.items() if k not in SAID and v is not None}
    if role == "function_call":  # LLaMA-Factory's; its value is JSON
        call = {"type": "function", "function": _parsed(str(content))}
        return {"role": "assistant", "content": None, "tool_calls": [call], **more}
    text, thought = _text_and_thought(content)
    if thought and "reasoning_content" not in more:
        more["reasoning_content"] = thought
    return {"role": ROLES.get(role.lower(), role), "content": text, **more}


def _text_and_thought(content: Any) -> tuple[str | None, str]:
    """Return the text of a content and what was thought before it, both of parts or not."""
    if not isinstance(content, list | Mapping):
        return gold_text(content) if not isinstance(content, str) else content, ""
    texts, thoughts = list[str](), list[str]()
    for part in [content] if isinstance(content, Mapping) else content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type", "text") if isinstance(part, Mapping) else type(part).__name__
        if kind not in TEXT_PARTS + THOUGHT_PARTS:
            raise ValueError(f"a message has a part of the type '{kind}'; only texts are read")
        said = part.get("text") or part.get("thinking") or part.get("reasoning") or ""
        (thoughts if kind in THOUGHT_PARTS else texts).append(str(said))
    return "".join(texts), "".join(thoughts)


def without_nulls(value: Any) -> Any:
    """Return a value without the keys that are null in it: a table fills in those of other rows."""
    if isinstance(value, Mapping):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def after_prompt(prompt: Any, answer: Any) -> Any:
    """Return an answer of messages without those of its prompt, if it begins with them."""
    if not isinstance(answer, list):
        return answer
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt or []
    begins = len(answer) > len(asked) and answer[: len(asked)] == asked
    return answer[len(asked) :] if begins else answer


def shared_prompt(chosen: Any, rejected: Any) -> Any:
    """Return the prompt that two answers begin with; None if they share nothing.

    Texts are cut as TRL's `extract_prompt` cuts them: a space before the difference is not shared.
    """
    if isinstance(chosen, list) and isinstance(rejected, list):
        return chosen[: _shared(chosen[:-1], rejected[:-1])] or None
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        return None
    prompt = chosen[: _shared(chosen, rejected)]
    return prompt.removesuffix(" ") or None


def _shared(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many first items of two sequences are equal."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
