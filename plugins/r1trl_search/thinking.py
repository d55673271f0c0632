"""The length of thinking: a forced beginning, and thinking lengthened or cut short."""

from collections.abc import Sequence

import r1trl
from r1trl import Completion, Policy
from r1trl_search.candidates import at_least_one

TAG = "<think>"


class ThinkPrefill:
    """Begin every completion with `text`, so that the model cannot answer without thinking.

    A `<think>` that ends the prompt already is not written again.
    """

    def __init__(self, *, text: str = "<think>\n") -> None:
        self.text = text

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Append the text to each completion and continue it; the text costs no tokens."""
        texts = [self._after(each.prompt + each.text) for each in completions]
        pairs = zip(completions, texts, strict=True)
        return policy.generate([policy.append(c, text) if text else c for c, text in pairs])

    def _after(self, prompt: str) -> str:
        """Return the text as it continues a prompt, which may have opened the thinking."""
        begun = self.text.lstrip()
        if begun.startswith(TAG) and r1trl.with_prefill(prompt, ""):
            return begun.removeprefix(TAG).lstrip()
        return self.text


@r1trl.describe(
    aliases={
        "waits": "num_waits",
        "most": "max_thinking_tokens",
        "word": "wait_text",
        "end": "end_text",
    }
)
class BudgetForcing:
    """Lengthen thinking, or cut it short (s1, arXiv 2501.19393, section 3.1).

    With `num_waits`, `wait_text` replaces `end_text`, the end of thinking, that many times. With
    `max_thinking_tokens`, `end_text` is appended to thinking of that length. A completion that
    finishes without `end_text` stays as it is.
    """

    def __init__(
        self,
        *,
        num_waits: int = 0,
        max_thinking_tokens: int | None = None,
        wait_text: str = "Wait",
        end_text: str = "</think>",
    ) -> None:
        if (num_waits > 0) == (max_thinking_tokens is not None) or num_waits < 0:
            raise ValueError(
                "give num_waits, 1 or more, to lengthen thinking, or max_thinking_tokens to cut it"
            )
        if max_thinking_tokens is not None:
            at_least_one("max_thinking_tokens", max_thinking_tokens)
        self.num_waits, self.max_thinking_tokens = num_waits, max_thinking_tokens
        self.wait_text, self.end_text = wait_text, end_text

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Generate the thinking of each completion, force its length, then generate the answer."""
        thoughts = policy.generate(
            completions, max_tokens=self.max_thinking_tokens, stop=[self.end_text]
        )
        for _ in range(self.num_waits):
            stopped = [i for i, thought in enumerate(thoughts) if thought.stop_reason]
            longer = [policy.append(thoughts[i], self.wait_text) for i in stopped]
            longer = policy.generate(longer, stop=[self.end_text])
            for i, thought in zip(stopped, longer, strict=True):
                thoughts[i] = thought
        return policy.generate(
            [
                policy.append(thought, self.end_text) if self._ends(thought, before) else thought
                for thought, before in zip(thoughts, completions, strict=True)
            ]
        )

    def _ends(self, thought: Completion, before: Completion) -> bool:
        """Return True if thinking ends here: at `end_text`, or because its budget is used up."""
        length, limit = len(thought.token_ids) - len(before.token_ids), self.max_thinking_tokens
        used_up = limit is not None and length >= limit
        return thought.stop_reason is not None or (used_up and not thought.finished)
