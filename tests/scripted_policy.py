"""A policy that generates from a script and counts its tokens, for samplers that generate."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from r1trl import Completion
from r1trl.samplers import Messages


class Script:
    """A policy over letters: call k on a text generates the k-th of the lines given for it.

    Every letter is a token; "." is the end token. `scores` are by text.
    """

    def __init__(self, lines: dict[str, list[str]], scores: dict[str, float | None] | None = None):
        self.lines, self.scores, self.calls = lines, scores or {}, dict[str, int]()
        self.scored: list[str] = []

    def generate(
        self,
        completions: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Continue completions from the script."""
        return [self._continued(each, max_tokens, stop) for each in completions]

    def _continued(
        self, before: Completion, max_tokens: int | None, stop: Sequence[str]
    ) -> Completion:
        if before.finished:
            return before
        lines = self.lines.get(before.text, [])
        call = self.calls.get(before.text, 0)
        self.calls[before.text] = call + 1
        new = (lines[call % len(lines)] if lines else "")[:max_tokens]
        stop_text = next((each for each in stop if each in new), None)
        text = before.text + (new.partition(stop_text)[0] if stop_text else new)
        cost = len(new.partition(stop_text)[0] + stop_text if stop_text else new)
        return replace(
            before,
            text=text.removesuffix("."),
            token_ids=tuple(map(ord, text)),
            finished=stop_text is None and new.endswith("."),
            generated_tokens=before.generated_tokens + cost,
            stop_reason=stop_text,
        )

    def append(self, completion: Completion, text: str) -> Completion:
        """Append a text."""
        ids = (*completion.token_ids, *map(ord, text))
        return replace(completion, text=completion.text + text, token_ids=ids, stop_reason=None)

    def score(self, completions: Sequence[Completion], reward: str) -> list[float | None]:
        """Look completions up."""
        assert reward == "judge"
        self.scored += [each.text for each in completions]
        return [self.scores.get(each.text, 0.0) for each in completions]

    def extract_answers(self, completions: Sequence[Completion], reward: str) -> list[str | None]:
        """Return the last letter, a question mark being no answer."""
        return [each.text[-1:].replace("?", "") or None for each in completions]

    def rewrite_prompts(
        self, completions: Sequence[Completion], change: Callable[[Messages], Messages]
    ) -> list[Completion]:
        """Change prompts that are one message each; write a changed one with all roles."""
        return [replace(each, prompt=self._rewritten(each.prompt, change)) for each in completions]

    def _rewritten(self, prompt: str, change: Callable[[Messages], Messages]) -> str:
        messages = change([{"role": "user", "content": prompt}])
        return " ".join(f"{message['role']}: {message['content']}" for message in messages)


def empty(count: int = 1) -> list[Completion]:
    """Return empty completions with a cost of 100 tokens."""
    return [Completion(i, "prompt", generated_tokens=100) for i in range(count)]
