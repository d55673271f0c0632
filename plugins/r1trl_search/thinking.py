"""How long a model thinks: an opening put in its mouth, its thinking drawn out or cut short."""

from collections.abc import Sequence

from r1trl import Completion, Policy
from r1trl_search.candidates import at_least_one


class ThinkPrefill:
    """Begin every completion with `text`, so that the model cannot answer without thinking."""

    def __init__(self, *, text: str = "<think>\n") -> None:
        self.text = text

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return completions that begin with the text."""
        return policy.draw([policy.write(draft, self.text) for draft in drafts])


class BudgetForcing:
    """Draw thinking out, or cut it short (s1, arXiv 2501.19393, section 3.1).

    Where the model wants to end its thinking with `end`, `word` is written instead, `waits` times.
    Or else thinking that has reached `most` tokens is ended with `end`. A completion that ends
    without having ended its thinking stays as it is.
    """

    def __init__(
        self,
        *,
        waits: int = 0,
        most: int | None = None,
        word: str = "Wait",
        end: str = "</think>",
    ) -> None:
        if (waits > 0) == (most is not None) or waits < 0:
            raise ValueError("give waits, 1 or more, to draw thinking out, or most to cut it short")
        if most is not None:
            at_least_one("most", most)
        self.waits, self.most, self.word, self.end = waits, most, word, end

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return completions whose thinking is as long as is wanted."""
        thoughts = policy.draw(drafts, max_tokens=self.most, stop=[self.end])
        for _ in range(self.waits):
            waiting = [i for i, thought in enumerate(thoughts) if thought.stopped]
            again = [policy.write(thoughts[i], self.word) for i in waiting]
            for i, thought in zip(waiting, policy.draw(again, stop=[self.end]), strict=True):
                thoughts[i] = thought
        return policy.draw(
            [
                policy.write(thought, self.end) if self._ends(thought, draft) else thought
                for thought, draft in zip(thoughts, drafts, strict=True)
            ]
        )

    def _ends(self, thought: Completion, before: Completion) -> bool:
        """Tell whether the end is to be written: the model wanted it, or the budget is used up."""
        used_up = self.most is not None and len(thought.ids) - len(before.ids) >= self.most
        return thought.stopped is not None or (used_up and not thought.finished)
