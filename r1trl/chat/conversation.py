"""A conversation as a model reads it, and what the model has to write at each of its turns.

The prompt of a turn is what the chat template makes of the messages before it, as in generation.
What follows is the template's own text of the turn where that continues the prompt and holds all of
the message; otherwise it is put together here, so that reasoning which a template drops is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from r1trl.chat.answers import answer_of, is_in
from r1trl.chat.ends import answer_end, automatic_prefix, special_tokens
from r1trl.chat.messages import REASONING, Message, with_texts
from r1trl.chat.thinking import (
    END,
    THINK,
    RowError,
    continuation,
    opening,
    without_empty_thinking,
)

NO_CALLS = "the chat template leaves out the tool calls of an answer; use one that writes them"
IN_THE_USERS = "write it into the user's message, or use another chat template"


@dataclass(frozen=True)
class Conversation:
    """Messages as `cleaned` returns them, for a tokenizer with a chat template.

    `variables` are the template's own, `tools` the functions that the model may call.
    """

    tokenizer: Any
    messages: Sequence[Message]
    tools: Sequence[Any] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)

    def prompt(self, index: int) -> str:
        """Return what the model reads before it writes message `index`.

        It is without the text that the tokenizer itself puts before every text. Raises RowError
        if the template fails.
        """
        return self._written(self.messages[:index], add_generation_prompt=True)

    def target(self, index: int, prompt: str) -> str:
        """Return what the model has to write of message `index` after its prompt, to its end token.

        Raises RowError if the template cannot write the message.
        """
        message = self.messages[index]
        answer, before = answer_of(message), self.messages[:index]
        whole = self._written([*before, message])
        if whole.startswith(prompt):
            written = whole.removeprefix(prompt)
            if (end := answer.end_in(written)) is not None:
                return continuation(prompt, self._to_the_end(written, end))
        return continuation(prompt, self._put_together(before, message, prompt))

    def require_all(self, prompt: str, count: int) -> None:
        """Raise RowError if the last prompt lacks a tool or the content of a message before it.

        `count` is the number of messages before it. Reasoning may be missing: templates drop that
        of earlier turns in generation too.
        """
        for message in self.messages[:count]:
            content = message["content"]
            if message["role"] == "assistant":
                content = content.rpartition(END)[2]
                if not is_in(prompt, *answer_of(message).called):
                    raise RowError(NO_CALLS)
            if not is_in(prompt, content):
                what = f"the '{message['role']}' message {content[:60]!r}"
                raise RowError(f"the chat template leaves out {what}; {IN_THE_USERS}")
        for tool in self.tools:
            name = tool.get("function", tool).get("name", "")
            if not is_in(prompt, name):
                raise RowError(f"the chat template leaves out the tool '{name}'; {IN_THE_USERS}")

    def _put_together(self, before: Sequence[Message], message: Message, prompt: str) -> str:
        """Return a turn whose reasoning is written here, the rest of it by the template."""
        answer, opened = answer_of(message), opening(prompt)
        between = "" if opened == THINK else "\n"
        thought = answer.thought
        if answer.reasoning and not thought:
            thought = f"{THINK}{between}{answer.reasoning}{between}{END}{between * 2}"
        bare = {k: v for k, v in message.items() if k not in REASONING} | {"content": answer.text}
        whole, start = self._written([*before, bare]), prompt.removesuffix(opened)
        if whole.startswith(start):
            rest = without_empty_thinking(whole.removeprefix(start).removeprefix(opened))
            rest = rest.lstrip() if thought else rest
            if (end := replace(answer, reasoning="").end_in(rest)) is not None:
                return thought + self._to_the_end(rest, end)
        if answer.calls:
            raise RowError(NO_CALLS)
        return thought + answer.text + self._end

    def _to_the_end(self, written: str, after: int) -> str:
        """Return a turn's text to its end token, the first that is not before index `after`."""
        end = self._end.strip()
        if (found := written.find(end, after)) >= 0:
            return written[: found + len(end)]
        body = written.rstrip()
        return body if body.endswith(tuple(special_tokens(self.tokenizer))) else body + self._end

    @property
    def _end(self) -> str:
        return answer_end(self.tokenizer, self.variables)

    def _written(self, messages: Sequence[Message], **options: bool) -> str:
        """Return messages as the template writes them."""
        try:
            text = self._applied(messages, **options)
        except RowError:
            if not any("tool_calls" in message for message in messages):
                raise
            # Some templates put the arguments of calls after a text, and want them as JSON.
            text = self._applied([with_texts(message) for message in messages], **options)
        return text.removeprefix(automatic_prefix(self.tokenizer))

    def _applied(self, messages: Sequence[Message], **options: bool) -> str:
        named = {"tools": list(self.tools) or None, "tokenize": False, **options}
        try:
            written = self.tokenizer.apply_chat_template(list(messages), **named, **self.variables)
        except Exception as error:  # whatever Jinja or the template raises
            raise RowError(f"the chat template refuses the messages: {error}") from error
        return str(written)
