"""The parts of an assistant's message: reasoning, text and tool calls, and where they stand."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1trl.chat.messages import REASONING, Message
from r1trl.chat.thinking import END, THINK


@dataclass(frozen=True)
class Answer:
    """An assistant's message in parts.

    `thought` is the text of the thinking as the content has it, tags and all, or "" if the message
    has none or has it beside the content. `reasoning` and `text` are without white space around.
    """

    reasoning: str
    text: str
    thought: str
    calls: Sequence[Mapping[str, Any]]

    def end_in(self, written: str) -> int | None:
        """Return where the answer ends in a turn as a template writes it; None if a part lacks."""
        at = 0
        for part in (self.reasoning, self.text):
            found = written.find(part, at)
            if found < 0:
                return None
            at = found + len(part)
        for part in self.called:
            ends = [i + len(form) for form in _forms(part) if (i := written.rfind(form)) >= 0]
            if not ends:
                return None
            at = max(at, *ends)
        return at

    @property
    def called(self) -> Iterator[str]:
        """Yield the names and the arguments of the tool calls."""
        for call in self.calls:
            yield from _leaves(call.get("function", call), ("name", "arguments"))


def _leaves(value: Any, keys: Sequence[str] | None = None) -> Iterator[str]:
    """Yield the scalars in a value as templates write them; of a mapping those of `keys`."""
    if isinstance(value, Mapping):
        for key in keys or value:
            yield from _leaves(value.get(key))
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield value.strip()
    elif value is not None:
        yield json.dumps(value)


def _forms(text: str) -> Iterator[str]:
    """Yield a text as templates write it: as it is, or inside JSON."""
    yield text
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1]


def is_in(written: str, *texts: str) -> bool:
    """Return True if all texts are in what a template has written, white space aside."""
    return all(_is_in(written, text.strip()) for text in texts)


def _is_in(written: str, text: str) -> bool:
    if any(form in written for form in _forms(text)):
        return True
    return "".join(text.split()) in "".join(written.split())


def answer_of(message: Message) -> Answer:
    """Return the parts of a cleaned message of the assistant."""
    content, calls = message["content"], message.get("tool_calls", ())
    beside = message.get(REASONING[0])
    if beside is not None:
        return Answer(str(beside).strip(), content.strip(), "", calls)
    before, end, after = content.partition(END)
    start, _, inside = before.partition(THINK)
    if not end or (start.strip() and THINK in before):
        return Answer("", content.strip(), "", calls)
    reasoning = inside if THINK in before else before
    space = after[: len(after) - len(after.lstrip())]
    return Answer(reasoning.strip(), after.strip(), before.lstrip() + end + space, calls)


def reads_reasoning(template: str) -> bool:
    """Return True if a chat template reads reasoning beside the content of a message."""
    return not set(REASONING).isdisjoint(re.findall(r"\w+", template))


def with_reasoning_beside(message: Message) -> Message:
    """Return a cleaned message, the thinking in the content of an assistant's beside it."""
    if message["role"] != "assistant" or not (answer := answer_of(message)).thought:
        return message
    beside = dict.fromkeys(REASONING, answer.reasoning) if answer.reasoning else {}
    return {**message, "content": answer.text, **beside}
