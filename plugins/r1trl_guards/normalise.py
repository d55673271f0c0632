"""The guard `normalise_prompt`: a prompt as DeepSeek recommends it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from r1trl import Completion, Policy

DIRECTIVE = r"Please reason step by step, and put your final answer within \boxed{}."
SYSTEM = ("system", "developer")

Message = Mapping[str, Any]


class NormalisePrompt:
    """Ask without a system prompt and without examples, and say the output format.

    DeepSeek-R1's README and arXiv 2501.12948, section 5. What a system prompt says is put before
    the user's first message, or with `system: drop` left out. `examples: drop` leaves out all
    messages before the last, which is wrong where they are a conversation. In the last message each
    regular expression of `replace` is replaced by its text, in order, as with examples inside of
    it; then `directive`, which says the format, is appended, unless it is there. A raw template has
    no system prompt and holds the last message alone. To begin the thinking, put `think_prefill`
    after this sampler; the temperature is `sampling.temperature` of the stage.
    """

    def __init__(
        self,
        *,
        directive: str = DIRECTIVE,
        system: Literal["merge", "drop"] = "merge",
        examples: Literal["keep", "drop"] = "keep",
        replace: dict[str, str] = {},  # noqa: B006 - shown to users, never changed
    ) -> None:
        self.directive, self.system, self.examples = directive, system, examples
        self.replace = [(_compiled(pattern), text) for pattern, text in replace.items()]

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Change the prompt of each completion and continue it; the change costs no tokens."""
        return policy.generate(policy.rewrite_prompts(completions, self.normalised))

    def normalised(self, messages: list[Message]) -> list[Message]:
        """Return the messages of a prompt as they are recommended."""
        said = "\n\n".join(m["content"] for m in messages if m["role"] in SYSTEM)
        turns = [message for message in messages if message["role"] not in SYSTEM]
        if self.examples == "drop":
            turns = turns[-1:]
        if turns:
            turns[-1] = {**turns[-1], "content": self._question(turns[-1]["content"])}
        if said and self.system == "merge":
            if turns and turns[0]["role"] == "user":
                first = {**turns[0], "content": f"{said}\n\n{turns[0]['content']}"}
                return [first, *turns[1:]]
            return [{"role": "user", "content": said}, *turns]
        return turns

    def _question(self, text: str) -> str:
        for pattern, by in self.replace:
            text = pattern.sub(lambda _, by=by: by, text)
        text = text.strip()
        missing = self.directive and self.directive not in text
        return f"{text}\n{self.directive}" if missing else text


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"replace: {pattern!r} is no regular expression: {error}") from error
