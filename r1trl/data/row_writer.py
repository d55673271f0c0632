"""One row as the model reads it, by a raw template or by the tokenizer's chat template."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from r1trl.chat.answers import reads_reasoning, with_reasoning_beside
from r1trl.chat.conversation import Conversation
from r1trl.chat.ends import answer_end
from r1trl.chat.messages import (
    Message,
    as_text,
    cleaned,
    from_json,
    with_system,
    without_nulls,
)
from r1trl.chat.samples import Sample, conversation_samples, text_sample
from r1trl.chat.thinking import RowError, continuation
from r1trl.data.sources import fill
from r1trl.errors import StageError, suggest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_TEMPLATE = (
    "the tokenizer has no chat template; give the stage a template=…, or one of kind sft "
    "args.chat_template_path=…"
)
SET_BY_US = ("tools", "tokenize", "add_generation_prompt", "continue_final_message")
ONE_QUESTION = (
    "a raw template holds one question and its answer, and the row has {roles}; leave template out "
    "and use the chat template"
)


@dataclass(frozen=True)
class RowWriter:
    """Writes rows for a tokenizer.

    `template` is a raw prompt with `{{ prompt }}`; None: the tokenizer's chat template. `system` is
    the system prompt of rows that have none, `variables` are the chat template's own; a row's
    `chat_template_kwargs` come before them. Raises StageError if there is no template at all, or if
    the chat template reads none of that name.
    """

    tokenizer: "PreTrainedTokenizerBase"
    template: str | None = None
    system: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.template:
            return
        if not self.tokenizer.chat_template:
            raise StageError(NO_TEMPLATE)
        words = set(re.findall(r"\w+", str(self.tokenizer.chat_template)))
        for name in self.variables:
            if name in SET_BY_US or name not in words:
                raise StageError(
                    f"chat_template_kwargs: the chat template reads no '{name}'"
                    f"{suggest(name, words)}"
                )

    def prompt(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """Return a row's question, and the text that the model reads before it answers."""
        prompt = row["prompt"]
        if prompt is None or prompt == []:
            raise RowError("it has no prompt")
        question = prompt if isinstance(prompt, str) else cleaned(prompt)[-1]["content"]
        if self.template:
            self._require_one_turn(prompt)
            return question, fill(self.template, {**row, "prompt": question})
        talk = self.conversation(row, messages_of(prompt))
        text = talk.prompt(len(talk.messages))
        talk.require_all(text, len(talk.messages))
        return question, text

    def _require_one_turn(self, prompt: Any) -> None:
        """Raise RowError if a prompt has a history, of which a raw template would lose all."""
        roles = [str(message.get("role")) for message in messages_of(prompt)]
        if "assistant" in roles:
            raise RowError(ONE_QUESTION.format(roles=", ".join(roles)))

    def conversation(self, row: Mapping[str, Any], messages: Iterable[Message]) -> Conversation:
        """Return messages as a conversation with a row's system prompt, tools and variables."""
        own = from_json(row.get("chat_template_kwargs")) or {}
        tools = from_json(row.get("tools")) or ()
        if not all(isinstance(tool, Mapping) for tool in tools) or not isinstance(own, Mapping):
            raise RowError("tools must be a list of mappings, chat_template_kwargs a mapping")
        system = row.get("system") or self.system
        talk = cleaned(with_system(list(messages), system))
        if reads_reasoning(str(self.tokenizer.chat_template)):
            talk = [with_reasoning_beside(message) for message in talk]
        return Conversation(self.tokenizer, talk, tools, {**self.variables, **own})

    def response(self, row: Mapping[str, Any], prompt: str, response: Any) -> str:
        """Return an answer to a row's prompt as text, without its end; `prompt` is that written."""
        text = response if isinstance(response, str) else as_text(_one(response))
        return continuation(prompt, text, finished=row.get("finished") is not False)

    def samples(
        self, row: Mapping[str, Any], *, everything: bool = False, all_turns: bool = False
    ) -> list[Sample]:
        """Return a row's token ids and labels: of `prompt` and `completion`, or of `messages`.

        The loss is on the completion, or on the assistant's messages; with `everything` on all
        tokens, with `all_turns` on the assistant's messages in a prompt too. Raises RowError if
        something of the row would be lost.
        """
        samples = self._samples(row, all_turns)
        return [sample.everything() for sample in samples] if everything else samples

    def _samples(self, row: Mapping[str, Any], all_turns: bool) -> list[Sample]:
        before, answers = row.get("prompt"), row.get("completion")
        if before is None or answers is None:
            before, answers = [], row.get("messages")
            if not answers:
                raise RowError("it has neither messages nor prompt and completion")
        if self.template and not isinstance(answers, str):
            before, answers = _question_and_answer([*messages_of(before), *answers])
        if isinstance(answers, str):
            return [self._text_sample({**row, "prompt": before}, answers)]
        talk = self.conversation(row, [*messages_of(before), *answers])
        start = 0 if all_turns else len(talk.messages) - len(answers)
        roles = [message["role"] for message in talk.messages]
        learned = [i for i in range(start, len(roles)) if roles[i] == "assistant"]
        return conversation_samples(talk, learned)

    def _text_sample(self, row: Mapping[str, Any], completion: str) -> Sample:
        """Return the sample of a completion that is text; one that was cut off gets no end."""
        prompt = self.prompt(row)[1]
        target = self.response(row, prompt, completion)
        if row.get("finished") is False:
            return text_sample(self.tokenizer, prompt, target)
        own = str(self.tokenizer.eos_token)
        end = own if self.template else answer_end(self.tokenizer, self.variables)
        done = target.endswith((own, end))
        return text_sample(self.tokenizer, prompt, target if done else target + end)


def messages_of(prompt: Any) -> list[Message]:
    """Return a prompt as messages: a text is one of the user."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def _one(messages: Any) -> Message:
    """Return the one message of an answer."""
    if not messages or len(messages) != 1:
        raise RowError(f"an answer must be one message of the assistant, not {messages!r:.160}")
    return cleaned(messages)[0]


def _question_and_answer(messages: list[Message]) -> tuple[Any, str]:
    """Return the prompt and the completion in a question and its answer, for a raw template."""
    roles = [without_nulls(message).get("role") for message in messages]
    if roles != ["user", "assistant"]:
        raise RowError(ONE_QUESTION.format(roles=", ".join(map(str, roles))))
    return messages[0]["content"], as_text(_one(messages[1:]))
